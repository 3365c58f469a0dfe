"""What two versions of a table differ in: columns, rows by key, cells, and the distribution of each column."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from noria.data.diffing.distances import column_distance, unchanged_distance
from noria.data.diffing.entities import (
    CellChange,
    ColumnDistance,
    RetypedColumn,
    RowExample,
    RowsDiff,
    SchemaDiff,
    TableDiff,
    TypedColumn,
)
from noria.data.diffing.matching import Matched, match_rows
from noria.data.profiling.columns import texts, type_name
from noria.data.profiling.sources import Table

CHANGE: Final = "_change"
INSERT, DELETE, BEFORE, AFTER = "insert", "delete", "update_preimage", "update_postimage"
"""Kinds of a changed row, in the words of Delta Lake's change data feed."""

_MAX_THREADS: Final = 2
"""Each holds a column of both versions."""

_LONGEST: Final = 200

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Comparison:
    """Two tables compared row by row, with the places of what differs.

    Attributes
    ----------
    matched
        None where whole rows were compared as a bag.
    changed
        Which of the matched rows have a cell that differs.
    """

    diff: TableDiff
    matched: Matched | None
    changed: Mask


def diff_tables(
    before: Table,
    after: Table,
    *,
    key: Sequence[str] = (),
    names: tuple[str, str] = ("before", "after"),
    n_examples: int = 10,
) -> TableDiff:
    """Compare two versions of a table.

    Parameters
    ----------
    key
        Columns that name a row in both. Without one, whole rows are compared as a bag: they are added or removed,
        never changed.
    names
        What the two are called in the answer.
    n_examples
        Rows named of each kind.

    Raises
    ------
    NotFound
        If a table has no such column.
    KeyNotUnique
        If a key names two rows of one table.

    Notes
    -----
    Memory is that of two columns of both tables and of two numbers a row, beyond what the tables themselves hold.
    Nothing is sampled. Without a key, rows are told apart by 64-bit hashes.
    """
    return compare_tables(before, after, key=key, names=names, n_examples=n_examples).diff


def compare_tables(
    before: Table,
    after: Table,
    *,
    key: Sequence[str] = (),
    names: tuple[str, str] = ("before", "after"),
    n_examples: int = 10,
) -> Comparison:
    """Compare as `diff_tables` does, and keep the places of what differs."""
    schema = diff_schemas(before, after)
    common = [name for name in before.schema if name in after.schema]
    matched = match_rows(before, after, key) if key else None
    changed = np.zeros(0 if matched is None else matched.before.size, dtype=bool)
    with ThreadPoolExecutor(min(_MAX_THREADS, os.cpu_count() or 1)) as threads:
        looked = threads.map(lambda name: _look_at(before, after, name, matched), common)
        cells, distances = {}, []
        for name, (differs, distance) in zip(common, looked, strict=True):
            if differs is not None and differs.any():
                cells[name] = int(differs.sum())
                changed |= differs
            if distance is not None:
                distances.append(distance)
    rows = _bag(before, after, common) if matched is None else _rows(before, after, key, matched, changed)
    if matched is not None:
        examples = _examples(before, after, key, matched, changed, list(cells), n_examples)
        rows = _with(rows, cells, examples)
    distances.sort(key=lambda each: (-(each.distance or 0.0), each.column))
    diff = TableDiff(before=names[0], after=names[1], schema=schema, rows=rows, distances=tuple(distances))
    return Comparison(diff=diff, matched=matched, changed=changed)


def diff_schemas(before: Table, after: Table) -> SchemaDiff:
    """Compare names, types and order of columns."""
    old, new = before.schema, after.schema
    common = [name for name in old if name in new]
    return SchemaDiff(
        added=tuple(TypedColumn(name=n, type=type_name(kind)) for n, kind in new.items() if n not in old),
        removed=tuple(TypedColumn(name=n, type=type_name(kind)) for n, kind in old.items() if n not in new),
        retyped=tuple(
            RetypedColumn(name=n, before=type_name(old[n]), after=type_name(new[n]))
            for n in common
            if old[n] != new[n]
        ),
        is_reordered=common != [name for name in new if name in old],
    )


def changed_rows(before: pl.DataFrame, after: pl.DataFrame, comparison: Comparison) -> pl.DataFrame:
    """Give every row that differs, as Delta Lake's change data feed does.

    Parameters
    ----------
    before, after
        What was compared, by key.

    Returns
    -------
    DataFrame
        Columns of both, and `_change`: `insert`, `delete`, `update_preimage` (as it was) or `update_postimage`.
    """
    matched = comparison.matched
    if matched is None:
        raise ValueError("rows were compared without a key")
    pieces = (
        (before, matched.removed, DELETE),
        (before, matched.before[comparison.changed], BEFORE),
        (after, matched.after[comparison.changed], AFTER),
        (after, matched.added, INSERT),
    )
    return pl.concat(
        [frame[places].with_columns(pl.lit(kind).alias(CHANGE)) for frame, places, kind in pieces],
        how="diagonal_relaxed",
    )


