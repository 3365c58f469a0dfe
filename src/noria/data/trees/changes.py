"""What changed in a file or folder since it was equal to a version."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from noria.core.errors import NotFound
from noria.core.objects.digests import hash_stream
from noria.core.objects.sources import FoundFile, Scan, open_source, scan
from noria.data.trees.stat_index import Known, StatIndex, is_unchanged, know, now_ns


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """Paths of files that are new, other, or gone; each list in order."""

    added: list[str] = msgspec.field(default_factory=list)
    changed: list[str] = msgspec.field(default_factory=list)
    removed: list[str] = msgspec.field(default_factory=list)

    def __bool__(self) -> bool:
        """Tell whether anything changed."""
        return bool(self.added or self.changed or self.removed)


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """A place as it is on disk, beside what was known of it.

    Attributes
    ----------
    unchanged
        The files whose bytes are surely those that were known, by path.
    fresh
        Those among them that had to be read to know it, with their times of now.
    """

    scan: Scan
    changes: Changes
    unchanged: Mapping[str, Known]
    fresh: list[Known]


def absolute(path: Path) -> str:
    """Give the name under which a place is remembered."""
    return os.path.realpath(path)


def look(path: Path, known: Mapping[str, Known]) -> Seen:
    """Compare a place with what was known of it, and read only files that may have changed.

    Raises
    ------
    NotFound, SourceUnusable, TooLarge
        As `scan`; a file that cannot be read, `SourceUnusable`.
    """
    found = scan(path)
    left = dict(known)
    added: list[str] = []
    changed: list[str] = []
    unchanged: dict[str, Known] = {}
    fresh: list[Known] = []
    for file in found.files:
        before = left.pop(file.path, None)
        if before is None:
            added.append(file.path)
        elif is_unchanged(before, file.status):
            unchanged[file.path] = before
        elif (now := _read_again(file, before)) is not None:
            unchanged[file.path] = now
            fresh.append(now)
        else:
            changed.append(file.path)
    changes = Changes(added=added, changed=changed, removed=sorted(left))
    return Seen(scan=found, changes=changes, unchanged=unchanged, fresh=fresh)


def look_at(index: StatIndex, path: Path) -> Seen:
    """Compare a place with what the index knows of it, and have the index remember what had to be read."""
    place = absolute(path)
    seen = look(path, index.files(place))
    if seen.fresh:
        index.refresh(place, seen.fresh)
    return seen


def changes_of(index: StatIndex, path: Path) -> Changes:
    """Tell what changed at a place that the index knows; when nothing is there, all of it is gone."""
    try:
        return look_at(index, path).changes
    except NotFound:
        return Changes(removed=sorted(index.files(absolute(path))))


def _read_again(file: FoundFile, before: Known) -> Known | None:
    """Give what a file is now if its bytes and its right to be run are those that were known."""
    if file.status.st_size != before.size_bytes or file.executable != before.executable:
        return None
    read_ns = now_ns()
    with open_source(file.location) as source:
        digest, _ = hash_stream(source.chunks())
    now = know(file.path, file.status, digest, read_ns=read_ns)
    return now if now.digest == before.digest else None


def known_files(files: Sequence[FoundFile], digests: Sequence[str], *, read_ns: int) -> list[Known]:
    """Note what files were when they were read, with the digests that they have."""
    return [
        know(file.path, file.status, digest, read_ns=read_ns)
        for file, digest in zip(files, digests, strict=True)
    ]
