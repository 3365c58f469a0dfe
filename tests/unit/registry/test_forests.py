"""Forests asked tree by tree give what scikit-learn gives, to the last bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from noria.registry.entities import Signature, TensorSpec
from noria.registry.runtimes.forests import Forest
from noria.registry.runtimes.sklearn import SklearnModel

N_COLUMNS = 4
_GENERATOR = np.random.default_rng(0)
X = _GENERATOR.normal(size=(400, N_COLUMNS))
NUMBER = X[:, 0] * 3 + X[:, 1] ** 2
CLASS = np.digitize(NUMBER, [-1.0, 0.0, 2.0])
NAMES = np.array(["low", "middle", "high", "highest"])[CLASS]
SIGNATURE = Signature(inputs=[TensorSpec(name="x", datatype="FP64", shape=[-1, N_COLUMNS])], outputs=[])

FORESTS: dict[str, Any] = {
    "classes": RandomForestClassifier(7, random_state=0).fit(X, CLASS),
    "named classes": RandomForestClassifier(7, random_state=0).fit(X, NAMES),
    "weighted classes": RandomForestClassifier(5, class_weight="balanced", random_state=0).fit(X, CLASS),
    "one class": RandomForestClassifier(3, random_state=0).fit(X, np.ones(len(X))),
    "on two threads": RandomForestClassifier(7, n_jobs=2, random_state=0).fit(X, CLASS),
    "extra trees": ExtraTreesClassifier(7, random_state=0).fit(X, CLASS),
    "numbers": RandomForestRegressor(7, random_state=0).fit(X, NUMBER),
    "counts": RandomForestRegressor(5, criterion="poisson", random_state=0).fit(X, CLASS),
    "monotonic": RandomForestRegressor(5, monotonic_cst=[1, 0, 0, 0], random_state=0).fit(X, NUMBER),
    "extra numbers": ExtraTreesRegressor(7, random_state=0).fit(X, NUMBER),
}
ROWS = hnp.arrays(
    st.sampled_from([np.float64, np.float32, np.int64, np.uint8, np.bool_]),
    st.tuples(st.integers(1, 40), st.just(N_COLUMNS)),
)


def told_by_scikit_learn(estimator: Any, rows: Any) -> dict[str, Any]:
    """Give what the public methods give, on one thread: threads add the trees up in any order."""
    alone = estimator.set_params(n_jobs=1) if "n_jobs" in estimator.get_params() else estimator
    told = {"predictions": alone.predict(rows)}
    return told | ({"probabilities": alone.predict_proba(rows)} if hasattr(alone, "predict_proba") else {})


def assert_same(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Compare values, types and shapes."""
    assert list(found) == list(wanted)
    for name, array in wanted.items():
        assert found[name].dtype == array.dtype, name
        np.testing.assert_array_equal(found[name], array, err_msg=name, strict=True)


@pytest.mark.parametrize("name", FORESTS)
def test_a_forest_gives_what_scikit_learn_gives(name: str) -> None:
    """Classes, probabilities and numbers of rows it was fitted to, and of new ones, are the same to the last bit."""
    forest = Forest.of(FORESTS[name])
    assert forest is not None
    for rows in (X, X[:1], _GENERATOR.normal(size=(500, N_COLUMNS)), np.asfortranarray(X[::3])):
        found = forest.predict(rows)
        assert found is not None
        assert_same(found, told_by_scikit_learn(FORESTS[name], rows))


@given(name=st.sampled_from(list(FORESTS)), rows=ROWS)
def test_whatever_a_matrix_holds_the_answer_is_scikit_learns(name: str, rows: Any) -> None:
    """A matrix of any numbers is answered alike, or left to scikit-learn, which refuses it."""
    found = FOREST_OF[name].predict(rows)
    with np.errstate(over="ignore"):
        is_finite = bool(np.isfinite(rows.astype(np.float32)).all())
    assert (found is not None) == is_finite
    if found is not None:
        assert_same(found, told_by_scikit_learn(FORESTS[name], rows))


