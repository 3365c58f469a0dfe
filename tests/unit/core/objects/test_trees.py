"""A tree goes into the store under one digest and comes out as it was."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from noria.core.clock import ManualClock
from noria.core.errors import NotFound
from noria.core.objects.batches import READ_ATTEMPTS
from noria.core.objects.checkouts import checkout
from noria.core.objects.chunks import Bytes
from noria.core.objects.digests import CHUNK_BYTES, hash_bytes
from noria.core.objects.intake import Intake
from noria.core.objects.local import LocalObjectStore
from noria.core.objects.packs import PackedObject
from noria.core.objects.paths import PathRefused
from noria.core.objects.sources import ignore_names
from noria.core.objects.store import (
    ObjectCorrupt,
    ObjectInfo,
    ObjectNotFound,
    Progress,
    SourceChanged,
    SourceUnusable,
)
from noria.core.objects.targets import TargetBlocked
from noria.core.objects.trees import (
    EXECUTABLE_MODE,
    Entry,
    Manifest,
    ManifestInvalid,
    make_manifest,
    put_manifest,
    put_tree,
    read_manifest,
)
from noria.core.serialisation import to_canonical_json
from support.stores import flip_first_byte

EMPTY = hash_bytes(b"")


def entry(path: str, *, mode: int = 0o644, digest: str = EMPTY, size_bytes: int = 0) -> Entry:
    return Entry(path=path, digest=digest, size_bytes=size_bytes, mode=mode)


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        path.relative_to(folder).as_posix(): (path.read_bytes(), stat.S_IMODE(path.stat().st_mode) & 0o100)
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    for path, data in {"b.txt": b"b", "a/z": b"", "a/run.sh": b"#!/bin/sh", "ä ö/日本": b"b"}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    (folder / "a/run.sh").chmod(0o755)
    (folder / "empty/deep").mkdir(parents=True)
    return folder


def test_a_tree_comes_out_as_it_went_in(store: LocalObjectStore, source: Path, tmp_path: Path) -> None:
    """Paths, bytes, the right to be run and empty folders survive; the sizes are counted."""
    info = put_tree(store, source)
    out = checkout(store, info.digest, tmp_path / "new" / "out")

    assert snapshot(tmp_path / "new" / "out") == snapshot(source)
    assert (tmp_path / "new" / "out" / "empty" / "deep").is_dir()
    assert out == info
    assert (info.n_files, info.size_bytes) == (4, 11)


def test_equal_trees_have_one_digest(store: LocalObjectStore, source: Path, tmp_path: Path) -> None:
    """Times, other rights and the order of making do not change the digest; names, bytes and programs do."""
    first = put_tree(store, source).digest
    (source / "b.txt").chmod(0o600)
    os.utime(source / "b.txt", (1, 1))
    (source / "a/z").unlink()
    (source / "a/z").touch()

    assert put_tree(store, source).digest == first
    (source / "b.txt").chmod(0o744)
    program = put_tree(store, source).digest
    (source / "b.txt").rename(source / "c.txt")
    assert len({first, program, put_tree(store, source).digest}) == 3


def test_the_bytes_of_a_manifest_are_fixed(store: LocalObjectStore) -> None:
    """The form is an agreement with stores that exist: a change of it would change every digest."""
    manifest = make_manifest([entry("b", mode=EXECUTABLE_MODE), entry("a/ü")], ["c"])

    info = put_manifest(store, manifest)

    assert store.get(info.digest, limit_bytes=1000).decode() == (
        f'{{"empty_folders":["c"],"entries":['
        f'{{"digest":"{EMPTY}","mode":420,"path":"a/ü","size_bytes":0}},'
        f'{{"digest":"{EMPTY}","mode":493,"path":"b","size_bytes":0}}],"kind":"noria.tree/1"}}'
    )
    assert read_manifest(store, info.digest) == manifest
    assert manifest.digests() == {EMPTY}


def test_a_single_file_is_a_tree_of_one(store: LocalObjectStore, source: Path, tmp_path: Path) -> None:
    """A file is a tree with one entry under its own name."""
    info = put_tree(store, source / "b.txt")

    checkout(store, info.digest, tmp_path / "out")

    assert [entry.path for entry in read_manifest(store, info.digest).entries] == ["b.txt"]
    assert snapshot(tmp_path / "out") == {"b.txt": (b"b", 0)}


def test_an_empty_folder_is_a_tree(store: LocalObjectStore, tmp_path: Path) -> None:
    """A folder with nothing in it has a digest and comes out as a folder."""
    (tmp_path / "source").mkdir()
    info = put_tree(store, tmp_path / "source")

    assert info.n_files == 0
    checkout(store, info.digest, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_equal_files_are_stored_once(store: LocalObjectStore, source: Path) -> None:
    """The store holds one object per content, and the manifest."""
    manifest = read_manifest(store, put_tree(store, source).digest)

    assert len(manifest.entries) == 4
    assert len(manifest.digests()) == 3
    assert store.collect(lambda _: set(), grace_s=1e9).n_young == 4


class _Noting:
    """Stands before a store, notes what is put, and hands on what it does not know."""

    def __init__(self, store: LocalObjectStore) -> None:
        self._store = store
        self.noted: list[str] = []

    def put_bytes(self, data: bytes, *, expected: str | None = None) -> ObjectInfo:
        return self._note([self._store.put_bytes(data, expected=expected)])[0]

    def put_files(self, paths: Sequence[str | Path], *, progress: Progress | None = None) -> list[ObjectInfo]:
        return self._note(self._store.put_files(paths, progress=progress))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def _note(self, infos: list[ObjectInfo]) -> list[ObjectInfo]:
        self.noted += [info.digest for info in infos]
        return infos


def test_nothing_of_a_tree_goes_past_what_stands_before_a_store(
    store: LocalObjectStore, source: Path
) -> None:
    """Steps in other processes tell by such notes what they stored, the list of the files included."""
    noting = _Noting(store)
    tree = put_tree(noting, source)

    manifest = read_manifest(store, tree.digest)
    assert {entry.digest for entry in manifest.entries} | {tree.digest} == set(noting.noted)


def test_what_is_ignored_is_not_stored(store: LocalObjectStore, source: Path) -> None:
    """Ignored names are left out."""
    digest = put_tree(store, source, ignore=ignore_names("*.sh", "empty", "ä*")).digest

    assert [entry.path for entry in read_manifest(store, digest).entries] == ["a/z", "b.txt"]


def test_names_that_differ_only_by_case_are_noted(store: LocalObjectStore, source: Path) -> None:
    """A tree that cannot be restored on some systems says so."""
    (source / "B.TXT").write_bytes(b"")
    manifest = read_manifest(store, put_tree(store, source).digest)

    assert manifest.case_collisions() == (("B.TXT", "b.txt"),)


def test_bad_sources_store_nothing(store: LocalObjectStore, source: Path) -> None:
    """A link anywhere in the tree, or nothing at its place, is refused before anything is stored."""
    (source / "link").symlink_to("b.txt")

    with pytest.raises(SourceUnusable, match="link"):
        put_tree(store, source)
    with pytest.raises(NotFound, match="nothing"):
        put_tree(store, source / "nothing")
    assert store.collect(lambda _: set(), grace_s=1e9).n_young == 0


class _Growing(Intake):
    """A batch during which a file grows while it is read, a given number of times."""

    changing: Path
    n_changes: list[None]

    def take_large(
        self, blocks: Iterable[Bytes], digest: Callable[[], bytes], pool: ThreadPoolExecutor
    ) -> PackedObject:
        if self.n_changes:
            self.n_changes.pop()
            with self.changing.open("ab") as file:
                file.write(b"more")
        return super().take_large(blocks, digest, pool)


class _Restless(LocalObjectStore):
    """A store under which a large file changes while it is put, a given number of times."""

    changing: Path
    n_changes: int

    def _intake(self) -> _Growing:
        growing = _Growing(self._layout, self._index, self._examiner, self._now_ns)
        growing.changing = self.changing
        growing.n_changes = [None] * self.n_changes
        return growing


@pytest.fixture
def restless(clock: ManualClock, root: Path, source: Path) -> _Restless:
    restless = _Restless(root, clock)
    restless.changing = source / "changing"
    restless.changing.write_bytes(b"\xff" + bytes(8 * CHUNK_BYTES))
    return restless


def test_a_file_that_changes_while_it_is_read_is_read_again(restless: _Restless, source: Path) -> None:
    """A file that comes to rest is stored as it is then."""
    restless.n_changes = READ_ATTEMPTS - 1

    manifest = read_manifest(restless, put_tree(restless, source).digest)

    stored = next(entry for entry in manifest.entries if entry.path == "changing")
    assert stored.digest == hash_bytes(restless.changing.read_bytes())


def test_a_file_that_does_not_come_to_rest_is_refused(restless: _Restless, source: Path) -> None:
    """After some attempts the file is named, and no tree is stored."""
    restless.n_changes = READ_ATTEMPTS

    with pytest.raises(SourceChanged, match="changing"):
        put_tree(restless, source)


def test_a_checkout_can_be_repeated(store: LocalObjectStore, source: Path, tmp_path: Path) -> None:
    """What is there already as the tree has it stays untouched, what is missing is added."""
    digest = put_tree(store, source).digest
    checkout(store, digest, tmp_path / "out")
    kept, gone = tmp_path / "out" / "b.txt", tmp_path / "out" / "a" / "run.sh"
    inode = kept.stat().st_ino
    gone.unlink()

    checkout(store, digest, tmp_path / "out")

    assert snapshot(tmp_path / "out") == snapshot(source)
    assert kept.stat().st_ino == inode


def test_a_checkout_beside_other_files_leaves_them(
    store: LocalObjectStore, source: Path, tmp_path: Path
) -> None:
    """Files that the tree does not have are not its business."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("mine")

    checkout(store, put_tree(store, source).digest, tmp_path / "out", overwrite=True)

    assert (tmp_path / "out" / "mine").read_text() == "mine"


