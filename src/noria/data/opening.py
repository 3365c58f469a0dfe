"""A version as a table to look at, wherever its rows are kept. Nothing is recorded as read: looking makes nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from noria.core.errors import Invalid, unknown_name
from noria.core.objects.trees import Entry, read_manifest
from noria.core.workspace import Workspace
from noria.data.client import dataset
from noria.data.content import load_arrays
from noria.data.entities import DatasetKind, DatasetVersion
from noria.data.profiling.files import IN_MEMORY_CELLS, TABLE_SUFFIXES, is_table_file, open_table_file
from noria.data.profiling.sources import ArraysTable, FrameTable, ScannedTable, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

_LOG: Final = "_delta_log/"
_ARRAY_BYTES: Final = 8 << 30


@contextmanager
def opened_table(
    workspace: Workspace, version: DatasetVersion, *, file: str | None = None
) -> Iterator[Table]:
    """Give the table that a version holds: its rows, its arrays as columns, or one of its files.

    Parameters
    ----------
    file
        Path of the file, for a version with several.

    Raises
    ------
    Invalid
        If it holds no table, or several files that could be it; the message names them.
    """
    entries = read_manifest(workspace.objects(), version.digest).entries
    if any(entry.path.startswith(_LOG) for entry in entries):
        yield _rows(workspace, version)
    elif version.kind is DatasetKind.ARRAYS:
        yield _arrays(workspace, entries)
    else:
        entry = _chosen(version, entries, file)
        with tempfile.TemporaryDirectory(prefix="noria-look-") as folder:
            path = Path(folder) / f"table{Path(entry.path).suffix}"
            with path.open("wb") as target:
                for piece in workspace.objects().open(entry.digest):
                    target.write(piece)
            with open_table_file(path) as table:
                yield table


def _rows(workspace: Workspace, version: DatasetVersion) -> Table:
    scan = dataset(version.ref, workspace=workspace).scan()
    n_columns = len(scan.collect_schema())
    if (version.n_rows or 0) * n_columns <= IN_MEMORY_CELLS:
        return FrameTable(scan.collect())
    return ScannedTable(scan)


def _arrays(workspace: Workspace, entries: Sequence[Entry]) -> Table:
    from noria.core.stats.columns import flatten_columns

    store = workspace.objects()
    held = ((entry.path, store.get(entry.digest, limit_bytes=_ARRAY_BYTES)) for entry in entries)
    arrays = {name: array for name, array in load_arrays(iter(held)).items() if array.dtype.kind in "biufUS"}
    return ArraysTable(flatten_columns(arrays))


def _chosen(version: DatasetVersion, entries: Sequence[Entry], file: str | None) -> Entry:
    tables = {entry.path: entry for entry in entries if is_table_file(entry.path)}
    if file is not None:
        if file not in tables:
            raise unknown_name("table", file, tables, see=f"noria data show {version.ref}")
        return tables[file]
    if len(tables) == 1:
        return next(iter(tables.values()))
    if not tables:
        suffixes = ", ".join(f"`{suffix}`" for suffix in TABLE_SUFFIXES)
        raise Invalid(
            f"`{version.ref}` holds no table", hint=f"A table is a file whose name ends in one of {suffixes}"
        )
    listed = ", ".join(f"`{path}`" for path in list(tables)[:5]) + (" …" if len(tables) > 5 else "")
    raise Invalid(f"`{version.ref}` holds {len(tables)} tables: {listed}", hint="Choose one: `--file PATH`")
