"""Files on disk that hold what was logged until the service has it.

Each run that is being logged has a segment: a file that its process holds by `flock`, so that a file nobody holds is
one that a dead process left. What is written survives the death of the process at once (not the loss of power).

    offset 0    magic
           8    offset up to which the service has everything
          16    frames: the record that says which run this is, then what was logged

Files of artifacts lie in a folder beside the segment, of the same name with the end `.files`.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import struct
import threading
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self

import msgspec

from noria.core.errors import Corrupt, StorageFull, Unavailable
from noria.core.frames import frame, parse
from noria.core.ids import new_id
from noria.core.objects.sources import open_source
from noria.tracking.frames import Opened, Record, decode, encode

SUFFIX = ".spool"
FILES = ".files"
_DRAFT = ".new-"

_MAGIC = b"NORIAR01"
_HEAD = struct.Struct("<8sQ")
_ACKNOWLEDGED_AT = 8

READ_BYTES = 4 << 20
"""About how much is read, and so sent, at once."""

KEEP_BYTES = 1 << 20
"""A segment that is longer is emptied when all of it was sent."""

_FULL = (errno.ENOSPC, errno.EDQUOT)


class Batch(NamedTuple):
    """Records in the order of the file, each with the offset behind it."""

    records: list[tuple[Record, int]]
    n_damaged: int


class Segment:
    """The file of one run, held by this process. Appending and reading may go on in two threads.

    Made by `create` or `claim`.

    Attributes
    ----------
    opened
        Which run it is of.
    """

    def __init__(self, path: Path, descriptor: int, opened: Opened, *, base: int, end: int) -> None:
        self.path = path
        self.opened = opened
        self._descriptor = descriptor
        self._base = base
        self._end = end
        self._lock = threading.Lock()
        self._n_files = 0
        _segments.add(self)

    @classmethod
    def create(cls, folder: Path, opened: Opened) -> Self:
        """Make the segment of a run.

        Raises
        ------
        StorageFull
            If there is no room.
        """
        name = f"{opened.run_id}-{new_id()}{SUFFIX}"
        draft = folder / f"{_DRAFT}{name}"
        first = frame(encode(opened))
        base = _HEAD.size + len(first)
        with _storage_errors(folder):
            descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                # Held before it has its name: nobody must take it for a dead process's.
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _write(descriptor, _HEAD.pack(_MAGIC, base if opened.known else _HEAD.size) + first, 0)
                draft.rename(folder / name)
            except BaseException:
                os.close(descriptor)
                draft.unlink(missing_ok=True)
                raise
        return cls(folder / name, descriptor, opened, base=base, end=base)

    @classmethod
    def claim(cls, path: Path) -> Self | None:
        """Take over the segment of a dead process; None when somebody holds it, or it is gone.

        Raises
        ------
        Corrupt
            If it does not say which run it is of.
        """
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return None
        try:
            if not _try_flock(descriptor) or not _is_at(descriptor, path):
                os.close(descriptor)
                return None
            opened, base = _first_record(path, descriptor)
        except BaseException:
            with contextlib.suppress(OSError):
                os.close(descriptor)
            raise
        return cls(path, descriptor, opened, base=base, end=os.fstat(descriptor).st_size)

    @property
    def is_known(self) -> bool:
        """Whether the service has heard of the run."""
        with self._lock:
            return self._acknowledged() >= self._base

    @property
    def waiting_bytes(self) -> int:
        """Bytes that the service does not have yet."""
        with self._lock:
            return self._end - self._acknowledged()

    def append(self, records: Sequence[Record]) -> None:
        """Write records behind the others; all of them, or none.

        Raises
        ------
        StorageFull
            If there is no room.
        """
        data = b"".join([frame(encode(record)) for record in records])
        with self._lock, _storage_errors(self.path.parent):
            try:
                _write(self._descriptor, data, self._end)
            except OSError:
                os.ftruncate(self._descriptor, self._end)
                raise
            self._end += len(data)

    def read(self, limit_bytes: int = READ_BYTES) -> Batch:
        """Read what the service does not have, up to a record that passes `limit_bytes`."""
        with self._lock:
            start, end = self._acknowledged(), self._end
        size = limit_bytes
        while True:
            parsed = parse(os.pread(self._descriptor, min(size, end - start), start))
            if parsed.records or parsed.broken or size >= end - start:
                break
            size *= 4  # a record that is longer
        ends = [start + each for each in parsed.ends]
        return Batch(list(zip(map(_decode, parsed.records), ends, strict=True)), parsed.n_damaged)

    def acknowledge(self, offset: int) -> None:
        """Note that the service has everything before `offset`, and free the room when that is all."""
        with self._lock:
            if offset == self._end > KEEP_BYTES:
                os.ftruncate(self._descriptor, self._base)
                self._end = offset = self._base
            os.pwrite(self._descriptor, struct.pack("<Q", offset), _ACKNOWLEDGED_AT)

    def keep_bytes(self, data: bytes) -> str:
        """Put the bytes of an artifact beside the segment, and give the name to find them by."""
        name, path = self._next_file()
        with _storage_errors(path.parent):
            self._write_file(path, data)
        return name

    def keep_file(self, source: Path) -> str:
        """Copy a file beside the segment, and give the name to find it by.

        Raises
        ------
        SourceUnusable, SourceChanged
            If it cannot be read whole.
        StorageFull
            If there is no room.
        """
        name, path = self._next_file()
        with _storage_errors(path.parent):
            try:
                with open_source(source) as opened, _new_file(path) as target:
                    for chunk in opened.chunks():
                        target.write(chunk)
            except BaseException:
                path.unlink(missing_ok=True)
                raise
        return name

    def file(self, name: str) -> Path:
        """Give the place of a kept file."""
        return self._files / name

    def release(self) -> None:
        """Let go: another process may send what is left."""
        _segments.discard(self)
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def remove(self) -> None:
        """Delete the segment and its files, and let go."""
        self.path.unlink(missing_ok=True)
        if self._n_files or self._files.exists():
            shutil.rmtree(self._files, ignore_errors=True)
        self.release()

    @property
    def _files(self) -> Path:
        return self.path.with_suffix(FILES)

    def _next_file(self) -> tuple[str, Path]:
        with _storage_errors(self.path.parent):
            self._files.mkdir(mode=0o700, exist_ok=True)
        name = new_id()
        self._n_files += 1
        return name, self._files / name

    def _write_file(self, path: Path, data: bytes) -> None:
        try:
            with _new_file(path) as target:
                target.write(data)
        except OSError:
            path.unlink(missing_ok=True)
            raise

    def _acknowledged(self) -> int:
        (noted,) = struct.unpack("<Q", os.pread(self._descriptor, 8, _ACKNOWLEDGED_AT))
        # Emptied, and killed before that was noted.
        return min(int(noted), self._end)


def peek(path: Path) -> Opened | None:
    """Tell which run a segment is of, without taking it over; None when it is gone or cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        return _first_record(path, descriptor)[0]
    except (Corrupt, OSError):
        return None
    finally:
        os.close(descriptor)


