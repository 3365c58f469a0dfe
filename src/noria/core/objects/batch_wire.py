"""Many objects in one body: each with its length before it, so that nobody needs to look into the bytes."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Final

from noria.core.errors import Invalid, TooLarge, Unavailable

BATCH_OBJECTS: Final = 2_000
BATCH_BYTES: Final = 16 * 1024 * 1024
"""What one body holds at most."""

SMALL_BYTES: Final = 1024 * 1024
"""A larger object goes by itself."""

_LENGTH: Final = struct.Struct("<Q")
_NUMBERED: Final = struct.Struct("<IQ")


def join(items: Iterable[bytes]) -> Iterator[bytes]:
    """Write objects one after the other."""
    for item in items:
        yield _LENGTH.pack(len(item))
        yield item


def split(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Read objects one after the other.

    Raises
    ------
    TooLarge
        If there are more objects or bytes than a body holds.
    Invalid
        If the body ends within one.
    """
    rest = _Rest(iter(chunks))
    n_objects, n_bytes = 0, 0
    while (head := rest.take(_LENGTH.size, at_end=True)) is not None:
        (length,) = _LENGTH.unpack(head)
        n_objects, n_bytes = n_objects + 1, n_bytes + length
        if n_objects > BATCH_OBJECTS or n_bytes > BATCH_BYTES + SMALL_BYTES:
            raise TooLarge(f"A body holds at most {BATCH_OBJECTS} objects and {BATCH_BYTES} bytes")
        yield rest.take(length) or b""


def join_numbered(items: Iterable[tuple[int, int, Iterator[bytes]]]) -> Iterator[bytes]:
    """Write objects with their number and length before them."""
    for n, size_bytes, chunks in items:
        yield _NUMBERED.pack(n, size_bytes)
        yield from chunks


def split_numbered(chunks: Iterable[bytes]) -> Iterator[tuple[int, Iterator[bytes]]]:
    """Read numbered objects, each in chunks; what is not read of one is passed over.

    Raises
    ------
    Unavailable
        If the body ends within one.
    """
    rest = _Rest(iter(chunks))
    while (head := rest.take(_NUMBERED.size, at_end=True)) is not None:
        n, length = _NUMBERED.unpack(head)
        pieces = rest.pieces(length)
        yield n, pieces
        for _ in pieces:
            pass


class _Rest:
    """What is left of a body."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def take(self, n_bytes: int, *, at_end: bool = False) -> bytes | None:
        """Give exactly so many bytes; None at the end, where it may be."""
        found = bytearray()
        while len(found) < n_bytes:
            piece = self._piece(n_bytes - len(found))
            if not piece:
                if at_end and not found:
                    return None
                raise Invalid("The body ends within an object", hint="Send it again")
            found += piece
        return bytes(found)

    def pieces(self, n_bytes: int) -> Iterator[bytes]:
        """Give exactly so many bytes in pieces."""
        while n_bytes:
            piece = self._piece(n_bytes)
            if not piece:
                raise Unavailable("The answer ends within an object", hint="Try again")
            n_bytes -= len(piece)
            yield bytes(piece)

    def _piece(self, n_bytes: int) -> memoryview:
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return self._rest
            self._rest = memoryview(chunk)
        piece, self._rest = self._rest[:n_bytes], self._rest[n_bytes:]
        return piece
