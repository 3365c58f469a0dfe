"""Compare the columns of a window with the reference sample. Pure: arrays in, report out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noria.core.stats.bins import bin_counts, quantile_edges, smoothed_shares
from noria.core.stats.multiplicity import benjamini_hochberg
from noria.core.stats.tests import chi_squared, ks_two_sample, psi
from noria.monitoring.entities import ColumnDrift, DriftReport

Columns = Mapping[str, NDArray[Any]]

_SHOWN = 10
_FEWEST_ROWS = 20
_FEW_VALUES = 10  # an integer column with at most so many values is counted, not ordered


def drift_report(
    reference: Columns, current: Columns, *, level: float, least_psi: float
) -> DriftReport | None:
    """Test every column that both sides have.

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
    adjusted = benjamini_hochberg([p for _, _, p, _ in found])
    columns = [
        ColumnDrift(
            name=name,
            test=test,
            statistic=statistic,
            p_value=p_value,
            adjusted_p_value=float(level_reached),
            psi=moved,
            drifted=bool(level_reached <= level and moved >= least_psi),
        )
        for name, (test, statistic, p_value, moved), level_reached in zip(names, found, adjusted, strict=True)
    ]
    columns.sort(key=lambda column: (not column.drifted, column.p_value))
    n_drifted = sum(column.drifted for column in columns)
    return DriftReport(n_columns=len(columns), n_drifted=n_drifted, columns=columns[:_SHOWN])


def _varies(reference: NDArray[Any], current: NDArray[Any]) -> bool:
    """Leave out what is one and the same value on both sides: no test has anything to say about it."""
    first = reference[:1]
    return bool(len(first)) and not bool((reference == first).all() and (current == first).all())


def _compare_all(
    reference: Columns, current: Columns, names: list[str]
) -> list[tuple[str, float, float, float]]:
    counted = {name for name in names if _is_categorical(reference[name])}
    ordered = [name for name in names if name not in counted]
    found = {name: _compare_counts(reference[name], current[name]) for name in counted}
    if ordered:
        # One call for all columns: the test itself costs less than calling it.
        sides = [
            np.column_stack([side[name].astype(float) for name in ordered]) for side in (reference, current)
        ]
        tested = ks_two_sample(*sides)
        for index, name in enumerate(ordered):
            moved = _binned_psi(sides[0][:, index], sides[1][:, index])
            found[name] = "ks", float(tested.statistic[index]), float(tested.p_value[index]), moved
    return [found[name] for name in names]


def _compare_counts(reference: NDArray[Any], current: NDArray[Any]) -> tuple[str, float, float, float]:
    test = chi_squared(reference, current)
    return "chi_squared", test.statistic, test.p_value, _category_psi(reference, current)


def _is_categorical(column: NDArray[Any]) -> bool:
    if column.dtype.kind not in "biuf":
        return True
    values = np.unique(column)
    return len(values) <= _FEW_VALUES and bool(np.all(values == np.round(values)))


def _category_psi(reference: NDArray[Any], current: NDArray[Any]) -> float:
    values = np.unique(np.concatenate([reference, current]))
    counts = [np.array([(side == value).sum() for value in values]) for side in (reference, current)]
    return psi(smoothed_shares(counts[0]), smoothed_shares(counts[1]))


def _binned_psi(reference: NDArray[Any], current: NDArray[Any]) -> float:
    known, seen = (side[np.isfinite(side)] for side in (reference.astype(float), current.astype(float)))
    if not (known.size and seen.size):
        return 0.0
    edges = quantile_edges(known)
    return psi(smoothed_shares(bin_counts(known, edges)), smoothed_shares(bin_counts(seen, edges)))
