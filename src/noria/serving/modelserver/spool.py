"""A queue on disk that one process writes, and whose content outlives it; `spool_reader` is the other end.

Records lie in segment files; the reader deletes a segment when all of it was acknowledged and there is a later one.
The segment that is written is as long as it may become, with its room on the disk taken beforehand, and a part of the
writer's memory: what is copied there belongs to the kernel, so that it survives the death of the process, and no call
of the system stands between a request and its answer. How far it is written stands in a file of eight bytes, changed
behind each record; a segment of which much is left is cut to its length when it ends. A durable spool also waits for
the disk.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import mmap
import os
import shutil
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from noria.core.frames import header_of
from noria.core.ids import new_id

LOCK_FILE = "lock"
SEGMENT_BYTES = 4 << 20
SUFFIX = ".seg"
DRAFT = ".new-"
WRITTEN_FILE = "written"

_LOOK_EVERY_S = 0.02
_LOOK_FAR_S = 0.2
_FAR_SEGMENTS = 16
"""While there was room for so many segments, it is looked that rarely: it takes as long as keeping many records."""

_LONG_BYTES = 1 << 13
"""Longer records are written by a call: to map so many pages takes the kernel several times as long."""

_LONG_RECORDS = 64
_LONG_SEGMENT_BYTES = 16 << 20
"""A segment that begins with a long record has room for so many of them, up to this length."""

_CUT_FROM = 16
"""A segment is cut if a larger part is left: to cut it waits for the file system's journal, some milliseconds."""

_MOST_PARTS = 1_000
"""A call of the system takes no more."""

_OFFSET_BITS = 32
_ZEROS = bytes(1 << 16)

_log = logging.getLogger("noria.serving.spool")


Record = bytes | Sequence[bytes | memoryview]
"""A record, or its parts: bytes one after the other."""


class Place(NamedTuple):
    """A place in a spool; places compare in the order of the records."""

    segment: int
    offset: int


