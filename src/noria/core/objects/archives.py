"""A folder as one tar stream, for what is sent and kept as a whole, such as snapshots of code.

The form is narrow on purpose: plain files and empty folders, sorted, without owners and times, so that equal folders
give equal bytes and hence one digest. Any tar program reads it. Unpacking takes this form only; links, devices,
sparse files and extended headers are refused, and nothing is trusted that a header says before it is checked.
"""

from __future__ import annotations

import errno
import os
import shutil
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from noria.core.errors import Invalid, TooLarge
from noria.core.objects.digests import Source, chunks_of
from noria.core.objects.disk import fsync_folder, storage_errors
from noria.core.objects.paths import MAX_PATH_BYTES, check_path
from noria.core.objects.sources import IGNORE_OWN, TEMPORARY_PREFIX, FoundFile, Ignore, open_source, scan
from noria.core.objects.targets import TargetBlocked, TargetFolder
from noria.core.objects.trees import EXECUTABLE_MODE, FILE_MODE

_TAKEN = frozenset(
    {errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR}
)  # what a rename of a folder says, by its target
_BLOCK = tarfile.BLOCKSIZE
_END = bytes(2 * _BLOCK)


class ArchiveInvalid(Invalid):
    """The bytes are not an archive of the form that is taken here."""

    code = "archive_invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveLimits:
    """What an archive may hold at most, when it is made and when it is taken apart."""

    n_members: int = 20_000
    member_bytes: int = 64 * 1024 * 1024
    total_bytes: int = 256 * 1024 * 1024


DEFAULT_LIMITS = ArchiveLimits()


def pack_folder(
    folder: Path, *, ignore: Ignore = IGNORE_OWN, limits: ArchiveLimits = DEFAULT_LIMITS
) -> Iterator[bytes]:
    """Give the archive of a folder in chunks, to be passed to a store's `put` as they are.

    Raises
    ------
    NotFound, SourceUnusable
        As `sources.scan`.
    SourceChanged
        If a file changes while it is read; what was given until then is not an archive.
    TooLarge
        If the folder holds more than `limits` allow; the message names the file.
    """
    found = scan(folder, ignore=ignore)
    tally = _Tally(limits)
    members: list[FoundFile | str] = [*found.empty_folders, *found.files]
    for member in sorted(members, key=_path_of):
        if isinstance(member, str):
            tally.count(member, 0)
            yield _header(member, size_bytes=0, mode=EXECUTABLE_MODE, kind=tarfile.DIRTYPE)
        else:
            yield from _packed(member, tally)
    yield _END


