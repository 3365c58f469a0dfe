"""Which row of one table is which row of the other, by the values of a key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from noria.core.errors import Invalid
from noria.data.profiling.columns import texts
from noria.data.profiling.sources import Table, check_columns

Places = NDArray[Any]
"""Numbers of rows, from 0."""


class KeyNotUnique(Invalid):
    """Two rows of one version have the same key, so rows cannot be matched by it."""

    code = "key_not_unique"

    def __init__(self, key: Sequence[str], *, where: str, n_rows: int, example: Sequence[str]) -> None:
        named = ", ".join(f"`{name}`" for name in key)
        super().__init__(
            f"The key {named} names {n_rows} rows of {where} more than once, as {', '.join(example)}",
            hint="Give columns that name each row once: `--key one,two`; or none: `--key ''`",
            details={"key": list(key), "n_rows": n_rows, "example": list(example)},
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Matched:
    """Rows of two tables, by key.

    Attributes
    ----------
    before, after
        Places of the rows that both have, the same length: rising in `before`.
    removed, added
        Places of the rows that only one has, rising.
    """

    before: Places
    after: Places
    removed: Places
    added: Places

    @property
    def is_same_order(self) -> bool:
        """Tell whether both hold the same keys in the same order."""
        return bool(not self.removed.size and not self.added.size and np.array_equal(self.before, self.after))


def match_rows(before: Table, after: Table, key: Sequence[str]) -> Matched:
    """Match rows by key; a missing value is a value like others.

    Raises
    ------
    NotFound
        If a table has no such column.
    KeyNotUnique
        If a key names two rows of one table.
    """
    for table in (before, after):
        check_columns(table, key)
    is_text = [before.schema[name] != after.schema[name] for name in key]
    left, right = _keys(before, key, is_text), _keys(after, key, is_text)
    names = [name for name in left.columns if name != "row"]
    if left.select(names).equals(right.select(names)):
        _refuse_repeats(left, names, key, "both versions")
        rows = np.arange(left.height)
        nothing = np.array([], dtype=rows.dtype)
        return Matched(before=rows, after=rows, removed=nothing, added=nothing)
    _refuse_repeats(left, names, key, "the version before")
    _refuse_repeats(right, names, key, "the version after")
    pairs = left.join(right, on=names, how="inner", nulls_equal=True, maintain_order="left").select(
        "row", "row_right"
    )
    held, found = pairs["row"].to_numpy(), pairs["row_right"].to_numpy()
    return Matched(
        before=held,
        after=found,
        removed=_others(held, before.n_rows),
        added=_others(found, after.n_rows),
    )


def _keys(table: Table, key: Sequence[str], is_text: Sequence[bool]) -> pl.DataFrame:
    columns = {}
    for place, name in enumerate(key):
        column = table.column(name)
        columns[f"k{place}"] = texts(column) if is_text[place] else column
    return pl.DataFrame(columns).with_row_index("row")


def _refuse_repeats(keys: pl.DataFrame, names: Sequence[str], key: Sequence[str], where: str) -> None:
    n_unique = keys.select(
        pl.struct(names).n_unique() if len(names) > 1 else pl.col(names[0]).n_unique()
    ).item()
    if n_unique == keys.height:
        return
    repeated = keys.filter(pl.struct(names).is_duplicated())
    example = [f"`{name}` = `{repeated[k][0]}`" for name, k in zip(key, names, strict=True)]
    raise KeyNotUnique(key, where=where, n_rows=repeated.height, example=example)


def _others(places: Places, n_rows: int) -> Places:
    is_other = np.ones(n_rows, dtype=bool)
    is_other[places] = False
    return np.flatnonzero(is_other)
