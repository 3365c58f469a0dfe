"""All columns at once: how well a classifier tells current rows from reference rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from noria.core.errors import Invalid
from noria.core.stats.divergence import domain_classifier
from noria.core.stats.samples import LARGEST, Floats
from noria.monitoring.reports.entities import TogetherReport

if TYPE_CHECKING:
    import polars as pl

    from noria.data.profiling.sources import Table

MOST_ROWS: Final = 2_000
_MOST_LABELS: Final = 10
_MOST_FEATURES: Final = 400
_FEWEST_ROWS: Final = 20


def compare_together(
    reference: Table, current: Table, names: Sequence[str], *, rng: np.random.Generator
) -> TogetherReport:
    """Train a classifier on a sample of rows of both tables, and test how well it tells others apart.

    Parameters
    ----------
    names
        Columns to use; both tables have them.
    rng
        Source of the sample, the folds and the classifier.

    Raises
    ------
    Invalid
        If there are fewer than 20 rows on one side, or no column that could be used.

    Notes
    -----
    At most 2,000 rows of each side are used, with a number per numeric column, whether it is missing, and whether a
    column of categories has each of its ten commonest. The classifier is that of `domain_classifier`, with trees.
    """
    if min(reference.n_rows, current.n_rows) < _FEWEST_ROWS:
        raise Invalid(f"The test of all columns together needs {_FEWEST_ROWS} rows on each side")
    chosen = [np.sort(rng.permutation(table.n_rows)[:MOST_ROWS]) for table in (reference, current)]
    features: list[Floats] = []
    for name in names:
        sides = [
            table.column(name).gather(rows) for table, rows in zip((reference, current), chosen, strict=True)
        ]
        features += _features(sides)
    varied = [feature for feature in features if np.ptp(feature) > 0][:_MOST_FEATURES]
    if not varied:
        raise Invalid("There is no column that a classifier could tell rows apart by")
    rows = np.column_stack(varied)
    n = chosen[0].size
    found = domain_classifier(rows[:n], rows[n:], rng=rng, model="trees")
    return TogetherReport(
        auc=found.auc.estimate,
        lower=found.auc.lower,
        upper=found.auc.upper,
        p_value=found.p_value,
        n_reference=found.n_reference,
        n_current=found.n_current,
    )


def _features(sides: Sequence[pl.Series]) -> list[Floats]:
    """Give a column of both sides, one below the other, as numbers without a gap."""
    if any(side.dtype.is_temporal() or side.dtype.is_nested() for side in sides):
        return []
    if all(side.dtype.is_numeric() for side in sides):
        return _of_numbers(np.concatenate([side.cast(float).to_numpy() for side in sides]))
    return _of_labels(sides)


def _of_numbers(values: Floats) -> list[Floats]:
    is_known = ~np.isnan(values)
    middle = float(np.median(values[is_known])) if is_known.any() else 0.0
    filled = np.clip(np.where(is_known, values, middle), -LARGEST, LARGEST)
    return [filled, (~is_known).astype(np.float64)]


def _of_labels(sides: Sequence[pl.Series]) -> list[Floats]:
    from noria.data.profiling.columns import commonest, counted, texts

    labels: list[Any] = [label for side in sides for label in texts(side).to_list()]
    common = {str(label) for side in sides for label in commonest(counted(side), _MOST_LABELS)["label"]}
    missing = np.array([label is None for label in labels], dtype=np.float64)
    return [
        missing,
        *(np.array([label == one for label in labels], dtype=np.float64) for one in sorted(common)),
    ]
