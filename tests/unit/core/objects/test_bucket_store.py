"""The store in a bucket keeps the contract, whoever collects meanwhile; the bucket is in memory here."""

from __future__ import annotations

import functools
import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from obstore.store import MemoryStore

from noria.core.clock import ManualClock
from noria.core.errors import StorageFull, Unavailable
from noria.core.objects.bucket import Body, ObstoreBucket, Stored, bucket_error
from noria.core.objects.bucket_layout import digest_of, doom_folder, main_key, spare_folder
from noria.core.objects.bucket_store import PIECE_BYTES, BucketObjectStore
from noria.core.objects.digests import hash_bytes
from noria.core.objects.store import ObjectCorrupt, ObjectNotFound, ProblemKind, SourceChanged
from noria.core.objects.testing import DAY_S, Damage, ObjectStoreConformance, nobody, pattern
from support.buckets import StampedBucket

START = datetime(2026, 3, 1, tzinfo=UTC)


class InMemory(StampedBucket):
    """A bucket in memory that can be told to do something before it removes keys, or before it is written to."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(ObstoreBucket(MemoryStore(), "memory://test"), clock)
        self.before_delete: Callable[[Sequence[str]], None] = lambda _keys: None

    def delete(self, keys: Sequence[str]) -> None:
        self.before_delete(keys)
        super().delete(keys)


@pytest.fixture
def bucket(clock: ManualClock) -> InMemory:
    return InMemory(clock)


@pytest.fixture
def store(bucket: InMemory, tmp_path: Path) -> BucketObjectStore:
    return BucketObjectStore(bucket, spool=tmp_path / "deep" / "spool")


def flip(store: BucketObjectStore, key: str) -> None:
    stored = store.bucket.head(key)
    assert stored is not None
    data, _ = store.bucket.read(key, start=0, length=stored.size_bytes) or (b"", stored)
    store.bucket.put(key, bytes([data[0] ^ 1]) + data[1:], size_bytes=len(data))


@pytest.fixture
def damage(store: BucketObjectStore) -> Damage:
    return lambda digest: flip(store, main_key(digest))


class TestConformance(ObjectStoreConformance):
    """The store in a bucket passes the suite of the port."""


def test_an_object_is_a_key_named_by_its_digest(store: BucketObjectStore, bucket: InMemory) -> None:
    """The keys are the paths of a local store, so that a folder and a bucket can be copied into each other."""
    digest = store.put([b"hello"]).digest

    name = digest.removeprefix("blake3:")
    assert [stored.key for stored in bucket.list("objects")] == [f"objects/{name[:2]}/{name[2:]}"]
    assert digest_of(main_key(digest)) == digest


def test_reads_an_object_of_many_pieces(store: BucketObjectStore) -> None:
    """An object that takes several requests is read whole and in parts across their edges."""
    data = pattern(2 * PIECE_BYTES + 11)
    digest = store.put([data]).digest

    assert store.get(digest, limit_bytes=len(data)) == data
    assert b"".join(store.open(digest)) == data
    for start, length in [
        (PIECE_BYTES - 1, 2),
        (PIECE_BYTES, None),
        (3, PIECE_BYTES),
        (2 * PIECE_BYTES + 11, 5),
    ]:
        end = None if length is None else start + length
        assert b"".join(store.open(digest, start=start, length=length)) == data[start:end]


def test_a_large_stream_waits_on_disk_without_a_name(store: BucketObjectStore, tmp_path: Path) -> None:
    """What is too long for memory is spooled, and no file of it can be left behind."""
    seen: list[list[Path]] = []

    def stream() -> Iterator[bytes]:
        for _ in range(4):
            yield b"x" * 1_000_000
            seen.append([path for path in (tmp_path / "deep").rglob("*") if path.is_file()])

    assert store.put(stream()).size_bytes == 4_000_000
    assert seen == [[], [], [], []]
    assert (tmp_path / "deep" / "spool").is_dir()


def test_a_file_that_changes_between_reading_and_sending_is_refused(
    store: BucketObjectStore, bucket: InMemory, tmp_path: Path
) -> None:
    """Nothing is stored under the digest of bytes that the file does not have any more."""
    path = tmp_path / "file"
    path.write_bytes(b"a" * 1000)
    put = bucket.put

    def change_first(key: str, body: Body, *, size_bytes: int) -> None:
        path.write_bytes(b"b" * 1000)
        put(key, body, size_bytes=size_bytes)

    bucket.put = change_first  # type: ignore[method-assign]
    with pytest.raises(SourceChanged):
        store.put_file(path)

    assert list(bucket.list("objects")) == []


def test_a_put_while_the_object_is_doomed_survives_its_removal(
    store: BucketObjectStore, bucket: InMemory, clock: ManualClock
) -> None:
    """A put that finds the mark of a collector keeps a spare, which readers find and a later collection counts once."""
    digest = store.put_bytes(b"wanted again").digest
    clock.advance(DAY_S + 1)

    def put_at_the_last_moment(keys: Sequence[str]) -> None:
        if main_key(digest) in keys:
            bucket.before_delete = lambda _keys: None
            store.put_bytes(b"wanted again")

    bucket.before_delete = put_at_the_last_moment
    collected = store.collect(nobody, grace_s=DAY_S)

    assert collected.n_removed == 1
    assert bucket.head(main_key(digest)) is None
    assert store.has(digest)
    assert store.size(digest) == 12
    assert store.get(digest, limit_bytes=12) == b"wanted again"
    assert b"".join(store.open(digest, start=7)) == b"again"
    assert list(store.verify()) == []
    assert store.collect(nobody, grace_s=DAY_S).n_young == 1
    clock.advance(DAY_S + 1)
    assert store.collect(nobody, grace_s=DAY_S).n_removed == 1
    assert not store.has(digest)
    clock.advance(DAY_S + 1)
    store.collect(nobody, grace_s=DAY_S)
    assert list(bucket.list("")) == []


def test_a_damaged_spare_is_found_when_it_is_all_there_is(store: BucketObjectStore, bucket: InMemory) -> None:
    """Verification reads a spare only where readers would."""
    digest = hash_bytes(b"right")
    bucket.put(f"{spare_folder(digest)}/one", b"wrong", size_bytes=5)

    assert [(problem.kind, problem.name) for problem in store.verify()] == [(ProblemKind.CORRUPT, digest)]
    with pytest.raises(ObjectCorrupt):
        store.get(digest, limit_bytes=5)
    store.put_bytes(b"right")
    assert list(store.verify()) == []


def test_marks_of_a_dead_collector_cost_a_spare_and_go_after_a_day(
    store: BucketObjectStore, bucket: InMemory, clock: ManualClock
) -> None:
    """A collector that was killed stands in nobody's way."""
    digest = hash_bytes(b"x")
    bucket.put(f"{doom_folder(digest)}/dead", b"", size_bytes=0)
    store.put_bytes(b"x")
    assert len(list(bucket.list("spares"))) == 1

    clock.advance(DAY_S + 1)
    planned = store.collect(set, grace_s=DAY_S, dry_run=True)
    assert (planned.n_temporary, len(list(bucket.list("doomed")))) == (1, 1)
    assert store.collect(set, grace_s=DAY_S).n_temporary == 1

    assert list(bucket.list("doomed")) == []
    assert store.has(digest)