FOREST_OF = {name: Forest(estimator) for name, estimator in FORESTS.items()}


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(np.array([[np.nan] * N_COLUMNS]), id="not a number"),
        pytest.param(np.array([[1e39] * N_COLUMNS]), id="too large for single precision"),
        pytest.param(np.zeros((1, N_COLUMNS + 1)), id="a column too many"),
        pytest.param(np.zeros((0, N_COLUMNS)), id="no rows"),
        pytest.param(np.zeros(N_COLUMNS), id="no matrix"),
        pytest.param(np.array([["a"] * N_COLUMNS], dtype=object), id="texts"),
    ],
)
def test_what_scikit_learn_may_refuse_is_left_to_it(rows: Any) -> None:
    """Such rows are not answered here."""
    assert Forest(FORESTS["classes"]).predict(rows) is None


@pytest.mark.parametrize(
    ("row", "words"),
    [([np.inf] * N_COLUMNS, "infinity"), ([0.0] * (N_COLUMNS + 1), "expecting 4 features")],
    ids=["infinity", "a column too many"],
)
def test_scikit_learn_says_what_it_refuses(row: list[float], words: str) -> None:
    """The model that is served raises what the estimator raises."""
    with pytest.raises(ValueError, match=words):
        SklearnModel(FORESTS["classes"], SIGNATURE).predict({"x": np.array([row])})


def test_missing_values_are_answered_by_a_forest_that_learned_from_them() -> None:
    """Rows with NaN get scikit-learn's answer where the trees know what to do with it."""
    holed = X.copy()
    holed[::5, 2] = np.nan
    estimator = RandomForestClassifier(5, random_state=0).fit(holed, CLASS)
    assert_same(
        SklearnModel(estimator, SIGNATURE).predict({"x": holed}), told_by_scikit_learn(estimator, holed)
    )


def test_many_rows_are_left_to_a_forest_with_threads() -> None:
    """With `n_jobs`, scikit-learn spreads many rows over threads; without, they are answered here too."""
    many = np.tile(X, (11, 1))
    assert Forest(RandomForestClassifier(3, n_jobs=2).fit(X, CLASS)).predict(many) is None
    assert Forest(RandomForestClassifier(3).fit(X, CLASS)).predict(many) is not None


class _OwnForest(RandomForestClassifier):  # type: ignore[misc]
    def predict(self, X: Any) -> Any:  # noqa: N803 - scikit-learn's name
        return np.zeros(len(X))


@pytest.mark.parametrize(
    "estimator",
    [
        RandomForestClassifier(3).fit(X, np.column_stack([CLASS, CLASS > 1])),
        RandomForestRegressor(3).fit(X, np.column_stack([NUMBER, -NUMBER])),
        DecisionTreeClassifier().fit(X, CLASS),
        _OwnForest(3).fit(X, CLASS),
        RandomForestClassifier(3),
    ],
    ids=["two outputs", "two numbers", "a tree", "own class", "not fitted"],
)
def test_other_estimators_are_no_forests(estimator: Any) -> None:
    """What predicts in another way is left alone."""
    assert Forest.of(estimator) is None


@pytest.mark.parametrize("last", ["classes", "numbers"])
def test_a_forest_behind_other_steps_sees_what_they_made(last: str) -> None:
    """A pipeline that ends with a forest gives what its own methods give."""
    kind = type(FORESTS[last])
    pipeline = make_pipeline(StandardScaler(), kind(5, random_state=0)).fit(
        X, CLASS if last == "classes" else NUMBER
    )
    assert_same(SklearnModel(pipeline, SIGNATURE).predict({"x": X}), told_by_scikit_learn(pipeline, X))


def test_a_sparse_matrix_is_left_to_scikit_learn() -> None:
    """A step before the forest may give a sparse matrix."""
    rounded = X.round()
    encoder = OneHotEncoder(handle_unknown="ignore")
    pipeline = make_pipeline(encoder, RandomForestClassifier(5, random_state=0)).fit(rounded, CLASS)
    assert_same(
        SklearnModel(pipeline, SIGNATURE).predict({"x": rounded}), told_by_scikit_learn(pipeline, rounded)
    )