def _first_record(path: Path, descriptor: int) -> tuple[Opened, int]:
    data = os.pread(descriptor, READ_BYTES, 0)
    parsed = parse(data[_HEAD.size :], max_records=1)
    opened = _decode(parsed.records[0]) if data.startswith(_MAGIC) and parsed.records else None
    if not isinstance(opened, Opened):
        raise Corrupt(
            f"`{path}` does not say which run it is of",
            hint="It is no spool of this version of Noria; move it out of that folder",
        )
    return opened, _HEAD.size + parsed.end


def _decode(payload: bytes) -> Record:
    try:
        return decode(payload)
    except msgspec.DecodeError as error:
        raise Corrupt(
            f"The spool of a run holds a record that cannot be read: {error}",
            hint="A newer Noria may have written it: send it with that",
        ) from error


def _write(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        n_written = os.pwrite(descriptor, view, offset)
        view, offset = view[n_written:], offset + n_written


def _try_flock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    """Tell whether the open file still has its name: its holder may have deleted it just before it let go."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def _new_file(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")


@contextlib.contextmanager
def _storage_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFull(
                f"The disk of `{folder}`, where logged points wait, is full",
                hint="Free space, or name another folder in `noria.toml`: `[tracking]` `spool`",
            ) from error
        raise Unavailable(
            f"What was logged cannot be written to `{folder}`: {error.strerror}",
            hint="Name another folder in `noria.toml`: `[tracking]` `spool`",
        ) from error


_segments: weakref.WeakSet[Segment] = weakref.WeakSet()


def _release_in_child() -> None:
    # A child made by fork shares the open file and with it the lock, which would not die with this process.
    for segment in list(_segments):
        segment.release()


os.register_at_fork(after_in_child=_release_in_child)
