"""Records in a file that may end anywhere: length, checksum, payload.

A reader gives every whole record before the place where a file was cut off, whichever byte that is.
"""

from __future__ import annotations

import importlib
import importlib.util
import struct
import zlib
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple, cast

from noria.core.errors import TooLarge

MAX_RECORD_BYTES = 64 << 20
"""A longer length cannot be true; it is taken for the end of what can be read."""

_HEADER = struct.Struct("<II")

_LONG_BYTES = 1 << 14
"""From here on it pays to look for what computes checksums faster."""

_Checksum = Callable[[bytes | memoryview, int], int]


class Parsed(NamedTuple):
    """What was read from a piece of a file.

    Attributes
    ----------
    records
        Payloads of the whole records, in order.
    ends
        Offset behind each of them, relative to the piece.
    end
        Offset behind the last of them, damaged ones included.
    n_damaged
        Records that were skipped because their checksum does not fit.
    broken
        True when a length cannot be true: nothing behind `end` can be read.
    """

    records: list[bytes]
    ends: list[int]
    end: int
    n_damaged: int
    broken: bool


def frame(payload: bytes) -> bytes:
    """Give the bytes of one record.

    Raises
    ------
    TooLarge
        If the payload is empty or longer than `MAX_RECORD_BYTES`.
    """
    return header_of((payload,)) + payload


def header_of(parts: Sequence[bytes | memoryview]) -> bytes:
    """Give what stands before a record whose payload lies in parts, which then need not be put together.

    Raises
    ------
    TooLarge
        As `frame`.
    """
    length = sum(map(len, parts))
    crc32, checksum = _crc32_for(length), 0
    for part in parts:
        checksum = crc32(part, checksum)
    if not 0 < length <= MAX_RECORD_BYTES:
        raise TooLarge(f"A record of {length} bytes cannot be kept", hint="Send fewer rows at a time")
    return _HEADER.pack(length, checksum)


def parse(data: bytes | memoryview, *, max_records: int | None = None) -> Parsed:
    """Read whole records from the start of `data`.

    Examples
    --------
    >>> parse(frame(b"one") + frame(b"two")[:-1]).records
    [b'one']
    """
    view = memoryview(data)
    records: list[bytes] = []
    ends: list[int] = []
    start = n_damaged = 0
    while len(view) - start >= _HEADER.size and len(records) != max_records:
        length, checksum = _HEADER.unpack_from(view, start)
        if not 0 < length <= MAX_RECORD_BYTES:
            return Parsed(records, ends, start, n_damaged, broken=True)
        end = start + _HEADER.size + length
        if end > len(view):
            break
        payload = bytes(view[start + _HEADER.size : end])
        if _crc32_for(length)(payload, 0) == checksum:
            records.append(payload)
            ends.append(end)
        else:
            n_damaged += 1
        start = end
    return Parsed(records, ends, start, n_damaged, broken=False)


def _crc32_for(n_bytes: int) -> _Checksum:
    return zlib.crc32 if n_bytes < _LONG_BYTES else _crc32_of_many()


@cache
def _crc32_of_many() -> _Checksum:
    """Give the fastest there is; an extra computes the same in a third of the time."""
    if importlib.util.find_spec("isal") is None:
        return zlib.crc32
    found: Any = importlib.import_module("isal.isal_zlib")
    return cast("_Checksum", found.crc32)
