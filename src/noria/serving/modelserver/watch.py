"""What a worker shows of itself: that it lives, what it is at, and since when."""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from granian._granian import RSGIHTTPProtocol as HTTPProtocol
from granian.rsgi import Scope

from noria.core.http_errors import MethodNotAllowed, error_answer, known_error
from noria.serving.modelserver.board import Board, Page, Word
from noria.serving.modelserver.door import Door
from noria.serving.modelserver.metrics import CONTENT_TYPE, exposition

METRICS = "/metrics"
BEAT_S = 0.25


class App(Protocol):
    """An application for Granian's RSGI."""

    async def __rsgi__(self, scope: Scope, protocol: HTTPProtocol) -> None:
        """Answer one request."""
        ...


class Watched:
    """An application, with a note of when each request at work began; answers `/metrics` itself.

    Parameters
    ----------
    page
        Of this worker.
    board
        Of all of them.
    """

    def __init__(self, app: App, page: Page, board: Board, door: Door) -> None:
        self._app = app
        self._words = page.words
        self._board = board
        self._door = door
        self._numbers = itertools.count()
        self._began: dict[int, int] = {}

    async def __rsgi__(self, scope: Scope, protocol: HTTPProtocol) -> None:
        """Answer one request."""
        if scope.path == METRICS:
            await self._show(scope, protocol)
            return
        with self.watching():
            await self._app.__rsgi__(scope, protocol)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Note that a request is at work."""
        number = next(self._numbers)
        self._began[number] = time.monotonic_ns()
        try:
            yield
        finally:
            del self._began[number]

    async def beat(self, is_ready: Callable[[], bool]) -> None:
        """Write signs of life until cancelled. It runs in the loop that answers: a loop that hangs gives none."""
        words = self._words
        words[Word.PID] = os.getpid()
        while True:
            words[Word.BEAT_NS] = time.monotonic_ns()
            words[Word.N_IN_FLIGHT] = len(self._began)
            # Requests are noted in the order in which they began.
            words[Word.OLDEST_NS] = next(iter(self._began.values()), 0)
            words[Word.READY] = int(is_ready())
            await asyncio.sleep(BEAT_S)

    async def _show(self, scope: Scope, protocol: HTTPProtocol) -> None:
        try:
            headers = scope.headers
            self._door.admit(scope.method, scope.path, headers, headers.get("content-length"))
            if scope.method not in ("GET", "HEAD"):
                raise MethodNotAllowed(f"`{METRICS}` takes `GET`, not `{scope.method[:20]}`")
        except Exception as error:  # noqa: BLE001 - every failure has one form on the wire
            status, _, body = error_answer(known_error(error))
            protocol.response_bytes(status, [("content-type", "application/json")], body)
            return
        text = await asyncio.get_running_loop().run_in_executor(None, exposition, self._board)
        protocol.response_bytes(200, [("content-type", CONTENT_TYPE)], text)
