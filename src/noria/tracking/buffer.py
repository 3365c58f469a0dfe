"""Metric points between the call that logs them and the thread that writes them to disk.

A call that logs becomes one packed row: moment, step, values. Packing checks and converts the values in C, and adding
the row to the bytes of all rows with the same metrics needs no lock, so a call takes about a microsecond.
"""

from __future__ import annotations

import functools
import itertools
import operator
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

from noria.core.errors import Invalid
from noria.tracking.limits import MAX_STEP, check_key, shorten
from noria.tracking.values import as_float, as_step

Keys: TypeAlias = tuple[str, ...]

ITEM_BYTES = 8
"""Of each column: moment and step are signed 64-bit integers, values are doubles, all little-endian."""

MAX_ROW_KEYS = 1_000
"""A call with more metrics becomes several rows, none of which is too much for one batch."""

_NO_STEP = -MAX_STEP - 1
"""The one number of 64 bits that is no step: histories are read from the step after it."""

_UNPACKABLE = (struct.error, TypeError, ValueError, OverflowError)


@functools.cache
def _row_format(n_values: int) -> struct.Struct:
    return struct.Struct(f"<qq{n_values}d")


def row_bytes(keys: Keys) -> int:
    """Give the size of one row of these metrics."""
    return _row_format(len(keys)).size


class Rows:
    """Rows of calls that log the same metrics.

    Attributes
    ----------
    data
        Packed rows: nanoseconds since 1970, step, one value for each key.
    last_step
        Of the row that was added last.
    alone
        True while none of the metrics stands in other rows too.
    turn
        Grows with each row of those that are not alone: tells which of them came last.
    """

    __slots__ = ("alone", "data", "keys", "last_step", "pack", "turn")

    def __init__(self, keys: Keys) -> None:
        self.keys = keys
        self.pack = _row_format(len(keys)).pack
        self.data = bytearray()
        self.last_step = -1
        self.alone = True
        self.turn = 0


class Piece(NamedTuple):
    """Some of the rows that wait."""

    rows: Rows
    data: bytes


class PointBuffer:
    """Takes points from any number of threads, and gives them to one that writes.

    Parameters
    ----------
    now_ns
        Nanoseconds since 1970.
    next_steps
        Step that a metric gets next when the caller gives none; 0 for the others.
    """

    def __init__(self, now_ns: Callable[[], int], next_steps: Mapping[str, int] | None = None) -> None:
        self._now_ns = now_ns
        self._next_steps = dict(next_steps or {})
        self._rows: dict[Keys, Rows] = {}
        self._rows_of: dict[str, list[Rows]] = {}
        self._turns = itertools.count(1)
        self._lock = threading.Lock()

    def add(self, metrics: Mapping[str, Any], step: int | None) -> None:
        """Add the points of one call; all of them, or none.

        Raises
        ------
        Invalid
            If a key, a value or the step is none.
        """
        if step is None:
            self._add_counted(metrics)
            return
        try:
            if step == _NO_STEP:
                raise OverflowError  # told apart below
            rows = self._rows[tuple(metrics)]
            rows.data += rows.pack(self._now_ns(), step, *metrics.values())
            rows.last_step = step
            if not rows.alone:
                rows.turn = next(self._turns)
        except (KeyError, *_UNPACKABLE):
            self._add_checked(metrics, step)

    def waiting(self, max_points: int, max_bytes: int) -> list[Piece]:
        """Give what was added so far and not forgotten yet, in pieces of at most `max_points` whole rows' points.

        What is more than about `max_bytes` in all is left to the next call.
        """
        pieces: list[Piece] = []
        for rows in list(self._rows.values()):
            size = row_bytes(rows.keys)
            piece_bytes = max_points // len(rows.keys) * size
            start, end = 0, min(len(rows.data), max_bytes) // size * size
            while start < end:
                pieces.append(Piece(rows, bytes(rows.data[start : min(start + piece_bytes, end)])))
                start += len(pieces[-1].data)
            max_bytes -= start
        return pieces

    def forget(self, pieces: list[Piece]) -> None:
        """Forget what was written down."""
        for rows, data in pieces:
            # In place: another thread may be adding to the same object.
            del rows.data[: len(data)]

    def empty(self) -> None:
        """Forget what waits, in a process made by fork: the parent writes it."""
        self._lock = threading.Lock()
        for rows in self._rows.values():
            rows.data = bytearray()

    @property
    def n_bytes(self) -> int:
        """Size of what waits."""
        return sum(len(rows.data) for rows in list(self._rows.values()))

    def _add_counted(self, metrics: Mapping[str, Any]) -> None:
        with self._lock:
            rows = self._rows.get(tuple(metrics))
            if rows is not None and rows.alone:
                try:
                    step = rows.last_step + 1
                    rows.data += rows.pack(self._now_ns(), step, *metrics.values())
                except _UNPACKABLE:
                    pass  # told apart below
                else:
                    rows.last_step = step
                    return
        self._add_checked(metrics, None)

    def _add_checked(self, metrics: Mapping[str, Any], step: int | None) -> None:
        """Add points that are new in kind, without a step, or wrong."""
        if not isinstance(metrics, Mapping):
            raise Invalid(
                f"`{shorten(repr(metrics))}` is no mapping of metrics to numbers", hint='log({"loss": 0.1})'
            )
        values = {key: as_float(key, value) for key, value in metrics.items()}
        chosen = None if step is None else as_step(step)
        if not values:
            return
        with self._lock:
            for key in values:
                if key not in self._rows_of:
                    check_key("metric", key)
            for used, part in list(self._parts(values, chosen)):
                rows = self._rows_for(tuple(part))
                rows.data += rows.pack(self._now_ns(), used, *part.values())
                rows.last_step, rows.turn = used, next(self._turns)

    def _parts(self, values: dict[str, float], step: int | None) -> Iterator[tuple[int, dict[str, float]]]:
        """Cut the values of a call into rows: of one step each, and not too long."""
        parts: dict[int, dict[str, float]] = {}
        for key, value in values.items():
            parts.setdefault(self._following(key) if step is None else step, {})[key] = value
        for used, part in parts.items():
            items = iter(part.items())
            while row := dict(itertools.islice(items, MAX_ROW_KEYS)):
                yield used, row

    def _following(self, key: str) -> int:
        """Give the step after the one that the key had last."""
        used = self._rows_of.get(key)
        step = self._next_steps.get(key, 0)
        if used:
            step = max(used, key=operator.attrgetter("turn")).last_step + 1
        if step > MAX_STEP:
            raise Invalid(
                f"The metric `{key}` stands at step {MAX_STEP}, the highest there is, so none follows",
                hint=f'Give the step yourself: log({{"{key}": …}}, step=…)',
            )
        return step

    def _rows_for(self, keys: Keys) -> Rows:
        rows = self._rows.get(keys)
        if rows is None:
            rows = Rows(keys)
            for key in keys:
                together = self._rows_of.setdefault(key, [])
                together.append(rows)
                for each in together:
                    each.alone = len(together) == 1 and each.alone
            self._rows[keys] = rows
        return rows
