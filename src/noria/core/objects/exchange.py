"""Packs of a local store for other places, and packs from other places for it."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
from blake3 import blake3

from noria.core.clock import Clock
from noria.core.objects.chunks import ChunkDamaged, Codec
from noria.core.objects.disk import fsync_folder, storage_errors
from noria.core.objects.drafts import Draft
from noria.core.objects.index import Index
from noria.core.objects.index_writing import NewPack
from noria.core.objects.layout import Layout
from noria.core.objects.packed import raw
from noria.core.objects.packs import (
    PACK_BYTES,
    Footer,
    PackDamaged,
    PackedObject,
    PackWriter,
    chunk_bytes,
    pack_path,
    parts_of,
    read_footer,
)
from noria.core.objects.store import ObjectReader

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Holding(msgspec.Struct, frozen=True, kw_only=True):
    """Where objects lie in a store.

    Attributes
    ----------
    packs
        The ids of packs in which they lie, and whether there is nothing else in a pack.
    loose
        Those that lie in no pack.
    """

    packs: dict[str, bool]
    loose: set[str]


class PackExchange:
    """Gives packs of a local store away, and takes packs in that come from elsewhere.

    Parameters
    ----------
    root
        The store's folder.
    """

    def __init__(self, root: Path, clock: Clock) -> None:
        self._layout = Layout(root.absolute())
        self._clock = clock
        self._index = Index(self._layout, self._now_ns)

    def holding(self, digests: Collection[str]) -> Holding:
        """Tell in which packs objects lie, and which say what they are made of, as another one than its chunks' may."""
        keys = {raw(digest): digest for digest in digests}
        single = {row[0]: row[1:] for row in self._index.weigh_single(list(keys))}
        several = self._index.find([key for key in keys if key not in single])
        parts = {part[0] for item in several.values() for part in parts_of(item)}
        stored: defaultdict[int, int] = defaultdict(int)
        for pack, n_bytes, lister in single.values():
            stored[pack] += n_bytes
            stored[lister] += 0
        for _, pack, n_bytes in self._index.weigh(list(parts)):
            stored[pack] += n_bytes
        for _, lister in self._index.listed(list(several)):
            stored[lister] += 0
        ids = dict(self._index.rows("SELECT n, id FROM packs"))
        return Holding(
            packs={ids[n].hex(): n_bytes == self._all_of(ids[n]) for n, n_bytes in stored.items()},
            loose={digest for key, digest in keys.items() if key not in single and key not in several},
        )

    def _all_of(self, pack: bytes) -> int:
        """Give how many bytes of chunks lie in a pack, be they known from another one."""
        with storage_errors(self._layout.root):
            return chunk_bytes(pack_path(self._layout.packs, pack))

    def outside(self, digests: Collection[str], packs: Collection[str]) -> set[str]:
        """Give those of some objects that lie in no pack, or not only in some packs."""
        keys = {raw(digest): digest for digest in digests}
        items = self._index.find(list(keys))
        inside = {bytes.fromhex(pack) for pack in packs}
        chunks = {part[0] for item in items.values() for part in parts_of(item)}
        places = self._index.locate(list(chunks))
        within = {
            key
            for key, item in items.items()
            if all(part[0] in places and places[part[0]].pack in inside for part in parts_of(item))
        }
        return {keys[key] for key in keys.keys() - within}

    def of_several_chunks(self, digests: Collection[str]) -> set[str]:
        """Give those of some objects that are put together of chunks."""
        keys = {raw(digest): digest for digest in digests}
        return {keys[key] for key, item in self._index.find(list(keys)).items() if item.recipe}

    def path(self, pack_id: str) -> Path:
        """Give the place of a pack, which is there or not."""
        return pack_path(self._layout.packs, bytes.fromhex(pack_id))

    def loose_path(self, digest: str) -> Path:
        """Give the place of an object that lies in no pack."""
        return self._layout.path(digest)

    def incoming(self, pack_id: str) -> Path:
        """Give a place for the bytes of a pack that is being fetched, with what an earlier call left there."""
        with storage_errors(self._layout.root):
            self._layout.prepare()
        return self._layout.temporary / f"incoming-{bytes.fromhex(pack_id).hex()}"

    def take(self, path: Path, *, expected: str) -> None:
        """Take in a pack, checked byte by byte; the file is gone afterwards.

        Raises
        ------
        PackDamaged
            If it is not the pack of this id, or one of its chunks has other bytes; nothing of it is known then.
        """
        pack_id = bytes.fromhex(expected)
        try:
            with storage_errors(self._layout.root):
                fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                footer = _checked(fd, str(path), pack_id)
                self._publish(fd, path, pack_id, footer)
            finally:
                os.close(fd)
        finally:
            path.unlink(missing_ok=True)

    def _publish(self, fd: int, path: Path, pack_id: bytes, footer: Footer) -> None:
        place = pack_path(self._layout.packs, pack_id)
        size_bytes = os.fstat(fd).st_size
        with self._index.locked():
            with storage_errors(self._layout.root):
                os.fchmod(fd, 0o444)
                os.fsync(fd)
                place.parent.mkdir(parents=True, exist_ok=True)
                path.replace(place)
                for folder in (place.parent, self._layout.packs, self._layout.root):
                    fsync_folder(folder)
            now_ns = self._now_ns()
            with self._index.writing() as writing:
                writing.add([NewPack(pack_id, size_bytes, footer.chunks, footer.objects)], now_ns=now_ns)
                writing.take_waiting(now_ns=now_ns)

    def _now_ns(self) -> int:
        return (self._clock.now() - _EPOCH) // timedelta(microseconds=1) * 1000


def _checked(fd: int, place: str, pack_id: bytes) -> Footer:
    _, footer = read_footer(fd, place=place, expected=pack_id)
    codec = Codec()
    for chunk in footer.chunks:
        try:
            data = codec.decode(chunk.codec, os.pread(fd, chunk.stored, chunk.offset), chunk.length)
        except ChunkDamaged as error:
            raise PackDamaged(place, error.message) from error
        if blake3(data).digest() != chunk.digest:
            raise PackDamaged(place, "a chunk has other bytes than its digest says")
    return footer


def write_packs(objects: ObjectReader, digests: Collection[str], folder: Path) -> dict[str, Path]:
    """Put small objects of any store into packs below a folder, one chunk each; equal objects give equal packs."""
    codec, made = Codec(), {}
    layout = Layout(folder.absolute())
    pending = sorted(digests)
    while pending:
        draft = Draft(layout)
        try:
            writer = PackWriter(draft)
            while pending and writer.size_bytes < PACK_BYTES:
                digest = pending.pop()
                data = objects.get(digest, limit_bytes=PACK_BYTES)
                writer.add(raw(digest), len(data), codec.encode(data))
                writer.objects.append(PackedObject(raw(digest), len(data), b""))
            pack_id = writer.seal().hex()
            made[pack_id] = draft.path.rename(layout.temporary / f"{pack_id}.pack")
        finally:
            draft.discard()
    return made
