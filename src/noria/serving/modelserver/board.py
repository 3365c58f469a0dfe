"""Numbers and notes that the processes of one model server show each other, in memory that all of them map.

Each process has a page that it alone writes, number by number in plain stores of eight bytes: a reader sees a number
as it was or as it is. A page outlives its process, so nothing that was counted is lost when one is killed. There is no
file behind it that a full disk could take away.
"""

from __future__ import annotations

import mmap
import os
import struct
import tempfile
import zlib
from enum import IntEnum

PAGE_BYTES = 512 << 10
SLOT_BYTES = 1 << 10
N_SLOTS = 255
NOTE_BYTES = 256 << 10
"""Longest note."""

_WORD = 8
_NAME_AT = 256
_LENGTH = struct.Struct("<H")
_NOTE_AT = PAGE_BYTES - NOTE_BYTES
_NOTE = struct.Struct("<II")
_LINE_AT = 256
_LINE = struct.Struct("<HI")
LINE_BYTES = SLOT_BYTES - _LINE_AT - _LINE.size
"""Longest line."""


class Word(IntEnum):
    """Where a number stands in the head of a page.

    `BEAT_NS` and `OLDEST_NS` are times of the monotonic clock, which all processes of a machine share: of the last
    sign of life, and when the oldest request at work began (0: there is none).
    """

    PID = 0
    BEAT_NS = 1
    OLDEST_NS = 2
    N_IN_FLIGHT = 3
    N_SLOTS = 4
    READY = 5
    N_CAPTURES = 6
    N_CAPTURES_DROPPED = 7
    N_LABELS_DROPPED = 8
    N_SPANS_DROPPED = 9
    N_LIMITED = 10
    DISK_FULL = 11
    N_REPLACED = 12
    LISTENS = 13
    N_SHADOWS = 14
    N_SHADOWS_DROPPED = 15
    N_LOG_WARNINGS = 16
    N_LOG_ERRORS = 17


_OF_PROCESS = (
    Word.PID,
    Word.BEAT_NS,
    Word.OLDEST_NS,
    Word.N_IN_FLIGHT,
    Word.READY,
    Word.LISTENS,
    Word.DISK_FULL,
)


class Page:
    """The page of one process: numbers and a line in its head, slots of numbers with a name each, and one note."""

    def __init__(self, memory: memoryview) -> None:
        self._memory = memory
        self.words = memory.cast("Q")

    def add_slot(self, name: bytes) -> int | None:
        """Give the index of the first word of a new slot, or None when there is no room for another."""
        number = int(self.words[Word.N_SLOTS]) + 1
        if number > N_SLOTS or len(name) > SLOT_BYTES - _NAME_AT - _LENGTH.size:
            return None
        at = number * SLOT_BYTES + _NAME_AT
        _LENGTH.pack_into(self._memory, at, len(name))
        self._memory[at + _LENGTH.size : at + _LENGTH.size + len(name)] = name
        # Counted last: whoever reads sees whole slots only.
        self.words[Word.N_SLOTS] = number
        return number * SLOT_BYTES // _WORD

    def slots(self) -> list[tuple[bytes, int]]:
        """List the slots: name, and index of the first word."""
        found = []
        for number in range(1, int(self.words[Word.N_SLOTS]) + 1):
            at = number * SLOT_BYTES + _NAME_AT
            (length,) = _LENGTH.unpack_from(self._memory, at)
            start = at + _LENGTH.size
            found.append((bytes(self._memory[start : start + length]), number * SLOT_BYTES // _WORD))
        return found

    def write_note(self, note: bytes) -> bool:
        """Put a note for the others; False when it is too long."""
        if len(note) > NOTE_BYTES - _NOTE.size:
            return False
        self._memory[_NOTE_AT + _NOTE.size : _NOTE_AT + _NOTE.size + len(note)] = note
        _NOTE.pack_into(self._memory, _NOTE_AT, len(note), zlib.crc32(note))
        return True

    def read_note(self) -> bytes | None:
        """Give the note; None when there is none, or it is just being written."""
        length, checksum = _NOTE.unpack_from(self._memory, _NOTE_AT)
        if not 0 < length <= NOTE_BYTES - _NOTE.size:
            return None
        note = bytes(self._memory[_NOTE_AT + _NOTE.size : _NOTE_AT + _NOTE.size + length])
        return note if zlib.crc32(note) == checksum else None

    def write_line(self, line: bytes) -> None:
        """Put the line that outlives the process; what is too long is cut off."""
        line = line[:LINE_BYTES]
        start = _LINE_AT + _LINE.size
        self._memory[start : start + len(line)] = line
        _LINE.pack_into(self._memory, _LINE_AT, len(line), zlib.crc32(line))

    def read_line(self) -> bytes | None:
        """Give the line; None when there is none, or it is just being written."""
        length, checksum = _LINE.unpack_from(self._memory, _LINE_AT)
        if not 0 < length <= LINE_BYTES:
            return None
        start = _LINE_AT + _LINE.size
        line = bytes(self._memory[start : start + length])
        return line if zlib.crc32(line) == checksum else None

    def clear(self) -> None:
        """Take away what described the process that had it; what it counted, and its line, stay."""
        for word in _OF_PROCESS:
            self.words[word] = 0
        _NOTE.pack_into(self._memory, _NOTE_AT, 0, 0)


class Board:
    """The pages of one model server.

    Parameters
    ----------
    fd
        Of the shared memory; see `create`. Children inherit it.
    n_pages
        As it was created with.
    """

    def __init__(self, fd: int, n_pages: int) -> None:
        self.fd = fd
        self._map = mmap.mmap(fd, n_pages * PAGE_BYTES)
        whole = memoryview(self._map)
        self.pages = [Page(whole[n * PAGE_BYTES : (n + 1) * PAGE_BYTES]) for n in range(n_pages)]

    @property
    def of_processes(self) -> list[Page]:
        """The pages that a process has; the last one has the rates of keys."""
        return self.pages[:-1]

    @classmethod
    def create(cls, n_pages: int) -> Board:
        """Make empty pages."""
        fd = _memory_file()
        os.ftruncate(fd, n_pages * PAGE_BYTES)
        return cls(fd, n_pages)


def _memory_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("noria-board", os.MFD_CLOEXEC)
    descriptor, path = tempfile.mkstemp()
    os.unlink(path)  # noqa: PTH108 - the name is not needed again
    return descriptor