def test_a_checkout_replaces_only_when_asked(store: LocalObjectStore, source: Path, tmp_path: Path) -> None:
    """Changed files block a checkout before it writes anything; `overwrite` replaces them."""
    digest = put_tree(store, source).digest
    out = tmp_path / "out"
    (out / "a").mkdir(parents=True)
    (out / "a/z").write_bytes(b"changed")
    (out / "b.txt").write_bytes(b"changed")

    with pytest.raises(TargetBlocked, match=r"`a/z`.*1 more") as caught:
        checkout(store, digest, out)
    assert "overwrite" in str(caught.value.hint)
    assert sorted(snapshot(out)) == ["a/z", "b.txt"]

    checkout(store, digest, out, overwrite=True)
    assert snapshot(out) == snapshot(source)


def test_a_lost_right_to_be_run_is_a_difference(
    store: LocalObjectStore, source: Path, tmp_path: Path
) -> None:
    """A file with the right bytes and the wrong right to be run is replaced."""
    digest = put_tree(store, source).digest
    checkout(store, digest, tmp_path / "out")
    (tmp_path / "out/a/run.sh").chmod(0o644)

    with pytest.raises(TargetBlocked, match=r"run\.sh"):
        checkout(store, digest, tmp_path / "out")
    checkout(store, digest, tmp_path / "out", overwrite=True)
    assert snapshot(tmp_path / "out") == snapshot(source)


