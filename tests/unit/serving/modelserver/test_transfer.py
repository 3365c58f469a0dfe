"""Handing on what the spool holds."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from noria.core.errors import Forbidden, Invalid, Unavailable
from noria.serving.modelserver.spool import Spool, claim
from noria.serving.modelserver.transfer import Transfer
from support.waiting import wait_until


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
def transfer(tmp_path: Path, sink: Sink) -> Iterator[Transfer]:
    """Give a running transfer."""
    made = Transfer(tmp_path / "spools", sink, poll_s=0.01)
    made.start()
    yield made
    made.stop(5.0)


def test_what_is_appended_is_handed_on(transfer: Transfer, sink: Sink) -> None:
    """In order, each once."""
    records = [f"{n}".encode() for n in range(50)]
    for record in records:
        transfer.append(record)

    assert transfer.flush(20)
    assert sink.taken == records
    assert transfer.status().waiting_bytes == 0
    assert transfer.status().n_sent == 50


def test_a_flush_fails_at_once_when_the_other_side_is_away(transfer: Transfer, sink: Sink) -> None:
    """Whoever waits for it learns so without waiting out the time, and nothing is lost."""
    sink.away = Unavailable("away")
    transfer.append(b"one")
    answers: list[bool] = []
    waiting = threading.Thread(target=lambda: answers.append(transfer.flush(60)))
    waiting.start()
    waiting.join(20)

    assert answers == [False]
    assert transfer.status().last_failure == "away"
    sink.away = None
    wait_until(lambda: sink.taken == [b"one"])
    wait_until(lambda: transfer.status().last_failure is None)


def test_a_wrong_credential_is_no_reason_to_give_up(transfer: Transfer, sink: Sink) -> None:
    """The records wait until somebody mends it."""
    sink.away = Forbidden("no")
    transfer.append(b"one")
    assert not transfer.flush(20)

    sink.away = None

    assert transfer.flush(20)
    assert sink.taken == [b"one"]


def test_a_record_that_is_never_taken_does_not_hold_up_the_others(transfer: Transfer, sink: Sink) -> None:
    """It is found, counted and given up."""
    sink.away = Unavailable("not yet, so that all come in one batch")
    for record in (b"one", b"two", b"poison", b"three"):
        transfer.append(record)
    sink.away = None

    assert wait_until(lambda: transfer.flush(20))
    assert sorted(sink.taken) == [b"one", b"three", b"two"]
    assert transfer.status().n_refused == 1


def test_what_a_dead_process_left_is_taken_over(tmp_path: Path, sink: Sink) -> None:
    """Its folder is emptied and deleted; a flush waits for it too."""
    left = claim(tmp_path / "spools")
    Spool(left.folder).append(b"left behind")
    left.release()
    transfer = Transfer(tmp_path / "spools", sink)
    transfer.append(b"own")
    transfer.start()

    assert transfer.flush(20)
    assert sink.taken == [b"left behind", b"own"]
    assert not left.folder.exists()
    transfer.stop(5.0)


def test_an_orderly_end_leaves_nothing(tmp_path: Path, sink: Sink) -> None:
    """What can be handed on is, and the folder goes."""
    transfer = Transfer(tmp_path / "spools", sink, poll_s=60)
    transfer.start()
    transfer.append(b"last words")

    transfer.stop(20)

    assert sink.taken == [b"last words"]
    assert list((tmp_path / "spools").iterdir()) == []


def test_an_end_while_the_other_side_is_away_keeps_everything(tmp_path: Path, sink: Sink) -> None:
    """The next process finds it."""
    sink.away = Unavailable("away")
    transfer = Transfer(tmp_path / "spools", sink)
    transfer.start()
    transfer.append(b"kept")
    transfer.stop(20)
    sink.away = None

    following = Transfer(tmp_path / "spools", sink)
    following.start()

    assert following.flush(20)
    assert sink.taken == [b"kept"]
    following.stop(5.0)
