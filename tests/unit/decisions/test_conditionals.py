"""Which conditional held is told by the answers of a model, whatever it knows of the labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from noria.decisions.stages.conditionals import Followed, apart_within_labels, followed
from noria.decisions.stages.decomposition import Sides, decomposition

N = 6000


def world(noise: float, rng: np.random.Generator) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Draw inputs, a number that follows two of them, and what a model that is right on average answers."""
    x = rng.normal(size=(N, 3))
    answer = x[:, 0] + x[:, 1]
    return x, answer + noise * rng.normal(size=N), answer


def kept(change: str, x: NDArray[Any], y: NDArray[Any], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Choose live rows: by an input, by the label, or at random."""
    live = np.arange(N) >= N // 2
    if change == "covariate":
        return live & ((x[:, 0] > 0) | (rng.random(N) < 0.1))
    if change == "label":
        return live & ((y > 0) | (rng.random(N) < 0.1))
    return live


@pytest.mark.parametrize("noise", [1.0, 2.0])
@pytest.mark.parametrize("change", ["covariate", "label", "neither"])
@pytest.mark.parametrize("classifies", [True, False])
def test_what_held_is_told(change: str, classifies: bool, noise: float) -> None:
    """Rows chosen by an input, rows chosen by their label, and labels that moved alone, from 1,000 live rows."""
    rng = np.random.default_rng(1)
    x, y, answer = world(noise, rng)
    now = np.flatnonzero(kept(change, x, y, rng))[:1000]
    then = np.arange(N // 2)
    if change == "neither":
        y[now] += 0.8
    labels, answers = y, answer[:, None]
    if classifies:
        labels = np.where(y > 0, "yes", "no")
        share = 1 / (1 + np.exp(-1.7 * answer / max(noise, 0.5)))
        answers = np.column_stack([1 - share, share])

    found = followed(answers[then], answers[now], labels[then], labels[now])

    assert found is not None
    assert found.says == change
    assert 0 < found.implied < 1


def test_a_model_that_makes_no_mistakes_cannot_tell() -> None:
    """Then what inputs imply and what labels imply is the same."""
    rng = np.random.default_rng(2)
    x, y, answer = world(0.0, rng)
    now = np.flatnonzero(kept("covariate", x, y, rng))[:300]

    found = followed(answer[: N // 2, None], answer[now, None], y[: N // 2], y[now])

    assert found is not None
    assert found.says == "either"


def test_scores_within_labels_tell_rows_that_were_chosen_by_inputs() -> None:
    """By a side of the same class; rows chosen by their label alone are like those of training."""
    rng = np.random.default_rng(3)
    x, y, _ = world(1.0, rng)
    labels = np.where(y > 0, "yes", "no")
    then = np.arange(N // 2)

    for change, is_apart in (("covariate", True), ("label", False)):
        now = np.flatnonzero(kept(change, x, y, rng))[:300]
        assert (apart_within_labels(x[then, 0], x[now, 0], labels[then], labels[now]) > 3) == is_apart


def test_what_cannot_be_measured_is_not() -> None:
    """Few rows, classes that training did not have, and labels that did not move."""
    rng = np.random.default_rng(4)
    answers = rng.random((200, 2))
    labels = np.where(rng.random(200) > 0.5, "a", "b")

    assert followed(answers, answers[:10], labels, labels[:10]) is None
    assert followed(answers, answers, labels, np.full(200, "c")) is None
    assert followed(answers, answers, labels, labels) is None


def test_among_very_many_rows_the_nearest_is_taken() -> None:
    """No conditional holds to the last digit."""
    off = {"past_labels": 30.0, "past_inputs": 5.0, "past_nothing": 40.0}

    assert Followed(move=1.0, implied=0.4, followed=0.96, **off).says == "covariate"
    assert Followed(move=1.0, implied=0.4, followed=0.02, **off).says == "neither"


def test_rows_chosen_by_an_input_are_no_drift_of_labels() -> None:
    """Though the mix of labels changed, and training rows in that mix look nearly like them."""
    rng = np.random.default_rng(5)
    x, y, answer = world(1.0, rng)
    then, now = np.arange(N // 2), np.flatnonzero(kept("covariate", x, y, rng))[:500]
    loss = np.abs(y - answer)

    found = decomposition(
        Sides(
            reference=x[then],
            current=x[now],
            reference_loss=loss[then],
            loss=loss[now],
            reference_labels=y[then],
            labels=y[now],
            labelled=np.arange(len(now)),
            reference_answers=answer[then, None],
            answers=answer[now, None],
        )
    )

    assert found.verdict == "covariate"
    assert found.figures["followed"] > found.figures["implied"] + 0.2
