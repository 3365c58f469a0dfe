"""Reading what lies on a user's disk: files that may change under our hands, and folders of them."""

from __future__ import annotations

import contextlib
import errno
import operator
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

import msgspec

from noria.core.errors import NotFound, TooLarge
from noria.core.objects.digests import CHUNK_BYTES
from noria.core.objects.store import SourceChanged, SourceUnusable

Ignore: TypeAlias = Callable[[str], bool]
"""Told the path of a file or folder, relative and with `/`; true leaves it out with all that is below it."""

MAX_FILES = 1_000_000
"""Most files of one tree: the manifest of a larger one would not fit in memory comfortably."""

TEMPORARY_PREFIX = ".noria-"
"""How the names of files begin that are being written into a user's folder."""


def ignore_names(*patterns: str) -> Ignore:
    """Leave out what has a name that matches one of `patterns` (as `fnmatch`, capitals count), at any depth.

    Examples
    --------
    >>> ignore = ignore_names("*.pyc", ".git")
    >>> ignore("src/a.pyc"), ignore("src/.git"), ignore("src/a.py")
    (True, True, False)
    """
    import fnmatch

    match = re.compile("|".join(map(fnmatch.translate, patterns)) or r"(?!)").match

    def ignore(path: str) -> bool:
        return match(path.rpartition("/")[2]) is not None

    return ignore


_MOST_REFUSED: Final = (
    100  # a walk that met so many ends: what is wrong is clear, and the rest may be millions
)
_OWN_ENDS: Final = ("/.noria", ".tmp")


def ignore_own(path: str) -> bool:
    """Leave out workspaces (a store must not swallow itself) and leftovers of a checkout that was killed."""
    # Asked for each of many thousand files, of which nearly none ends so.
    if not path.endswith(_OWN_ENDS) and path != ".noria":
        return False
    name = path.rpartition("/")[2]
    return name == ".noria" or (name.startswith(TEMPORARY_PREFIX) and name.endswith(".tmp"))


IGNORE_OWN: Final[Ignore] = ignore_own


class SourceFile:
    """An open regular file that tells whether it changed while it was read.

    Notes
    -----
    A change is seen by size, modification time and change time. The system keeps these times in ticks of a few
    milliseconds, so a write in the same tick as the opening may pass unseen if it leaves the size as it was.
    """

    def __init__(self, path: Path, fd: int, before: os.stat_result) -> None:
        self.path = path
        self.size_bytes = before.st_size
        self._fd = fd
        self._before = _fingerprint(before)

    def chunks(self) -> Iterator[bytes]:
        """Give the bytes from the beginning; may be called again for a second reading.

        Raises
        ------
        SourceChanged
            At the end at the latest, if the file is no longer what it was when it was opened.
        """
        n_bytes = 0
        while chunk := self._read(n_bytes):
            n_bytes += len(chunk)
            if n_bytes > self.size_bytes:  # it may grow faster than we read, for ever
                raise SourceChanged(self.path)
            yield chunk
        if n_bytes != self.size_bytes or _fingerprint(os.fstat(self._fd)) != self._before:
            raise SourceChanged(self.path)

    def part(self, start: int, length: int) -> bytes:
        """Give some of the bytes.

        Raises
        ------
        SourceChanged
            If the file has become shorter.
        """
        found = bytearray()
        with _source_errors(self.path):
            while len(found) < length and (
                more := os.pread(self._fd, length - len(found), start + len(found))
            ):
                found += more
        if len(found) < length:
            raise SourceChanged(self.path)
        return bytes(found)

    def _read(self, offset: int) -> bytes:
        with _source_errors(self.path):
            return os.pread(self._fd, CHUNK_BYTES, offset)


