"""Rows that come one after the other, kept as versions of some size."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import polars as pl

from noria.core.clock import Clock
from noria.data.delta.sources import rows_of
from noria.data.delta.table import Table
from noria.data.delta.types import conform, grow
from noria.data.entities import DatasetVersion


class TableStream:
    """Gathers rows, and appends them when there are enough, or when the first of them has waited long enough.

    Rows are kept when `append` or `flush` gave a version. What was gathered since is lost if the process dies, so a
    caller that acknowledges rows does it by version. Small files are gathered into larger ones as they come.

    Parameters
    ----------
    table
        Where rows go.
    every_rows
        How many rows make a version.
    every_s
        How long rows wait at most, looked at when others come.
    """

    def __init__(
        self, table: Table, clock: Clock, *, every_rows: int, every_s: float, evolve: bool, message: str
    ) -> None:
        self._table = table
        self._clock = clock
        self._every_rows = every_rows
        self._every_s = every_s
        self._evolve = evolve
        self._message = message
        self._waiting: list[pl.DataFrame | list[Any]] = []
        self._n_waiting = 0
        self._since_s = 0.0

    @property
    def n_waiting(self) -> int:
        """Rows that are in no version yet."""
        return self._n_waiting

    def append(self, source: Any) -> DatasetVersion | None:
        """Take rows.

        Returns
        -------
        DatasetVersion or None
            The version with these rows and all before, or None while they wait.
        """
        if not self.n_waiting:
            self._since_s = self._clock.monotonic()
        if isinstance(source, list):
            self._take(source)
        else:
            self._take(_frame(source))
        waited_s = self._clock.monotonic() - self._since_s
        if self.n_waiting >= self._every_rows or (self.n_waiting and waited_s >= self._every_s):
            return self.flush()
        return None

    def flush(self) -> DatasetVersion | None:
        """Append what waits; None when nothing does."""
        if not self.n_waiting:
            return None
        added = self._table.append(self._joined(), evolve=self._evolve, message=self._message)
        self._waiting, self._n_waiting = [], 0
        return added

    def _take(self, piece: pl.DataFrame | list[Any]) -> None:
        """Keep rows; those that come one at a time become a frame when they are appended, all at once."""
        self._n_waiting += len(piece)
        last = self._waiting[-1] if self._waiting else None
        if isinstance(piece, list) and isinstance(last, list):
            last.extend(piece)
        else:
            self._waiting.append(list(piece) if isinstance(piece, list) else piece)

    def _joined(self) -> pl.DataFrame:
        frames = [_frame(piece) for piece in self._waiting]
        schema = frames[0].schema
        for frame in frames[1:]:
            # A column that had no value in one piece has the type that another one gives it.
            schema = grow(self._table.name, schema, frame.schema, stored=False).schema
        return pl.concat([conform(frame, schema) for frame in frames])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.flush()


def _frame(source: Any) -> pl.DataFrame:
    rows = rows_of(source)
    with rows.naming():
        return rows(None).collect()
