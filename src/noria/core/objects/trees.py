"""Trees of files: a manifest lists them, and is itself an object, so one digest names a whole tree.

A tree is its files with their paths, bytes and right to be run, and its empty folders. Owners, times and other
rights are not part of it: the same files give the same digest for every user and on every day. Symbolic links and
special files are refused (see `sources.scan`).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol, TypeGuard

import msgspec

from noria.core.errors import Invalid, TooLarge
from noria.core.objects.digests import Digest, is_digest
from noria.core.objects.paths import all_folders, case_collisions, check_paths
from noria.core.objects.sources import IGNORE_OWN, FoundFile, Ignore, scan
from noria.core.objects.store import ObjectInfo, ObjectReader, ObjectWriter, Progress
from noria.core.serialisation import to_canonical_json

FILE_MODE = 0o644
EXECUTABLE_MODE = 0o755

MANIFEST_LIMIT_BYTES = 256 * 1024 * 1024
"""Largest manifest that is read or written; about a million files with paths of usual length."""


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
    digest: str
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
        check_paths([*files, *self.empty_folders])
        _check_places(files, self.empty_folders)
        for entry in self.entries:
            if entry.mode not in {FILE_MODE, EXECUTABLE_MODE} or entry.size_bytes < 0:
                raise ManifestInvalid(f"The entry `{entry.path}` has a mode or size that no file here has")

    @property
    def size_bytes(self) -> int:
        """Size of all files together, equal ones counted each time."""
        return sum(entry.size_bytes for entry in self.entries)

    def case_collisions(self) -> tuple[tuple[str, ...], ...]:
        """Group the paths that are one on a file system without capitals; the tree cannot be checked out there."""
        return case_collisions(entry.path for entry in self.entries)

    def digests(self) -> set[Digest]:
        """Give the digests of all files, each once: what must stay as long as this tree does."""
        return {entry.digest for entry in self.entries}


class TreeInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What is said about a stored tree.

    Attributes
    ----------
    digest
        Of the manifest.
    """

    digest: Digest
    n_files: int
    size_bytes: int


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
    return put_found(store, found.files, empty_folders=found.empty_folders, progress=progress).tree


class StoredTree(NamedTuple):
    """A tree that was stored.

    Attributes
    ----------
    entries
        Of the files that were read, in their order.
    manifest
        The object that lists all files.
    """

    tree: TreeInfo
    entries: list[Entry]
    manifest: ObjectInfo


def put_found(
    store: ObjectWriter,
    files: Sequence[FoundFile],
    *,
    others: Sequence[Entry] = (),
    empty_folders: Iterable[str] = (),
    progress: Progress | None = None,
) -> StoredTree:
    """Store files that a scan has found, and the tree of them; raises as `put_tree` and `put_manifest`.

    Parameters
    ----------
    others
        Files of the tree that are stored already.
    """
    places = [file.place for file in files]
    entries: list[Entry] = []
    tree = Manifest(entries=())

    def listed(infos: list[ObjectInfo]) -> bytes:
        nonlocal entries, tree
        entries = _entries(files, infos)
        tree = make_manifest([*others, *entries], empty_folders)
        return _encoded(tree)

    if _puts_together(store):
        manifest = store.put_files_with(places, listed, progress=progress)[-1]
    else:
        manifest = store.put_bytes(listed(store.put_files(places, progress=progress)))
    return StoredTree(tree_info(manifest.digest, tree), entries, manifest)


def _entries(files: Sequence[FoundFile], infos: Sequence[ObjectInfo]) -> list[Entry]:
    return [
        Entry(
            path=file.path,
            digest=info.digest,
            size_bytes=info.size_bytes,
            mode=EXECUTABLE_MODE if file.executable else FILE_MODE,
        )
        for file, info in zip(files, infos, strict=True)
    ]


def _puts_together(store: object) -> TypeGuard[TogetherWriter]:
    """Tell whether a store does so itself.

    What stands before another store, and hands on what it does not know, would not see what goes past it: it has to
    note what is put.
    """
    return hasattr(type(store), "put_files_with")


class TogetherWriter(Protocol):
    """Where many files and what lists them can be put in one go."""

    def put_files_with(
        self,
        paths: Sequence[str | Path],
        closing: Callable[[list[ObjectInfo]], bytes],
        *,
        progress: Progress | None = None,
    ) -> list[ObjectInfo]:
        """Store files and what `closing` makes of what they are, which comes last."""
        ...


class BytesWriter(Protocol):
    """Where bytes in memory can be put."""

    def put_bytes(self, data: bytes, /) -> ObjectInfo:
        """Store them."""
        ...


def put_manifest(store: BytesWriter, manifest: Manifest) -> TreeInfo:
    """Store the manifest of a tree whose files are stored.

    Raises
    ------
    TooLarge
        If it has more than `MANIFEST_LIMIT_BYTES` bytes.
    """
    return tree_info(store.put_bytes(_encoded(manifest)).digest, manifest)


def _encoded(manifest: Manifest) -> bytes:
    data = to_canonical_json(manifest)
    if len(data) > MANIFEST_LIMIT_BYTES:
        raise TooLarge(
            f"The manifest of {len(manifest.entries)} files has {len(data)} bytes; "
            f"the limit is {MANIFEST_LIMIT_BYTES}",
            hint="Split the tree",
        )
    return data


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
    # Looked at here, all at once: a pattern in the type is a call of Python for each entry.
    digests = [entry.digest for entry in manifest.entries]
    if not all(map(is_digest, digests)):
        wrong = next(each for each in digests if not is_digest(each))
        raise ManifestInvalid(
            f"The object `{digest}` is not the manifest of a tree: `{wrong[:100]}` is no digest"
        )
    if to_canonical_json(manifest) != data:
        raise ManifestInvalid(f"The object `{digest}` lists a tree, but not in its one form")
    return manifest


def tree_info(digest: Digest, manifest: Manifest) -> TreeInfo:
    """Say about a tree what its manifest tells."""
    return TreeInfo(
        digest=digest,
        n_files=len(manifest.entries),
        size_bytes=manifest.size_bytes,
    )


def _check_order(paths: Sequence[str]) -> None:
    if all(map(operator.lt, paths, paths[1:])) and "" not in paths[:1]:
        return
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
