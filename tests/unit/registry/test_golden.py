"""What is kept beside a model to watch it by."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, mean_absolute_error

from noria.core.errors import Invalid
from noria.registry.entities import Task
from noria.registry.golden import (
    GOLDEN_FILE,
    HELD_OUT_FILE,
    REFERENCE_FILE,
    GoldenBatch,
    ReferenceSample,
    choose_rows,
    compare_golden,
    load_golden,
    load_held_out_sample,
    load_reference_sample,
    make_golden,
    measure_holdout,
    save_golden,
    save_reference,
    take_sample,
)

ROWS = np.random.default_rng(3)


class Halves:
    """Predicts the first column, halved by the features, with two made-up probabilities."""

    engine = "native"

    def __init__(self, dtype: str = "float64") -> None:
        self.dtype = dtype

    def features(self, inputs: Any) -> Any:
        return inputs["x"] / 2

    def predict(self, inputs: Any) -> dict[str, Any]:
        share = np.clip(inputs["x"][:, 0] / 10, 0, 1)
        predictions = inputs["x"][:, 0].astype(self.dtype)
        return {"predictions": predictions, "probabilities": np.column_stack([1 - share, share])}


@pytest.fixture
def inputs() -> dict[str, Any]:
    return {"x": ROWS.uniform(0, 10, (20, 3)), "kind": np.array(["a", "é"] * 10)}


def test_a_golden_batch_comes_back(inputs: dict[str, Any], tmp_path: Path) -> None:
    """Inputs, features and outputs are read as they were written, texts too, without pickles."""
    batch = make_golden(Halves(), inputs)
    save_golden(batch, tmp_path)
    back = load_golden(tmp_path)

    assert back is not None
    for before, after in (
        (batch.inputs, back.inputs),
        (batch.outputs, back.outputs),
        ({"f": batch.features}, {"f": back.features}),
    ):
        assert before.keys() == after.keys()
        for name, array in before.items():
            np.testing.assert_array_equal(array, after[name])
    with np.load(tmp_path / GOLDEN_FILE, allow_pickle=False) as stored:
        assert set(stored) == {"x:x", "x:kind", "features", "predictions", "probabilities"}


def test_a_reference_sample_comes_back(inputs: dict[str, Any], tmp_path: Path) -> None:
    """Raw inputs and target are read as they were written."""
    target = np.arange(20)
    save_reference(ReferenceSample(inputs=inputs, target=target), tmp_path / REFERENCE_FILE)
    back = load_reference_sample(tmp_path)
    texts = take_sample(inputs, np.array(["a", "b"] * 10, dtype=object), 7)
    save_reference(texts, tmp_path / HELD_OUT_FILE)
    held = load_held_out_sample(tmp_path)
    assert held is not None
    assert held.target.tolist() == ["a", "b"] * 10

    assert back is not None
    assert back.inputs.keys() == inputs.keys()
    np.testing.assert_array_equal(back.target, target)
    np.testing.assert_array_equal(back.inputs["x"], inputs["x"])
    with np.load(tmp_path / REFERENCE_FILE, allow_pickle=False) as stored:
        assert set(stored) == {"x:x", "x:kind", "y"}


def test_a_version_without_them_has_none(tmp_path: Path) -> None:
    """A folder that lacks a file gives None, not an error."""
    assert load_golden(tmp_path) is None
    assert load_reference_sample(tmp_path) is None
    assert load_held_out_sample(tmp_path) is None


def test_an_equal_replay_differs_in_nothing(inputs: dict[str, Any]) -> None:
    """The same model on the same rows: no error, no flip."""
    batch = make_golden(Halves(), inputs)
    found = compare_golden(batch, batch.features, batch.outputs, tolerance=0.0)

    assert (found.n_rows, found.n_flips) == (20, 0)
    assert (found.largest_feature_error, found.feature, found.largest_output_error) == (0.0, None, 0.0)


def test_differing_features_are_found(inputs: dict[str, Any]) -> None:
    """The largest error and the column it is in; another shape is infinitely far."""
    batch = make_golden(Halves(), inputs)
    moved = batch.features.copy()
    moved[4, 1] += 0.25
    moved[7, 2] -= 0.75
    found = compare_golden(batch, moved, batch.outputs, tolerance=0.0)

    assert math.isclose(found.largest_feature_error, 0.75)
    assert (found.feature, found.n_flips) == (2, 0)
    narrower = compare_golden(batch, batch.features[:, :2], batch.outputs, tolerance=0.0)
    assert narrower.largest_feature_error == math.inf


def test_missing_features_are_compared() -> None:
    """Missing on both sides is equal; missing on one side is infinitely far."""
    before = np.array([[1.0, np.nan], [2.0, 3.0]])
    outputs = {"predictions": np.array([0, 1])}
    batch = GoldenBatch(inputs={}, features=before, outputs=outputs)

    assert compare_golden(batch, before.copy(), outputs, tolerance=0.0).largest_feature_error == 0.0
    after = np.array([[1.0, 5.0], [2.0, 3.0]])
    found = compare_golden(batch, after, outputs, tolerance=0.0)
    assert (found.largest_feature_error, found.feature) == (math.inf, 1)


def test_features_of_text_are_compared() -> None:
    """A differing text counts as a distance of one."""
    outputs = {"predictions": np.array(["u", "v"])}
    batch = GoldenBatch(inputs={}, features=np.array([["a", "b"], ["c", "d"]]), outputs=outputs)
    found = compare_golden(batch, np.array([["a", "b"], ["c", "x"]], dtype=object), outputs, tolerance=0.0)

    assert (found.largest_feature_error, found.feature, found.n_flips) == (1.0, 1, 0)


def test_flips_of_classes_and_numbers_are_counted(inputs: dict[str, Any]) -> None:
    """A class flips when it is another; a number when it is off by more than the tolerance."""
    classes = GoldenBatch(inputs={}, features=np.zeros((3, 1)), outputs={"predictions": np.array([1, 2, 3])})
    changed = {"predictions": np.array([1, 5, 4])}
    assert compare_golden(classes, np.zeros((3, 1)), changed, tolerance=9.0).n_flips == 2
    numbers = GoldenBatch(
        inputs={}, features=np.zeros((3, 1)), outputs={"predictions": np.array([1.0, 2.0, 3.0])}
    )
    moved = {"predictions": np.array([1.05, 2.5, 3.0])}
    found = compare_golden(numbers, np.zeros((3, 1)), moved, tolerance=0.1)
    assert found.n_flips == 1
    assert math.isclose(found.largest_output_error, 0.5)


def test_the_largest_error_of_probabilities_is_told(inputs: dict[str, Any]) -> None:
    """With probabilities the outputs differ by the largest of them."""
    batch = make_golden(Halves("int64"), inputs)
    off = batch.outputs["probabilities"].copy()
    off[3] += (0.125, -0.125)
    found = compare_golden(batch, batch.features, {**batch.outputs, "probabilities": off}, tolerance=0.0)

    assert math.isclose(found.largest_output_error, 0.125)
    assert found.n_flips == 0


def test_chosen_rows_are_the_same_each_time() -> None:
    """Rows are distinct, in order, repeatable by their seed, and all when there are few."""
    chosen = choose_rows(1000, 200, 7)

    assert len(chosen) == 200
    assert sorted(set(chosen.tolist())) == chosen.tolist()
    np.testing.assert_array_equal(chosen, choose_rows(1000, 200, 7))
    assert chosen.tolist() != choose_rows(1000, 200, 8).tolist()
    np.testing.assert_array_equal(choose_rows(5, 200, 7), np.arange(5))


def test_held_out_accuracy_is_scikit_learns(inputs: dict[str, Any]) -> None:
    """A second opinion: the share of right answers as scikit-learn counts it."""
    target = ROWS.integers(0, 10, 20)
    measured = measure_holdout(Halves("int64"), Task.CLASSIFICATION, inputs, target)
    expected = accuracy_score(target, inputs["x"][:, 0].astype("int64"))

    assert (measured.metric, measured.n) == ("accuracy", 20)
    assert math.isclose(measured.value, expected)
    assert measured.score == measured.value


def test_held_out_error_is_scikit_learns(inputs: dict[str, Any]) -> None:
    """The mean absolute error as scikit-learn has it; the score falls from 1 to 0 at the bound."""
    target = ROWS.uniform(0, 10, 20)
    measured = measure_holdout(Halves(), Task.REGRESSION, inputs, target)
    errors = np.abs(inputs["x"][:, 0] - target)

    assert measured.metric == "mae"
    assert math.isclose(measured.value, mean_absolute_error(target, inputs["x"][:, 0]))
    assert measured.error_bound is not None
    assert math.isclose(measured.error_bound, 2 * np.quantile(errors, 0.99))
    assert math.isclose(measured.score, np.mean(1 - np.minimum(1, errors / measured.error_bound)))


def test_a_perfect_regression_scores_one(inputs: dict[str, Any]) -> None:
    """No error at all has a bound to measure others by."""
    measured = measure_holdout(Halves(), Task.REGRESSION, inputs, inputs["x"][:, 0])

    assert (measured.value, measured.score, measured.error_bound) == (0.0, 1.0, 1.0)


def test_held_out_rows_must_be_there() -> None:
    """None at all cannot be measured on."""
    with pytest.raises(Invalid, match="no rows"):
        measure_holdout(Halves(), Task.REGRESSION, {"x": np.empty((0, 3))}, np.empty(0))
