"""A queue on disk that one process writes and reads, and whose content outlives it.

Appending hands the record to the kernel, so that it survives the death of the process; a durable spool also waits for
the disk. Records lie in segment files; a segment is deleted when all of it was acknowledged. What is acknowledged is
not noted anywhere else: after a restart the records of a segment may be read again, so whoever takes them knows them
by an id of their own.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from noria.core.frames import MAX_RECORD_BYTES, frame, parse
from noria.core.ids import new_id

LOCK_FILE = "lock"
_SUFFIX = ".seg"
_NEW = ".new-"

_log = logging.getLogger("noria.serving.spool")


class Place(NamedTuple):
    """A place in a spool; places compare in the order of the records."""

    segment: int
    offset: int


class Batch(NamedTuple):
    """Records, and the place behind the last of them."""

    records: list[bytes]
    end: Place


class Spool:
    """A folder of segments. Appending is thread-safe; one thread reads.

    Parameters
    ----------
    folder
        Held by this process (see `claim`).
    max_bytes
        Appending refuses beyond this much on disk.
    segment_bytes
        A segment that is as long is followed by another.
    durable
        True: a record is on the disk when `append` returns.
    """

    def __init__(
        self, folder: Path, *, max_bytes: int = 1 << 30, segment_bytes: int = 4 << 20, durable: bool = False
    ) -> None:
        self.folder = folder
        self.n_dropped = 0
        self.n_damaged = 0
        self._max_bytes = max_bytes
        self._segment_bytes = segment_bytes
        self._durable = durable
        self._lock = threading.Lock()
        segments = _segments(folder)
        self._size_bytes = sum(path.stat().st_size for path in segments.values())
        # What is there already is left as it is: its last record may be torn.
        self._active = max(segments, default=0) + 1
        self._written = 0
        self._descriptor: int | None = None
        self._read = Place(min(segments, default=self._active), 0)

    @property
    def size_bytes(self) -> int:
        """Bytes on disk."""
        return self._size_bytes

    @property
    def waiting_bytes(self) -> int:
        """Bytes on disk that were not acknowledged."""
        with self._lock:
            return self._size_bytes - self._read.offset

    @property
    def end(self) -> Place:
        """Place behind the last record."""
        with self._lock:
            return Place(self._active, self._written)

    @property
    def acknowledged(self) -> Place:
        """Place up to which everything was acknowledged."""
        with self._lock:
            return self._read

    @property
    def is_empty(self) -> bool:
        """Tell whether everything was acknowledged."""
        with self._lock:
            return self._read >= Place(self._active, self._written)

    def append(self, payload: bytes) -> bool:
        """Keep a record.

        Returns
        -------
        bool
            False when there is no room: the record was dropped and counted.
        """
        data = frame(payload)
        with self._lock:
            if self._size_bytes + len(data) > self._max_bytes or not self._write(data):
                self.n_dropped += 1
                return False
            return True

    def read(self, *, max_records: int = 500, max_bytes: int = 1 << 20) -> Batch | None:
        """Give the next records behind the acknowledged ones, or None when there are none.

        Parameters
        ----------
        max_bytes
            About as much is read; a longer record is given alone.
        """
        while True:
            with self._lock:
                place, active, written = self._read, self._active, self._written
            if place >= Place(active, written):
                return None
            size = written if place.segment == active else None
            batch = self._read_segment(place, size, max_records, max_bytes)
            if batch is not None:
                return batch
            self._finish_segment(place.segment)

    def acknowledge(self, end: Place) -> None:
        """Let go of everything before `end`."""
        with self._lock:
            self._read = max(self._read, end)
            if self._read == Place(self._active, self._written) and self._written >= self._segment_bytes:
                self._rotate()
        if end.segment < self._active and self._is_read(end):
            self._finish_segment(end.segment)

    def close(self) -> None:
        """Close the files; what was not acknowledged stays."""
        with self._lock:
            self._rotate()

    def _is_read(self, place: Place) -> bool:
        try:
            return place.offset >= self._path(place.segment).stat().st_size
        except FileNotFoundError:
            return True

    def _write(self, data: bytes) -> bool:
        try:
            if self._written >= self._segment_bytes:
                self._rotate()
            descriptor = self._open()
            n_written = os.write(descriptor, data)
            if n_written == len(data):
                if self._durable:
                    os.fsync(descriptor)
                self._written += n_written
                self._size_bytes += n_written
                return True
        except OSError as error:
            _log.warning("spool.write_failed", extra={"reason": error.strerror, "folder": str(self.folder)})
        self._cut_back()
        return False

    def _open(self) -> int:
        if self._descriptor is None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            self._descriptor = os.open(self._path(self._active), flags, 0o600)
            if self._durable:
                _fsync_folder(self.folder)
        return self._descriptor

    def _cut_back(self) -> None:
        """Take a half-written record away; if even that fails, leave it as the torn end of its segment."""
        if self._descriptor is None:
            return
        try:
            os.ftruncate(self._descriptor, self._written)
        except OSError:
            self._rotate()

    def _rotate(self) -> None:
        if self._descriptor is None:
            return
        os.close(self._descriptor)
        self._descriptor = None
        self._active += 1
        self._written = 0

    def _read_segment(self, place: Place, size: int | None, max_records: int, max_bytes: int) -> Batch | None:
        try:
            with self._path(place.segment).open("rb") as file:
                end = os.fstat(file.fileno()).st_size if size is None else size
                file.seek(place.offset)
                left = end - place.offset
                found = parse(file.read(min(left, max_bytes)), max_records=max_records)
                if not found.end and not found.broken and left > max_bytes:
                    file.seek(place.offset)
                    found = parse(file.read(min(left, MAX_RECORD_BYTES + 8)), max_records=1)
        except FileNotFoundError:
            return None
        self.n_damaged += found.n_damaged
        if not found.end:
            self.n_damaged += found.broken
            return None
        return Batch(found.records, Place(place.segment, place.offset + found.end))

    def _finish_segment(self, segment: int) -> None:
        """Delete a segment of which nothing more can be read, and go on with the next."""
        path = self._path(segment)
        with self._lock:
            if segment == self._active:
                # Only a record damaged on the disk can make the active segment unreadable before its end.
                self._rotate()
            try:
                self._size_bytes -= path.stat().st_size
                path.unlink()
            except FileNotFoundError:
                pass
            following = [number for number in _segments(self.folder) if number > segment]
            self._read = max(self._read, Place(min(following, default=self._active), 0))

    def _path(self, segment: int) -> Path:
        return self.folder / f"{segment:012d}{_SUFFIX}"


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


def claim(root: Path) -> Claim:
    """Make a spool folder of this process's own under `root`."""
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = new_id()
    draft = root / f"{_NEW}{name}"
    draft.mkdir(mode=0o700)
    descriptor = _try_lock(draft)
    if descriptor is None:
        raise AssertionError("a folder that nobody else knows of cannot be locked")
    # Locked before it has its name, so that nobody takes it for one whose owner died.
    draft.rename(root / name)
    return Claim(root / name, descriptor)


def claim_abandoned(root: Path) -> Iterator[Claim]:
    """Take over the folders under `root` whose owners have ended, oldest first."""
    if not root.is_dir():
        return
    for folder in sorted(root.iterdir()):
        if folder.is_dir() and not folder.name.startswith(_NEW):
            descriptor = _try_lock(folder)
            if descriptor is not None:
                yield Claim(folder, descriptor)


def _try_lock(folder: Path) -> int | None:
    try:
        descriptor = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever held it until now may have deleted it just before letting go.
        held = os.fstat(descriptor)
        present = (folder / LOCK_FILE).stat()
    except (BlockingIOError, FileNotFoundError):
        os.close(descriptor)
        return None
    if (held.st_dev, held.st_ino) != (present.st_dev, present.st_ino):
        os.close(descriptor)
        return None
    return descriptor


def _segments(folder: Path) -> dict[int, Path]:
    return {int(path.stem): path for path in folder.glob(f"*{_SUFFIX}") if path.stem.isdigit()}


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
