"""Make a place on this machine equal to a version, and lose nothing that somebody changed there."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from noria.core.errors import Conflict, NotFound
from noria.core.objects.checkouts import check_whole, checkout
from noria.core.objects.deltas import LIKE_BYTES
from noria.core.objects.digests import hash_stream
from noria.core.objects.packed import raw
from noria.core.objects.sources import open_source, scan
from noria.core.objects.store import ObjectReader, Progress
from noria.core.objects.targets import Moment, TargetFolder
from noria.core.objects.trees import Entry, Manifest, read_manifest
from noria.data.entities import DatasetVersion
from noria.data.trees.changes import Changes, absolute, look
from noria.data.trees.stat_index import Known, Place, StatIndex, know, now_ns

if TYPE_CHECKING:
    from noria.core.objects.helping import Helper

Knowing: TypeAlias = Callable[[Mapping[str, Path]], ObjectReader]


class LocalChanges(Conflict):
    """Files that a checkout would replace or remove were changed since they were added or checked out."""

    code = "local_changes"

    def __init__(self, place: Path, paths: list[str]) -> None:
        more = f" and {len(paths) - 1} more" if paths[1:] else ""
        super().__init__(
            f"`{paths[0]}`{more} in `{place}` changed, and the checkout would lose that",
            hint=f"Keep it with `noria data add {place}`, or say `--overwrite`",
            details={"place": str(place), "paths": paths[:100]},
        )


def checkout_version(
    store: ObjectReader,
    index: StatIndex,
    version: DatasetVersion,
    target: Path,
    *,
    as_file: bool = False,
    overwrite: bool = False,
    knowing: Knowing | None = None,
    progress: Progress | None = None,
    helper: Helper | None = None,
) -> Changes:
    """Make `target` equal to a version.

    What the index knows is not read again. Files and empty folders of the version that was there before go if this
    one does not have them; files that no version had stay.

    Parameters
    ----------
    as_file
        `target` is the name of the single file of the version, not a folder to write it into.
    knowing
        Gives the store again, knowing files on this machine that are like objects of it, by the digest of these.
    helper
        As for `trees.checkout`.

    Returns
    -------
    Changes
        What was done to the place.

    Raises
    ------
    LocalChanges
        If something would be lost that was changed since; nothing is written then.
    Conflict
        If the version is to be a single file, and is not one.
    TargetBlocked
        If a file is in the way at a place that was never added or checked out, and `overwrite` is not set.
    """
    if helper is not None:
        from noria.core.objects.restoring import announce

        announce(helper, store, version.digest)
    manifest = read_manifest(store, version.digest)
    place = absolute(target)
    folder = target.parent if as_file else target
    # What is only being added is in no version yet, and would be lost.
    last = index.place(place)
    known = index.files(place) if last is not None else {}
    wanted = _wanted(version, manifest, target.name if as_file else None)
    seen, before = _seen(target, known)
    if not overwrite and (lost := _lost(folder, before, wanted)):
        raise LocalChanges(target, lost)
    same = {path for path, now in seen.items() if path in wanted and not _differs(now, wanted[path])}
    gone = sorted((seen.keys() | set(before.changed)) - wanted.keys())
    replacing = overwrite or bool(known)
    if knowing is not None:
        store = knowing(_like(folder, seen, wanted))
    written: dict[str, Moment] = {}
    left = gone
    emptied = last.empty_folders if last is not None else ()
    if as_file:
        _write_one(
            store, folder, wanted[target.name], is_there=bool(same), overwrite=replacing, written=written
        )
    else:
        in_way = _in_way(gone, emptied, before, wanted, manifest.empty_folders)
        if any(in_way):
            check_whole(store, manifest)
            _clear(folder, *in_way)
            left = sorted(set(gone).difference(in_way[0]))
        checkout(
            store,
            version.digest,
            folder,
            overwrite=replacing,
            unchanged=same,
            manifest=manifest,
            progress=progress,
            written=written,
            helper=helper,
        )
    _clear(folder, left, emptied, kept=frozenset(manifest.empty_folders))
    surely = dict(written)
    surely |= {path: Moment(seen[path].size_bytes, seen[path].mtime_ns, seen[path].inode) for path in same}
    _record(index, version, wanted, manifest.empty_folders, target, as_file=as_file, surely=surely)
    there = seen.keys() | set(before.changed) | set(before.added)
    return Changes(  # in the order of the manifest, which is that of the paths
        added=[path for path in wanted if path not in there],
        changed=[path for path in wanted if path in there and path not in same],
        removed=gone,
    )


def _in_way(
    gone: Sequence[str],
    emptied: Sequence[str],
    before: Changes,
    wanted: Mapping[str, Entry],
    empty_folders: Sequence[str],
) -> tuple[list[str], list[str]]:
    """List the files and the empty folders of the version before that stand where this one has the other kind.

    None if something that no version had stands there, too: the checkout refuses that, with everything in its place.
    """
    if not gone and not emptied:
        return [], []
    folders = {above for path in wanted for above in _above(path)}
    folders |= {each for path in empty_folders for each in (path, *_above(path))}

    def is_in_file(path: str) -> bool:
        return any(above in wanted for above in _above(path))

    if any(path in folders or is_in_file(path) for path in before.added):
        return [], []
    return (
        [path for path in gone if path in folders or is_in_file(path)],
        [path for path in emptied if path in wanted or is_in_file(path)],
    )


def _clear(
    folder: Path, files: Sequence[str], folders: Sequence[str], *, kept: Collection[str] = frozenset()
) -> None:
    """Remove files, and folders that are empty or get so, but for those that are to be there empty."""
    for path in folders:
        _remove_empty(folder, path, kept)
    for path in files:
        with contextlib.suppress(FileNotFoundError):
            (folder / path).unlink()
    for above in sorted({path.rpartition("/")[0] for path in files}, reverse=True):
        _remove_empty(folder, above, kept)


def _remove_empty(folder: Path, path: str, kept: Collection[str]) -> None:
    """Remove a folder that has nothing in it any more, and those above it that then have nothing."""
    while path and path not in kept:
        try:
            (folder / path).rmdir()
        except OSError:
            return
        path = path.rpartition("/")[0]


def _above(path: str) -> Iterator[str]:
    """Give the folders that a path lies in."""
    while path := path.rpartition("/")[0]:
        yield path


def _like(folder: Path, seen: Mapping[str, Known], wanted: Mapping[str, Entry]) -> dict[str, Path]:
    """Give the large files that are to be replaced, by the digest of what replaces them."""
    return {
        wanted[path].digest: folder / path
        for path, now in seen.items()
        if path in wanted and now.size_bytes > LIKE_BYTES and now.digest_text != wanted[path].digest
    }


def _wanted(version: DatasetVersion, manifest: Manifest, name: str | None) -> dict[str, Entry]:
    """Give the files by their paths; a single file under the name that it is to have."""
    if name is None:
        return {entry.path: entry for entry in manifest.entries}
    if len(manifest.entries) != 1:
        raise Conflict(
            f"`{version.ref}` holds {len(manifest.entries)} files, and the pointer says that it is one",
            hint=f"Check it out into a folder: `noria data checkout {version.ref} FOLDER`",
        )
    return {name: msgspec.structs.replace(manifest.entries[0], path=name)}


def _seen(target: Path, known: Mapping[str, Known]) -> tuple[Mapping[str, Known], Changes]:
    if known:
        with contextlib.suppress(NotFound):
            looked = look(target, known)
            return looked.unchanged, looked.changes
    return {}, Changes()


def _lost(folder: Path, before: Changes, wanted: Mapping[str, Entry]) -> list[str]:
    """List files with content that nobody has stored, and that would be replaced or removed."""
    touched = [*(path for path in before.added if path in wanted), *before.changed]
    return sorted(path for path in touched if path not in wanted or not _is(folder / path, wanted[path]))


def _is(path: Path, entry: Entry) -> bool:
    with open_source(path) as source:
        return hash_stream(source.chunks())[0] == entry.digest


def _write_one(
    store: ObjectReader,
    folder: Path,
    entry: Entry,
    *,
    is_there: bool,
    overwrite: bool,
    written: dict[str, Moment],
) -> None:
    with TargetFolder(folder) as target:
        there = is_there or target.holds(
            entry.path, digest=entry.digest, size_bytes=entry.size_bytes, executable=entry.executable
        )
        if not there:
            chunks = store.open(entry.digest)
            status = target.write(entry.path, chunks, executable=entry.executable, overwrite=overwrite)
            written[entry.path] = target.moment(status)


def _differs(known: Known, entry: Entry) -> bool:
    return known.digest_text != entry.digest or bool(known.executable) != entry.executable


def _record(
    index: StatIndex,
    version: DatasetVersion,
    wanted: Mapping[str, Entry],
    empty_folders: tuple[str, ...],
    target: Path,
    *,
    as_file: bool,
    surely: Mapping[str, Moment],
) -> None:
    place = absolute(target)
    files = _placed(wanted, surely) or _found(place, wanted, surely)
    known = Place(
        path=place,
        project=version.project,
        name=version.name,
        version=version.version,
        digest=version.digest,
        is_file=as_file,
        empty_folders=empty_folders,
    )
    index.record(known, files)


def _placed(wanted: Mapping[str, Entry], surely: Mapping[str, Moment]) -> list[Known] | None:
    """Tell what files are that were all written now and have got their names since in no other way."""
    if surely.keys() != wanted.keys() or not all(moment.ctime_ns for moment in surely.values()):
        return None
    read_ns = now_ns()
    return [
        Known(
            path,
            moment.size_bytes,
            moment.mtime_ns,
            moment.ctime_ns,
            moment.inode,
            int(wanted[path].executable),
            read_ns,
            raw(wanted[path].digest),
        )
        for path, moment in surely.items()
    ]


def _found(place: str, wanted: Mapping[str, Entry], surely: Mapping[str, Moment]) -> list[Known]:
    """Look at the files as they are now."""
    found = scan(Path(place))
    read_ns = now_ns()
    return [
        know(
            file.path,
            file.status,
            wanted[file.path].digest,
            # What somebody else wrote to meanwhile, or was there already, is read when it is looked at next.
            read_ns=read_ns if _is_still(surely.get(file.path), file.status) else 0,
        )
        for file in found.files
        if file.path in wanted
    ]


def _is_still(moment: Moment | None, status: os.stat_result) -> bool:
    return moment is not None and moment[:3] == Moment.of(status)[:3]
