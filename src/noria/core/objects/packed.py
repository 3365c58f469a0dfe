"""Reading what lies in packs."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple, TypeAlias

from blake3 import blake3

from noria.core.objects.chunks import RAW, Bytes, ChunkDamaged, Codec
from noria.core.objects.digests import ALGORITHM, Digest
from noria.core.objects.disk import storage_errors
from noria.core.objects.index import Index
from noria.core.objects.index_writing import Located
from noria.core.objects.layout import Layout
from noria.core.objects.packs import PackedObject, pack_path, parts_of
from noria.core.objects.store import ObjectCorrupt, ObjectNotFound

_HELD_OPEN: Final = 20_000  # chunks whose packs are held open while they are read: about 3 GiB of an object
_GROUP_BYTES: Final = 1024 * 1024
_GAP_BYTES: Final = 64 * 1024  # is read for nothing rather than asked around
_ATTEMPTS: Final = 5
_MAX_OPEN: Final = 300  # of the thousand files that a process may usually have open

_CORRUPT: Final = "no bytes that could be unpacked"


def raw(digest: str) -> bytes:
    """Give the 32 bytes of a digest."""
    return bytes.fromhex(digest[len(ALGORITHM) + 1 :])


def text(digest: bytes) -> Digest:
    """Give a digest its text form."""
    return f"{ALGORITHM}:{digest.hex()}"


class Wanted(NamedTuple):
    """A chunk to be read: its digest and length, and whose turn it is."""

    digest: bytes
    length: int
    n: int


Group: TypeAlias = Sequence[tuple[Located, Wanted]]
"""Chunks that lie near one another in one pack, in the order in which they lie there."""


class OpenPacks:
    """Packs held open while chunks are read from them, so that nobody takes them away meanwhile."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._fds: dict[bytes, int] = {}

    def __enter__(self) -> OpenPacks:
        return self

    def __exit__(self, *_: object) -> None:
        for fd in self._fds.values():
            os.close(fd)
        self._fds.clear()

    def fd(self, pack: bytes) -> int:
        """Open a pack, once."""
        found = self._fds.get(pack)
        if found is None:
            if len(self._fds) >= _MAX_OPEN:
                os.close(self._fds.pop(next(iter(self._fds))))
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
            found = self._fds[pack] = os.open(pack_path(self._layout.packs, pack), flags)
        return found


