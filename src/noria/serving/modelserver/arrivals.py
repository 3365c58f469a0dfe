"""Requests of which the event loop hears when their bodies are there.

Granian hands each request to the event loop, which asks for its body and hears of it in a second call. Each call wakes
a thread, and for a small request both cost more than the model. So a short request for predictions is looked at when
Granian hands it over, in Granian's own thread, and its body asked for there. The loop hears once, and answers without
a task: what one of its turns finds is kept together, and then sent.

It is the event loop that Granian hands to, so this is a kind of event loop. Should a later Granian hand over in another
form, requests go the usual way, and so do all that are not plain: see `ModelApp.expected`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

import msgspec
import uvloop
from granian._granian import RSGIProtocolClosed as ProtocolClosed

from noria.serving.modelserver.app import (
    SWEEP_S,
    SWEEPS,
    Asked,
    Begun,
    Expected,
    ModelApp,
)
from noria.serving.modelserver.lanes import Outputs
from noria.serving.modelserver.replies import Reply, error_reply, respond, too_slow
from noria.serving.modelserver.turn import Turn
from noria.serving.modelserver.watch import Watched

_WATCHER: Final = "CallbackWatcherHTTP"
"""What Granian calls the object that stands for a request."""


class ArrivalLoop(uvloop.Loop):
    """An event loop that hears of some requests later.

    Attributes
    ----------
    receive
        Takes a request that Granian hands over, in a thread of Granian's, or leaves it to the loop. Must not raise.
    """

    receive: Callable[[Any], bool] | None = None

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> Any:  # type: ignore[override]
        """Have the loop call something, unless it is a request that is received first."""
        receive = self.receive
        if receive is not None and args and type(args[-1]).__name__ == _WATCHER and receive(args[-1]):
            args[0].close()  # the coroutine in which it would have been answered
            return None
        return super().call_soon_threadsafe(callback, *args, context=context)


class _Due(msgspec.Struct, frozen=True):
    """An answer that is sent when its turn was kept."""

    watcher: Any
    begun: Begun
    outputs: Outputs
    turn: Turn


class Arrivals:
    """Receives requests, and answers them when they are there.

    Parameters
    ----------
    watched
        Told of what is at work beyond a turn of the loop.
    """

    def __init__(self, app: ModelApp, watched: Watched, loop: ArrivalLoop) -> None:
        self._app = app
        self._watched = watched
        self._loop = loop
        self._waiting: dict[_Arrival, int] = {}
        self._n_sweeps = 0
        self._sweeping = False
        self._due: list[_Due] = []
        loop.receive = self._receive

    def _receive(self, watcher: Any) -> bool:
        expected = self._app.expected(watcher.scope)
        if expected is None:
            return False
        arrival = _Arrival(self, watcher, expected)
        self._waiting[arrival] = self._n_sweeps
        if not self._sweeping:
            self._sweeping = True
            self._loop.call_soon_threadsafe(self._sweep)
        arrival.body = watcher.proto()
        arrival.body.add_done_callback(arrival)
        return True

    def take(self, arrival: _Arrival, received: Any) -> None:
        """Answer a request whose body came, or will not come any more."""
        arrival.body = None  # it knows the arrival, and the two of them would keep each other for ever
        if self._waiting.pop(arrival, None) is None:
            return  # it was told that it is too slow
        watcher, expected = arrival.watcher, arrival.expected
        begun, done = None, None
        try:
            asked = Asked(expected.method, expected.path, expected.headers, received.result())
        except ProtocolClosed:
            watcher.done()  # the client has gone
            return
        except Exception as error:  # noqa: BLE001 - every failure has one form on the wire
            self._tell(watcher, error_reply(error))
            return
        try:
            begun = self._app.begin_now(asked, expected.place, expected.form)
            done = None if begun is None else self._app.run_now(begun.pending)
        except Exception:  # noqa: BLE001 - where it is answered again, it is told and counted
            done = None
        if begun is None or done is None:
            task = self._loop.create_task(self._answer(watcher, asked, expected, begun))
            watcher.taskref(task)
        elif done[1] is None:
            self._send(watcher, begun, done[0], None)
        else:
            if not self._due:
                self._loop.call_soon(self._send_due)
            self._due.append(_Due(watcher, begun, done[0], done[1]))

    def _send_due(self) -> None:
        """Keep what was answered in the turn before, and send it."""
        due, self._due = self._due, []
        try:
            for each in due:
                each.turn.keep()
        except Exception as error:  # noqa: BLE001 - what was not kept is not acknowledged
            for each in due:
                self._tell(each.watcher, error_reply(error))
            return
        for each in due:
            self._send(each.watcher, each.begun, each.outputs, each.turn)

    def _send(self, watcher: Any, begun: Begun, outputs: Outputs, turn: Turn | None) -> None:
        self._tell(watcher, self._app.reply_now(begun, outputs, turn))

    def _tell(self, watcher: Any, reply: Reply) -> None:
        try:
            respond(watcher.proto, reply)
        except Exception as error:  # noqa: BLE001 - one that cannot be sent is no reason to send no other
            watcher.err(error)
        else:
            watcher.done()

    async def _answer(self, watcher: Any, asked: Asked, expected: Expected, begun: Begun | None) -> None:
        """Answer what takes longer, or is not as it should be."""
        try:
            with self._watched.watching():
                try:
                    reply = await self._app.predict(asked, expected.place, expected.form, begun)
                except Exception as error:  # noqa: BLE001 - every failure has one form on the wire
                    reply = error_reply(error)
                respond(watcher.proto, reply)
        except BaseException as error:
            watcher.err(error)
            if isinstance(error, asyncio.CancelledError):
                raise
        else:
            watcher.done()

    def _sweep(self) -> None:
        """Give up bodies that began to come too many sweeps ago; end when there are none."""
        self._n_sweeps += 1
        for arrival, began in list(self._waiting.items()):
            if began <= self._n_sweeps - SWEEPS and self._waiting.pop(arrival, None) is not None:
                body, arrival.body = arrival.body, None
                body.cancel()
                self._tell(arrival.watcher, error_reply(too_slow()).that_closes())
        self._sweeping = bool(self._waiting)
        if self._sweeping:
            self._loop.call_later(SWEEP_S, self._sweep)


class _Arrival:
    """A request whose body is on its way."""

    __slots__ = ("_arrivals", "body", "expected", "watcher")

    def __init__(self, arrivals: Arrivals, watcher: Any, expected: Expected) -> None:
        self._arrivals = arrivals
        self.watcher = watcher
        self.expected = expected
        self.body: Any = None

    def __call__(self, received: Any) -> None:
        """Take the body, in the event loop."""
        self._arrivals.take(self, received)
