"""Nothing that the spool acknowledged is lost, wherever a file was cut off and whenever the process died."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from noria.core.frames import frame, parse
from noria.serving.modelserver.spool import Claim, Spool, disk_bytes, segment_path, try_lock
from noria.serving.modelserver.spool_reader import SpoolReader, adopt

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
        self.temporary = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.folder = Path(self.temporary.name)
        self.segment_bytes, self.max_bytes = segment_bytes, max_bytes
        self.waiting: list[bytes] = []
        self.start()

    def start(self) -> None:
        lock = try_lock(self.folder / "lock")
        assert lock is not None
        self.writer = Claim(self.folder, lock)
        self.spool = Spool(
            self.folder, segment_bytes=self.segment_bytes, max_bytes=self.max_bytes, look_every_s=0
        )
        self.reader = self.new_reader()

    def new_reader(self) -> SpoolReader:
        reader = adopt(self.folder)
        assert reader is not None
        return reader

    @rule(payload=payloads)
    def append(self, payload: bytes) -> None:
        before = self.spool.n_dropped
        if self.spool.append(payload):
            self.waiting.append(payload)
        else:
            assert self.spool.n_dropped == before + 1
            assert disk_bytes(self.folder) + len(frame(payload)) > self.max_bytes

    @rule(n=st.integers(1, 4), max_bytes=st.integers(1, 100))
    def take(self, n: int, max_bytes: int) -> None:
        batch = self.reader.read(max_records=n, max_bytes=max_bytes)
        if batch is None:
            assert self.waiting == []
            return
        assert batch.records
        assert batch.records == self.waiting[: len(batch.records)]
        self.reader.acknowledge(batch.end)
        del self.waiting[: len(batch.records)]

    @rule()
    def read_without_acknowledging(self) -> None:
        first, second = self.reader.read(), self.reader.read()
        assert first == second

    @rule()
    def the_reader_is_replaced(self) -> None:
        """The next one goes on where the last one was."""
        self.reader.close()
        self.reader = self.new_reader()

    @rule(torn=st.integers(0, 8))
    def the_writer_dies(self, torn: int) -> None:
        """All that waited is found, and the folder goes; another writer begins."""
        place = self.spool.end
        if torn and segment_path(self.folder, place.segment).exists():
            with segment_path(self.folder, place.segment).open("r+b") as file:
                file.seek(place.offset)
                file.write(frame(b"never acknowledged")[:torn])
        self.writer.release()
        found: list[bytes] = []
        while (batch := self.reader.read()) is not None:
            found += batch.records
            self.reader.acknowledge(batch.end)
        assert found == self.waiting
        self.waiting = []
        self.reader.close()
        assert not self.folder.exists()
        self.folder.mkdir()
        self.start()

    @invariant()
    def what_waits_is_counted(self) -> None:
        assert self.reader.waiting_bytes == sum(len(frame(record)) for record in self.waiting)
        assert disk_bytes(self.folder) >= self.reader.waiting_bytes

    def teardown(self) -> None:
        if hasattr(self, "spool"):
            self.spool.close()
            self.writer.release()
            self.reader.close()
            self.temporary.cleanup()


SpoolMachine.TestCase.settings = settings(
    max_examples=max(40, settings().max_examples // 2), stateful_step_count=25
)
TestSpool = SpoolMachine.TestCase
