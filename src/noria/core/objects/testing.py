# ruff: noqa: S101
"""The conformance suite of the object store's port: what every backend must pass.

A backend's test is a subclass of `ObjectStoreConformance` that provides three fixtures.
"""

from __future__ import annotations

import io
import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from noria.core.clock import ManualClock
from noria.core.errors import Invalid, TooLarge
from noria.core.objects.digests import CHUNK_BYTES, DigestInvalid, DigestMismatch, hash_bytes
from noria.core.objects.store import (
    ObjectCorrupt,
    ObjectInfo,
    ObjectNotFound,
    ObjectStore,
    ProblemKind,
    RangeInvalid,
    SourceUnusable,
)

DAY_S = 86_400.0
ABSENT = hash_bytes(b"never put")
MALFORMED = (
    "",
    "0" * 64,
    "blake3:",
    "blake3:" + "0" * 63,
    "blake3:" + "0" * 65,
    "blake3:" + "A" * 64,
    "sha256:" + "0" * 64,
    "blake3:" + "0" * 64 + "\n",
    " blake3:" + "0" * 64,
    "blake3:../" + "0" * 61,
    "blake3:" + "0" * 61 + "/..",
    "../../etc/passwd",
    "blake3:" + "٠" * 64,
)

Damage = Callable[[str], None]


