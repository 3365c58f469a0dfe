"""Versions as archives of the usual kinds, and archives of others taken apart with care."""

from __future__ import annotations

import io
import os
import secrets
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from noria.core.errors import Invalid
from noria.core.objects.archives import ArchiveInvalid
from noria.core.objects.digests import CHUNK_BYTES
from noria.core.objects.disk import storage_errors
from noria.core.objects.paths import check_path
from noria.core.objects.sources import MAX_FILES
from noria.core.objects.targets import TargetBlocked, TargetFolder
from noria.core.objects.trees import EXECUTABLE_MODE, Entry, Manifest, read_manifest

if TYPE_CHECKING:
    from noria.core.objects.store import ObjectReader, Progress
    from noria.data.entities import DatasetVersion

_TAR: Final = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_ZIP: Final = (".zip",)
_MAX_RATIO: Final = 200
_SMALL_BYTES: Final = 1 << 30
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
"""The first moment that a zip can name: equal versions give equal archives."""

_BROKEN: Final = (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError)


def is_archive(name: str) -> bool:
    """Tell by its name whether a file is an archive that is taken here."""
    return name.lower().endswith((*_TAR, *_ZIP))


def stem(name: str) -> str:
    """Give the name of an archive without its ending."""
    ending = next((each for each in (*_TAR, *_ZIP) if name.lower().endswith(each)), "")
    return name[: len(name) - len(ending)]


