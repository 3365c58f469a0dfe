"""Store a file or folder, reading only what may have changed since it was stored or checked out last."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from noria.core.objects.deltas import LIKE_BYTES
from noria.core.objects.sources import FoundFile, scan
from noria.core.objects.store import ObjectInfo, ObjectWriter, Progress
from noria.core.objects.trees import (
    EXECUTABLE_MODE,
    FILE_MODE,
    Entry,
    TreeInfo,
    put_found,
)
from noria.data.trees.changes import absolute, look
from noria.data.trees.stat_index import Known, Place, StatIndex, know, now_ns


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A file or folder that is in the project's objects.

    Attributes
    ----------
    new
        What was put into the store: the files that were read, and the manifest.
    trusted
        Digests of the other files: those that the index knew unchanged.
    place
        What the index knew, if nothing changed since.
    """

    tree: TreeInfo
    path: str
    is_file: bool
    empty_folders: tuple[str, ...]
    files: list[Known]
    new: list[ObjectInfo]
    trusted: list[str]
    place: Place | None = None

    def remember(self, index: StatIndex, *, project: str = "", name: str = "", version: int = 0) -> None:
        """Have the index remember the files, and which version they are if that is known by now."""
        place = Place(
            path=self.path,
            project=project,
            name=name,
            version=version,
            digest=self.tree.digest,
            is_file=self.is_file,
            empty_folders=self.empty_folders,
        )
        if place != self.place:
            index.record(place, self.files)


def store_path(
    store: ObjectWriter,
    path: Path,
    index: StatIndex,
    *,
    trusting: bool = True,
    progress: Progress | None = None,
) -> Stored:
    """Store a file or folder with all that is below it.

    Parameters
    ----------
    trusting
        Whether a file that the index knows unchanged is taken as stored. The project may have let it go meanwhile;
        who refers to the tree is told then, and stores it again without trust.

    Raises
    ------
    NotFound, SourceUnusable, TooLarge
        As `scan`, before anything is stored.
    SourceChanged, StorageFull
        As the store's `put_files`.
    """
    place = absolute(path)
    known = index.files(place) if trusting else {}
    if known:
        seen = look(path, known)
        found, unchanged = seen.scan, dict(seen.unchanged)
        before = index.place(place)
        if (
            before is not None
            and not before.is_file  # it may have another name by now than in its version
            and not (seen.changes or seen.fresh)
            and before.empty_folders == found.empty_folders
        ):
            return _as_before(before, list(unchanged.values()))
    else:
        found, unchanged = scan(path), {}
    new = [file for file in found.files if file.path not in unchanged]
    read_ns = now_ns()
    others = [_entry(known) for known in unchanged.values()]
    stored = put_found(store, new, others=others, empty_folders=found.empty_folders, progress=progress)
    files = [*unchanged.values(), *_known(new, stored.entries, read_ns)]
    is_file = len(found.files) == 1 and not path.is_dir()
    put = [ObjectInfo(digest=entry.digest, size_bytes=entry.size_bytes) for entry in stored.entries]
    return Stored(
        tree=stored.tree,
        path=place,
        is_file=is_file,
        empty_folders=found.empty_folders,
        files=files,
        new=[*put, stored.manifest],
        trusted=[known.digest_text for known in unchanged.values()],
    )


def _as_before(place: Place, files: list[Known]) -> Stored:
    """Give a tree of which nothing changed: its manifest is stored, or who refers to it is told that it is not."""
    tree = TreeInfo(
        digest=place.digest, n_files=len(files), size_bytes=sum(known.size_bytes for known in files)
    )
    return Stored(
        tree=tree,
        path=place.path,
        is_file=place.is_file,
        empty_folders=place.empty_folders,
        files=files,
        new=[],
        trusted=[known.digest_text for known in files],
        place=place,
    )


def large_before(index: StatIndex, path: Path) -> dict[str, str]:
    """Give the digests that the large files of a place had when it was added or checked out, by where they lie."""
    place = absolute(path)
    return {
        place if path.is_file() else f"{place}/{known.path}": known.digest_text
        for known in index.files(place).values()
        if known.size_bytes > LIKE_BYTES
    }


def _known(files: Sequence[FoundFile], entries: Sequence[Entry], read_ns: int) -> list[Known]:
    return [
        know(file.path, file.status, entry.digest, read_ns=read_ns)
        for file, entry in zip(files, entries, strict=True)
        # One that grew or shrank since it was found has other times as well.
        if file.status.st_size == entry.size_bytes
    ]


def _entry(known: Known) -> Entry:
    mode = EXECUTABLE_MODE if known.executable else FILE_MODE
    return Entry(path=known.path, digest=known.digest_text, size_bytes=known.size_bytes, mode=mode)
