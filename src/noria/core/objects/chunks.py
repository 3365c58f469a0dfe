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
WINDOW_BYTES: Final = 4 * 1024 * 1024
"""How much of an object is cut at a time."""

RAW: Final = 0
ZSTD: Final = 1

_READ_BYTES: Final = 256 * 1024
_LEVEL: Final = 1  # the higher ones take much longer and save a few per cent more
_SAMPLE_BYTES: Final = 4096
_PAYS: Final = 0.9  # compressed, the sample has at most this share of its bytes
_SMALL_BYTES: Final = 64 * 1024  # of a longer chunk, the sample takes a small part of the time
_BARREN: Final = ((64, 8), (16, 4))
"""After so many small chunks in a row that did not pay, one of so many is looked at."""

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
    carry: Bytes = b""
    blocks = _no_longer(blocks, _READ_BYTES)
    while True:
        window, is_last = _filled(carry, blocks)
        cuts = [(chunk.offset, chunk.length) for chunk in cutter.cut_buf(window)]
        carry = b"" if is_last else window[cuts.pop()[0] :]  # where this chunk ends depends on what follows
        if cuts:
            yield [window[offset : offset + length] for offset, length in cuts]
        if is_last:
            return


def _filled(carry: Bytes, blocks: Iterator[Bytes]) -> tuple[memoryview, bool]:
    """Fill a window with what was left of the one before and what follows; also tell whether it is the last."""
    window = bytearray(
        MAX_CHUNK_BYTES + WINDOW_BYTES + _READ_BYTES
    )  # of one size, so that memory is used again
    n_bytes = len(carry)
    window[:n_bytes] = carry
    for block in blocks:
        window[n_bytes : n_bytes + len(block)] = block
        n_bytes += len(block)
        if n_bytes >= WINDOW_BYTES + MAX_CHUNK_BYTES:
            return memoryview(window)[:n_bytes], False
    return memoryview(window)[:n_bytes], True


def _no_longer(blocks: Iterable[Bytes], limit_bytes: int) -> Iterator[Bytes]:
    for block in blocks:
        if len(block) <= limit_bytes:
            yield block
            continue
        view = memoryview(block)
        for begin in range(0, len(view), limit_bytes):
            yield view[begin : begin + limit_bytes]


class Codec:
    """Gives chunks their stored form and takes it back. For any number of threads.

    To look at a sample of a small chunk takes as long as to hash all of it. So where many in a row did not pay, as
    those of images do not, some pass unseen; the first that pays ends this.
    """

    def __init__(self) -> None:
        self._own = threading.local()
        self._n_barren = 0  # in a row; that threads overlook one of each other's does no harm

    def encode(self, data: Bytes) -> Encoded:
        """Compress a chunk if a sample of it shows that this pays."""
        n_bytes = len(data)
        if n_bytes <= _SAMPLE_BYTES // 16 or (n_bytes <= _SMALL_BYTES and self._is_passed_by()):
            return Encoded(RAW, data)
        start = (n_bytes - _SAMPLE_BYTES) // 2 if n_bytes > 2 * _SAMPLE_BYTES else 0
        sample = memoryview(data)[start : start + _SAMPLE_BYTES]
        compressor = self._compressor()
        if len(compressor.compress(sample)) > _PAYS * len(sample):
            self._n_barren += 1
            return Encoded(RAW, data)
        self._n_barren = 0
        stored = compressor.compress(data)
        return Encoded(ZSTD, stored) if len(stored) <= _PAYS * n_bytes else Encoded(RAW, data)

    def _is_passed_by(self) -> bool:
        """Tell whether a small chunk is taken as it is, since those before it did not pay."""
        for least, one_of in _BARREN:
            if self._n_barren >= least:
                if self._n_barren % one_of:
                    self._n_barren += 1
                    return True
                return False
        return False

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