class PackedReader:
    """Reads chunks and objects out of packs. For any number of threads."""

    def __init__(self, layout: Layout, index: Index, codec: Codec) -> None:
        self._layout = layout
        self._index = index
        self._codec = codec

    def find(self, digest: str) -> PackedObject | None:
        """Look an object up."""
        key = raw(digest)
        return self._index.find([key]).get(key)

    def pieces(self, item: PackedObject, start: int, end: int) -> Iterator[Bytes]:
        """Give the bytes of an object from `start` to `end` in chunks; a part of it is checked chunk by chunk.

        Raises
        ------
        ObjectNotFound
            If it is collected before its first chunk is read.
        ObjectCorrupt
            If a chunk cannot be read; or, of a part, has other bytes.
        """
        whole = end - start == item.size_bytes
        parts = iter(list(_parts_within(item, start, end)))
        while window := list(itertools.islice(parts, _HELD_OPEN)):
            with self._opened(item, [digest for digest, _, _ in window]) as (packs, places):
                for digest, skipped, length in window:
                    data = self._chunk(item, packs, places[digest], None if whole else digest)
                    yield data if len(data) == length else memoryview(data)[skipped : skipped + length]

    def chunk(self, digest: bytes) -> Bytes | None:
        """Read a chunk; None if it is not there, or damaged."""
        place = self._index.locate([digest]).get(digest)
        if place is None:
            return None
        with OpenPacks(self._layout) as packs:
            return self.stored_chunk(packs, digest, place)

    def stored_chunk(self, packs: OpenPacks, digest: bytes, place: Located) -> Bytes | None:
        """Read a chunk at its place; None if it is damaged, or the pack is gone."""
        with storage_errors(self._layout.root):
            try:
                stored = os.pread(packs.fd(place.pack), place.stored, place.offset)
            except FileNotFoundError:
                return None
        try:
            data = self._codec.decode(place.codec, stored, place.length)
        except ChunkDamaged:
            return None
        return data if blake3(data).digest() == digest else None

    def groups(self, wanted: Sequence[tuple[Located, Wanted]]) -> Iterator[list[tuple[Wanted, Bytes]]]:
        """Read single chunks in the order in which they lie in packs, checked, some at a time.

        Raises
        ------
        ObjectNotFound, ObjectCorrupt
            When a chunk's turn comes.
        """
        # Not on another thread: handing the interpreter over for each small chunk costs more than reading it.
        with OpenPacks(self._layout) as packs:
            for group in _grouped(wanted):
                yield self._read_group(packs, group)

    def _read_group(self, packs: OpenPacks, group: Group) -> list[tuple[Wanted, Bytes]]:
        """Read the chunks of a group in one go, and give them in their order; raises as `groups`."""
        begin, last = group[0][0].offset, group[-1][0]
        with storage_errors(self._layout.root):
            try:
                block = os.pread(packs.fd(last.pack), last.offset + last.stored - begin, begin)
            except FileNotFoundError:
                return [(one, self._again(one)) for _, one in group]
        found: list[tuple[Wanted, Bytes]] = []
        view = memoryview(block)
        for place, one in group:
            _, offset, n_stored, length, codec = place
            stored = view[offset - begin : offset - begin + n_stored]
            # As most are, and nothing more than this is done for them.
            if codec != RAW or n_stored != length or blake3(stored).digest() != one.digest:
                found.append((one, self._checked(one, place, stored)))
            else:
                found.append((one, stored))
        return found

    def _checked(self, one: Wanted, place: Located, stored: Bytes) -> Bytes:
        if place.codec == RAW and place.stored == place.length:
            data = stored
        else:
            try:
                data = self._codec.decode(place.codec, stored, place.length)
            except ChunkDamaged as error:
                raise self._corrupt(one.digest, _CORRUPT) from error
        actual = blake3(data).digest()
        if actual != one.digest:
            raise self._corrupt(one.digest, text(actual))
        return data

    def _again(self, one: Wanted) -> Bytes:
        """Read a chunk whose pack went away: its live chunks were moved into another one."""
        item = PackedObject(one.digest, one.length, b"")
        with self._opened(item, [one.digest]) as (packs, places):
            return self._chunk(item, packs, places[one.digest], one.digest)

    def _chunk(self, item: PackedObject, packs: OpenPacks, place: Located, expected: bytes | None) -> Bytes:
        with storage_errors(self._layout.root):
            try:
                stored = os.pread(packs.fd(place.pack), place.stored, place.offset)
            except FileNotFoundError as error:
                raise ObjectNotFound(text(item.digest), where=str(self._layout.root)) from error
        try:
            data = self._codec.decode(place.codec, stored, place.length)
        except ChunkDamaged as error:
            raise self._corrupt(item.digest, _CORRUPT) from error
        if expected is not None and blake3(data).digest() != expected:
            raise self._corrupt(item.digest, text(blake3(data).digest()))
        return data

    def _opened(self, item: PackedObject, digests: Sequence[bytes]) -> _Opened:
        """Find chunks, and open all packs in which they lie."""
        for _ in range(_ATTEMPTS):
            places = self._index.locate(digests)
            if any(digest not in places for digest in digests):
                raise ObjectNotFound(text(item.digest), where=str(self._layout.root))
            packs = OpenPacks(self._layout)
            try:
                with storage_errors(self._layout.root):
                    for place in places.values():
                        packs.fd(place.pack)
            except BaseException as error:
                packs.__exit__()
                if not isinstance(error.__cause__, FileNotFoundError):
                    raise
            else:
                return _Opened(packs, places)
        raise self._corrupt(item.digest, "none, since a pack that held it is lost")

    def _corrupt(self, digest: bytes, actual: str) -> ObjectCorrupt:
        return ObjectCorrupt(text(digest), where=str(self._layout.root), actual=actual)


class _Opened:
    """Chunks that were found, and their packs."""

    def __init__(self, packs: OpenPacks, places: dict[bytes, Located]) -> None:
        self._packs = packs
        self._places = places

    def __enter__(self) -> tuple[OpenPacks, dict[bytes, Located]]:
        return self._packs, self._places

    def __exit__(self, *_: object) -> None:
        self._packs.__exit__()


def _parts_within(item: PackedObject, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Give the chunks that a part of an object touches: digest, bytes skipped at the front, bytes taken."""
    if end == start and item.size_bytes:
        return
    offset = 0
    for digest, length in parts_of(item):
        first, last = max(start, offset), min(end, offset + length)
        if first < last or not item.size_bytes:
            yield digest, first - offset, last - first
        offset += length
        if offset >= end:
            return


def _where(wanted: tuple[Located, Wanted]) -> tuple[bytes, int]:
    place = wanted[0]
    return place.pack, place.offset


def _grouped(wanted: Iterable[tuple[Located, Wanted]]) -> Iterator[Group]:
    """Part chunks in the order of their places into groups that are read in one go."""
    places = sorted(wanted, key=_where)
    pack, begin, end, first = b"", 0, 0, 0
    for n, (place, _) in enumerate(places):
        after = place.offset + place.stored
        if place.pack != pack or place.offset > end + _GAP_BYTES or after > begin + _GROUP_BYTES:
            if n > first:
                yield places[first:n]
            pack, begin, first = place.pack, place.offset, n
        end = after
    if places:
        yield places[first:]
