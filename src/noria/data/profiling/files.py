"""Files as tables: small ones are read into memory, large ones a column at a time."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import polars as pl

from noria.core.errors import Invalid
from noria.data.faults import why_unreadable
from noria.data.profiling.sources import FrameTable, ScannedTable, Table

IN_MEMORY_BYTES: Final = 512 << 20
"""A file larger than this is not read whole."""

IN_MEMORY_CELLS: Final = 100_000_000
"""Nor is a Parquet file with more cells, however small it is."""

_SCANNERS: Final[Mapping[str, Callable[[Path], pl.LazyFrame]]] = MappingProxyType(
    {
        ".parquet": pl.scan_parquet,
        ".arrow": pl.scan_ipc,
        ".feather": pl.scan_ipc,
        ".csv": lambda path: pl.scan_csv(path, infer_schema_length=None),
        ".tsv": lambda path: pl.scan_csv(path, separator="\t", infer_schema_length=None),
        ".jsonl": lambda path: pl.scan_ndjson(path, infer_schema_length=None),
        ".ndjson": lambda path: pl.scan_ndjson(path, infer_schema_length=None),
    }
)
_COLUMNAR: Final = (".parquet",)
TABLE_SUFFIXES: Final = tuple(_SCANNERS)


def is_table_file(path: str) -> bool:
    """Tell by its name whether a file holds a table."""
    return path.lower().endswith(TABLE_SUFFIXES)


@contextmanager
def open_table_file(path: Path, *, in_memory_bytes: int = IN_MEMORY_BYTES) -> Iterator[Table]:
    """Give the table in a file.

    A large file in which columns lie apart is read in place; another large one is first written anew so that they do,
    into a temporary folder that is gone afterwards.

    Parameters
    ----------
    in_memory_bytes
        A file of at most this size is read whole.

    Raises
    ------
    Invalid
        If it cannot be read as a table; the message has the reason.
    """
    scan = _SCANNERS[path.suffix.lower()]
    with tempfile.TemporaryDirectory(prefix="noria-table-") as folder:
        try:
            table = _opened(path, scan, Path(folder), in_memory_bytes)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise Invalid(
                f"`{path}` cannot be read as a table: {why_unreadable(path, error)}",
                hint="Mend it; a file that is to be kept as it is can be added with the folder that it lies in",
                details={"path": str(path)},
            ) from error
        yield table


def _opened(path: Path, scan: Callable[[Path], Any], folder: Path, in_memory_bytes: int) -> Table:
    is_columnar = path.suffix.lower() in _COLUMNAR
    if path.stat().st_size <= in_memory_bytes:
        table = ScannedTable(scan(path)) if is_columnar else None
        # A small file of this kind may hold many rows: columns of few values take next to no room.
        if table is not None and table.n_rows * len(table.schema) > IN_MEMORY_CELLS:
            return table
        return FrameTable(scan(path).collect())
    if is_columnar:
        return ScannedTable(scan(path))
    anew = folder / "table.parquet"
    scan(path).sink_parquet(anew, compression="lz4")
    return ScannedTable(pl.scan_parquet(anew))
