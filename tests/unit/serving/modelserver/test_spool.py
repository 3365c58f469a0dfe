"""The queue on disk between answering and handing on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from noria.core.errors import TooLarge
from noria.core.frames import MAX_RECORD_BYTES, frame
from noria.serving.modelserver.spool import Spool, claim, claim_abandoned


def _drain(spool: Spool) -> list[bytes]:
    found = []
    while (batch := spool.read()) is not None:
        found += batch.records
        spool.acknowledge(batch.end)
    return found


def test_a_spool_gives_back_what_was_appended(tmp_path: Path) -> None:
    """In order, and once when it was acknowledged."""
    spool = Spool(tmp_path, segment_bytes=50)
    records = [f"record {n}".encode() for n in range(20)]
    for record in records:
        assert spool.append(record)

    assert _drain(spool) == records
    assert _drain(spool) == []
    spool.close()


def test_acknowledged_segments_are_deleted(tmp_path: Path) -> None:
    """The disk holds what still waits, and at most one segment more."""
    spool = Spool(tmp_path, segment_bytes=50)
    for _ in range(100):
        spool.append(b"x" * 30)
    _drain(spool)
    spool.close()

    assert spool.size_bytes == 0
    assert list(tmp_path.glob("*.seg")) == []


def test_a_full_spool_drops_and_counts(tmp_path: Path) -> None:
    """Serving goes on; what does not fit is counted, and there is room again once something was handed on."""
    spool = Spool(tmp_path, max_bytes=100, segment_bytes=40)

    assert [spool.append(b"x" * 32) for _ in range(4)] == [True, True, False, False]
    assert spool.n_dropped == 2
    _drain(spool)
    assert spool.append(b"x" * 32)
    spool.close()


def test_a_record_longer_than_a_read_is_given_alone(tmp_path: Path) -> None:
    """The size of a read is a wish, not a limit of records."""
    spool = Spool(tmp_path)
    spool.append(b"a" * 5000)
    spool.append(b"b")

    batch = spool.read(max_bytes=100)

    assert batch is not None
    assert batch.records == [b"a" * 5000]
    spool.close()


def test_records_have_a_size(tmp_path: Path) -> None:
    """Nothing and too much are refused before anything is written."""
    spool = Spool(tmp_path)
    for payload in (b"", bytes(MAX_RECORD_BYTES + 1)):
        with pytest.raises(TooLarge):
            spool.append(payload)

    assert spool.is_empty


def test_a_damaged_record_costs_only_itself(tmp_path: Path) -> None:
    """A bit that flipped on the disk is found, counted and skipped."""
    spool = Spool(tmp_path)
    for record in (b"one", b"two", b"three"):
        spool.append(record)
    (path,) = tmp_path.glob("*.seg")
    data = bytearray(path.read_bytes())
    data[len(frame(b"one")) + 9] ^= 1
    path.write_bytes(data)

    assert _drain(spool) == [b"one", b"three"]
    assert spool.n_damaged == 1
    spool.close()


def test_a_length_that_cannot_be_true_ends_the_segment(tmp_path: Path) -> None:
    """Garbage is not followed; later segments are read."""
    (tmp_path / "000000000001.seg").write_bytes(frame(b"good") + b"\xff" * 30)
    (tmp_path / "000000000002.seg").write_bytes(frame(b"better"))
    spool = Spool(tmp_path)

    assert _drain(spool) == [b"good", b"better"]
    assert spool.n_damaged == 1


def test_a_disk_that_refuses_leaves_no_half_record(tmp_path: Path) -> None:
    """A write that the system cut short is taken back, and the next record is read whole."""
    program = f"""
import resource, signal
from pathlib import Path
from noria.serving.modelserver.spool import Spool
spool = Spool(Path({str(tmp_path)!r}))
assert spool.append(b"a" * 50)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
assert not spool.append(b"b" * 50)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert spool.append(b"c" * 50)
assert spool.n_dropped == 1
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)

    assert _drain(Spool(tmp_path)) == [b"a" * 50, b"c" * 50]


def test_only_folders_of_dead_owners_are_taken_over(tmp_path: Path) -> None:
    """A lock that dies with its process tells the living from the dead."""
    mine = claim(tmp_path)
    program = f"""
from pathlib import Path
from noria.serving.modelserver.spool import Spool, claim
import os
held = claim(Path({str(tmp_path)!r}))
Spool(held.folder).append(b"left behind")
os._exit(9)
"""
    subprocess.run([sys.executable, "-c", program], check=False, timeout=60)

    found = list(claim_abandoned(tmp_path))

    assert len(found) == 1
    assert found[0].folder != mine.folder
    assert _drain(Spool(found[0].folder)) == [b"left behind"]
    assert list(claim_abandoned(tmp_path)) == []
    found[0].remove()
    assert not found[0].folder.exists()
    mine.release()
    assert [claimed.folder for claimed in claim_abandoned(tmp_path)] == [mine.folder]


def test_a_durable_spool_works_the_same(tmp_path: Path) -> None:
    """Waiting for the disk changes nothing about what is read."""
    spool = Spool(tmp_path, durable=True)
    spool.append(b"label")

    assert _drain(spool) == [b"label"]
    spool.close()
