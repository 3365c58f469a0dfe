"""Writing the files of a tree below a folder."""

from __future__ import annotations

import contextlib
import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from noria.core.objects.paths import case_collisions
from noria.core.objects.staging import Stage, begin_stage
from noria.core.objects.store import ObjectNotFound, ObjectReader, Progress
from noria.core.objects.targets import Moment, TargetBlocked, TargetFolder
from noria.core.objects.trees import Entry, Manifest, TreeInfo, read_manifest, tree_info

if TYPE_CHECKING:
    from noria.core.objects.helping import Helper

_KEPT_BYTES = 1024 * 1024  # of a file that a tree has several times


def checkout(
    store: ObjectReader,
    digest: str,
    target: Path,
    *,
    overwrite: bool = False,
    unchanged: Collection[str] = frozenset(),
    manifest: Manifest | None = None,
    progress: Progress | None = None,
    written: dict[str, Moment] | None = None,
    helper: Helper | None = None,
) -> TreeInfo:
    """Write the files of a tree below `target`.

    Each file appears whole or not at all when the process dies; as after other programs that copy, only the loss of
    power may leave a file without its bytes. Files that are already there as the tree has them stay untouched, so a
    checkout that was interrupted is resumed by the same call. Files that the tree does not have are left alone.

    Below a folder that is empty or new, the tree is put together in a `Stage` and appears when all of it is there;
    what was made of a tree that the store turns out not to have whole is removed.

    Parameters
    ----------
    overwrite
        Replace files that differ; a link is replaced by a file, never followed.
    unchanged
        Paths of files that are there as the tree has them, as the caller knows; they are not read to see it.
    manifest
        What `read_manifest` gave for the digest; read here when left out.
    written
        Takes in what the files were when they were written, by path.
    helper
        Writes some of the files; answers with a `Restoring`.

    Raises
    ------
    ObjectNotFound
        If the manifest or a file is not in the store; nothing is written then.
    TargetBlocked
        If a differing file is there and `overwrite` is false, or a folder, or a link in the place of a folder;
        nothing is written then.
    ManifestInvalid, PathRefused
        As `read_manifest`; nothing is written then.
    ObjectCorrupt, StorageFull
        Files written until then stay, each of them whole.
    """
    manifest = manifest or read_manifest(store, digest)
    asked = [entry for entry in manifest.entries if entry.path not in unchanged]
    told = _Told(progress, written)
    if helper is None:
        check_whole(store, manifest)
    try:
        with _staged(target, digest, written) as stage:
            place = target if stage is None else stage.path
            if stage is None and helper is not None:
                # A stage is removed if those who write it miss something; they need not look everything up twice.
                check_whole(store, manifest)
            with TargetFolder(place, durable=False, staged=stage is not None) as folder:
                if stage is None:
                    differing = _differing(folder, manifest, asked, target, overwrite=overwrite)
                else:
                    differing = _left(folder, asked)
                if helper is not None and (folder.staged or not _collide(differing)):
                    differing = _write_with(
                        helper, store, folder, digest, manifest, differing, overwrite=overwrite, told=told
                    )
                _write_all(store, folder, differing, overwrite=overwrite, told=told)
                for path in manifest.empty_folders:
                    folder.make_folder(path)
    except ObjectNotFound:
        check_whole(store, manifest)
        raise
    return tree_info(digest, manifest)


def check_whole(store: ObjectReader, manifest: Manifest) -> None:
    """Raise if an object of a tree is not in the store, and say which file it was to be.

    Raises
    ------
    ObjectNotFound
    """
    for absent in sorted(store.missing(manifest.digests())):
        path = next(entry.path for entry in manifest.entries if entry.digest == absent)
        raise ObjectNotFound(absent, where=f"the store, which the tree needs for `{path}`")


def _collide(entries: list[Entry]) -> bool:
    return bool(case_collisions(entry.path for entry in entries))


