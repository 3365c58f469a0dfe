"""One tensor of the Open Inference Protocol: JSON or bytes into an array, and an array into JSON or bytes."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from noria.core.errors import TooLarge
from noria.registry.signatures import InputInvalid
from noria.serving.modelserver.binary import BinaryInvalid, texts_of

MAX_ROWS = 10_000
"""Most rows of one request; a longer one would keep others waiting."""

MAX_TEXT = 4_000_000
"""Most characters that an input of texts may take, each text counted as long as the longest."""

DTYPES: dict[str, Any] = {
    "FP64": np.float64,
    "FP32": np.float32,
    "FP16": np.float16,
    "INT64": np.int64,
    "INT32": np.int32,
    "INT16": np.int16,
    "INT8": np.int8,
    "UINT64": np.uint64,
    "UINT32": np.uint32,
    "UINT16": np.uint16,
    "UINT8": np.uint8,
    "BOOL": np.bool_,
    "BYTES": np.object_,
}
"""The protocol's name of an element type → NumPy's type."""

_NAMES = {np.dtype(known): name for name, known in DTYPES.items()}


def _element(datatype: str) -> Any:
    if datatype.startswith("FP"):
        return float | None
    return {"BOOL": bool, "BYTES": str}.get(datatype, int)


class InferInput(msgspec.Struct, frozen=True, kw_only=True):
    """A tensor of a request; `data` is flat, row by row, or nested; without it, its bytes stand behind the JSON."""

    name: str
    shape: list[int]
    datatype: str
    data: msgspec.Raw = msgspec.Raw()
    parameters: dict[str, Any] = {}


def read_tensor(tensor: InferInput, content: memoryview | None) -> NDArray[Any]:
    """Give the array of a tensor.

    Parameters
    ----------
    content
        Its bytes, when it came in binary form.

    Raises
    ------
    InputInvalid
        If it is not what it says of itself; `details` names it.
    TooLarge
        If there are more than `MAX_ROWS` rows, or texts that are too long.
    """
    shape = tensor.shape
    if not shape or min(shape) < 0:
        raise _invalid(
            tensor, f"has the shape {_short(shape)}", "Give the number of rows first, then each row's shape"
        )
    if shape[0] > MAX_ROWS:
        raise _too_large(tensor, f"has {shape[0]} rows; at most {MAX_ROWS} go into one request")
    if tensor.datatype not in DTYPES:
        raise _invalid(tensor, f"has the datatype `{tensor.datatype[:20]}`", f"Known: {', '.join(DTYPES)}")
    array = _of_json(tensor) if content is None else _of_bytes(tensor, content)
    return array.astype(str) if tensor.datatype == "BYTES" else array


def tensor_of(name: str, array: NDArray[Any]) -> dict[str, Any]:
    """Give the JSON value of an array; a value that is not finite becomes null."""
    return {
        "name": name,
        "datatype": datatype_of(array.dtype),
        "shape": list(array.shape),
        "data": array.ravel().tolist(),
    }


def array_of(tensor: Mapping[str, Any]) -> NDArray[Any]:
    """Give the array of a JSON value that `tensor_of` made; null in numbers becomes NaN."""
    dtype = DTYPES[tensor["datatype"]]
    array = np.array(tensor["data"], dtype=dtype).reshape(tensor["shape"])
    return array.astype(str) if tensor["datatype"] == "BYTES" else array


def datatype_of(dtype: np.dtype[Any]) -> str:
    """Give the protocol's name of an element type.

    Examples
    --------
    >>> datatype_of(np.dtype("float64")), datatype_of(np.dtype("<U3"))
    ('FP64', 'BYTES')
    """
    return _NAMES.get(dtype) or ("FP64" if dtype.kind == "f" else "BYTES")


def array_of_values(name: str, datatype: str, n_axes: int, values: Any) -> NDArray[Any]:
    """Give the array of nested lists; null in decimal numbers becomes NaN.

    Raises
    ------
    InputInvalid
        If a value is of another type, or the lists are nested in another way.
    TooLarge
        If they are texts that are too long.
    """
    tensor = InferInput(name=name, shape=[], datatype=datatype)
    try:
        read = msgspec.convert(values, _type(datatype, n_axes))
    except msgspec.ValidationError as error:
        raise _invalid(tensor, f"holds what is not {datatype}: {error}") from error
    array = _to_array(read, tensor)
    return array.astype(str) if datatype == "BYTES" else array


def _of_json(tensor: InferInput) -> NDArray[Any]:
    shape = tensor.shape
    if not bytes(tensor.data):
        raise _invalid(tensor, "has neither `data` nor the parameter `binary_data_size`")
    nested = len(shape) > 1 and bytes(tensor.data).lstrip()[1:].lstrip().startswith(b"[")
    array = _to_array(_decode(tensor, len(shape) if nested else 1), tensor)
    if array.size != math.prod(shape) or (nested and list(array.shape) != shape):
        found = f"the shape {list(array.shape)}" if nested else f"{array.size} values"
        raise _invalid(tensor, f"says the shape {_short(shape)} and has {found}")
    return array.reshape(shape)


def _of_bytes(tensor: InferInput, content: memoryview) -> NDArray[Any]:
    if bytes(tensor.data):
        raise _invalid(tensor, "has both `data` and the parameter `binary_data_size`")
    n_values = math.prod(tensor.shape)
    if tensor.datatype == "BYTES":
        try:
            array = np.array(texts_of(content), dtype=np.object_)
        except BinaryInvalid as error:
            raise _invalid(tensor, str(error)) from error
        _check_texts(array, tensor)
        if array.size != n_values:
            raise _invalid(tensor, f"says the shape {_short(tensor.shape)} and has {array.size} texts")
        return array.reshape(tensor.shape)
    dtype = np.dtype(DTYPES[tensor.datatype]).newbyteorder("<")
    if len(content) != n_values * dtype.itemsize:
        raise _invalid(
            tensor,
            f"says the shape {_short(tensor.shape)} of {tensor.datatype} and has {len(content)} bytes",
            f"{n_values} values take {n_values * dtype.itemsize} bytes",
        )
    if tensor.datatype == "BOOL":
        truths: NDArray[Any] = np.frombuffer(content, np.uint8) != 0
        return truths.reshape(tensor.shape)
    return np.frombuffer(content, dtype).reshape(tensor.shape)


def _decode(tensor: InferInput, depth: int) -> Any:
    try:
        return _decoder(tensor.datatype, depth).decode(tensor.data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _invalid(tensor, f"holds what is not {tensor.datatype}: {error}") from error
    except RecursionError as error:
        raise _invalid(tensor, "is nested too deeply") from error


@functools.cache
def _decoder(datatype: str, depth: int) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(_type(datatype, depth))


@functools.cache
def _type(datatype: str, depth: int) -> Any:
    type_: Any = _element(datatype)
    for _ in range(depth):
        type_ = list[type_]
    return type_


def _to_array(values: Any, tensor: InferInput) -> NDArray[Any]:
    try:
        with np.errstate(over="ignore"):
            array: NDArray[Any] = np.array(values, dtype=DTYPES[tensor.datatype])
    except OverflowError as error:
        raise _invalid(tensor, f"holds a number that does not fit {tensor.datatype}") from error
    except ValueError as error:
        raise _invalid(tensor, "is not an array: its rows differ in length") from error
    if tensor.datatype == "BYTES":
        _check_texts(array, tensor)
    return array


def _check_texts(array: NDArray[Any], tensor: InferInput) -> None:
    # An array of texts takes as much for each as for the longest.
    longest = max(map(len, array.ravel().tolist()), default=0)
    if longest * array.size > MAX_TEXT:
        raise _too_large(
            tensor,
            f"holds {array.size} texts of up to {longest} characters; at most {MAX_TEXT} go into one request",
        )


def _invalid(tensor: InferInput, why: str, hint: str | None = None) -> InputInvalid:
    return InputInvalid(tensor.name[:100], f"The input `{tensor.name[:100]}` {why}", hint)


def _too_large(tensor: InferInput, why: str) -> TooLarge:
    name = tensor.name[:100]
    return TooLarge(f"The input `{name}` {why}", hint="Send them in parts", details={"field": name})


def _short(shape: Sequence[int]) -> str:
    return str(list(shape))[:100]
