"""Estimates of classifiers without labels, held to scikit-learn, to drawn labels and to real rows."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from noria.core.errors import Invalid
from noria.core.stats.calibration import Calibrator, Curve, fit_calibrator, resampled_calibrators
from noria.core.stats.confidence import METRICS, classification_metrics, estimate_classification

AS_GIVEN = Calibrator(method="isotonic", curve=Curve(x=np.array([0.0, 1.0]), y=np.array([0.0, 1.0])))


@pytest.mark.parametrize("n_classes", [2, 4])
def test_metrics_are_those_of_scikit_learn(n_classes: int) -> None:
    """Accuracy, F1 and ROC AUC agree, with ties among the scores."""
    rng = np.random.default_rng(n_classes)
    labels = rng.integers(n_classes, size=500)
    scores = np.round(rng.dirichlet(np.ones(n_classes), 500) + np.eye(n_classes)[labels], 1)
    scores /= scores.sum(axis=1, keepdims=True)
    predicted = scores.argmax(axis=1)
    found = classification_metrics(labels, predicted, scores)
    several = n_classes > 2

    assert found["accuracy"] == pytest.approx(accuracy_score(labels, predicted))
    assert found["f1"] == pytest.approx(f1_score(labels, predicted, average="macro" if several else "binary"))
    ranked = np.mean([roc_auc_score(labels == c, scores[:, c]) for c in range(n_classes)])
    assert found["roc_auc"] == pytest.approx(ranked if several else roc_auc_score(labels, scores[:, 1]))


def test_estimates_are_what_drawn_labels_show_on_average() -> None:
    """With true probabilities, the mean of 4,000 draws of labels is the estimate; 95 % lie in the interval."""
    rng = np.random.default_rng(5)
    chance = rng.beta(0.5, 0.7, size=300)
    probabilities = np.column_stack([1 - chance, chance])
    predicted = (chance > 0.5).astype(np.int64)
    found = estimate_classification(AS_GIVEN, [AS_GIVEN] * 2000, probabilities, predicted, rng=rng)
    drawn = [
        classification_metrics((rng.random(300) < chance).astype(np.int64), predicted, probabilities)
        for _ in range(4000)
    ]

    for name in METRICS:
        values = np.array([draw[name] for draw in drawn])
        figure = found[name]
        assert figure.value == pytest.approx(values.mean(), abs=0.003)
        assert figure.low is not None
        assert figure.high is not None
        assert np.mean((values >= figure.low) & (values <= figure.high)) == pytest.approx(0.95, abs=0.02)


def test_estimates_follow_a_shift_of_inputs_and_not_one_of_the_concept() -> None:
    """On rows near the border accuracy falls and the estimate with it; labels that are turned round it does not see."""
    x, y = load_breast_cancer(return_X_y=True)
    rng = np.random.default_rng(0)
    x = x[:, :2] + rng.normal(scale=0.5, size=(len(x), 2))  # two of thirty columns: a model that errs
    order = rng.permutation(len(y))
    train, held, live = np.split(order, [150, 330])
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(x[train], y[train])
    known = model.predict_proba(x[held])
    calibrator = fit_calibrator(known, y[held])
    resampled = resampled_calibrators(known, y[held], method=calibrator.method, n=200, rng=rng)

    def told(rows: np.ndarray) -> tuple[float, float, float]:
        scores = model.predict_proba(x[rows])
        figure = estimate_classification(calibrator, resampled, scores, scores.argmax(axis=1), rng=rng)[
            "accuracy"
        ]
        assert figure.value is not None
        assert figure.low is not None
        assert figure.high is not None
        return figure.value, figure.low, figure.high

    def true(rows: np.ndarray, labels: np.ndarray) -> float:
        return float(np.mean(model.predict(x[rows]) == labels[rows]))

    unsure = np.argsort(np.abs(model.predict_proba(x[live])[:, 1] - 0.5))
    near = live[unsure[:100]]
    quiet, shifted = told(live), told(near)
    assert quiet[0] == pytest.approx(true(live, y), abs=0.06)
    assert shifted[0] == pytest.approx(true(near, y), abs=0.1)
    assert true(near, y) < true(live, y) - 0.1
    assert shifted[0] < quiet[0] - 0.1

    turned = np.where(np.arange(len(y)) % 2, y, 1 - y)  # every second label is the other class
    assert told(live)[0] == quiet[0]
    assert true(live, turned) < quiet[1] - 0.1


def test_ten_classes_are_estimated() -> None:
    """On the digits the estimates are some hundredths from the true figures."""
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(4).permutation(len(y))
    train, held, live = np.split(order, [300, 900])
    model = LogisticRegression(C=1e-4, max_iter=200).fit(x[train], y[train])
    known = model.predict_proba(x[held])
    calibrator = fit_calibrator(known, y[held])
    rng = np.random.default_rng(1)
    resampled = resampled_calibrators(known, y[held], method=calibrator.method, n=100, rng=rng)
    scores = model.predict_proba(x[live])
    predicted = scores.argmax(axis=1)
    found = estimate_classification(calibrator, resampled, scores, predicted, rng=rng)
    true = classification_metrics(y[live], predicted, scores)

    for name in METRICS:
        # Three standard errors of what 600 rows are told of 897.
        assert found[name].value == pytest.approx(true[name], abs=0.06)


def test_a_metric_that_is_not_defined_is_not_given() -> None:
    """Rows that are all certainly negative have an accuracy, and no ROC AUC."""
    probabilities = np.tile([1.0, 0.0], (50, 1))
    rng = np.random.default_rng(0)
    found = estimate_classification(AS_GIVEN, [AS_GIVEN] * 20, probabilities, np.zeros(50, np.int64), rng=rng)

    assert found["accuracy"].value == 1.0
    assert found["roc_auc"].value is None
    assert found["f1"].value is None


def test_no_rows_and_no_resamples_are_refused() -> None:
    """The message says which."""
    rng = np.random.default_rng(0)
    with pytest.raises(Invalid, match="0 answers"):
        estimate_classification(AS_GIVEN, [AS_GIVEN], np.empty((0, 2)), np.empty(0, np.int64), rng=rng)
    with pytest.raises(Invalid, match="resamples"):
        estimate_classification(AS_GIVEN, [], np.full((3, 2), 0.5), np.zeros(3, np.int64), rng=rng)
