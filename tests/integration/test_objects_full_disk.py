"""A disk with no room left, for real: the error says so, nothing half-written stays, and room made is room used."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from noria.core.clock import SystemClock
from noria.core.errors import StorageFull, Unavailable
from noria.core.objects.archives import pack_folder, unpack
from noria.core.objects.checkouts import checkout
from noria.core.objects.digests import hash_bytes
from noria.core.objects.local import LocalObjectStore
from noria.core.objects.trees import put_tree

SMALL = b"small" * 100
LARGE = os.urandom(2 * 1024 * 1024)


@contextlib.contextmanager
def tiny_disk(place: Path, options: str) -> Iterator[Path]:
    """Mount a file system with very little room; only root may."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


@contextlib.contextmanager
def file_size_limit(size_bytes: int) -> Iterator[None]:
    """Have the kernel refuse files of this process that grow larger."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with tiny_disk(tmp_path / "disk", "size=1m") as place:
        yield place


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "a-small").write_bytes(SMALL)
    (folder / "b-large").write_bytes(LARGE)
    return folder


def ways_to_put(store: LocalObjectStore, source: Path) -> list[Callable[[], object]]:
    return [
        lambda: store.put_bytes(LARGE),
        lambda: store.put(LARGE[i : i + 10_000] for i in range(0, len(LARGE), 10_000)),
        lambda: store.put_file(source / "b-large"),
        lambda: put_tree(store, source),
        lambda: store.put(pack_folder(source)),
    ]


def free_bytes(disk: Path) -> int:
    return os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize


def files_below(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("way", range(5))
def test_a_put_on_a_full_disk_leaves_nothing(disk: Path, source: Path, way: int) -> None:
    """The error names the place and tells the mend; the room is free again and the store works on."""
    store = LocalObjectStore(disk / "store", SystemClock())
    store.put_bytes(SMALL)
    before = free_bytes(disk)

    with pytest.raises(StorageFull, match=str(disk / "store")) as caught:
        ways_to_put(store, source)[way]()

    assert "Make room" in str(caught.value.hint)
    assert free_bytes(disk) == before
    assert files_below(disk / "store" / "tmp") == []
    assert not store.has(hash_bytes(LARGE))
    assert list(store.verify()) == []
    assert store.get(hash_bytes(SMALL), limit_bytes=len(SMALL)) == SMALL
    assert store.put_bytes(b"more").size_bytes == 4


def test_what_is_there_is_put_on_a_full_disk(disk: Path) -> None:
    """Putting what the store holds already needs no room."""
    store = LocalObjectStore(disk / "store", SystemClock())
    store.put_bytes(SMALL)
    with (disk / "filling").open("wb", buffering=0) as filling, contextlib.suppress(OSError):
        while filling.write(bytes(4096)):
            pass

    assert store.put_bytes(SMALL).digest == hash_bytes(SMALL)
    with pytest.raises(StorageFull):
        store.put_bytes(b"x" * 10_000)


def test_a_disk_without_room_for_names_is_full(tmp_path: Path) -> None:
    """A file system that can hold no more files is as full as one that can hold no more bytes."""
    with tiny_disk(tmp_path / "disk", "size=1m,nr_inodes=8") as disk:
        store = LocalObjectStore(disk / "store", SystemClock())
        store.put_bytes(SMALL)

        with pytest.raises(StorageFull):
            list(map(store.put_bytes, [b"0", b"1", b"2", b"3", b"4", b"5", b"6", b"7"]))

        assert files_below(disk / "store" / "tmp") == []
        assert list(store.verify()) == []
        assert store.has(hash_bytes(SMALL))


@pytest.mark.parametrize("deed", ["checkout", "unpack"])
def test_writing_a_tree_to_a_full_disk_leaves_whole_files_only(
    disk: Path, source: Path, tmp_path: Path, deed: str
) -> None:
    """A checkout keeps the files that found room, each whole; an unpacked folder does not appear at all."""
    store = LocalObjectStore(tmp_path / "store", SystemClock())
    digest = put_tree(store, source).digest

    deeds: dict[str, Callable[[], object]] = {
        "checkout": lambda: checkout(store, digest, disk / "target"),
        "unpack": lambda: unpack(pack_folder(source), disk / "target"),
    }

    with pytest.raises(StorageFull) as caught:
        deeds[deed]()

    if deed == "checkout":
        assert caught.value.details["place"] == str(disk / "target")
    else:
        assert str(disk) in caught.value.message
    assert files_below(disk) == (["a-small"] if deed == "checkout" else [])
    assert (disk / "target").exists() == (deed == "checkout")


def test_a_store_on_a_disk_that_is_only_read_is_read(tmp_path: Path, source: Path) -> None:
    """Where nothing can be written, objects are found all the same, and a put says what is wrong."""
    with tiny_disk(tmp_path / "disk", "size=8m") as disk:
        digest = put_tree(LocalObjectStore(disk / "store", SystemClock()), source).digest
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        store = LocalObjectStore(disk / "store", SystemClock())

        checkout(store, digest, tmp_path / "out")
        with pytest.raises(Unavailable, match="Read-only"):
            put_tree(store, tmp_path / "out" / "b-large")
        assert list(store.verify()) == []
        del store

    assert (tmp_path / "out" / "b-large").read_bytes() == LARGE


@pytest.mark.parametrize("way", range(5))
def test_a_limit_on_files_is_a_full_disk(tmp_path: Path, source: Path, way: int) -> None:
    """Where the user may write no file of this size, the same holds; nobody needs to be root for this test."""
    store = LocalObjectStore(tmp_path / "store", SystemClock())
    store.put_bytes(b"before")

    with file_size_limit(1024 * 1024), pytest.raises(StorageFull, match=str(tmp_path / "store")):
        ways_to_put(store, source)[way]()

    assert files_below(tmp_path / "store" / "tmp") == []
    assert list(store.verify()) == []
    ways_to_put(store, source)[way]()
    assert list(store.verify()) == []
