"""How good a classifier is on rows without labels, by how sure it is of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from noria.core.errors import Invalid
from noria.core.stats.calibration import Calibrator
from noria.core.stats.samples import Bools, Floats, Ints

METRICS: Final = ("accuracy", "f1", "roc_auc")

_ENOUGH_DRAWS: Final = 0.5
"""A metric that is not defined in more of the draws than this (one class only) is not given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimatedFigure:
    """A metric with the interval in which it lies once labels come; None for all where it is not defined."""

    value: float | None
    low: float | None
    high: float | None


def classification_metrics(labels: Ints, predicted: Ints, scores: Floats) -> dict[str, float]:
    """Measure a classifier on labelled rows.

    Parameters
    ----------
    labels, predicted : ndarray of int, shape (n_rows,)
        Indices of classes.
    scores : ndarray, shape (n_rows, n_classes)
        What rows are ranked by.

    Returns
    -------
    dict
        `accuracy`, `f1` and `roc_auc`. For two classes the second is the positive one; for more F1 is the mean over
        the classes that are there, and ROC AUC that of each class against the others. NaN where it is not defined.
    """
    classes = [1] if scores.shape[1] == 2 else range(scores.shape[1])
    return _measured(labels, predicted, [_ranks(scores[:, c]) for c in classes], scores.shape[1])


def estimate_classification(
    calibrator: Calibrator,
    resampled: Sequence[Calibrator],
    probabilities: Floats,
    predicted: Ints,
    *,
    rng: np.random.Generator,
    alpha: float = 0.05,
) -> dict[str, EstimatedFigure]:
    r"""Estimate accuracy, F1 and ROC AUC of rows whose labels are not known.

    Confidence-based performance estimation: with calibrated probabilities, a row that is answered with class c is right
    with probability :math:`p_c`. The expected confusion matrix follows by summing: accuracy is the mean of
    :math:`p_{\hat y}`, F1 is :math:`2 TP / (2 TP + FP + FN)` of the expected counts, and ROC AUC the share of pairs
    ranked in order, each pair weighted by the chance that it is one of a positive and a negative row.

    Parameters
    ----------
    calibrator, resampled
        Learnt on held-out rows, and on resamples of them.
    probabilities : ndarray, shape (n_rows, n_classes)
        As the model gave them.
    predicted : ndarray of int, shape (n_rows,)
        Index of the class that it answered with.
    rng
        Source of the labels that are drawn.
    alpha
        The intervals cover 1 - alpha.

    Returns
    -------
    dict
        By the names in `METRICS`.

    Raises
    ------
    Invalid
        If there are no rows, lengths differ, or there are no resamples.

    Notes
    -----
    Supposes that labels depend on inputs as they did on the held-out rows. Under concept drift it is wrong without
    knowing it. The interval is that of the metric that will be measured on these very rows: labels are drawn from the
    calibrated probabilities of each resample, so that it holds the chance of the labels and that of the calibration.
    Calibration is on average over the held-out rows; where inputs move to where the model was too sure even then, the
    interval covers less than it says. ROC AUC over many classes rests on the many small probabilities, which scaling a
    temperature does not mend one by one: it is the least certain of the three.

    References
    ----------
    Kivimäki, J., Białek, J., Nurminen, J. K. and Kuberski, W. (2025). Confidence-based estimators for predictive
    performance in model monitoring. Journal of Artificial Intelligence Research 82.
    Kivimäki, J., Białek, J., Kuberski, W. and Nurminen, J. K. (2025). Performance estimation in binary classification
    using calibrated confidence. arXiv:2505.05295.
    """
    if not len(predicted) or len(predicted) != len(probabilities):
        raise Invalid(f"There are {len(predicted)} answers and {len(probabilities)} rows of probabilities")
    if not resampled:
        raise Invalid("An interval needs calibrators of resamples", hint="`resampled_calibrators` makes them")
    n_classes = probabilities.shape[1]
    classes = [1] if n_classes == 2 else range(n_classes)
    ranks = [_ranks(probabilities[:, c]) for c in classes]
    expected = _expected(calibrator(probabilities), predicted, probabilities)
    drawn = [_measured(_draw(each(probabilities), rng), predicted, ranks, n_classes) for each in resampled]
    return {name: _figure(expected[name], [draw[name] for draw in drawn], alpha) for name in METRICS}


def _figure(value: float, draws: Sequence[float], alpha: float) -> EstimatedFigure:
    known = np.array([draw for draw in draws if not np.isnan(draw)])
    if np.isnan(value) or known.size < _ENOUGH_DRAWS * len(draws):
        return EstimatedFigure(value=None, low=None, high=None)
    low, high = np.quantile(known, [alpha / 2, 1 - alpha / 2])
    return EstimatedFigure(value=value, low=min(float(low), value), high=max(float(high), value))


def _draw(probabilities: Floats, rng: np.random.Generator) -> Ints:
    bounds = np.cumsum(probabilities[:, :-1], axis=1)
    return np.asarray((rng.random((len(probabilities), 1)) > bounds).sum(axis=1), dtype=np.int64)


def _measured(labels: Ints, predicted: Ints, ranks: Sequence[Floats], n_classes: int) -> dict[str, float]:
    classes = [1] if n_classes == 2 else range(n_classes)
    return {
        "accuracy": float(np.mean(labels == predicted)),
        "f1": _mean([_f1((labels == c).astype(float), predicted == c) for c in classes]),
        "roc_auc": _mean([_auc(labels == c, held) for c, held in zip(classes, ranks, strict=True)]),
    }


def _expected(calibrated: Floats, predicted: Ints, scores: Floats) -> dict[str, float]:
    classes = [1] if scores.shape[1] == 2 else range(scores.shape[1])
    return {
        "accuracy": float(calibrated[np.arange(len(predicted)), predicted].mean()),
        "f1": _mean([_f1(calibrated[:, c], predicted == c) for c in classes]),
        "roc_auc": _mean([_expected_auc(calibrated[:, c], scores[:, c]) for c in classes]),
    }


def _f1(chance: Floats, is_predicted: Bools) -> float:
    """Give F1 of a class from the chance that each row is of it: 2 TP over predicted and actual positives."""
    total = float(chance.sum()) + float(is_predicted.sum())
    return 2 * float(chance[is_predicted].sum()) / total if total else np.nan


def _auc(is_positive: Bools, ranks: Floats) -> float:
    """Give the ROC AUC by the rank sum (Mann-Whitney); NaN with one class."""
    n_positive = int(is_positive.sum())
    n_negative = len(ranks) - n_positive
    if not n_positive or not n_negative:
        return np.nan
    above = float(ranks[is_positive].sum()) - n_positive * (n_positive + 1) / 2
    return above / (n_positive * n_negative)


def _expected_auc(chance: Floats, scores: Floats) -> float:
    """Give expected pairs in order over expected pairs; a row makes no pair with itself."""
    _, group = np.unique(scores, return_inverse=True)
    negative = np.bincount(group, weights=1 - chance)
    below = np.cumsum(negative) - negative
    own = chance * (1 - chance)
    in_order = float(np.sum(chance * (below[group] + 0.5 * negative[group])) - 0.5 * own.sum())
    pairs = float(chance.sum() * (1 - chance).sum() - own.sum())
    return in_order / pairs if pairs > 0 else np.nan


def _ranks(values: Floats) -> Floats:
    """Give ranks from 1, equal values their mean rank."""
    _, group, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[group], dtype=np.float64)


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else np.nan
