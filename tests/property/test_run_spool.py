"""Nothing that stands whole in a run's spool is lost, wherever its file was cut off or damaged."""

from __future__ import annotations

import struct
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.core.errors import Invalid
from noria.tracking.buffer import PointBuffer
from noria.tracking.frames import Linked, Opened, Params, Points, Record, Tags
from noria.tracking.gathering import columns_of
from noria.tracking.segments import Segment

RUN = "0" * 31 + "1"
OPENED = Opened(project="default", run_id=RUN, new=None, known=True, process=1)

texts = st.text(max_size=20)
records = st.one_of(
    st.builds(Params, st.dictionaries(texts, texts, max_size=3)),
    st.builds(Tags, st.dictionaries(texts, st.none() | texts, max_size=3)),
    st.builds(Linked, st.sampled_from(["inputs", "outputs"]), texts, texts),
    st.builds(Points, st.tuples(texts), st.binary(max_size=60)),
)


def read_all(segment: Segment) -> list[Record]:
    """Read and acknowledge until nothing more can be read."""
    found: list[Record] = []
    while batch := segment.read(limit_bytes=50).records:
        found += [record for record, _ in batch]
        segment.acknowledge(batch[-1][1])
    return found


@given(st.lists(records, max_size=10), st.data())
def test_a_segment_cut_at_any_byte_gives_a_prefix(written: list[Record], data: st.DataObject) -> None:
    """Whichever byte was the last, all whole records before it are read, in order."""
    with tempfile.TemporaryDirectory() as folder:
        segment = Segment.create(Path(folder), OPENED)
        base = segment.path.stat().st_size
        ends = []
        for record in written:
            segment.append([record])
            ends.append(segment.path.stat().st_size)
        segment.release()
        cut = data.draw(st.integers(base, ends[-1] if ends else base))
        with segment.path.open("r+b") as file:
            file.truncate(cut)
        claimed = Segment.claim(segment.path)
        assert claimed is not None
        found = read_all(claimed)
        claimed.release()

    assert found == written[: sum(end <= cut for end in ends)]


@given(st.lists(records, min_size=1, max_size=10), st.data())
def test_one_flipped_bit_costs_at_most_what_follows(written: list[Record], data: st.DataObject) -> None:
    """Nothing is read that was not written, and all before the damage is."""
    with tempfile.TemporaryDirectory() as folder:
        segment = Segment.create(Path(folder), OPENED)
        base = segment.path.stat().st_size
        ends = []
        for record in written:
            segment.append([record])
            ends.append(segment.path.stat().st_size)
        segment.release()
        place = data.draw(st.integers(base, ends[-1] - 1))
        content = bytearray(segment.path.read_bytes())
        content[place] ^= 1 << data.draw(st.integers(0, 7))
        segment.path.write_bytes(content)
        claimed = Segment.claim(segment.path)
        assert claimed is not None
        found = read_all(claimed)
        claimed.release()

    n_before = sum(end <= place for end in ends)
    assert found[:n_before] == written[:n_before]
    assert found[n_before:] in ([], written[n_before + 1 :])


def bits(value: float) -> bytes:
    return struct.pack("<d", value)


@given(
    st.lists(
        st.tuples(
            st.dictionaries(st.sampled_from("abcd"), st.floats(), min_size=1),
            st.none() | st.integers(-(2**63) + 1, 2**63 - 1),
        ),
        max_size=30,
    ),
    st.integers(4, 20),
    st.integers(100, 2_000),
)
def test_points_survive_the_way_from_call_to_batch(
    calls: list[tuple[dict[str, float], int | None]], max_points: int, max_bytes: int
) -> None:
    """Each value arrives once, bit for bit, with its step; counted steps follow the last one of their metric.

    After the highest step there is, a call that counts is refused as a whole.
    """
    expected: dict[str, list[tuple[int, bytes]]] = {}
    buffer = PointBuffer(lambda: 0)
    following: dict[str, int] = {}
    records: list[Points] = []
    for metrics, step in calls:
        if step is None and any(following.get(key, 0) == 2**63 for key in metrics):
            with pytest.raises(Invalid, match="highest there is"):
                buffer.add(metrics, None)
            continue
        for key, value in metrics.items():
            used = following.get(key, 0) if step is None else step
            following[key] = used + 1
            expected.setdefault(key, []).append((used, bits(value)))
        buffer.add(metrics, step)
        pieces = buffer.waiting(max_points, max_bytes)
        records += [Points(rows.keys, data) for rows, data in pieces]
        buffer.forget(pieces)
    while pieces := buffer.waiting(max_points, max_bytes):
        records += [Points(rows.keys, data) for rows, data in pieces]
        buffer.forget(pieces)
    found = {
        key: sorted(zip(column.steps, map(bits, column.values), strict=True))
        for key, column in columns_of(records).items()
    }

    assert found == {key: sorted(points) for key, points in expected.items()}
