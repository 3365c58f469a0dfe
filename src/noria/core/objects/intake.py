"""Taking objects into packs.

What is new is written into packs in `tmp/`. `publish` gives them their names and makes them known, all in one go:
until then nothing of them can be seen, and nothing of them stays if the process ends.

Why nothing is lost that was acknowledged: a chunk that the store has already is not written again. The collector may
remove it between that decision and the publication, so the transaction that makes an object known looks at each of
its chunks again. If one is gone, the object is not made known but given back as lost, and its file is read again.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, NamedTuple, Self

from blake3 import blake3

from noria.core.objects.chunks import Bytes, Codec, Encoded, cut
from noria.core.objects.disk import fsync_folder, storage_error, storage_errors
from noria.core.objects.drafts import Draft
from noria.core.objects.index import Index
from noria.core.objects.index_writing import NewPack
from noria.core.objects.layout import Layout
from noria.core.objects.packed import OpenPacks, PackedReader
from noria.core.objects.packs import PACK_BYTES, PackedObject, PackWriter, join_recipe, pack_path

_WINDOWS_AHEAD: Final = 2
_SEALS_AHEAD: Final = 3  # packs on their way to the disk at a time, so that it is never without work
_FLUSH_BYTES: Final = (
    16 * 1024 * 1024
)  # go to the disk while more come, so that little is waited for at the end
_PACKS_AT_ONCE: Final = 4  # published together; a batch that is killed begins again after the last ones
_MAX_DRAFTS: Final = 200  # open at a time: packs of a larger object are published before it is complete


class Examined(NamedTuple):
    """A chunk that came: what it is, and its stored form if the store does not have it."""

    digest: bytes
    length: int
    encoded: Encoded | None


class Examiner:
    """Tells which chunks are new and gives those their stored form. For any number of threads."""

    def __init__(self, layout: Layout, index: Index, reader: PackedReader, codec: Codec) -> None:
        self._layout = layout
        self._index = index
        self._reader = reader
        self._codec = codec

    def sift(self, prepared: Sequence[tuple[bytes, int, Encoded]]) -> list[Examined]:
        """Examine chunks that have their stored form already."""
        there = self._there([digest for digest, _, _ in prepared])
        return [
            Examined(digest, length, None if digest in there else encoded)
            for digest, length, encoded in prepared
        ]

    def examine(self, chunks: Sequence[Bytes], digests: Sequence[bytes] | None = None) -> list[Examined]:
        """Examine chunks, with their digests where these are known; what is stored damaged counts as new."""
        if digests is None:
            digests = [blake3(data).digest() for data in chunks]
        found = list(zip(digests, chunks, strict=True))
        there = self._there([digest for digest, _ in found])
        return [
            Examined(digest, len(data), None if digest in there else self._codec.encode(data))
            for digest, data in found
        ]

    def _there(self, digests: Sequence[bytes]) -> set[bytes]:
        places = self._index.locate(digests)
        there = set()
        with OpenPacks(self._layout) as packs:
            for digest in digests:
                place = places.get(digest)
                if place is not None and self._reader.stored_chunk(packs, digest, place) is not None:
                    there.add(digest)
        return there


class Intake:
    """One batch of objects on its way into packs. For one thread.

    Parameters
    ----------
    now_ns
        Tells the time by the store's clock.
    """

    def __init__(self, layout: Layout, index: Index, examiner: Examiner, now_ns: Callable[[], int]) -> None:
        self._layout = layout
        self._index = index
        self._examiner = examiner
        self._now_ns = now_ns
        self._writer: PackWriter | None = None
        self._flushing: list[Future[None]] = []  # of the pack that is being filled
        self._sealing: deque[tuple[PackWriter, Future[bytes]]] = deque()
        self._drafts: list[Draft] = []
        self._written: set[bytes] = set()  # chunks in packs that are not published yet
        self._renewals: set[bytes] = set()
        self._sealer = ThreadPoolExecutor(_SEALS_AHEAD)
        self.lost: set[bytes] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._sealer.shutdown()
        for draft in self._drafts:
            draft.discard()

    @property
    def is_full(self) -> bool:
        """Whether there is so much that it should be published between two objects."""
        return len(self._sealing) >= _PACKS_AT_ONCE

    def take(self, examined: Examined) -> None:
        """Take a chunk in."""
        if examined.encoded is None or examined.digest in self._written:
            return
        writer = self._writer or self._open_writer()
        try:
            writer.add(examined.digest, examined.length, examined.encoded)
        except OSError as error:
            raise storage_error(error, self._layout.root) from error
        self._written.add(examined.digest)
        if writer.size_bytes >= PACK_BYTES:
            self._seal()
        else:
            self._flush_in_time()

    def take_single(self, files: Sequence[Examined], known: Collection[bytes]) -> None:
        """Take objects in that are one chunk each; those that are known are made young."""
        written, writer = self._written, self._writer
        for examined in files:
            digest, length, encoded = examined
            if encoded is not None and digest not in written:
                written.add(digest)
                writer = writer or self._open_writer()
                try:
                    writer.add(digest, length, encoded)
                except OSError as error:
                    raise storage_error(error, self._layout.root) from error
            if digest in known:
                self._renewals.add(digest)
                continue
            # In the pack of its chunk, so that this alone is enough to know it by.
            writer = writer or self._open_writer()
            writer.objects.append(PackedObject(digest, length, b""))
            if writer.size_bytes >= PACK_BYTES:
                self._seal()
                writer = None
        self._flush_in_time()

    def take_object(self, item: PackedObject, *, known: bool) -> None:
        """Take an object in whose chunks were taken; one that is known is made young."""
        if known:
            self._renewals.add(item.digest)
        else:
            (self._writer or self._open_writer()).objects.append(item)

    def take_large(
        self, blocks: Iterable[Bytes], digest: Callable[[], bytes], pool: ThreadPoolExecutor
    ) -> PackedObject:
        """Take the chunks of a large object in, and give what it is made of.

        Parameters
        ----------
        blocks
            The bytes; what reading them raises passes through.
        digest
            Gives the digest of all blocks after the last one was read.
        pool
            Where chunks are examined while the next ones are read.
        """
        parts: list[tuple[bytes, int]] = []
        for examined in _ahead(cut(blocks), self._examiner.examine, pool):
            for chunk in examined:
                parts.append((chunk.digest, chunk.length))
                self.take(chunk)
            if len(self._drafts) >= _MAX_DRAFTS:
                self.publish()
        if not parts:
            [empty] = self._examiner.examine([b""])
            self.take(empty)
        size_bytes = sum(length for _, length in parts)
        return PackedObject(digest(), size_bytes, join_recipe(parts) if len(parts) > 1 else b"")

    def publish(self) -> None:
        """Make everything that was taken in known; what could not be is added to `lost`."""
        if self._writer is not None:
            self._seal()
        packs = [(sealing.result(), writer) for writer, sealing in self._sealing]
        if packs or self._renewals:
            with self._index.locked():
                with storage_errors(self._layout.root):
                    self._rename(packs)
                new = [
                    NewPack(pack_id, writer.size_bytes, writer.chunks, writer.objects)
                    for pack_id, writer in packs
                ]
                now_ns = self._now_ns()
                with self._index.writing() as writing:
                    self.lost |= writing.add(new, now_ns=now_ns)
                    self.lost |= writing.renew(self._renewals, now_ns=now_ns)
        for draft in self._drafts:
            draft.discard()
        self._drafts.clear()
        self._sealing.clear()
        self._written.clear()
        self._renewals.clear()

    def end_pack(self) -> None:
        """Put what comes next into another pack; the one until now goes to the disk meanwhile."""
        if self._writer is not None:
            self._seal()

    def _flush_in_time(self) -> None:
        writer = self._writer
        if writer is not None and writer.size_bytes >= (len(self._flushing) + 1) * _FLUSH_BYTES:
            self._flushing.append(self._sealer.submit(writer.draft.flush_so_far))

    def _rename(self, packs: list[tuple[bytes, PackWriter]]) -> None:
        folders = set()
        made = not self._layout.packs.exists()
        self._layout.packs.mkdir(exist_ok=True)
        for pack_id, writer in packs:
            path = pack_path(self._layout.packs, pack_id)
            if not path.parent.exists():
                path.parent.mkdir(exist_ok=True)
                folders.add(self._layout.packs)
            os.utime(writer.draft.fd, ns=(self._now_ns(),) * 2)
            writer.draft.path.replace(path)
            folders.add(path.parent)
        if made:
            folders.add(self._layout.root)
        for folder in folders:
            fsync_folder(folder)

    def _open_writer(self) -> PackWriter:
        if self._writer is None:
            draft = Draft(self._layout)
            self._drafts.append(draft)
            self._writer = PackWriter(draft)
        return self._writer

    def _seal(self) -> None:
        """Have the pack brought to the disk while the next one is filled."""
        writer, self._writer = self._writer, None
        flushing, self._flushing = self._flushing, []
        assert writer is not None  # noqa: S101
        if len(self._sealing) >= _SEALS_AHEAD:
            self._sealing[-_SEALS_AHEAD][1].result()  # a disk slower than the reading is waited for here

        def seal() -> bytes:
            with storage_errors(self._layout.root):
                for flushed in flushing:
                    flushed.result()  # what the disk refused is told once, and not by the flush of all of it
                return writer.seal()

        self._sealing.append((writer, self._sealer.submit(seal)))


def _ahead(
    asked: Iterable[list[memoryview]],
    do: Callable[[list[memoryview]], list[Examined]],
    pool: ThreadPoolExecutor,
) -> Iterator[list[Examined]]:
    """Examine chunks on other threads while the next ones are cut; the results come in order."""
    waiting: deque[Future[list[Examined]]] = deque()
    try:
        for chunks in asked:
            waiting.append(pool.submit(do, chunks))
            if len(waiting) > _WINDOWS_AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
