"""The object store in a folder of this machine; `layout` draws it.

A single put of up to a megabyte is a file of its own (`loose`), which any program can read. Everything larger, and
what is put in batches, is kept as chunks in packs (`intake`, `packed`), which an index finds again (`index`).
`garbage` and `pack_garbage` explain the race of puts with collection.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from noria.core.clock import Clock
from noria.core.errors import Invalid, TooLarge, Unavailable
from noria.core.objects.chunks import LARGE_BYTES, Bytes, Codec
from noria.core.objects.digests import (
    Digest,
    Hasher,
    Source,
    check_expected,
    chunks_of,
    hash_bytes,
    hash_large_file,
    parse_digest,
)
from noria.core.objects.disk import storage_errors
from noria.core.objects.drafts import draft
from noria.core.objects.index import Index
from noria.core.objects.index_writing import Located
from noria.core.objects.layout import Layout
from noria.core.objects.loose import LooseObjects
from noria.core.objects.packed import PackedReader, Wanted, raw, text
from noria.core.objects.packs import PackedObject
from noria.core.objects.shelf import Shelf
from noria.core.objects.sources import open_source
from noria.core.objects.store import (
    Collected,
    ObjectCorrupt,
    ObjectInfo,
    ObjectNotFound,
    ObjectStore,
    Problem,
    ProblemKind,
    Progress,
    RangeInvalid,
    checked_chunks,
)

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from noria.core.objects.filing import Closing, Filing
    from noria.core.objects.helping import Helper
    from noria.core.objects.intake import Examiner, Intake
    from noria.core.objects.pack_garbage import PackCollector

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_THREADS: Final = 2  # that examine the chunks of one object while its next ones are read


class LocalObjectStore:
    """The object store in a folder of this machine.

    Parameters
    ----------
    root
        Made at the first put, readable by its owner only, because digests are no protection against other users.
    clock
        Tells the time of a put and the age of objects.
    keeps_index
        False for a folder that is only read from, such as one that versions were pushed to; it is left as it is.
    helper
        Helps to put many files, see `filing`.
    """

    def __init__(
        self, root: Path, clock: Clock, *, keeps_index: bool = True, helper: Helper | None = None
    ) -> None:
        self._root = root.absolute()
        self._layout = Layout(self._root)
        self._now_ns = functools.partial(_now_ns, clock)
        self._index = Index(self._layout, self._now_ns, kept=keeps_index)
        self._loose = LooseObjects(self._layout, self._now_ns)
        self._helper = helper
        codec = Codec()
        self._packed = PackedReader(self._layout, self._index, codec)
        self._codec = codec

    @property
    def root(self) -> Path:
        """Its folder."""
        return self._root

    def put(
        self, chunks: Source, *, expected: str | None = None, limit_bytes: int | None = None
    ) -> ObjectInfo:
        """Store the bytes of a stream."""
        if expected is not None:
            parse_digest(expected)
        hasher = Hasher()
        blocks = _bounded(chunks_of(chunks), hasher, limit_bytes)
        head = _head(blocks)
        if hasher.size_bytes <= LARGE_BYTES:
            return self.put_bytes(b"".join(head), expected=expected)

        def digest() -> bytes:
            check_expected(expected, hasher.digest())
            return raw(hasher.digest())

        with self._intake() as intake, _pool() as pool:
            item = intake.take_large(itertools.chain(head, blocks), digest, pool)
            if self._filing.take_whole(item, intake):
                self._publish(intake)
        return ObjectInfo(digest=hasher.digest(), size_bytes=hasher.size_bytes)

    def put_bytes(self, data: bytes, *, expected: str | None = None) -> ObjectInfo:
        """Store bytes in memory."""
        if expected is not None:
            parse_digest(expected)
        if len(data) > LARGE_BYTES:
            return self.put([data], expected=expected)
        digest = hash_bytes(data)
        check_expected(expected, digest)
        there = self._loose.renew(digest)
        if there is False or (there is None and not self._renew_packed(digest, data)):
            self._loose.put(digest, data)
        return ObjectInfo(digest=digest, size_bytes=len(data))

    def put_unflushed(self, data: bytes) -> ObjectInfo:
        """Store bytes in memory; on disk for good only after `flush`, if they are a file of their own."""
        if len(data) > LARGE_BYTES:
            return self.put_bytes(data)
        digest = hash_bytes(data)
        there = self._loose.renew(digest, flushed=False)
        if there is False or (there is None and not self._renew_packed(digest, data)):
            with draft(self._layout) as written:
                written.write(data)
                self._loose.take_over(digest, written)
        return ObjectInfo(digest=digest, size_bytes=len(data))

    def put_file(self, path: Path) -> ObjectInfo:
        """Store the bytes of a regular file."""
        with open_source(path) as source:
            if source.size_bytes <= LARGE_BYTES:
                return self.put_bytes(b"".join(source.chunks()))
        with self._intake() as intake, _pool() as pool:
            info = self._filing.put_large(path, intake, pool)
            self._publish(intake)
        return info

    def put_written(self, write: Callable[[Path], None]) -> ObjectInfo:
        """Store what `write` writes into a file, as it lies there; on disk for good only after `flush`."""
        with draft(self._layout) as written, storage_errors(self._root):
            write(written.path)
            digest, size_bytes = hash_large_file(written.path)
            self._loose.take_over(digest, written)
        return ObjectInfo(digest=digest, size_bytes=size_bytes)

    def place_of(self, digest: str) -> Path | None:
        """Tell where an object lies as a file of its own."""
        return self._layout.path(digest) if self._layout.status(digest) is not None else None

    def flush(self, digests: Iterable[str]) -> None:
        """Have those of some objects that lie as files on disk for good."""
        loose = [parse_digest(digest) for digest in digests if self._layout.status(digest) is not None]
        if loose:
            self._loose.flush(loose)

    def shelf(self) -> Shelf:
        """Give what puts files as they are."""
        return Shelf(self)

    def put_files(self, paths: Sequence[str | Path], *, progress: Progress | None = None) -> list[ObjectInfo]:
        """Store many files."""
        return self._filing.put(paths, progress=progress)

    def put_files_with(
        self, paths: Sequence[str | Path], closing: Closing, *, progress: Progress | None = None
    ) -> list[ObjectInfo]:
        """Store many files as `put_files`, and in the same go one more object that is made of what they are.

        Returns
        -------
        list of ObjectInfo
            The files in their order, and that object.
        """
        return self._filing.put(paths, progress=progress, closing=closing)

    def open(self, digest: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Give the bytes of an object, or of a part of it, in chunks."""
        size_bytes, pieces = self._find(digest)
        if not 0 <= start <= size_bytes or (length is not None and length < 0):
            raise RangeInvalid(digest, start=start, length=length, size_bytes=size_bytes)
        end = size_bytes if length is None else min(size_bytes, start + length)
        found = pieces(start, end)
        return checked_chunks(found, digest, where=str(self._root)) if end - start == size_bytes else found

    def open_many(self, digests: Sequence[str]) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Open several whole objects: first those in packs that are one chunk, as they lie there."""
        given = set()
        for wanted, data in self.read_single(digests):
            given.add(wanted.n)
            yield wanted.n, iter((bytes(data),))
        for n, digest in enumerate(digests):
            if n not in given:
                yield n, self.open(digest)

    def read_single(self, digests: Sequence[str]) -> Iterator[tuple[Wanted, Bytes]]:
        """Read those of several objects that are one chunk in a pack, checked, as they lie there.

        Raises
        ------
        ObjectNotFound, ObjectCorrupt
            When the turn of one comes that is collected meanwhile, or damaged.
        """
        for group in self._packed.groups(self._single(digests)):
            yield from group

    def _single(self, digests: Sequence[str]) -> list[tuple[Located, Wanted]]:
        keys = [raw(parse_digest(digest)) for digest in digests]
        places = self._index.find_single(keys)
        return [
            (places[key], Wanted(key, places[key].length, n)) for n, key in enumerate(keys) if key in places
        ]

    def get(self, digest: str, *, limit_bytes: int) -> bytes:
        """Give all bytes of an object, checked."""
        size_bytes, pieces = self._find(digest)
        if size_bytes > limit_bytes:
            raise TooLarge(f"The object `{digest}` has {size_bytes} bytes; the limit here is {limit_bytes}")
        return b"".join(checked_chunks(pieces(0, size_bytes), digest, where=str(self._root)))

    def size(self, digest: str) -> int:
        """Give the size of an object in bytes."""
        return self._find(digest)[0]

    def has(self, digest: str) -> bool:
        """Tell whether the object is there."""
        return self._layout.status(digest) is not None or bool(self._index.present([raw(digest)]))

    def missing(self, digests: Collection[str]) -> set[str]:
        """Give those of `digests` that are not there."""
        keys = {raw(parse_digest(digest)): digest for digest in digests}
        absent = keys.keys() - self._index.present(list(keys))
        return {keys[key] for key in absent if self._layout.status(keys[key]) is None}

    def verify(self, digests: Iterable[str] | None = None, *, quick: bool = False) -> Iterator[Problem]:
        """Read objects and give what is wrong with them."""
        if digests is None:
            yield from self._layout.problems(quick=quick)
            from noria.core.objects.checking import PackChecker

            yield from PackChecker(self._layout, self._index, self._packed).run(quick=quick)
            return
        for digest in digests:
            if problem := self._problem(parse_digest(digest), quick=quick):
                yield problem

    def collect(
        self, is_live: Callable[[list[str]], set[str]], *, grace_s: float, dry_run: bool = False
    ) -> Collected:
        """Remove objects that nothing refers to and that were last put more than `grace_s` seconds ago."""
        if not grace_s >= 0:
            raise Invalid(f"`grace_s` is {grace_s}; it is a number of seconds, at least 0")
        from noria.core.objects.garbage import Collector

        collector = Collector(self._layout, now_ns=self._now_ns(), grace_s=grace_s, dry_run=dry_run)
        loose = collector.run(is_live)
        packed = self._pack_collector(cutoff_ns=collector.cutoff_ns, dry_run=dry_run).run(is_live)
        return msgspec.structs.replace(
            loose,
            n_removed=loose.n_removed + len(packed.sizes),
            removed_bytes=loose.removed_bytes + sum(packed.sizes),
            n_live=loose.n_live + packed.n_live,
            n_young=loose.n_young + packed.n_young,
        )

    def renew_pack(self, path: Path) -> bool:
        """Write a pack anew whose list of contents is damaged; false if there is no such pack, or chunks are too."""
        try:
            pack_id = bytes.fromhex(path.stem)
        except ValueError:
            return False
        return self._pack_collector(cutoff_ns=0, dry_run=False).renew(pack_id)

    def _pack_collector(self, *, cutoff_ns: int, dry_run: bool) -> PackCollector:
        from noria.core.objects.pack_garbage import PackCollector

        # An index of its own: whoever reads through this one does not wait.
        index = Index(self._layout, self._now_ns)
        reader = PackedReader(self._layout, index, Codec())
        return PackCollector(self._layout, index, reader, self._now_ns, cutoff_ns=cutoff_ns, dry_run=dry_run)

    def _problem(self, digest: Digest, *, quick: bool) -> Problem | None:
        if self._layout.status(digest) is not None or not self.has(digest):
            return self._layout.check(digest, quick=quick)
        if quick:
            return None
        try:
            for _ in self.open(digest):
                pass
        except ObjectNotFound:
            return self._layout.check(digest)  # collected meanwhile, or put as a file of its own
        except ObjectCorrupt as error:
            return Problem(kind=ProblemKind.CORRUPT, name=digest, message=error.message)
        return None

    def _find(self, digest: str) -> tuple[int, Callable[[int, int], Iterator[bytes]]]:
        """Give the size of an object, and what gives its bytes from and to an offset."""
        status = self._layout.status(digest)
        if status is not None:
            return status.st_size, lambda start, end: self._loose.read(
                digest, start, end if end < status.st_size else None
            )
        item = self._packed.find(digest)
        if item is None:
            raise ObjectNotFound(digest, where=str(self._root))
        return item.size_bytes, lambda start, end: map(bytes, self._packed.pieces(item, start, end))

    def _renew_packed(self, digest: Digest, data: bytes) -> bool:
        """Make an object young that lies in a pack, and mend it if it is damaged; false if there is none."""
        key = raw(digest)
        if key not in self._index.present([key]):
            return False
        with self._intake() as intake:
            for chunk in self._examiner.examine([data]):
                intake.take(chunk)
            intake.take_object(PackedObject(key, len(data), b""), known=True)
            intake.publish()
            return not intake.lost

    def _publish(self, intake: Intake) -> None:
        intake.publish()
        for lost in intake.lost:
            raise Unavailable(
                f"Parts of the object `{text(lost)}` were collected while it was put",
                hint="Put it again; and choose a grace period for `noria objects gc` that is longer than any upload",
            )

    # What writes and collects packs is imported by who does, since most short commands do neither.
    @functools.cached_property
    def _examiner(self) -> Examiner:
        from noria.core.objects.intake import Examiner

        return Examiner(self._layout, self._index, self._packed, self._codec)

    def _intake(self) -> Intake:
        from noria.core.objects.intake import Intake

        return Intake(self._layout, self._index, self._examiner, self._now_ns)

    @property
    def _filing(self) -> Filing:
        from noria.core.objects.filing import Filing

        parts = (self._index, self._loose, self._examiner, self._intake, self.put_bytes)
        return Filing(*parts, helper=self._helper)


def _pool() -> ThreadPoolExecutor:
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(_THREADS)


def _now_ns(clock: Clock) -> int:
    return (clock.now() - _EPOCH) // timedelta(microseconds=1) * 1000


def _bounded(chunks: Iterator[bytes], hasher: Hasher, limit_bytes: int | None) -> Iterator[bytes]:
    for chunk in chunks:
        hasher.update(chunk)
        if limit_bytes is not None and hasher.size_bytes > limit_bytes:
            raise TooLarge(f"The object has more than {limit_bytes} bytes, which is the limit here")
        yield chunk


def _head(blocks: Iterator[bytes]) -> list[bytes]:
    """Take so many blocks that the object is known to be large, or all of them."""
    head = []
    n_bytes = 0
    for block in blocks:
        head.append(block)
        n_bytes += len(block)
        if n_bytes > LARGE_BYTES:
            break
    return head


if TYPE_CHECKING:
    _proof: type[ObjectStore] = LocalObjectStore
