"""Packs: files that hold many chunks, and tell by themselves what they hold.

::

    "NORIAPK1"                     what kind of file this is
    chunk, chunk, …                each in its stored form
    footer                         MessagePack: format, chunks, objects (see `Footer`)
    length of the footer           8 bytes, little-endian
    BLAKE3 of the footer           32 bytes; in hexadecimal, the pack's id
    "NORIAPK1"

A pack is written once and never changed. The id stands for all of it: for the footer, and by the digests in it for
each chunk. Packs alone are enough to make the index anew.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
from blake3 import blake3

from noria.core.errors import Corrupt
from noria.core.objects.chunks import Bytes, Encoded
from noria.core.objects.disk import write_each

if TYPE_CHECKING:
    from noria.core.objects.drafts import Draft

PACK_BYTES: Final = 64 * 1024 * 1024
"""A pack is closed when it has as many."""

MAX_FOOTER_BYTES: Final = 1 << 30

_MAGIC: Final = b"NORIAPK1"
_TAIL: Final = struct.Struct("<Q32s8s")
_FORMAT: Final = 1
_BUFFER_BYTES: Final = 1024 * 1024
_PART: Final = struct.Struct("<32sI")


class PackDamaged(Corrupt):
    """A file is not the pack that its name says."""

    code = "pack_damaged"

    def __init__(self, place: str, why: str) -> None:
        super().__init__(
            f"The pack `{place}` is damaged: {why}",
            hint="`noria objects repair --from URL` takes what it held from another store",
            details={"place": place},
        )


class PackedChunk(NamedTuple):
    """Where a chunk lies in a pack.

    Attributes
    ----------
    digest
        BLAKE3 of its bytes, 32 bytes long.
    offset, stored
        Of its stored form in the file.
    length
        Of its bytes.
    codec
        See `chunks`.
    """

    digest: bytes
    offset: int
    stored: int
    length: int
    codec: int


class PackedObject(NamedTuple):
    """An object that became complete with a pack.

    Attributes
    ----------
    recipe
        Digest (32 bytes) and length (4, little-endian) of each of its chunks; none of an object that is one chunk.
    """

    digest: bytes
    size_bytes: int
    recipe: bytes


class Footer(msgspec.Struct, frozen=True, array_like=True):
    """What a pack tells of itself."""

    format: int
    chunks: list[PackedChunk]
    objects: list[PackedObject]


def join_recipe(parts: Iterable[tuple[bytes, int]]) -> bytes:
    """Write a list of chunks, each with its digest and length, as a recipe."""
    return b"".join(_PART.pack(digest, length) for digest, length in parts)


def parts_of(item: PackedObject) -> Iterator[tuple[bytes, int]]:
    """Give digest and length of each chunk of an object, in order."""
    if not item.recipe:
        return iter([(item.digest, item.size_bytes)])
    return _PART.iter_unpack(item.recipe)


def pack_path(packs: Path, pack_id: bytes) -> Path:
    """Give the place of a pack."""
    name = pack_id.hex()
    return packs / name[:2] / f"{name}.pack"


class PackWriter:
    """A pack that is being filled.

    Parameters
    ----------
    draft
        The empty file.
    """

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.chunks: list[PackedChunk] = []
        self.objects: list[PackedObject] = []
        self.size_bytes = len(_MAGIC)
        self._waiting: list[Bytes] = [_MAGIC]
        self._waiting_bytes = 0

    def add(self, digest: bytes, length: int, encoded: Encoded) -> None:
        """Write a chunk."""
        stored = len(encoded.stored)
        self.chunks.append(PackedChunk(digest, self.size_bytes, stored, length, encoded.codec))
        self.size_bytes += stored
        self._waiting.append(encoded.stored)
        self._waiting_bytes += stored
        if self._waiting_bytes >= _BUFFER_BYTES:
            self._flush()

    def seal(self) -> bytes:
        """Write what the pack tells of itself, have all of it on disk, and give its id."""
        footer = msgspec.msgpack.encode(Footer(_FORMAT, self.chunks, self.objects))
        pack_id = blake3(footer).digest()
        self._waiting += [footer, _TAIL.pack(len(footer), pack_id, _MAGIC)]
        self.size_bytes += len(footer) + _TAIL.size
        self._flush()
        self.draft.flush()
        return pack_id

    def _flush(self) -> None:
        write_each(self.draft.fd, self._waiting)
        self._waiting.clear()
        self._waiting_bytes = 0


def chunk_bytes(path: Path) -> int:
    """Tell how many bytes of chunks lie in a pack, by what it says at its end.

    Raises
    ------
    PackDamaged
        If the file is no pack, or is cut off.
    FileNotFoundError
        If it is not there.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        begin, _, _ = _ending(fd, str(path))
    finally:
        os.close(fd)
    return begin - len(_MAGIC)


def read_footer(fd: int, *, place: str, expected: bytes | None = None) -> tuple[bytes, Footer]:
    """Read what a pack tells of itself, checked, and its id.

    Parameters
    ----------
    expected
        The id that it should have.

    Raises
    ------
    PackDamaged
        If the file is no pack, is cut off, has another id, or lists what cannot lie in it.
    """
    begin, length, pack_id = _ending(fd, place)
    footer = os.pread(fd, length, begin)
    if blake3(footer).digest() != pack_id or expected not in {None, pack_id}:
        raise PackDamaged(place, "its list of contents is not the one that its name stands for")
    return pack_id, _parsed(footer, begin, place)


def _ending(fd: int, place: str) -> tuple[int, int, bytes]:
    """Give where the footer of a pack begins, its length, and the id."""
    size_bytes = os.fstat(fd).st_size
    tail = os.pread(fd, _TAIL.size, max(0, size_bytes - _TAIL.size))
    if len(tail) < _TAIL.size or size_bytes < len(_MAGIC) + _TAIL.size:
        raise PackDamaged(place, "it is cut off")
    length, pack_id, magic = _TAIL.unpack(tail)
    begin = size_bytes - _TAIL.size - length
    if magic != _MAGIC or length > MAX_FOOTER_BYTES or begin < len(_MAGIC):
        raise PackDamaged(place, "its end is not that of a pack")
    return begin, length, pack_id


def _parsed(data: bytes, end: int, place: str) -> Footer:
    try:
        footer = msgspec.msgpack.decode(data, type=Footer)
    except msgspec.DecodeError as error:
        raise PackDamaged(place, f"its list of contents cannot be read: {error}") from error
    if footer.format != _FORMAT:
        raise PackDamaged(place, f"it has the format {footer.format}, and this Noria knows {_FORMAT}")
    for chunk in footer.chunks:
        if len(chunk.digest) != 32 or chunk.offset < 0 or min(chunk.stored, chunk.length) < 0:
            raise PackDamaged(place, "it lists a chunk that cannot be")
        if chunk.offset + chunk.stored > end:
            raise PackDamaged(place, "it lists a chunk past its end")
    for item in footer.objects:
        if len(item.digest) != 32 or len(item.recipe) % _PART.size:
            raise PackDamaged(place, "it lists an object that cannot be")
        if sum(length for _, length in parts_of(item)) != item.size_bytes:
            raise PackDamaged(place, "it lists an object whose chunks do not add up")
    return footer
