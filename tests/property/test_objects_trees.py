"""Any tree goes in and comes out; any damage to an archive or manifest is either harmless or refused."""

from __future__ import annotations

import stat
import tempfile
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import given, settings

from noria.core.clock import SystemClock
from noria.core.errors import Invalid
from noria.core.objects.archives import pack_folder, unpack
from noria.core.objects.checkouts import checkout
from noria.core.objects.digests import hash_bytes
from noria.core.objects.local import LocalObjectStore
from noria.core.objects.paths import PathRefused, check_path
from noria.core.objects.trees import Entry, make_manifest, put_manifest, put_tree, read_manifest
from support.trees import trees_of

# Each example writes to disk, so they are fewer than usual; a soak run raises the number.
FEWER = settings(max_examples=settings().max_examples // 3)

Tree = dict[str, tuple[bytes, bool] | None]
"""A file's bytes and whether it may be run, or None for an empty folder, by path."""

# A few short names, so that folders share files and files share bytes, and any name that a disk can hold.
names = st.sampled_from(["a", "b", "a.txt", "A", ".hidden", "-", "~", " ", "a\\b"]) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=40
).filter(lambda name: name not in {".", ".."} and len(name.encode()) <= 255)
paths = st.lists(names, min_size=1, max_size=4).map("/".join)
contents = st.binary(max_size=40) | st.sampled_from([b"", b"same", bytes(511), bytes(512), b"x" * 300_000])
nodes = st.none() | st.tuples(contents, st.booleans())
trees = trees_of(paths, nodes, most=8)


def write(tree: Tree, folder: Path) -> Path:
    folder.mkdir()
    for path, node in tree.items():
        place = folder / path
        if node is None:
            place.mkdir(parents=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(node[0])
            place.chmod(0o755 if node[1] else 0o644)
    return folder


def read(folder: Path) -> Tree:
    tree: Tree = {}
    for place in folder.rglob("*"):
        path = place.relative_to(folder).as_posix()
        if place.is_file():
            tree[path] = (place.read_bytes(), bool(place.stat().st_mode & stat.S_IXUSR))
        elif not any(place.iterdir()):
            tree[path] = None
    return tree


@FEWER
@given(tree=trees, other=trees)
def test_any_tree_comes_out_as_it_went_in(tree: Tree, other: Tree) -> None:
    """Byte for byte, with the right to be run and empty folders, by manifest and by archive."""
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        store = LocalObjectStore(base / "store", SystemClock())
        source = write(tree, base / "source")

        info = put_tree(store, source)
        checkout(store, info.digest, base / "out")
        archive = store.put(pack_folder(source))
        unpack(store.open(archive.digest), base / "unpacked")

        assert read(base / "out") == read(base / "unpacked") == tree
        files = [node for node in tree.values() if node is not None]
        assert (info.n_files, info.size_bytes) == (len(files), sum(len(data) for data, _ in files))
        # Out of the copies come the same digests, and out of another tree others.
        assert put_tree(store, base / "out").digest == info.digest
        assert store.put(pack_folder(base / "unpacked")) == archive
        same = put_tree(store, write(other, base / "other")).digest == info.digest
        assert same == (tree == other)
        assert list(store.verify()) == []


@FEWER
@given(tree=trees, at=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_a_flipped_bit_in_an_archive_never_leads_out(tree: Tree, at: int, bit: int) -> None:
    """A damaged archive is refused and leaves nothing, or gives files below the target; nothing else happens."""
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        data = bytearray(b"".join(pack_folder(write(tree, base / "source"))))
        data[at % len(data)] ^= 1 << bit

        try:
            unpack([bytes(data)], base / "in" / "out")
        except Invalid:
            assert list((base / "in").iterdir()) == []
        else:
            assert [place.name for place in (base / "in").iterdir()] == ["out"]
            assert len(read(base / "in" / "out")) <= len(tree)
        assert sorted(place.name for place in base.iterdir()) == ["in", "source"]


@FEWER
@given(tree=trees)
def test_manifests_survive_the_store(tree: Tree) -> None:
    """A manifest is read back equal, whatever paths it lists."""
    with tempfile.TemporaryDirectory() as name:
        store = LocalObjectStore(Path(name) / "store", SystemClock())
        entries = [
            Entry(
                path=path,
                digest=hash_bytes(node[0]),
                size_bytes=len(node[0]),
                mode=0o755 if node[1] else 0o644,
            )
            for path, node in tree.items()
            if node is not None
        ]
        manifest = make_manifest(entries, [path for path, node in tree.items() if node is None])

        assert read_manifest(store, put_manifest(store, manifest).digest) == manifest


@given(path=st.text(max_size=30) | st.lists(st.sampled_from(["a", "..", ".", "", "\0", "/"])).map("/".join))
def test_a_path_that_is_taken_stays_below(path: str) -> None:
    """Every path that passes the check lies below the folder it is joined to, by the rules of `pathlib`."""
    base = Path("/base/folder")
    try:
        check_path(path)
    except PathRefused:
        return
    joined = base / path

    assert joined.is_relative_to(base)
    assert joined != base
    assert ".." not in joined.parts
    assert joined.as_posix() == f"/base/folder/{path}"
