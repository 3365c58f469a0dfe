"""A place follows any version to any other, and loses nothing that no version had."""

from __future__ import annotations

import contextlib
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from noria.core.clock import SystemClock
from noria.core.errors import Conflict
from noria.core.objects.local import LocalObjectStore
from noria.core.objects.store import ObjectNotFound
from noria.core.objects.trees import put_tree
from noria.data.entities import DatasetKind, DatasetVersion
from noria.data.trees.checkouts import checkout_version
from noria.data.trees.stat_index import StatIndex
from support.trees import trees_of

# Each example writes to disk, so they are fewer than usual; a soak run raises the number.
FEWER = settings(max_examples=settings().max_examples // 3)

Tree = dict[str, bytes | None]
"""A file's bytes, or None for an empty folder, by path."""

# So few names that what is a file in one version is often a folder in another.
paths = st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=3).map("/".join)
nodes = st.none() | st.sampled_from([b"", b"one", b"two"])
trees = trees_of(paths, nodes, most=6)


def write(tree: Tree, folder: Path) -> Path:
    folder.mkdir()
    for path, node in tree.items():
        place = folder / path
        if node is None:
            place.mkdir(parents=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(node)
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {
        place.relative_to(folder).as_posix(): place.read_bytes()
        for place in folder.rglob("*")
        if place.is_file()
    }


def version(store: LocalObjectStore, tree: Tree, number: int, base: Path) -> DatasetVersion:
    info = put_tree(store, write(tree, base / f"source{number}"))
    return DatasetVersion(
        id=str(number),
        project="p",
        name="d",
        version=number,
        digest=info.digest,
        kind=DatasetKind.FILES,
        author="a",
        message="",
        parent=None,
        n_files=info.n_files,
        size_bytes=info.size_bytes,
        n_rows=None,
        profile=None,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


@FEWER
@given(course=st.lists(trees, min_size=2, max_size=4))
def test_a_place_follows_any_version_to_any_other(course: list[Tree]) -> None:
    """Also where one version has a file, and another a folder, empty or not."""
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        store, index = LocalObjectStore(base / "store", SystemClock()), StatIndex(base / "index.db")
        for number, tree in enumerate(course, 1):
            checkout_version(store, index, version(store, tree, number, base), base / "place")
            assert files(base / "place") == {path: node for path, node in tree.items() if node is not None}
            assert all((base / "place" / path).is_dir() for path, node in tree.items() if node is None)


@FEWER
@given(first=trees, second=trees, mine=paths)
def test_what_somebody_put_in_the_place_stays(first: Tree, second: Tree, mine: str) -> None:
    """A file that no version had is there after the checkout, or the checkout is refused and changes nothing."""
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        store, index = LocalObjectStore(base / "store", SystemClock()), StatIndex(base / "index.db")
        place = base / "place"
        checkout_version(store, index, version(store, first, 1, base), place)
        with contextlib.suppress(OSError):
            (place / mine).parent.mkdir(parents=True, exist_ok=True)
            (place / mine).write_bytes(b"mine")
        before = files(place)
        changed = {path for path, data in before.items() if first.get(path) != data}
        try:
            checkout_version(store, index, version(store, second, 2, base), place)
        except Conflict:
            assert files(place) == before
        else:
            assert {path: before[path] for path in changed} == {
                path: data for path, data in files(place).items() if path in changed
            }


def test_nothing_makes_way_for_what_the_store_lacks(tmp_path: Path) -> None:
    """A folder is not removed for a file whose bytes are not in the store."""
    store, index = LocalObjectStore(tmp_path / "store", SystemClock()), StatIndex(tmp_path / "index.db")
    place = tmp_path / "place"
    checkout_version(store, index, version(store, {"a/b": b"kept", "c": b""}, 1, tmp_path), place)
    elsewhere = LocalObjectStore(tmp_path / "elsewhere", SystemClock())
    lacking = version(elsewhere, {"a": b"x" * 2_000_000}, 2, tmp_path)
    store.put([b"".join(elsewhere.open(lacking.digest))])

    with pytest.raises(ObjectNotFound):
        checkout_version(store, index, lacking, place)
    assert files(place) == {"a/b": b"kept", "c": b""}
