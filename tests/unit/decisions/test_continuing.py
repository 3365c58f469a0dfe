"""Fitted models trained on from where they stand: what they know of old rows stays, and new rows are learned."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression, SGDClassifier, SGDRegressor
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from noria.core.errors import Invalid
from noria.decisions.continuing import continued

rng = np.random.default_rng(3)
X = rng.normal(size=(600, 3))
NEW = rng.normal(size=(400, 3)) + np.array([4.0, 0.0, 0.0])
"""New rows lie beside the old ones."""


def classes(x: Any, *, moved: float) -> Any:
    """Tell whether the second column is above 0, where the first is small; above a moved threshold where it is not."""
    return (x[:, 1] > np.where(x[:, 0] > 2, moved, 0.0)).astype(int)


def numbers(x: Any, *, moved: float) -> Any:
    return x[:, 1] + np.where(x[:, 0] > 2, moved, 0.0)


CLASSIFIERS = [
    make_pipeline(StandardScaler(), MLPClassifier((16,), max_iter=80, random_state=0)),
    make_pipeline(StandardScaler(), SGDClassifier(loss="log_loss", random_state=0)),
    GaussianNB(),
    RandomForestClassifier(40, random_state=0),
    GradientBoostingClassifier(n_estimators=60, random_state=0),
]
REGRESSORS = [
    make_pipeline(StandardScaler(), SGDRegressor(random_state=0)),
    ExtraTreesRegressor(40, random_state=0),
    GradientBoostingRegressor(n_estimators=60, random_state=0),
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "estimator", CLASSIFIERS, ids=lambda e: type(getattr(e, "steps", [("", e)])[-1][1]).__name__
)
def test_a_classifier_learns_new_rows(estimator: Any) -> None:
    """It answers new rows better than before, and still knows the same classes."""
    estimator.fit(X, classes(X, moved=0.0))
    truth = classes(NEW, moved=1.0)
    before = (estimator.predict(NEW[200:]) == truth[200:]).mean()
    found = continued(estimator, NEW[:200], truth[:200])
    after = (found.predict(NEW[200:]) == truth[200:]).mean()

    assert after > before + 0.03, (before, after)
    assert found.classes_.tolist() == [0, 1]


@pytest.mark.parametrize(
    "estimator", REGRESSORS, ids=lambda e: type(getattr(e, "steps", [("", e)])[-1][1]).__name__
)
def test_a_regression_learns_new_rows(estimator: Any) -> None:
    """The error on new rows falls."""
    estimator.fit(X, numbers(X, moved=0.0))
    truth = numbers(NEW, moved=5.0)
    before = np.abs(estimator.predict(NEW[200:]) - truth[200:]).mean()
    found = continued(estimator, NEW[:200], truth[:200])
    after = np.abs(found.predict(NEW[200:]) - truth[200:]).mean()

    assert after < 0.8 * before, (before, after)


def test_an_ensemble_keeps_its_old_trees() -> None:
    """The first trees are the same objects; a quarter as many, at least ten, come behind boosted ones."""
    fitted = GradientBoostingClassifier(n_estimators=60, random_state=0).fit(X, classes(X, moved=0.0))
    old = fitted.estimators_.ravel().tolist()
    found = continued(fitted, NEW, classes(NEW, moved=1.0))

    assert found.estimators_.ravel().tolist()[:60] == old
    assert found.n_estimators == 75


@pytest.mark.parametrize(
    ("estimator", "labels", "words"),
    [
        (LogisticRegression(), classes(NEW, moved=0.0), "A `LogisticRegression` cannot be trained on"),
        (
            HistGradientBoostingClassifier(max_iter=5),
            classes(NEW, moved=0.0),
            "`HistGradientBoostingClassifier`",
        ),
        (
            RandomForestClassifier(5, random_state=0),
            np.zeros(400, dtype=int),
            "of the class 1, which it would forget",
        ),
    ],
)
def test_what_cannot_be_trained_on_says_so(estimator: Any, labels: Any, words: str) -> None:
    """Models that end where a new fit would, that bin columns anew, or that would lose a class."""
    estimator.fit(X, classes(X, moved=0.0))
    with pytest.raises(Invalid, match=words):
        continued(estimator, NEW, labels)
