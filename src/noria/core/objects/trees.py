"""Trees of files: a manifest lists them, and is itself an object, so one digest names a whole tree.

A tree is its files with their paths, bytes and right to be run, and its empty folders. Owners, times and other
rights are not part of it: the same files give the same digest for every user and on every day. Symbolic links and
special files are refused (see `sources.scan`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from noria.core.errors import Invalid, TooLarge
from noria.core.objects.digests import Digest
from noria.core.objects.paths import all_folders, case_collisions, check_path
from noria.core.objects.sources import IGNORE_OWN, FoundFile, Ignore, scan
from noria.core.objects.store import ObjectNotFound, ObjectReader, ObjectWriter, Progress
from noria.core.objects.targets import Moment, TargetBlocked, TargetFolder
from noria.core.serialisation import to_canonical_json

if TYPE_CHECKING:
    from noria.core.objects.helping import Helper

FILE_MODE = 0o644
EXECUTABLE_MODE = 0o755

MANIFEST_LIMIT_BYTES = 256 * 1024 * 1024
"""Largest manifest that is read or written; about a million files with paths of usual length."""

_KEPT_BYTES = 1024 * 1024  # of a file that a tree has several times


class ManifestInvalid(Invalid):
    """The bytes are not the manifest of a tree, or list files that cannot stand together."""

    code = "manifest_invalid"


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of a tree.

    Attributes
    ----------
    path
        Relative, with `/`.
    mode
        0o755 if its owner may run it, else 0o644.
    """

    path: str
    digest: Digest
    size_bytes: int
    mode: int = FILE_MODE

    @property
    def executable(self) -> bool:
        """Whether the file may be run."""
        return self.mode == EXECUTABLE_MODE


class Manifest(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="noria.tree/1",
):
    """The list of a tree's files. Equal trees have equal manifests, and these equal bytes.

    Attributes
    ----------
    entries
        In the order of their paths, each once.
    empty_folders
        Folders that hold nothing at all, in order.

    Raises
    ------
    ManifestInvalid
        When made with entries that are out of order, twice there, below one another, or not in their one form.
    PathRefused
        When made with a path that could lead out of the tree.
    """

    entries: tuple[Entry, ...]
    empty_folders: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        files = [entry.path for entry in self.entries]
        _check_order(files)
        _check_order(self.empty_folders)
        for path in (*files, *self.empty_folders):
            check_path(path)
        _check_places(files, self.empty_folders)
        for entry in self.entries:
            if entry.mode not in {FILE_MODE, EXECUTABLE_MODE} or entry.size_bytes < 0:
                raise ManifestInvalid(f"The entry `{entry.path}` has a mode or size that no file here has")

    @property
    def size_bytes(self) -> int:
        """Size of all files together, equal ones counted each time."""
        return sum(entry.size_bytes for entry in self.entries)

    def digests(self) -> set[Digest]:
        """Give the digests of all files, each once: what must stay as long as this tree does."""
        return {entry.digest for entry in self.entries}


class TreeInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What is said about a stored tree.

    Attributes
    ----------
    digest
        Of the manifest.
    case_collisions
        Paths that are one on a file system without capitals; the tree cannot be checked out there.
    """

    digest: Digest
    n_files: int
    size_bytes: int
    case_collisions: tuple[tuple[str, ...], ...] = ()


def make_manifest(entries: Iterable[Entry], empty_folders: Iterable[str] = ()) -> Manifest:
    """Make a manifest of entries in any order; raises as `Manifest` does."""
    return Manifest(
        entries=tuple(sorted(entries, key=lambda entry: entry.path)),
        empty_folders=tuple(sorted(empty_folders)),
    )


def put_tree(
    store: ObjectWriter, path: Path, *, ignore: Ignore = IGNORE_OWN, progress: Progress | None = None
) -> TreeInfo:
    """Store a folder with all files below it, or a single file as a tree of one.

    Parameters
    ----------
    ignore
        Leaves out files and folders, see `sources.ignore_names`.

    Raises
    ------
    NotFound, SourceUnusable, TooLarge
        As `sources.scan`, before anything is stored.
    SourceChanged, StorageFull
        As the store's `put_files`; files stored until then are garbage that nothing refers to.
    """
    found = scan(path, ignore=ignore)
    entries = put_found(store, found.files, progress=progress)
    return put_manifest(store, make_manifest(entries, found.empty_folders))


def put_found(
    store: ObjectWriter, files: Sequence[FoundFile], *, progress: Progress | None = None
) -> list[Entry]:
    """Store files that a scan has found, and give their entries in the same order; raises as `put_tree`."""
    infos = store.put_files([file.place for file in files], progress=progress)
    return [
        Entry(
            path=file.path,
            digest=info.digest,
            size_bytes=info.size_bytes,
            mode=EXECUTABLE_MODE if file.executable else FILE_MODE,
        )
        for file, info in zip(files, infos, strict=True)
    ]


def put_manifest(store: ObjectWriter, manifest: Manifest) -> TreeInfo:
    """Store the manifest of a tree whose files are stored.

    Raises
    ------
    TooLarge
        If it has more than `MANIFEST_LIMIT_BYTES` bytes.
    """
    data = to_canonical_json(manifest)
    if len(data) > MANIFEST_LIMIT_BYTES:
        raise TooLarge(
            f"The manifest of {len(manifest.entries)} files has {len(data)} bytes; "
            f"the limit is {MANIFEST_LIMIT_BYTES}",
            hint="Split the tree",
        )
    return _info(store.put_bytes(data).digest, manifest)


def read_manifest(store: ObjectReader, digest: str) -> Manifest:
    """Read the manifest of a tree, checked.

    Raises
    ------
    ObjectNotFound, ObjectCorrupt, TooLarge
        As the store's `get`.
    ManifestInvalid, PathRefused
        If the object is something else, or lists what a tree cannot have.
    """
    data = store.get(digest, limit_bytes=MANIFEST_LIMIT_BYTES)
    try:
        manifest = msgspec.json.decode(data, type=Manifest)
    except msgspec.DecodeError as error:
        raise ManifestInvalid(f"The object `{digest}` is not the manifest of a tree: {error}") from error
    if to_canonical_json(manifest) != data:
        raise ManifestInvalid(f"The object `{digest}` lists a tree, but not in its one form")
    return manifest


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

    Parameters
    ----------
    overwrite
        Replace files that differ; a link is replaced by a file, never followed.
    unchanged
        Paths of files that are there as the tree has them, as the caller knows; they are not read to see it.
    manifest
        What `read_manifest` gave for the digest; read here when left out.
    written
        Takes in what `TargetFolder.write` gave, by path.
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
    for absent in sorted(store.missing(manifest.digests())):
        path = next(entry.path for entry in manifest.entries if entry.digest == absent)
        raise ObjectNotFound(absent, where=f"the store, which the tree needs for `{path}`")
    with TargetFolder(target, durable=False) as folder:
        asked = [entry for entry in manifest.entries if entry.path not in unchanged]
        differing = _differing(folder, manifest, asked, target, overwrite=overwrite)
        told = _Told(progress, written)
        if helper is not None and not case_collisions(entry.path for entry in differing):
            differing = _write_with(helper, store, folder, differing, overwrite=overwrite, told=told)
        _write_all(store, folder, differing, overwrite=overwrite, told=told)
        for path in manifest.empty_folders:
            folder.make_folder(path)
    return _info(digest, manifest)


class _Told:
    """Tells of files that were written."""

    def __init__(self, progress: Progress | None, written: dict[str, Moment] | None) -> None:
        self._progress = progress
        self._written = written

    def __call__(self, path: str, size_bytes: int, moment: Moment) -> None:
        if self._written is not None:
            self._written[path] = moment
        if self._progress is not None:
            self._progress(1, size_bytes)


def _write_with(
    helper: Helper,
    store: ObjectReader,
    folder: TargetFolder,
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
    wanted: defaultdict[str, list[tuple[str, bool]]] = defaultdict(list)
    for entry in entries:
        wanted[entry.digest].append((entry.path, entry.executable))
    done = restore(store, folder, wanted, helper=helper, overwrite=overwrite, told=told)
    return [entry for entry in entries if entry.digest not in done]


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
            told(entry.path, entry.size_bytes, Moment.of(status))


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


def _holds(folder: TargetFolder, entry: Entry) -> bool:
    return folder.holds(
        entry.path, digest=entry.digest, size_bytes=entry.size_bytes, executable=entry.executable
    )


def _info(digest: Digest, manifest: Manifest) -> TreeInfo:
    return TreeInfo(
        digest=digest,
        n_files=len(manifest.entries),
        size_bytes=manifest.size_bytes,
        case_collisions=case_collisions(entry.path for entry in manifest.entries),
    )


def _check_order(paths: Iterable[str]) -> None:
    previous = ""
    for path in paths:
        if path <= previous:
            raise ManifestInvalid(f"`{path}` stands after `{previous}`; paths come in order, each once")
        previous = path


def _check_places(files: Iterable[str], empty_folders: Iterable[str]) -> None:
    leaves = [*files, *empty_folders]
    folders = all_folders(leaves)
    taken = set(leaves)
    if len(taken) < len(leaves) or not folders.isdisjoint(taken):
        culprit = min(folders & taken, default="") or min(set(files) & set(empty_folders))
        raise ManifestInvalid(
            f"`{culprit}` is a folder with something in it, and listed as something else too"
        )
