"""The Open Inference Protocol v2 in JSON: requests into arrays, checked against a signature, and arrays into answers.

https://github.com/open-inference/open-inference-protocol
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from noria._version import __version__
from noria.core.errors import Invalid, TooLarge, near
from noria.registry.entities import Signature, TensorSpec
from noria.registry.signatures import InputInvalid, check_inputs

MAX_ROWS = 10_000
"""Most rows of one request; a longer one would keep others waiting."""

MAX_TEXT = 4_000_000
"""Most characters that an input of texts may take, each text counted as long as the longest."""

MAX_ID_LENGTH = 200

_DTYPES: dict[str, Any] = {
    "FP64": np.float64,
    "FP32": np.float32,
    "INT64": np.int64,
    "INT32": np.int32,
    "BOOL": np.bool_,
    "BYTES": np.object_,
}
_ELEMENTS: dict[str, Any] = {
    "FP64": float | None,
    "FP32": float | None,
    "INT64": int,
    "INT32": int,
    "BOOL": bool,
    "BYTES": str,
}


class InferInput(msgspec.Struct, frozen=True, kw_only=True):
    """A tensor of a request; `data` is flat, row by row, or nested."""

    name: str
    shape: list[int]
    datatype: str
    data: msgspec.Raw
    parameters: dict[str, Any] = {}


class RequestedOutput(msgspec.Struct, frozen=True, kw_only=True):
    """An output that the client wants; without any it gets all."""

    name: str
    parameters: dict[str, Any] = {}


class InferRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request for predictions."""

    inputs: list[InferInput]
    id: str | None = None
    parameters: dict[str, Any] = {}
    outputs: list[RequestedOutput] = []


class ReadInputs(NamedTuple):
    """The arrays of a request, and how many rows each has."""

    arrays: dict[str, NDArray[Any]]
    n_rows: int


_request_decoder = msgspec.json.Decoder(InferRequest)


def read_request(body: bytes) -> InferRequest:
    """Decode the body of a request.

    Raises
    ------
    Invalid
        If it is not JSON of the right form; the message names the field.
    """
    try:
        request = _request_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid(
            f"The request does not have the form of the Open Inference Protocol: {error}",
            hint='Send `{"inputs": [{"name": …, "shape": […], "datatype": …, "data": […]}]}`',
        ) from error
    except RecursionError as error:
        raise Invalid("The request is nested too deeply") from error
    if request.id is not None and len(request.id) > MAX_ID_LENGTH:
        raise Invalid(f"The request's `id` is longer than {MAX_ID_LENGTH} characters")
    return request


def read_inputs(request: InferRequest, signature: Signature) -> ReadInputs:
    """Turn the tensors of a request into arrays that fit the model's signature.

    Raises
    ------
    InputInvalid
        If one is missing, unknown, given twice, or has another datatype, shape or size than the model takes, or holds
        a value that is not finite. `details` names it.
    TooLarge
        If there are more than `MAX_ROWS` rows, or texts that are too long.
    """
    arrays: dict[str, NDArray[Any]] = {}
    for tensor in request.inputs:
        if tensor.name in arrays:
            raise _invalid(tensor, "is given twice")
        arrays[tensor.name] = _read_tensor(tensor)
    checked = check_inputs(signature, arrays)
    return ReadInputs(checked, len(next(iter(checked.values()), ())))


def wanted_outputs(request: InferRequest, known: Sequence[str]) -> set[str]:
    """Give the names of the outputs that a request asks for.

    Raises
    ------
    Invalid
        If there is none of that name.
    """
    for wanted in request.outputs:
        if wanted.name not in known:
            close = near(wanted.name, known)
            raise Invalid(
                f"The model has no output `{wanted.name[:100]}`",
                hint=f"Did you mean `{close}`?" if close else f"It has {', '.join(f'`{n}`' for n in known)}",
                details={"field": wanted.name[:100]},
            )
    return {wanted.name for wanted in request.outputs} or set(known)


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
    dtype = _DTYPES[tensor["datatype"]]
    array = np.array(tensor["data"], dtype=dtype).reshape(tensor["shape"])
    return array.astype(str) if tensor["datatype"] == "BYTES" else array


def datatype_of(dtype: np.dtype[Any]) -> str:
    """Give the protocol's name of an element type.

    Examples
    --------
    >>> datatype_of(np.dtype("float64")), datatype_of(np.dtype("<U3"))
    ('FP64', 'BYTES')
    """
    return next(
        (name for name, known in _DTYPES.items() if dtype == known),
        {"f": "FP64", "i": "INT64", "u": "INT64", "b": "BOOL"}.get(dtype.kind, "BYTES"),
    )


def server_metadata() -> dict[str, Any]:
    """Describe the server as the protocol asks."""
    return {"name": "noria", "version": __version__, "extensions": []}


def model_metadata(
    name: str, versions: Sequence[int], signature: Signature, outputs: Sequence[TensorSpec]
) -> dict[str, Any]:
    """Describe a model as the protocol asks."""
    return {
        "name": name,
        "versions": [str(version) for version in versions],
        "platform": "noria",
        "inputs": [_described(spec) for spec in signature.inputs],
        "outputs": [_described(spec) for spec in outputs],
    }


def _described(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": list(spec.shape)}


def _read_tensor(tensor: InferInput) -> NDArray[Any]:
    shape = tensor.shape
    if not shape or min(shape) < 0:
        raise _invalid(
            tensor, f"has the shape {_short(shape)}", "Give the number of rows first, then each row's shape"
        )
    if shape[0] > MAX_ROWS:
        raise _too_large(tensor, f"has {shape[0]} rows; at most {MAX_ROWS} go into one request")
    nested = len(shape) > 1 and bytes(tensor.data).lstrip()[1:].lstrip().startswith(b"[")
    array = _to_array(_decode(tensor, len(shape) if nested else 1), tensor)
    if array.size != math.prod(shape) or (nested and list(array.shape) != shape):
        found = f"the shape {list(array.shape)}" if nested else f"{array.size} values"
        raise _invalid(tensor, f"says the shape {_short(shape)} and has {found}")
    array = array.reshape(shape)
    return array.astype(str) if tensor.datatype == "BYTES" else array


def _decode(tensor: InferInput, depth: int) -> Any:
    if tensor.datatype not in _ELEMENTS:
        raise _invalid(tensor, f"has the datatype `{tensor.datatype[:20]}`", f"Known: {', '.join(_ELEMENTS)}")
    try:
        return _decoder(tensor.datatype, depth).decode(tensor.data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _invalid(tensor, f"holds what is not {tensor.datatype}: {error}") from error
    except RecursionError as error:
        raise _invalid(tensor, "is nested too deeply") from error


@functools.cache
def _decoder(datatype: str, depth: int) -> msgspec.json.Decoder[Any]:
    type_: Any = _ELEMENTS[datatype]
    for _ in range(depth):
        type_ = list[type_]
    return msgspec.json.Decoder(type_)


def _to_array(values: Any, tensor: InferInput) -> NDArray[Any]:
    try:
        with np.errstate(over="ignore"):
            array: NDArray[Any] = np.array(values, dtype=_DTYPES[tensor.datatype])
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
