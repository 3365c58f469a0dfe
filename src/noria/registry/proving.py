"""Prove that another engine answers as the native one: rows that tell them apart, and what differs on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from noria.registry.entities import Signature, TensorSpec
from noria.registry.equality import TOLERANCE, Equality
from noria.registry.runtimes.port import Arrays, Convertible
from noria.registry.signatures import dtype_of

PROOF_ROWS: Final = 10_000
"""Rows without those at split thresholds, at least."""

_MAX_KNOWN: Final = 5_000
_MAX_SPLITS: Final = 1_000
_MISSING_SHARE: Final = 0.05
_BISECTIONS: Final = 70  # enough for two numbers of double precision to become neighbours
_SEED: Final = 7  # any: equal models give equal proofs

Matrix = NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofRows:
    """Rows to compare two engines on, by input."""

    inputs: dict[str, Matrix]
    n_rows: int
    n_threshold_rows: int


def proof_rows(native: Convertible | None, signature: Signature, inputs: Arrays) -> ProofRows:
    """Make at least 10,000 rows: known ones, ones anywhere in their ranges, and ones at the splits of trees.

    At a split stand the threshold itself and its neighbours one unit in the last place below and above, in double
    and in single precision.

    Parameters
    ----------
    native
        Whose trees are looked at; None for a model without any.
    inputs
        Training rows.
    """
    rng = np.random.default_rng(_SEED)
    flat = {spec.name: _flat(spec, inputs[spec.name]) for spec in signature.inputs}
    n_given = len(next(iter(flat.values())))
    known = rng.permutation(n_given)[:_MAX_KNOWN]
    drawn = rng.integers(0, n_given, PROOF_ROWS - len(known))
    spread = {s.name: _spread(s, flat[s.name], flat[s.name][drawn], rng) for s in signature.inputs}
    base = {name: np.concatenate([array[known], spread[name]]) for name, array in flat.items()}
    at_splits = _at_splits(native, signature, flat, rng)
    rows = {name: np.concatenate([array, at_splits[name]]) for name, array in base.items()}
    shaped = {spec.name: rows[spec.name].reshape(spec.shape) for spec in signature.inputs}
    n_splits = len(next(iter(at_splits.values())))
    return ProofRows(inputs=shaped, n_rows=len(next(iter(shaped.values()))), n_threshold_rows=n_splits)


def compare(
    expected: Arrays, given: Arrays, rows: ProofRows, *, datatype: str, made_with: dict[str, str]
) -> Equality:
    """Measure how what an engine gives differs from what the native one gives for the same rows."""
    before, after = expected["predictions"], given["predictions"]
    probabilities = expected.get("probabilities")
    labelled = probabilities is not None or before.dtype.kind != "f"
    texts = after.dtype.kind == "U"
    flips = int(np.count_nonzero((before.astype(str) if texts else before) != after)) if labelled else 0
    if probabilities is not None:
        error, scale = _largest(probabilities - given["probabilities"]), 1.0
    else:
        error = 0.0 if labelled else _largest(before - after)
        scale = 1.0 if labelled else _largest(before) or 1.0
    relative = error / scale
    equal = flips == 0 and relative <= TOLERANCE
    return Equality(
        equal=equal,
        reason=None if equal else _reason(flips, rows.n_rows, error),
        n_rows=rows.n_rows,
        n_threshold_rows=rows.n_threshold_rows,
        largest_error=error,
        largest_relative_error=relative,
        n_label_flips=flips,
        label_flip_rate=flips / rows.n_rows,
        datatype=datatype,
        made_with=made_with,
    )


def _reason(flips: int, n_rows: int, error: float) -> str:
    return f"{flips} of {n_rows} rows get another label, and the largest error is {error:.3g}"


def _largest(values: Matrix) -> float:
    # What is no number on one side only must not pass for equal; JSON has no infinity.
    absolute = np.abs(np.asarray(values, dtype=np.float64))
    return float(np.nan_to_num(absolute, nan=1e300, posinf=1e300).max(initial=0.0))


def _flat(spec: TensorSpec, array: Matrix) -> Matrix:
    wide = np.asarray(array).reshape(len(array), -1)
    return wide.astype(str) if spec.datatype == "BYTES" else wide.astype(dtype_of(spec))


def _spread(spec: TensorSpec, known: Matrix, drawn: Matrix, rng: np.random.Generator) -> Matrix:
    """Replace numbers by ones from anywhere between the smallest and largest known; texts stay known ones."""
    if drawn.dtype.kind not in "fi" or not len(drawn):
        return drawn
    low, high = _range(known)
    values = rng.uniform(low, high, drawn.shape)
    if drawn.dtype.kind == "i":
        return np.rint(values).astype(drawn.dtype)
    if spec.nullable:
        values[rng.random(values.shape) < _MISSING_SHARE] = np.nan
    return values.astype(drawn.dtype)


def _range(known: Matrix) -> tuple[Matrix, Matrix]:
    if known.dtype.kind == "i":
        return known.min(axis=0), known.max(axis=0)
    finite = np.where(np.isfinite(known), known, np.nan)
    empty = np.isnan(finite).all(axis=0)
    finite[:, empty] = 0.0
    return np.nanmin(finite, axis=0), np.nanmax(finite, axis=0)


def _at_splits(
    native: Convertible | None, signature: Signature, flat: dict[str, Matrix], rng: np.random.Generator
) -> dict[str, Matrix]:
    nothing = {name: array[:0] for name, array in flat.items()}
    if native is None or any(array.dtype.kind == "U" for array in flat.values()):
        return nothing
    columns, values = native.split_points()
    if not len(columns):
        return nothing
    chosen = rng.permutation(len(columns))[:_MAX_SPLITS]
    columns, values = columns[chosen], values[chosen]
    rows = np.hstack([array.astype(np.float64) for array in flat.values()])
    rows = np.nan_to_num(rows)
    rows = rows[rng.integers(0, len(rows), len(columns))]
    rows, columns, values = native.before_steps(rows, columns, values)
    beside = _neighbours(values)
    wide = np.repeat(rows, beside.shape[1], axis=0)
    wide[np.arange(len(wide)), np.repeat(columns, beside.shape[1])] = beside.ravel()
    return _divided(signature, flat, wide)


def _divided(signature: Signature, flat: dict[str, Matrix], wide: Matrix) -> dict[str, Matrix]:
    found, start = {}, 0
    for spec in signature.inputs:
        array = flat[spec.name]
        part = wide[:, start : start + array.shape[1]]
        start += array.shape[1]
        # A column of whole numbers has none at a split: the next one below tells as much.
        found[spec.name] = (np.floor(part) if array.dtype.kind in "bi" else part).astype(array.dtype)
    return found


def _neighbours(values: Matrix) -> Matrix:
    single = values.astype(np.float32)
    down, up = np.float32(-np.inf), np.float32(np.inf)
    return np.column_stack(
        [
            values,
            np.nextafter(values, -np.inf),
            np.nextafter(values, np.inf),
            single.astype(np.float64),
            np.nextafter(single, down).astype(np.float64),
            np.nextafter(single, up).astype(np.float64),
        ]
    )


def before_steps(
    estimator: Any,
    rows: Matrix,
    columns: Matrix,
    values: Matrix,
    form: Callable[[Matrix], Any] = lambda matrix: matrix,
) -> tuple[Matrix, Matrix, Matrix]:
    """Find the inputs at which what the last step sees crosses its thresholds, by bisection of single columns.

    Parameters
    ----------
    form
        Gives rows in the form that the estimator takes.
    """
    steps = getattr(estimator, "steps", None)
    if steps is None or len(steps) < 2:
        return rows, columns, values
    index = np.arange(len(rows))

    def seen(at: Matrix) -> Matrix:
        tried = rows.copy()
        tried[index, columns] = at
        made = estimator[:-1].transform(form(tried))
        return np.asarray(made.toarray() if hasattr(made, "toarray") else made)

    low, high = rows.min(axis=0)[columns], rows.max(axis=0)[columns]
    first, last = seen(low), seen(high)
    if first.shape != rows.shape:
        return rows[:0], columns[:0], values[:0]
    crosses = (first[index, columns] <= values) & (last[index, columns] > values)
    for _ in range(_BISECTIONS):
        middle = low / 2 + high / 2
        below = seen(middle)[index, columns] <= values
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return rows[crosses], columns[crosses], low[crosses]


def split_points(estimator: Any) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Collect the columns and thresholds at which the trees of an estimator split; empty when it has no trees."""
    last = estimator.steps[-1][1] if hasattr(estimator, "steps") else estimator
    found = list(_splits(last))
    if not found:
        return np.empty(0, np.int64), np.empty(0)
    columns = np.concatenate([columns for columns, _ in found]).astype(np.int64)
    return columns, np.concatenate([values for _, values in found]).astype(np.float64)


def _splits(estimator: Any) -> Iterator[tuple[Matrix, Matrix]]:
    tree = getattr(estimator, "tree_", None)
    if tree is not None:
        inner = tree.feature >= 0
        yield tree.feature[inner], tree.threshold[inner]
    for member in np.ravel(np.asarray(getattr(estimator, "estimators_", ()), dtype=object)):
        yield from _splits(member)
    for stage in getattr(estimator, "_predictors", ()):
        for predictor in stage:
            nodes = predictor.nodes
            inner = (nodes["is_leaf"] == 0) & (nodes["is_categorical"] == 0)
            yield nodes["feature_idx"][inner], nodes["num_threshold"][inner]
