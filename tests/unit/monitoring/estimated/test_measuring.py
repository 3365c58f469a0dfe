"""What labels say of answers whose quality was estimated."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import accuracy_score, f1_score, mean_absolute_error, roc_auc_score

from noria.monitoring.estimated.entities import LabelledQuality
from noria.monitoring.estimated.measuring import labelled_quality
from noria.registry.entities import Signature, Task
from noria.serving.label_trust import LabelTrust
from noria.serving.predictions import CapturedRow, Label, Prediction
from support.model_versions import made_version

AT = datetime(2030, 1, 1, tzinfo=UTC)
RNG = np.random.default_rng(11)
CLASSES = made_version(Signature(inputs=[], outputs=[]), classes=["no", "yes"])
NUMBERS = made_version(Signature(inputs=[], outputs=[]), task=Task.REGRESSION)


def row(place: int, outputs: dict[str, Any], label: Any = None, **known: Any) -> CapturedRow:
    trust = known.pop("trust", LabelTrust.TRUSTED)
    given = None
    if label is not None:
        given = Label(
            prediction_id=f"p{place}",
            value=label,
            at=AT,
            source=None,
            position=place,
            n_contradictions=0,
            trust=trust,
        )
    made = Prediction(id=f"p{place}", at=AT, inputs={}, outputs=outputs, **{"version": 1, **known})
    return CapturedRow(position=place, prediction=made, label=given)


def sure(chance: float) -> dict[str, Any]:
    return {"predictions": "yes" if chance > 0.5 else "no", "probabilities": [1 - chance, chance]}


def figures(found: LabelledQuality | None) -> dict[str, float]:
    assert found is not None
    return {metric.name: metric.value for metric in found.metrics}


def test_classes_are_measured_as_scikit_learn_does() -> None:
    """Accuracy with Wilson's interval as SciPy has it, F1 and ROC AUC."""
    chances = RNG.random(80).tolist()
    labels = np.where(RNG.random(80) < chances, "yes", "no").tolist()
    rows = [
        row(i, sure(chance), label) for i, (chance, label) in enumerate(zip(chances, labels, strict=True))
    ]
    found = labelled_quality(CLASSES, rows)
    answers = [sure(chance)["predictions"] for chance in chances]

    assert figures(found) == pytest.approx(
        {
            "accuracy": accuracy_score(labels, answers),
            "f1": f1_score(labels, answers, pos_label="yes"),
            "roc_auc": roc_auc_score([label == "yes" for label in labels], chances),
        }
    )
    assert found is not None
    right = sum(label == answer for label, answer in zip(labels, answers, strict=True))
    wilson = stats.binomtest(right, 80).proportion_ci(method="wilson")
    accuracy = found.metrics[0]
    assert (found.n_labels, accuracy.low, accuracy.high) == (
        80,
        *map(pytest.approx, (wilson.low, wilson.high)),
    )


def test_numbers_are_measured_in_units_of_the_target() -> None:
    """The mean absolute error with Student's interval as SciPy has it; what is no number does not count."""
    answers, labels = RNG.normal(size=50), RNG.normal(size=50)
    rows = [
        row(i, {"predictions": float(answer)}, float(label))
        for i, (answer, label) in enumerate(zip(answers, labels, strict=True))
    ]
    odd = [row(90, {"predictions": None}, 1.0), row(91, {"predictions": 1.0}, "many"), row(92, {}, 1.0)]
    found = labelled_quality(NUMBERS, [*rows, *odd])
    errors = np.abs(answers - labels)
    student = stats.t.interval(0.95, 49, loc=errors.mean(), scale=stats.sem(errors))

    assert found is not None
    (metric,) = found.metrics
    assert (found.n_labels, metric.name) == (50, "mae")
    assert metric.value == pytest.approx(mean_absolute_error(labels, answers))
    assert (metric.low, metric.high) == pytest.approx(student)


def test_only_trusted_labels_of_the_version_count() -> None:
    """Not those of a public button, of another version, of what it failed to answer, nor of rows without a label."""
    good = [row(i, sure(0.9), "yes") for i in range(20)]
    others = [
        row(30, sure(0.9), "no", trust=LabelTrust.UNTRUSTED),
        row(31, sure(0.9), "no", version=2),
        row(32, sure(0.9), "no", error="it broke"),
        row(33, sure(0.9)),
        row(34, {"predictions": "yes"}, "no"),
    ]

    assert figures(labelled_quality(CLASSES, [*good, *others])) == {"accuracy": 1.0, "f1": 1.0}
    assert labelled_quality(CLASSES, [*good[1:], *others]) is None


def test_a_label_that_was_never_learnt_is_an_answer_that_was_wrong() -> None:
    """It is not left out, which would make the model look better than it is."""
    rows = [row(i, sure(0.9), "yes" if i < 15 else "perhaps") for i in range(20)]

    assert figures(labelled_quality(CLASSES, rows))["accuracy"] == 0.75
