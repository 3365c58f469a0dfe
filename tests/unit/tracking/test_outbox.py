"""The sender of what a run logs."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest

from noria.core.clock import SystemClock
from noria.core.errors import Invalid, Unavailable
from noria.tracking.entities import Link, LogBatch
from noria.tracking.outbox import POINTS_PER_BATCH, Outbox, Point
from support.waiting import wait_until

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Service:
    """Keeps what it is sent, or refuses it for as long as it is told to."""

    def __init__(self) -> None:
        self.batches: list[LogBatch] = []
        self.error: Exception | None = None
        self.n_refused = 0
        self.poison: str | None = None

    def __call__(self, batch: LogBatch) -> None:
        if self.error is not None:
            self.n_refused += 1
            raise self.error
        if self.poison is not None and self.poison in batch.params:
            raise Invalid(f"`{self.poison}` is refused")
        self.batches.append(batch)

    @property
    def values(self) -> list[float]:
        return [point.value for batch in self.batches for point in batch.metrics]


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def outbox(service: Service) -> Outbox:
    return Outbox(service, SystemClock())


def points(first: int, n: int) -> list[Point]:
    return [("m", float(i), i, NOW) for i in range(first, first + n)]


def test_what_waits_is_sent_in_the_background(outbox: Outbox, service: Service) -> None:
    """Nobody has to flush."""
    outbox.points(points(0, 3))
    outbox.tag("t", "x")
    wait_until(lambda: service.values == [0.0, 1.0, 2.0] and any(batch.tags for batch in service.batches))
    outbox.close()


def test_flush_sends_everything_in_order(outbox: Outbox, service: Service) -> None:
    """Points go in batches of bounded size, in the order they were logged."""
    n = 2 * POINTS_PER_BATCH + 7
    for start in range(0, n, 1001):
        outbox.points(points(start, min(1001, n - start)))
    outbox.flush()

    assert service.values == [float(i) for i in range(n)]
    assert max(len(batch.metrics) for batch in service.batches) <= POINTS_PER_BATCH
    outbox.close()


def test_a_service_that_does_not_answer_is_tried_again(outbox: Outbox, service: Service) -> None:
    """Nothing is lost while a server is away, and order is kept."""
    service.error = Unavailable("gone")
    outbox.points(points(0, 2))
    outbox.param("a", "1")
    outbox.link("inputs", Link(ref="dataset:a@1"))
    wait_until(lambda: service.n_refused >= 2)
    outbox.points(points(2, 2))
    service.error = None
    outbox.close()

    assert service.values == [0.0, 1.0, 2.0, 3.0]
    assert [batch.params for batch in service.batches if batch.params] == [{"a": "1"}]
    assert [batch.inputs for batch in service.batches if batch.inputs] == [[Link(ref="dataset:a@1")]]


def test_flush_gives_up_and_keeps_what_waits(outbox: Outbox, service: Service) -> None:
    """A flush that gets no answer says so, and a later one sends the same."""
    service.error = Unavailable("gone")
    outbox.points(points(0, 2))
    with pytest.raises(Unavailable, match="gone"):
        outbox.flush(give_up_s=0.3)
    service.error = None
    outbox.flush()

    assert service.values == [0.0, 1.0]
    outbox.close()


def test_a_refusal_costs_only_what_is_refused(outbox: Outbox, service: Service) -> None:
    """The rest of a refused batch is sent again in parts; the error is raised once."""
    service.poison = "bad"
    outbox.param("bad", "1")
    outbox.param("good", "2")
    outbox.tag("t", "x")
    outbox.points(points(0, 2))
    with pytest.raises(Invalid, match="`bad`"):
        outbox.flush()
    outbox.flush()

    assert service.values == [0.0, 1.0]
    assert [batch.params for batch in service.batches if batch.params] == [{"good": "2"}]
    assert [batch.tags for batch in service.batches if batch.tags] == [{"t": "x"}]
    outbox.close()


def test_an_unforeseen_error_does_not_end_the_thread(outbox: Outbox, service: Service) -> None:
    """A bug in the way of one batch is raised by the next call, and later batches are sent."""
    service.error = ZeroDivisionError("bug")
    outbox.points(points(0, 1))
    wait_until(lambda: service.n_refused == 1)
    service.error = None
    outbox.points(points(1, 1))
    wait_until(lambda: service.values == [1.0])
    with pytest.raises(ZeroDivisionError):
        outbox.close()


def test_close_leaves_no_thread(outbox: Outbox) -> None:
    """After the close there is no thread of it."""
    outbox.points(points(0, 1))
    outbox.close()

    assert not any(thread.name == "noria-outbox" for thread in threading.enumerate())


def test_an_outbox_that_was_not_used_has_no_thread(outbox: Outbox, service: Service) -> None:
    """A run that logs nothing costs nothing."""
    assert not any(thread.name == "noria-outbox" for thread in threading.enumerate())
    outbox.close()

    assert service.batches == []