def test_a_removal_without_an_answer_keeps_its_marks(
    store: BucketObjectStore, bucket: InMemory, clock: ManualClock
) -> None:
    """A removal may still come after its answer was lost; puts until then must know of it."""
    digest = store.put_bytes(b"x").digest
    clock.advance(2)

    def lose_the_answer(keys: Sequence[str]) -> None:
        if main_key(digest) in keys:
            raise Unavailable("no answer")

    bucket.before_delete = lose_the_answer
    with pytest.raises(Unavailable):
        store.collect(nobody, grace_s=1)

    assert len(list(bucket.list(doom_folder(digest)))) == 1


class Turns:
    """Lets two actors act on a bucket in a given order; when one is done the other goes on alone."""

    def __init__(self, order: Iterable[str]) -> None:
        self._order = deque(order)
        self._done: set[str] = set()
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, actor: str) -> Iterator[None]:
        with self._changed:
            assert self._changed.wait_for(lambda: self._next() in (actor, None), timeout=30)
            if self._order:
                self._order.popleft()
            yield
            self._changed.notify_all()

    def finish(self, actor: str) -> None:
        with self._changed:
            self._done.add(actor)
            self._changed.notify_all()

    def _next(self) -> str | None:
        while self._order and self._order[0] in self._done:
            self._order.popleft()
        return self._order[0] if self._order else None


