"""Threads that services run in."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Iterator

import pytest

from noria.core.errors import NotFound
from noria.server.threads import Threads

WORD = contextvars.ContextVar("word", default="none")


@pytest.fixture
def threads() -> Iterator[Threads]:
    """Give one thread of each kind."""
    made = Threads(n_requests=1, n_transfers=1)
    yield made
    made.close()


def test_a_call_runs_in_a_thread_of_its_kind_with_the_callers_context(threads: Threads) -> None:
    """Its answer comes back into the event loop."""

    def where(prefix: str) -> tuple[str, str]:
        return f"{prefix}{threading.current_thread().name}", WORD.get()

    async def ask() -> list[tuple[str, str]]:
        WORD.set("said")
        return [await threads.run(where, "in "), await threads.transfer(where, prefix="in ")]

    assert asyncio.run(ask()) == [("in noria-request_0", "said"), ("in noria-transfer_0", "said")]


def test_what_a_call_raises_is_raised_where_it_is_waited_for(threads: Threads) -> None:
    """The same error; only the one that ends generators, which cannot pass, becomes another."""

    def fail(error: BaseException) -> None:
        raise error

    missing = NotFound("There is none")
    with pytest.raises(NotFound) as found:
        asyncio.run(threads.run(fail, missing))
    assert found.value is missing
    with pytest.raises(RuntimeError, match="StopIteration"):
        asyncio.run(threads.run(fail, StopIteration()))
    assert asyncio.run(threads.run(len, "goes on")) == 7


def test_nobody_calls_what_nobody_waits_for(threads: Threads) -> None:
    """A call that is given up before its turn is not made, and one that runs ends without harm."""
    begun, go_on = threading.Event(), threading.Event()
    called: list[int] = []

    def hold() -> None:
        begun.set()
        go_on.wait(10)

    async def give_up() -> int:
        running = asyncio.ensure_future(threads.run(hold))
        waiting = asyncio.ensure_future(threads.run(called.append, 1))
        await asyncio.to_thread(begun.wait, 10)
        for each in (running, waiting):
            each.cancel()
        await asyncio.gather(running, waiting, return_exceptions=True)
        go_on.set()
        return await threads.run(len, called)

    assert asyncio.run(give_up()) == 0


def test_as_many_threads_start_as_calls_are_open_at_once() -> None:
    """Up to the limit; further calls wait for one that has ended, and each is made once."""
    made = Threads(n_requests=3, n_transfers=1)
    together = threading.Barrier(3)

    def meet(at: int) -> tuple[int, str]:
        if at < 3:
            together.wait(10)
        return at, threading.current_thread().name

    async def ask() -> list[tuple[int, str]]:
        first = [await made.run(meet, 9) for _ in range(5)]
        return [*first, *await asyncio.gather(*(made.run(meet, at) for at in range(20)))]

    found = asyncio.run(ask())
    made.close()

    assert [at for at, _ in found] == [9] * 5 + list(range(20))
    # One that has just answered may not be back yet when the next call comes.
    assert {name for _, name in found[:5]} <= {"noria-request_0", "noria-request_1"}
    assert {name for _, name in found[5:]} == {f"noria-request_{at}" for at in range(3)}


def test_closing_waits_for_what_is_being_called() -> None:
    """And makes no call that has not begun."""
    made = Threads(n_requests=1, n_transfers=1)
    begun, ended, called = threading.Event(), threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        called.wait(0.2)  # nobody sets it yet: so long does the call take
        ended.set()

    async def ask() -> None:
        running = [asyncio.ensure_future(made.run(each)) for each in (hold, called.set)]
        await asyncio.to_thread(begun.wait, 10)
        await asyncio.to_thread(made.close)
        for each in running:
            each.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    asyncio.run(ask())

    assert ended.is_set()
    assert not called.is_set()
