"""Metrics of episodes against scikit-learn's: of windows, and of rows that average to them."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from noria.decisions.replay.metrics import Metric
from noria.decisions.replay.outputs import Predicted

RNG = np.random.default_rng(0)
N = 200


def classified(n_classes: int) -> tuple[np.ndarray[tuple[int], np.dtype[np.str_]], Predicted]:
    """Give labels and answers that are better than chance, with ties."""
    classes = np.array([f"c{number}" for number in range(n_classes)])
    codes = RNG.integers(0, n_classes, N)
    shares = np.round(RNG.dirichlet(np.ones(n_classes), N) + 0.4 * np.eye(n_classes)[codes], 1)
    shares /= shares.sum(axis=1, keepdims=True)
    answers = Predicted(values=classes[shares.argmax(axis=1)], shares=shares, classes=classes)
    return classes[codes], answers


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("accuracy", lambda y, p: 1 - metrics.accuracy_score(y, p.values)),
        ("balanced_accuracy", lambda y, p: 1 - metrics.balanced_accuracy_score(y, p.values)),
        ("roc_auc", lambda y, p: 1 - metrics.roc_auc_score(y == "c1", p.shares[:, 1])),
        ("log_loss", lambda y, p: metrics.log_loss(y, p.shares)),
    ],
)
def test_losses_of_rows_average_to_the_loss_of_two_classes(name: str, expected: object) -> None:
    """The mean row loss is the window's loss, and both are scikit-learn's."""
    actual, predicted = classified(2)
    metric = Metric(name, classifies=True)

    assert metric.loss(actual, predicted) == pytest.approx(expected(actual, predicted))  # type: ignore[operator]
    assert metric.rows(actual, predicted).mean() == pytest.approx(metric.loss(actual, predicted))


@pytest.mark.parametrize("name", ["accuracy", "roc_auc", "roc_auc_ovr", "log_loss", "balanced_accuracy"])
def test_losses_of_rows_average_to_the_loss_of_many_classes(name: str) -> None:
    """Also where each class is set against the others."""
    actual, predicted = classified(4)
    metric = Metric(name, classifies=True)

    assert metric.rows(actual, predicted).mean() == pytest.approx(metric.loss(actual, predicted))


@pytest.mark.parametrize("name", ["accuracy", "balanced_accuracy", "roc_auc", "log_loss"])
@pytest.mark.parametrize("share", [0.5, 0.15])
def test_losses_of_rows_vary_as_the_loss_of_windows_does(name: str, share: float) -> None:
    """The standard error that row losses give is how far the losses of drawn windows scatter."""
    rng = np.random.default_rng(1)
    metric, classes = Metric(name, classifies=True), np.array(["c0", "c1"])
    losses, errors = [], []
    for _ in range(400):
        codes = (rng.random(N) < share).astype(int)
        one = 1 / (1 + np.exp(-rng.normal(2.0 * codes - 1.0, 1.0)))
        shares = np.column_stack([1 - one, one])
        answers = Predicted(values=classes[shares.argmax(axis=1)], shares=shares, classes=classes)
        rows = metric.rows(classes[codes], answers)
        losses.append(rows.mean())
        errors.append(rows.std(ddof=1) / np.sqrt(N))

    assert np.mean(errors) == pytest.approx(np.std(losses), rel=0.15)


@pytest.mark.parametrize(
    "name", ["accuracy", "roc_auc", "log_loss", "brier_score_loss", "f1", "average_precision"]
)
def test_worse_answers_have_higher_row_losses(name: str) -> None:
    """Whatever a metric counts, its row losses rise when answers become worse."""
    actual, predicted = classified(2)
    assert predicted.shares is not None
    assert predicted.classes is not None
    shares = predicted.shares[RNG.permutation(N)]
    worse = Predicted(
        values=predicted.classes[shares.argmax(axis=1)], shares=shares, classes=predicted.classes
    )
    metric = Metric(name, classifies=True)

    assert metric.loss(actual, worse) > metric.loss(actual, predicted)
    assert metric.rows(actual, worse).mean() > metric.rows(actual, predicted).mean()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mae", metrics.mean_absolute_error),
        ("mse", metrics.mean_squared_error),
        ("rmse", metrics.root_mean_squared_error),
        ("mape", metrics.mean_absolute_percentage_error),
    ],
)
def test_losses_of_numbers(name: str, expected: object) -> None:
    """The loss is scikit-learn's; a difference of mean row losses is turned into one of the loss."""
    actual = RNG.gamma(2, 2, N) + 1
    near, far = (Predicted(values=actual + RNG.normal(0, size, N)) for size in (0.3, 1.0))
    metric = Metric(name, classifies=False)
    rows = [metric.rows(actual, answers).mean() for answers in (near, far)]

    assert metric.loss(actual, near) == pytest.approx(expected(actual, near.values))  # type: ignore[operator]
    assert metric.in_loss(rows[1] - rows[0], rows[0]) == pytest.approx(
        metric.loss(actual, far) - metric.loss(actual, near)
    )
