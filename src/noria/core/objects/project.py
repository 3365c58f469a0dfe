"""A project's objects with the port of the object store, in process or over HTTP."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from noria.core.errors import TooLarge
from noria.core.objects import batch_wire
from noria.core.objects.batches import again_if_changed, put_each
from noria.core.objects.deltas import LIKE_BYTES
from noria.core.objects.digests import Source, check_expected, chunks_of, hash_bytes, hash_stream
from noria.core.objects.far import IN_PARTS_BYTES, open_far, open_like, send_file
from noria.core.objects.references import ObjectNotInProject
from noria.core.objects.service import DigestList, Objects
from noria.core.objects.shelf import Shelf, shelf_of
from noria.core.objects.sources import open_source
from noria.core.objects.store import (
    ObjectInfo,
    ObjectReader,
    ObjectWriter,
    Progress,
    SourceChanged,
    checked_chunks,
)

_ASKED_AT_ONCE: Final = 5_000
_SENT_AT_ONCE: Final = 4
_FETCHED_AT_ONCE: Final = 500

_File: TypeAlias = tuple[int, Path, ObjectInfo]
"""Its number among those that are put, its place, and what its bytes were when they were hashed."""


class ProjectStore:
    """Reads and adds the objects of one project.

    Parameters
    ----------
    service
        The operations, in process or remote.
    project
        Name of the project.
    like
        Digests of what lay in the places of files before, by path: a server is sent only what is new in a large
        file.
    here
        Files on this machine that are like objects which will be read, by the digest of these: a server is asked only
        for the rest.
    """

    def __init__(
        self,
        service: Objects,
        project: str,
        *,
        like: Mapping[str, str] | None = None,
        here: Mapping[str, Path] | None = None,
    ) -> None:
        self._service = service
        self.project = project
        self._like = like or {}
        self._here = here or {}

    def open(self, digest: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Give the bytes in chunks, as the port says."""
        is_whole = not start and length is None
        if self._service.in_process:
            chunks = iter(self._service.get(self.project, digest, start=start, length=length).chunks)
        elif is_whole and digest in self._here:
            chunks = open_like(self._service, self.project, digest, self._here[digest])
        else:
            chunks = open_far(self._service, self.project, digest, start=start, length=length)
        return checked_chunks(chunks, digest, where=self.project) if is_whole else chunks

    def open_many(self, digests: Sequence[str]) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Open several whole objects."""
        if self._service.in_process:
            return self._service.open_many(self.project, digests)
        return self._fetch(digests)

    def _fetch(self, digests: Sequence[str]) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Fetch objects some hundreds at a time, and by themselves those of which something is here."""
        whole = [n for n, digest in enumerate(digests) if digest not in self._here]
        for begin in range(0, len(whole), _FETCHED_AT_ONCE):
            part = whole[begin : begin + _FETCHED_AT_ONCE]
            answer = self._service.fetch(self.project, DigestList(digests=[digests[n] for n in part]))
            for n, chunks in batch_wire.split_numbered(answer.chunks):
                yield part[n], checked_chunks(chunks, digests[part[n]], where=self.project)
        for n, digest in enumerate(digests):
            if digest in self._here:
                yield n, self.open(digest)

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

    def put_files(self, paths: Sequence[str | Path], *, progress: Progress | None = None) -> list[ObjectInfo]:
        """Upload many files; of a server's, only those that the project does not hold."""
        if self._service.in_process:
            return self._service.put_files(self.project, paths, progress=progress)
        infos: list[ObjectInfo] = []
        for begin in range(0, len(paths), _ASKED_AT_ONCE):
            part = paths[begin : begin + _ASKED_AT_ONCE]
            infos += self._upload(part, progress)
        return infos

    def shelf(self) -> Shelf | None:
        """Give what puts files as they are; None for the objects of a server or a bucket."""
        if not self._service.in_process:
            return None
        inner = shelf_of(self._service.context.objects)
        if inner is None:
            return None
        return inner.within(
            took_in=lambda info: self._service.take_in(self.project, [info]), require=self.size
        )

    def _upload(self, paths: Sequence[str | Path], progress: Progress | None) -> list[ObjectInfo]:
        infos = [again_if_changed(_hashed, Path(path)) for path in paths]
        absent = self.missing({info.digest for info in infos})
        first = {info.digest: n for n, info in reversed(list(enumerate(infos)))}
        wanted = sorted(n for digest, n in first.items() if digest in absent)
        for n, info in self._sent([(n, Path(paths[n]), infos[n]) for n in wanted]):
            infos[n] = info  # one that changed since it was hashed is what was sent
        if progress is not None:
            for info in infos:
                progress(1, info.size_bytes)
        return infos

    def _sent(self, files: Sequence[_File]) -> Iterator[tuple[int, ObjectInfo]]:
        """Send files, small ones many at a time, and several such lots at once."""
        small = [file for file in files if file[2].size_bytes <= batch_wire.SMALL_BYTES]
        large = [file for file in files if file[2].size_bytes > batch_wire.SMALL_BYTES]
        lots = list(_lots(small))
        with ThreadPoolExecutor(_SENT_AT_ONCE) as pool:
            for lot, stored in zip(lots, pool.map(self._send_lot, lots), strict=True):
                yield from zip([n for n, _, _ in lot], stored, strict=True)
        plain = [file for file in large if not self._goes_in_parts(file)]
        sent = put_each(self.put_file, [path for _, path, _ in plain], progress=None, at_once=_SENT_AT_ONCE)
        yield from zip([n for n, _, _ in plain], sent, strict=True)
        for n, path, info in filter(self._goes_in_parts, large):
            try:
                yield n, self._send_large(path, info)
            except SourceChanged:
                yield n, again_if_changed(lambda path: self._send_large(path, _hashed(path)), path)

    def _goes_in_parts(self, file: _File) -> bool:
        _, path, info = file
        return info.size_bytes > (LIKE_BYTES if str(path) in self._like else IN_PARTS_BYTES)

    def _send_large(self, path: Path, info: ObjectInfo) -> ObjectInfo:
        return send_file(
            self._service,
            self.project,
            path,
            digest=info.digest,
            like=self._like.get(str(path)),
            missing=self.missing,
            at_once=_SENT_AT_ONCE,
        )

    def _send_lot(self, lot: Sequence[_File]) -> list[ObjectInfo]:
        contents = [again_if_changed(_content, path) for _, path, _ in lot]
        return self._service.put_batch(self.project, batch_wire.join(contents)).items


def _lots(files: Sequence[_File]) -> Iterator[list[_File]]:
    lot: list[_File] = []
    n_bytes = 0
    for file in files:
        if lot and (
            n_bytes + file[2].size_bytes > batch_wire.BATCH_BYTES or len(lot) >= batch_wire.BATCH_OBJECTS
        ):
            yield lot
            lot, n_bytes = [], 0
        lot.append(file)
        n_bytes += file[2].size_bytes
    if lot:
        yield lot


def _hashed(path: Path) -> ObjectInfo:
    with open_source(path) as source:
        digest, size_bytes = hash_stream(source.chunks())
    return ObjectInfo(digest=digest, size_bytes=size_bytes)


def _content(path: Path) -> bytes:
    with open_source(path) as source:
        return b"".join(source.chunks())


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