@pytest.mark.parametrize("blocked", ["a", "b.txt", "empty"])
def test_folders_and_links_in_the_way_block_before_anything_is_written(
    store: LocalObjectStore, source: Path, tmp_path: Path, blocked: str
) -> None:
    """A link in the place of a folder, or a folder in the place of a file, stops even an overwriting checkout."""
    digest = put_tree(store, source).digest
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "elsewhere").mkdir()
    if blocked == "b.txt":
        (out / blocked).mkdir()
    else:
        (out / blocked).symlink_to(tmp_path / "elsewhere")

    with pytest.raises(TargetBlocked, match=f"`{blocked}"):
        checkout(store, digest, out, overwrite=True)

    assert [path.name for path in out.iterdir()] == [blocked]
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_tree_with_a_missing_file_is_not_begun(
    store: LocalObjectStore, source: Path, tmp_path: Path
) -> None:
    """The digest and the path are named, and the target is not even made."""
    whole = read_manifest(store, put_tree(store, source).digest)
    lost = hash_bytes(b"lost")
    digest = put_manifest(store, make_manifest([*whole.entries, entry("c", digest=lost)])).digest

    with pytest.raises(ObjectNotFound, match=rf"{lost}.*`c`"):
        checkout(store, digest, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_damaged_file_is_not_restored(
    store: LocalObjectStore, root: Path, source: Path, tmp_path: Path
) -> None:
    """Damage in the store never reaches a file of the user; other files are whole."""
    digest = put_tree(store, source).digest
    name = hash_bytes(b"#!/bin/sh").removeprefix("blake3:")
    flip_first_byte(root, hash_bytes(b"#!/bin/sh"))

    with pytest.raises(ObjectCorrupt, match=name):
        checkout(store, digest, tmp_path / "out")
    assert snapshot(tmp_path / "out").items() < snapshot(source).items()
    assert not (tmp_path / "out" / "a" / "run.sh").exists()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        b'{"kind":"noria.tree/2","entries":[]}',
        b'{"kind":"noria.tree/1"}',
        b'{"entries":[]}',
        b'{"empty_folders":[],"entries":[], "kind":"noria.tree/1"}',
        b'{"kind":"noria.tree/1","entries":[],"more":1}',
        b'{"kind":"noria.tree/1","entries":[{"path":"a","digest":"blake3:0","size_bytes":0}]}',
        b'{"kind":"noria.tree/1","entries":[{"path":"a","size_bytes":0}]}',
    ],
)
def test_other_objects_are_no_trees(store: LocalObjectStore, data: bytes) -> None:
    """An object that is not a manifest of this form is refused with its digest."""
    digest = store.put_bytes(data).digest

    with pytest.raises(ManifestInvalid, match=digest):
        read_manifest(store, digest)


