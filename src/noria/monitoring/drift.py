"""Compare what was counted of a window with its reference. Pure: counters in, report out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from noria.core.stats.bins import PSEUDO_COUNT, smoothed_shares
from noria.core.stats.counters import ColumnCounts, TableCounter, TableCounts
from noria.core.stats.multiplicity import benjamini_hochberg
from noria.core.stats.ordered import ks_p_value, ks_p_values
from noria.core.stats.profiles import ColumnProfile, TableProfile, profile_table, reference_cells
from noria.core.stats.samples import Floats, Ints
from noria.core.stats.tests import chi_squared_counts, psi
from noria.monitoring.entities import ColumnDrift, DriftReport

Columns = Mapping[str, NDArray[Any]]

FEWEST_ROWS: Final = 20
"""Fewer rows are not judged."""

_SHOWN = 10
_FEW_VALUES = 10


@dataclass(frozen=True, slots=True)
class Comparison:
    """A column of a window beside its reference, before any adjustment.

    Attributes
    ----------
    test
        `ks` at the edges of the reference's bins; `chi_squared` over its cells for texts and numbers of at most ten
        values; `missing` where the share of missing values moved most.
    psi
        Over the same cells and the missing values, in nats.
    """

    test: str
    statistic: float
    p_value: float
    psi: float


_NOT_YET: Final = Comparison("", 0.0, 1.0, 0.0)


def compare(reference: TableProfile, counts: TableCounts) -> dict[str, Comparison]:
    """Compare every column that is not one and the same value on both sides.

    Returns
    -------
    dict
        Empty where there are fewer than 20 rows.
    """
    return compare_all([(reference, counts)])[0]


def compare_all(tables: Sequence[tuple[TableProfile, TableCounts]]) -> list[dict[str, Comparison]]:
    """Compare several tables with their references, each as `compare` does; together they take a fraction of the time.

    Columns that are tested alike, have as many cells and miss no value are laid below one another and compared at
    once; the others one by one.
    """
    found: list[dict[str, Comparison]] = [{} for _ in tables]
    by_reference: dict[int, list[int]] = {}
    for place, (reference, counts) in enumerate(tables):
        if counts.n_rows >= FEWEST_ROWS:
            by_reference.setdefault(id(reference), []).append(place)
    alike: dict[int, list[_Alike]] = {}
    for places in by_reference.values():
        for name, profile in tables[places[0]][0].columns.items():
            columns = {p: tables[p][1].columns[name] for p in places if name in tables[p][1].columns}
            at_once = _compared_column(name, profile, columns, found)
            if at_once.places:
                alike.setdefault(at_once.before.size, []).append(at_once)
    for each in alike.values():
        before = np.concatenate([np.tile(column.before, (len(column.places), 1)) for column in each])
        after = np.concatenate([column.after for column in each])
        compared = iter(_compared_at_once(before, after))
        for column in each:
            for place in column.places:
                found[place][column.name] = next(compared)
    return found


class _Alike(NamedTuple):
    """A column of tables with one reference: its cells there, shape (n_cells,), and in each, (n_tables, n_cells)."""

    name: str
    places: list[int]
    before: Ints
    after: Ints


def _compared_column(
    name: str,
    reference: ColumnProfile,
    columns: Mapping[int, ColumnCounts],
    found: Sequence[dict[str, Comparison]],
) -> _Alike:
    """Compare one column of several tables, but for those where that can be done at once, which are given."""
    before, after = _all_cells(reference, list(columns.values()))
    at_once = after[:, :-1].any(axis=1) & (after[:, -1] == 0) & (_is_ordered(reference) and not before[-1])
    n_held = np.count_nonzero(before + after, axis=1)
    rows = []
    for row, (place, column) in enumerate(columns.items()):
        if not _varies(reference, column, before, int(n_held[row])):
            continue
        # Each has its place before it is compared, so that columns keep their order.
        found[place][name] = _NOT_YET if at_once[row] else compare_column(reference, column)
        if at_once[row]:
            rows.append(row)
    places = list(columns)
    return _Alike(name, [places[row] for row in rows], before[:-1], after[rows, :-1])


def _compared_at_once(before: Ints, after: Ints) -> list[Comparison]:
    """Compare known values of ordered columns, shape (n_columns, n_cells); no side is empty."""
    n, m = before.sum(axis=1), after.sum(axis=1)
    apart = np.cumsum(before, axis=1) / n[:, np.newaxis] - np.cumsum(after, axis=1) / m[:, np.newaxis]
    distances = np.abs(apart).max(axis=1)
    held = (before + after) > 0
    shares = [_smoothed(counts, held) for counts in (before, after)]
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = (shares[1] - shares[0]) * (np.log(shares[1]) - np.log(shares[0]))
    moved = np.where(held, terms, 0.0).sum(axis=1)
    columns = (distances, ks_p_values(distances, n, m), moved)
    return [
        Comparison("ks", distance, p_value, psi_)
        for distance, p_value, psi_ in zip(*(column.tolist() for column in columns), strict=True)
    ]


def _smoothed(counts: Ints, held: NDArray[np.bool_]) -> Floats:
    """As `smoothed_shares` of the held cells of each row; the others are 0."""
    smoothed = np.where(held, counts + PSEUDO_COUNT, 0.0)
    return np.asarray(smoothed / smoothed.sum(axis=1, keepdims=True))


def compare_column(
    reference: ColumnProfile, counts: ColumnCounts, *, with_missing: bool = True
) -> Comparison:
    """Compare one column, cell by cell.

    Parameters
    ----------
    with_missing
        Whether a share of missing values that moved is drift as well. Then, of the two tests, the one with the smaller
        p-value counts, doubled for having looked at both (Bonferroni).
    """
    before, after = _cells(reference, counts)
    test, statistic, p_value = _tested(reference, before[:-1], after[:-1])
    if not with_missing or not (before[-1] or after[-1]):
        return Comparison(test, statistic, p_value, _distance(before[:-1], after[:-1]))
    known = chi_squared_counts(*([side[:-1].sum(), side[-1]] for side in (before, after)))
    if known.p_value < p_value:
        test, statistic, p_value = "missing", known.statistic, known.p_value
    return Comparison(test, statistic, min(1.0, 2 * p_value), _distance(before, after))


def judged(
    compared: Sequence[Mapping[str, Comparison]],
    *,
    level: float,
    least_psi: float,
    usual: Sequence[Mapping[str, float]] = (),
) -> list[list[ColumnDrift]]:
    """Judge all that was compared in a window: its columns in each of its parts.

    A column has drifted when its p-value, adjusted over all columns of all parts, is at most `level`, its PSI at least
    `least_psi`, and above what is usual where that is known: there is a difference, it is large enough to matter, and
    it does not come with the hour of the week.

    Parameters
    ----------
    compared
        For each part, its columns.
    level
        Expected share of false discoveries among everything in the window that is called drifted.
    least_psi
        In nats.
    usual
        For each part, PSI by column up to which it is usual now.

    Returns
    -------
    list
        For each part its columns, those that drifted first.
    """
    p_values = [comparison.p_value for part in compared for comparison in part.values()]
    adjusted = iter(benjamini_hochberg(p_values).tolist() if p_values else [])
    found = []
    for place, part in enumerate(compared):
        bounds = usual[place] if place < len(usual) else {}
        columns = [
            _column(name, comparison, next(adjusted), level, least_psi, bounds.get(name))
            for name, comparison in part.items()
        ]
        found.append(sorted(columns, key=lambda column: (not column.drifted, column.p_value)))
    return found


def report_of(columns: Sequence[ColumnDrift]) -> DriftReport | None:
    """Sum up the columns of one part; None where there is none."""
    if not columns:
        return None
    n_drifted = sum(column.drifted for column in columns)
    return DriftReport(n_columns=len(columns), n_drifted=n_drifted, columns=list(columns[:_SHOWN]))


def drift_report(
    reference: Columns, current: Columns, *, level: float, least_psi: float
) -> DriftReport | None:
    """Compare the rows of a window with those of a sample, as windows of counters are.

    Parameters
    ----------
    reference, current
        Columns by name, each of shape (n_rows,). Those that are on one side only are left out.
    level, least_psi
        As for `judged`.

    Returns
    -------
    DriftReport or None
        None when there are fewer than 20 rows or no column to compare.
    """
    common = [name for name in reference if name in current]
    if not common or not len(next(iter(current.values()))):
        return None
    profile = profile_table({name: reference[name] for name in common})
    counter = TableCounter(profile)
    counter.update({name: current[name] for name in common})
    (columns,) = judged([compare(profile, counter.counts)], level=level, least_psi=least_psi)
    return report_of(columns)


def _column(
    name: str, found: Comparison, adjusted: float, level: float, least_psi: float, usual: float | None
) -> ColumnDrift:
    return ColumnDrift(
        name=name,
        test=found.test,
        statistic=found.statistic,
        p_value=found.p_value,
        adjusted_p_value=adjusted,
        psi=found.psi,
        usual_psi=usual,
        drifted=adjusted <= level and found.psi >= least_psi and (usual is None or found.psi > usual),
    )


def _varies(reference: ColumnProfile, counts: ColumnCounts, before: Ints, n_held: int) -> bool:
    """Leave out what is one and the same value on both sides: no test has anything to say about it.

    Parameters
    ----------
    n_held
        Cells that either side has rows in.
    """
    if n_held > 1:
        return True
    if before[-1] or reference.kind == "categorical":
        return False
    # One cell of numbers: constant unless a value is there that the reference does not have.
    return (reference.minimum, reference.maximum) != (counts.minimum, counts.maximum)


def _tested(reference: ColumnProfile, before: Ints, after: Ints) -> tuple[str, float, float]:
    """Give test, statistic and p-value of known values; where one side has none there is nothing to tell.

    The largest distance of the distribution functions at the edges is at most that at all values, so the p-value of the
    Kolmogorov-Smirnov test is never too small. It is kept for numbers since it needs no rows in every bin.
    """
    is_ordered = _is_ordered(reference)
    test = "ks" if is_ordered else "chi_squared"
    if not (before.any() and after.any()):
        return test, 0.0, 1.0
    if not is_ordered:
        found = chi_squared_counts(before, after)
        return test, found.statistic, found.p_value
    n, m = int(before.sum()), int(after.sum())
    distance = float(np.abs(np.cumsum(before) / n - np.cumsum(after) / m).max())
    return test, distance, ks_p_value(distance, n, m)


def _is_ordered(reference: ColumnProfile) -> bool:
    return reference.kind == "numeric" and reference.n_distinct > _FEW_VALUES and len(reference.edges) > 0


def _cells(reference: ColumnProfile, counts: ColumnCounts) -> tuple[Ints, Ints]:
    before, after = _all_cells(reference, [counts])
    return before, after[0]


def _all_cells(reference: ColumnProfile, counts: Sequence[ColumnCounts]) -> tuple[Ints, Ints]:
    """Give the counts of both sides, shape (n_cells,) and (n_counts, n_cells).

    A reference of nothing but infinities has no bins, so these are told apart.
    """
    before = reference_cells(reference)
    after = np.array([each.cells for each in counts], dtype=np.int64).reshape(len(counts), before.size)
    if reference.kind == "categorical" or reference.edges:
        return before, after
    n_infinite = np.array([each.n_infinite for each in counts], dtype=np.int64)
    apart = np.column_stack([after[:, 0] - n_infinite, n_infinite, after[:, -1]])
    return np.array([before[0] - reference.n_infinite, reference.n_infinite, before[-1]]), apart


def _distance(before: Ints, after: Ints) -> float:
    held = (before + after) > 0
    return psi(smoothed_shares(before[held]), smoothed_shares(after[held])) if held.any() else 0.0