def apply_changes(before: pl.DataFrame, changes: pl.DataFrame, key: Sequence[str]) -> pl.DataFrame:
    """Give what `before` becomes by changes as `changed_rows` gives them, in no particular order."""
    gone = changes.filter(pl.col(CHANGE).is_in([DELETE, BEFORE])).select(key)
    new = changes.filter(pl.col(CHANGE).is_in([INSERT, AFTER])).drop(CHANGE)
    kept = before.join(gone, on=list(key), how="anti", nulls_equal=True)
    return pl.concat([kept, new], how="diagonal_relaxed")


def _look_at(
    before: Table, after: Table, name: str, matched: Matched | None
) -> tuple[Mask | None, ColumnDistance | None]:
    """Give where a column differs among matched rows, and how far its distribution moved."""
    old, new = before.column(name), after.column(name)
    differs = None
    if matched is not None:
        differs = _differs(old, new, matched)
        if not differs.any() and not matched.removed.size and not matched.added.size:
            return differs, None if old.dtype.is_nested() else unchanged_distance(name, old)
    if old.dtype.is_nested() or new.dtype.is_nested():
        return differs, None
    moved = None
    if differs is not None and matched is not None:
        left = np.concatenate([matched.removed, matched.before[differs]])
        came = np.concatenate([matched.added, matched.after[differs]])
        moved = (old.gather(left), new.gather(came))
    return differs, column_distance(name, old, new, moved=moved)


def _differs(old: pl.Series, new: pl.Series, matched: Matched) -> Mask:
    if not matched.is_same_order:
        old, new = old.gather(matched.before), new.gather(matched.after)
    if not _is_comparable(old.dtype, new.dtype):
        old, new = texts(old), texts(new)
    return np.asarray(old.ne_missing(new).to_numpy(), dtype=bool)


def _is_comparable(old: pl.DataType, new: pl.DataType) -> bool:
    """Tell whether values of two types are compared as they are: equal types, numbers, and times of other units."""
    if old == new or (old.is_numeric() and new.is_numeric()):
        return True
    zones = getattr(old, "time_zone", None), getattr(new, "time_zone", None)
    return old.is_temporal() and old.base_type() == new.base_type() and zones[0] == zones[1]


def _rows(before: Table, after: Table, key: Sequence[str], matched: Matched, changed: Mask) -> RowsDiff:
    return RowsDiff(
        key=tuple(key),
        n_before=before.n_rows,
        n_after=after.n_rows,
        n_added=matched.added.size,
        n_removed=matched.removed.size,
        n_changed=int(changed.sum()),
    )


def _with(rows: RowsDiff, cells: dict[str, int], examples: dict[str, tuple[RowExample, ...]]) -> RowsDiff:
    import msgspec

    most_first = dict(sorted(cells.items(), key=lambda each: (-each[1], each[0])))
    return msgspec.structs.replace(rows, changed_cells=most_first, **examples)


def _examples(
    before: Table,
    after: Table,
    key: Sequence[str],
    matched: Matched,
    changed: Mask,
    columns: Sequence[str],
    n: int,
) -> dict[str, tuple[RowExample, ...]]:
    first = np.flatnonzero(changed)[:n]
    old = _texts(before, [*key, *columns], matched.before[first])
    new = _texts(after, columns, matched.after[first])
    shown = tuple(
        RowExample(
            key={name: old[name][row] for name in key},
            cells=tuple(
                CellChange(column=name, before=old[name][row], after=new[name][row])
                for name in columns
                if old[name][row] != new[name][row]
            ),
        )
        for row in range(first.size)
    )
    return {
        "changed": shown,
        "added": _keys_of(after, key, matched.added[:n]),
        "removed": _keys_of(before, key, matched.removed[:n]),
    }


def _keys_of(table: Table, key: Sequence[str], places: NDArray[Any]) -> tuple[RowExample, ...]:
    found = _texts(table, key, places)
    return tuple(RowExample(key={name: found[name][row] for name in key}) for row in range(places.size))


def _texts(table: Table, columns: Sequence[str], places: NDArray[Any]) -> dict[str, list[str | None]]:
    if not places.size:
        return {name: [] for name in columns}
    return {name: [cell_text(value) for value in table.column(name).gather(places)] for name in columns}


def cell_text(value: Any) -> str | None:
    """Spell a cell for people, clipped; None for a missing value."""
    if value is None:
        return None
    text = str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _bag(before: Table, after: Table, common: Sequence[str]) -> RowsDiff:
    retyped = {name for name in common if before.schema[name] != after.schema[name]}
    old, new = _hashes(before, common, retyped), _hashes(after, common, retyped)
    values, owners = np.unique(np.concatenate([old, new]), return_inverse=True)
    surplus = np.bincount(owners[old.size :], minlength=values.size) - np.bincount(
        owners[: old.size], minlength=values.size
    )
    return RowsDiff(
        key=(),
        n_before=before.n_rows,
        n_after=after.n_rows,
        n_added=int(surplus[surplus > 0].sum()),
        n_removed=int(-surplus[surplus < 0].sum()),
    )


def _hashes(table: Table, columns: Sequence[str], retyped: set[str]) -> NDArray[Any]:
    if not columns:
        return np.zeros(table.n_rows, dtype=np.uint64)
    found = []
    for batch in table.batches(columns):
        spelt = batch.with_columns(texts(batch[name]) for name in retyped)
        found.append(spelt.hash_rows().to_numpy())
    return np.concatenate(found) if found else np.array([], dtype=np.uint64)
