"""The Open Inference Protocol v2: requests, the answers to them, and what a server says of itself.

https://github.com/open-inference/open-inference-protocol
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from numpy.typing import NDArray

from noria._version import __version__
from noria.core.errors import Invalid, near
from noria.registry.entities import Signature, TensorSpec
from noria.registry.signatures import InputInvalid, check_inputs
from noria.serving.modelserver.binary import BINARY, EXTENSION, SIZE, Binary, bytes_of
from noria.serving.modelserver.fast import FastOutput, FastRequest, Numbers, read_fast
from noria.serving.modelserver.tensors import (
    MAX_ROWS,
    MAX_TEXT,
    InferInput,
    array_of,
    datatype_of,
    read_tensor,
    tensor_of,
)

__all__ = ["MAX_ROWS", "MAX_TEXT", "InferInput", "array_of", "datatype_of", "tensor_of"]

MAX_ID_LENGTH = 200

Contents = dict[int, memoryview]

_encode = msgspec.json.Encoder().encode
_JSON = [("content-type", "application/json")]
_BYTES = ("content-type", "application/octet-stream")
_NOTHING: dict[str, Any] = {}
_NUMBERS = [str(row) for row in range(MAX_ROWS)]


class Encoded(NamedTuple):
    """The bytes of an answer, and the headers that describe them."""

    body: bytes
    headers: list[tuple[str, str]]


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """What a version made of a request."""

    endpoint: str
    version: int
    identity: str
    n_rows: int
    outputs: dict[str, NDArray[Any]]


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


_NOT_JSON = re.compile(rb"[:,\[\s](?:NaN|-?Infinity)[,\]}\s]")

_request_decoder = msgspec.json.Decoder(InferRequest)


def hint_on_numbers(body: bytes) -> str | None:
    """Say what to send for numbers that JSON cannot write but many programs do; None when there are none of them."""
    if _NOT_JSON.search(body) is None:
        return None
    return "JSON has no `NaN` and no `Infinity`: send `null` for a missing value"


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
            hint=hint_on_numbers(body)
            or 'Send `{"inputs": [{"name": …, "shape": […], "datatype": …, "data": […]}]}`',
        ) from error
    except RecursionError as error:
        raise Invalid("The request is nested too deeply") from error
    if request.id is not None and len(request.id) > MAX_ID_LENGTH:
        raise Invalid(f"The request's `id` is longer than {MAX_ID_LENGTH} characters")
    return request


def read_inputs(request: InferRequest, signature: Signature, contents: Contents | None = None) -> ReadInputs:
    """Turn the tensors of a request into arrays that fit the model's signature.

    Parameters
    ----------
    contents
        The bytes of the tensors that came in binary form, by their place in the request.

    Raises
    ------
    InputInvalid
        If one is missing, unknown, given twice, or has another datatype, shape or size than the model takes, or holds
        a value that is not finite. `details` names it.
    TooLarge
        If there are more than `MAX_ROWS` rows, or texts that are too long.
    """
    arrays: dict[str, NDArray[Any]] = {}
    for place, tensor in enumerate(request.inputs):
        if tensor.name in arrays:
            name = tensor.name[:100]
            raise InputInvalid(name, f"The input `{name}` is given twice")
        arrays[tensor.name] = read_tensor(tensor, (contents or {}).get(place))
    # Not copied: a model that may write to what it is given gets copies of its own (`Lane.run`).
    checked = check_inputs(signature, arrays, copied=False)
    return ReadInputs(checked, len(next(iter(checked.values()), ())))


def _unknown_output(requested: Sequence[RequestedOutput | FastOutput], known: Sequence[str]) -> Invalid:
    name = next(wanted.name for wanted in requested if wanted.name not in known)
    close = near(name, known)
    return Invalid(
        f"The model has no output `{name[:100]}`",
        hint=f"Did you mean `{close}`?" if close else f"It has {', '.join(f'`{n}`' for n in known)}",
        details={"field": name[:100]},
    )


class _Tensor(msgspec.Struct, omit_defaults=True):
    """An output, as it is told."""

    name: str
    datatype: str
    shape: Sequence[int]
    data: list[Any] | msgspec.UnsetType = msgspec.UNSET
    parameters: dict[str, int] | msgspec.UnsetType = msgspec.UNSET


class _Predictions(msgspec.Struct):
    """The ids of an answer's predictions."""

    prediction_ids: Any


