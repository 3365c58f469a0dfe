"""One numeric column on both sides. Pure: sorted values in, figures out."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from noria.core.stats.bins import edges_of_sorted
from noria.core.stats.ordered import (
    counts_between,
    finite_part,
    ks_distance,
    ks_p_value,
    wasserstein_distance,
)
from noria.core.stats.samples import LARGEST, Floats
from noria.monitoring.reports.cells import cell_distances, known_and_missing
from noria.monitoring.reports.entities import Bar, ColumnReport

_BARS = 20
_BAR_RANGE = (0.005, 0.995)
FEW_VALUES = 10
"""A column with at most so many distinct values, all whole, is counted rather than ordered."""


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """The known values of a column, rising, and how many rows it has."""

    ordered: Floats
    n_rows: int

    @property
    def n_missing(self) -> int:
        """Rows without a value."""
        return self.n_rows - self.ordered.size


def is_counted(numbers: Numbers) -> bool:
    """Tell whether a column has few values, all whole: codes, classes, small counts."""
    values = numbers.ordered
    some = values[:: max(1, values.size // 1000)]
    if values.size == 0 or np.count_nonzero(some[1:] != some[:-1]) >= FEW_VALUES:
        return False
    distinct = distinct_values(values)
    return distinct.size <= FEW_VALUES and bool(np.all(distinct == np.round(distinct)))


def distinct_values(ordered: Floats) -> Floats:
    """Give each of sorted values once."""
    return ordered[np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))]


def compare_numbers(name: str, reference: Numbers, current: Numbers) -> ColumnReport:
    """Compare two sides of a numeric column; either may have no known value, not both."""
    statistic, p_value = _ks(reference.ordered, current.ordered)
    test, statistic, p_value = known_and_missing(
        ("ks", statistic, p_value),
        (reference.ordered.size, current.ordered.size),
        (reference.n_missing, current.n_missing),
    )
    finite = finite_part(reference.ordered)
    edges = edges_of_sorted(finite) if finite.size else np.array([0.0])
    psi, jensen_shannon = cell_distances(
        np.append(counts_between(reference.ordered, edges), reference.n_missing),
        np.append(counts_between(current.ordered, edges), current.n_missing),
    )
    distance, in_std = _wasserstein(reference.ordered, current.ordered)
    return ColumnReport(
        name=name,
        kind="numeric",
        test=test,
        statistic=statistic,
        p_value=p_value,
        psi=psi,
        jensen_shannon=jensen_shannon,
        wasserstein=distance,
        wasserstein_std=in_std,
        n_reference=reference.ordered.size,
        n_current=current.ordered.size,
        missing_reference=reference.n_missing / reference.n_rows,
        missing_current=current.n_missing / current.n_rows,
        mean_reference=_mean(reference.ordered),
        mean_current=_mean(current.ordered),
        bars=_bars(reference.ordered, current.ordered),
    )


def _ks(reference: Floats, current: Floats) -> tuple[float, float]:
    """Give distance and p-value; where a side has no known value there is nothing to tell them apart by."""
    n, m = reference.size, current.size
    if not (n and m):
        return 0.0, 1.0
    distance = ks_distance(reference, current)
    return distance, ks_p_value(distance, n, m)


def _wasserstein(reference: Floats, current: Floats) -> tuple[float | None, float | None]:
    if not (reference.size and current.size) or _largest(reference, current) > LARGEST:
        return None, None
    distance = wasserstein_distance(reference, current)
    # The deviation of a constant is not always 0 once it is rounded.
    deviation = float(reference.std()) if reference[0] < reference[-1] else 0.0
    return distance, distance / deviation if deviation > 0 else None


def _largest(*sides: Floats) -> float:
    return float(max(max(abs(side[0]), abs(side[-1])) for side in sides))


def _mean(ordered: Floats) -> float | None:
    finite = finite_part(ordered)
    if finite.size == 0 or _largest(finite) > LARGEST:
        return None
    mean = float(finite.mean())
    return mean if math.isfinite(mean) else None


def _bars(reference: Floats, current: Floats) -> list[Bar]:
    """Count both sides in equal ranges; the outer ones are open, as extremes would make all others empty."""
    sides = [side for side in (finite_part(reference), finite_part(current)) if side.size]
    if not sides:
        return []
    low = min(float(side[int(_BAR_RANGE[0] * (side.size - 1))]) for side in sides)
    high = max(float(side[math.ceil(_BAR_RANGE[1] * (side.size - 1))]) for side in sides)
    is_range = low < high and max(-low, high) <= LARGEST
    edges = np.linspace(low, high, _BARS + 1)[1:-1] if is_range else np.array([low])
    shares = [counts_between(side, edges) / max(1, side.size) for side in (reference, current)]
    labels = [f"≤ {edges[0]:.4g}"]
    labels += [f"{a:.4g} … {b:.4g}" for a, b in itertools.pairwise(edges.tolist())]
    labels.append(f"> {edges[-1]:.4g}")
    return [
        Bar(label=label, reference=float(before), current=float(after))
        for label, before, after in zip(labels, *shares, strict=True)
    ]