class TakingTurns(StampedBucket):
    """A bucket whose every call waits for its actor's turn."""

    def __init__(self, bucket: InMemory, clock: ManualClock, turns: Turns, actor: str) -> None:
        super().__init__(bucket, clock)
        self._stamps = bucket._stamps
        self._turn = functools.partial(turns.taken, actor)

    def put(self, key: str, body: Body, *, size_bytes: int) -> None:
        with self._turn():
            super().put(key, body, size_bytes=size_bytes)

    def head(self, key: str) -> Stored | None:
        with self._turn():
            return super().head(key)

    def list(self, prefix: str) -> Iterator[Stored]:
        with self._turn():
            return iter([*super().list(prefix)])

    def delete(self, keys: Sequence[str]) -> None:
        with self._turn():
            super().delete(keys)


def test_no_order_of_calls_loses_a_put(tmp_path: Path) -> None:
    """However the calls of a put fall between those of a collection of the same bytes, the object is there."""
    n_collecting, n_putting = 12, 3
    for places in itertools.combinations(range(n_collecting + n_putting), n_putting):
        order = ["put" if n in places else "collect" for n in range(n_collecting + n_putting)]
        clock = ManualClock(START)
        bucket = InMemory(clock)
        digest = BucketObjectStore(bucket, spool=tmp_path).put_bytes(b"x").digest
        clock.advance(DAY_S + 1)
        turns = Turns(order)

        def act(
            actor: str, turns: Turns = turns, bucket: InMemory = bucket, clock: ManualClock = clock
        ) -> None:
            store = BucketObjectStore(TakingTurns(bucket, clock, turns, actor), spool=tmp_path)
            if actor == "put":
                store.put_bytes(b"x")
            else:
                store.collect(nobody, grace_s=DAY_S)
            turns.finish(actor)

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(act, ("put", "collect")))

        assert BucketObjectStore(bucket, spool=tmp_path).has(digest), order


def test_asks_about_many_objects(store: BucketObjectStore) -> None:
    """Questions about many digests are answered together, each digest once."""
    present = [store.put_bytes(bytes([n])).digest for n in range(40)]
    absent = [hash_bytes(bytes([n, n])) for n in range(40)]

    assert store.missing([*present, *absent, *absent]) == set(absent)


def test_foreign_keys_are_told_and_left_alone(store: BucketObjectStore, bucket: InMemory) -> None:
    """What is no object is named by verification and never removed."""
    bucket.put("objects/readme.txt", b"hello", size_bytes=5)

    [problem] = store.verify()
    assert problem.kind is ProblemKind.FOREIGN
    assert problem.name == "memory://test/objects/readme.txt"
    assert store.collect(nobody, grace_s=0).n_removed == 0
    assert bucket.head("objects/readme.txt") is not None


def test_an_object_that_goes_while_it_is_read_is_named(store: BucketObjectStore, bucket: InMemory) -> None:
    """A reader that is overtaken by a removal learns it, and does not take the beginning for the whole."""
    digest = store.put([pattern(2 * PIECE_BYTES)]).digest
    chunks = store.open(digest)
    bucket.delete([main_key(digest)])

    with pytest.raises(ObjectNotFound, match=digest):
        list(itertools.islice(chunks, 5))


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("… 404 Not Found: <Error><Code>NoSuchBucket</Code>", Unavailable, "There is no bucket for `s3://b`"),
        ("… 403 Forbidden: <Error><Code>SignatureDoesNotMatch</Code>", Unavailable, "SignatureDoesNotMatch"),
        ("… PUT http://169.254.169.254/latest/api/token - HTTP error", Unavailable, "credentials"),
        ("… 507: <Error><Code>InsufficientStorage</Code>", StorageFull, "No room is left in `s3://b`"),
        (
            "Generic S3 error: … in 1ms - HTTP error: error sending request\n\nDebug",
            Unavailable,
            "HTTP error",
        ),
    ],
)
def test_what_a_provider_refuses_is_named(text: str, kind: type[Unavailable], said: str) -> None:
    """Each refusal becomes an error that says what to mend."""
    error = bucket_error("s3://b", text)

    assert type(error) is kind
    assert said in error.message
    assert error.hint
    assert "Debug" not in error.message
