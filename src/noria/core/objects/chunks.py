"""How the bytes of an object are cut into chunks, and in what form a chunk is kept.

A large object is cut where its content says so (FastCDC), so that a change in one place changes the chunks there and
no others. What is no larger than `LARGE_BYTES` is one chunk, and its digest then is that of the object.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from noria.core.errors import Corrupt

if TYPE_CHECKING:
    from zstandard import ZstdCompressor

LARGE_BYTES: Final = 1024 * 1024
"""Objects above this size are cut."""

MIN_CHUNK_BYTES: Final = 64 * 1024
AVERAGE_CHUNK_BYTES: Final = 128 * 1024
MAX_CHUNK_BYTES: Final = 512 * 1024
WINDOW_BYTES: Final = 8 * 1024 * 1024
"""How much of an object is cut at a time."""

RAW: Final = 0
ZSTD: Final = 1

_LEVEL: Final = 1  # the higher ones take much longer and save a few per cent more
_SAMPLE_BYTES: Final = 4096
_PAYS: Final = 0.9  # compressed, the sample has at most this share of its bytes

Bytes: TypeAlias = bytes | bytearray | memoryview


class ChunkDamaged(Corrupt):
    """The stored form of a chunk is none that was ever written."""

    code = "chunk_damaged"


class Encoded(NamedTuple):
    """A chunk in its stored form."""

    codec: int
    stored: Bytes


def cut(blocks: Iterable[Bytes]) -> Iterator[list[memoryview]]:
    """Cut a stream, and give its chunks some at a time; they share memory with nothing that is used again."""
    from pyfastcdc import FastCDC

    cutter = FastCDC(
        AVERAGE_CHUNK_BYTES,
        min_size=MIN_CHUNK_BYTES,
        max_size=MAX_CHUNK_BYTES,
        normalized_chunking=2,
    )
    for window, is_last in _windows(blocks):
        view = memoryview(window)
        cuts = [(chunk.offset, chunk.length) for chunk in cutter.cut_buf(view)]
        if not is_last:
            offset, _ = cuts.pop()  # where this one ends depends on what follows
            window.carry = view[offset:]
        if cuts:
            yield [view[offset : offset + length] for offset, length in cuts]


class _Window(bytearray):
    """Bytes to cut, and those at their end that are cut again with what follows."""

    carry: memoryview = memoryview(b"")


def _windows(blocks: Iterable[Bytes]) -> Iterator[tuple[_Window, bool]]:
    window = _Window()
    for block in blocks:
        if len(window) >= WINDOW_BYTES:
            yield window, False
            window = _Window(window.carry)
        window += block
    if window:
        yield window, True


class Codec:
    """Gives chunks their stored form and takes it back. For any number of threads."""

    def __init__(self) -> None:
        self._own = threading.local()

    def encode(self, data: Bytes) -> Encoded:
        """Compress a chunk if a sample of it shows that this pays."""
        if len(data) <= _SAMPLE_BYTES // 16:
            return Encoded(RAW, data)
        start = (len(data) - _SAMPLE_BYTES) // 2 if len(data) > 2 * _SAMPLE_BYTES else 0
        sample = memoryview(data)[start : start + _SAMPLE_BYTES]
        compressor = self._compressor()
        if len(compressor.compress(sample)) > _PAYS * len(sample):
            return Encoded(RAW, data)
        stored = compressor.compress(data)
        return Encoded(ZSTD, stored) if len(stored) <= _PAYS * len(data) else Encoded(RAW, data)

    def decode(self, codec: int, stored: Bytes, length: int) -> Bytes:
        """Give the bytes of a chunk.

        Raises
        ------
        ChunkDamaged
            If the stored form is damaged so that it gives none, or not `length` of them.
        """
        if codec == RAW and len(stored) == length:
            return stored
        import zstandard

        try:
            # Asked first, since the damage may lie in the size, and much memory be taken at its word.
            if codec == ZSTD and zstandard.frame_content_size(stored) == length:
                return zstandard.ZstdDecompressor().decompress(stored)
        except zstandard.ZstdError as error:
            raise ChunkDamaged(f"A chunk of {length} bytes cannot be unpacked: {error}") from error
        raise ChunkDamaged(f"A chunk of {length} bytes is not stored as such")

    def _compressor(self) -> ZstdCompressor:
        compressor: ZstdCompressor | None = getattr(self._own, "compressor", None)
        if compressor is None:
            from zstandard import ZstdCompressor

            compressor = self._own.compressor = ZstdCompressor(level=_LEVEL)
        return compressor