@pytest.mark.parametrize("path", ["../x", "/x", "a/../x", "a//b", "", "a\0"])
def test_a_manifest_from_outside_cannot_lead_out(store: LocalObjectStore, path: str, tmp_path: Path) -> None:
    """A dangerous path in stored bytes is refused when they are read, for files and for folders."""
    listed = {"path": path, "digest": EMPTY, "size_bytes": 0, "mode": 0o644}
    for body in ({"entries": [listed]}, {"entries": [], "empty_folders": [path]}):
        whole = {"empty_folders": [], "kind": "noria.tree/1", **body}
        digest = store.put_bytes(to_canonical_json(whole)).digest

        with pytest.raises(PathRefused if path else ManifestInvalid):
            checkout(store, digest, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("entries", "empty_folders"),
    [
        ([entry("b"), entry("a")], []),
        ([entry("a"), entry("a")], []),
        ([entry("a"), entry("a/b")], []),
        ([entry("a/b/c")], ["a"]),
        ([entry("a")], ["a"]),
        ([], ["b", "a"]),
        ([], ["a", "a/b"]),
        ([entry("a", mode=0o777)], []),
        ([entry("a", size_bytes=-1)], []),
    ],
)
def test_lists_that_no_tree_has_are_refused(entries: list[Entry], empty_folders: list[str]) -> None:
    """Order, doubles, files below files, and other modes: one tree has one list."""
    with pytest.raises(ManifestInvalid):
        Manifest(entries=tuple(entries), empty_folders=tuple(empty_folders))


def test_entries_in_any_order_make_one_manifest() -> None:
    """The order of making does not matter."""
    entries = [entry(path) for path in ("a/b", "a.b", "a/a", "Z")]

    manifest = make_manifest(entries)
    assert manifest == make_manifest(reversed(entries))
    assert [entry.path for entry in manifest.entries] == ["Z", "a.b", "a/a", "a/b"]