def export_version(
    store: ObjectReader,
    version: DatasetVersion,
    archive: Path,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> None:
    """Write the files of a version into an archive: whole, or not at all. Equal versions give equal bytes.

    Raises
    ------
    Invalid
        If the name of the archive has an ending that is not known.
    TargetBlocked
        If a file of this name is there, and `overwrite` is not set.
    """
    kind = next((each for each in (*_TAR, *_ZIP) if archive.name.lower().endswith(each)), None)
    if kind is None:
        endings = ", ".join(f"`{each}`" for each in (*_TAR, *_ZIP))
        raise Invalid(f"`{archive}` does not end as an archive does", hint=f"Choose one of {endings}")
    if os.path.lexists(archive) and not overwrite:
        raise TargetBlocked(
            archive.parent, archive.name, "there is a file of this name", hint="Say `--overwrite`"
        )
    manifest = read_manifest(store, version.digest)
    temporary = archive.with_name(f".noria-{secrets.token_hex(8)}.tmp")
    try:
        with storage_errors(archive.parent), temporary.open("xb") as file:
            write = _write_zip if kind in _ZIP else _write_tar
            write(store, manifest, file, kind, progress)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(archive)
    finally:
        temporary.unlink(missing_ok=True)


def unpack_archive(archive: Path, target: Path) -> None:
    """Write the files of an archive below a folder that is new.

    Raises
    ------
    ArchiveInvalid
        If it is damaged, encrypted, holds links or devices, a path twice, or unpacks to suspiciously much.
    PathRefused
        If a path could lead out of the folder.
    """
    limit = max(_SMALL_BYTES, archive.stat().st_size * _MAX_RATIO)
    members = _zip_members if zipfile.is_zipfile(archive) else _tar_members
    n_files, n_bytes = 0, 0
    with _told(archive), TargetFolder(target) as folder:
        for name, is_folder, executable, stream in members(archive):
            path = name.removeprefix("./").rstrip("/")
            if path in ("", "."):
                continue
            check_path(path)
            n_files += 1
            if n_files > MAX_FILES:
                raise ArchiveInvalid(f"`{archive}` holds more than {MAX_FILES} files")
            if is_folder:
                folder.make_folder(path)
                continue
            chunks = _chunks(stream)
            counted = _counted(chunks, archive, limit - n_bytes)
            try:
                folder.write(path, counted, executable=executable)
            except TargetBlocked as error:
                raise ArchiveInvalid(f"`{archive}` holds `{path}` twice, as file or folder") from error
            n_bytes += stream.tell()


@contextmanager
def _told(archive: Path) -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        raise ArchiveInvalid(f"`{archive}` cannot be read as an archive: {error}") from error


def _tar_members(archive: Path) -> Iterator[tuple[str, bool, bool, IO[bytes]]]:
    with tarfile.open(archive, "r:*") as tar:
        for member in tar:
            if not (member.isreg() or member.isdir()):
                raise _not_plain(archive, member.name)
            stream = tar.extractfile(member) if member.isreg() else io.BytesIO()
            yield member.name, member.isdir(), bool(member.mode & stat.S_IXUSR), stream or io.BytesIO()


def _zip_members(archive: Path) -> Iterator[tuple[str, bool, bool, IO[bytes]]]:
    with zipfile.ZipFile(archive) as zipped:
        for member in zipped.infolist():
            mode = member.external_attr >> 16
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _not_plain(archive, member.filename)
            if member.flag_bits & 0x1:
                raise ArchiveInvalid(f"`{archive}` is encrypted", hint="Unpack it, and add the folder")
            with zipped.open(member) as stream:
                yield member.filename, member.is_dir(), bool(mode & stat.S_IXUSR), stream


def _not_plain(archive: Path, name: str) -> ArchiveInvalid:
    return ArchiveInvalid(
        f"`{archive}` holds `{name}`, which is neither a plain file nor a folder",
        hint="Links and devices are not taken; unpack it, put copies in their places, and add the folder",
    )


def _chunks(stream: IO[bytes]) -> Iterator[bytes]:
    while chunk := stream.read(CHUNK_BYTES):
        yield chunk


def _counted(chunks: Iterator[bytes], archive: Path, left: int) -> Iterator[bytes]:
    for chunk in chunks:
        left -= len(chunk)
        if left < 0:
            raise ArchiveInvalid(
                f"`{archive}` unpacks to more than {_MAX_RATIO} times its size",
                hint="If you trust it, unpack it yourself, and add the folder",
            )
        yield chunk


class _Reading(io.RawIOBase):
    """Chunks as a file to be read."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while size < 0 or len(self._rest) < size:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            self._rest += chunk
        end = len(self._rest) if size < 0 else size
        given, self._rest = self._rest[:end], self._rest[end:]
        return given


def _write_tar(
    store: ObjectReader, manifest: Manifest, file: IO[bytes], kind: str, progress: Progress | None
) -> None:
    with (
        _compressed(file, kind) as plain,
        tarfile.open(fileobj=plain, mode="w", format=tarfile.GNU_FORMAT) as tar,
    ):
        for path in manifest.empty_folders:
            info = tarfile.TarInfo(path)
            info.type, info.mode = tarfile.DIRTYPE, EXECUTABLE_MODE
            tar.addfile(info)
        for entry, chunks in _contents(store, manifest, progress):
            info = tarfile.TarInfo(entry.path)
            info.size, info.mode = entry.size_bytes, entry.mode
            tar.addfile(info, _Reading(chunks))


@contextmanager
def _compressed(file: IO[bytes], kind: str) -> Iterator[IO[bytes]]:
    if kind == ".tar":
        yield file
    elif kind in (".tar.gz", ".tgz"):
        import gzip

        with gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0) as packed:
            yield packed  # type: ignore[misc]
    elif kind == ".tar.bz2":
        import bz2

        with bz2.BZ2File(file, "wb") as packed_bz2:
            yield packed_bz2
    else:
        import lzma

        with lzma.LZMAFile(file, "wb") as packed_xz:
            yield packed_xz


def _write_zip(
    store: ObjectReader, manifest: Manifest, file: IO[bytes], _kind: str, progress: Progress | None
) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as zipped:
        for path in manifest.empty_folders:
            info = zipfile.ZipInfo(f"{path}/", _EPOCH)
            info.external_attr = (stat.S_IFDIR | EXECUTABLE_MODE) << 16
            zipped.writestr(info, b"")
        for entry, chunks in _contents(store, manifest, progress):
            info = zipfile.ZipInfo(entry.path, _EPOCH)
            info.external_attr = (stat.S_IFREG | entry.mode) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            info.file_size = entry.size_bytes  # tells whether it needs the form for large files
            with zipped.open(info, "w") as stream:
                for chunk in chunks:
                    stream.write(chunk)


def _contents(
    store: ObjectReader, manifest: Manifest, progress: Progress | None
) -> Iterator[tuple[Entry, Iterator[bytes]]]:
    for entry in manifest.entries:
        yield entry, store.open(entry.digest)
        if progress is not None:
            progress(1, entry.size_bytes)
