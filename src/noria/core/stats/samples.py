"""What callers pass, made into clean arrays: the one place that knows what missing, empty and infinite mean.

Missing is NaN, None or NaT: dropped and counted. Infinite values, and those over 1e150 whose squares would be, are
refused unless a function says otherwise.
"""

from __future__ import annotations

import math
import numbers
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from noria.core.errors import Invalid

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Texts = NDArray[np.str_]
Bools = NDArray[np.bool_]

LARGEST = 1e150


def to_floats(values: ArrayLike, *, name: str) -> Floats:
    """Give the values as float64 with NaN for missing; texts, times and complex numbers are refused."""
    array = np.asarray(values)
    if array.dtype.kind not in "biufO":
        raise Invalid(f"`{name}` must hold numbers, not `{array.dtype}`")
    try:
        return np.asarray(array, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise Invalid(f"`{name}` must hold numbers: {error}") from error


def one_sample(values: ArrayLike, *, name: str) -> tuple[Floats, int]:
    """Clean a sample of numbers.

    Returns
    -------
    values : ndarray, shape (n,)
        The finite values in their order; n is at least 1.
    n_missing : int
        How many missing values were dropped.

    Raises
    ------
    Invalid
        If it is not one-dimensional, has no value, or holds an infinity.
    """
    array = to_floats(values, name=name)
    if array.ndim != 1:
        raise Invalid(f"`{name}` must have one dimension, not shape `{array.shape}`")
    kept = array[~np.isnan(array)]
    if kept.size == 0:
        raise Invalid(f"`{name}` has no values", details={"n_missing": int(array.size)})
    refuse_infinite(kept, name=name)
    return kept, int(array.size - kept.size)


def bounded_sample(values: ArrayLike, low: float, high: float, *, name: str) -> tuple[Floats, int]:
    """Clean a sample whose values must lie in [low, high]; as `one_sample`, but it may be empty."""
    array = to_floats(values, name=name)
    if array.ndim != 1:
        raise Invalid(f"`{name}` must have one dimension, not shape `{array.shape}`")
    kept = array[~np.isnan(array)]
    outside = (kept < low) | (kept > high)
    if outside.any():
        raise Invalid(f"`{name}` holds `{kept[outside][0]}`, outside [{low}, {high}]")
    return kept, int(array.size - kept.size)


def matrix(values: ArrayLike, *, name: str) -> Floats:
    """Give the values as float64, shape (n_rows, n_columns); one dimension is one column. NaN stays.

    Raises
    ------
    Invalid
        If it has no rows or no columns.
    """
    array = to_floats(values, name=name)
    if array.ndim == 1:
        array = array[:, np.newaxis]
    if array.ndim < 2:
        raise Invalid(f"`{name}` must be an array of rows, not the number `{array}`")
    array = array.reshape(len(array), -1) if array.size else array
    if array.size == 0:
        raise Invalid(f"`{name}` is empty: shape `{array.shape}`")
    return array


def complete_rows(values: ArrayLike, *, name: str) -> tuple[Floats, Bools]:
    """Give the rows without a missing value, shape (n, n_columns), and which rows these are, shape (n_rows,).

    Raises
    ------
    Invalid
        If no row is left, or one holds an infinity.
    """
    array = matrix(values, name=name)
    complete = ~np.isnan(array).any(axis=1)
    if not complete.any():
        raise Invalid(f"`{name}` has no row without a missing value", details={"n_rows": len(array)})
    refuse_infinite(array[complete], name=name)
    return array[complete], np.asarray(complete)


def same_width(first: Floats, second: Floats, *, names: tuple[str, str] = ("reference", "current")) -> None:
    """Refuse two matrices with different numbers of columns."""
    if first.shape[1] != second.shape[1]:
        raise Invalid(
            f"`{names[0]}` has `{first.shape[1]}` columns and `{names[1]}` has `{second.shape[1]}`",
        )


def refuse_infinite(values: Floats, *, name: str) -> None:
    """Refuse an array that holds an infinity, or a number so large that its square is one."""
    too_large = np.abs(values) > LARGEST
    if too_large.any():
        raise Invalid(f"`{name}` holds `{values[too_large][0]}`; values beyond {LARGEST:g} are refused")


def check_alpha(alpha: float) -> None:
    """Refuse an error probability outside (0, 1)."""
    if not 0 < alpha < 1:
        raise Invalid(f"`alpha` must lie between 0 and 1, not `{alpha}`")


def labels(values: ArrayLike, *, name: str) -> tuple[Texts, int]:
    """Give categories as texts, and how many missing ones were dropped.

    A whole number reads the same in every numeric type: `3`, `3.0` and `np.int64(3)` are the category `3`.

    Raises
    ------
    Invalid
        If it is not one-dimensional. An array without values is allowed.
    """
    array = np.asarray(values)
    if array.ndim != 1:
        raise Invalid(f"`{name}` must have one dimension, not shape `{array.shape}`")
    kept = array[~is_missing(array)]
    if kept.dtype.kind in "iuU":
        return kept.astype(np.str_), 0
    return np.array([_label(v) for v in kept.tolist()], dtype=np.str_), len(array) - len(kept)


def is_missing(array: NDArray[Any]) -> Bools:
    """Tell which values are NaN, None or NaT, in the array's shape."""
    if array.dtype.kind in "fc":
        return np.asarray(np.isnan(array))
    if array.dtype.kind in "mM":
        return np.asarray(np.isnat(array))
    if array.dtype.kind == "O":
        return np.array([_is_missing(value) for value in array.ravel()], dtype=bool).reshape(array.shape)
    return np.zeros(array.shape, dtype=bool)


def is_number(value: object) -> bool:
    """Tell whether a value counts as a number rather than a category; booleans are categories."""
    return isinstance(value, numbers.Real | Decimal) and not isinstance(value, bool | np.bool_)


def _is_missing(value: object) -> bool:
    if isinstance(value, np.datetime64 | np.timedelta64):
        return bool(np.isnat(value))
    return value is None or (isinstance(value, float | np.floating | Decimal) and math.isnan(value))


def _label(value: object) -> str:
    if isinstance(value, float | np.floating) and math.isfinite(value) and float(value).is_integer():
        return str(int(value))
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)
