"""Compare the columns of a window with the reference sample. Pure: arrays in, report out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noria.core.stats.bins import bin_counts, quantile_edges, smoothed_shares
from noria.core.stats.multiplicity import benjamini_hochberg
from noria.core.stats.samples import is_missing
from noria.core.stats.tests import chi_squared, chi_squared_counts, ks_two_sample, psi
from noria.monitoring.entities import ColumnDrift, DriftReport

Columns = Mapping[str, NDArray[Any]]
Counts = NDArray[np.int64]

_SHOWN = 10
_FEWEST_ROWS = 20
_FEW_VALUES = 10  # an integer column with at most so many values is counted, not ordered


def drift_report(
    reference: Columns, current: Columns, *, level: float, least_psi: float
) -> DriftReport | None:
    """Test every column that both sides have, its missing values (NaN) included.

    A column has drifted when its adjusted p-value is at most `level` and its PSI at least `least_psi`: the first says
    that there is a difference, the second that it is large enough to matter.

    Parameters
    ----------
    reference, current
        Columns by name, each of shape (n_rows,).
    level
        Expected share of false discoveries among the columns called drifted.
    least_psi
        In nats.

    Returns
    -------
    DriftReport or None
        None when there are fewer than 20 rows or no common column.
    """
    names = [name for name in reference if name in current and _varies(reference[name], current[name])]
    n_rows = min((len(current[name]) for name in names), default=0)
    if n_rows < _FEWEST_ROWS:
        return None
    found = _compare_all(reference, current, names)
    adjusted = benjamini_hochberg([comparison.p_value for comparison in found])
    columns = [
        ColumnDrift(
            name=name,
            test=comparison.test,
            statistic=comparison.statistic,
            p_value=comparison.p_value,
            adjusted_p_value=float(level_reached),
            psi=comparison.psi,
            drifted=bool(level_reached <= level and comparison.psi >= least_psi),
        )
        for name, comparison, level_reached in zip(names, found, adjusted, strict=True)
    ]
    columns.sort(key=lambda column: (not column.drifted, column.p_value))
    n_drifted = sum(column.drifted for column in columns)
    return DriftReport(n_columns=len(columns), n_drifted=n_drifted, columns=columns[:_SHOWN])


@dataclass(frozen=True, slots=True)
class _Comparison:
    test: str
    statistic: float
    p_value: float
    psi: float


def _varies(reference: NDArray[Any], current: NDArray[Any]) -> bool:
    """Leave out what is one and the same value on both sides: no test has anything to say about it."""
    first = reference[:1]
    return bool(len(first)) and not (_is_all(reference, first) and _is_all(current, first))


def _is_all(side: NDArray[Any], value: NDArray[Any]) -> bool:
    missing = is_missing(side) & is_missing(value)
    return bool(((side == value) | missing).all())


def _compare_all(reference: Columns, current: Columns, names: list[str]) -> list[_Comparison]:
    counted = {name for name in names if _is_categorical(reference[name])}
    ordered = [name for name in names if name not in counted]
    found = {name: _compare_categories(reference[name], current[name]) for name in counted}
    if ordered:
        # One call for all columns: the test itself costs less than calling it.
        sides = [
            np.column_stack([side[name].astype(float) for name in ordered]) for side in (reference, current)
        ]
        tested = ks_two_sample(*sides)
        for index, name in enumerate(ordered):
            before, after = sides[0][:, index], sides[1][:, index]
            counts = _binned(before, after)
            # Without a known value on one side there is no distance; what is missing is compared all the same.
            statistic, p_value = np.nan_to_num([tested.statistic[index], tested.p_value[index]], nan=1.0)
            values = _Comparison("ks", float(statistic), float(p_value), 0.0)
            found[name] = _with_missing(values, before, after, counts)
    return [found[name] for name in names]


def _compare_categories(reference: NDArray[Any], current: NDArray[Any]) -> _Comparison:
    known = [side[~is_missing(side)] for side in (reference, current)]
    values = np.unique(np.concatenate(known))
    counts = [np.array([int((side == value).sum()) for value in values]) for side in known]
    test = chi_squared(*known) if all(side.size for side in known) else None
    compared = _Comparison("chi_squared", test.statistic if test else 0.0, test.p_value if test else 1.0, 0.0)
    return _with_missing(compared, reference, current, (counts[0], counts[1]))


def _with_missing(
    values: _Comparison, reference: NDArray[Any], current: NDArray[Any], counts: tuple[Counts, Counts]
) -> _Comparison:
    """Take the share of missing values in as well, where there are any: a column that vanished has drifted.

    Of the two tests the one with the smaller p-value counts, doubled for having looked at both (Bonferroni).
    """
    n_missing = [int(is_missing(side).sum()) for side in (reference, current)]
    if not any(n_missing):
        return replace(values, psi=_psi(*counts))
    n_rows = (len(reference), len(current))
    moved = _psi(*(np.append(count, n) for count, n in zip(counts, n_missing, strict=True)))
    test = chi_squared_counts(*([rows - n, n] for rows, n in zip(n_rows, n_missing, strict=True)))
    missing = _Comparison("missing", test.statistic, test.p_value, 0.0)
    stronger = min(values, missing, key=lambda comparison: comparison.p_value)
    return replace(stronger, p_value=min(1.0, 2 * stronger.p_value), psi=moved)


def _is_categorical(column: NDArray[Any]) -> bool:
    if column.dtype.kind not in "biuf":
        return True
    values = np.unique(column[~is_missing(column)])
    return len(values) <= _FEW_VALUES and bool(np.all(values == np.round(values)))


def _binned(reference: NDArray[Any], current: NDArray[Any]) -> tuple[Counts, Counts]:
    """Count known values by the reference's bins; infinities fall into the outer ones."""
    known, seen = (side[~np.isnan(side)] for side in (reference, current))
    finite = known[np.isfinite(known)]
    edges = quantile_edges(finite) if finite.size else np.array([0.0])
    return bin_counts(known, edges), bin_counts(seen, edges)


def _psi(reference: Counts, current: Counts) -> float:
    return psi(smoothed_shares(reference), smoothed_shares(current))
