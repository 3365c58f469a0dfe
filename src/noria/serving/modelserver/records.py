"""What is kept of an answered request: the bytes of its arrays, and what they have in common with those before it.

A record in the spool is a head of fixed length, its origin (who answered, and what the arrays are), what the model
raised if it did, and the bytes of the arrays. The origin is the same for all requests of a version, so a worker makes
it once. Records of a model that answers with arrays of rarer kinds are spelt out in msgpack, as all were before 0.3.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from noria.core.errors import Corrupt, Invalid
from noria.serving.packing import Entry, cut, json_entry
from noria.serving.predictions import ROLES, NewLabel, Prediction, prediction_ids
from noria.serving.tensor_data import TEXTS, TensorForm, packed_texts, tensor_form

Arrays = Mapping[str, NDArray[Any]]

_MARK = 0xC1
"""First byte of a packed record; no msgpack begins so."""

_FORM = 1
_HEAD = struct.Struct("<BB32sqqIII")
_MAX_ORIGINS = 1_000


class Tensor(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """An array by its bytes; texts as a list."""

    name: str
    dtype: str
    shape: list[int]
    data: bytes | list[str]


class AnsweredRequest(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A request with what the model made of it, spelt out.

    Attributes
    ----------
    at_us
        When it was answered, in microseconds since 1970.
    outputs
        Empty when the model raised; `error` then says what.
    """

    project: str
    endpoint: str
    id: str
    version: int
    revision: int
    at_us: int
    latency_us: int
    n_rows: int
    inputs: list[Tensor]
    outputs: list[Tensor]
    error: str | None = None
    role: int = 0