@contextlib.contextmanager
def _staged(target: Path, digest: str, written: dict[str, Moment] | None) -> Iterator[Stage | None]:
    """Give a stage if the target is empty, and what is in it its place at the end, also if that comes too early."""
    stage = begin_stage(target, digest)
    if stage is None:
        yield None
        return
    try:
        yield stage
    except ObjectNotFound:
        stage.remove()
        raise
    except Exception:
        with contextlib.suppress(TargetBlocked):
            stage.publish()
        raise
    except BaseException:
        stage.close()  # interrupted; the next checkout goes on
        raise
    names = stage.publish()
    if written is not None:
        for name in written.keys() & names:
            # The move changed the time at which the status of a file at the top changed.
            written[name] = written[name].now(os.lstat(target / name))


class _Told:
    """Tells of files that were written."""

    def __init__(self, progress: Progress | None, written: dict[str, Moment] | None) -> None:
        self._progress = progress
        self._written = written

    def __call__(self, entries: Sequence[Entry], moments: Sequence[Moment]) -> None:
        if self._written is not None:
            self._written.update(zip((entry.path for entry in entries), moments, strict=True))
        if self._progress is not None:
            self._progress(len(entries), sum(entry.size_bytes for entry in entries))


def _write_with(
    helper: Helper,
    store: ObjectReader,
    folder: TargetFolder,
    digest: str,
    manifest: Manifest,
    entries: list[Entry],
    *,
    overwrite: bool,
    told: _Told,
) -> list[Entry]:
    """Write what a helper can write, too, and give what is left."""
    from noria.core.objects.local import LocalObjectStore
    from noria.core.objects.restoring import restore

    if not isinstance(store, LocalObjectStore):
        return entries
    return restore(store, folder, digest, manifest, entries, helper=helper, overwrite=overwrite, told=told)


def _write_all(
    store: ObjectReader, folder: TargetFolder, entries: list[Entry], *, overwrite: bool, told: _Told
) -> None:
    by_digest: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        by_digest[entry.digest].append(entry)
    wanted = list(by_digest)
    for n, chunks in store.open_many(wanted):
        same = by_digest[wanted[n]]
        for copy in _copies(store, same[0], chunks, n_copies=len(same)):
            entry = same.pop()
            status = folder.write(entry.path, copy, executable=entry.executable, overwrite=overwrite)
            told([entry], [folder.moment(status)])


def _copies(
    store: ObjectReader, entry: Entry, chunks: Iterator[bytes], *, n_copies: int
) -> Iterator[Iterable[bytes]]:
    """Give the bytes of a file as often as the tree has it; small ones are fetched once."""
    if n_copies > 1 and entry.size_bytes <= _KEPT_BYTES:
        yield from [list(chunks)] * n_copies
        return
    yield chunks
    for _ in range(n_copies - 1):
        yield store.open(entry.digest)


def _differing(
    folder: TargetFolder, manifest: Manifest, entries: list[Entry], target: Path, *, overwrite: bool
) -> list[Entry]:
    """List the files that must be written; refuse, before any is, what must not be replaced."""
    if folder.was_empty:
        return entries
    differing = [entry for entry in entries if not _holds(folder, entry)]
    taken = [entry.path for entry in differing if folder.exists(entry.path)]
    for path in manifest.empty_folders:
        folder.check_folder(path)
    if taken and not overwrite:
        why = "there is another file of this name" + (f", as for {len(taken) - 1} more" if taken[1:] else "")
        hint = "Give `overwrite` to replace such files, or choose another folder"
        raise TargetBlocked(target, taken[0], why, hint=hint)
    return differing


def _left(folder: TargetFolder, entries: list[Entry]) -> list[Entry]:
    """List the files that are not on a stage yet; one that was being written when somebody was killed is removed."""
    if folder.was_empty:
        return entries
    differing = [entry for entry in entries if not _holds(folder, entry)]
    for entry in differing:
        folder.remove(entry.path)
    return differing


def _holds(folder: TargetFolder, entry: Entry) -> bool:
    return folder.holds(
        entry.path, digest=entry.digest, size_bytes=entry.size_bytes, executable=entry.executable
    )
