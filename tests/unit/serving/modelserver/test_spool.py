"""The queue on disk between answering and handing on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from noria.core.errors import TooLarge
from noria.core.frames import MAX_RECORD_BYTES, frame
from noria.serving.modelserver.spool import Claim, Place, Spool, claim, disk_bytes, segment_path, segments_of
from noria.serving.modelserver.spool_reader import SpoolReader, adopt, read_mark


def _reader(folder: Path) -> SpoolReader:
    reader = adopt(folder)
    assert reader is not None
    return reader


def _drain(reader: SpoolReader) -> list[bytes]:
    found = []
    while (batch := reader.read()) is not None:
        found += batch.records
        reader.acknowledge(batch.end)
    return found


@pytest.fixture
def held(tmp_path: Path) -> Claim:
    """Give a folder that this process holds."""
    return claim(tmp_path / "spools")


def test_a_spool_gives_back_what_was_appended(held: Claim) -> None:
    """In order, and once when it was acknowledged; the disk holds what still waits and one segment more."""
    spool, reader = Spool(held.folder, segment_bytes=50), _reader(held.folder)
    records = [f"record {n}".encode() for n in range(20)]
    for record in records:
        assert spool.append(record)

    assert _drain(reader) == records
    assert _drain(reader) == []
    assert len(segments_of(held.folder)) == 1
    assert reader.waiting_bytes == 0
    spool.close()


def test_the_next_reader_goes_on_where_the_last_one_was(held: Claim) -> None:
    """How far it was read is noted beside the records, for the next reader and for whoever waits."""
    spool, reader = Spool(held.folder), _reader(held.folder)
    for record in (b"one", b"two", b"three"):
        spool.append(record)
    batch = reader.read(max_records=2)
    assert batch is not None
    reader.acknowledge(batch.end)
    reader.note_failure()
    assert adopt(held.folder) is None
    reader.close()

    following = _reader(held.folder)

    assert following.acknowledged == batch.end
    assert _drain(following) == [b"three"]
    mark = read_mark(held.folder)
    assert mark is not None
    assert (mark.place, mark.n_failures) == (spool.end, 1)


@pytest.mark.parametrize("durable", [False, True])
def test_long_and_short_records_come_back_in_their_order(held: Claim, *, durable: bool) -> None:
    """However a record is written, the reader finds what was acknowledged, also while the segment is written on."""
    spool, reader = Spool(held.folder, segment_bytes=1 << 16, durable=durable), _reader(held.folder)
    records = [
        bytes([n]) * length for n, length in enumerate((10, 8_000, 8_192, 20_000, 3, 70_000, 9_000, 1))
    ]
    for n, record in enumerate(records):
        assert spool.append(record)
        if n == 4:
            assert _drain(reader) == records[:5]

    assert _drain(reader) == records[5:]
    spool.close()


@pytest.mark.parametrize("n_parts", [1, 3, 2_500])
@pytest.mark.parametrize("part_bytes", [1, 30, 9_000])
def test_a_record_in_parts_is_their_bytes_one_after_the_other(
    held: Claim, n_parts: int, part_bytes: int
) -> None:
    """Bytes and views of memory, few or more than one call of the system takes; records before and after are whole."""
    parts: list[bytes | memoryview] = [
        memoryview(bytearray([n % 251]) * part_bytes) if n % 2 else bytes([n % 251]) * part_bytes
        for n in range(n_parts)
    ]
    spool = Spool(held.folder, segment_bytes=1 << 16)

    assert [spool.append(b"before"), spool.append(parts), spool.append(b"after")] == [True] * 3

    assert _drain(_reader(held.folder)) == [b"before", b"".join(parts), b"after"]
    spool.close()


def test_a_disk_that_refuses_a_long_record_costs_that_record_alone(held: Claim) -> None:
    """It is dropped and counted, and what comes before and after it is there."""
    spool = Spool(held.folder)
    assert spool.append(b"before")
    (path,) = held.folder.glob("*.seg")
    opened = next(int(fd.name) for fd in Path("/proc/self/fd").iterdir() if fd.exists() and fd.samefile(path))
    kept, only_read = os.dup(opened), os.open(path, os.O_RDONLY)
    os.dup2(only_read, opened)
    try:
        assert not spool.append(b"x" * 20_000)
    finally:
        os.dup2(kept, opened)
        os.close(kept)
        os.close(only_read)

    assert (spool.n_dropped, spool.append(b"after")) == (1, True)
    assert _drain(_reader(held.folder)) == [b"before", b"after"]
    spool.close()


def test_a_full_spool_drops_and_counts(held: Claim) -> None:
    """Serving goes on; what does not fit is counted, and there is room again once something was handed on."""
    spool = Spool(held.folder, max_bytes=100, look_every_s=0)

    assert [spool.append(b"x" * 32) for _ in range(4)] == [True, True, False, False]
    assert (spool.n_dropped, spool.is_full) == (2, True)
    assert disk_bytes(held.folder) <= 100
    _drain(_reader(held.folder))
    assert spool.append(b"x" * 32)
    assert not spool.is_full
    spool.close()


def test_spools_share_their_bound(held: Claim) -> None:
    """What another worker keeps, or left, counts."""
    root = held.folder.parent
    other = claim(root)
    Spool(other.folder, max_bytes=100).append(b"x" * 80)
    spool = Spool(held.folder, max_bytes=100, among=root, look_every_s=0)

    assert not spool.append(b"x" * 32)
    _drain(_reader(other.folder))
    other.remove()
    assert spool.append(b"x" * 32)


def test_a_record_longer_than_a_read_is_given_alone(held: Claim) -> None:
    """The size of a read is a wish, not a limit of records."""
    spool = Spool(held.folder)
    spool.append(b"a" * 5000)
    spool.append(b"b")

    batch = _reader(held.folder).read(max_bytes=100)

    assert batch is not None
    assert batch.records == [b"a" * 5000]
    spool.close()


def test_records_have_a_size(held: Claim) -> None:
    """Nothing and too much are refused before anything is written."""
    spool = Spool(held.folder)
    for payload in (b"", bytes(MAX_RECORD_BYTES + 1)):
        with pytest.raises(TooLarge):
            spool.append(payload)

    assert spool.end.offset == 0


def test_a_damaged_record_costs_only_itself(held: Claim) -> None:
    """A bit that flipped on the disk is found, counted and skipped."""
    spool, reader = Spool(held.folder), _reader(held.folder)
    for record in (b"one", b"two", b"three"):
        spool.append(record)
    (path,) = held.folder.glob("*.seg")
    data = bytearray(path.read_bytes())
    data[len(frame(b"one")) + 9] ^= 1
    path.write_bytes(data)

    assert _drain(reader) == [b"one", b"three"]
    assert reader.n_damaged == 1
    spool.close()


def test_a_length_that_cannot_be_true_ends_the_segment(tmp_path: Path) -> None:
    """Garbage is not followed; later segments are read, and a folder that nobody writes is deleted at the end."""
    folder = tmp_path / "left"
    folder.mkdir()
    (folder / "000000000001.seg").write_bytes(frame(b"good") + b"\xff" * 30)
    (folder / "000000000002.seg").write_bytes(frame(b"better") + frame(b"torn")[:-1])
    reader = _reader(folder)

    assert _drain(reader) == [b"good", b"better"]
    assert reader.n_damaged == 1
    reader.close()
    assert not folder.exists()


def test_a_disk_that_refuses_leaves_no_half_record(tmp_path: Path) -> None:
    """A write that the system cut short is taken back, and the next record is read whole."""
    program = f"""
