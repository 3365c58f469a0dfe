"""Recalibration: a map from a model's answers to better ones, learnt from labelled rows, the model left as it is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from noria.decisions.replay.outputs import Floats, Predicted
from noria.decisions.replay.world import Calibration

_LEAST = 1e-6
_RIDGE = 1.0
_MOST_WIDE = 50


def calibrations(actual: NDArray[Any], predicted: Predicted, trained: NDArray[Any]) -> dict[str, Calibration]:
    """Learn recalibrations, by what they are; none when there is nothing that they could be learnt from.

    Parameters
    ----------
    actual, predicted
        Targets of labelled rows, and the answers to them.
    trained
        Targets of the training rows.
    """
    if predicted.values.dtype.kind == "f":
        line = _line(np.asarray(actual, dtype=np.float64), predicted.values)
        return {} if line is None else {"the answers mapped by a line": line}
    if predicted.shares is None or predicted.classes is None or len(predicted.classes) > _MOST_WIDE:
        return {}
    known = np.isin(actual, predicted.classes)
    if known.sum() < 10:
        return {}
    return {
        "the answers mapped anew": _logits(actual[known], predicted.take(np.flatnonzero(known))),
        "the answers mapped to the new mix of classes": _to_mix(actual[known], trained, predicted.classes),
    }


def prior_shift(shares: Floats, new: Floats, old: Floats) -> Floats:
    """Give probabilities under another mix of classes (Saerens, Latinne and Decaestecker, 2002)."""
    weighted = shares * (new / np.maximum(old, _LEAST))
    return np.asarray(weighted / np.maximum(weighted.sum(axis=1, keepdims=True), _LEAST))


def estimated_mix(shares: Floats, old: Floats, *, n_rounds: int = 200) -> Floats:
    """Estimate the mix of classes of unlabelled rows by expectation and maximisation (same source)."""
    mix = np.array(old)
    for _ in range(n_rounds):
        found = prior_shift(shares, mix, old).mean(axis=0)
        if np.abs(found - mix).max() < 1e-6:
            break
        mix = found
    return np.asarray(mix)


def _to_mix(actual: NDArray[Any], trained: NDArray[Any], classes: NDArray[Any]) -> Calibration:
    """Map to the mix of the labels, drawn towards that of training by as many rows as there are classes."""
    old = np.array([(trained == name).mean() for name in classes])
    counts = np.array([(actual == name).sum() for name in classes]) + len(classes) * old
    new = counts / counts.sum()

    def apply(answer: Predicted) -> Predicted:
        if answer.shares is None or answer.shares.shape[1] != len(classes):
            return answer
        shares = prior_shift(answer.shares, new, old)
        return Predicted(values=classes[shares.argmax(axis=1)], shares=shares, classes=classes)

    return apply


def _line(actual: Floats, values: Floats) -> Calibration | None:
    if len(actual) < 10:
        return None
    # Errors of a line's slope cost more than its offset's; both are shrunk towards no change.
    centre, spread = float(values.mean()), float(values.var())
    rest = actual - values
    noise = float(rest.var()) / max(len(actual), 1)
    covariance = float(np.mean((values - centre) * (rest - rest.mean())))
    slope = covariance / (spread + noise) if spread > 0 else 0.0
    offset = float(rest.mean())

    def apply(predicted: Predicted) -> Predicted:
        return Predicted(values=predicted.values + offset + slope * (predicted.values - centre))

    return apply


def _logits(actual: NDArray[Any], predicted: Predicted) -> Calibration:
    """Fit one slope and an offset for each class on the log probabilities, by maximum likelihood with a ridge."""
    from scipy.optimize import minimize

    assert predicted.shares is not None  # noqa: S101 - the caller has looked
    assert predicted.classes is not None  # noqa: S101 - the caller has looked
    classes = predicted.classes
    logs = np.log(np.clip(predicted.shares, _LEAST, 1.0))
    truth = actual[:, None] == classes[None, :]

    def loss(values: Floats) -> tuple[float, Floats]:
        scaled = values[0] * logs + values[1:]
        scaled -= scaled.max(axis=1, keepdims=True)
        powers = np.exp(scaled)
        shares = powers / powers.sum(axis=1, keepdims=True)
        gap = shares - truth
        ridge = _RIDGE * ((values[0] - 1) ** 2 + np.sum(values[1:] ** 2)) / 2
        total = -float(np.sum(np.log(np.maximum(shares[truth], 1e-300)))) + ridge
        slope = float(np.sum(gap * logs)) + _RIDGE * (values[0] - 1)
        return total, np.concatenate([[slope], gap.sum(axis=0) + _RIDGE * values[1:]])

    start = np.concatenate([[1.0], np.zeros(len(classes))])
    bounds = [(0.02, 10.0)] + [(None, None)] * len(classes)
    fitted = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x

    def apply(answer: Predicted) -> Predicted:
        if answer.shares is None or answer.shares.shape[1] != len(classes):
            return answer
        scaled = fitted[0] * np.log(np.clip(answer.shares, _LEAST, 1.0)) + fitted[1:]
        powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        shares = powers / powers.sum(axis=1, keepdims=True)
        return Predicted(values=classes[shares.argmax(axis=1)], shares=shares, classes=classes)

    return apply