class _Answer(msgspec.Struct):
    """An answer, as it is told."""

    model_name: str
    model_version: str
    id: str
    parameters: _Predictions
    outputs: list[_Tensor]


class InferAsk:
    """A request of the protocol, in JSON with or without bytes behind it.

    Parameters
    ----------
    body
        JSON up to `n_head` bytes, then the tensors' bytes; all of it is JSON when that is None.
    numbers
        What the model takes, when that is nothing but decimal numbers: these are looked for first.
    """

    def __init__(self, body: bytes, n_head: int | None, numbers: Numbers | None) -> None:
        fast = None if numbers is None or n_head is not None else read_fast(body)
        self._numbers = numbers
        self._contents: Contents | None = None
        self._request: InferRequest | FastRequest
        if fast is not None:
            self._body, self._request = body, fast
        elif n_head is None:
            self._request = read_request(body)
        else:
            binary = Binary(body, n_head)
            self._request = read_request(binary.head)
            self._contents = binary.split([(each.name, each.parameters) for each in self._request.inputs])
        self.id = self._request.id
        self.parameters = self._request.parameters

    def inputs(self, signature: Signature) -> ReadInputs:
        """Give the arrays that the model is asked about.

        Raises
        ------
        InputInvalid
            As `read_inputs`.
        """
        if isinstance(self._request, FastRequest):
            numbers = self._numbers
            if numbers is None or numbers.signature is not signature:
                numbers = Numbers.of(signature)
            found = None if numbers is None else numbers.read(self._request)
            if found is not None:
                return ReadInputs(*found)
            # Whatever is the matter, the long way finds it, or finds that it is right after all.
            self._request = read_request(self._body)
        return read_inputs(self._request, signature, self._contents)

    def reply(self, answered: Answered) -> Encoded:
        """Give the answer's bytes, and the headers that belong to them."""
        outputs, requested = answered.outputs, self._request.outputs
        parameters = self.parameters
        whole = bool(parameters) and parameters.get("binary_data_output") is True
        described, behind = [], []
        for name, said in _asked(requested, outputs) if requested else [(name, _NOTHING) for name in outputs]:
            array = outputs[name]
            tensor = _Tensor(name, datatype_of(array.dtype), array.shape)
            described.append(tensor)
            if (said or whole) and said.get(BINARY, whole) is True:
                content = bytes_of(array)
                behind.append(content)
                tensor.parameters = {SIZE: len(content)}
            else:
                tensor.data = (array if array.ndim == 1 else array.ravel()).tolist()
        identity = answered.identity
        head = _encode(
            _Answer(
                answered.endpoint,
                str(answered.version),
                identity if self.id is None else self.id,
                _Predictions(_identities(identity, answered.n_rows)),
                described,
            )
        )
        if not behind:
            return Encoded(head, _JSON)
        length = ("inference-header-content-length", str(len(head)))
        return Encoded(b"".join([head, *behind]), [_BYTES, length])


def _asked(
    requested: Sequence[RequestedOutput | FastOutput], outputs: Mapping[str, Any]
) -> list[tuple[str, dict[str, Any]]]:
    """Give the outputs that are asked for, in the model's order, with what is said of each."""
    if len(requested) == 1 and requested[0].name in outputs:
        return [(requested[0].name, requested[0].parameters)]
    if any(wanted.name not in outputs for wanted in requested):
        raise _unknown_output(requested, list(outputs))
    said = {wanted.name: wanted.parameters for wanted in requested}
    return [(name, said[name]) for name in outputs if name in said]


def _identities(identity: str, n_rows: int) -> Any:
    """Give the ids of a request's predictions, as `prediction_ids` does, as JSON: the identity needs no escaping."""
    if n_rows == 1:
        return [identity]
    inner = f'","{identity}-'.join(_NUMBERS[:n_rows])
    return msgspec.Raw(f'["{identity}-{inner}"]'.encode())


def server_metadata() -> dict[str, Any]:
    """Describe the server as the protocol asks."""
    return {"name": "noria", "version": __version__, "extensions": [EXTENSION]}


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