import resource, signal
from pathlib import Path
from noria.serving.modelserver.spool import Spool
spool = Spool(Path({str(tmp_path)!r}), segment_bytes=60)
assert spool.append(b"a" * 50)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
assert not spool.append(b"b" * 120)
assert spool.append(b"d" * 50)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert spool.append(b"c" * 50)
assert spool.n_dropped == 1
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)

    assert _drain(_reader(tmp_path)) == [b"a" * 50, b"d" * 50, b"c" * 50]


def test_the_living_are_told_from_the_dead(tmp_path: Path) -> None:
    """A lock that dies with its process says whether a torn end may still be completed."""
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
    (left,) = {folder for folder in tmp_path.iterdir() if folder != mine.folder}

    living, dead = _reader(mine.folder), _reader(left)

    assert (living.is_abandoned(), dead.is_abandoned()) == (False, True)
    assert _drain(dead) == [b"left behind"]
    dead.close()
    living.close()
    assert list(tmp_path.iterdir()) == [mine.folder]


def test_the_room_of_a_segment_is_no_record(held: Claim) -> None:
    """Room that is taken and not yet written is neither read nor counted, and is given back at the end."""
    spool, reader = Spool(held.folder, segment_bytes=1000, max_bytes=1 << 20), _reader(held.folder)
    spool.append(b"one")

    assert disk_bytes(held.folder) == 1000
    assert reader.waiting_bytes == len(frame(b"one"))
    assert _drain(reader) == [b"one"]
    assert reader.read() is None
    spool.append(b"two")
    assert _drain(reader) == [b"two"]
    spool.close()
    assert disk_bytes(held.folder) == len(frame(b"one") + frame(b"two"))
    held.release()
    assert (reader.is_abandoned(), reader.is_empty(), reader.n_damaged) == (True, True, 0)


def test_what_little_is_left_of_a_segment_stays_and_is_no_record(held: Claim) -> None:
    """To cut a segment takes longer than to keep a record; zeros behind the last one are its end."""
    records = [b"a" * 52, b"b" * 32, b"c" * 52, b"d" * 2]
    spool, reader = Spool(held.folder, segment_bytes=105), _reader(held.folder)
    for record in records:
        assert spool.append(record)
    spool.close()

    sizes = [segment_path(held.folder, number).stat().st_size for number in segments_of(held.folder)]
    assert sizes == [105, len(frame(records[2]) + frame(records[3]))]
    assert _drain(reader) == records
    assert (reader.waiting_bytes, reader.n_damaged) == (0, 0)


def test_a_segment_of_long_records_has_room_for_many(held: Claim) -> None:
    """To begin one takes as long as to keep some records; what it does not hold in the end is given back."""
    spool = Spool(held.folder, segment_bytes=1 << 14)
    long = b"x" * (1 << 14)
    for _ in range(3):
        assert spool.append(long)

    assert segments_of(held.folder) == [1]
    spool.close()
    assert disk_bytes(held.folder) == 3 * len(frame(long))


def test_a_spool_of_an_older_release_is_read(tmp_path: Path) -> None:
    """Without a note of how far they are written, segments are written as far as they go."""
    folder = tmp_path / "older"
    folder.mkdir()
    (folder / "000000000001.seg").write_bytes(frame(b"one"))
    (folder / "000000000002.seg").write_bytes(frame(b"two") + frame(b"three"))
    reader = _reader(folder)

    assert reader.waiting_bytes == len(frame(b"one") + frame(b"two") + frame(b"three"))
    assert _drain(reader) == [b"one", b"two", b"three"]


def test_a_durable_spool_works_the_same(held: Claim) -> None:
    """Waiting for the disk changes nothing about what is read."""
    spool = Spool(held.folder, durable=True)
    spool.append(b"label")

    assert spool.end == Place(1, len(frame(b"label")))
    assert _drain(_reader(held.folder)) == [b"label"]
    spool.close()
