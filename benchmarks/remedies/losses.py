"""Losses of windows, by scikit-learn alone, so that what is judged does not judge itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics

Floats = NDArray[np.float64]

HIGHER_IS_BETTER = ("accuracy", "roc_auc")


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What a model answered: numbers, or classes with the probability of each of `classes`."""

    values: NDArray[Any]
    shares: Floats | None = None
    classes: NDArray[Any] | None = None


def loss(metric: str, actual: NDArray[Any], answers: Answers) -> float:
    """Give the metric, or 1 less it where more is better; NaN where it is not defined."""
    return as_loss(metric, _metric(metric, actual, answers))


def as_loss(metric: str, value: float) -> float:
    """Turn a metric into its loss."""
    return 1.0 - value if metric in HIGHER_IS_BETTER else value


def _metric(metric: str, actual: NDArray[Any], answers: Answers) -> float:
    if metric == "accuracy":
        return float(metrics.accuracy_score(actual, answers.values))
    if metric == "mae":
        return float(metrics.mean_absolute_error(actual, answers.values))
    if metric == "rmse":
        return float(metrics.root_mean_squared_error(actual, answers.values))
    assert answers.shares is not None
    assert answers.classes is not None
    if metric == "roc_auc":
        return _auc(actual, answers.shares, answers.classes)
    if metric == "log_loss":
        return _log_loss(actual, answers.shares, answers.classes)
    raise ValueError(f"`{metric}` is no metric of the benchmark")


def _auc(actual: NDArray[Any], shares: Floats, classes: NDArray[Any]) -> float:
    """Give the area for the second of two classes; windows of one class have none."""
    if len(np.unique(actual)) < 2:
        return float("nan")
    return float(metrics.roc_auc_score(actual == classes[1], shares[:, 1]))


def _log_loss(actual: NDArray[Any], shares: Floats, classes: NDArray[Any]) -> float:
    """Give the mean of -log p of the true class, clipped at what scikit-learn clips at; unknown classes have p = 0."""
    hit = actual[:, None] == np.asarray(classes)[None, :]
    return float(-np.log(np.clip((shares * hit).sum(axis=1), 1e-15, 1.0)).mean())
