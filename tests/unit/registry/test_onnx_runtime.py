"""The ONNX form beside a scikit-learn estimator: made when it can be, kept when proven equal, and only then served."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from noria.registry.entities import ServableVersion, Signature, Task
from noria.registry.equality import TOLERANCE, Equality, read_equality
from noria.registry.proving import PROOF_ROWS, ProofRows, compare, proof_rows, split_points
from noria.registry.runtimes import onnx
from noria.registry.runtimes.onnx_conversion import can_convert, put_beside
from noria.registry.runtimes.port import load_model
from noria.registry.runtimes.sklearn import FILE, SklearnModel, save_estimator
from noria.registry.runtimes.xgboost import XgboostModel
from noria.registry.signatures import infer_signature
from support.model_versions import made_version

X, Y = load_iris(return_X_y=True)
TEXTS = np.array(["red", "green"])[Y % 2]
MIXED = make_pipeline(
    ColumnTransformer([("n", StandardScaler(), [0, 1]), ("t", OneHotEncoder(), [2])]), LogisticRegression()
)
FITTED: dict[str, tuple[Any, dict[str, Any], Any]] = {
    "texts as classes": (LogisticRegression(max_iter=1000), {"x": X}, TEXTS),
    "truth values as classes": (DecisionTreeClassifier(max_depth=3), {"x": X}, Y == 1),
    "named columns": (
        make_pipeline(StandardScaler(), RandomForestClassifier(5, random_state=0)),
        {f"c{i}": X[:, i] for i in range(4)},
        Y,
    ),
    "an image and a number": (
        GradientBoostingRegressor(n_estimators=3),
        {"image": X[:, :3].reshape(-1, 3, 1).astype(np.float32), "n": np.arange(150)},
        X[:, 3],
    ),
    "texts and numbers": (MIXED, {"a": X[:, 0], "b": X[:, 1], "colour": TEXTS}, Y),
}


def put(name: str, folder: Path) -> tuple[SklearnModel, dict[str, Any], ServableVersion, Equality]:
    """Fit an estimator, save it with its ONNX form, and give its version."""
    estimator, inputs, target = FITTED[name]
    bare = SklearnModel(estimator, Signature(inputs=infer_signature(inputs, {}).inputs, outputs=[]))
    estimator.fit(bare.rows(inputs), target)
    signature = infer_signature(inputs, bare.predict(inputs))
    save_estimator(estimator, folder / FILE)
    found = put_beside(bare, signature, inputs, folder)
    return bare, inputs, made_version(signature), found


@pytest.mark.parametrize("name", FITTED)
def test_an_equal_form_answers_as_the_estimator(name: str, tmp_path: Path) -> None:
    """Whatever the inputs and classes are: labels are the same, numbers within the tolerance, types the signature's."""
    native, inputs, version, found = put(name, tmp_path)
    fast, exact = load_model(tmp_path, version, fast=True), load_model(tmp_path, version)
    expected = native.predict(inputs)

    assert (found.equal, found.reason, read_equality(tmp_path)) == (True, None, found)
    assert found.n_rows - found.n_threshold_rows == PROOF_ROWS
    assert (fast.engine, exact.engine) == (onnx.ENGINE, "native")
    asked = (slice(None), slice(1), slice(100, 101))
    # All are asked before any is looked at: an answer stays what it is when others follow.
    answers = [fast.predict({key: array[rows] for key, array in inputs.items()}) for rows in asked]
    for rows, given in zip(asked, answers, strict=True):
        assert given.keys() == expected.keys()
        for key, array in given.items():
            assert array.dtype.kind == expected[key].dtype.kind
            assert key != "probabilities" or array.max() <= 1.0
            if array.dtype.kind == "f":
                np.testing.assert_allclose(array, expected[key][rows], rtol=TOLERANCE, atol=TOLERANCE)
            else:
                np.testing.assert_array_equal(array, expected[key][rows])
    np.testing.assert_array_equal(fast.features(inputs), native.features(inputs))


