"""Numbers that the processes of one model server show each other, in files that they map into memory.

Each worker has a page that it alone writes, with plain stores of eight bytes: a reader sees a number as it was or as
it is. A page outlives its worker, so nothing that was counted is lost when a worker is killed.
"""

from __future__ import annotations

import mmap
import os
import struct
from enum import IntEnum
from pathlib import Path

from noria.core.errors import Corrupt

PAGE_BYTES = 1 << 20
"""Of one page; a sparse file, of which only what was written takes room."""

SLOT_BYTES = 1024
_SUFFIX = ".page"
_MAGIC = 0x4E4F52494D530001
_WORD = 8
_NAME_AT = 256
_LENGTH = struct.Struct("<H")


class Word(IntEnum):
    """Where a number stands in the head of a page.

    `BEAT_NS` and `OLDEST_NS` are times of the monotonic clock, which all processes of a machine share.
    """

    MAGIC = 0
    PID = 1
    BEAT_NS = 2
    OLDEST_NS = 3
    N_IN_FLIGHT = 4
    N_REQUESTS = 5
    N_CAPTURES_DROPPED = 6
    N_LABELS_DROPPED = 7
    READY = 8
    N_SLOTS = 9
    REVISION = 10
    DISK_FULL = 11
    N_CAPTURES = 12
    N_SPANS_DROPPED = 13


class Page:
    """A page of numbers; slot 0 is the head, the others have a name each.

    Parameters
    ----------
    path
        An existing page; see `create`.
    writable
        Only its owner writes.
    """

    def __init__(self, path: Path, *, writable: bool = False) -> None:
        descriptor = os.open(path, (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC)
        try:
            access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
            self._map = mmap.mmap(descriptor, PAGE_BYTES, access=access)
        except ValueError as error:
            raise Corrupt(f"`{path}` is not a page of a model server") from error
        finally:
            os.close(descriptor)
        self.path = path
        self.words = memoryview(self._map).cast("Q")
        if self.words[Word.MAGIC] != _MAGIC:
            self.close()
            raise Corrupt(f"`{path}` is not a page of a model server")

    @classmethod
    def create(cls, path: Path) -> Page:
        """Make an empty page."""
        draft = path.with_suffix(".draft")
        with draft.open("wb") as file:
            file.truncate(PAGE_BYTES)
            file.write(_MAGIC.to_bytes(_WORD, "little"))
        draft.replace(path)
        return cls(path, writable=True)

    def close(self) -> None:
        """Let go of the memory; the file stays."""
        self.words.release()
        self._map.close()

    def add_slot(self, name: bytes) -> int | None:
        """Give the index of the first word of a new slot, or None when there is no room for another."""
        number = int(self.words[Word.N_SLOTS]) + 1
        if (number + 1) * SLOT_BYTES > PAGE_BYTES or len(name) > SLOT_BYTES - _NAME_AT - _LENGTH.size:
            return None
        at = number * SLOT_BYTES + _NAME_AT
        _LENGTH.pack_into(self._map, at, len(name))
        self._map[at + _LENGTH.size : at + _LENGTH.size + len(name)] = name
        # Counted last: whoever reads sees whole slots only.
        self.words[Word.N_SLOTS] = number
        return number * SLOT_BYTES // _WORD

    def slots(self) -> list[tuple[bytes, int]]:
        """List the slots: name, and index of the first word."""
        found = []
        for number in range(1, int(self.words[Word.N_SLOTS]) + 1):
            at = number * SLOT_BYTES + _NAME_AT
            (length,) = _LENGTH.unpack_from(self._map, at)
            start = at + _LENGTH.size
            found.append((bytes(self._map[start : start + length]), number * SLOT_BYTES // _WORD))
        return found


def pages(folder: Path) -> list[Page]:
    """Open the pages of a folder for reading, in the order of their names."""
    return [Page(path) for path in sorted(folder.glob(f"*{_SUFFIX}"))]


def page_path(folder: Path, name: str) -> Path:
    """Give where a page of this name lies."""
    return folder / f"{name}{_SUFFIX}"
