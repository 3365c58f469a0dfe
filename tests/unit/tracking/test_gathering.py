"""Records of a spool become the batches that the service takes."""

from __future__ import annotations

import itertools

import pytest

from noria.tracking.buffer import PointBuffer
from noria.tracking.entities import Link, NewRun, RunSource, RunStatus
from noria.tracking.frames import (
    Described,
    Ended,
    Kept,
    Linked,
    Opened,
    Params,
    Points,
    Record,
    Tags,
    decode,
    encode,
    merged,
)
from noria.tracking.gathering import Gathering, as_batch, n_points_of
from noria.tracking.limits import MAX_ENTRIES, MAX_POINTS
from noria.tracking.sender import parts_of, whole_run

RUN = "0" * 31 + "1"
OPENED = Opened(project="default", run_id=RUN, new=NewRun(id=RUN), known=False, process=1)
ENDED = Ended(RunStatus.FINISHED, None)


def points(n: int, *keys: str) -> Points:
    buffer = PointBuffer(lambda: 5_000)
    for step in range(n):
        buffer.add(dict.fromkeys(keys, float(step)), step)
    ((rows, data),) = buffer.waiting(MAX_POINTS, 1 << 30)
    return Points(rows.keys, data)


def numbered(records: list[Record]) -> list[tuple[Record, int]]:
    return list(zip(records, itertools.count(1), strict=False))


@pytest.mark.parametrize(
    "record",
    [
        OPENED,
        points(2, "a", "b"),
        Params({"a": "1"}),
        Tags({"t": None}),
        Linked("inputs", "dataset:a@1", ""),
        Kept("a.txt", data=b"\x00\xff"),
        Kept("b.txt", file="x"),
        Described(RunSource(git_commit="c" * 40, git_dirty=True)),
        ENDED,
    ],
)
def test_records_survive_the_disk(record: Record) -> None:
    """Each kind is read as it was written."""
    assert decode(encode(record)) == record


def test_a_batch_holds_what_its_records_say() -> None:
    """Points become columns, whichever rows they came in; the last word on a tag counts."""
    batch = as_batch(
        [
            points(2, "a", "b"),
            points(1, "a"),
            Params({"p": "1"}),
            Tags({"t": "x", "u": "y"}),
            Tags({"t": None}),
            Linked("inputs", "dataset:a@1", ""),
            Linked("outputs", "model:a@1", ""),
            Kept("a.txt", digest="blake3:" + "1" * 64),
        ]
    )

    assert (batch.points["a"].steps, batch.points["a"].values) == ([0, 1, 0], [0.0, 1.0, 0.0])
    assert (batch.points["b"].steps, batch.points["b"].at) == ([0, 1], [5, 5])
    assert (batch.params, batch.tags) == ({"p": "1"}, {"t": None, "u": "y"})
    assert (batch.inputs, batch.outputs) == ([Link(ref="dataset:a@1")], [Link(ref="model:a@1")])
    assert batch.artifacts == {"a.txt": "blake3:" + "1" * 64}


def test_a_batch_never_holds_more_than_the_service_takes() -> None:
    """Points and entries are counted apart."""
    gathering = Gathering()
    half = points(MAX_POINTS // 4, "a", "b")
    assert n_points_of(half) == MAX_POINTS // 2
    for _ in range(2):
        assert gathering.fits(half)
        gathering.add(half)

    assert not gathering.fits(points(1, "a"))
    assert gathering.fits(Params({"p": "1"}))
    gathering.add(Tags({f"t{i}": "x" for i in range(MAX_ENTRIES)}))
    assert not gathering.fits(Kept("a.txt", data=b""))


def test_a_refused_record_is_taken_apart() -> None:
    """Each param and each tag can be to blame alone."""
    assert parts_of(Params({"a": "1", "b": "2"})) == [Params({"a": "1"}), Params({"b": "2"})]
    assert parts_of(Tags({"a": None, "b": "2"})) == [Tags({"a": None}), Tags({"b": "2"})]
    assert parts_of(Kept("a", data=b"")) == [Kept("a", data=b"")]


def test_params_in_a_row_become_one_record() -> None:
    """Other records keep their places, no record passes the bound, and what was given is not changed."""
    given: list[Record] = [Params({str(i): "x"}) for i in range(5)]
    made = merged([*given, Tags({"t": "1"}), Tags({"t": "2"}), Params({"z": "x"})], max_entries=4)

    assert made == [
        Params({"0": "x", "1": "x", "2": "x", "3": "x"}),
        Params({"4": "x"}),
        Tags({"t": "2"}),
        Params({"z": "x"}),
    ]
    assert given[0] == Params({"0": "x"})


def test_a_short_run_is_told_from_a_part_of_one() -> None:
    """Only what begins with the start and ends with the end can go in one request; the source joins the start."""
    source = RunSource(git_dirty=True)
    whole = whole_run(numbered([OPENED, Described(source), Params({"a": "1"}), ENDED]))

    assert whole == (NewRun(id=RUN, source=source), [Params({"a": "1"})], ENDED)
    assert whole_run(numbered([OPENED, Params({"a": "1"})])) is None
    assert whole_run(numbered([Params({"a": "1"}), ENDED])) is None
    too_many: list[Record] = [Tags({f"t{i}": "x" for i in range(MAX_ENTRIES)}), Params({"a": "1"})]
    assert whole_run(numbered([OPENED, *too_many, ENDED])) is None
