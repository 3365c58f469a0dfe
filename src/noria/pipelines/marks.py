"""Which files of large values were found right, by what the file system tells of them, so that none is read twice.

A process that wrote a file, or checked it, tells the mark of the file on to the others of its run on this machine.
What changes a file, or takes its place, changes its mark (inode, size, time of the last change): it is checked again.
Two things pass unseen within a run: a write in the same tick of the system's clock as the mark, some milliseconds, to
files that are read-only; and what a disk loses without a word, which `noria objects verify` finds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from noria.core.objects.digests import hash_large_file
from noria.core.objects.store import ObjectCorrupt


class FileMark(msgspec.Struct, frozen=True, array_like=True):
    """What tells a file from itself after a change.

    Attributes
    ----------
    changed_ns
        When bytes, name or mode last changed, which no program can set.
    """

    device: int
    inode: int
    size_bytes: int
    changed_ns: int


def mark_of(path: Path) -> FileMark:
    """Give the mark that a file has now."""
    status = path.stat()
    return FileMark(status.st_dev, status.st_ino, status.st_size, status.st_ctime_ns)


class Marks:
    """The files that were found right, by the digest of what they hold."""

    def __init__(self) -> None:
        self._known: dict[str, FileMark] = {}
        self._new: set[str] = set()

    def note(self, digest: str, path: Path) -> None:
        """Take in that a file was just written, and holds what its name says."""
        self._known[digest] = mark_of(path)
        self._new.add(digest)

    def check(self, digest: str, path: Path) -> None:
        """Read a file and compare what it holds with its name, unless it is known and did not change.

        Raises
        ------
        ObjectCorrupt
            If it holds something else.
        """
        before = mark_of(path)
        if self._known.get(digest) == before:
            return
        actual, _ = hash_large_file(path)
        if actual != digest:
            raise ObjectCorrupt(digest, where=str(path.parent), actual=actual)
        self._known[digest] = before
        self._new.add(digest)

    def learn(self, marks: Mapping[str, FileMark]) -> None:
        """Take in what another process of this machine noted or checked."""
        self._known.update(marks)

    def of(self, digests: Iterable[str]) -> dict[str, FileMark]:
        """Give those that are known of some digests."""
        return {digest: self._known[digest] for digest in digests if digest in self._known}

    def news(self) -> dict[str, FileMark]:
        """Give what was noted or checked here since the last call."""
        found = self.of(self._new)
        self._new.clear()
        return found
