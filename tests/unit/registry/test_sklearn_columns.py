"""Estimators that were fitted on frames: they know their columns by name, and some pick them by it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from noria.core.errors import Invalid
from noria.registry.runtimes.onnx_conversion import put_beside
from noria.registry.runtimes.port import load_model
from noria.registry.runtimes.sklearn import SklearnModel
from noria.registry.signatures import infer_signature
from support.model_versions import made_version

RANDOM = np.random.default_rng(3)
COLUMNS: dict[str, Any] = {
    "age": RANDOM.integers(18, 80, 300),
    "income": RANDOM.integers(0, 64, 300) / 8,
    "city": RANDOM.choice(["Bergen", "Ulm", "Vigo"], 300),
}
NUMBERS = ["age", "income"]
TARGET = (COLUMNS["age"] + 9 * COLUMNS["income"] > 80).astype(int)


def by_name(last: Any) -> Any:
    columns = [("numbers", StandardScaler(), ["income", "age"]), ("texts", OneHotEncoder(), ["city"])]
    return make_pipeline(ColumnTransformer(columns), last)


def fitted(estimator: Any, frame: Any) -> Any:
    return estimator.fit(frame, TARGET)


def frame_of(library: Any, names: list[str]) -> Any:
    return library.DataFrame({name: COLUMNS[name] for name in names})


def saved(estimator: Any, folder: Path, names: list[str]) -> SklearnModel:
    """Save an estimator as a model of inputs of these names, in this order."""
    inputs = {name: COLUMNS[name] for name in names}
    return SklearnModel.save(estimator, folder, infer_signature(inputs, {}).inputs)


PICKING = {
    "by name": lambda: by_name(LogisticRegression()),
    "by name, trees": lambda: by_name(RandomForestRegressor(9, random_state=0)),
    "within another": lambda: CalibratedClassifierCV(by_name(LogisticRegression())),
}
PLAIN = {
    "plain": lambda: LogisticRegression(max_iter=500),
    "a pipeline": lambda: make_pipeline(StandardScaler(), LogisticRegression()),
    "boosting": lambda: HistGradientBoostingClassifier(max_iter=5),
    "within another": lambda: CalibratedClassifierCV(LogisticRegression(max_iter=500)),
}


@pytest.mark.parametrize("library", [pd, pl], ids=["pandas", "polars"])
@pytest.mark.parametrize("name", PICKING)
def test_what_picks_columns_by_name_predicts_as_it_does_on_a_frame(
    name: str, library: Any, tmp_path: Path
) -> None:
    """Whatever the order of the inputs: also loaded again, and in ONNX where that is proven equal."""
    frame = frame_of(library, list(COLUMNS))
    estimator = fitted(PICKING[name](), frame)
    inputs = dict(reversed(COLUMNS.items()))
    model = saved(estimator, tmp_path, list(inputs))

    answer = model.predict(inputs)

    assert np.array_equal(answer["predictions"], estimator.predict(frame))
    signature = infer_signature(inputs, answer)
    put_beside(model, signature, inputs, tmp_path)
    for fast in (False, True):
        loaded = load_model(tmp_path, made_version(signature), fast=fast)
        assert np.allclose(loaded.predict(inputs)["predictions"], estimator.predict(frame), rtol=1e-5)
    assert len(model.features(inputs)) == len(frame)


def test_a_selector_of_columns_picks_them_by_name(tmp_path: Path) -> None:
    """scikit-learn's own, which is settled when the estimator is fitted."""
    frame = frame_of(pd, list(COLUMNS))
    numbers = make_column_selector(dtype_include="number")
    estimator = fitted(
        make_pipeline(ColumnTransformer([("numbers", StandardScaler(), numbers)]), LogisticRegression()),
        frame,
    )

    model = saved(estimator, tmp_path, list(COLUMNS))

    assert np.array_equal(model.predict(COLUMNS)["predictions"], estimator.predict(frame))


def test_what_picks_columns_by_name_is_served_by_onnx(tmp_path: Path) -> None:
    """The graph knows the columns by name too, and is proven equal."""
    frame = frame_of(pd, list(COLUMNS))
    model = saved(fitted(by_name(LogisticRegression()), frame), tmp_path, list(COLUMNS))

    found = put_beside(model, infer_signature(COLUMNS, model.predict(COLUMNS)), COLUMNS, tmp_path)

    assert (found.equal, found.reason) == (True, None)


@pytest.mark.parametrize("library", [pd, pl], ids=["pandas", "polars"])
@pytest.mark.parametrize("name", PLAIN)
def test_what_was_fitted_on_a_frame_is_asked_by_matrices_without_a_warning(
    name: str, library: Any, tmp_path: Path
) -> None:
    """In the order of the columns that it was fitted on; the estimator that was handed over keeps their names."""
    frame = frame_of(library, NUMBERS)
    estimator = fitted(PLAIN[name](), frame)
    model = saved(estimator, tmp_path, NUMBERS[::-1])

    answer = model.predict({each: COLUMNS[each] for each in NUMBERS})

    assert np.array_equal(answer["predictions"], estimator.predict(frame))
    assert list(estimator.feature_names_in_) == NUMBERS


def test_a_matrix_stands_for_the_columns(tmp_path: Path) -> None:
    """One input of as many columns as the frame had is taken as they are."""
    estimator = fitted(LogisticRegression(max_iter=500), frame_of(pd, NUMBERS))
    x = np.column_stack([COLUMNS[name] for name in NUMBERS])

    model = SklearnModel.save(estimator, tmp_path, infer_signature({"x": x}, {}).inputs)

    assert np.array_equal(model.predict({"x": x})["predictions"], estimator.predict(frame_of(pd, NUMBERS)))


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["age"], "lacks the column `income`"),
        (["age", "incomes"], "lacks the column `income`"),
        (["age", "income", "city"], "has the column `city`"),
    ],
)
def test_other_columns_than_those_it_was_fitted_on_are_refused(
    names: list[str], told: str, tmp_path: Path
) -> None:
    """Before anything is stored; as many columns of other names would be taken for them."""
    estimator = fitted(LogisticRegression(max_iter=500), frame_of(pd, NUMBERS))
    known = {**COLUMNS, "incomes": COLUMNS["income"]}

    with pytest.raises(Invalid, match=told) as raised:
        SklearnModel.save(
            estimator, tmp_path, infer_signature({name: known[name] for name in names}, {}).inputs
        )

    assert raised.value.hint == ("Is it `incomes`?" if "incomes" in names else raised.value.hint)
    assert not list(tmp_path.iterdir())