def unpack(chunks: Source, target: Path, *, limits: ArchiveLimits = DEFAULT_LIMITS) -> None:
    """Make the folder `target` out of an archive: whole and on disk, or not at all.

    It is built beside `target` and then renamed; a process that is killed meanwhile leaves a folder `.noria-….tmp`
    there. Memory use is bounded by the largest chunk.

    Raises
    ------
    TargetBlocked
        If there is something at `target` already, also if another process makes it meanwhile.
    ArchiveInvalid
        If the bytes are not an archive of this form, are cut off, or go on after its end.
    PathRefused
        If a member's path could lead out of the folder.
    TooLarge
        As soon as more comes than `limits` allow.
    StorageFull
        If there is no room; nothing is left behind.
    """
    if os.path.lexists(target):
        raise TargetBlocked(target.parent, target.name, "there is something of this name")
    partial = target.parent / f"{TEMPORARY_PREFIX}{os.urandom(8).hex()}.tmp"
    try:
        with TargetFolder(partial) as folder:
            _unpack_members(_Reader(chunks), folder, _Tally(limits))
        with storage_errors(target.parent):
            _appear(partial, target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _appear(partial: Path, target: Path) -> None:
    try:
        partial.rename(target)
    except OSError as error:
        if error.errno in _TAKEN:
            raise TargetBlocked(target.parent, target.name, "there is something of this name") from error
        raise
    fsync_folder(target.parent)


class _Tally:
    """Counts members and bytes against the limits."""

    def __init__(self, limits: ArchiveLimits) -> None:
        self._limits = limits
        self._n_members = 0
        self._total_bytes = 0

    def count(self, path: str, size_bytes: int) -> None:
        self._n_members += 1
        self._total_bytes += size_bytes
        if size_bytes > self._limits.member_bytes:
            raise TooLarge(
                f"`{path}` has {size_bytes} bytes; the limit for a file is {self._limits.member_bytes}"
            )
        if self._n_members > self._limits.n_members:
            raise TooLarge(f"`{path}` is one file too many; the limit is {self._limits.n_members}")
        if self._total_bytes > self._limits.total_bytes:
            raise TooLarge(
                f"With `{path}`, the files pass the limit of {self._limits.total_bytes} bytes together"
            )


def _path_of(member: FoundFile | str) -> str:
    return member if isinstance(member, str) else member.path


def _packed(file: FoundFile, tally: _Tally) -> Iterator[bytes]:
    with open_source(file.location) as source:
        tally.count(file.path, source.size_bytes)
        mode = EXECUTABLE_MODE if file.executable else FILE_MODE
        yield _header(file.path, size_bytes=source.size_bytes, mode=mode, kind=tarfile.REGTYPE)
        yield from source.chunks()
        yield bytes(-source.size_bytes % _BLOCK)


def _header(path: str, *, size_bytes: int, mode: int, kind: bytes) -> bytes:
    """Make the header of a member; a path over 100 bytes goes into a header of its own before it, as GNU tar does."""
    info = tarfile.TarInfo(path)
    info.size, info.mode, info.type = size_bytes, mode, kind
    return info.tobuf(format=tarfile.GNU_FORMAT, encoding="utf-8", errors="strict")


class _Reader:
    """Exact numbers of bytes out of chunks of any size."""

    def __init__(self, source: Source) -> None:
        self._chunks = chunks_of(source)
        self._rest = memoryview(b"")

    def read_some(self, n_bytes: int) -> bytes:
        """Give at least one byte and at most `n_bytes`; none at the end."""
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return b""
            self._rest = memoryview(chunk)
        piece, self._rest = self._rest[:n_bytes], self._rest[n_bytes:]
        return bytes(piece)

    def pieces(self, n_bytes: int) -> Iterator[bytes]:
        """Give exactly `n_bytes` in pieces."""
        while n_bytes:
            piece = self.read_some(n_bytes)
            if not piece:
                raise ArchiveInvalid("The archive ends in the middle of a file")
            n_bytes -= len(piece)
            yield piece

    def read(self, n_bytes: int) -> bytes:
        """Give exactly `n_bytes`, a small number."""
        return b"".join(self.pieces(n_bytes))


def _unpack_members(reader: _Reader, folder: TargetFolder, tally: _Tally) -> None:
    while (info := _next_member(reader)) is not None:
        check_path(info.name)
        tally.count(info.name, info.size)
        try:
            if info.isdir():
                folder.make_folder(info.name)
            else:
                executable = bool(info.mode & 0o100)
                folder.write(info.name, reader.pieces(info.size), executable=executable)
        except TargetBlocked as error:
            raise ArchiveInvalid(f"The archive holds `{info.name}` twice, as file or folder") from error
        _expect_zeros(reader.read(-info.size % _BLOCK))


def _next_member(reader: _Reader) -> tarfile.TarInfo | None:
    """Read the next member's header, or None at the end of the archive."""
    block = reader.read(_BLOCK)
    if not any(block):
        _expect_zeros(reader.read(_BLOCK))
        while piece := reader.read_some(_BLOCK):  # tar programs fill up to a round number of blocks
            _expect_zeros(piece)
        return None
    info = _parse(block)
    if info.type == tarfile.GNUTYPE_LONGNAME:
        name = _long_name(reader, info)
        # The member's own header repeats 100 bytes of the path, which may end in the middle of a character.
        info = _parse(reader.read(_BLOCK), encoding="latin-1")
        info.name = name
    if info.type not in {tarfile.REGTYPE, tarfile.DIRTYPE} or info.size < 0 or (info.isdir() and info.size):
        raise ArchiveInvalid(
            f"The archive holds `{info.name}`, which is neither a plain file nor a folder",
            hint="Links, devices and extended headers are not taken",
        )
    return info


def _long_name(reader: _Reader, info: tarfile.TarInfo) -> str:
    if not 0 < info.size <= MAX_PATH_BYTES + 1:
        raise ArchiveInvalid(
            f"The archive announces a path of {info.size} bytes; the limit is {MAX_PATH_BYTES}"
        )
    data = reader.read(info.size)
    _expect_zeros(reader.read(-info.size % _BLOCK))
    try:
        return data.removesuffix(b"\0").decode().removesuffix("/")
    except UnicodeDecodeError as error:
        raise ArchiveInvalid("The archive holds a path that is not UTF-8") from error


def _parse(block: bytes, *, encoding: str = "utf-8") -> tarfile.TarInfo:
    try:
        return tarfile.TarInfo.frombuf(block, encoding=encoding, errors="strict")
    except (tarfile.HeaderError, UnicodeDecodeError, ValueError) as error:
        raise ArchiveInvalid(f"The bytes are not a tar archive, or a damaged one: {error}") from error


def _expect_zeros(filling: Iterable[int]) -> None:
    if any(filling):
        raise ArchiveInvalid("The archive has bytes where only zeros can be")
