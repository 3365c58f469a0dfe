"""The reading end of a spool: another process than the one that writes it, or the next after both died.

How far it was read is noted in the folder, so that the writer can wait for it. The note is made after the records were
handed on: a reader that dies in between is followed by one that hands some on again, and whoever takes them knows them
by an id of their own.
"""

from __future__ import annotations

import os
import shutil
import struct
import zlib
from pathlib import Path
from typing import BinaryIO, NamedTuple

from noria.core.frames import MAX_RECORD_BYTES, parse
from noria.serving.modelserver.spool import (
    LOCK_FILE,
    Place,
    segment_path,
    segments_of,
    try_lock,
    written_in,
)

READER_FILE = "reader"
MARK_FILE = "read"

_MARK = struct.Struct("<QQQ")
_CHECK = struct.Struct("<I")


class Mark(NamedTuple):
    """How far a spool was read.

    Attributes
    ----------
    place
        Everything before it was acknowledged.
    n_failures
        Attempts to hand on that failed.
    """

    place: Place
    n_failures: int


class Batch(NamedTuple):
    """Records, and the place behind the last of them."""

    records: list[bytes]
    end: Place


class SpoolReader:
    """Reads one spool. Used by one thread.

    Parameters
    ----------
    folder
        The reader's lock of it is held by this process (see `adopt`).
    """

    def __init__(self, folder: Path, descriptor: int | None = None) -> None:
        self.folder = folder
        self.n_damaged = 0
        self._reader_lock = descriptor
        self._writer_lock: int | None = None
        self._mark = read_mark(folder) or Mark(Place(0, 0), 0)

    @property
    def acknowledged(self) -> Place:
        """Place up to which everything was acknowledged."""
        return self._mark.place

    @property
    def waiting_bytes(self) -> int:
        """Bytes on disk that were not acknowledged."""
        place, total = self._mark.place, 0
        for number in segments_of(self.folder):
            size = written_bytes(self.folder, number)
            total += size if number > place.segment else max(0, size - place.offset)
            total -= size if number < place.segment else 0
        return max(0, total)

    def is_abandoned(self) -> bool:
        """Tell whether nobody will write any more."""
        if self._writer_lock is None:
            self._writer_lock = try_lock(self.folder / LOCK_FILE)
        return self._writer_lock is not None

    def read(self, *, max_records: int = 500, max_bytes: int = 1 << 20) -> Batch | None:
        """Give the next records behind the acknowledged ones, or None when there are none now.

        Parameters
        ----------
        max_bytes
            About as much is read; a longer record is given alone.
        """
        while True:
            # In this order: what was written before the writer ended is seen.
            abandoned = self.is_abandoned()
            place = self._mark.place
            left = [number for number in segments_of(self.folder) if number >= place.segment]
            if not left:
                return None
            if left[0] > place.segment:
                place = Place(left[0], 0)
            batch = self._read_segment(place, max_records, max_bytes, whole=abandoned)
            if batch is not None:
                return batch
            if len(left) == 1 and not abandoned:
                return None
            self._finish(place.segment)

    def acknowledge(self, end: Place) -> None:
        """Let go of everything before `end`."""
        if end > self._mark.place:
            self._note(Mark(end, self._mark.n_failures))
        for number in segments_of(self.folder):
            if number < end.segment:
                segment_path(self.folder, number).unlink(missing_ok=True)

    def note_failure(self) -> None:
        """Tell whoever waits that handing on failed, and see to it that the records are on the disk."""
        self._note(Mark(self._mark.place, self._mark.n_failures + 1))
        for number in segments_of(self.folder):
            _sync(segment_path(self.folder, number))

    def is_empty(self) -> bool:
        """Tell whether there is nothing to read now."""
        return self.read(max_records=1) is None

    def close(self) -> None:
        """Let another process read on. A spool that is read to its end, and that nobody writes, is deleted."""
        if self.is_abandoned() and self.is_empty():
            shutil.rmtree(self.folder, ignore_errors=True)
        for descriptor in (self._writer_lock, self._reader_lock):
            if descriptor is not None:
                os.close(descriptor)
        self._writer_lock = self._reader_lock = None

    def _read_segment(self, place: Place, max_records: int, max_bytes: int, *, whole: bool) -> Batch | None:
        """Read behind a place; `whole` also what no writer said to be written, since none is left to say it."""
        path = segment_path(self.folder, place.segment)
        try:
            with path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size if whole else written_bytes(self.folder, place.segment)
                left_bytes = max(0, size - place.offset)
                file.seek(place.offset)
                found = parse(file.read(min(max_bytes, left_bytes)), max_records=max_records)
                if not found.end and not found.broken:
                    file.seek(place.offset)
                    found = parse(file.read(min(MAX_RECORD_BYTES + 8, left_bytes)), max_records=1)
                if found.broken and not found.end and _is_blank(file, place.offset, size):
                    return None
        except FileNotFoundError:
            return None
        self.n_damaged += found.n_damaged
        if found.end:
            return Batch(found.records, Place(place.segment, place.offset + found.end))
        if found.broken:
            # Nothing can be told apart behind it; what is written from here on can.
            self.n_damaged += 1
            return Batch([], Place(place.segment, size))
        return None

    def _finish(self, segment: int) -> None:
        """Delete a segment of which nothing more can be read, and go on with the next."""
        segment_path(self.folder, segment).unlink(missing_ok=True)
        self._note(Mark(max(self._mark.place, Place(segment + 1, 0)), self._mark.n_failures))

    def _note(self, mark: Mark) -> None:
        self._mark = mark
        packed = _MARK.pack(*mark.place, mark.n_failures)
        try:
            descriptor = os.open(self.folder / MARK_FILE, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.pwrite(descriptor, packed + _CHECK.pack(zlib.crc32(packed)), 0)
            finally:
                os.close(descriptor)
        except OSError:
            return  # A full disk: whoever waits asks again, and the records are known by their ids.


def read_mark(folder: Path) -> Mark | None:
    """Tell how far a spool was read; None when nothing was noted, or the note is just being written."""
    try:
        found = (folder / MARK_FILE).read_bytes()
    except OSError:
        return None
    if len(found) != _MARK.size + _CHECK.size or _CHECK.unpack(found[_MARK.size :])[0] != zlib.crc32(
        found[: _MARK.size]
    ):
        return None
    segment, offset, n_failures = _MARK.unpack(found[: _MARK.size])
    return Mark(Place(segment, offset), n_failures)


def adopt(folder: Path) -> SpoolReader | None:
    """Become the reader of a spool; None when another process is."""
    descriptor = try_lock(folder / READER_FILE)
    return None if descriptor is None else SpoolReader(folder, descriptor)


def written_bytes(folder: Path, segment: int) -> int:
    """Give how much of a segment is written; 0 when it is gone."""
    # In this order: a segment that is not the newest any more has its final length, with a few zeros at most.
    newest = written_in(folder)
    try:
        size = segment_path(folder, segment).stat().st_size
    except FileNotFoundError:
        return 0
    return size if newest is None or newest.segment != segment else min(size, newest.offset)


def _is_blank(file: BinaryIO, start: int, end: int) -> bool:
    """Tell whether a segment holds nothing more: a writer that died left its room as it took it."""
    file.seek(start)
    while start < end and (piece := file.read(min(1 << 20, end - start))):
        if piece.count(0) != len(piece):
            return False
        start += len(piece)
    return True


def _sync(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
