"""Learn from a version's held-out rows how its quality can be told without labels; run by workers and commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from noria.core.errors import Invalid
from noria.core.stats.calibration import Calibrator, fit_calibrator, resampled_calibrators
from noria.core.stats.columns import flatten_columns
from noria.core.stats.confidence import METRICS, classification_metrics, estimate_classification
from noria.core.stats.loss_estimation import LossModel, estimate_loss, fit_loss_model
from noria.core.stats.samples import Floats, Ints
from noria.monitoring.estimated.entities import EstimatedMetric, EstimatedQuality
from noria.registry.entities import Task

FEWEST_HELD_OUT: Final = 100
FEWEST_ROWS: Final = 20
MOST_ROWS: Final = 20_000
MOST_CLASSES: Final = 50
_RESAMPLES: Final = 200
_SEED: Final = 7  # any: the same rows give the same estimate

Columns = Mapping[str, NDArray[Any]]


class CannotEstimate(Invalid):
    """Quality of these rows cannot be told without labels; the message says why."""

    code = "cannot_estimate"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidenceLearnt:
    """What is known of a classifier."""

    classes: tuple[Any, ...]
    calibrator: Calibrator
    resampled: tuple[Calibrator, ...]
    reference: Mapping[str, float]
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LossLearnt:
    """What is known of a regression."""

    model: LossModel
    reference: float
    n: int


Learnt = ConfidenceLearnt | LossLearnt


def learn(
    task: Task, classes: Sequence[Any] | None, inputs: Columns, target: NDArray[Any], answers: Columns
) -> Learnt:
    """Learn from held-out rows.

    Parameters
    ----------
    classes
        In the order of the probabilities.
    inputs
        Raw inputs by name, each of shape (n_rows, ...).
    target : ndarray, shape (n_rows,)
    answers
        `predictions`, shape (n_rows,), and `probabilities`, shape (n_rows, n_classes), where the model has them.

    Raises
    ------
    CannotEstimate
        If there are too few rows, no probabilities, or one class only.
    """
    if len(target) < FEWEST_HELD_OUT:
        raise CannotEstimate(
            f"Quality without labels is learnt on at least {FEWEST_HELD_OUT} held-out rows, "
            f"and there are {len(target)}",
            hint="Register the model with more rows in `holdout`",
        )
    rng = np.random.default_rng(_SEED)
    try:
        if task is Task.CLASSIFICATION:
            return _learn_confidence(classes, target, answers, rng)
        return _learn_loss(inputs, target, answers, rng)
    except CannotEstimate:
        raise
    except Invalid as error:
        raise CannotEstimate(error.message, hint=error.hint) from error


def estimate(learnt: Learnt, inputs: Columns, outputs: Sequence[Mapping[str, Any]]) -> EstimatedQuality:
    """Estimate the quality of answered rows.

    Parameters
    ----------
    inputs
        Raw inputs by name, each of shape (n_rows, ...).
    outputs
        What was answered, row by row, in the same order.

    Raises
    ------
    CannotEstimate
        If fewer than 20 rows have an answer that fits.

    Notes
    -----
    Of more than 20,000 rows as many are taken, evenly spaced.
    """
    rng = np.random.default_rng(_SEED)
    chosen = np.unique(np.linspace(0, len(outputs) - 1, min(len(outputs), MOST_ROWS)).astype(np.int64))
    if isinstance(learnt, ConfidenceLearnt):
        return _estimate_confidence(learnt, [outputs[row] for row in chosen], rng)
    columns = {name: array[chosen] for name, array in flatten_columns(inputs).items()}
    return _estimate_loss(learnt, columns, [outputs[row] for row in chosen], rng)


def _learn_confidence(
    classes: Sequence[Any] | None, target: NDArray[Any], answers: Columns, rng: np.random.Generator
) -> ConfidenceLearnt:
    if "probabilities" not in answers:
        raise CannotEstimate(
            "The model answers without probabilities, and without them nothing tells how sure it is",
            hint="Register an estimator that has `predict_proba`",
        )
    probabilities = np.asarray(answers["probabilities"], dtype=np.float64)
    if classes is None or probabilities.ndim != 2 or probabilities.shape[1] != len(classes):
        raise CannotEstimate(
            f"The probabilities of the held-out rows have shape {probabilities.shape}, "
            f"and the model has {len(classes or ())} classes"
        )
    if len(classes) > MOST_CLASSES:
        raise CannotEstimate(f"The model has {len(classes)} classes; {MOST_CLASSES} are taken at most")
    labels, predicted = (
        class_codes(target.tolist(), classes),
        class_codes(answers["predictions"].tolist(), classes),
    )
    known = (labels >= 0) & (predicted >= 0) & np.isfinite(probabilities).all(axis=1)
    if int(known.sum()) < FEWEST_HELD_OUT:
        raise CannotEstimate(
            f"Only {int(known.sum())} held-out rows have a label and an answer that are classes of the model"
        )
    labels, predicted, probabilities = labels[known], predicted[known], probabilities[known]
    calibrator = fit_calibrator(probabilities, labels)
    resampled = resampled_calibrators(probabilities, labels, method=calibrator.method, n=_RESAMPLES, rng=rng)
    return ConfidenceLearnt(
        classes=tuple(classes),
        calibrator=calibrator,
        resampled=tuple(resampled),
        reference=classification_metrics(labels, predicted, probabilities),
        n=len(labels),
    )


def _learn_loss(
    inputs: Columns, target: NDArray[Any], answers: Columns, rng: np.random.Generator
) -> LossLearnt:
    predicted = np.asarray(answers["predictions"])
    if predicted.ndim != 1 or predicted.dtype.kind not in "biuf":
        raise CannotEstimate(
            f"The answers to the held-out rows are not one number a row but `{predicted.dtype}` "
            f"of shape {predicted.shape}"
        )
    numbers, actual = predicted.astype(np.float64), np.asarray(target, dtype=np.float64)
    model = fit_loss_model(flatten_columns(inputs), numbers, actual, rng=rng)
    return LossLearnt(model=model, reference=float(np.mean(np.abs(actual - numbers))), n=len(actual))


def _estimate_confidence(
    learnt: ConfidenceLearnt, outputs: Sequence[Mapping[str, Any]], rng: np.random.Generator
) -> EstimatedQuality:
    n_classes = len(learnt.classes)
    pairs = [(row.get("predictions"), row.get("probabilities")) for row in outputs]
    codes = class_codes([answer for answer, _ in pairs], learnt.classes)
    kept = [
        (code, chances)
        for code, (_, chances) in zip(codes.tolist(), pairs, strict=True)
        if code >= 0 and are_chances(chances, n_classes)
    ]
    _check_rows(len(kept), "probabilities of its classes")
    probabilities: Floats = np.array([chances for _, chances in kept], dtype=np.float64)
    predicted: Ints = np.array([code for code, _ in kept], dtype=np.int64)
    found = estimate_classification(learnt.calibrator, learnt.resampled, probabilities, predicted, rng=rng)
    metrics = []
    for name in METRICS:
        figure, reference = found[name], learnt.reference[name]
        if figure.value is None or figure.low is None or figure.high is None or np.isnan(reference):
            continue
        metrics.append(
            EstimatedMetric(
                name=name, value=figure.value, low=figure.low, high=figure.high, reference=reference
            )
        )
    return EstimatedQuality(
        method="cbpe",
        calibration=learnt.calibrator.method,
        n_rows=len(kept),
        reference_n=learnt.n,
        metrics=metrics,
    )


def _estimate_loss(
    learnt: LossLearnt, columns: Columns, outputs: Sequence[Mapping[str, Any]], rng: np.random.Generator
) -> EstimatedQuality:
    answers = np.array([as_number(row.get("predictions")) for row in outputs], dtype=np.float64)
    kept = np.isfinite(answers)
    _check_rows(int(kept.sum()), "a finite prediction")
    held = {name: column[kept] for name, column in columns.items()}
    found = estimate_loss(learnt.model, held, answers[kept], rng=rng)
    metric = EstimatedMetric(
        name="mae", value=found.value, low=found.low, high=found.high, reference=learnt.reference
    )
    return EstimatedQuality(method="dle", n_rows=int(kept.sum()), reference_n=learnt.n, metrics=[metric])


def _check_rows(n: int, what: str) -> None:
    if n < FEWEST_ROWS:
        raise CannotEstimate(f"{n} rows have {what}; an estimate needs {FEWEST_ROWS}")


def class_codes(values: Sequence[Any], classes: Sequence[Any]) -> Ints:
    """Give each value's index among the classes, -1 where it is none of them."""
    known = {value: code for code, value in enumerate(classes)}
    return np.array([_code(value, known) for value in values], dtype=np.int64)


def _code(value: Any, known: Mapping[Any, int]) -> int:
    return known.get(value, -1) if isinstance(value, (int, float, str)) else -1


def are_chances(values: Any, n: int) -> bool:
    """Tell whether a model answered with a probability for each class."""
    return (
        isinstance(values, (list, tuple))
        and len(values) == n
        and all(isinstance(value, (int, float)) and 0 <= value <= 1 for value in values)
    )


def as_number(value: Any) -> float:
    """Give an answer as a number; NaN if it is none."""
    return float(value) if isinstance(value, (int, float)) else np.nan
