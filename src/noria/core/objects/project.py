"""A project's objects with the port of the object store, in process or over HTTP."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from noria.core.errors import TooLarge
from noria.core.objects.batches import open_each, put_each
from noria.core.objects.digests import Source, check_expected, chunks_of, hash_bytes
from noria.core.objects.references import ObjectNotInProject
from noria.core.objects.service import DigestList, Objects
from noria.core.objects.sources import open_source
from noria.core.objects.store import ObjectInfo, ObjectReader, ObjectWriter, Progress, checked_chunks

_ASKED_AT_ONCE: Final = 5_000
_SENT_AT_ONCE: Final = 4


class ProjectStore:
    """Reads and adds the objects of one project.

    Parameters
    ----------
    service
        The operations, in process or remote.
    project
        Name of the project.
    """

    def __init__(self, service: Objects, project: str) -> None:
        self._service = service
        self.project = project

    def open(self, digest: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Give the bytes in chunks, as the port says."""
        chunks = iter(self._service.get(self.project, digest, start=start, length=length).chunks)
        if start or length is not None:
            return chunks
        return checked_chunks(chunks, digest, where=self.project)

    def open_many(self, digests: Sequence[str]) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Open several whole objects."""
        if self._service.in_process:
            return self._service.open_many(self.project, digests)
        return open_each(self.open, digests, at_once=_SENT_AT_ONCE)

    def get(self, digest: str, *, limit_bytes: int) -> bytes:
        """Give all bytes, checked on this side of the wire."""
        size = self.size(digest)
        if size > limit_bytes:
            raise TooLarge(f"The object `{digest}` has {size} bytes, more than the {limit_bytes} asked for")
        return b"".join(self.open(digest))

    def size(self, digest: str) -> int:
        """Give the size in bytes."""
        return self._service.info(self.project, digest).size_bytes

    def has(self, digest: str) -> bool:
        """Tell whether the project holds the object."""
        try:
            self.size(digest)
        except ObjectNotInProject:
            return False
        return True

    def missing(self, digests: Collection[str]) -> set[str]:
        """Give those of `digests` that the project does not hold."""
        asked = list(digests)
        absent: set[str] = set()
        for begin in range(0, len(asked), _ASKED_AT_ONCE):
            part = DigestList(digests=asked[begin : begin + _ASKED_AT_ONCE])
            absent.update(self._service.missing(self.project, part).digests)
        return absent

    def put(
        self, chunks: Source, *, expected: str | None = None, limit_bytes: int | None = None
    ) -> ObjectInfo:
        """Upload the bytes of a stream, as the port says."""
        bounded = _bounded(chunks_of(chunks), limit_bytes)
        return self._service.put(self.project, bounded, digest=expected or "")

    def put_bytes(self, data: bytes, *, expected: str | None = None) -> ObjectInfo:
        """Upload bytes in memory."""
        check_expected(expected, hash_bytes(data))
        return self.put([data], expected=expected)

    def put_file(self, path: Path) -> ObjectInfo:
        """Upload a file; what the project holds already is uploaded all the same, which keeps it fresh."""
        with open_source(path) as source:
            return self.put(source.chunks())

    def put_files(self, paths: Sequence[Path], *, progress: Progress | None = None) -> list[ObjectInfo]:
        """Upload many files."""
        if self._service.in_process:
            return self._service.put_files(self.project, paths, progress=progress)
        return put_each(self.put_file, paths, progress=progress, at_once=_SENT_AT_ONCE)


def _bounded(chunks: Iterator[bytes], limit_bytes: int | None) -> Iterator[bytes]:
    passed = 0
    for chunk in chunks:
        passed += len(chunk)
        if limit_bytes is not None and passed > limit_bytes:
            raise TooLarge(f"The stream passes the limit of {limit_bytes} bytes")
        yield chunk


if TYPE_CHECKING:
    _reader: type[ObjectReader] = ProjectStore
    _writer: type[ObjectWriter] = ProjectStore
