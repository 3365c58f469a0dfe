"""Objects as plain files below one folder; `layout` draws it, `garbage` explains the race with collection.

A put writes to `tmp/`, flushes, then renames into place and flushes the folder: a name below `objects/` always stands
for all of its bytes. Objects are never hard-linked into users' folders, where an edit would reach them.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from noria.core.clock import Clock
from noria.core.errors import Invalid, TooLarge
from noria.core.objects.batches import put_each
from noria.core.objects.digests import (
    CHUNK_BYTES,
    Digest,
    DigestMismatch,
    Hasher,
    Source,
    check_expected,
    chunks_of,
    hash_bytes,
    hash_stream,
    parse_digest,
)
from noria.core.objects.disk import fsync_folder, storage_errors, write_all
from noria.core.objects.garbage import Collector
from noria.core.objects.layout import Layout
from noria.core.objects.sources import open_source
from noria.core.objects.store import (
    Collected,
    ObjectInfo,
    ObjectNotFound,
    ObjectStore,
    Problem,
    ProblemKind,
    Progress,
    RangeInvalid,
    SourceChanged,
    checked_chunks,
)

_IN_MEMORY_BYTES = 1024 * 1024  # smaller files are read once, larger ones hashed first and copied only if new
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class LocalObjectStore:
    """The object store in a folder of this machine.

    Parameters
    ----------
    root
        Made at the first put, readable by its owner only, because digests are no protection against other users.
    clock
        Tells the time of a put and the age of objects.
    """

    def __init__(self, root: Path, clock: Clock) -> None:
        self._root = root.absolute()
        self._clock = clock
        self._layout = Layout(self._root)
        self._prepared = False
        self._flushed: set[Path] = set()  # folders of objects whose own name this instance has flushed

    def put(
        self, chunks: Source, *, expected: str | None = None, limit_bytes: int | None = None
    ) -> ObjectInfo:
        """Store the bytes of a stream."""
        if expected is not None:
            parse_digest(expected)
        hasher = Hasher()
        with self._unpublished() as unpublished:
            for chunk in chunks_of(chunks):
                hasher.update(chunk)
                if limit_bytes is not None and hasher.size_bytes > limit_bytes:
                    raise TooLarge(f"The object has more than {limit_bytes} bytes, which is the limit here")
                unpublished.write(chunk)
            digest = hasher.digest()
            check_expected(expected, digest)
            if not self._renew(digest):
                self._publish(unpublished, digest)
        return ObjectInfo(digest=digest, size_bytes=hasher.size_bytes)

    def put_bytes(self, data: bytes, *, expected: str | None = None) -> ObjectInfo:
        """Store bytes in memory."""
        if expected is not None:
            parse_digest(expected)
        digest = hash_bytes(data)
        check_expected(expected, digest)
        if not self._renew(digest):
            with self._unpublished() as unpublished:
                unpublished.write(data)
                self._publish(unpublished, digest)
        return ObjectInfo(digest=digest, size_bytes=len(data))

    def put_file(self, path: Path) -> ObjectInfo:
        """Store the bytes of a regular file."""
        with open_source(path) as source:
            if source.size_bytes <= _IN_MEMORY_BYTES:
                return self.put_bytes(b"".join(source.chunks()))
            digest, size_bytes = hash_stream(source.chunks())
            if self._renew(digest):
                return ObjectInfo(digest=digest, size_bytes=size_bytes)
            try:
                return self.put(source.chunks(), expected=digest)
            except DigestMismatch as error:
                raise SourceChanged(path) from error

    def put_files(self, paths: Sequence[Path], *, progress: Progress | None = None) -> list[ObjectInfo]:
        """Store many files."""
        return put_each(self.put_file, paths, progress=progress, at_once=2)

    def open(self, digest: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Give the bytes of an object, or of a part of it, in chunks."""
        size_bytes = self.size(digest)
        if not 0 <= start <= size_bytes or (length is not None and length < 0):
            raise RangeInvalid(digest, start=start, length=length, size_bytes=size_bytes)
        end = size_bytes if length is None else min(size_bytes, start + length)
        if end - start == size_bytes:
            return self._read_whole(digest)
        return self._read_part(digest, start, end)

    def open_many(self, digests: Sequence[str]) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Open several whole objects."""
        return ((n, self.open(digest)) for n, digest in enumerate(digests))

    def get(self, digest: str, *, limit_bytes: int) -> bytes:
        """Give all bytes of an object, checked."""
        size_bytes = self.size(digest)
        if size_bytes > limit_bytes:
            raise TooLarge(f"The object `{digest}` has {size_bytes} bytes; the limit here is {limit_bytes}")
        return b"".join(self._read_whole(digest))

    def size(self, digest: str) -> int:
        """Give the size of an object in bytes."""
        status = self._layout.status(digest)
        if status is None:
            raise ObjectNotFound(digest, where=str(self._root))
        return status.st_size

    def has(self, digest: str) -> bool:
        """Tell whether the object is there."""
        return self._layout.status(digest) is not None

    def missing(self, digests: Collection[str]) -> set[str]:
        """Give those of `digests` that are not there."""
        return {digest for digest in digests if not self.has(digest)}

    def verify(self, digests: Iterable[str] | None = None) -> Iterator[Problem]:
        """Read objects and give what is wrong with them."""
        if digests is None:
            yield from self._verify_everything()
            return
        for digest in digests:
            if problem := self._layout.check(parse_digest(digest)):
                yield problem

    def collect(
        self, is_live: Callable[[list[str]], set[str]], *, grace_s: float, dry_run: bool = False
    ) -> Collected:
        """Remove objects that nothing refers to and that were last put more than `grace_s` seconds ago."""
        if not grace_s >= 0:
            raise Invalid(f"`grace_s` is {grace_s}; it is a number of seconds, at least 0")
        collector = Collector(self._layout, now_ns=self._now_ns(), grace_s=grace_s, dry_run=dry_run)
        return collector.run(is_live)

    @contextlib.contextmanager
    def _unpublished(self) -> Iterator[_Unpublished]:
        with storage_errors(self._root):
            self._prepare()
            fd, name = tempfile.mkstemp(prefix="put-", dir=self._layout.temporary)
        unpublished = _Unpublished(fd, Path(name))
        try:
            with storage_errors(self._root):
                fcntl.flock(fd, fcntl.LOCK_EX)  # tells `collect` that a living process writes here
            yield unpublished
        finally:
            os.close(fd)
            with storage_errors(self._root):
                unpublished.path.unlink(missing_ok=True)

    def _publish(self, unpublished: _Unpublished, digest: Digest) -> None:
        path = self._layout.path(digest)
        with storage_errors(self._root):
            path.parent.mkdir(exist_ok=True)
            os.fchmod(unpublished.fd, 0o444)
            os.fsync(unpublished.fd)
            with self._layout.lock.shared():
                os.utime(unpublished.fd, ns=(self._now_ns(),) * 2)
                unpublished.path.replace(path)
            self._flush_name(path)

    def _renew(self, digest: Digest) -> bool:
        """Make an object young if it is there, and tell whether its bytes are right."""
        path = self._layout.path(digest)
        with storage_errors(self._root):
            try:
                with self._layout.lock.shared():
                    os.utime(path, ns=(self._now_ns(),) * 2, follow_symlinks=False)
                # Whoever renamed it into place may not have come to flush its name yet.
                self._flush_name(path)
            except FileNotFoundError:
                return False
        return self._layout.check(digest) is None

    def _flush_name(self, path: Path) -> None:
        """Have the name of an object on disk, with those of the folders above it when they may be new."""
        fsync_folder(path.parent)
        if path.parent not in self._flushed:
            # After the object's own flushes, which mostly took these names along, this costs next to nothing.
            fsync_folder(self._layout.objects)
            fsync_folder(self._root)
            self._flushed.add(path.parent)

    def _prepare(self) -> None:
        """Make the store's folders, once by each instance."""
        if self._prepared:
            return
        lineage = [self._root, *self._root.parents]
        for folder in reversed([folder for folder in lineage if not folder.exists()]):
            folder.mkdir(mode=0o700 if folder == self._root else 0o777, exist_ok=True)
            fsync_folder(folder.parent)
        self._layout.temporary.mkdir(exist_ok=True)
        self._layout.objects.mkdir(exist_ok=True)
        self._prepared = True

    @contextlib.contextmanager
    def _reading(self, digest: str) -> Iterator[int]:
        with storage_errors(self._root):
            try:
                fd = os.open(self._layout.path(digest), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            except FileNotFoundError as error:
                raise ObjectNotFound(digest, where=str(self._root)) from error
        try:
            yield fd
        finally:
            os.close(fd)

    def _read_whole(self, digest: str) -> Iterator[bytes]:
        with self._reading(digest) as fd:
            yield from checked_chunks(self._pieces(fd, 0, None), digest, where=str(self._root))

    def _read_part(self, digest: str, start: int, end: int) -> Iterator[bytes]:
        with self._reading(digest) as fd:
            yield from self._pieces(fd, start, end)

    def _pieces(self, fd: int, start: int, end: int | None) -> Iterator[bytes]:
        while chunk := self._read(fd, start, CHUNK_BYTES if end is None else min(CHUNK_BYTES, end - start)):
            start += len(chunk)
            yield chunk

    def _read(self, fd: int, offset: int, n_bytes: int) -> bytes:
        with storage_errors(self._root):
            return os.pread(fd, n_bytes, offset)

    def _verify_everything(self) -> Iterator[Problem]:
        for path, digest in self._layout.everything():
            if digest is None:
                message = f"`{path}` is not an object; nothing here reads it"
                yield Problem(kind=ProblemKind.FOREIGN, name=str(path), message=message)
                continue
            problem = self._layout.check(digest)
            if (
                problem and problem.kind is not ProblemKind.MISSING
            ):  # that one was collected since it was listed
                yield problem

    def _now_ns(self) -> int:
        return (self._clock.now() - _EPOCH) // timedelta(microseconds=1) * 1000


class _Unpublished:
    """A file in `tmp/`, on its way to become an object."""

    def __init__(self, fd: int, path: Path) -> None:
        self.fd = fd
        self.path = path

    def write(self, chunk: bytes) -> None:
        with storage_errors(self.path.parent.parent):
            write_all(self.fd, chunk)


if TYPE_CHECKING:
    _proof: type[ObjectStore] = LocalObjectStore
