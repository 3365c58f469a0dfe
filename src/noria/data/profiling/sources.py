"""A table to look at, column by column or batch by batch, wherever it lies.

A frame in memory is one; so is a file too large for that, read a column or a batch of rows at a time. What looks at
tables asks for these two only, so that its memory is bounded by its own columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from noria.core.errors import NotFound, unknown_name

if TYPE_CHECKING:
    import polars as pl

BATCH_ROWS = 65_536


class Table(Protocol):
    """Columns of equal length with names and types."""

    @property
    def schema(self) -> Mapping[str, pl.DataType]:
        """Types by column, in the table's order."""
        ...

    @property
    def n_rows(self) -> int:
        """Length."""
        ...

    def column(self, name: str) -> pl.Series:
        """Give one column whole."""
        ...

    def batches(self, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        """Give some columns, some rows at a time, in order."""
        ...


class FrameTable:
    """A frame in memory."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = frame
        self.schema: Mapping[str, pl.DataType] = frame.schema
        self.n_rows = frame.height

    def column(self, name: str) -> pl.Series:
        """Give one column whole."""
        return self._frame[name]

    def batches(self, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        """Give some columns, some rows at a time, in order."""
        chosen = self._frame.select(columns)
        for start in range(0, self.n_rows, BATCH_ROWS):
            yield chosen.slice(start, BATCH_ROWS)


class ScannedTable:
    """A table that is read when it is asked for: Parquet files, or whatever Polars scans.

    Parameters
    ----------
    scan
        Reading some columns of it must not cost reading all; what is no such file is converted first.
    """

    def __init__(self, scan: pl.LazyFrame) -> None:
        import polars as pl

        self._scan = scan
        self.schema: Mapping[str, pl.DataType] = scan.collect_schema()
        self.n_rows = int(scan.select(pl.len()).collect().item())

    def column(self, name: str) -> pl.Series:
        """Give one column whole."""
        return self._scan.select(name).collect().to_series()

    def batches(self, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        """Give some columns, some rows at a time, in order."""
        yield from self._scan.select(columns).collect_batches(chunk_size=BATCH_ROWS, maintain_order=True)


class ArraysTable:
    """Arrays of shape (n_rows,) by name."""

    def __init__(self, arrays: Mapping[str, Any]) -> None:
        self._arrays = {name: _plain(array) for name, array in arrays.items()}
        self.schema: Mapping[str, pl.DataType] = {name: self.column(name).head(1).dtype for name in arrays}
        self.n_rows = len(next(iter(self._arrays.values()), ()))

    def column(self, name: str) -> pl.Series:
        """Give one column whole."""
        import polars as pl

        return pl.Series(name, self._arrays[name])

    def batches(self, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        """Give some columns, some rows at a time, in order."""
        import polars as pl

        for start in range(0, self.n_rows, BATCH_ROWS):
            piece = slice(start, start + BATCH_ROWS)
            yield pl.DataFrame({name: self._arrays[name][piece] for name in columns})


def check_columns(table: Table, names: Sequence[str]) -> None:
    """Refuse names that the table has no column for.

    Raises
    ------
    NotFound
        If there is none; the hint names a near one.
    """
    for name in names:
        if name not in table.schema:
            raise no_column(table, name)


def no_column(table: Table, name: str) -> NotFound:
    """Build the error for a column that is not there."""
    return unknown_name("column", name, table.schema)


def _plain(array: Any) -> Any:
    """Give an array whose type Polars takes: half floats as floats, bytes as text."""
    if array.dtype.kind == "f" and array.dtype.itemsize not in (4, 8):
        return array.astype("f8" if array.dtype.itemsize > 8 else "f4")
    if array.dtype.kind == "S":
        return array.astype(object).astype(str) if array.size == 0 else _decoded(array)
    return array


def _decoded(array: Any) -> Any:
    import numpy as np

    return np.array([value.decode("utf-8", "replace") for value in array.tolist()], dtype=np.str_)
