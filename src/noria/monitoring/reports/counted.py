"""Compare a stream that was counted with its reference profile: no row is needed any more."""

from __future__ import annotations

import itertools
from typing import Final

import numpy as np

from noria.core.errors import Invalid
from noria.core.stats.counters import ColumnCounts, TableCounts, moments
from noria.core.stats.profiles import ColumnProfile, TableProfile, reference_cells
from noria.core.stats.samples import Ints
from noria.core.stats.tests import chi_squared_counts
from noria.monitoring.reports.cells import cell_distances, known_and_missing
from noria.monitoring.reports.comparing import FEWEST_ROWS, LEAST_PSI, LEVEL, judge
from noria.monitoring.reports.entities import Bar, ColumnReport, DriftComparison, NotCompared

_NEW: Final = 5
_LABEL: Final = 80


def compare_counts_with(
    reference: TableProfile,
    counts: TableCounts,
    *,
    names: tuple[str, str] = ("reference", "current"),
    level: float = LEVEL,
    least_psi: float = LEAST_PSI,
) -> DriftComparison:
    """Compare what was counted with the profile that laid the cells out.

    Parameters
    ----------
    level, least_psi
        As in `comparing.compare_tables`.

    Raises
    ------
    Invalid
        If nothing was counted, or by another profile.

    Notes
    -----
    Numbers are tested by chi-squared over tenths of the reference: this sees less than Kolmogorov-Smirnov does of a
    small shift. There is no Wasserstein distance, which needs the values.
    """
    if counts.n_rows == 0:
        raise Invalid(f"`{names[1]}` has no rows")
    found: list[ColumnReport] = []
    left_out: list[NotCompared] = []
    for name, column in reference.columns.items():
        counted = counts.columns.get(name)
        if counted is None or len(counted.cells) != reference_cells(column).size:
            raise Invalid(f"`{name}` was not counted in the cells of `{names[0]}`")
        if min(reference.n_rows, counts.n_rows) < FEWEST_ROWS:
            left_out.append(NotCompared(name=name, why=f"fewer than {FEWEST_ROWS} rows on one side"))
        else:
            found.append(_column(name, column, counted))
    return DriftComparison(
        reference=names[0],
        current=names[1],
        n_reference=reference.n_rows,
        n_current=counts.n_rows,
        level=level,
        least_psi=least_psi,
        columns=judge(found, level, least_psi),
        not_compared=left_out,
    )


def _column(name: str, reference: ColumnProfile, counts: ColumnCounts) -> ColumnReport:
    before, after = reference_cells(reference), np.array(counts.cells)
    n_known = int(before[:-1].sum()), int(after[:-1].sum())
    statistic, p_value = _tested(before[:-1], after[:-1])
    test, statistic, p_value = known_and_missing(
        ("chi_squared", statistic, p_value), n_known, (int(before[-1]), int(after[-1]))
    )
    psi, jensen_shannon = cell_distances(before, after)
    found = moments(counts, reference)
    has_all = reference.kind == "categorical" and reference.n_other == 0
    new = sorted(counts.new, key=lambda label: (-label.n, label.label)) if has_all else []
    return ColumnReport(
        name=name,
        kind=reference.kind,
        test=test,
        statistic=statistic,
        p_value=p_value,
        psi=psi,
        jensen_shannon=jensen_shannon,
        n_reference=n_known[0],
        n_current=n_known[1],
        missing_reference=int(before[-1]) / reference.n_rows,
        missing_current=counts.n_missing / counts.n_rows,
        mean_reference=reference.mean,
        mean_current=found[0] if found else None,
        new_values=[label.label[:_LABEL] for label in new[:_NEW]],
        new_share=counts.cells[-2] / counts.n_rows if has_all else 0.0,
        bars=_bars(reference, before[:-1], after[:-1]),
    )


def _tested(before: Ints, after: Ints) -> tuple[float, float]:
    """Give statistic and p-value; where a side has no known value there is nothing to tell them apart by."""
    if not (before.any() and after.any()):
        return 0.0, 1.0
    tested = chi_squared_counts(before, after)
    return tested.statistic, tested.p_value


def _bars(reference: ColumnProfile, before: Ints, after: Ints) -> list[Bar]:
    if reference.kind == "categorical":
        labels = [*(category.label[:_LABEL] for category in reference.top), "…"]
    else:
        edges = reference.edges
        labels = [f"≤ {edges[0]:.4g}"] if edges else ["…"]
        labels += [f"{a:.4g} … {b:.4g}" for a, b in itertools.pairwise(edges)]
        labels += [f"> {edges[-1]:.4g}"] if edges else []
    shares = before / max(1, before.sum()), after / max(1, after.sum())
    return [
        Bar(label=label, reference=float(a), current=float(b))
        for label, a, b in zip(labels, *shares, strict=True)
        if a or b
    ]
