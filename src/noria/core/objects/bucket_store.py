"""Objects in a bucket, under keys named like the files of a local store.

::

    objects/ab/cdef…           one object, named by its digest after the first two digits
    spares/abcdef…/<token>     the same, put while a collector was about to remove the one above
    doomed/abcdef…/<token>     a collector is about to remove this object
    staging/<upload>/…         parts of uploads that go past the server, see `multipart`

A folder of a local store can be copied to a bucket, and back, by any program that copies both. Where the bucket keeps
versions, let a lifecycle rule end old ones and unfinished multipart uploads: Noria cannot see either.

Each put writes the bytes anew, also where they are: that makes an object young, mends a damaged one, and costs no
more than reading it back would.
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from noria.core.errors import Invalid, TooLarge
from noria.core.objects.batches import open_each, put_each
from noria.core.objects.bucket import Body, Bucket, Stored
from noria.core.objects.bucket_garbage import BucketCollector
from noria.core.objects.bucket_layout import MAIN, SPARES, digest_of, doom_folder, main_key, spare_folder
from noria.core.objects.digests import (
    Digest,
    Hasher,
    Source,
    check_expected,
    chunks_of,
    hash_bytes,
    hash_stream,
    parse_digest,
)
from noria.core.objects.disk import storage_errors
from noria.core.objects.sources import SourceFile, open_source
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

PIECE_BYTES = 4 * 1024 * 1024
"""What one request reads: many enough that latency is little of it, few enough to hold in memory per reader."""

_IN_MEMORY_BYTES = 1024 * 1024  # what is longer waits on the local disk until its digest is known
_AT_ONCE = 16
_READ_AT_ONCE = 4  # each with a piece, and as many again that wait for their turn, in memory


class BucketObjectStore:
    """The object store in a bucket.

    Parameters
    ----------
    spool
        Local folder, made when it is needed, where a stream waits until its digest is known. Its files have no name
        while they are written, so none is left behind.
    """

    def __init__(self, bucket: Bucket, *, spool: Path) -> None:
        self.bucket = bucket
        self._spool = spool

    def put(
        self, chunks: Source, *, expected: str | None = None, limit_bytes: int | None = None
    ) -> ObjectInfo:
        """Store the bytes of a stream."""
        if expected is not None:
            parse_digest(expected)
        hasher = Hasher()
        with _Waiting(self._spool) as waiting:
            for chunk in chunks_of(chunks):
                hasher.update(chunk)
                if limit_bytes is not None and hasher.size_bytes > limit_bytes:
                    raise TooLarge(f"The object has more than {limit_bytes} bytes, which is the limit here")
                waiting.write(chunk)
            digest = hasher.digest()
            check_expected(expected, digest)
            return self._publish(digest, waiting.body, hasher.size_bytes)

    def put_bytes(self, data: bytes, *, expected: str | None = None) -> ObjectInfo:
        """Store bytes in memory."""
        if expected is not None:
            parse_digest(expected)
        digest = hash_bytes(data)
        check_expected(expected, digest)
        return self._publish(digest, lambda: data, len(data))

    def put_file(self, path: Path) -> ObjectInfo:
        """Store the bytes of a regular file."""
        with open_source(path) as source:
            digest, size_bytes = hash_stream(source.chunks())
            return self._publish(digest, lambda: _unchanged(source, digest), size_bytes)

    def put_files(self, paths: Sequence[str | Path], *, progress: Progress | None = None) -> list[ObjectInfo]:
        """Store many files, several at once."""
        return put_each(self.put_file, paths, progress=progress, at_once=_AT_ONCE)

    def open(self, digest: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Give the bytes of an object, or of a part of it, in chunks."""
        wanted = PIECE_BYTES if length is None else min(PIECE_BYTES, length)
        first, stored = self._first_piece(digest, max(0, start), max(0, wanted))
        size_bytes = stored.size_bytes
        if not 0 <= start <= size_bytes or (length is not None and length < 0):
            raise RangeInvalid(digest, start=start, length=length, size_bytes=size_bytes)
        end = size_bytes if length is None else min(size_bytes, start + length)
        pieces = self._pieces(digest, stored.key, first, start, end)
        return checked_chunks(pieces, digest, where=self.bucket.url) if end - start == size_bytes else pieces

    def open_many(self, digests: Sequence[str]) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Open several whole objects; the first pieces of the next ones are fetched meanwhile."""
        return open_each(self.open, digests, at_once=_READ_AT_ONCE)

    def get(self, digest: str, *, limit_bytes: int) -> bytes:
        """Give all bytes of an object, checked."""
        first, stored = self._first_piece(digest, 0, PIECE_BYTES)
        if stored.size_bytes > limit_bytes:
            raise TooLarge(
                f"The object `{digest}` has {stored.size_bytes} bytes; the limit here is {limit_bytes}"
            )
        pieces = self._pieces(digest, stored.key, first, 0, stored.size_bytes)
        return b"".join(checked_chunks(pieces, digest, where=self.bucket.url))

    def size(self, digest: str) -> int:
        """Give the size of an object in bytes."""
        stored = self._find(digest)
        if stored is None:
            raise ObjectNotFound(digest, where=self.bucket.url)
        return stored.size_bytes

    def has(self, digest: str) -> bool:
        """Tell whether the object is there."""
        return self._find(digest) is not None

    def missing(self, digests: Collection[str]) -> set[str]:
        """Give those of `digests` that are not there; several are asked about at once."""
        asked = list(dict.fromkeys(parse_digest(digest) for digest in digests))
        if len(asked) < 2:
            return {digest for digest in asked if not self.has(digest)}
        with ThreadPoolExecutor(min(_AT_ONCE, len(asked))) as pool:
            return {
                digest for digest, there in zip(asked, pool.map(self.has, asked), strict=True) if not there
            }

    def verify(self, digests: Iterable[str] | None = None, *, quick: bool = False) -> Iterator[Problem]:
        """Read objects and give what is wrong with them."""
        if digests is None:
            yield from self._verify_everything(quick=quick)
            return
        for digest in digests:
            if problem := self._check(parse_digest(digest), quick=quick):
                yield problem

    def collect(
        self, is_live: Callable[[list[str]], set[str]], *, grace_s: float, dry_run: bool = False
    ) -> Collected:
        """Remove objects that nothing refers to and that were last put more than `grace_s` seconds ago."""
        if not grace_s >= 0:
            raise Invalid(f"`grace_s` is {grace_s}; it is a number of seconds, at least 0")
        return BucketCollector(self.bucket, grace_s=grace_s, dry_run=dry_run).run(is_live)

    def _publish(self, digest: Digest, body: Callable[[], Body], size_bytes: int) -> ObjectInfo:
        """Put an object, and once more under another key if a collector may be about to remove the first."""
        self.bucket.put(main_key(digest), body(), size_bytes=size_bytes)
        if next(self.bucket.list(doom_folder(digest)), None) is not None:
            spare = f"{spare_folder(digest)}/{secrets.token_hex(8)}"
            self.bucket.put(spare, body(), size_bytes=size_bytes)
        return ObjectInfo(digest=digest, size_bytes=size_bytes)

    def _find(self, digest: str) -> Stored | None:
        found = self.bucket.head(main_key(digest))
        return found or next(self.bucket.list(spare_folder(digest)), None)

    def _first_piece(self, digest: str, start: int, length: int) -> tuple[bytes, Stored]:
        found = self.bucket.read(main_key(digest), start=start, length=length)
        if found is None:
            spare = next(self.bucket.list(spare_folder(digest)), None)
            found = None if spare is None else self.bucket.read(spare.key, start=start, length=length)
        if found is None:
            raise ObjectNotFound(digest, where=self.bucket.url)
        return found

    def _pieces(self, digest: str, key: str, first: bytes, start: int, end: int) -> Iterator[bytes]:
        """Give the bytes from `start` to `end`, of which the first are here already."""
        piece = first
        while piece:
            yield piece
            start += len(piece)
            if start >= end:
                return
            found = self.bucket.read(key, start=start, length=min(PIECE_BYTES, end - start))
            if found is None:
                raise ObjectNotFound(digest, where=self.bucket.url)
            piece = found[0]

    def _verify_everything(self, *, quick: bool) -> Iterator[Problem]:
        for folder in (MAIN, SPARES):
            for stored in self.bucket.list(folder):
                digest = digest_of(stored.key)
                if digest is None:
                    name = f"{self.bucket.url}/{stored.key}"
                    message = f"`{name}` is not an object; nothing here reads it"
                    yield Problem(kind=ProblemKind.FOREIGN, name=name, message=message)
                elif not quick and (problem := self._check_listed(digest, stored)):
                    yield problem

    def _check_listed(self, digest: Digest, stored: Stored) -> Problem | None:
        if stored.key != main_key(digest) and self.bucket.head(main_key(digest)):
            return None  # readers take the main key, which has had its turn
        problem = self._check(digest)
        collected = problem is not None and problem.kind is ProblemKind.MISSING  # since it was listed
        return None if collected else problem

    def _check(self, digest: Digest, *, quick: bool = False) -> Problem | None:
        try:
            first, stored = self._first_piece(digest, 0, 1 if quick else PIECE_BYTES)
            if quick:
                return None
            actual, _ = hash_stream(self._pieces(digest, stored.key, first, 0, stored.size_bytes))
        except ObjectNotFound as error:
            return Problem(kind=ProblemKind.MISSING, name=digest, message=error.message)
        if actual == digest:
            return None
        message = f"The bytes of `{self.bucket.url}/{stored.key}` have the digest `{actual}`"
        return Problem(kind=ProblemKind.CORRUPT, name=digest, message=message)


class _Waiting:
    """Bytes whose digest is not known yet: few in memory, many in a file without a name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._memory = bytearray()
        self._file: BinaryIO | None = None

    def __enter__(self) -> _Waiting:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, chunk: bytes) -> None:
        """Take a chunk in."""
        if self._file is None and len(self._memory) + len(chunk) <= _IN_MEMORY_BYTES:
            self._memory += chunk
            return
        with storage_errors(self._folder):
            if self._file is None:
                self._folder.mkdir(parents=True, exist_ok=True)
                self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - closed with this object
                self._file.write(self._memory)
                self._memory.clear()
            self._file.write(chunk)

    def body(self) -> Body:
        """Give the bytes from their beginning; may be called again."""
        if self._file is None:
            return bytes(self._memory)
        with storage_errors(self._folder):
            self._file.seek(0)
        return self._file


def _unchanged(source: SourceFile, digest: Digest) -> Iterator[bytes]:
    """Read a file again, and end in `SourceChanged` if it has other bytes now: the upload is given up then."""
    hasher = Hasher()
    for chunk in source.chunks():
        hasher.update(chunk)
        yield chunk
    if hasher.digest() != digest:
        raise SourceChanged(source.path)


if TYPE_CHECKING:
    _proof: type[ObjectStore] = BucketObjectStore
