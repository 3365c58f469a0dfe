"""One column of categories on both sides. Pure: counts by category in, figures out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from noria.core.stats.samples import Floats
from noria.core.stats.tests import chi_squared_counts
from noria.monitoring.reports.cells import Test, cell_distances, known_and_missing
from noria.monitoring.reports.entities import Bar, ColumnReport

_BARS = 12
_NEW = 5
_LABEL = 80
"""Characters of a category that are shown."""


@dataclass(frozen=True, slots=True, eq=False)
class Categories:
    """How often each category of a column is there, and how many rows have none."""

    counts: Mapping[str, int]
    n_missing: int

    @property
    def n_known(self) -> int:
        """Rows with a category."""
        return sum(self.counts.values())


def compare_categories(name: str, reference: Categories, current: Categories) -> ColumnReport:
    """Compare two sides of a column of categories; either may have no known value, not both."""
    labels = list(dict.fromkeys([*reference.counts, *current.counts]))
    before, after = (
        np.array([side.counts.get(label, 0) for label in labels], dtype=np.int64)
        for side in (reference, current)
    )
    n_known = int(before.sum()), int(after.sum())
    n_missing = reference.n_missing, current.n_missing
    values: Test = ("chi_squared", 0.0, 1.0)
    if all(n_known):
        found = chi_squared_counts(before, after)
        values = ("chi_squared", found.statistic, found.p_value)
    test, statistic, p_value = known_and_missing(values, n_known, n_missing)
    psi, jensen_shannon = cell_distances(np.append(before, n_missing[0]), np.append(after, n_missing[1]))
    n_rows = n_known[0] + n_missing[0], n_known[1] + n_missing[1]
    new = [label for label in current.counts if label not in reference.counts]
    new.sort(key=lambda label: (-current.counts[label], label))
    return ColumnReport(
        name=name,
        kind="categorical",
        test=test,
        statistic=statistic,
        p_value=p_value,
        psi=psi,
        jensen_shannon=jensen_shannon,
        n_reference=n_known[0],
        n_current=n_known[1],
        missing_reference=n_missing[0] / n_rows[0],
        missing_current=n_missing[1] / n_rows[1],
        new_values=[label[:_LABEL] for label in new[:_NEW]],
        new_share=sum(current.counts[label] for label in new) / n_rows[1],
        bars=_bars(labels, before / max(1, n_known[0]), after / max(1, n_known[1])),
    )


def _bars(labels: list[str], before: Floats, after: Floats) -> list[Bar]:
    """Give the commonest categories of either side, and the others together."""
    order = sorted(range(len(labels)), key=lambda i: (-max(before[i], after[i]), labels[i]))
    shown, others = order[:_BARS], order[_BARS:]
    bars = [Bar(label=labels[i][:_LABEL], reference=float(before[i]), current=float(after[i])) for i in shown]
    if others:
        bars.append(Bar(label="…", reference=float(before[others].sum()), current=float(after[others].sum())))
    return bars
