"""Counters of many groups of rows at once: those that a counter for each group would give, for a part of its work.

What counts traffic cuts thousands of rows into windows of hundreds. Each call of NumPy costs microseconds, and a
counter makes a dozen for each column: here a column is gone through once, whatever the number of groups.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from noria.core.errors import Invalid
from noria.core.stats.counters import ColumnCounts, TableCounts, count_labels
from noria.core.stats.moment_parts import moment_parts
from noria.core.stats.profiles import ColumnProfile, TableProfile, to_numbers
from noria.core.stats.samples import Bools, Floats, Ints

MOST_ROWS: Final = 1 << 22
"""Of one call: sums of squares of more might not fit 64 bits."""


def count_groups(
    reference: TableProfile, columns: Mapping[str, ArrayLike], sizes: Sequence[int]
) -> list[TableCounts]:
    """Count groups of rows that follow one another, each as a `TableCounter` of its own.

    Parameters
    ----------
    columns
        Every column of the reference, each of shape (n_rows,); others are left out.
    sizes
        Rows of each group, at least 1, in the order of the rows; they add up to `n_rows`, at most 4,194,304.

    Raises
    ------
    Invalid
        If a column is missing or has another length than the groups, a group is empty, there are too many rows, or a
        column that is numeric in the reference holds no numbers.

    Examples
    --------
    >>> from noria.core.stats.profiles import profile_table
    >>> reference = profile_table({"size": [1.0, 2.0, 3.0]})
    >>> [counts.n_rows for counts in count_groups(reference, {"size": [1.0, 2.5, 9.0]}, [1, 2])]
    [1, 2]
    """
    n_rows = sum(sizes)
    if any(size < 1 for size in sizes):
        raise Invalid(f"A group has at least one row, not `{min(sizes)}`")
    if n_rows > MOST_ROWS:
        raise Invalid(
            f"At most {MOST_ROWS} rows are counted at once, not `{n_rows}`", hint="Count them in parts"
        )
    arrays = {name: _column(name, columns, n_rows) for name in reference.columns}
    groups = _Groups(np.asarray(sizes, dtype=np.int64))
    counted = {
        name: _numbers(profile, to_numbers(arrays[name], name), groups)
        if profile.kind == "numeric"
        else _labels(profile, arrays[name], name, groups)
        for name, profile in reference.columns.items()
    }
    return [
        TableCounts(n_rows=size, columns={name: of[place] for name, of in counted.items()})
        for place, size in enumerate(sizes)
    ]


@dataclass(frozen=True, eq=False)
class _Groups:
    """Rows of each group, shape (n_groups,)."""

    sizes: Ints

    @property
    def n(self) -> int:
        return self.sizes.size

    @cached_property
    def of_rows(self) -> Ints:
        """Place of each row's group, shape (n_rows,)."""
        return np.repeat(np.arange(self.n), self.sizes)

    @cached_property
    def starts(self) -> Ints:
        """First row of each group."""
        return np.cumsum(self.sizes) - self.sizes

    def count(self, rows: Bools) -> Ints:
        """Count the rows of each group that are chosen."""
        return np.bincount(self.of_rows[rows], minlength=self.n)

    def of(self, rows: Bools) -> tuple[Ints, _Groups]:
        """Give the groups that have rows among those that are chosen, and these rows of theirs."""
        sizes = self.count(rows)
        present = np.flatnonzero(sizes)
        return present, _Groups(sizes[present])


def _column(name: str, columns: Mapping[str, ArrayLike], n_rows: int) -> NDArray[Any]:
    if name not in columns:
        raise Invalid(f"The batch has no column `{name}`")
    array = np.asarray(columns[name])
    if array.shape != (n_rows,):
        raise Invalid(f"Column `{name}` has the shape `{array.shape}`, and the groups have {n_rows} rows")
    return array


def _labels(reference: ColumnProfile, array: NDArray[Any], name: str, groups: _Groups) -> list[ColumnCounts]:
    ends = (groups.starts + groups.sizes).tolist()
    return [
        count_labels(reference, array[start:end], name)
        for start, end in zip(groups.starts.tolist(), ends, strict=True)
    ]


def _numbers(reference: ColumnProfile, values: Floats, groups: _Groups) -> list[ColumnCounts]:
    if not groups.n:
        return []
    n_cells = len(reference.edges) + 1
    missing, finite = np.isnan(values), np.isfinite(values)
    cell = np.zeros(len(values), dtype=np.min_scalar_type(n_cells))
    for edge in reference.edges:  # for a dozen edges in a third of the time of a binary search
        cell += values > edge
    if missing.any():
        cell[missing] = n_cells  # behind the last one
    places = groups.of_rows * (n_cells + 1) + cell
    cells = np.bincount(places, minlength=groups.n * (n_cells + 1)).reshape(groups.n, n_cells + 1)
    if finite.all():
        n_infinite = np.zeros(groups.n, dtype=np.int64)
        told = zip(range(groups.n), _moments(reference, values, groups), strict=True)
    else:
        n_infinite = groups.count(~finite & ~missing)
        present, rest = groups.of(finite)
        told = zip(present.tolist(), _moments(reference, values[finite], rest), strict=True)
    known = dict(told)
    counted = zip(cells.tolist(), n_infinite.tolist(), strict=True)
    return [
        ColumnCounts(cells=held, n_infinite=infinite, **known.get(place, {}))
        for place, (held, infinite) in enumerate(counted)
    ]


def _moments(reference: ColumnProfile, finite: Floats, groups: _Groups) -> list[dict[str, Any]]:
    """Give what is told of finite values, group by group."""
    if not groups.n:
        return []
    parts, clipped = moment_parts(reference, finite)
    n_clipped = groups.count(clipped) if clipped.any() else np.zeros(groups.n, dtype=np.int64)
    starts = groups.starts
    columns = (
        n_clipped,
        np.add.reduceat(parts, starts),
        np.add.reduceat(parts * parts, starts),
        np.minimum.reduceat(finite, starts) + 0.0,  # of -0 and 0 neither is the smaller
        np.maximum.reduceat(finite, starts) + 0.0,
    )
    names = ("n_clipped", "total", "squares", "minimum", "maximum")
    return [dict(zip(names, each, strict=True)) for each in zip(*(c.tolist() for c in columns), strict=True)]
