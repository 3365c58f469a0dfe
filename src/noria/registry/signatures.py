"""Infer a signature from training data, and hold inputs to it. Pure: arrays in, arrays out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noria.core.errors import Invalid, near
from noria.registry.entities import Signature, Task, TensorSpec

Arrays = Mapping[str, NDArray[Any]]

MAX_ROWS = 100_000

_DTYPES: dict[str, np.dtype[Any]] = {
    "FP64": np.dtype(np.float64),
    "FP32": np.dtype(np.float32),
    "INT64": np.dtype(np.int64),
    "INT32": np.dtype(np.int32),
    "BOOL": np.dtype(np.bool_),
}
_BY_KIND = {"b": "BOOL", "i": "INT64", "u": "INT64", "U": "BYTES", "S": "BYTES", "O": "BYTES"}
_SHORT: dict[np.dtype[Any], str] = {np.dtype(np.float32): "FP32", np.dtype(np.int32): "INT32"}


class InputInvalid(Invalid):
    """An input does not fit the model's signature; nothing was predicted."""

    code = "input_invalid"

    def __init__(self, field: str, message: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint, details={"field": field})


def datatype_of(array: NDArray[Any]) -> str:
    """Give the Open Inference Protocol's name of an array's type.

    Raises
    ------
    Invalid
        If the protocol has none, as for dates.
    """
    if array.dtype in _SHORT:
        return _SHORT[array.dtype]
    if array.dtype.kind == "f":
        return "FP64"
    if array.dtype.kind in _BY_KIND:
        return _BY_KIND[array.dtype.kind]
    raise Invalid(
        f"Values of type `{array.dtype}` cannot be model inputs", hint="Convert them to numbers or to text"
    )


def dtype_of(spec: TensorSpec) -> np.dtype[Any]:
    """Give the type that arrays of an input or output have; that of text without a length."""
    return _DTYPES.get(spec.datatype, np.dtype(np.str_))


def infer_signature(inputs: Arrays, outputs: Arrays) -> Signature:
    """Describe arrays of shape (n_rows, ...): names, types, shapes, and whether values are missing."""
    return Signature(inputs=_specs(inputs), outputs=_specs(outputs))


def task_of(target: NDArray[Any]) -> Task:
    """Tell whether a target holds classes (texts, truth values, whole numbers) or quantities."""
    return Task.REGRESSION if target.dtype.kind == "f" else Task.CLASSIFICATION


def check_inputs(
    signature: Signature, inputs: Mapping[str, Any], *, copied: bool = True
) -> dict[str, NDArray[Any]]:
    """Hold inputs to a signature and give them as arrays of its types.

    Whole numbers are taken for FP64 and FP32; nothing else is converted silently.

    Parameters
    ----------
    inputs
        Arrays or nested lists by name, the first axis being the rows.
    copied
        Whether what is given may be written to, and is nobody else's; else numbers of the right type stay where they
        are, perhaps where nothing can be written.

    Returns
    -------
    dict of ndarray
        In the order of the signature; at most 100,000 rows.

    Raises
    ------
    InputInvalid
        If an input is missing, unknown, of another type or shape, or not finite; the message names it.
    """
    _check_names(signature, inputs)
    arrays = {spec.name: _check_one(spec, inputs[spec.name], copied=copied) for spec in signature.inputs}
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"`{name}` {n}" for name, n in lengths.items())
        raise InputInvalid(next(iter(lengths)), f"The inputs have different numbers of rows: {listed}")
    return arrays


def stack_rows(signature: Signature, rows: Sequence[Mapping[str, Any]]) -> dict[str, NDArray[Any]]:
    """Stack single rows, as captured from live traffic, into arrays of shape (n_rows, ...).

    What does not fit the signature becomes missing (NaN) in numeric inputs and empty in texts: live rows are looked
    at as they are, not refused.
    """
    stacked = {}
    for spec in signature.inputs:
        wanted = tuple(spec.shape[1:])
        values = [_row_value(spec, wanted, row.get(spec.name)) for row in rows]
        stacked[spec.name] = np.stack(values) if values else np.empty((0, *wanted))
    return stacked


def _row_value(spec: TensorSpec, shape: tuple[int, ...], value: Any) -> NDArray[Any]:
    text = spec.datatype == "BYTES"
    try:
        array = np.asarray(value, dtype=str if text else float)
        return array.reshape(shape)
    except (TypeError, ValueError):
        return np.full(shape, "") if text else np.full(shape, np.nan)


def _specs(arrays: Arrays) -> list[TensorSpec]:
    return [
        TensorSpec(
            name=name,
            datatype=datatype_of(array),
            shape=[-1, *array.shape[1:]],
            nullable=array.dtype.kind == "f" and bool(np.isnan(array).any()),
        )
        for name, array in arrays.items()
    ]


