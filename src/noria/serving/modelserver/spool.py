"""A queue on disk that one process writes, and whose content outlives it; `spool_reader` is the other end.

Appending hands the record to the kernel, so that it survives the death of the process; a durable spool also waits for
the disk. Records lie in segment files; the reader deletes a segment when all of it was acknowledged and there is a
later one.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import shutil
import threading
import time
from pathlib import Path
from typing import NamedTuple

from noria.core.frames import frame
from noria.core.ids import new_id

LOCK_FILE = "lock"
SEGMENT_BYTES = 4 << 20
SUFFIX = ".seg"
DRAFT = ".new-"

_LOOK_EVERY_S = 0.02

_log = logging.getLogger("noria.serving.spool")


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
        A segment that is as long is followed by another.
    durable
        True: a record is on the disk when `append` returns.
    among
        Folder whose spools share `max_bytes`; this one's alone by default.
    look_every_s
        How often at most a full spool looks whether the reader made room.
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
        self._look_after_bytes = max_bytes // 16
        # In a small spool, too, the reader has something to delete before all of it is full.
        self._segment_bytes = max(1, min(segment_bytes, max_bytes // 8))
        self._durable = durable
        self._look_every_s = look_every_s
        self._lock = threading.Lock()
        # What is there already is left as it is: its last record may be torn.
        self._active = max(segments_of(folder), default=0) + 1
        self._written = 0
        self._descriptor: int | None = None
        self._look()

    @property
    def end(self) -> Place:
        """Place behind the last record."""
        with self._lock:
            return Place(self._active, self._written)

    def append(self, payload: bytes) -> bool:
        """Keep a record.

        Returns
        -------
        bool
            False when there is no room, or the disk refused: the record was dropped and counted.
        """
        data = frame(payload)
        with self._lock:
            if self._has_room(len(data)) and self._write(data):
                self.is_full = False
                return True
            # A finished segment can be deleted once it was read; the one that is written cannot.
            self._rotate()
            self.n_dropped += 1
            self.is_full = True
            return False

    def close(self) -> None:
        """Close the files; what was not acknowledged stays."""
        with self._lock:
            self._end_segment()

    def _has_room(self, n_bytes: int) -> bool:
        if self._size_bytes + n_bytes <= self._max_bytes and self._unseen_bytes < self._look_after_bytes:
            return True
        if time.monotonic() - self._looked_at >= self._look_every_s:
            self._look()
        return self._size_bytes + n_bytes <= self._max_bytes

    def _look(self) -> None:
        self._size_bytes = disk_bytes(self.folder if self._among is None else self._among)
        self._unseen_bytes = 0
        self._looked_at = time.monotonic()

    def _write(self, data: bytes) -> bool:
        try:
            if self._written >= self._segment_bytes:
                self._rotate()
            descriptor = self._open() if self._descriptor is None else self._descriptor
            n_written = os.write(descriptor, data)
            if n_written == len(data):
                if self._durable:
                    os.fsync(descriptor)
                self._written += n_written
                self._size_bytes += n_written
                self._unseen_bytes += n_written
                return True
        except OSError as error:
            if not self.is_full:
                _log.warning(
                    "spool.write_failed", extra={"reason": error.strerror, "folder": str(self.folder)}
                )
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
            self._end_segment()

    def _rotate(self) -> None:
        """Begin the next segment, whose file tells the reader that the one before is complete."""
        if not self._written:
            return
        self._end_segment()
        try:
            self._open()
        except OSError:
            return  # Tried again by the next record.

    def _end_segment(self) -> None:
        if self._descriptor is None:
            return
        os.close(self._descriptor)
        self._descriptor = None
        self._active += 1
        self._written = 0

    def _path(self, segment: int) -> Path:
        return segment_path(self.folder, segment)


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
        names = [path.name for path in folder.iterdir()]
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
    for place, _, names in os.walk(folder):
        for name in names:
            if name.endswith(SUFFIX):
                with contextlib.suppress(FileNotFoundError):
                    total += Path(place, name).stat().st_size
    return total


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
