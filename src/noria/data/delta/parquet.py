"""Data files of tables: Parquet whose pages are cut by content, so that rows that did not change keep their bytes.

A page boundary depends on the values around it, not on how many rows came before. A row that is put in, taken out or
changed alters the pages that hold it, and the object store, which cuts files by content too, finds the others again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from noria.core.objects.disk import storage_errors
from noria.data.delta.types import conform

ROW_GROUP_ROWS = 1 << 20
"""Most rows of a group, which has a quarter of them at least."""
ROW_GROUP_BYTES = 256 << 20
"""In memory; wide rows come in smaller groups."""
_CUT_ONCE_IN = 1 << 14  # rows; so that nearly every group finds a row to end before
_CUT_BY_COLUMNS = 3
FILE_BYTES = 256 << 20
PAGES = {"min_chunk_size": 32 << 10, "max_chunk_size": 128 << 10, "norm_level": 0}
"""Sizes of pages in bytes before compression: a changed row costs one page of each of its columns."""
_COLUMNS_WITH_STATISTICS = 32  # as other writers of Delta tables have it


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenPart:
    """A data file on disk that belongs to no table yet.

    Attributes
    ----------
    statistics
        What a Delta table says about a file: number of rows, and per column the least and greatest value and the
        number of missing ones, as JSON.
    """

    path: Path
    n_rows: int
    statistics: str


@dataclass(slots=True)
class _Statistics:
    n_rows: int = 0
    least: dict[str, Any] = field(default_factory=dict)
    greatest: dict[str, Any] = field(default_factory=dict)
    missing: dict[str, int] = field(default_factory=dict)
    without_order: set[str] = field(default_factory=set)

    def see(self, frame: pl.DataFrame) -> None:
        self.n_rows += frame.height
        for name in frame.columns[:_COLUMNS_WITH_STATISTICS]:
            column = frame[name]
            if column.dtype.is_nested():
                continue
            self.missing[name] = self.missing.get(name, 0) + column.null_count()
            self._see_order(name, column)

    def _see_order(self, name: str, column: pl.Series) -> None:
        if column.dtype.is_float() and column.drop_nulls().is_finite().all() is False:
            self.without_order.add(name)
        if column.dtype.is_integer() or column.dtype.is_float() or column.dtype == pl.Date():
            least: Any = column.min()
            greatest: Any = column.max()
            if least is not None:
                self.least[name] = min(least, self.least.get(name, least))
                self.greatest[name] = max(greatest, self.greatest.get(name, greatest))

    def to_json(self) -> str:
        ordered = [name for name in self.least if name not in self.without_order]
        return json.dumps(
            {
                "numRecords": self.n_rows,
                "minValues": {name: self.least[name] for name in ordered},
                "maxValues": {name: self.greatest[name] for name in ordered},
                "nullCount": self.missing,
            },
            default=str,
        )


def arrow_schema(schema: pl.Schema) -> pa.Schema:
    """Give the columns as Arrow writes them."""
    return pl.DataFrame(schema=schema).to_arrow().schema


def write_parts(
    frames: Iterable[pl.DataFrame],
    schema: pl.Schema,
    folder: Path,
    *,
    file_bytes: int = FILE_BYTES,
    group_rows: int = ROW_GROUP_ROWS,
) -> list[WrittenPart]:
    """Write rows to data files in `folder`, in their order. Memory holds a few row groups at a time.

    Parameters
    ----------
    frames
        Rows in any number of pieces, of columns that fit `schema`.
    file_bytes
        A file that has reached this size is ended after its row group.
    group_rows
        Most rows of a group.
    """
    parts: list[WrittenPart] = []
    groups = row_groups((conform(frame, schema) for frame in frames), most_rows=group_rows)
    waiting = next(groups, None)
    while waiting is not None:
        path = folder / f"{len(parts)}.parquet"
        statistics = _Statistics()
        with pa.OSFile(str(path), "wb") as sink, _writer(sink, schema) as writer:
            while waiting is not None:
                statistics.see(waiting)
                with storage_errors(path):
                    writer.write_table(waiting.to_arrow(), row_group_size=waiting.height)
                waiting = next(groups, None)
                if sink.tell() >= file_bytes:
                    break
            with storage_errors(path):
                writer.close()
        parts.append(WrittenPart(path=path, n_rows=statistics.n_rows, statistics=statistics.to_json()))
    return parts


def row_groups(
    frames: Iterable[pl.DataFrame], *, most_rows: int = ROW_GROUP_ROWS, cut_once_in: int = _CUT_ONCE_IN
) -> Iterator[pl.DataFrame]:
    """Gather and cut rows into groups that end where the rows say so, in whatever pieces they come. None is empty.

    Groups of a fixed length would all change when a row is put in before them. A group ends before the first row,
    after a quarter of `most_rows`, whose leading columns have a hash that is a multiple of `cut_once_in`.
    """
    gathered: list[pl.DataFrame] = []
    limit = n_gathered = 0
    for frame in frames:
        if frame.height:
            limit = limit or _rows_in_group(frame, most_rows)
            gathered.append(frame)
            n_gathered += frame.height
        while limit and n_gathered >= limit:
            rest = pl.concat(gathered)
            length = _length_of_group(rest.head(limit), limit, cut_once_in)
            yield rest.head(length)
            gathered, n_gathered = [rest.slice(length)], n_gathered - length
    if n_gathered:
        rest = pl.concat(gathered)
        while rest.height:
            length = min(rest.height, _length_of_group(rest, limit, cut_once_in))
            yield rest.head(length)
            rest = rest.slice(length)


def _length_of_group(rows: pl.DataFrame, limit: int, cut_once_in: int) -> int:
    least = max(1, limit // 4)
    leading = [name for name, kind in rows.schema.items() if not kind.is_nested()][:_CUT_BY_COLUMNS]
    if not leading or rows.height <= least:
        return limit
    hashes = rows.select(leading).slice(least).hash_rows(seed=0)
    found = (hashes % cut_once_in == 0).arg_true()
    return least + int(found[0]) if found.len() else limit


def _rows_in_group(frame: pl.DataFrame, most_rows: int) -> int:
    row_bytes = max(1.0, frame.estimated_size() / frame.height)
    return max(1, min(most_rows, int(ROW_GROUP_BYTES / row_bytes)))


def _writer(sink: Any, schema: pl.Schema) -> pq.ParquetWriter:
    return pq.ParquetWriter(
        sink,
        arrow_schema(schema),
        compression="zstd",
        # In a dictionary one new value moves the numbers of all that follow it, and every page with them.
        use_dictionary=False,
        use_content_defined_chunking=PAGES,
    )
