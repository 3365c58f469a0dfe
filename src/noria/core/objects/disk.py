"""The few file-system moves that the store and the writers of trees share, and how their failures are named."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from noria.core.errors import NoriaError, StorageFull, Unavailable

_PIECES_AT_ONCE = 512  # the system takes 1024
# EFBIG is what a limit on the size of files answers (`ulimit -f`, or a file system with small files).
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class storage_errors:  # noqa: N801 - used as a function; as a generator it would cost three times as much
    """Turn what the operating system refuses at `place` into errors of this house.

    Raises
    ------
    StorageFull
        When there is no room, or a quota or limit is reached.
    Unavailable
        For every other refusal.
    """

    __slots__ = ("_place",)

    def __init__(self, place: Path) -> None:
        self._place = place

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, OSError):
            raise storage_error(error, self._place) from error


def storage_error(error: OSError, place: Path) -> NoriaError:
    """Give the error of this house for what the operating system refused at `place`."""
    reason = error.strerror or str(error)
    details = {"place": str(place), "reason": reason}
    if error.errno in _FULL:
        hint = f"Make room on the disk that holds `{place}` and try again; the unfinished file was removed"
        return StorageFull(f"No room is left at `{place}`: {reason}", hint=hint, details=details)
    culprit = f" (`{error.filename}`)" if error.filename else ""
    hint = f"See that `{place}` is mounted, and readable and writable for this user"
    return Unavailable(f"The disk at `{place}` refused: {reason}{culprit}", hint=hint, details=details)


def write_all(fd: int, data: bytes | bytearray | memoryview) -> None:
    """Write every byte: one `write` may take fewer than it was given, as it does just before a disk is full."""
    n_written = os.write(fd, data)
    while n_written < len(data):
        n_written += os.write(fd, memoryview(data)[n_written:])


def write_each(fd: int, pieces: list[bytes | bytearray | memoryview]) -> None:
    """Write many pieces in as few calls as it takes."""
    for begin in range(0, len(pieces), _PIECES_AT_ONCE):
        part = pieces[begin : begin + _PIECES_AT_ONCE]
        n_bytes = sum(map(len, part))
        n_written = os.writev(fd, part)
        if n_written < n_bytes:
            write_all(fd, b"".join(part)[n_written:])


def fsync_folder(folder: Path) -> None:
    """Make the names in `folder` survive the loss of power; `fsync` on a file does not do that for its name."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


class FileLock:
    """A lock between threads and processes on a file that is never removed; it dies with its holder."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextlib.contextmanager
    def shared(self) -> Iterator[None]:
        """Hold the lock together with other sharers."""
        with self._held(fcntl.LOCK_SH):
            yield

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the lock alone."""
        with self._held(fcntl.LOCK_EX):
            yield

    @contextlib.contextmanager
    def _held(self, operation: int) -> Iterator[None]:
        # A lock belongs to one opening of the file, so each holder opens anew: threads then exclude each other too.
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(fd, operation)
            try:
                yield
            finally:
                # Closing is not enough: a child forked meanwhile shares this opening and would keep the lock.
                fcntl.flock(fd, fcntl.LOCK_UN)
        finally:
            os.close(fd)