@pytest.mark.parametrize(
    ("estimator", "says"),
    [
        # The converter divides by a sum that may be nothing, and takes other neighbours where two are as near.
        (SGDClassifier(loss="log_loss", random_state=0), "get another label"),
        (KNeighborsRegressor(algorithm="ball_tree", metric="manhattan"), "largest error"),
        (KNeighborsRegressor(metric="canberra"), "no form in ONNX"),
    ],
)
def test_a_form_that_differs_is_not_kept(estimator: Any, says: str, tmp_path: Path) -> None:
    """The figures and the reason are written, and the estimator itself answers."""
    native = SklearnModel(estimator.fit(X, Y), infer_signature({"x": X}, {}))
    signature = infer_signature({"x": X}, native.predict({"x": X}))
    save_estimator(estimator, tmp_path / FILE)
    found = put_beside(native, signature, {"x": X}, tmp_path)

    assert not found.equal
    assert says in (found.reason or "")
    assert read_equality(tmp_path) == found
    assert not (tmp_path / onnx.FILE).exists()
    assert load_model(tmp_path, made_version(signature), fast=True).engine == "native"


def test_what_cannot_be_read_or_run_leaves_the_estimator(tmp_path: Path) -> None:
    """A graph that the engine refuses, and figures that are none, are passed over."""
    _, inputs, version, _ = put("texts as classes", tmp_path)
    (tmp_path / onnx.FILE).write_bytes(b"no graph")
    native = load_model(tmp_path, version, fast=True)
    assert native.engine == "native"
    assert len(native.predict(inputs)["predictions"]) == len(X)
    (tmp_path / "equality.json").write_bytes(b"{")
    assert read_equality(tmp_path) is None
    assert load_model(tmp_path, version, fast=True).engine == "native"


def test_rows_stand_on_both_sides_of_every_split(tmp_path: Path) -> None:
    """The threshold and its neighbours in double and single precision are there, also where a scaler comes first."""
    tree = DecisionTreeClassifier(max_depth=2).fit(X, Y)
    signature = infer_signature({"x": X}, {})
    columns, values = split_points(tree)
    rows = proof_rows(SklearnModel(tree, signature), signature, {"x": X})
    near = rows.inputs["x"][-rows.n_threshold_rows :]
    for column, value in zip(columns, values, strict=True):
        assert {value, np.nextafter(value, -9), np.nextafter(value, 9)} <= set(near[:, column])

    scaled = make_pipeline(StandardScaler(), DecisionTreeClassifier(max_depth=1)).fit(X, Y)
    rows = proof_rows(SklearnModel(scaled, signature), signature, {"x": X})
    (column,), (value,) = split_points(scaled)
    # The first three are the double just below the crossing and its neighbours: the answer turns between them.
    beside = np.sort(rows.inputs["x"][-rows.n_threshold_rows :][:3], axis=0)
    assert set(scaled[:-1].transform(beside)[:, column] <= value) == {True, False}


def test_figures_are_those_of_a_plain_count() -> None:
    """Flips and errors are counted row by row; what is a number on one side only is no small error."""
    counted = ProofRows(inputs={}, n_rows=4, n_threshold_rows=0)
    before = {"predictions": np.array([1, 2, 3, 3]), "probabilities": np.array([[0.5], [0.1], [0.2], [0.3]])}
    after = {"predictions": np.array([1, 3, 3, 3]), "probabilities": np.array([[0.5], [0.1], [0.2], [0.4]])}
    found = compare(before, after, counted, datatype="FP32", made_with={})
    assert (found.n_label_flips, found.label_flip_rate, found.equal) == (1, 0.25, False)
    assert found.largest_error == pytest.approx(0.1)
    numbers, missing = {"predictions": np.array([10.0, 20.0])}, {"predictions": np.array([10.0, np.nan])}
    assert compare(numbers, missing, counted, datatype="FP32", made_with={}).largest_error >= 1e300
    close = {"predictions": np.array([10.0, 20.0 + 1e-4])}
    found = compare(numbers, close, counted, datatype="FP32", made_with={})
    assert (found.equal, found.n_label_flips) == (True, 0)
    assert found.largest_relative_error == pytest.approx(5e-6)