class Spool:
    """The writing end of a folder of segments. Thread-safe.

    Parameters
    ----------
    folder
        Held by this process (see `claim`).
    max_bytes
        Appending refuses beyond about this much on disk.
    segment_bytes
        Length of a segment; one of a longer record is as long as that.
    durable
        True: a record is on the disk when `append` returns.
    among
        Folder whose spools share `max_bytes`; this one's alone by default.
    look_every_s
        How often at most a spool that is about to be full looks whether the reader made room.
    """

    def __init__(
        self,
        folder: Path,
        *,
        max_bytes: int = 1 << 30,
        segment_bytes: int = SEGMENT_BYTES,
        durable: bool = False,
        among: Path | None = None,
        look_every_s: float = _LOOK_EVERY_S,
    ) -> None:
        self.folder = folder
        self.n_dropped = 0
        self.is_full = False
        self._among = among
        self._max_bytes = max_bytes
        # In a small spool, too, the reader has something to delete before all of it is full.
        self._segment_bytes = max(1, min(segment_bytes, max_bytes // 8))
        self._durable = durable
        self._look_every_s = look_every_s
        self._lock = threading.Lock()
        # What is there already is left as it is: its last record may be torn.
        self._active = max(segments_of(folder), default=0) + 1
        self._written = self._length = 0
        self._descriptor: int | None = None
        self._memory: mmap.mmap | None = None
        self._counter: memoryview | None = None
        self._look()

    @property
    def end(self) -> Place:
        """Place behind the last record."""
        with self._lock:
            return Place(self._active, self._written)

    def append(self, record: Record) -> bool:
        """Keep a record.

        Returns
        -------
        bool
            False when there is no room, or the disk refused: the record was dropped and counted.
        """
        parts = (record,) if isinstance(record, bytes) else record
        parts = (header_of(parts), *parts)
        n_bytes = sum(map(len, parts))
        with self._lock:
            # A finished segment can be deleted once it was read, also when there is no room for the next.
            if self._written + n_bytes > self._length and not self._begin_segment(n_bytes):
                self.n_dropped += 1
                self.is_full = True
                return False
            if not self._put(parts, n_bytes):
                self.n_dropped += 1
                return False
            self.is_full = False
            return True

    def close(self) -> None:
        """Close the files; what was not acknowledged stays."""
        with self._lock:
            self._end_segment()
            if self._counter is not None:
                self._counter.release()
                self._counter = None

    def _put(self, parts: Sequence[bytes | memoryview], n_bytes: int) -> bool:
        """Write a record into the segment; False where the disk refused, and the segment holds what it held before."""
        memory, counter, descriptor = self._memory, self._counter, self._descriptor
        if memory is None or counter is None or descriptor is None:
            raise AssertionError("a segment was begun")
        end = self._written + n_bytes
        if n_bytes < _LONG_BYTES:
            memory[self._written : end] = b"".join(parts)
            if self._durable:
                memory.flush()
        elif not self._write(descriptor, parts, n_bytes):
            return False
        self._written = end
        # In one store, behind the record: the reader sees all of it or nothing.
        counter[0] = self._active << _OFFSET_BITS | end
        return True

    def _write(self, descriptor: int, parts: Sequence[bytes | memoryview], n_bytes: int) -> bool:
        parts = [b"".join(parts)] if len(parts) > _MOST_PARTS else parts
        try:
            n_written = os.pwritev(descriptor, parts, self._written)
            while n_written < n_bytes:  # rarely: a signal, or a disk that has just become full
                rest = memoryview(b"".join(parts))[n_written:]
                n_written += os.pwrite(descriptor, rest, self._written + n_written)
            if self._durable:
                os.fsync(descriptor)
        except OSError as error:
            _log.warning("spool.write_failed", extra={"reason": error.strerror, "folder": str(self.folder)})
            return False
        return True

    def _begin_segment(self, n_bytes: int) -> bool:
        """Follow the segment that is written by one with room for a record; False where there is none."""
        if self._memory is not None:
            self._end_segment()
        try:
            # The file of the next one tells the reader that the one before is complete.
            descriptor = self._open()
            room = self._room_bytes()
            if room < n_bytes:
                return False
            length = _take_most(descriptor, min(self._length_for(n_bytes), room), n_bytes)
            self._memory = mmap.mmap(descriptor, length)
        except OSError as error:
            if not self.is_full:
                _log.warning(
                    "spool.write_failed", extra={"reason": error.strerror, "folder": str(self.folder)}
                )
            return False
        self._length = length
        self._size_bytes += length
        return True

    def _length_for(self, n_bytes: int) -> int:
        """Tell how long a segment is to be whose first record is so long."""
        if n_bytes < _LONG_BYTES:
            return max(self._segment_bytes, n_bytes)
        return max(
            self._segment_bytes,
            n_bytes,
            min(_LONG_RECORDS * n_bytes, _LONG_SEGMENT_BYTES, self._max_bytes // 8),
        )

    def _end_segment(self) -> None:
        if self._descriptor is None:
            return
        if self._memory is not None:
            self._memory.close()
            self._memory = None
            # What is not cut, or cannot be, the reader takes for the end: zeros behind the last record.
            if (self._length - self._written) * _CUT_FROM > self._length:
                with contextlib.suppress(OSError):
                    os.ftruncate(self._descriptor, self._written)
                    self._size_bytes -= self._length - self._written
        os.close(self._descriptor)
        self._descriptor = None
        self._active += 1
        self._written = self._length = 0
        if self._counter is not None:
            self._counter[0] = self._active << _OFFSET_BITS

    def _open(self) -> int:
        if self._counter is None:
            self._counter = self._open_counter()
        if self._descriptor is None:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            self._descriptor = os.open(segment_path(self.folder, self._active), flags, 0o600)
            if self._durable:
                _fsync_folder(self.folder)
        return self._descriptor

    def _open_counter(self) -> memoryview:
        descriptor = os.open(self.folder / WRITTEN_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _take_room(descriptor, 8)
            counter = memoryview(mmap.mmap(descriptor, 8)).cast("Q")
        finally:
            os.close(descriptor)
        counter[0] = self._active << _OFFSET_BITS
        return counter

    def _room_bytes(self) -> int:
        is_far = self._max_bytes - self._size_bytes >= _FAR_SEGMENTS * self._segment_bytes
        every_s = max(self._look_every_s, _LOOK_FAR_S) if is_far else self._look_every_s
        if time.monotonic() - self._looked_at >= every_s:
            self._look()
        return self._max_bytes - self._size_bytes

    def _look(self) -> None:
        self._size_bytes = disk_bytes(self.folder if self._among is None else self._among)
        self._looked_at = time.monotonic()


class Claim:
    """A spool folder that this process holds, by a lock that dies with it."""

    def __init__(self, folder: Path, descriptor: int) -> None:
        self.folder = folder
        self._descriptor = descriptor

    def release(self) -> None:
        """Let another process have it."""
        os.close(self._descriptor)

    def remove(self) -> None:
        """Delete the folder; everything in it was acknowledged."""
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._descriptor)


def claim(root: Path, *, prefix: str = "") -> Claim:
    """Make a spool folder of this process's own under `root`."""
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = f"{prefix}{new_id()}"
    draft = root / f"{DRAFT}{name}"
    draft.mkdir(mode=0o700)
    descriptor = try_lock(draft / LOCK_FILE)
    if descriptor is None:
        raise AssertionError("a folder that nobody else knows of cannot be locked")
    # Locked before it has its name, so that nobody takes it for one whose owner died.
    draft.rename(root / name)
    return Claim(root / name, descriptor)


def try_lock(path: Path) -> int | None:
    """Take a lock that dies with this process; None when another has it, or the file was deleted meanwhile."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever held it until now may have deleted it just before letting go.
        held = os.fstat(descriptor)
        present = path.stat()
    except (BlockingIOError, FileNotFoundError):
        os.close(descriptor)
        return None
    if (held.st_dev, held.st_ino) != (present.st_dev, present.st_ino):
        os.close(descriptor)
        return None
    return descriptor


def spool_folders(root: Path) -> list[Path]:
    """List the spools under a folder, oldest first."""
    if not root.is_dir():
        return []
    return sorted(
        folder for folder in root.iterdir() if not folder.name.startswith(DRAFT) and folder.is_dir()
    )


def segments_of(folder: Path) -> list[int]:
    """List the numbers of a spool's segments, in their order; none when it was deleted."""
    try:
        names = os.listdir(folder)  # noqa: PTH208 - asked for each batch, and there may be hundreds
    except FileNotFoundError:
        return []
    stems = [name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX)]
    return sorted(int(stem) for stem in stems if stem.isdigit())


def segment_path(folder: Path, segment: int) -> Path:
    """Give where a segment lies."""
    return folder / f"{segment:012d}{SUFFIX}"


def disk_bytes(folder: Path) -> int:
    """Give how much the segments under a folder take; what is deleted meanwhile does not count."""
    total = 0
    pending = [str(folder)]
    while pending:
        with contextlib.suppress(FileNotFoundError), os.scandir(pending.pop()) as listing:
            for entry in listing:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                elif entry.name.endswith(SUFFIX):
                    with contextlib.suppress(FileNotFoundError):
                        total += entry.stat().st_size
    return total


def written_in(folder: Path) -> Place | None:
    """Tell how far the newest segment is written; None where that is not noted: all of each file is written then."""
    try:
        noted = (folder / WRITTEN_FILE).read_bytes()
    except OSError:
        return None
    number = int.from_bytes(noted, sys.byteorder)
    return Place(number >> _OFFSET_BITS, number & (1 << _OFFSET_BITS) - 1) if number else None


def _take_most(descriptor: int, most_bytes: int, least_bytes: int) -> int:
    """Take as much room as the disk gives, and tell how much that is; less than the least is an error."""
    while True:
        try:
            _take_room(descriptor, most_bytes)
        except OSError:
            os.ftruncate(descriptor, 0)
            if most_bytes == least_bytes:
                raise
            most_bytes = max(most_bytes // 2, least_bytes)
        else:
            return most_bytes


def _take_room(descriptor: int, n_bytes: int) -> None:
    """Make a file so long, with its place on the disk: a disk that is full later would end who writes to memory."""
    if sys.platform == "linux":
        os.posix_fallocate(descriptor, 0, n_bytes)
        return
    for start in range(0, n_bytes, len(_ZEROS)):
        os.pwrite(descriptor, _ZEROS[: n_bytes - start], start)


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
