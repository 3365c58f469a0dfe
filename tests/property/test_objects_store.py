"""Any interleaving of puts, references, collections, damage and time keeps what is referred to."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import hypothesis.strategies as st
from hypothesis import given, settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from noria.core.clock import ManualClock, SystemClock
from noria.core.objects.digests import hash_bytes
from noria.core.objects.index import Index
from noria.core.objects.intake import Intake
from noria.core.objects.local import LocalObjectStore
from noria.core.objects.store import ProblemKind
from support.stores import flip_first_byte, loose_path

GRACE_S = 100.0


def content(n: int) -> bytes:
    """Give one of a few contents: none, small ones, and a large one."""
    return bytes([n]) * (n * 40_000 if n < 8 else 1_700_000)


class Death(BaseException):
    """What a process meets that is killed."""


class DyingIndex(Index):
    """An index whose process dies as it begins to write."""

    def writing(self) -> NoReturn:
        raise Death


class DyingStore(LocalObjectStore):
    """A store whose process dies as it makes a batch known."""

    def _intake(self) -> Intake:
        return Intake(self._layout, DyingIndex(self._layout, self._now_ns), self._examiner, self._now_ns)


class Collecting(RuleBasedStateMachine):
    """The store against a model: the time of each object's last put, and the set of references.

    A reference is made within the grace period of a put, or beside another one, as the contract demands.
    """

    put_digests: Bundle[str] = Bundle("put_digests")

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.clock = ManualClock(datetime(2026, 3, 1, tzinfo=UTC))
        self.stores = [LocalObjectStore(self.folder / "store", self.clock) for _ in range(2)]
        self.content: dict[str, bytes] = {}
        self.put_at: dict[str, float] = {}
        self.references: set[str] = set()

    @rule(target=put_digests, n=st.integers(0, 8), way=st.integers(0, 4), which=st.integers(0, 1))
    def put(self, n: int, way: int, which: int) -> str:
        """Put one of a few contents in one of the ways."""
        data, store = content(n), self.stores[which]
        if way == 0:
            digest = store.put_bytes(data).digest
        elif way == 1:
            digest = store.put([data[:10], data[10:]]).digest
        elif way == 2:
            digest = store.put(iter([data]), expected=hash_bytes(data)).digest
        else:
            path = self.folder / "file"
            path.write_bytes(data)
            digest = store.put_file(path).digest if way == 3 else store.put_files([path, path])[1].digest
        self.content[digest] = data
        self.put_at[digest] = self.clock.monotonic()
        return digest

    @rule(digest=put_digests)
    def refer(self, digest: str) -> None:
        """Refer to what was put within the grace period, or is referred to already."""
        if self._is_kept(digest):
            self.references.add(digest)

    @rule(digest=put_digests)
    def let_go(self, digest: str) -> None:
        """Drop a reference."""
        self.references.discard(digest)

    @rule(seconds=st.sampled_from([0.001, GRACE_S / 2, GRACE_S, GRACE_S + 0.001]))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.advance(seconds)

    @rule(which=st.integers(0, 1), dry_run=st.booleans())
    def collect(self, which: int, dry_run: bool) -> None:
        """Collect: exactly what is old and not referred to goes, and everything is counted."""
        store = self.stores[which]
        before = {digest for digest in self.content if store.has(digest)}
        doomed = {digest for digest in before if not self._is_kept(digest)}

        counted = store.collect(
            lambda digests: self.references & set(digests), grace_s=GRACE_S, dry_run=dry_run
        )

        assert (counted.n_removed, counted.removed_bytes) == (
            len(doomed),
            sum(len(self.content[digest]) for digest in doomed),
        )
        assert counted.n_live + counted.n_young == len(before) - len(doomed)
        assert store.missing(before) == (set() if dry_run else doomed)

    @rule(which=st.integers(0, 1), again=st.integers(0, 8))
    def collect_while_putting(self, which: int, again: int) -> None:
        """Put an object between the collector's question and its removal, through the other instance."""

        def is_live(digests: list[str]) -> set[str]:
            self.put(again, 0, 1 - which)
            return self.references & set(digests)

        self.stores[which].collect(is_live, grace_s=GRACE_S)

    @rule(digest=consumes(put_digests))
    def damage_and_mend(self, digest: str) -> None:
        """Damage an object that is there: verification names it alone, and a put mends it."""
        if not self.stores[0].has(digest) or not self.content[digest]:
            return
        flip_first_byte(self.folder / "store", digest)
        assert [(p.kind, p.name) for p in self.stores[0].verify()] == [(ProblemKind.CORRUPT, digest)]
        self.stores[1].put_bytes(self.content[digest])
        self.put_at[digest] = self.clock.monotonic()

    @rule(way=st.sampled_from(["lost", "cut", "other"]))
    def lose_the_index(self, way: str) -> None:
        """Lose or damage the index: it is made anew from the packs, and everything in them is young then."""
        place = self.folder / "store" / "index.db"
        if not place.exists():
            return
        if way == "lost":
            place.unlink()
        else:
            self.stores = []  # nobody has it open who would not see that
            place.write_bytes(b"" if way == "cut" else b"no index at all" * 1000)
            self.stores = [LocalObjectStore(self.folder / "store", self.clock) for _ in range(2)]
        self._made_young()

    @rule(n=st.integers(0, 8), which=st.integers(0, 1))
    def die_while_publishing(self, n: int, which: int) -> None:
        """Die after a pack got its name and before it was made known: whoever opens the store next reads it in."""
        data = content(n)
        path = self.folder / "file"
        path.write_bytes(data)
        digest = hash_bytes(data)
        was_there = self.stores[which].has(digest)
        with contextlib.suppress(Death):
            DyingStore(self.folder / "store", self.clock).put_files([path])
        self.content[digest] = data
        self.stores[which] = LocalObjectStore(self.folder / "store", self.clock)
        assert self.stores[which].missing([digest]) == set()  # the question has the pack read in
        if not was_there or loose_path(self.folder / "store", digest).exists():
            self.put_at[digest] = self.clock.monotonic()

    def _made_young(self) -> None:
        """Take everything in packs for young from now on, as far as the model goes."""
        for digest in self.content:
            if self.stores[0].has(digest) and not loose_path(self.folder / "store", digest).exists():
                self.put_at[digest] = self.clock.monotonic()

    @invariant()
    def what_is_kept_is_whole(self) -> None:
        """Everything referred to, or put within the grace period, is there byte for byte, and all is well."""
        store = self.stores[0]
        for digest, data in self.content.items():
            if self._is_kept(digest):
                assert store.get(digest, limit_bytes=len(data)) == data
        assert list(store.verify()) == []

    def _is_kept(self, digest: str) -> bool:
        age_s = self.clock.monotonic() - self.put_at[digest]
        # The clock counts microseconds, so an age at the very edge is decided as the store does.
        return digest in self.references or round(age_s, 6) <= GRACE_S

    def teardown(self) -> None:
        """Remove the store."""
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)


# Each example writes to disk, so they are fewer than usual, and shorter; a soak run raises both numbers.
Collecting.TestCase.settings = settings(
    max_examples=settings().max_examples // 4,
    stateful_step_count=settings().stateful_step_count // 2,
)
TestCollecting = Collecting.TestCase


@settings(max_examples=settings().max_examples // 3)
@given(chunks=st.lists(st.binary(max_size=2000) | st.just(bytes(300_000)), max_size=6), data=st.data())
def test_any_chunks_and_any_part(chunks: list[bytes], data: st.DataObject) -> None:
    """However bytes are cut into chunks, the object is their sum, and every part is its slice."""
    whole = b"".join(chunks)
    with tempfile.TemporaryDirectory() as name:
        store = LocalObjectStore(Path(name) / "store", SystemClock())
        info = store.put(chunks)
        start = data.draw(st.integers(0, len(whole)))
        length = data.draw(st.none() | st.integers(0, len(whole) + 5))
        part = b"".join(store.open(info.digest, start=start, length=length))

    assert (info.digest, info.size_bytes) == (hash_bytes(whole), len(whole))
    assert part == whole[start : None if length is None else start + length]
