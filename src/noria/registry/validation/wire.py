"""Messages between a validation and the process of the model: MessagePack with arrays in it, never a pickle."""

from __future__ import annotations

import os
import struct
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from noria.core.errors import Corrupt

MAX_BYTES = 1 << 30
_HEAD = struct.Struct(">Q")
_KINDS = "biufUS"


def pack(message: dict[str, Any]) -> bytes:
    """Encode a message with its length before it; arrays may stand anywhere in it."""
    body = msgspec.msgpack.encode(message, enc_hook=_encode_array)
    return _HEAD.pack(len(body)) + body


def unpack(body: bytes) -> dict[str, Any]:
    """Decode what follows the length.

    Raises
    ------
    Corrupt
        If it is no message: the process at the other end may have written anything.
    """
    try:
        return {str(key): value for key, value in msgspec.msgpack.decode(body, type=dict[str, Any]).items()}
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Corrupt(f"The process of the model wrote no message: {error}") from error


def to_arrays(named: dict[str, Any]) -> dict[str, NDArray[Any]]:
    """Read arrays by name.

    Raises
    ------
    Corrupt
        If one of them is none.
    """
    try:
        return {str(name): _decode_array(value) for name, value in named.items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Corrupt(f"The process of the model wrote no array: {error}") from error


def length_of(head: bytes) -> int:
    """Read a length.

    Raises
    ------
    Corrupt
        If it is beyond all reason.
    """
    length = int(_HEAD.unpack(head)[0])
    if length > MAX_BYTES:
        raise Corrupt("The process of the model announced a message beyond all reason")
    return length


HEAD_BYTES = _HEAD.size


def write_all(descriptor: int, data: bytes) -> None:
    """Write everything."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _encode_array(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    array = np.asarray(value)
    if array.dtype.kind not in _KINDS:
        array = array.astype(str)
    return {"d": array.dtype.str, "s": list(array.shape), "b": np.ascontiguousarray(array).tobytes()}


def _decode_array(value: dict[str, Any]) -> NDArray[Any]:
    dtype = np.dtype(str(value["d"]))
    if dtype.kind not in _KINDS:
        raise ValueError(f"an array of `{dtype}`")
    return np.frombuffer(value["b"], dtype=dtype).reshape(value["s"]).copy()
