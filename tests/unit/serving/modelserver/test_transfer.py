"""Handing on what the spool holds."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from noria.core.errors import Forbidden, Invalid, Unavailable
from noria.serving.modelserver.board import Board, Word
from noria.serving.modelserver.outbox import Outbox
from noria.serving.modelserver.transfer import Transfer
from support.waiting import wait_until

OWN = "this-"


class Sink:
    """Takes records, or refuses them as it is told."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.away: Exception | None = None
        self.calls = 0

    def __call__(self, records: list[bytes]) -> None:
        self.calls += 1
        if self.away is not None:
            raise self.away
        if b"poison" in records:
            raise Invalid("never")
        self.taken += records


@pytest.fixture
def sink() -> Sink:
    """Give a sink that takes everything."""
    return Sink()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Give the folder of the spools."""
    return tmp_path / "spools"


@pytest.fixture
def outbox(root: Path) -> Iterator[Outbox]:
    """Give the end of a worker."""
    made = _outbox(root)
    yield made
    made.close()


@pytest.fixture
def transfer(root: Path, sink: Sink) -> Iterator[Transfer]:
    """Give a running transfer of the worker's owner."""
    made = Transfer(root, sink, own=OWN, poll_s=0.01)
    made.start()
    yield made
    made.stop(5.0)


def _outbox(root: Path, *, own: str = OWN, max_bytes: int = 1 << 20) -> Outbox:
    return Outbox(
        root,
        own=own,
        max_bytes=max_bytes,
        page=Board.create(1).pages[0],
        kept=Word.N_CAPTURES,
        dropped=Word.N_CAPTURES_DROPPED,
        wake=lambda: None,
    )


def test_what_is_appended_is_handed_on(transfer: Transfer, outbox: Outbox, sink: Sink) -> None:
    """In order, each once, and whoever wrote it learns of it."""
    records = [f"{n}".encode() for n in range(50)]
    for record in records:
        assert outbox.append(record)

    assert outbox.flush(20)
    assert sink.taken == records
    assert transfer.flush(20)
    assert transfer.status().waiting_bytes == 0
    assert transfer.status().n_sent == 50


@pytest.mark.parametrize("waiting", ["worker", "owner"])
def test_a_flush_fails_at_once_when_the_other_side_is_away(
    transfer: Transfer, outbox: Outbox, sink: Sink, waiting: str
) -> None:
    """Whoever waits for it learns so without waiting out the time, and nothing is lost."""
    sink.away = Unavailable("away")
    outbox.append(b"one")
    waits = outbox.flush if waiting == "worker" else transfer.flush
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(waits(60)))
    thread.start()
    thread.join(20)

    assert answers == [False]
    wait_until(lambda: transfer.status().last_failure == "away")
    sink.away = None
    wait_until(lambda: sink.taken == [b"one"])
    wait_until(lambda: transfer.status().last_failure is None)


def test_a_wrong_credential_is_no_reason_to_give_up(transfer: Transfer, outbox: Outbox, sink: Sink) -> None:
    """The records wait until somebody mends it."""
    sink.away = Forbidden("no")
    outbox.append(b"one")
    assert not transfer.flush(20)

    sink.away = None

    assert wait_until(lambda: transfer.flush(20))
    assert sink.taken == [b"one"]


def test_a_record_that_is_never_taken_does_not_hold_up_the_others(
    transfer: Transfer, outbox: Outbox, sink: Sink
) -> None:
    """It is found, counted and given up."""
    sink.away = Unavailable("not yet, so that all come in one batch")
    for record in (b"one", b"two", b"poison", b"three"):
        outbox.append(record)
    sink.away = None

    assert wait_until(lambda: transfer.flush(20))
    assert sorted(sink.taken) == [b"one", b"three", b"two"]
    assert transfer.status().n_refused == 1


def test_what_dead_processes_left_is_taken_over_and_the_living_are_left_alone(
    root: Path, transfer: Transfer, outbox: Outbox, sink: Sink
) -> None:
    """A dead one's folder is emptied and deleted; another server's worker has an owner of its own."""
    left, foreign = _outbox(root, own="other-"), _outbox(root, own="other-")
    left.append(b"left behind")
    foreign.append(b"of another server")
    left.close()

    assert outbox.append(b"own")
    wait_until(lambda: sorted(sink.taken) == [b"left behind", b"own"])
    wait_until(lambda: len(list(root.iterdir())) == 2)
    foreign.close()
    wait_until(lambda: b"of another server" in sink.taken)


def test_an_orderly_end_leaves_nothing(root: Path, sink: Sink) -> None:
    """What can be handed on is, and the folders go."""
    outbox = _outbox(root)
    transfer = Transfer(root, sink, own=OWN, poll_s=60)
    transfer.start()
    outbox.append(b"last words")
    outbox.close()

    transfer.stop(20)

    assert sink.taken == [b"last words"]
    assert list(root.iterdir()) == []


def test_an_end_while_the_other_side_is_away_keeps_everything(root: Path, sink: Sink) -> None:
    """The next process finds it."""
    sink.away = Unavailable("away")
    outbox = _outbox(root)
    transfer = Transfer(root, sink, own=OWN)
    transfer.start()
    outbox.append(b"kept")
    outbox.close()
    transfer.stop(20)
    sink.away = None

    following = Transfer(root, sink, own="next")
    following.start()

    assert following.flush(20)
    assert sink.taken == [b"kept"]
    following.stop(5.0)


def test_a_worker_without_room_drops_counts_and_shows_it(root: Path, sink: Sink) -> None:
    """Not even a folder can be made: nothing is kept and nothing fails; with room again, records are."""
    root.write_text("in the way")
    page = Board.create(1).pages[0]
    outbox = Outbox(
        root, own=OWN, max_bytes=1 << 20, page=page, dropped=Word.N_CAPTURES_DROPPED, wake=lambda: None
    )
    assert not outbox.append(b"lost")
    assert (page.words[Word.N_CAPTURES_DROPPED], page.words[Word.DISK_FULL]) == (1, 1)

    root.unlink()

    wait_until(lambda: outbox.append(b"kept"))
    assert page.words[Word.DISK_FULL] == 0
    outbox.close()
