"""Requests that were answered together, kept in one record."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.core.errors import Corrupt, Invalid
from noria.core.ids import new_id
from noria.serving.modelserver.joint import is_joint, n_requests
from noria.serving.modelserver.recorder import CapturedRequest, Recorder
from noria.serving.modelserver.records import apart, by_endpoint, origin_of
from noria.serving.modelserver.spool import Record
from noria.serving.modelserver.turn import Turn, next_turn

AT_US = 1_900_000_000_000_000
COMMON = ("default", "live", 2, 5)

Row = tuple[dict[str, Any], dict[str, Any]]


class Kept:
    """Takes records as a worker's outbox does."""

    def __init__(self) -> None:
        self.records: list[bytes] = []
        self.n = 0

    def __call__(self, record: Record, n: int) -> bool:
        self.records.append(record if isinstance(record, bytes) else b"".join(record))
        self.n += n
        return True


class Awkward:
    """A value that cannot be told."""

    def __str__(self) -> str:
        raise RuntimeError("no")


def _taken(
    rows: list[Row], common: list[tuple[str, str, int, int]] | None = None
) -> tuple[Kept, Turn, list[str]]:
    kept, ids = Kept(), [new_id() for _ in rows]
    turn = Turn(kept, Recorder(), AT_US)
    for place, (row, identity) in enumerate(zip(rows, ids, strict=True)):
        turn.add(COMMON if common is None else common[place], identity, 100 + place, *row)
    turn.keep()
    turn.keep()
    return kept, turn, ids


def _alone(rows: list[Row], ids: list[str]) -> list[bytes]:
    recorder = Recorder()
    return [
        recorder.encode(CapturedRequest(COMMON, identity, AT_US, 100 + place, 1, *row))
        for place, (row, identity) in enumerate(zip(rows, ids, strict=True))
    ]


def _row(value: float, width: int = 3, kind: Any = np.float64) -> Row:
    return {"x": np.full((1, width), value, kind)}, {"predictions": np.array([int(value)])}


@given(
    st.lists(
        st.tuples(
            st.integers(-9, 9),
            st.integers(0, 3),
            st.sampled_from([np.float64, np.float32, np.int16, ">f8", str]),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_a_turn_keeps_what_each_request_alone_would_have_kept(drawn: list[tuple[int, int, Any]]) -> None:
    """Whether they can share a record or not, whoever takes them cannot tell."""
    rows = [_row(value, width, kind) for value, width, kind in drawn]
    kept, _, ids = _taken(rows)
    alone = _alone(rows, ids)

    found = by_endpoint(kept.records)[("default", "live")]

    assert sorted(found) == sorted(by_endpoint(alone)[("default", "live")])
    assert sorted(each for record in kept.records for each in apart(record)) == sorted(alone)
    assert kept.n == sum(map(n_requests, kept.records)) == len(rows)
    assert {origin_of(record) for record in kept.records} == {origin_of(record) for record in alone}


def test_requests_of_a_kind_share_a_record() -> None:
    """One for each version; a request that is alone in its turn has one of its own."""
    kept, _, _ = _taken([_row(n) for n in range(20)])
    assert [n_requests(record) for record in kept.records] == [20]

    others = [("default", "live", 2 + (n == 3), 5) for n in range(5)]
    kept, _, _ = _taken([_row(n) for n in range(5)], others)
    assert [n_requests(record) for record in kept.records] == [4, 1]
    assert not is_joint(kept.records[1])


def test_long_rows_do_not_share_a_record() -> None:
    """A record is never longer than can be read at once."""
    kept, _, _ = _taken([_row(n, 100_000) for n in range(3)])
    assert [n_requests(record) for record in kept.records] == [1, 1, 1]


def test_a_request_that_cannot_be_kept_fails_alone() -> None:
    """The others of its turn are kept, and do not hear of it."""
    bad = {"x": np.ones((1, 3))}, {"predictions": np.array([Awkward()], dtype=object)}
    kept, turn, ids = _taken([_row(1), bad, _row(2)])

    with pytest.raises(RuntimeError):
        turn.check(ids[1])
    turn.check(ids[0])
    assert [entry.id for entry in by_endpoint(kept.records)[("default", "live")]] == [ids[0], ids[2]]


def test_a_record_that_is_cut_off_is_refused() -> None:
    """At whichever byte of it."""
    kept, _, _ = _taken([_row(n) for n in range(4)])
    (record,) = kept.records
    for end in range(2, len(record)):
        with pytest.raises(Corrupt):
            by_endpoint([record[:end]])


def test_whoever_waits_lets_all_others_run_that_can() -> None:
    """So those that were answered at the same time are taken before the first of them is kept."""
    order: list[str] = []

    async def one(name: str) -> None:
        order.append(f"{name} answered")
        await next_turn()
        order.append(f"{name} kept")

    async def all_of_them() -> None:
        await asyncio.gather(*(one(str(n)) for n in range(3)))

    asyncio.run(all_of_them())
    assert order == [f"{n} answered" for n in range(3)] + [f"{n} kept" for n in range(3)]


def test_what_is_refused_of_a_record_does_not_take_the_rest_along(tmp_path: Any) -> None:
    """The transfer hands on each of its requests by itself then, and counts requests."""
    from noria.serving.modelserver.board import Board, Word
    from noria.serving.modelserver.outbox import Outbox
    from noria.serving.modelserver.transfer import Transfer

    kept, _, ids = _taken([_row(n) for n in range(6)])
    page = Board.create(1).pages[0]
    outbox = Outbox(
        tmp_path,
        own="this-",
        max_bytes=1 << 20,
        page=page,
        kept=Word.N_CAPTURES,
        dropped=Word.N_CAPTURES_DROPPED,
        wake=lambda: None,
    )
    taken: list[str] = []

    def sink(records: list[bytes]) -> None:
        found = [entry.id for entry in by_endpoint(records)[("default", "live")]]
        if ids[2] in found:
            raise Invalid("never")
        taken.extend(found)

    transfer = Transfer(tmp_path, sink, own="this-", poll_s=0.01, count=n_requests, apart=apart)
    transfer.start()
    outbox.append(kept.records[0], kept.n)
    assert outbox.flush(20)
    transfer.stop(5.0)
    outbox.close()

    assert sorted(taken) == sorted(set(ids) - {ids[2]})
    assert (transfer.status().n_sent, transfer.status().n_refused) == (5, 1)
    assert page.words[Word.N_CAPTURES] == 6
