"""Tell open pages that something changed, as server-sent events.

All pages share one look at the event log a second, however many they are; it is taken only while there is a page. A
stream says no more than "changed": the page then asks for itself again, through the gate, as it did at first.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from litestar.types import Receive, Scope, Send

_log = logging.getLogger("noria.http")

EVERY_S = 1.0
"""Between two looks."""

ALIVE_S = 15.0
"""After so long without an event a line is sent that keeps the connection open."""

LENGTH_S = 600.0
"""A stream ends after so long; the browser opens another, for which the gate asks again who reads."""

MAX_LISTENERS = 500
"""Streams at a time; a page beyond that looks by itself from time to time."""

STREAM_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # a proxy before us must not wait for more
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a look found.

    Attributes
    ----------
    position
        Of the newest event.
    projects
        In which something happened since the last look; None among them for what belongs to no project, and None
        in place of all where there was too much to tell.
    """

    position: int
    projects: frozenset[str | None] | None

    def touches(self, project: str) -> bool:
        """Tell whether a page of a project may have changed."""
        return self.projects is None or project in self.projects or None in self.projects


Look = Callable[[int], Awaitable[Change]]
"""Looks for what happened after a position; after -1, only where the newest event is."""


@dataclass(slots=True, eq=False)
class _Listener:
    project: str
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class Watch:
    """The look that all streams share. For one event loop.

    Attributes
    ----------
    n_looks
        How often it looked so far.
    """

    def __init__(self, look: Look, *, every_s: float = EVERY_S) -> None:
        self._look = look
        self._every_s = every_s
        self._listeners: set[_Listener] = set()
        self._task: asyncio.Task[None] | None = None
        self.n_looks = 0

    @property
    def is_full(self) -> bool:
        """Whether no further stream is taken."""
        return len(self._listeners) >= MAX_LISTENERS

    @contextlib.asynccontextmanager
    async def listening(self, project: str) -> AsyncIterator[asyncio.Event]:
        """Give an event that is set whenever something in a project changed; whoever waits for it clears it."""
        listener = _Listener(project)
        self._listeners.add(listener)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
            self._task.add_done_callback(_tell_failure)
        try:
            yield listener.changed
        finally:
            self._listeners.discard(listener)

    async def _run(self) -> None:
        position = -1
        while self._listeners:
            found = await self._look(position)
            self.n_looks += 1
            if position >= 0 and found.position != position:
                for listener in self._listeners:
                    if found.touches(listener.project):
                        listener.changed.set()
            position = found.position
            await asyncio.sleep(self._every_s)

    def close(self) -> None:
        """End looking, and with it every stream."""
        if self._task is not None:
            self._task.cancel()
        for listener in self._listeners:
            listener.changed.set()

    def failed(self) -> bool:
        """Tell whether looking has come to an end, as it does when the database is gone."""
        return self._task is None or self._task.done() or self._task.cancelling() > 0


def _tell_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        _log.warning("live.look_failed", exc_info=task.exception())


class EventStream:
    """The answer to a page that wants to be told."""

    def __init__(
        self, watch: Watch, project: str, *, alive_s: float = ALIVE_S, length_s: float = LENGTH_S
    ) -> None:
        self._watch = watch
        self._project = project
        self._alive_s = alive_s
        self._length_s = length_s

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Send events until the page goes, the stream has lasted long enough, or looking fails."""
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": STREAM_HEADERS})
            await send({"type": "http.response.body", "body": b"retry: 5000\n\n", "more_body": True})
            async with self._watch.listening(self._project) as changed:
                await self._tell(changed, gone, send)
            if not gone.done():
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            gone.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await gone

    async def _tell(self, changed: asyncio.Event, gone: asyncio.Future[None], send: Send) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + self._length_s
        while loop.time() < end:
            waiting = asyncio.ensure_future(changed.wait())
            either: set[asyncio.Future[Any]] = {waiting, gone}
            try:
                await asyncio.wait(either, timeout=self._alive_s, return_when=asyncio.FIRST_COMPLETED)
            finally:
                waiting.cancel()
            if gone.done() or self._watch.failed():
                return
            line = b"event: changed\ndata: \n\n" if changed.is_set() else b": alive\n\n"
            changed.clear()
            await send({"type": "http.response.body", "body": line, "more_body": True})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
