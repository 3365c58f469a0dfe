"""Metrics by their scikit-learn names: the loss of a window, and losses of rows that average to it (nearly)."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noria.core.errors import near
from noria.decisions.replay.episode import EpisodeInvalid
from noria.decisions.replay.outputs import Floats, Predicted, Texts

_ALIASES = {
    "mae": "mean_absolute_error",
    "mse": "mean_squared_error",
    "rmse": "root_mean_squared_error",
    "mape": "mean_absolute_percentage_error",
    "medae": "median_absolute_error",
    "r2": "r2_score",
    "msle": "mean_squared_log_error",
    "rmsle": "root_mean_squared_log_error",
    "accuracy": "accuracy_score",
    "balanced_accuracy": "balanced_accuracy_score",
    "auc": "roc_auc",
    "logloss": "log_loss",
    "brier": "brier_score_loss",
    "brier_score": "brier_score_loss",
    "roc_auc_score": "roc_auc",
    "average_precision_score": "average_precision",
    "mcc": "matthews_corrcoef",
    "explained_variance": "explained_variance_score",
    "kappa": "cohen_kappa_score",
}
_BY_LABELS = ("f1", "precision", "recall", "jaccard", "fbeta")
_WHOLE = ("accuracy_score", "balanced_accuracy_score", "matthews_corrcoef", "cohen_kappa_score")
_RANKED = ("roc_auc", "average_precision", "roc_auc_ovr", "roc_auc_ovo", "roc_auc_ovr_weighted")
_PROBABLE = ("log_loss", "brier_score_loss")
_ERRORS = (
    *("mean_absolute_error", "mean_squared_error", "root_mean_squared_error", "median_absolute_error"),
    *("mean_absolute_percentage_error", "mean_squared_log_error", "root_mean_squared_log_error", "max_error"),
    *("mean_pinball_loss", "mean_poisson_deviance", "mean_gamma_deviance"),
)
_SCORES = ("r2_score", "explained_variance_score", "d2_absolute_error_score")
_LEAST_SHARE = 1e-15  # what scikit-learn clips at, for double precision


class Metric:
    """A metric that an episode is judged by.

    Parameters
    ----------
    name
        As scikit-learn has it: of a function of `sklearn.metrics`, or of a scorer.
    classifies
        Whether the targets are classes.
    """

    def __init__(self, name: str, *, classifies: bool) -> None:
        bare = name.strip().lower().removeprefix("neg_")
        self.name = name
        self._name = _ALIASES.get(bare, bare)
        self._base = self._name.partition("_score")[0].split("_")[0]
        known = self._known_for(classifies=classifies)
        if self._name not in known and not (classifies and self._base in _BY_LABELS):
            close = near(bare, sorted({*known, *_ALIASES}))
            hint = f"Did you mean `{close}`?" if close else f"For example: {', '.join(sorted(known)[:6])}"
            raise EpisodeInvalid(
                f"`{name}` is no metric of a {'classification' if classifies else 'regression'}", hint=hint
            )
        self._is_loss = self._name in (*_PROBABLE, *_ERRORS)
        self._classifies = classifies

    def value(self, actual: NDArray[Any], predicted: Predicted) -> float:
        """Give the metric as scikit-learn gives it; NaN where it is not defined for these rows."""
        if not len(actual):
            return float("nan")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return float(self._function()(actual, predicted))
            except ValueError:
                return float("nan")

    def loss(self, actual: NDArray[Any], predicted: Predicted) -> float:
        """Give the loss: the metric itself, or 1 less it where more is better."""
        value = self.value(actual, predicted)
        return value if self._is_loss else 1.0 - value

    def as_value(self, loss: float) -> float:
        """Give the metric that a loss stands for."""
        return loss if self._is_loss else 1.0 - loss

    def rows(self, actual: NDArray[Any], predicted: Predicted) -> Floats:
        """Give a loss for each row: means of it are the loss, or move with it."""
        if not self._classifies:
            return self._row_errors(actual, predicted.values)
        if self._name in _RANKED and predicted.shares is not None:
            return _misplaced(actual, predicted)
        if self._name == "log_loss":
            return -np.log(np.clip(predicted.share_of(actual), _LEAST_SHARE, 1.0))
        if self._name == "brier_score_loss" and predicted.shares is not None:
            return (1.0 - predicted.share_of(actual)) ** 2
        wrong = np.asarray(predicted.values != actual, dtype=np.float64)
        return wrong * _balance(actual) if self._name == "balanced_accuracy_score" else wrong

    def in_loss(self, difference: float, before: float) -> float:
        """Turn a difference of mean row losses into one of the loss; `before` is the mean row loss it starts from."""
        if self._name.startswith("root_mean"):
            after = max(before + difference, 0.0)
            return float(np.sqrt(after) - np.sqrt(max(before, 0.0)))
        return difference

    def _row_errors(self, actual: Floats, values: Floats) -> Floats:
        error = np.abs(np.asarray(values, dtype=np.float64) - actual)
        if self._name == "mean_absolute_percentage_error":
            return error / np.maximum(np.abs(actual), np.finfo(np.float64).eps)
        if "squared_log" in self._name:
            return np.asarray(
                (np.log1p(np.maximum(values, -0.999999)) - np.log1p(np.maximum(actual, -0.999999))) ** 2
            )
        if "squared" in self._name:
            return error**2
        if self._name in ("r2_score", "explained_variance_score"):
            return error**2 / max(float(np.var(actual)), 1e-12)
        return error

    def _known_for(self, *, classifies: bool) -> tuple[str, ...]:
        return (*_WHOLE, *_RANKED, *_PROBABLE) if classifies else (*_ERRORS, *_SCORES)

    def _function(self) -> Callable[[NDArray[Any], Predicted], float]:
        if self._name == "log_loss":
            return lambda actual, predicted: float(self.rows(actual, predicted).mean())
        if self._name == "brier_score_loss":
            return _brier
        if self._name in _RANKED:
            return self._ranking
        if self._base in _BY_LABELS:
            return self._by_labels
        from sklearn import metrics

        function = getattr(metrics, self._name)
        return lambda actual, predicted: float(function(actual, predicted.values))

    def _ranking(self, actual: Texts, predicted: Predicted) -> float:
        if predicted.shares is None or predicted.classes is None:
            raise ValueError("the model gives no scores to rank by")
        from sklearn import metrics

        if len(predicted.classes) == 2:
            function = metrics.average_precision_score if "average" in self._name else metrics.roc_auc_score
            positive = (actual == predicted.classes[1]).astype(int)
            if positive.min() == positive.max():
                raise ValueError("there is one class only")
            return float(function(positive, predicted.shares[:, 1]))
        return _mean_auc(actual, predicted)

    def _by_labels(self, actual: Texts, predicted: Predicted) -> float:
        from sklearn import metrics

        function = getattr(metrics, f"{self._base}_score")
        ending = self._name.rpartition("_")[2]
        average = ending if ending in ("macro", "micro", "weighted") else "binary"
        extra = {"beta": 2.0} if self._base == "fbeta" else {}
        if average == "binary" and predicted.classes is not None and len(predicted.classes) == 2:
            extra["pos_label"] = predicted.classes[1]
            values = np.where(actual == predicted.classes[1], actual, predicted.classes[0])
            return float(function(values, predicted.values, zero_division=0, **extra))
        average = "macro" if average == "binary" else average
        return float(function(actual, predicted.values, average=average, zero_division=0, **extra))


def _brier(actual: Texts, predicted: Predicted) -> float:
    if predicted.shares is None or predicted.classes is None:
        return float((predicted.values != actual).mean())
    if len(predicted.classes) == 2:
        return float(((predicted.shares[:, 1] - (actual == predicted.classes[1])) ** 2).mean())
    truth = actual[:, None] == predicted.classes[None, :]
    return float((((predicted.shares - truth) ** 2).sum(axis=1) / 2).mean())


def _mean_auc(actual: Texts, predicted: Predicted) -> float:
    from sklearn.metrics import roc_auc_score

    assert predicted.shares is not None  # noqa: S101 - the caller has looked
    assert predicted.classes is not None  # noqa: S101 - the caller has looked
    found = []
    for index, name in enumerate(predicted.classes):
        positive = actual == name
        if 0 < positive.sum() < len(actual):
            found.append(float(roc_auc_score(positive, predicted.shares[:, index])))
    if not found:
        raise ValueError("there is one class only")
    return float(np.mean(found))


def _misplaced(actual: Texts, predicted: Predicted) -> Floats:
    """Give each row what it does to 1 less the AUC, which is their mean.

    A placement is the share of rows of the other side that outrank a row, or that it outranks (DeLong, DeLong and
    Clarke-Pearson, 1988). The mean placement of either side is 1 less the AUC already, so that a row counts by how far
    its own lies from that: the variance of the mean is theirs then, the sum of both sides'.
    """
    assert predicted.shares is not None  # noqa: S101 - the caller has looked
    assert predicted.classes is not None  # noqa: S101 - the caller has looked
    names = predicted.classes[1:] if len(predicted.classes) == 2 else predicted.classes
    total, n_names = np.zeros(len(actual)), 0
    for name in names:
        positive = actual == name
        scores = predicted.shares[:, int(np.flatnonzero(predicted.classes == name)[0])]
        if 0 < positive.sum() < len(actual):
            total += _influences(positive, scores)
            n_names += 1
    return total / max(n_names, 1)


def _influences(positive: NDArray[np.bool_], scores: Floats) -> Floats:
    n = len(scores)
    ups, downs = np.sort(scores[positive]), np.sort(scores[~positive])
    found = np.empty(n)
    mine = scores[positive]
    below = (np.searchsorted(downs, mine, "left") + np.searchsorted(downs, mine, "right")) / 2
    placed = 1 - below / len(downs)
    mean = float(placed.mean())
    found[positive] = mean + (placed - mean) * n / len(ups)
    mine = scores[~positive]
    outranked = (np.searchsorted(ups, mine, "left") + np.searchsorted(ups, mine, "right")) / 2
    found[~positive] = mean + (outranked / len(ups) - mean) * n / len(downs)
    return found


def _balance(actual: Texts) -> Floats:
    names, places, counts = np.unique(actual, return_inverse=True, return_counts=True)
    return np.asarray(len(actual) / (len(names) * counts[places]), dtype=np.float64)
