"""Threads that services run in, so that the event loop never waits for a disk or a database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import ParamSpec, TypeVar

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
        context = copy_context()
        return await asyncio.get_running_loop().run_in_executor(
            pool, lambda: context.run(function, *args, **kwargs)
        )
