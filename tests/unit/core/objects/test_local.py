"""The local object store keeps the contract, and its files are what its documentation says."""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from noria.core.clock import ManualClock
from noria.core.errors import Unavailable
from noria.core.objects.digests import check_expected, hash_bytes, parse_digest
from noria.core.objects.drafts import scratch_folder
from noria.core.objects.local import LocalObjectStore
from noria.core.objects.store import ObjectCorrupt, ObjectInfo, ObjectNotFound, ProblemKind
from noria.core.objects.testing import DAY_S, Damage, ObjectStoreConformance, nobody, pattern
from support.stores import flip_first_byte, loose_path


@pytest.fixture
def damage(root: Path) -> Damage:
    return lambda digest: flip_first_byte(root, digest)


class TestConformance(ObjectStoreConformance):
    """The local store passes the suite of the port."""


class PackingStore(LocalObjectStore):
    """A store that keeps everything in packs, also what is put alone."""

    def put_bytes(self, data: bytes, *, expected: str | None = None) -> ObjectInfo:
        if expected is not None:
            check_expected(parse_digest(expected), hash_bytes(data))
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            return self.put_file(Path(file.name))

    def put_file(self, path: Path) -> ObjectInfo:
        return self.put_files([path])[0]


class TestPackedConformance(ObjectStoreConformance):
    """The suite of the port holds for what lies in packs too."""

    @pytest.fixture
    def store(self, root: Path, clock: ManualClock) -> PackingStore:
        return PackingStore(root, clock)


def test_an_object_is_a_read_only_file_named_by_its_digest(
    store: LocalObjectStore, root: Path, clock: ManualClock
) -> None:
    """An object can be read with any program, and not be changed by accident."""
    digest = store.put([b"hello"]).digest

    path = loose_path(root, digest)
    assert path.read_bytes() == b"hello"
    assert stat.S_IMODE(path.stat().st_mode) == 0o444
    assert path.stat().st_mtime == clock.now().timestamp()
    assert path.stat().st_nlink == 1


def test_other_users_cannot_list_the_store(store: LocalObjectStore, root: Path) -> None:
    """The store's folder is its owner's alone."""
    store.put_bytes(b"x")

    assert stat.S_IMODE(root.stat().st_mode) == 0o700


def test_looking_makes_nothing(store: LocalObjectStore, root: Path) -> None:
    """A store that is only looked at leaves no trace on disk."""
    store.has(hash_bytes(b""))
    list(store.verify())
    store.collect(nobody, grace_s=0)

    assert not root.exists()


def test_no_put_leaves_a_temporary_file(store: LocalObjectStore, root: Path) -> None:
    """Whether a put works or not, its temporary file is gone afterwards."""

    def broken() -> Iterator[bytes]:
        yield b"x" * 1_000_000
        raise KeyboardInterrupt

    store.put([b"x"])
    store.put([b"x"])
    with pytest.raises(KeyboardInterrupt):
        store.put(broken())

    assert list((root / "tmp").iterdir()) == []


def test_two_instances_share_one_store(store: LocalObjectStore, root: Path, clock: ManualClock) -> None:
    """What one instance puts, another one over the same folder reads, also by a relative path."""
    digest = store.put_bytes(b"x").digest
    relative = Path(os.path.relpath(root))

    assert LocalObjectStore(relative, clock).get(digest, limit_bytes=1) == b"x"


def test_an_open_object_outlives_its_collection(store: LocalObjectStore, clock: ManualClock) -> None:
    """Who began to read an object reads it to its end, even if it is collected meanwhile."""
    data = pattern(3_000_000)
    digest = store.put_bytes(data).digest
    chunks = store.open(digest)
    first = next(chunks)
    clock.advance(2)

    assert store.collect(nobody, grace_s=1).n_removed == 1
    assert first + b"".join(chunks) == data


def test_an_object_collected_before_its_first_chunk_is_not_found(
    store: LocalObjectStore, clock: ManualClock
) -> None:
    """Between opening and reading, an object may go; the error is the usual one."""
    digest = store.put_bytes(b"x").digest
    chunks = store.open(digest)
    clock.advance(2)
    store.collect(nobody, grace_s=1)

    with pytest.raises(ObjectNotFound, match=digest):
        next(chunks)


def test_an_object_cut_to_nothing_is_damaged(store: LocalObjectStore, root: Path) -> None:
    """An object that lost all its bytes is not taken for an empty one."""
    digest = store.put_bytes(b"abc").digest
    os.truncate(loose_path(root, digest), 0)

    with pytest.raises(ObjectCorrupt, match=digest):
        list(store.open(digest))
    assert store.put_bytes(b"abc").size_bytes == 3
    assert list(store.verify()) == []


def test_a_link_in_the_place_of_an_object_is_none(store: LocalObjectStore, root: Path) -> None:
    """A symbolic link among the objects is neither followed nor counted; a put replaces it."""
    digest = store.put_bytes(b"abc").digest
    path = loose_path(root, digest)
    path.rename(root / "elsewhere")
    path.symlink_to(root / "elsewhere")

    assert not store.has(digest)
    assert [problem.kind for problem in store.verify()] == [ProblemKind.UNREADABLE]
    store.put_bytes(b"abc")
    assert store.get(digest, limit_bytes=3) == b"abc"
    assert not path.is_symlink()


