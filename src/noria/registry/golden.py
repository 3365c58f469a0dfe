"""What is kept beside a model to watch it by: a golden batch, a sample of the training data, a held-out score."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from noria.core.errors import Invalid
from noria.registry.entities import Holdout, Task
from noria.registry.runtimes.port import Arrays, LoadedModel

GOLDEN_FILE = "golden.npz"
REFERENCE_FILE = "reference.npz"
HELD_OUT_FILE = "holdout.npz"
ANSWERS_FILE = "answers.npz"
PROFILE_FILE = "profile.json"

GOLDEN_ROWS = 200
REFERENCE_ROWS = 5_000
_INPUT = "x:"
_ERROR_QUANTILE = 0.99


class GoldenBatch(msgspec.Struct, frozen=True, kw_only=True):
    """Rows frozen at registration.

    Attributes
    ----------
    inputs
        Raw inputs by name, each of shape (n_rows, ...).
    features
        What the last step saw, shape (n_rows, n_features).
    outputs
        `predictions`, and `probabilities` where the model has them.
    """

    inputs: dict[str, Any]
    features: Any
    outputs: dict[str, Any]


class GoldenDifference(msgspec.Struct, frozen=True, kw_only=True):
    """How a replay differs from the golden batch.

    Attributes
    ----------
    largest_feature_error
        Largest absolute difference of a feature; infinite when the shapes differ.
    feature
        Index of the column in which it is.
    n_flips
        Rows whose predicted class differs, or whose predicted number is further off than the tolerance.
    largest_output_error
        Largest absolute difference of a probability or predicted number.
    """

    n_rows: int
    largest_feature_error: float
    feature: int | None
    n_flips: int
    largest_output_error: float


class ReferenceSample(msgspec.Struct, frozen=True, kw_only=True):
    """A sample of the training or held-out rows: raw inputs by name, and the target."""

    inputs: dict[str, Any]
    target: Any


def choose_rows(n_rows: int, wanted: int, seed: int) -> NDArray[np.int64]:
    """Choose rows without replacement, in rising order."""
    chosen = np.random.default_rng(seed).choice(n_rows, size=min(wanted, n_rows), replace=False)
    return np.sort(chosen).astype(np.int64)


def make_golden(model: LoadedModel, inputs: Arrays) -> GoldenBatch:
    """Run rows through the model and freeze what came of it."""
    return GoldenBatch(inputs=dict(inputs), features=model.features(inputs), outputs=model.predict(inputs))


def save_golden(batch: GoldenBatch, folder: Path) -> None:
    """Write `golden.npz`."""
    named = {f"{_INPUT}{name}": array for name, array in batch.inputs.items()}
    np.savez_compressed(folder / GOLDEN_FILE, features=_plain(batch.features), **named, **batch.outputs)


def load_golden(folder: Path) -> GoldenBatch | None:
    """Read `golden.npz`; None when the version has none."""
    arrays = _load(folder / GOLDEN_FILE)
    if arrays is None:
        return None
    features = arrays.pop("features")
    inputs = {name.removeprefix(_INPUT): a for name, a in arrays.items() if name.startswith(_INPUT)}
    outputs = {name: a for name, a in arrays.items() if not name.startswith(_INPUT)}
    return GoldenBatch(inputs=inputs, features=features, outputs=outputs)


def take_sample(inputs: Arrays, target: NDArray[Any], seed: int) -> ReferenceSample:
    """Take up to 5,000 rows."""
    rows = choose_rows(len(target), REFERENCE_ROWS, seed)
    chosen = {name: array[rows] for name, array in inputs.items()}
    return ReferenceSample(inputs=chosen, target=_plain(target[rows]))


def save_reference(sample: ReferenceSample, path: Path) -> None:
    """Write a sample, as `reference.npz` or `holdout.npz`."""
    named = {f"{_INPUT}{name}": array for name, array in sample.inputs.items()}
    np.savez_compressed(path, y=sample.target, **named)


def load_reference_sample(folder: Path) -> ReferenceSample | None:
    """Read the training rows, `reference.npz`; None when the version has none."""
    return _load_sample(folder / REFERENCE_FILE)


def load_held_out_sample(folder: Path) -> ReferenceSample | None:
    """Read the held-out rows, `holdout.npz`; None when the version has none."""
    return _load_sample(folder / HELD_OUT_FILE)


def _load_sample(path: Path) -> ReferenceSample | None:
    arrays = _load(path)
    if arrays is None:
        return None
    target = arrays.pop("y")
    return ReferenceSample(
        inputs={name.removeprefix(_INPUT): array for name, array in arrays.items()}, target=target
    )


def save_answers(outputs: Arrays, folder: Path) -> None:
    """Write `answers.npz`: what the model answered to the rows of `holdout.npz`, in their order."""
    plain: dict[str, Any] = {name: _plain(array) for name, array in outputs.items()}
    np.savez_compressed(folder / ANSWERS_FILE, **plain)


def load_answers(folder: Path) -> dict[str, NDArray[Any]] | None:
    """Read `answers.npz`; None when the version has none."""
    return _load(folder / ANSWERS_FILE)


def compare_golden(
    batch: GoldenBatch, features: Any, outputs: Arrays, *, tolerance: float
) -> GoldenDifference:
    """Compare a replay with what was frozen.

    Parameters
    ----------
    features
        As the replay made them, shape (n_rows, n_features).
    tolerance
        Largest difference of a predicted number that is none.
    """
    error, column = _feature_error(np.asarray(batch.features), np.asarray(features))
    before, after = np.asarray(batch.outputs["predictions"]), np.asarray(outputs["predictions"])
    numeric = before.dtype.kind == "f" and after.dtype.kind == "f"
    flips = np.abs(before - after) > tolerance if numeric else before.astype(str) != after.astype(str)
    probabilities = ("probabilities" in batch.outputs) and ("probabilities" in outputs)
    if probabilities:
        off = float(np.max(np.abs(batch.outputs["probabilities"] - outputs["probabilities"]), initial=0.0))
    else:
        off = float(np.max(np.abs(before - after), initial=0.0)) if numeric else float(flips.any())
    return GoldenDifference(
        n_rows=len(before),
        largest_feature_error=error,
        feature=column,
        n_flips=int(flips.sum()),
        largest_output_error=off,
    )


def measure_holdout(model: LoadedModel, task: Task, inputs: Arrays, target: NDArray[Any]) -> Holdout:
    """Measure a model on held-out rows.

    Raises
    ------
    Invalid
        If there are none.
    """
    if not len(target):
        raise Invalid("`holdout` has no rows", hint="Give some, or leave it out")
    predicted = np.asarray(model.predict(inputs)["predictions"])
    if task is Task.CLASSIFICATION:
        right = float(np.mean(predicted == target))
        return Holdout(metric="accuracy", value=right, n=len(target), score=right)
    errors = np.abs(predicted.astype(float) - target.astype(float))
    bound = 2.0 * float(np.quantile(errors, _ERROR_QUANTILE)) or 1.0
    return Holdout(
        metric="mae",
        value=float(errors.mean()),
        n=len(target),
        score=float(np.mean(1.0 - np.minimum(1.0, errors / bound))),
        error_bound=bound,
    )


def _feature_error(before: NDArray[Any], after: NDArray[Any]) -> tuple[float, int | None]:
    if before.shape != after.shape:
        return math.inf, None
    if before.dtype.kind not in "biuf" or after.dtype.kind not in "biuf":
        differing = before.astype(str) != after.astype(str)
        distance = differing.astype(float)
    else:
        both_missing = np.isnan(before.astype(float)) & np.isnan(after.astype(float))
        distance = np.where(both_missing, 0.0, np.abs(before.astype(float) - after.astype(float)))
        distance = np.where(np.isnan(distance), math.inf, distance)
    if distance.size == 0 or distance.max() == 0:
        return 0.0, None
    return float(distance.max()), int(np.unravel_index(distance.argmax(), distance.shape)[-1])


def _load(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as stored:
        return dict(stored)


def _plain(values: NDArray[Any]) -> NDArray[Any]:
    # Objects would be written as a pickle, which nothing here reads.
    return values.astype(str) if values.dtype.kind == "O" else values
