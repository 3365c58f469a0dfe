"""Operations on the objects that a project holds."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import msgspec

from noria.core.errors import TooLarge
from noria.core.objects import batch_wire
from noria.core.objects.deltas import (
    MOST_COMPARED_BYTES,
    MOST_PIECES,
    Assembly,
    ChunkList,
    check_assembly,
    list_chunks,
)
from noria.core.objects.digests import parse_digest
from noria.core.objects.references import (
    ObjectNotInProject,
    held_digests,
    record_upload,
    record_uploads,
    size_in_project,
)
from noria.core.objects.store import ObjectInfo, Progress
from noria.core.operations import Download, Service, Upload, operation
from noria.core.permissions import Permission, Role

READ_OBJECTS = Permission(name="objects.read")
WRITE_OBJECTS = Permission(name="objects.write", role=Role.SCIENTIST)


class DigestList(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Digests asked for, or answered.

    Attributes
    ----------
    digests
        At most 10,000.
    """

    digests: list[str]


class ObjectList(msgspec.Struct, frozen=True, kw_only=True):
    """Objects, in the order in which they were sent."""

    items: list[ObjectInfo]


class Objects(Service):
    """The objects that entered a project by upload. Knowing a digest gives no access to another project's object."""

    @operation("POST", "/projects/{project}/objects", needs=WRITE_OBJECTS)
    def put(self, project: str, body: Upload, digest: str = "") -> ObjectInfo:
        """Upload an object; with `digest`, only if the bytes have it."""
        # Any bytes may enter the store before the project is known to exist; nothing refers to them then.
        stored = self.context.objects.put(body, expected=digest or None)
        with self.context.database.write() as connection:
            record_upload(
                connection,
                self.context.clock,
                project=project,
                digest=stored.digest,
                size_bytes=stored.size_bytes,
            )
        return stored

    @operation("GET", "/projects/{project}/objects/{digest}", needs=READ_OBJECTS)
    def get(self, project: str, digest: str, start: int = 0, length: int | None = None) -> Download:
        """Download an object, or `length` bytes of it from `start`."""
        size = self._size(project, digest)
        chunks = self.context.objects.open(digest, start=start, length=length)
        rest = max(0, size - start)
        return Download(chunks=chunks, size_bytes=rest if length is None else min(length, rest))

    @operation("GET", "/projects/{project}/objects/{digest}/info", needs=READ_OBJECTS)
    def info(self, project: str, digest: str) -> ObjectInfo:
        """Get the size of an object."""
        return ObjectInfo(digest=parse_digest(digest), size_bytes=self._size(project, digest))

    @operation("POST", "/projects/{project}/objects/missing", needs=READ_OBJECTS, status=200)
    def missing(self, project: str, wanted: DigestList) -> DigestList:
        """Tell which digests the project does not hold, so that only those need an upload."""
        asked = dict.fromkeys(parse_digest(digest) for digest in wanted.digests[:10_000])
        with self.context.database.read() as connection:
            held = held_digests(connection, project=project, digests=list(asked))
        return DigestList(digests=[digest for digest in asked if digest not in held])

    @operation("POST", "/projects/{project}/objects/batch", needs=WRITE_OBJECTS)
    def put_batch(self, project: str, body: Upload) -> ObjectList:
        """Upload many small objects in one body: each with its length before it, 8 bytes, little-endian."""
        with tempfile.TemporaryDirectory(prefix="noria-batch-") as scratch:
            paths = []
            for n, data in enumerate(batch_wire.split(body)):
                path = Path(scratch, str(n))
                path.write_bytes(data)
                paths.append(path)
            return ObjectList(items=self.put_files(project, paths, progress=None))

    @operation("POST", "/projects/{project}/objects/fetch", needs=READ_OBJECTS, status=200)
    def fetch(self, project: str, wanted: DigestList) -> Download:
        """Download many objects in one answer, in any order: each after its place in the list and its length."""
        digests = [parse_digest(digest) for digest in wanted.digests[: batch_wire.BATCH_OBJECTS]]
        with self.context.database.read() as connection:
            held = held_digests(connection, project=project, digests=digests)
        for digest in digests:
            if digest not in held:
                raise ObjectNotInProject(project, digest)
        sizes = [self.context.objects.size(digest) for digest in digests]
        opened = self.context.objects.open_many(digests)
        return Download(chunks=batch_wire.join_numbered((n, sizes[n], chunks) for n, chunks in opened))

    @operation("GET", "/projects/{project}/objects/{digest}/chunks", needs=READ_OBJECTS)
    def chunks(self, project: str, digest: str) -> ChunkList:
        """List the chunks of an object, cut where its content says so: what a similar one need not send again."""
        size = self._size(project, digest)
        if size > MOST_COMPARED_BYTES:
            raise TooLarge(
                f"The object `{digest}` has {size} bytes; up to {MOST_COMPARED_BYTES} are compared"
            )
        return list_chunks(self.context.objects.open(digest))

    @operation("POST", "/projects/{project}/objects/assemble", needs=WRITE_OBJECTS)
    def assemble(self, project: str, assembly: Assembly) -> ObjectInfo:
        """Put an object together of pieces of objects that the project holds."""
        expected = parse_digest(assembly.digest)
        named = dict.fromkeys(parse_digest(piece.digest) for piece in assembly.pieces[: MOST_PIECES + 1])
        check_assembly(assembly, {digest: self._size(project, digest) for digest in named})
        return self.put(project, self._pieces(assembly), digest=expected)

    def _pieces(self, assembly: Assembly) -> Iterator[bytes]:
        for piece in assembly.pieces:
            yield from self.context.objects.open(piece.digest, start=piece.start, length=piece.length)

    @property
    def in_process(self) -> bool:
        """Whether this is the service itself, and not a client of it."""
        return hasattr(self, "context")

    def put_files(
        self, project: str, paths: Sequence[str | Path], *, progress: Progress | None
    ) -> list[ObjectInfo]:
        """Upload files of this machine, in process only: they enter the project all at once."""
        stored = self.context.objects.put_files(paths, progress=progress)
        with self.context.database.write() as connection:
            record_uploads(connection, self.context.clock, project=project, infos=stored)
        return stored

    def take_in(self, project: str, infos: Collection[ObjectInfo]) -> None:
        """Let objects enter the project that this machine brought into the store itself; in process only."""
        with self.context.database.write() as connection:
            record_uploads(connection, self.context.clock, project=project, infos=infos)

    def open_many(self, project: str, digests: Sequence[str]) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Open objects that the project holds, in process only.

        Raises
        ------
        ObjectNotInProject
            If it does not hold one of them.
        """
        with self.context.database.read() as connection:
            held = held_digests(connection, project=project, digests=digests)
        for digest in digests:
            if digest not in held:
                raise ObjectNotInProject(project, digest)
        return self.context.objects.open_many(digests)

    def _size(self, project: str, digest: str) -> int:
        with self.context.database.read() as connection:
            size = size_in_project(connection, project=project, digest=parse_digest(digest))
        if size is None:
            raise ObjectNotInProject(project, digest)
        return size