def pattern(size_bytes: int) -> bytes:
    """Give bytes that differ from place to place."""
    block = bytes(range(251))
    return (block * (size_bytes // len(block) + 1))[:size_bytes]


def nobody(_: list[str]) -> set[str]:
    """Say that nothing is referred to."""
    return set()


def n_objects(store: ObjectStore) -> int:
    """Count the objects of a store."""
    found = store.collect(nobody, grace_s=1e9, dry_run=True)
    return found.n_young + found.n_removed


class ObjectStoreConformance:
    """Tests of the contract. A subclass provides these fixtures.

    Fixtures
    --------
    clock : ManualClock
        The clock of the store.
    store : ObjectStore
        An empty store.
    damage : Callable[[str], None]
        Changes one byte of a stored object behind the store's back and keeps its size.
    """

    def test_gives_back_what_was_put(self, store: ObjectStore) -> None:
        """An object is named by its digest and read back byte for byte."""
        data = pattern(1000)

        info = store.put([data])

        assert info == ObjectInfo(digest=hash_bytes(data), size_bytes=1000)
        assert store.get(info.digest, limit_bytes=1000) == data
        assert b"".join(store.open(info.digest)) == data
        assert store.size(info.digest) == 1000
        assert store.has(info.digest)

    @pytest.mark.parametrize("size_bytes", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, 5 * CHUNK_BYTES + 1])
    def test_every_way_of_putting_gives_the_same_object(
        self, store: ObjectStore, tmp_path: Path, size_bytes: int
    ) -> None:
        """Chunks of any size, an open file, bytes in memory and a file by its path give one object."""
        data = pattern(size_bytes)
        (tmp_path / "file").write_bytes(data)

        infos = {
            store.put([data]),
            store.put(data[i : i + 77_777] for i in range(0, size_bytes, 77_777)),
            store.put([b"", data, b""]),
            store.put(io.BytesIO(data)),
            store.put_bytes(data),
            store.put_file(tmp_path / "file"),
        }

        assert infos == {ObjectInfo(digest=hash_bytes(data), size_bytes=size_bytes)}
        assert n_objects(store) == 1
        assert store.get(hash_bytes(data), limit_bytes=size_bytes) == data

    def test_puts_a_file_larger_than_it_takes_into_memory(self, store: ObjectStore, tmp_path: Path) -> None:
        """A file of several MiB is stored, also when it is stored already."""
        data = pattern(3 * 1024 * 1024 + 5)
        (tmp_path / "file").write_bytes(data)

        first, second = store.put_file(tmp_path / "file"), store.put_file(tmp_path / "file")

        assert first == second == ObjectInfo(digest=hash_bytes(data), size_bytes=len(data))
        assert store.get(first.digest, limit_bytes=len(data)) == data

    def test_puts_many_files_in_their_order(self, store: ObjectStore, tmp_path: Path) -> None:
        """Files of all sizes, some of them equal, some stored before, come back in order, each told as it is done."""
        contents = [b"", b"a", pattern(1000), b"a", pattern(3 * 1024 * 1024 + 5), pattern(70_000), b""]
        paths = [tmp_path / str(n) for n in range(len(contents))]
        for path, data in zip(paths, contents, strict=True):
            path.write_bytes(data)
        told: list[tuple[int, int]] = []

        for _ in range(2):
            infos = store.put_files(paths, progress=lambda *done: told.append(done))
            assert [info.digest for info in infos] == [hash_bytes(data) for data in contents]
            assert [info.size_bytes for info in infos] == [len(data) for data in contents]

        assert sum(n_files for n_files, _ in told) == 2 * len(paths)
        assert sum(n_bytes for _, n_bytes in told) == 2 * sum(map(len, contents))
        assert n_objects(store) == len(set(contents))
        for data in contents:
            assert store.get(hash_bytes(data), limit_bytes=len(data)) == data
        assert list(store.verify()) == []
        assert store.put_files([]) == []

    def test_many_files_and_single_puts_are_the_same_objects(
        self, store: ObjectStore, tmp_path: Path
    ) -> None:
        """What was put alone is not stored again by a batch, nor the other way round."""
        (tmp_path / "first").write_bytes(b"first")
        (tmp_path / "second").write_bytes(b"second")
        store.put_bytes(b"first")
        store.put_files([tmp_path / "first", tmp_path / "second"])
        store.put_bytes(b"second")
        store.put_file(tmp_path / "second")

        assert n_objects(store) == 2

    def test_many_files_with_one_that_is_none_are_refused(self, store: ObjectStore, tmp_path: Path) -> None:
        """A path that is no regular file is named, wherever it stands."""
        (tmp_path / "good").write_bytes(b"good")
        (tmp_path / "link").symlink_to("good")

        for bad in (tmp_path / "link", tmp_path / "nothing", tmp_path):
            with pytest.raises(SourceUnusable, match=bad.name):
                store.put_files([tmp_path / "good", bad])
        assert list(store.verify()) == []

    def test_opens_many_objects(self, store: ObjectStore, tmp_path: Path) -> None:
        """Each object comes once for each time that it is asked for, whole, with its place in the question."""
        contents = [pattern(size) for size in (0, 1, 1000, 3 * 1024 * 1024 + 5, 5000, 1, 2 * 1024 * 1024)]
        digests = [store.put_bytes(data).digest for data in contents[:4]]
        for n, data in enumerate(contents[4:]):
            (tmp_path / str(n)).write_bytes(data)
        digests += [info.digest for info in store.put_files([tmp_path / "0", tmp_path / "1", tmp_path / "2"])]

        found = {n: b"".join(chunks) for n, chunks in store.open_many(digests)}

        assert [found[n] for n in range(len(contents))] == contents
        assert list(store.open_many([])) == []
        with pytest.raises(ObjectNotFound, match=ABSENT):
            list(store.open_many([*digests, ABSENT]))

    def test_takes_bytes_with_the_announced_digest(self, store: ObjectStore) -> None:
        """A put with the right digest is a put, whether the object is new or not."""
        for _ in range(2):
            assert store.put([b"a", b"b"], expected=hash_bytes(b"ab")).digest == hash_bytes(b"ab")
            assert store.put_bytes(b"ab", expected=hash_bytes(b"ab")).digest == hash_bytes(b"ab")

    def test_refuses_bytes_with_another_digest_than_announced(self, store: ObjectStore) -> None:
        """Bytes that differ from what was announced are not kept, even if the announced object is there."""
        present = store.put_bytes(b"present").digest

        for announced in (ABSENT, present):
            with pytest.raises(DigestMismatch, match=announced):
                store.put([b"others"], expected=announced)
            with pytest.raises(DigestMismatch, match=announced):
                store.put_bytes(b"others", expected=announced)

        assert n_objects(store) == 1
        assert not store.has(hash_bytes(b"others"))

    def test_stops_reading_a_stream_that_is_too_long(self, store: ObjectStore) -> None:
        """An endless stream is refused at the limit and nothing of it is kept."""
        with pytest.raises(TooLarge, match="100000"):
            store.put(itertools.repeat(b"x" * 999), limit_bytes=100_000)

        assert store.put([b"x" * 10], limit_bytes=10).size_bytes == 10
        assert n_objects(store) == 1

    def test_keeps_nothing_of_a_stream_that_breaks(self, store: ObjectStore) -> None:
        """What reading the stream raises passes through unchanged, and nothing is kept."""

        def broken() -> Iterator[bytes]:
            yield b"first"
            raise OSError(28, "the sender's own trouble")

        with pytest.raises(OSError, match="the sender's own trouble"):
            store.put(broken())

        assert n_objects(store) == 0
        assert list(store.verify()) == []

    def test_reads_every_part(self, store: ObjectStore) -> None:
        """A part is the slice of the bytes; its length is cut at the end."""
        data = pattern(2 * CHUNK_BYTES + 3)
        digest = store.put_bytes(data).digest
        edges = [
            0,
            1,
            CHUNK_BYTES - 1,
            CHUNK_BYTES,
            CHUNK_BYTES + 1,
            2 * CHUNK_BYTES,
            len(data) - 1,
            len(data),
        ]

        for start, length in itertools.product(edges, [None, 0, 1, CHUNK_BYTES, len(data), 10**12]):
            end = None if length is None else start + length
            assert b"".join(store.open(digest, start=start, length=length)) == data[start:end]

    def test_refuses_parts_that_cannot_be(self, store: ObjectStore) -> None:
        """A start outside the object or a negative length is refused at the call."""
        digest = store.put_bytes(b"abc").digest

        for start, length in [(4, None), (-1, None), (0, -1), (4, 0)]:
            with pytest.raises(RangeInvalid, match="3 bytes"):
                store.open(digest, start=start, length=length)

    def test_gets_no_more_than_the_caller_takes(self, store: ObjectStore) -> None:
        """An object above the limit is refused unread."""
        digest = store.put_bytes(b"12345").digest

        with pytest.raises(TooLarge, match="5 bytes"):
            store.get(digest, limit_bytes=4)
        assert store.get(digest, limit_bytes=5) == b"12345"

    def test_says_that_an_object_is_not_there(self, store: ObjectStore) -> None:
        """Every reading method names the digest that is not there, at the call."""
        store.put_bytes(b"another")

        for read in (store.size, store.open, lambda digest: store.get(digest, limit_bytes=9)):
            with pytest.raises(ObjectNotFound, match=ABSENT) as caught:
                read(ABSENT)
            assert caught.value.details == {"digest": ABSENT}
        assert not store.has(ABSENT)

    def test_tells_what_is_missing(self, store: ObjectStore) -> None:
        """Of many digests, those that are not there are given."""
        present = [store.put_bytes(bytes([n])).digest for n in range(5)]

        assert store.missing([*present, ABSENT]) == {ABSENT}
        assert store.missing(present) == store.missing([]) == set()

    @pytest.mark.parametrize("text", MALFORMED)
    def test_refuses_what_is_no_digest(self, store: ObjectStore, text: str) -> None:
        """A malformed digest is refused by every method before anything is looked at."""
        calls: list[Callable[[], object]] = [
            lambda: store.open(text),
            lambda: store.get(text, limit_bytes=9),
            lambda: store.size(text),
            lambda: store.has(text),
            lambda: store.missing([text]),
            lambda: list(store.verify([text])),
            lambda: store.put([b""], expected=text),
            lambda: store.put_bytes(b"", expected=text),
        ]
        for call in calls:
            with pytest.raises(DigestInvalid):
                call()
        assert n_objects(store) == 0

    def test_refuses_what_is_no_regular_file(self, store: ObjectStore, tmp_path: Path) -> None:
        """A folder, a link and a path with nothing there are refused with the path."""
        (tmp_path / "file").write_bytes(b"x")
        (tmp_path / "link").symlink_to("file")

        for path in (tmp_path, tmp_path / "link", tmp_path / "nothing"):
            with pytest.raises(SourceUnusable, match=path.name):
                store.put_file(path)
        assert n_objects(store) == 0

    @pytest.mark.parametrize("size_bytes", [1, CHUNK_BYTES, 2 * CHUNK_BYTES + 1])
    def test_never_gives_all_bytes_of_a_damaged_object(
        self, store: ObjectStore, damage: Damage, size_bytes: int
    ) -> None:
        """Reading a damaged object whole raises with its digest before the last chunk."""
        digest = store.put_bytes(pattern(size_bytes)).digest
        damage(digest)

        with pytest.raises(ObjectCorrupt, match=digest):
            store.get(digest, limit_bytes=size_bytes)
        received: list[bytes] = []
        with pytest.raises(ObjectCorrupt, match=digest) as caught:
            received.extend(store.open(digest))
        assert len(b"".join(received)) < size_bytes
        assert caught.value.details["digest"] == digest

    def test_verify_finds_damage_and_what_is_missing(self, store: ObjectStore, damage: Damage) -> None:
        """Verifying names each damaged object, and each that was asked for and is not there; and only those."""
        good, bad = store.put_bytes(b"good").digest, store.put_bytes(b"bad").digest
        assert list(store.verify()) == []
        damage(bad)

        assert [(problem.kind, problem.name) for problem in store.verify()] == [(ProblemKind.CORRUPT, bad)]
        assert [(problem.kind, problem.name) for problem in store.verify([good, bad, ABSENT])] == [
            (ProblemKind.CORRUPT, bad),
            (ProblemKind.MISSING, ABSENT),
        ]

    def test_putting_again_mends_a_damaged_object(
        self, store: ObjectStore, damage: Damage, tmp_path: Path
    ) -> None:
        """Each way of putting leaves the right bytes in the store, whatever lay there before."""
        data = pattern(2 * 1024 * 1024)
        (tmp_path / "file").write_bytes(data)
        digest = store.put_bytes(data).digest
        ways: list[Callable[[], ObjectInfo]] = [
            lambda: store.put([data]),
            lambda: store.put_bytes(data),
            lambda: store.put_file(tmp_path / "file"),
        ]

        for put in ways:
            damage(digest)
            assert put().digest == digest
            assert store.get(digest, limit_bytes=len(data)) == data
            assert list(store.verify()) == []

    def test_collects_what_nobody_refers_to(self, store: ObjectStore, clock: ManualClock) -> None:
        """What is live stays, what is not goes once it is older than the grace period; the sizes are counted."""
        live, dead = store.put_bytes(b"live").digest, store.put_bytes(b"dead one").digest
        clock.advance(DAY_S + 1)
        young = store.put_bytes(b"young").digest

        collected = store.collect(lambda digests: {live} & set(digests), grace_s=DAY_S)

        assert store.missing([live, dead, young]) == {dead}
        assert (collected.n_removed, collected.removed_bytes) == (1, len(b"dead one"))
        assert (collected.n_live, collected.n_young, collected.dry_run) == (1, 1, False)
        assert list(store.verify()) == []

    def test_keeps_everything_within_the_grace_period(self, store: ObjectStore, clock: ManualClock) -> None:
        """An object as old as the grace period stays and is not even asked about."""
        digest = store.put_bytes(b"x").digest
        clock.advance(DAY_S)
        asked: list[str] = []

        def is_live(digests: list[str]) -> set[str]:
            asked.extend(digests)
            return set()

        assert store.collect(is_live, grace_s=DAY_S).n_removed == 0
        assert asked == []
        clock.advance(0.001)
        assert store.collect(is_live, grace_s=DAY_S).n_removed == 1
        assert asked == [digest]

    def test_a_dry_run_removes_nothing(self, store: ObjectStore, clock: ManualClock) -> None:
        """A dry run counts what a real one then removes."""
        digest = store.put_bytes(b"x").digest
        clock.advance(2)

        planned = store.collect(nobody, grace_s=1, dry_run=True)

        assert (planned.n_removed, planned.removed_bytes, planned.dry_run) == (1, 1, True)
        assert store.has(digest)
        assert store.collect(nobody, grace_s=1).n_removed == planned.n_removed
        assert not store.has(digest)

    def test_putting_again_makes_an_object_young(
        self, store: ObjectStore, clock: ManualClock, tmp_path: Path
    ) -> None:
        """Each way of putting what is there already starts its grace period anew."""
        (tmp_path / "file").write_bytes(b"x")
        digest = store.put_bytes(b"x").digest
        ways: list[Callable[[], ObjectInfo]] = [
            lambda: store.put([b"x"]),
            lambda: store.put_bytes(b"x"),
            lambda: store.put_file(tmp_path / "file"),
        ]

        for put in ways:
            clock.advance(DAY_S + 1)
            put()
            assert store.collect(nobody, grace_s=DAY_S).n_young == 1
        assert store.has(digest)

    def test_a_put_during_collection_wins(self, store: ObjectStore, clock: ManualClock) -> None:
        """An object that is put again after the collector asked about it is not removed."""
        again, dead = store.put_bytes(b"again").digest, store.put_bytes(b"dead").digest
        clock.advance(DAY_S + 1)

        def put_meanwhile(digests: list[str]) -> set[str]:
            assert set(digests) == {again, dead}
            store.put_bytes(b"again")
            return set()

        assert store.collect(put_meanwhile, grace_s=DAY_S).n_removed == 1
        assert store.missing([again, dead]) == {dead}

    def test_keeps_what_was_asked_about_when_the_answer_fails(
        self, store: ObjectStore, clock: ManualClock
    ) -> None:
        """An error of the one who knows what is live passes through, and nothing is removed."""
        digest = store.put_bytes(b"x").digest
        clock.advance(2)

        def unknown(_: list[str]) -> set[str]:
            raise ConnectionError("the database is away")

        with pytest.raises(ConnectionError):
            store.collect(unknown, grace_s=1)
        assert store.has(digest)

    def test_asks_about_each_object_once(self, store: ObjectStore, clock: ManualClock) -> None:
        """Many objects are asked about in parts, each object in one of them."""
        digests = [store.put_bytes(f"{n}".encode()).digest for n in range(130)]
        clock.advance(2)
        asked: list[str] = []

        def is_live(part: list[str]) -> set[str]:
            asked.extend(part)
            return {digest for digest in part if digest[-1] in "01234567"}

        collected = store.collect(is_live, grace_s=1)

        assert sorted(asked) == sorted(digests)
        assert store.missing(digests) == {digest for digest in digests if digest[-1] in "89abcdef"}
        assert collected.n_live + collected.n_removed == 130

    @pytest.mark.parametrize("grace_s", [-1.0, float("nan")])
    def test_refuses_a_grace_period_that_is_none(self, store: ObjectStore, grace_s: float) -> None:
        """A negative grace period would take what is being put."""
        with pytest.raises(Invalid, match="grace_s"):
            store.collect(nobody, grace_s=grace_s)

    def test_an_empty_store_has_nothing(self, store: ObjectStore) -> None:
        """A store that was never written to answers like one that holds nothing."""
        assert list(store.verify()) == []
        assert store.collect(nobody, grace_s=0).n_removed == 0
        assert store.missing([ABSENT]) == {ABSENT}

    def test_threads_put_and_read_at_once(self, store: ObjectStore) -> None:
        """Threads that put the same and different objects at one time each read back what they put."""
        barrier = threading.Barrier(8)

        def work(worker: int) -> None:
            barrier.wait()
            for n in range(12):
                for data in (f"shared {n}".encode() * 1000, f"own {worker} {n}".encode()):
                    digest = store.put([data]).digest
                    assert store.get(digest, limit_bytes=len(data)) == data

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(8)))

        assert n_objects(store) == 12 + 8 * 12
        assert list(store.verify()) == []
