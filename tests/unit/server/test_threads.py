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