def boosted(kind: str, x: Any, folder: Path) -> tuple[XgboostModel, Any, ServableVersion, Equality]:
    """Fit a booster, save it with its ONNX form if that is equal, and give its version and inputs."""
    few: dict[str, Any] = {"n_estimators": 30, "n_jobs": 1}
    model, target = {
        "classes": (xgboost.XGBClassifier(**few), Y),
        "two": (xgboost.XGBClassifier(**few), Y > 0),
        "numbers": (xgboost.XGBRegressor(**few), X[:, 3]),
        "stopped": (xgboost.XGBRegressor(**few, early_stopping_rounds=1, learning_rate=1.9), X[:, 3]),
        "linear": (xgboost.XGBRegressor(**few, booster="gblinear"), X[:, 3]),
    }[kind]
    inputs = x if isinstance(x, dict) else {"x": x}
    rows = np.column_stack(list(inputs.values())) if isinstance(x, dict) else x
    checked = {"eval_set": [(rows[::3], target[::3])], "verbose": False} if kind == "stopped" else {}
    native = XgboostModel.save(model.fit(rows, target, **checked), folder, infer_signature(inputs, {}).inputs)
    signature = infer_signature(inputs, native.predict(inputs))
    found = put_beside(native, signature, inputs, folder)
    task = Task.REGRESSION if native.classes is None else Task.CLASSIFICATION
    return native, inputs, made_version(signature, "xgboost", task=task, classes=native.classes), found


@pytest.mark.parametrize(
    ("kind", "x"),
    [
        ("classes", np.where(X > 6, np.nan, X)),
        ("two", X),
        ("numbers", {f"c{index}": X[:, index] for index in range(3)}),
        ("stopped", X[:, :3]),
    ],
)
def test_a_booster_of_xgboost_has_an_equal_form(kind: str, x: Any, tmp_path: Path) -> None:
    """Classes, truth values, numbers, missing values, named columns, and trees beyond the best are answered alike."""
    native, inputs, version, found = boosted(kind, x, tmp_path)
    assert (found.equal, found.reason) == (True, None)
    assert found.n_threshold_rows > 50
    fast = load_model(tmp_path, version, fast=True)
    assert (fast.engine, load_model(tmp_path, version).engine) == (onnx.ENGINE, "native")
    given, expected = fast.predict(inputs), native.predict(inputs)
    assert given.keys() == expected.keys()
    for key, array in given.items():
        assert array.dtype == expected[key].dtype
        np.testing.assert_allclose(array, expected[key], rtol=TOLERANCE, atol=TOLERANCE)
    np.testing.assert_array_equal(fast.features(inputs), native.features(inputs))


@pytest.mark.filterwarnings("ignore:.*gblinear.*")
def test_a_booster_without_such_a_form_answers_itself(tmp_path: Path) -> None:
    """One without trees has none, and one whose columns stand in another order is not converted."""
    _, _, version, found = boosted("linear", X[:, :3], tmp_path)
    assert "no form in ONNX" in (found.reason or "")
    assert load_model(tmp_path, version, fast=True).engine == "native"
    data = xgboost.DMatrix(X[:, 1::-1], label=X[:, 3], feature_names=["b", "a"])
    booster = xgboost.train({"nthread": 1}, data, 2)
    columns = {"a": X[:, 0], "b": X[:, 1]}
    native = XgboostModel.save(booster, tmp_path, infer_signature(columns, {}).inputs)
    found = put_beside(native, infer_signature(columns, native.predict(columns)), columns, tmp_path)
    assert "another order" in (found.reason or "")


def test_the_extra_is_there() -> None:
    """These tests would show nothing without it."""
    nothing = Signature(inputs=[], outputs=[])
    assert can_convert(SklearnModel(LogisticRegression(), nothing))