def _check_names(signature: Signature, inputs: Mapping[str, Any]) -> None:
    known = {spec.name: spec for spec in signature.inputs}
    for name in inputs:
        if name not in known:
            close = near(name, known)
            hint = f"Did you mean `{close}`?" if close else "Inputs: " + ", ".join(f"`{k}`" for k in known)
            raise InputInvalid(name, f"The model has no input `{name}`", hint)
    for name in known:
        if name not in inputs:
            raise InputInvalid(name, f"The input `{name}` is missing")


def _check_one(spec: TensorSpec, value: Any, *, copied: bool) -> NDArray[Any]:
    array = _to_array(spec, value, copied=copied)
    if array.ndim != len(spec.shape) or list(array.shape[1:]) != spec.shape[1:]:
        raise InputInvalid(
            spec.name,
            f"The input `{spec.name}` has the shape {list(array.shape)}",
            f"It must be {spec.shape}, -1 being the number of rows",
        )
    if not 0 < len(array) <= MAX_ROWS:
        raise InputInvalid(
            spec.name, f"The input `{spec.name}` has {len(array)} rows", f"Send 1 to {MAX_ROWS} rows"
        )
    if array.dtype.kind == "f":
        _check_finite(spec, array)
    return array


def _to_array(spec: TensorSpec, value: Any, *, copied: bool) -> NDArray[Any]:
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise InputInvalid(
            spec.name, f"The input `{spec.name}` is not an array: its rows differ in length"
        ) from error
    if array.dtype.kind == "O":
        array = _with_missing(spec, array)
    if spec.datatype == "BYTES":
        if array.dtype.kind not in "US":
            raise _mistyped(spec, array)
        return array.astype(str)
    wanted = _DTYPES[spec.datatype]
    allowed = {"f": "fiu", "i": "iu", "b": "b"}[wanted.kind]
    if array.dtype.kind not in allowed:
        raise _mistyped(spec, array)
    return _narrowed(spec, array, wanted, copied=copied)


def _with_missing(spec: TensorSpec, array: NDArray[Any]) -> NDArray[Any]:
    """Read lists in which None stands for a missing number; any other mixture is mistyped."""
    flat = array.ravel()
    numbers = all(v is None or (isinstance(v, (int, float)) and not isinstance(v, bool)) for v in flat)
    if numbers and spec.datatype.startswith("INT") and all(isinstance(v, int) for v in flat):
        raise _out_of_range(spec)
    if not numbers or not spec.datatype.startswith("FP"):
        raise _mistyped(spec, array)
    try:
        return np.array([np.nan if v is None else float(v) for v in flat]).reshape(array.shape)
    except OverflowError as error:
        raise _out_of_range(spec) from error


def _narrowed(spec: TensorSpec, array: NDArray[Any], wanted: np.dtype[Any], *, copied: bool) -> NDArray[Any]:
    if wanted.kind == "i" and array.size:
        limits = np.iinfo(wanted)
        if int(array.max()) > limits.max or int(array.min()) < limits.min:
            raise _out_of_range(spec)
    if not copied and array.dtype == wanted:
        return array
    with np.errstate(over="ignore"):  # what becomes infinite is refused by name right after
        return array.astype(wanted, copy=copied)


def _out_of_range(spec: TensorSpec) -> InputInvalid:
    return InputInvalid(
        spec.name,
        f"The input `{spec.name}` holds a number beyond {spec.datatype}'s range",
        "Send finite numbers",
    )


def _is_surely_finite(array: NDArray[Any]) -> bool:
    """Tell by the sum of its squares that no value of an array is NaN or infinite; False where it does not tell.

    It takes a third of the time of a look at each value, where these lie in the body of a request at any place.
    """
    return array.flags.c_contiguous and array.dtype.itemsize >= 4 and math.isfinite(np.vdot(array, array))


def _check_finite(spec: TensorSpec, array: NDArray[Any]) -> None:
    if _is_surely_finite(array):
        return
    finite = np.isfinite(array)
    if spec.nullable:
        finite |= np.isnan(array)
    if finite.all():
        return
    where = tuple(int(i) for i in np.argwhere(~finite)[0])
    found = "missing (NaN)" if np.isnan(array[where]) else "infinite"
    raise InputInvalid(
        spec.name,
        f"The input `{spec.name}` is {found} in row {where[0]}",
        "The model was trained without missing values" if "NaN" in found else "Send finite numbers",
    )


def _mistyped(spec: TensorSpec, array: NDArray[Any]) -> InputInvalid:
    kinds = {"U": "text", "S": "text", "f": "decimal numbers", "i": "whole numbers", "u": "whole numbers"}
    given = kinds.get(array.dtype.kind, "truth values" if array.dtype.kind == "b" else "mixed values")
    return InputInvalid(
        spec.name, f"The input `{spec.name}` holds {given}", f"It must hold {spec.datatype} values"
    )
