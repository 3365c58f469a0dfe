"""Differences of two models on the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from noria.core.errors import Invalid
from noria.core.stats.intervals import Interval, mean_interval, newcombe_paired

Array = NDArray[Any]


def scores_of(
    task: str, predicted: Sequence[Any] | Array, actual: Sequence[Any] | Array, error_bound: float | None
) -> NDArray[np.float64]:
    """Score answers between 0 (wrong) and 1 (right), as monitors do.

    Parameters
    ----------
    error_bound
        Regression: the absolute error that scores 0.
    """
    if task == "classification":
        return np.array([bool(p == a) for p, a in zip(predicted, actual, strict=True)], dtype=np.float64)
    errors = np.abs(np.asarray(predicted, dtype=np.float64) - np.asarray(actual, dtype=np.float64))
    worst = np.nan_to_num(errors / (error_bound or 1.0), nan=1.0)
    return np.asarray(1.0 - np.minimum(1.0, worst))


def paired_gain(new: ArrayLike, old: ArrayLike, *, alpha: float) -> Interval:
    """Give the mean difference of scores on the same rows, new minus old, with its interval.

    Newcombe's interval for paired proportions when every score is 0 or 1, Student's on the differences otherwise.

    Parameters
    ----------
    new, old : array_like, shape (n_rows,)
        Scores in the same order of rows, 0 to 1.

    Raises
    ------
    Invalid
        If there are no rows, or lengths differ.
    """
    first, second = np.asarray(new, dtype=np.float64), np.asarray(old, dtype=np.float64)
    if first.shape != second.shape or first.size == 0:
        raise Invalid(f"Scores of {first.size} and {second.size} rows cannot be paired")
    if np.isin(first, (0.0, 1.0)).all() and np.isin(second, (0.0, 1.0)).all():
        a, b = first.astype(bool), second.astype(bool)
        counts = (int((a & b).sum()), int((a & ~b).sum()), int((~a & b).sum()), int((~a & ~b).sum()))
        return newcombe_paired(*counts, alpha=alpha)
    if first.size == 1:
        gain = float(first[0] - second[0])
        return Interval(estimate=gain, lower=-1.0, upper=1.0, alpha=alpha, n=1)
    return mean_interval(first - second, alpha=alpha)