def test_verify_names_what_does_not_belong(store: LocalObjectStore, root: Path, clock: ManualClock) -> None:
    """Files that are no objects are reported with their place and never removed."""
    store.put_bytes(b"abc")
    strays = [
        root / "objects" / "notes.txt",
        root / "objects" / "ab" / "short",
        root / "objects" / "zz" / "x",
    ]
    for stray in strays:
        stray.parent.mkdir(exist_ok=True)
        stray.write_bytes(b"?")

    problems = list(store.verify())

    assert {problem.kind for problem in problems} == {ProblemKind.FOREIGN}
    assert sorted(problem.name for problem in problems) == sorted(map(str, [*strays[:2], strays[2].parent]))
    clock.advance(10 * DAY_S)
    store.collect(nobody, grace_s=0)
    assert all(stray.exists() for stray in strays)


def test_a_folder_in_the_place_of_an_object_is_unreadable(store: LocalObjectStore, root: Path) -> None:
    """Verification goes on past what the disk does not give."""
    bad, good = hash_bytes(b"bad"), store.put_bytes(b"good").digest
    loose_path(root, bad).mkdir(parents=True)

    assert [(p.kind, p.name) for p in store.verify()] == [(ProblemKind.UNREADABLE, bad)]
    assert store.has(good)
    with pytest.raises(Unavailable, match=str(root)):
        store.put_bytes(b"bad")


def test_a_store_that_cannot_be_written_says_where(tmp_path: Path, clock: ManualClock) -> None:
    """A file in the place of the store's folder gives an error that names the place and a hint."""
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(Unavailable, match=f"{tmp_path / 'file'}") as caught:
        LocalObjectStore(tmp_path / "file" / "store", clock).put_bytes(b"x")
    assert caught.value.hint is not None


def test_leftovers_are_swept_after_a_day(store: LocalObjectStore, root: Path, clock: ManualClock) -> None:
    """A temporary file of a dead writer goes after a day; a dry run only counts it."""
    store.put_bytes(b"x")
    old, young = root / "tmp" / "put-old", root / "tmp" / "put-young"
    for path, age_s in ((old, DAY_S + 1), (young, DAY_S - 1)):
        path.write_bytes(b"half")
        at = clock.now().timestamp() - age_s
        os.utime(path, (at, at))

    assert store.collect(nobody, grace_s=DAY_S, dry_run=True).n_temporary == 1
    assert old.exists()
    assert store.collect(nobody, grace_s=DAY_S).n_temporary == 1
    assert not old.exists()
    assert young.exists()


def test_folders_that_killed_processes_left_are_swept(
    store: LocalObjectStore, root: Path, clock: ManualClock
) -> None:
    """A folder in `tmp/` goes after a day with all that is in it, unless somebody works in it."""
    store.put_bytes(b"x")
    left = root / "tmp" / "scratch-left"
    (left / "deep").mkdir(parents=True)
    (left / "deep" / "half.pack").write_bytes(b"half")
    with scratch_folder(root) as held:
        (held / "made").write_bytes(b"made")
        for path in (left, held):
            at = clock.now().timestamp() - DAY_S - 1
            os.utime(path, (at, at))
        assert store.collect(nobody, grace_s=DAY_S).n_temporary == 1
        assert not left.exists()
        assert (held / "made").read_bytes() == b"made"
    assert list((root / "tmp").iterdir()) == []


def test_a_put_that_takes_days_is_not_swept(store: LocalObjectStore, root: Path, clock: ManualClock) -> None:
    """The temporary file of a living writer stays, however long it was stopped."""
    data = pattern(9 * 1024 * 1024)

    def slow() -> Iterator[bytes]:
        yield from [data] * 5
        (unfinished,) = (root / "tmp").iterdir()
        os.utime(unfinished, (0, 0))
        clock.advance(10 * DAY_S)
        assert store.collect(nobody, grace_s=DAY_S).n_temporary == 0
        yield b"after"

    digest = store.put(slow()).digest

    assert digest == hash_bytes(data * 5 + b"after")
    assert list(store.verify([digest])) == []


def test_collection_waits_for_puts_in_their_last_step(
    store: LocalObjectStore, root: Path, clock: ManualClock
) -> None:
    """While a put holds the lock, nothing is removed, and other puts go on; what they renew then stays."""
    digest = store.put_bytes(b"x").digest
    clock.advance(2)
    asked = threading.Event()
    order: list[str] = []

    def is_live(_: list[str]) -> set[str]:
        asked.set()
        return set()

    def collect() -> None:
        store.collect(is_live, grace_s=1)
        order.append("collected")

    collecting = threading.Thread(target=collect)
    with (root / "lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        collecting.start()
        assert asked.wait(30)
        for n in range(20):
            store.put_bytes(f"{n}".encode())
        store.put_bytes(b"x")
        order.append("released")
    collecting.join(30)

    assert order == ["released", "collected"]
    assert store.has(digest)


def test_folders_that_a_copy_left_out_are_made_again(
    store: LocalObjectStore, root: Path, clock: ManualClock
) -> None:
    """A store that was copied by a program that leaves out empty folders works."""
    digest = store.put_bytes(b"x").digest
    (root / "tmp").rmdir()

    copy = LocalObjectStore(root, clock)

    assert copy.has(digest)
    assert list(copy.verify()) == []
    assert copy.put([b"y"]).size_bytes == 1
