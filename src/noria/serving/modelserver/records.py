"""What is kept of an answered request: compact while it waits in the spool, one row each when it is handed on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from noria.serving.predictions import NewLabel, Prediction, prediction_ids

Arrays = Mapping[str, NDArray[Any]]


class Tensor(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """An array by its bytes; texts as a list."""

    name: str
    dtype: str
    shape: list[int]
    data: bytes | list[str]


class AnsweredRequest(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A request with what the model made of it.

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


class GivenLabels(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Labels that wait for the control server."""

    project: str
    endpoint: str
    labels: list[NewLabel]


_encoder = msgspec.msgpack.Encoder()
_requests = msgspec.msgpack.Decoder(AnsweredRequest)
_labels = msgspec.msgpack.Decoder(GivenLabels)


def encode(record: AnsweredRequest | GivenLabels) -> bytes:
    """Give the bytes that a spool keeps."""
    return _encoder.encode(record)


def decode_request(payload: bytes) -> AnsweredRequest:
    """Read an answered request back."""
    return _requests.decode(payload)


def decode_labels(payload: bytes) -> GivenLabels:
    """Read labels back."""
    return _labels.decode(payload)


def to_tensors(arrays: Arrays) -> list[Tensor]:
    """Pack arrays."""
    return [_pack(name, array) for name, array in arrays.items()]


def to_predictions(record: AnsweredRequest) -> list[Prediction]:
    """Give one prediction per row of a request."""
    at = datetime.fromtimestamp(record.at_us / 1e6, UTC)
    inputs = _columns(record.inputs)
    outputs = _columns(record.outputs)
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
        )
        for row, identity in enumerate(prediction_ids(record.id, record.n_rows))
    ]


def _pack(name: str, array: NDArray[Any]) -> Tensor:
    shape = list(array.shape)
    if array.dtype.kind in "OUS":
        return Tensor(name=name, dtype="O", shape=shape, data=[str(value) for value in array.ravel()])
    return Tensor(name=name, dtype=array.dtype.str, shape=shape, data=array.tobytes())


def _columns(tensors: list[Tensor]) -> dict[str, list[Any]]:
    return {tensor.name: _unpack(tensor).tolist() for tensor in tensors}


def _unpack(tensor: Tensor) -> NDArray[Any]:
    if isinstance(tensor.data, bytes):
        return np.frombuffer(tensor.data, dtype=tensor.dtype).reshape(tensor.shape)
    return np.array(tensor.data, dtype=object).reshape(tensor.shape)