class GivenLabels(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Labels that wait for the control server."""

    project: str
    endpoint: str
    labels: list[NewLabel]


class Origin(NamedTuple):
    """What requests of a version have in common."""

    project: str
    endpoint: str
    version: int
    revision: int
    layout: bytes
    role: int = 0


class CapturedRequest(NamedTuple):
    """A request with what the model made of it.

    Attributes
    ----------
    common
        Project, endpoint, version and revision.
    id
        32 hex digits.
    at_us
        When it was answered, in microseconds since 1970.
    outputs
        Empty when the model raised; `error` then says what.
    role
        Number of its role in `ROLES`.
    """

    common: tuple[str, str, int, int]
    id: str
    at_us: int
    latency_us: int
    n_rows: int
    inputs: Arrays
    outputs: Arrays
    error: str | None = None
    role: int = 0


class Recorder:
    """Makes the records of one worker. Called from many threads."""

    def __init__(self) -> None:
        self._made: dict[Any, _Made] = {}

    def encode(self, request: CapturedRequest) -> bytes:
        """Give the bytes that a spool keeps."""
        common, identity, at_us, latency_us, n_rows, inputs, outputs, raised, role = request
        arrays = [*inputs.values(), *outputs.values()]
        # Of each attribute by itself: this is run for each request, and hashing a type costs more than all the rest.
        shapes, types = [array.shape for array in arrays], [array.dtype for array in arrays]
        key = (common, role, n_rows, *inputs, len(inputs), *outputs)
        made = self._made.get(key)
        if made is None or made.shapes != shapes or made.types != types:
            if len(self._made) >= _MAX_ORIGINS:
                self._made.clear()
            made = self._made[key] = _make(request, shapes, types)
        if made.origin is None:
            return _encoder.encode(_spelt_out(request))
        error = b"" if raised is None else raised.encode("utf-8", "replace")
        sizes = len(made.origin), len(error)
        head = _HEAD.pack(_MARK, _FORM, identity.encode(), at_us, latency_us, n_rows, *sizes)
        bytes_of = _bytes_of if made.has_texts else _tobytes
        return b"".join((head, made.origin, error, *map(bytes_of, arrays)))


class _Made(NamedTuple):
    """The bytes of an origin, None where the arrays cannot be kept as such, and the arrays that it is made for."""

    origin: bytes | None
    has_texts: bool
    shapes: list[tuple[int, ...]]
    types: list[np.dtype[Any]]


def _make(request: CapturedRequest, shapes: list[tuple[int, ...]], types: list[np.dtype[Any]]) -> _Made:
    forms = [_forms(request.inputs), _forms(request.outputs)]
    found = [form for each in forms for form in each]
    known = None not in found and all(shape[:1] == (request.n_rows,) for shape in shapes)
    roles = (request.role,) if request.role else ()
    origin = _encoder.encode((*request.common, _encoder.encode(forms), *roles)) if known else None
    return _Made(origin, any(form is not None and form.dtype == TEXTS for form in found), shapes, types)


_tobytes = np.ndarray.tobytes
_encoder = msgspec.msgpack.Encoder()
_requests = msgspec.msgpack.Decoder(AnsweredRequest)
_labels = msgspec.msgpack.Decoder(GivenLabels)
_origins = msgspec.msgpack.Decoder(Origin)


def encode(record: AnsweredRequest | GivenLabels) -> bytes:
    """Give the bytes of what is spelt out."""
    return _encoder.encode(record)


def decode_labels(payload: bytes) -> GivenLabels:
    """Read labels back."""
    return _labels.decode(payload)


def by_endpoint(records: Iterable[bytes]) -> dict[tuple[str, str], list[Entry]]:
    """Read records back, as they are handed on: by project and endpoint, long ones in pieces.

    Raises
    ------
    Corrupt, Invalid, msgspec.DecodeError
        If something is no record.
    """
    found: dict[tuple[str, str], list[Entry]] = {}
    for payload in records:
        if payload[0] == _MARK:
            origin, entry = _read(payload)
            entries = [entry] if entry.n_rows == 1 else cut(entry)
            place = (origin.project, origin.endpoint)
        else:
            spelt = _requests.decode(payload)
            entries = [json_entry(prediction) for prediction in to_predictions(spelt)]
            place = (spelt.project, spelt.endpoint)
        if place in found:
            found[place] += entries
        else:
            found[place] = entries
    return found


def entry_of(payload: bytes) -> tuple[Origin, Entry] | None:
    """Read one record back as a whole; None when it is spelt out.

    Raises
    ------
    Corrupt
        If it is no record.
    """
    return _read(payload) if payload[:1] == bytes([_MARK]) else None


def origin_of(payload: bytes) -> Origin | None:
    """Tell who answered; None when the record is spelt out."""
    if payload[:1] != bytes([_MARK]):
        return None
    n_origin = _HEAD.unpack_from(payload)[6]
    return _origin_of(payload[_HEAD.size : _HEAD.size + n_origin])


def id_of(payload: bytes) -> str:
    """Give the id of the request whose `origin_of` is known."""
    return payload[2:34].decode()


def to_predictions(record: AnsweredRequest) -> list[Prediction]:
    """Give one prediction per row of a request that is spelt out; raises `Invalid` if an array has not as many."""
    at = datetime.fromtimestamp(record.at_us / 1e6, UTC)
    inputs, outputs = _columns(record.inputs), _columns(record.outputs)
    try:
        return [
            Prediction(
                id=identity,
                version=record.version,
                at=at,
                inputs={name: column[row] for name, column in inputs.items()},
                outputs={name: column[row] for name, column in outputs.items()},
                latency_us=record.latency_us,
                error=record.error,
                row=row,
                revision=record.revision,
                role=ROLES[record.role],
            )
            for row, identity in enumerate(prediction_ids(record.id, record.n_rows))
        ]
    except (IndexError, TypeError) as error:
        raise Invalid(
            f"The arrays of the request `{record.id}` do not have its {record.n_rows} rows"
        ) from error


def _read(payload: bytes) -> tuple[Origin, Entry]:
    try:
        _, form, identity, at_us, latency_us, n_rows, n_origin, n_error = _HEAD.unpack_from(payload)
    except struct.error as error:
        raise Corrupt(f"A record of {len(payload)} bytes is cut off") from error
    if form != _FORM:
        raise Corrupt(f"A record has the form {form}, which this version does not know")
    start = _HEAD.size + n_origin
    origin = _origin_of(payload[_HEAD.size : start])
    end = start + n_error
    raised = payload[start:end].decode() if n_error else None
    entry = Entry(
        identity.decode(), origin.version, origin.revision, at_us, latency_us, 0, n_rows, n_rows,
        origin.layout, payload[end:], raised, origin.role,
    )  # fmt: skip
    return origin, entry


@lru_cache(maxsize=_MAX_ORIGINS)
def _origin_of(data: bytes) -> Origin:
    return _origins.decode(data)


def _forms(arrays: Arrays) -> list[TensorForm | None]:
    return [tensor_form(name, array.dtype.str, array.shape[1:]) for name, array in arrays.items()]


def _bytes_of(array: NDArray[Any]) -> bytes:
    return (
        packed_texts([str(value) for value in array.ravel()])
        if array.dtype.kind in "OUS"
        else array.tobytes()
    )


def _spelt_out(request: CapturedRequest) -> AnsweredRequest:
    project, endpoint, version, revision = request.common
    return AnsweredRequest(
        project=project,
        endpoint=endpoint,
        id=request.id,
        version=version,
        revision=revision,
        at_us=request.at_us,
        latency_us=request.latency_us,
        n_rows=request.n_rows,
        inputs=[_tensor(name, array) for name, array in request.inputs.items()],
        outputs=[_tensor(name, array) for name, array in request.outputs.items()],
        error=request.error,
        role=request.role,
    )


def _tensor(name: str, array: NDArray[Any]) -> Tensor:
    shape = list(array.shape)
    if array.dtype.kind in "OUS":
        return Tensor(name=name, dtype=TEXTS, shape=shape, data=[str(value) for value in array.ravel()])
    return Tensor(name=name, dtype=array.dtype.str, shape=shape, data=array.tobytes())


def _columns(tensors: list[Tensor]) -> dict[str, list[Any]]:
    return {tensor.name: _unpack(tensor).tolist() for tensor in tensors}


def _unpack(tensor: Tensor) -> NDArray[Any]:
    if isinstance(tensor.data, bytes):
        return np.frombuffer(tensor.data, dtype=tensor.dtype).reshape(tensor.shape)
    return np.array(tensor.data, dtype=object).reshape(tensor.shape)