def _fingerprint(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


@contextlib.contextmanager
def open_source(path: Path) -> Iterator[SourceFile]:
    """Open a regular file for reading; a symbolic link is not followed, a pipe is not waited for.

    Raises
    ------
    SourceUnusable
        If it cannot be read, or is something else than a regular file.
    """
    with _source_errors(path):
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise SourceUnusable(path, f"it is {_kind(status.st_mode)}")
        yield SourceFile(path, fd, status)
    finally:
        os.close(fd)


class FoundFile(NamedTuple):
    """A file of a scanned tree.

    Attributes
    ----------
    path
        In the tree, with `/`.
    place
        Where it lies.
    status
        As it was when it was found.
    """

    path: str
    place: str
    status: os.stat_result

    @property
    def location(self) -> Path:
        """Where it lies."""
        return Path(self.place)

    @property
    def executable(self) -> bool:
        """Whether its owner may run it."""
        return bool(self.status.st_mode & stat.S_IXUSR)


class Scan(msgspec.Struct, frozen=True, kw_only=True):
    """All files of a tree, and the folders that hold nothing at all; both in the order of their paths."""

    files: tuple[FoundFile, ...]
    empty_folders: tuple[str, ...]


def scan(root: Path, *, ignore: Ignore = IGNORE_OWN, most: int = MAX_FILES) -> Scan:
    """List the files below a folder; a single file is a tree of one.

    `root` itself may be a symbolic link. A link, socket, pipe or device below it is refused, not followed and not
    skipped: what it stands for would be missing without a word where the tree is restored. `ignore` leaves it out.

    Parameters
    ----------
    most
        Files that are listed at most; the walk ends where there are more, however many these are.

    Raises
    ------
    NotFound
        If there is nothing at `root`.
    SourceUnusable
        For links and special files, names that are not UTF-8, and folders that cannot be read: all of them, if there
        are several.
    TooLarge
        For more than `most` files.
    """
    real = _resolve(root)
    if not real.is_dir():
        _check_name(root.name, root)
        return Scan(files=(_found_file(root.name, str(real), real.lstat()),), empty_folders=())
    files: list[FoundFile] = []
    empty: list[str] = []
    refused: list[SourceUnusable] = []
    pending = [("", str(real))]
    while pending and len(refused) < _MOST_REFUSED:
        prefix, folder = pending.pop()
        is_empty = True
        for path, entry in _listed(prefix, folder, refused):
            is_empty = False
            if ignore(path):
                continue
            if entry.is_dir(follow_symlinks=False):
                pending.append((f"{path}/", entry.path))
            elif (file := _found(path, entry, refused)) is not None:
                files.append(file)
                if len(files) > most:
                    raise _too_many(root, most)
        if prefix and is_empty:
            empty.append(prefix.removesuffix("/"))
    if refused:
        raise SourceUnusable.several(refused)
    files.sort(key=_path_of)
    return Scan(files=tuple(files), empty_folders=tuple(sorted(empty)))


_path_of = operator.attrgetter("path")


def _listed(
    prefix: str, folder: str, refused: list[SourceUnusable]
) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Give what lies in one folder, with its path in the tree; one by one, since there may be millions."""
    try:
        with _source_errors(folder), os.scandir(folder) as listing:
            for entry in listing:
                name = entry.name
                if name.isascii() or _has_name(name, entry.path, refused):
                    yield prefix + name, entry
    except SourceUnusable as error:
        refused.append(error)


def _found(path: str, entry: os.DirEntry[str], refused: list[SourceUnusable]) -> FoundFile | None:
    try:
        status = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None  # removed since it was listed
    if stat.S_ISREG(status.st_mode):
        return FoundFile(path, entry.path, status)
    refused.append(_not_plain(Path(entry.path), status.st_mode))
    return None


def _has_name(name: str, place: str, refused: list[SourceUnusable]) -> bool:
    try:
        _check_name(name, Path(place))
    except SourceUnusable as error:
        refused.append(error)
        return False
    return True


def _too_many(root: Path, most: int) -> TooLarge:
    hint = "Pack small files together, or add the folders below it one by one"
    return TooLarge(f"`{root}` holds more than {most} files", hint=hint)


def _resolve(root: Path) -> Path:
    try:
        return Path(os.path.realpath(root, strict=True))
    except FileNotFoundError as error:
        raise NotFound(f"There is no file or folder `{root}`", details={"path": str(root)}) from error
    except OSError as error:
        raise SourceUnusable(root, error.strerror or str(error)) from error


def _check_name(name: str, location: Path) -> None:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        hint = "Rename it; the bytes in the way are shown as `\\x..`"
        raise SourceUnusable(location, "its name is not UTF-8", hint=hint) from error


def _found_file(path: str, place: str, status: os.stat_result) -> FoundFile:
    if not stat.S_ISREG(status.st_mode):
        raise _not_plain(Path(place), status.st_mode)
    return FoundFile(path, place, status)


def _not_plain(location: Path, mode: int) -> SourceUnusable:
    if stat.S_ISLNK(mode):
        hint = "Put a copy of what it points to in its place, or leave it out"
        return SourceUnusable(location, f"it is a symbolic link to `{location.readlink()}`", hint=hint)
    return SourceUnusable(location, f"it is {_kind(mode)}", hint="Leave it out")


def _kind(mode: int) -> str:
    names = {
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFLNK: "a symbolic link",
    }
    return names.get(stat.S_IFMT(mode), "a device")


@contextlib.contextmanager
def _source_errors(path: Path | str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        place = Path(error.filename or path)
        if error.errno == errno.ELOOP:
            raise SourceUnusable(place, "it is a symbolic link") from error
        raise SourceUnusable(place, error.strerror or str(error)) from error
