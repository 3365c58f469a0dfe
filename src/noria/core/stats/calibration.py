"""Make a classifier's probabilities true: of the answers given 0.8, eight in ten are to be right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from noria.core.errors import Invalid
from noria.core.stats.samples import Floats, Ints

Method = Literal["isotonic", "platt"]

ISOTONIC_FROM: Final = 1_000
"""Rows from which isotonic regression is used; with fewer it learns their noise (Niculescu-Mizil and Caruana)."""

_LEAST: Final = 1e-6
_STEPS: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curve:
    """A rising function of a probability, linear between its knots and level beyond them; both shape (n_knots,)."""

    x: Floats
    y: Floats

    def __call__(self, probabilities: Floats) -> Floats:
        """Give the calibrated probabilities, in the same shape."""
        return np.interp(probabilities, self.x, self.y)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Calibrator:
    """What makes probabilities true.

    Attributes
    ----------
    curve
        Two classes: of the probability of the second. More: of that of the likeliest.
    sharpness
        More than two classes: the power that probabilities are raised to first (the inverse of the temperature).
    """

    method: Method
    curve: Curve
    sharpness: float = 1.0

    def __call__(self, probabilities: Floats) -> Floats:
        """Calibrate probabilities.

        Parameters
        ----------
        probabilities : ndarray, shape (n_rows, n_classes)

        Returns
        -------
        ndarray, shape (n_rows, n_classes)
            Each row sums to 1.
        """
        if probabilities.shape[1] == 2:
            second = self.curve(probabilities[:, 1])
            return np.column_stack([1.0 - second, second])
        scaled = _softmax(self.sharpness * _logs(probabilities))
        rows, top = np.arange(len(scaled)), scaled.argmax(axis=1)
        before = scaled[rows, top]
        after = self.curve(before)
        # The likeliest class gets its own share, and the others divide what is left as before.
        made = scaled * ((1.0 - after) / np.maximum(1.0 - before, 1e-12))[:, np.newaxis]
        made[rows, top] = 0.0
        others = made.sum(axis=1)
        made[rows, top] = np.where(others > 0, 1.0 - others, 1.0)
        return np.asarray(made)


def fit_calibrator(probabilities: Floats, labels: Ints, *, method: Method | None = None) -> Calibrator:
    """Learn calibration on rows that the classifier was not fitted on.

    Parameters
    ----------
    probabilities : ndarray, shape (n_rows, n_classes)
        Two classes at least.
    labels : ndarray of int, shape (n_rows,)
        Index of each row's class, 0 to n_classes - 1.
    method
        Isotonic regression from 1,000 rows on, and Platt's logistic curve below, when left out.

    Raises
    ------
    Invalid
        If there is one class only, or lengths differ.

    Notes
    -----
    More than two classes: their temperature is scaled (Guo et al.), then the probability of the likeliest class is
    calibrated by itself (Gupta and Ramdas): how often answers are right rests on that one. Labels count for their class
    by a little less than a whole, as Platt has it, and the ends of the isotonic curve are drawn in by half a row, so
    that no probability is 0 or 1 because a few rows were all alike.

    References
    ----------
    Platt, J. (1999). Probabilistic outputs for support vector machines. Advances in Large Margin Classifiers.
    Zadrozny, B. and Elkan, C. (2002). Transforming classifier scores into accurate multiclass probability estimates.
    KDD.
    Gupta, C. and Ramdas, A. (2022). Top-label calibration and multiclass-to-binary reductions. ICLR.
    Guo, C., Pleiss, G., Sun, Y. and Weinberger, K. Q. (2017). On calibration of modern neural networks. ICML.
    Niculescu-Mizil, A. and Caruana, R. (2005). Predicting good probabilities with supervised learning. ICML.
    """
    if probabilities.ndim != 2 or probabilities.shape[1] < 2:
        raise Invalid(f"Probabilities of two classes or more are needed, not of shape {probabilities.shape}")
    if len(probabilities) != len(labels):
        raise Invalid(f"There are {len(probabilities)} rows of probabilities and {len(labels)} labels")
    if len(np.unique(labels)) < 2:
        raise Invalid("The rows are all of one class: nothing can be learnt of how sure the model should be")
    chosen: Method = method or ("isotonic" if len(labels) >= ISOTONIC_FROM else "platt")
    return _fitted(probabilities, labels, chosen)


def resampled_calibrators(
    probabilities: Floats, labels: Ints, *, method: Method, n: int, rng: np.random.Generator
) -> list[Calibrator]:
    """Learn calibration on rows drawn with replacement, `n` times: how far it could be otherwise (bootstrap)."""
    found = []
    for _ in range(n):
        drawn = rng.integers(len(labels), size=len(labels))
        found.append(_fitted(probabilities[drawn], labels[drawn], method))
    return found


def _fitted(probabilities: Floats, labels: Ints, method: Method) -> Calibrator:
    fit = _isotonic if method == "isotonic" else _platt
    if probabilities.shape[1] == 2:
        return Calibrator(method=method, curve=fit(probabilities[:, 1], labels.astype(np.float64)))
    sharpness = _sharpness(probabilities, labels)
    scaled = _softmax(sharpness * _logs(probabilities))
    right = (scaled.argmax(axis=1) == labels).astype(np.float64)
    return Calibrator(method=method, curve=fit(scaled.max(axis=1), right), sharpness=sharpness)


def _isotonic(x: Floats, y: Floats) -> Curve:
    from sklearn.isotonic import IsotonicRegression

    fitted = IsotonicRegression(out_of_bounds="clip").fit(x, y)
    knots, values = (
        np.asarray(fitted.X_thresholds_, dtype=np.float64),
        fitted.y_thresholds_.astype(np.float64),
    )
    inner = values[(values > 0) & (values < 1)]
    made = fitted.predict(x)
    if values[0] == 0:
        lowest = 0.5 / (int(np.sum(made == 0)) + 1)
        values[values == 0] = min(lowest, inner[0]) if inner.size else lowest
    if values[-1] == 1:
        highest = 1 - 0.5 / (int(np.sum(made == 1)) + 1)
        values[values == 1] = max(highest, inner[-1]) if inner.size else highest
    return Curve(x=knots, y=values)


def _platt(x: Floats, y: Floats) -> Curve:
    from sklearn.linear_model import LogisticRegression

    grid = np.linspace(0.0, 1.0, 1001)
    n_true = float(y.sum())
    n_false = len(y) - n_true
    if not n_true or not n_false:  # a resample may miss a class
        return Curve(x=grid, y=np.full_like(grid, (n_true + 1) / (len(y) + 2)))
    # Platt's targets are soft: each row counts for its class by so much, and for the other by the rest.
    target = np.where(y > 0, (n_true + 1) / (n_true + 2), 1 / (n_false + 2))
    features = np.tile(_log_odds(x), 2)[:, np.newaxis]
    model = LogisticRegression(C=np.inf).fit(
        features, np.repeat([1, 0], len(y)), sample_weight=np.concatenate([target, 1 - target])
    )
    return Curve(x=grid, y=model.predict_proba(_log_odds(grid)[:, np.newaxis])[:, 1].astype(np.float64))


def _log_odds(probabilities: Floats) -> Floats:
    kept = np.clip(probabilities, _LEAST, 1 - _LEAST)
    return np.asarray(np.log(kept / (1 - kept)))


def _sharpness(probabilities: Floats, labels: Ints) -> float:
    """Find the power by Newton's method: the cross-entropy is convex in it."""
    logs = _logs(probabilities)
    n = len(logs)
    # Together the rows leave the weight of one row to the other classes.
    softened = (logs[np.arange(n), labels] * n + logs.mean(axis=1)) / (n + 1)
    power = 1.0
    for _ in range(_STEPS):
        chance = _softmax(power * logs)
        mean = (chance * logs).sum(axis=1)
        slope = float((mean - softened).sum())
        bend = float((chance * logs**2).sum() - (mean**2).sum())
        if bend <= 0:
            break
        # Halved or doubled at most, so that a first step cannot leave the range.
        moved = float(np.clip(power - slope / bend, power / 2, power * 2))
        if abs(moved - power) <= 1e-6 * power:
            break
        power = moved
    return power


def _softmax(logs: Floats) -> Floats:
    powers = np.exp(logs - logs.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _logs(probabilities: Floats) -> Floats:
    return np.asarray(np.log(np.clip(probabilities, _LEAST, 1.0)))
