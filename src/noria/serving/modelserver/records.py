"""What is kept of an answered request: the bytes of its arrays, and what they have in common with those before it.

A record in the spool is a head of fixed length, its origin (who answered, and what the arrays are), what the model
raised if it did, and the bytes of the arrays. The origin is the same for all requests of a version, so a worker makes
it once. Requests that were answered together share a record (`joint`). Records of a model that answers with arrays of
rarer kinds are spelt out in msgpack, as all were before 0.3.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from noria.core.errors import Corrupt, Invalid
from noria.serving.modelserver.joint import MARK, is_joint, origin_bytes, read_joint
from noria.serving.packing import Entry, cut, json_entry
from noria.serving.predictions import ROLES, NewLabel, Prediction, prediction_ids

FORM = 1
HEAD = struct.Struct("<BB32sqqIII")
"""Of a record of one request: mark, form, id, time, latency, rows, and the lengths of origin and error."""

MAX_ORIGINS = 1_000
"""Origins that are remembered."""


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
        if is_joint(payload):
            origin, entries = _read_joint(payload)
            place = (origin.project, origin.endpoint)
        elif payload[0] == MARK:
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
    """Read the record of one request back as a whole; None when it is spelt out.

    Raises
    ------
    Corrupt
        If it is no record.
    """
    return _read(payload) if payload[:1] == bytes([MARK]) else None


def apart(payload: bytes) -> list[bytes]:
    """Give a record for each request of a record.

    Raises
    ------
    Corrupt
        If it is no record.
    """
    if not is_joint(payload):
        return [payload]
    joint = read_joint(payload)
    heads = (
        HEAD.pack(MARK, FORM, identity.encode(), joint.at_us, latency_us, 1, len(joint.origin), 0)
        for identity, latency_us in zip(joint.ids, joint.latencies_us, strict=True)
    )
    return [head + joint.origin + data for head, data in zip(heads, joint.parts(), strict=True)]


def origin_of(payload: bytes) -> Origin | None:
    """Tell who answered the requests of a record; None when the record is spelt out."""
    if payload[:1] != bytes([MARK]):
        return None
    if is_joint(payload):
        return _origin_of(origin_bytes(payload))
    n_origin = HEAD.unpack_from(payload)[6]
    return _origin_of(payload[HEAD.size : HEAD.size + n_origin])


def id_of(payload: bytes) -> str:
    """Give the id of the one request of a record whose `origin_of` is known."""
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
        _, form, identity, at_us, latency_us, n_rows, n_origin, n_error = HEAD.unpack_from(payload)
    except struct.error as error:
        raise Corrupt(f"A record of {len(payload)} bytes is cut off") from error
    if form != FORM:
        raise Corrupt(f"A record has the form {form}, which this version does not know")
    start = HEAD.size + n_origin
    origin = _origin_of(payload[HEAD.size : start])
    end = start + n_error
    raised = payload[start:end].decode() if n_error else None
    entry = Entry(
        identity.decode(), origin.version, origin.revision, at_us, latency_us, 0, n_rows, n_rows,
        origin.layout, payload[end:], raised, origin.role,
    )  # fmt: skip
    return origin, entry


def _read_joint(payload: bytes) -> tuple[Origin, list[Entry]]:
    joint = read_joint(payload)
    origin = _origin_of(joint.origin)
    _, _, version, revision, layout, role = origin
    entries = [
        Entry(identity, version, revision, joint.at_us, latency_us, 0, 1, 1, layout, data, None, role)
        for identity, latency_us, data in zip(joint.ids, joint.latencies_us, joint.parts(), strict=True)
    ]
    return origin, entries


@lru_cache(maxsize=MAX_ORIGINS)
def _origin_of(data: bytes) -> Origin:
    return _origins.decode(data)


def _columns(tensors: list[Tensor]) -> dict[str, list[Any]]:
    return {tensor.name: _unpack(tensor).tolist() for tensor in tensors}


def _unpack(tensor: Tensor) -> NDArray[Any]:
    if isinstance(tensor.data, bytes):
        return np.frombuffer(tensor.data, dtype=tensor.dtype).reshape(tensor.shape)
    return np.array(tensor.data, dtype=object).reshape(tensor.shape)
