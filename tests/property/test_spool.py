"""Nothing that the spool acknowledged is lost, wherever a file was cut off and whenever the process died."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from noria.core.frames import frame, parse
from noria.serving.modelserver.spool import Spool

payloads = st.binary(min_size=1, max_size=40)


@given(st.lists(payloads, max_size=8), st.data())
def test_a_file_cut_at_any_byte_gives_a_prefix_of_its_records(
    records: list[bytes], data: st.DataObject
) -> None:
    """Exactly the records that are whole come back, in order, and nothing else."""
    whole = b"".join(frame(record) for record in records)
    cut = data.draw(st.integers(0, len(whole)))
    ends = [sum(len(frame(r)) for r in records[: n + 1]) for n in range(len(records))]

    found = parse(whole[:cut])

    assert found.records == records[: sum(end <= cut for end in ends)]
    assert not found.broken
    assert found.n_damaged == 0


@given(st.lists(payloads, min_size=1, max_size=5), st.data())
def test_a_flipped_bit_never_gives_a_record_that_was_not_written(
    records: list[bytes], data: st.DataObject
) -> None:
    """Damage costs records, but invents none."""
    damaged = bytearray(b"".join(frame(record) for record in records))
    bit = data.draw(st.integers(0, 8 * len(damaged) - 1))
    damaged[bit // 8] ^= 1 << bit % 8

    found = parse(bytes(damaged)).records

    assert set(found) <= set(records)
    assert len(found) < len(records)


class SpoolMachine(RuleBasedStateMachine):
    """A spool that is written, read, acknowledged, closed, killed and cut, against a list."""

    @initialize(segment_bytes=st.integers(1, 200), max_bytes=st.sampled_from([300, 1 << 20]))
    def open(self, segment_bytes: int, max_bytes: int) -> None:
        self.temporary = tempfile.TemporaryDirectory()
        self.folder = Path(self.temporary.name)
        self.segment_bytes, self.max_bytes = segment_bytes, max_bytes
        self.spool = self.start()
        self.waiting: list[bytes] = []
        self.taken: list[bytes] = []

    def start(self) -> Spool:
        return Spool(self.folder, segment_bytes=self.segment_bytes, max_bytes=self.max_bytes)

    @rule(payload=payloads)
    def append(self, payload: bytes) -> None:
        before = self.spool.n_dropped
        if self.spool.append(payload):
            self.waiting.append(payload)
        else:
            assert self.spool.n_dropped == before + 1
            assert self.spool.size_bytes + len(frame(payload)) > self.max_bytes

    @rule(n=st.integers(1, 4), max_bytes=st.integers(1, 100))
    def take(self, n: int, max_bytes: int) -> None:
        batch = self.spool.read(max_records=n, max_bytes=max_bytes)
        if batch is None:
            assert self.waiting == []
            return
        assert batch.records
        assert batch.records == self.waiting[: len(batch.records)]
        self.spool.acknowledge(batch.end)
        self.taken += batch.records
        del self.waiting[: len(batch.records)]

    @rule()
    def read_without_acknowledging(self) -> None:
        first, second = self.spool.read(), self.spool.read()
        assert first == second

    @rule(torn=st.integers(0, 8))
    def die_and_start_again(self, torn: int) -> None:
        """The next owner finds at least what waited, perhaps some of what was acknowledged before."""
        if torn:
            active = self.folder / f"{self.spool.end.segment:012d}.seg"
            with active.open("ab") as file:
                file.write(frame(b"never acknowledged")[:torn])
        self.spool = self.start()
        found: list[bytes] = []
        while (batch := self.spool.read()) is not None:
            found += batch.records
            self.spool.acknowledge(batch.end)
        again = len(found) - len(self.waiting)
        assert again >= 0
        assert found[again:] == self.waiting
        assert found[:again] == self.taken[len(self.taken) - again :]
        self.taken += self.waiting
        self.waiting = []

    @invariant()
    def size_is_what_lies_on_disk(self) -> None:
        on_disk = sum(path.stat().st_size for path in self.folder.glob("*.seg"))
        assert self.spool.size_bytes <= on_disk <= self.spool.size_bytes + 8
        assert self.spool.is_empty == (self.waiting == [])
        assert self.spool.waiting_bytes == sum(len(frame(record)) for record in self.waiting)

    def teardown(self) -> None:
        if hasattr(self, "spool"):
            self.spool.close()
            self.temporary.cleanup()


SpoolMachine.TestCase.settings = settings(
    max_examples=max(40, settings().max_examples // 2), stateful_step_count=25
)
TestSpool = SpoolMachine.TestCase
