"""Messages between a replay and the process that runs an episode's code: a length, then MessagePack."""

from __future__ import annotations

import io
import os
import struct
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    import polars as pl

HEAD = struct.Struct("<Q")


def pack(message: dict[str, Any]) -> bytes:
    """Give a message as bytes, its length first."""
    body = msgspec.msgpack.encode(message)
    return HEAD.pack(len(body)) + body


def unpack(body: bytes) -> dict[str, Any]:
    """Give the message of a body."""
    return msgspec.msgpack.decode(body, type=dict[str, Any])


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of it."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def frame_bytes(frame: pl.DataFrame) -> bytes:
    """Give a frame as Arrow IPC."""
    sink = io.BytesIO()
    frame.write_ipc(sink)
    return sink.getvalue()


def to_frame(data: bytes) -> pl.DataFrame:
    """Read a frame from Arrow IPC."""
    import polars as pl

    return pl.read_ipc(io.BytesIO(data))
