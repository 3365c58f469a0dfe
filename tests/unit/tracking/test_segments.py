"""The file of one run in the spool."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from noria.core.errors import Corrupt, NotFound, StorageFull
from noria.core.objects.store import SourceUnusable
from noria.tracking.entities import NewRun
from noria.tracking.frames import Opened, Params, Points, Tags
from noria.tracking.segments import KEEP_BYTES, Segment, peek
from support.disks import tiny_disk

RUN = "0" * 31 + "1"


def opened(*, known: bool = True) -> Opened:
    return Opened(
        project="default", run_id=RUN, new=None if known else NewRun(id=RUN), known=known, process=os.getpid()
    )


@pytest.fixture
def segment(tmp_path: Path) -> Segment:
    return Segment.create(tmp_path, opened())


def test_records_are_read_in_order(segment: Segment) -> None:
    """What was appended comes back, until it is acknowledged."""
    first, second = Params({"a": "1"}), Tags({"t": None})
    segment.append([first])
    segment.append([second, Points(("m",), b"x" * 24)])
    batch = segment.read()

    assert [record for record, _ in batch.records] == [first, second, Points(("m",), b"x" * 24)]
    segment.acknowledge(batch.records[0][1])
    assert segment.read().records[0][0] == second
    segment.acknowledge(batch.records[-1][1])
    assert segment.read().records == []
    assert segment.waiting_bytes == 0


def test_a_run_that_the_service_does_not_know_is_told_first(tmp_path: Path) -> None:
    """Then the first record is one that waits."""
    segment = Segment.create(tmp_path, opened(known=False))

    assert not segment.is_known
    ((record, end),) = segment.read().records
    assert record == opened(known=False)
    segment.acknowledge(end)
    assert segment.is_known


def test_a_long_segment_is_emptied_when_all_was_sent(segment: Segment) -> None:
    """A run of weeks does not fill the disk; what comes afterwards is there."""
    segment.append([Tags({"t": "x" * KEEP_BYTES})])
    size = segment.path.stat().st_size
    segment.acknowledge(segment.read().records[-1][1])
    segment.append([Params({"a": "1"})])

    assert segment.path.stat().st_size < size / 100
    assert [record for record, _ in segment.read().records] == [Params({"a": "1"})]


def test_a_record_longer_than_a_reading_is_read(segment: Segment) -> None:
    """The bound of a reading is no bound of a record."""
    segment.append([Tags({"t": "x" * 10_000})])

    assert len(segment.read(limit_bytes=100).records) == 1


def test_only_its_owner_reads_it(segment: Segment) -> None:
    """Neither the file nor those beside it are for others."""
    segment.keep_bytes(b"secret")
    places = [segment.path, *segment.path.with_suffix(".files").iterdir()]

    assert [stat.S_IMODE(place.stat().st_mode) for place in places] == [0o600, 0o600]


def test_who_holds_a_segment_keeps_it(segment: Segment) -> None:
    """Nobody claims the segment of a living process; a released one goes to the first who asks."""
    segment.append([Params({"a": "1"})])
    assert Segment.claim(segment.path) is None
    assert peek(segment.path) == segment.opened
    segment.release()
    claimed = Segment.claim(segment.path)

    assert claimed is not None
    assert Segment.claim(segment.path) is None
    assert (claimed.opened, [record for record, _ in claimed.read().records]) == (
        segment.opened,
        [Params({"a": "1"})],
    )
    claimed.remove()
    assert Segment.claim(segment.path) is None
    assert peek(segment.path) is None


def test_a_child_made_by_fork_holds_nothing(segment: Segment) -> None:
    """The lock dies with the process that took it, whatever children it had."""
    (begun, begin), (stopped, stop) = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover - the other process
        os.close(stop)
        os.write(begin, b"x")
        os.read(stopped, 1)
        os._exit(0)
    try:
        os.read(begun, 1)
        segment.release()
        claimed = Segment.claim(segment.path)
    finally:
        os.close(stop)
        os.waitpid(child, 0)
        for descriptor in (begun, begin, stopped):
            os.close(descriptor)

    assert claimed is not None


def test_files_lie_beside_it_until_it_is_removed(segment: Segment, tmp_path: Path) -> None:
    """A copy is taken at once: the original may change or go."""
    source = tmp_path / "model.bin"
    source.write_bytes(b"weights")
    kept = segment.file(segment.keep_file(source))
    made = segment.file(segment.keep_bytes(b"plot"))
    source.unlink()

    assert (kept.read_bytes(), made.read_bytes()) == (b"weights", b"plot")
    segment.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_read_leaves_nothing(segment: Segment, tmp_path: Path) -> None:
    """Its reason is told."""
    with pytest.raises((SourceUnusable, NotFound)):
        segment.keep_file(tmp_path)

    assert list(segment.path.with_suffix(".files").iterdir()) == []


def test_what_is_no_segment_is_told_from_one(tmp_path: Path) -> None:
    """A foreign file is never sent, and never deleted."""
    path = tmp_path / f"{RUN}-1.spool"
    path.write_bytes(b"something else entirely")
    with pytest.raises(Corrupt, match="does not say which run"):
        Segment.claim(path)

    assert path.exists()


def test_a_full_disk_costs_no_record_before_it(tmp_path: Path) -> None:
    """What did not fit was not written in part either, and later records follow whole ones."""
    with tiny_disk(tmp_path / "disk", "size=64k") as disk:
        segment = Segment.create(disk, opened())
        segment.append([Params({"a": "1"})])
        with pytest.raises(StorageFull, match="full"):
            segment.append([Tags({"t": "x" * 100_000})])
        with pytest.raises(StorageFull):
            segment.keep_bytes(b"x" * 100_000)
        segment.append([Params({"b": "2"})])
        records = [record for record, _ in segment.read().records]
        segment.remove()

    assert records == [Params({"a": "1"}), Params({"b": "2"})]
