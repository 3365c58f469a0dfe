"""Records in a file that may end anywhere: length, checksum, payload.

A reader gives every whole record before the place where a file was cut off, whichever byte that is.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from typing import NamedTuple

from noria.core.errors import TooLarge

MAX_RECORD_BYTES = 64 << 20
"""A longer length cannot be true; it is taken for the end of what can be read."""

_HEADER = struct.Struct("<II")


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


def header_of(parts: Iterable[bytes | memoryview]) -> bytes:
    """Give what stands before a record whose payload lies in parts, which then need not be put together.

    Raises
    ------
    TooLarge
        As `frame`.
    """
    length = checksum = 0
    for part in parts:
        length += len(part)
        checksum = zlib.crc32(part, checksum)
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
        if zlib.crc32(payload) == checksum:
            records.append(payload)
            ends.append(end)
        else:
            n_damaged += 1
        start = end
    return Parsed(records, ends, start, n_damaged, broken=False)
