"""Requests that a thread answers without a way through the event loop.

Granian receives in threads of its own, hands each request to the event loop, and each part of its body too; where a
service then runs in a thread, its answer goes back over the event loop again. Each of these ways wakes a thread, and
for a small request they cost more than the answer. Here what Granian hands over is looked at first: a request that a
thread can answer whole goes to that thread as soon as its body is there, and the answer from there to Granian.

It is the event loop that Granian hands to, so this is a kind of event loop. Should a later Granian hand over in another
form, requests go the usual way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from typing import Any, Final, NamedTuple

import uvloop

_WATCHER: Final = "CallbackWatcherHTTP"
"""What Granian calls the object that stands for a request."""

Application = Callable[[Any, Any, Any], Awaitable[None]]
"""An ASGI application."""


class Whole(NamedTuple):
    """An answer that is at hand."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class Chosen(NamedTuple):
    """What a thread is to do.

    Attributes
    ----------
    answer
        Gives the answer, the body at hand: whole, or what sends it in the event loop.
    n_bytes
        Length of the body.
    """

    answer: Callable[[bytes], Whole | Application]
    n_bytes: int


class Direct(NamedTuple):
    """Which requests threads answer, and how a thread is given its work.

    Attributes
    ----------
    choose
        Looks at the scope of a request, in Granian's thread; None leaves it to the event loop. It has to be quick.
    start
        Has a thread call something.
    """

    choose: Callable[[Any], Chosen | None]
    start: Callable[[Callable[[], None]], None]


class DirectLoop(uvloop.Loop):
    """An event loop that some requests pass by.

    Attributes
    ----------
    direct
        None as long as all go through it.
    """

    direct: Direct | None = None

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> Any:  # type: ignore[override]
        """Have the loop call something, unless it is a request, or a part of one, that passes it by."""
        if self.direct is not None and args:
            if type(callback) is _Exchange:
                callback.take(*args)
                return None
            if type(args[-1]).__name__ == _WATCHER and self._passes(self.direct, args[-1]):
                args[0].close()  # the coroutine in which the event loop would have answered
                return None
        return super().call_soon_threadsafe(callback, *args, context=context)

    def _passes(self, direct: Direct, watcher: Any) -> bool:
        chosen = direct.choose(watcher.scope)
        if chosen is None:
            return False
        _Exchange(self, direct, watcher, chosen).begin()
        return True


class _Exchange:
    """One request and its answer."""

    __slots__ = ("_answer", "_direct", "_left", "_loop", "_parts", "_task", "_watcher")

    def __init__(self, loop: DirectLoop, direct: Direct, watcher: Any, chosen: Chosen) -> None:
        self._loop = loop
        self._direct = direct
        self._watcher = watcher
        self._answer, self._left = chosen
        self._parts: list[bytes] = []

    def begin(self) -> None:
        """Receive the body, if there is one."""
        if self._left > 0:
            self._watcher.proto.receive().add_done_callback(self)
        else:
            self._direct.start(self._serve)

    def take(self, received: Any) -> None:
        """Take a part of the body, in Granian's thread."""
        try:
            message = received.result()
            if message["type"] == "http.disconnect":
                self._watcher.done()
                return
            part = message["body"]
            self._parts.append(part)
            # What Granian says of more to come is true of the last part too; the length is known.
            self._left = self._left - len(part) if message["more_body"] else 0
            self.begin()
        except BaseException as error:  # noqa: BLE001 - nobody above could tell it
            self._watcher.err(error)

    def __call__(self, received: Any) -> None:
        """Take a part of the body that came over the event loop all the same."""
        self.take(received)

    def _serve(self) -> None:
        watcher = self._watcher
        try:
            # A context of its own, as each request has in the event loop.
            answer = copy_context().run(self._answer, b"".join(self._parts))
            if isinstance(answer, Whole):
                send = watcher.proto.send
                send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
                send({"type": "http.response.body", "body": answer.body, "more_body": False})
                watcher.done()
            else:
                self._loop.call_soon_threadsafe(self._begin_to_send, answer)
        except BaseException as error:  # noqa: BLE001 - nobody above could tell it
            watcher.err(error)

    def _begin_to_send(self, answer: Application) -> None:
        self._task = self._loop.create_task(self._send(answer))
        self._watcher.taskref(self._task)

    async def _send(self, answer: Application) -> None:
        try:
            await answer(self._watcher.scope, self._watcher.proto.receive, self._watcher.proto.send)
        except BaseException as error:
            self._watcher.err(error)
            if isinstance(error, asyncio.CancelledError):
                raise
        else:
            self._watcher.done()
