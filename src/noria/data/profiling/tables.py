"""The profile of a table: every column sorted or counted once, on all processors, then the rows batch by batch."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from noria.core.serialisation import to_builtins
from noria.data.profiling.columns import profile_column, type_name
from noria.data.profiling.entities import FORMAT, ColumnFigures, NestedColumn, VersionProfile
from noria.data.profiling.leaks import likely_leaks
from noria.data.profiling.rows import correlations, count_duplicates, likely_keys
from noria.data.profiling.sources import Table

MAX_COLUMNS: Final = 5_000
"""Beyond it a profile is larger than most data and nobody reads it."""

_MAX_THREADS: Final = 4
"""Each holds a column, so more would cost memory."""


def profile_of(table: Table, *, target: str | None = None) -> VersionProfile | None:
    """Profile a table.

    Parameters
    ----------
    target
        Column to be predicted; with it, columns that give it away are looked for.

    Returns
    -------
    VersionProfile or None
        None without rows, without columns, and for a table of more than `MAX_COLUMNS` columns.

    Raises
    ------
    NotFound
        If `target` is no column.

    Notes
    -----
    Memory is that of four columns and of a batch of rows, beyond what the table itself holds. Every figure is of all
    rows, but for leaks, where the profile says how many were used.
    """
    flat = [name for name, kind in table.schema.items() if not _is_nested(kind)]
    if table.n_rows == 0 or not flat or len(table.schema) > MAX_COLUMNS:
        return None
    with ThreadPoolExecutor(min(_MAX_THREADS, os.cpu_count() or 1)) as threads:
        found = threads.map(lambda name: profile_column(table.column(name)), flat)
        columns: dict[str, ColumnFigures] = dict(zip(flat, found, strict=True))
    keys = likely_keys(table, columns)
    leaks, n_leak_rows = likely_leaks(table, target) if target is not None else ((), None)
    return VersionProfile(
        format=FORMAT,
        n_rows=table.n_rows,
        columns=columns,
        nested={name: _nested(table, name) for name in table.schema if name not in columns},
        n_duplicates=0 if keys else count_duplicates(table),
        keys=keys,
        correlations=correlations(table, columns),
        target=target,
        leaks=leaks,
        n_leak_rows=n_leak_rows,
    )


def stored_profile(table: Table, *, target: str | None = None) -> dict[str, Any] | None:
    """Profile a table in the form that is kept with a version: JSON values, as they are read back later."""
    profile = profile_of(table, target=target)
    return None if profile is None else to_builtins(profile)


def _nested(table: Table, name: str) -> NestedColumn:
    return NestedColumn(type=type_name(table.schema[name]), n_missing=table.column(name).null_count())


def _is_nested(kind: Any) -> bool:
    import polars as pl

    return bool(kind.is_nested()) or kind == pl.Object
