"""Threads that services run in, so that the event loop never waits for a disk or a database."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class Threads:
    """Two pools: one for requests, one for transfers, so that slow uploads hold up nothing but themselves."""

    def __init__(self, *, n_requests: int, n_transfers: int) -> None:
        self._requests = ThreadPoolExecutor(n_requests, thread_name_prefix="noria-request")
        self._transfers = ThreadPoolExecutor(n_transfers, thread_name_prefix="noria-transfer")

    async def run(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call `function` in a thread for requests."""
        return await self._call(self._requests, function, *args, **kwargs)

    async def transfer(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call `function` in a thread for transfers."""
        return await self._call(self._transfers, function, *args, **kwargs)

    def close(self) -> None:
        """Let the idle threads end; the busy ones end after what they are at."""
        self._requests.shutdown(wait=False, cancel_futures=True)
        self._transfers.shutdown(wait=False, cancel_futures=True)

    @staticmethod
    async def _call(
        pool: ThreadPoolExecutor, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
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

        # The pool's own future is passed by: two that tell each other of their ends cost as much as a small request.
        pool.submit(work)
        return await answered


def _settle(answered: asyncio.Future[Any], result: object, failure: BaseException | None) -> None:
    if answered.cancelled():
        return
    if failure is None:
        answered.set_result(result)
    elif isinstance(failure, StopIteration):  # which no future can raise
        answered.set_exception(RuntimeError("A service raised StopIteration"))
    else:
        answered.set_exception(failure)
