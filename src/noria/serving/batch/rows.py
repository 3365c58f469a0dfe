"""Input rows on this machine's disk, read a stretch at a time; sent to other processes as plain values."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from noria.core.errors import Conflict


class TableRows(msgspec.Struct, frozen=True, kw_only=True, tag="table", dict=True):
    """Rows of a Parquet file.

    Attributes
    ----------
    n_rows
        Of the file.
    stamp
        Size and time of change when the file was looked at first; other ones mean that it was written over since.
    """

    path: str
    n_rows: int
    stamp: tuple[int, int]

    def frame(self, start: int, stop: int, columns: list[str]) -> pl.DataFrame:
        """Read some rows.

        Raises
        ------
        Conflict
            If the file has changed.
        """
        if stamp_of(Path(self.path)) != self.stamp:
            raise Conflict(
                f"`{self.path}` was changed while its rows were predicted",
                hint="Run it again; nothing was written",
            )
        scanned = pl.scan_parquet(self.path, glob=False)
        return scanned.select(columns).slice(start, stop - start).collect()


class ArrayRows(msgspec.Struct, frozen=True, kw_only=True, tag="arrays", dict=True):
    """Rows of arrays of the same length, each in an NPY file.

    Attributes
    ----------
    paths
        By name.
    """

    paths: dict[str, str]
    n_rows: int

    @cached_property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays, mapped: only what is used of them is read."""
        return {name: np.load(path, mmap_mode="r") for name, path in self.paths.items()}

    def frame(self, start: int, stop: int, columns: list[str]) -> pl.DataFrame:
        """Read some rows of arrays of one dimension."""
        return pl.DataFrame({name: np.ascontiguousarray(self.arrays[name][start:stop]) for name in columns})


Rows = TableRows | ArrayRows


def stamp_of(path: Path) -> tuple[int, int]:
    """Give size and time of change of a file; of none, what no file has."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return (-1, -1)
    return (found.st_size, found.st_mtime_ns)


def table_rows(path: Path) -> TableRows:
    """Take a Parquet file."""
    stamp = stamp_of(path)
    n_rows = pl.scan_parquet(path, glob=False).select(pl.len()).collect().item()
    return TableRows(path=str(path), n_rows=int(n_rows), stamp=stamp)
