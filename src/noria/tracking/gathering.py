"""Turn records of a spool into the batches that the service takes."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable

from noria.tracking.buffer import row_bytes
from noria.tracking.entities import Link, LogBatch
from noria.tracking.frames import Kept, Linked, Params, Points, Record, Tags
from noria.tracking.limits import MAX_ENTRIES, MAX_POINTS
from noria.tracking.point_entities import PointColumns


class Gathering:
    """Records that fit into one batch.

    Attributes
    ----------
    records
        What was added, in order.
    """

    def __init__(self) -> None:
        self.records: list[Record] = []
        self._n_points = 0
        self._n_entries = 0

    def fits(self, record: Record) -> bool:
        """Tell whether a record can still be added."""
        return (
            self._n_points + n_points_of(record) <= MAX_POINTS
            and self._n_entries + _n_entries_of(record) <= MAX_ENTRIES
        )

    def add(self, record: Record) -> None:
        """Add a record."""
        self.records.append(record)
        self._n_points += n_points_of(record)
        self._n_entries += _n_entries_of(record)


def n_points_of(record: Record) -> int:
    """Count the metric points of a record."""
    if not isinstance(record, Points):
        return 0
    return len(record.rows) // row_bytes(record.keys) * len(record.keys)


def _n_entries_of(record: Record) -> int:
    match record:
        case Params():
            return len(record.params)
        case Tags():
            return len(record.tags)
        case Linked() | Kept():
            return 1
        case _:
            return 0


def as_batch(records: Iterable[Record]) -> LogBatch:
    """Make one batch of records of points, params, tags, links and uploaded artifacts."""
    points: list[Points] = []
    params: dict[str, str] = {}
    tags: dict[str, str | None] = {}
    inputs: list[Link] = []
    outputs: list[Link] = []
    artifacts: dict[str, str] = {}
    for record in records:
        match record:
            case Points():
                points.append(record)
            case Params():
                params |= record.params
            case Tags():
                tags |= record.tags
            case Linked():
                link = Link(ref=record.ref, digest=record.digest)
                (inputs if record.direction == "inputs" else outputs).append(link)
            case Kept(path=path, digest=str(digest)):
                artifacts[path] = digest
            case _:
                raise AssertionError(f"{type(record).__name__} is no part of a batch")
    return LogBatch(
        points=columns_of(points),
        params=params,
        tags=tags,
        inputs=inputs,
        outputs=outputs,
        artifacts=artifacts,
    )


def columns_of(records: Iterable[Points]) -> dict[str, PointColumns]:
    """Turn rows into columns by metric."""
    rows_by_keys: dict[tuple[str, ...], bytearray] = {}
    for record in records:
        rows_by_keys.setdefault(record.keys, bytearray()).extend(record.rows)
    columns: dict[str, PointColumns] = {}
    for keys, rows in rows_by_keys.items():
        for key, made in _columns(keys, rows):
            columns[key] = _joined(columns[key], made) if key in columns else made
    return columns


def _columns(keys: tuple[str, ...], rows: bytearray) -> Iterable[tuple[str, PointColumns]]:
    width = 2 + len(keys)
    integers, numbers = array("q", bytes(rows)), array("d", bytes(rows))
    if sys.byteorder == "big":
        integers.byteswap()
        numbers.byteswap()
    at = [nanoseconds // 1000 for nanoseconds in integers[0::width]]
    steps = integers[1::width].tolist()
    for place, key in enumerate(keys, 2):
        yield key, PointColumns(steps=steps, at=at, values=numbers[place::width].tolist())


def _joined(first: PointColumns, second: PointColumns) -> PointColumns:
    return PointColumns(
        steps=first.steps + second.steps,
        at=first.at + second.at,
        values=first.values + second.values,
    )
