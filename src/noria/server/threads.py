"""Threads that services run in, so that the event loop never waits for a disk or a database."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable
from contextvars import copy_context
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

ENDING_S = 5.0
"""How long `close` waits for what is being called."""


class Threads:
    """Two pools: one for requests, one for transfers, so that slow uploads hold up nothing but themselves."""

    def __init__(self, *, n_requests: int, n_transfers: int) -> None:
        self._requests = _Pool(n_requests, "noria-request")
        self._transfers = _Pool(n_transfers, "noria-transfer")

    async def run(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call `function` in a thread for requests."""
        return await self._requests.call(function, *args, **kwargs)

    async def transfer(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call `function` in a thread for transfers."""
        return await self._transfers.call(function, *args, **kwargs)

    def start(self, work: Callable[[], None]) -> None:
        """Have a thread for requests call `work`, which raises nothing; nobody waits for it. Any thread may ask."""
        self._requests.hand_over(work)

    def close(self) -> None:
        """Let the idle threads end, and wait a while for the busy ones to end what they are at."""
        for pool in (self._requests, self._transfers):
            pool.close()


class _Pool:
    """Threads that start as they are needed, and take calls from one queue.

    Those of the standard library keep a future with a lock of its own for each call, and another one for the event
    loop beside it: together they cost as much as a small request does.
    """

    def __init__(self, limit: int, name: str) -> None:
        self._limit = limit
        self._name = name
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._counting = threading.Lock()
        self._n_open = 0  # calls that were handed over and have not ended

    async def call(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a function in a thread, in the context of the caller."""
        loop, context = asyncio.get_running_loop(), copy_context()
        answered: asyncio.Future[R] = loop.create_future()

        def work() -> None:
            if answered.cancelled():
                return
            result: R | None = None
            failure: BaseException | None = None
            try:
                result = context.run(function, *args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - raised where the answer is waited for
                failure = error
            with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody waits any more
                loop.call_soon_threadsafe(_settle, answered, result, failure)

        self.hand_over(work)
        return await answered

    def hand_over(self, work: Callable[[], None]) -> None:
        """Have a thread call something."""
        with self._counting:
            self._n_open += 1
            if self._n_open > len(self._threads) < self._limit:
                name = f"{self._name}_{len(self._threads)}"
                # None of them keeps the process alive: whoever closes the pool has waited for them.
                thread = threading.Thread(target=self._run, name=name, daemon=True)
                self._threads.append(thread)
                thread.start()
        self._calls.put(work)

    def close(self) -> None:
        """End the threads; calls that wait for one are not made."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._calls.get_nowait()
        for _ in self._threads:
            self._calls.put(None)
        deadline = time.monotonic() + ENDING_S
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self) -> None:
        while True:
            work = self._calls.get()
            if work is None:
                return
            try:
                work()
            finally:
                with self._counting:
                    self._n_open -= 1


def _settle(answered: asyncio.Future[Any], result: object, failure: BaseException | None) -> None:
    if answered.cancelled():
        return
    if failure is None:
        answered.set_result(result)
    elif isinstance(failure, StopIteration):  # which no future can raise
        answered.set_exception(RuntimeError("A service raised StopIteration"))
    else:
        answered.set_exception(failure)
