"""What an estimate of quality is learnt from, and what it says when it cannot be made."""

from typing import Any

import numpy as np
import pytest

from noria.core.serialisation import to_builtins
from noria.monitoring.estimated.entities import ASSUMPTION
from noria.monitoring.estimated.learning import CannotEstimate, estimate, learn
from noria.monitoring.estimated.words import estimate_facts
from noria.registry.entities import Task

RNG = np.random.default_rng(0)
CHANCE = RNG.random(400)
LABELS = np.where(RNG.random(400) < CHANCE, "yes", "no")
ANSWERS = {
    "predictions": np.where(CHANCE > 0.5, "yes", "no"),
    "probabilities": np.column_stack([1 - CHANCE, CHANCE]),
}
INPUTS = {"x": CHANCE}


def _outputs(chance: np.ndarray) -> list[dict[str, Any]]:
    return [
        {"predictions": "yes" if one > 0.5 else "no", "probabilities": [1 - one, one]}
        for one in chance.tolist()
    ]


def test_an_estimate_says_what_it_supposes_wherever_it_goes() -> None:
    """The assumption is in the JSON form and among the lines of a terminal."""
    learnt = learn(Task.CLASSIFICATION, ["no", "yes"], INPUTS, LABELS, ANSWERS)
    found = estimate(learnt, {"x": CHANCE[:100]}, _outputs(CHANCE[:100]))

    assert {metric.name for metric in found.metrics} == {"accuracy", "f1", "roc_auc"}
    assert to_builtins(found)["assumption"] == ASSUMPTION
    assert ("supposes", ASSUMPTION) in estimate_facts(found)
    assert all(metric.low <= metric.value <= metric.high for metric in found.metrics)


def test_rows_that_do_not_fit_are_left_out() -> None:
    """Answers without probabilities, of a class that is not known, or that are not numbers do not count."""
    learnt = learn(Task.CLASSIFICATION, ["no", "yes"], INPUTS, LABELS, ANSWERS)
    bad: list[dict[str, Any]] = [
        {"predictions": "yes"},
        {"predictions": "perhaps", "probabilities": [0.5, 0.5]},
        {"predictions": None, "probabilities": [0.5, 0.5]},
        {"predictions": "yes", "probabilities": [None, 1.0]},
        {"predictions": "yes", "probabilities": [0.2, 0.3, 0.5]},
        {},
    ]
    found = estimate(learnt, {"x": np.zeros(36)}, [*_outputs(CHANCE[:30]), *bad])

    assert found.n_rows == 30
    with pytest.raises(CannotEstimate, match="0 rows have probabilities"):
        estimate(learnt, {"x": np.zeros(6)}, bad)


def test_numbers_are_estimated_by_a_model_of_the_loss() -> None:
    """The mean absolute error is in units of the target, with that of the held-out rows beside it."""
    target = RNG.normal(size=300) * 10
    learnt = learn(Task.REGRESSION, None, {"x": CHANCE[:300]}, target, {"predictions": np.zeros(300)})
    found = estimate(learnt, {"x": CHANCE[:50]}, [{"predictions": 0.0}] * 50)

    assert found.method == "dle"
    assert found.metrics[0].name == "mae"
    assert found.metrics[0].reference == pytest.approx(np.abs(target).mean())
    assert found.metrics[0].low < np.abs(target).mean() < found.metrics[0].high
    with pytest.raises(CannotEstimate, match="0 rows have a finite prediction"):
        estimate(learnt, {"x": CHANCE[:50]}, [{"predictions": None}] * 50)


@pytest.mark.parametrize(
    ("classes", "labels", "answers", "said"),
    [
        (["no", "yes"], LABELS[:99], ANSWERS, "at least 100 held-out rows, and there are 99"),
        (["no", "yes"], LABELS, {"predictions": ANSWERS["predictions"]}, "without probabilities"),
        (["no"], LABELS, ANSWERS, "shape \\(400, 2\\), and the model has 1 classes"),
        (None, LABELS, ANSWERS, "the model has 0 classes"),
        (["no", "yes"], np.full(400, "no"), ANSWERS, "one class"),
        (["a", "b"], LABELS, ANSWERS, "Only 0 held-out rows"),
    ],
)
def test_what_cannot_be_learnt_from_is_said(
    classes: list[str] | None, labels: np.ndarray, answers: dict[str, np.ndarray], said: str
) -> None:
    """Too few rows, no probabilities, classes that do not fit, and one class only."""
    with pytest.raises(CannotEstimate, match=said):
        learn(Task.CLASSIFICATION, classes, INPUTS, labels, answers)


def test_a_regression_with_several_answers_a_row_is_refused() -> None:
    """The message names the shape."""
    with pytest.raises(CannotEstimate, match=r"shape \(400, 2\)"):
        learn(Task.REGRESSION, None, INPUTS, CHANCE, {"predictions": np.zeros((400, 2))})
