"""The routes of the model server, as an application for Granian's RSGI."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import Any

import msgspec
from granian._granian import RSGIHTTPProtocol as HTTPProtocol
from granian.rsgi import Scope

from noria._version import __version__
from noria.core.errors import NoriaError, TooLarge
from noria.core.gate import ContentTypeRefused
from noria.core.http_errors import MethodNotAllowed, RouteNotFound, TooManyRequests, status_of
from noria.core.serialisation import to_json
from noria.serving.modelserver.answering import Answerer, Ask, Pending
from noria.serving.modelserver.door import Door, Headers
from noria.serving.modelserver.feedback import Feedback, read_feedback, stamp
from noria.serving.modelserver.follower import Follower
from noria.serving.modelserver.lanes import Outputs
from noria.serving.modelserver.openapi import describe
from noria.serving.modelserver.places import Form, Place, find_place
from noria.serving.modelserver.protocol import model_metadata, server_metadata
from noria.serving.modelserver.replies import (
    BODY_TIMEOUT_S,
    Reply,
    error_reply,
    reply_of,
    respond,
    too_slow,
)
from noria.serving.modelserver.routes import LoadedVersion, Route
from noria.serving.modelserver.standing import Shown
from noria.serving.modelserver.turn import Turn
from noria.serving.modelserver.turns import is_sure

MAX_BODY_BYTES = 16 << 20
FEEDBACK = "/feedback"

SWEEP_S = 5.0
SWEEPS = round(BODY_TIMEOUT_S / SWEEP_S) + 1
"""After so many looks, one every few seconds, a body is late."""

_REMEMBERED = 1_000
_LARGE_BYTES = 1 << 20
"""A longer body is read in a thread, so that others need not wait."""

_LINGER_BYTES = 1 << 20
_LINGER_S = 1.0

Observe = Callable[[tuple[str, str], int | None, int, int, float], None]


class Asked(msgspec.Struct, frozen=True, gc=False):
    """A request whose body was read."""

    method: str
    path: str
    headers: Headers
    body: bytes


class Expected(msgspec.Struct, frozen=True, gc=False):
    """A request for predictions that was admitted, and whose body is short."""

    method: str
    path: str
    headers: Headers
    place: Place
    form: Form


class Begun(msgspec.Struct, frozen=True):
    """A request that was read, and when that began."""

    route: Route
    ask: Ask
    pending: Pending
    began: float


class ModelApp:
    """Answers over HTTP. What is quick runs in the event loop, all else in threads.

    Parameters
    ----------
    observe
        Told of each request for predictions: endpoint, version, HTTP status, rows, and seconds that it took.
    transfers
        By the name under which `/status` shows how they stand.
    computing, waiting
        Threads that predict, and threads that wait for the control server: neither must hold up the other.
    """

    def __init__(
        self,
        *,
        follower: Follower,
        answerer: Answerer,
        observe: Observe,
        feedback: Feedback,
        door: Door,
        transfers: dict[str, Shown],
        computing: Executor,
        waiting: Executor,
    ) -> None:
        self._follower = follower
        self._answerer = answerer
        self._observe = observe
        self._feedback = feedback
        self._door = door
        self._transfers = transfers
        self._computing = computing
        self._waiting = waiting
        self._places: dict[str, Place] = {}
        self._tellers: dict[str, Callable[[], Reply]] = {
            "/v2": lambda: Reply(to_json(server_metadata())),
            "/v2/health/live": lambda: Reply(to_json({"live": True})),
            "/v2/health/ready": self._tell_ready,
            "/openapi.json": lambda: Reply(to_json(describe(self._follower.routes))),
            "/status": lambda: Reply(to_json(self._status())),
            # What clients of MLflow's scoring server ask.
            "/ping": self._tell_ready,
            "/health": self._tell_ready,
            "/version": lambda: Reply(__version__.encode(), headers=[("content-type", "text/plain")]),
        }
        self._reading: dict[asyncio.Task[Any], int] = {}
        self._n_sweeps = 0
        self._sweeping = False

    async def __rsgi__(self, scope: Scope, protocol: HTTPProtocol) -> None:
        """Answer one request."""
        method, path, headers = scope.method, scope.path, scope.headers
        body: bytes | None = None
        try:
            announced = headers.get("content-length")
            self._door.admit(method, path, headers, announced)
            body = await self._read_body(headers, protocol, announced)
            place = self._places.get(path) or self._find_place(path)
            asked = Asked(method, path, headers, body)
            if place.form is not None:
                reply = await self.predict(asked, place, place.form)
            elif path == FEEDBACK:
                reply = await asyncio.get_running_loop().run_in_executor(
                    self._waiting, self._take_feedback, asked, scope.client
                )
            else:
                reply = self._tell(asked, place)
        except Exception as error:  # noqa: BLE001 - every failure has one form on the wire
            reply = error_reply(error)
            if body is None and not await self._forget_body(headers, protocol):
                reply = reply.that_closes()
        respond(protocol, reply)

    def expected(self, scope: Scope) -> Expected | None:
        """Look at a request whose body nobody asked for yet, in any thread; None where `__rsgi__` is to answer."""
        path = scope.path
        place = self._places.get(path)
        if place is None or place.form is None or scope.method != "POST":
            return None
        headers = scope.headers
        announced = headers.get("content-length")
        if announced is None or not announced.isdecimal() or not 0 < int(announced) <= _LARGE_BYTES:
            return None
        if headers.get("content-encoding") is not None or headers.get("expect") is not None:
            return None
        try:
            self._door.admit("POST", path, headers, announced)
        except NoriaError:
            return None
        return Expected("POST", path, headers, place, place.form)

    def begin_now(self, asked: Asked, place: Place, form: Form) -> Begun | None:
        """Read a request, unless its endpoint has keys; raises what is wrong with it."""
        route = self._route() if place.name is None else self._follower.find(place.name)
        if not self._door.is_open(route):
            return None
        began = time.perf_counter()
        ask, pending = self._begin(asked, place, form, route)
        return Begun(route, ask, pending, began)

    def run_now(self, pending: Pending) -> tuple[Outputs, Turn | None] | None:
        """Predict where that takes little, and keep it as `Answerer.take` does; None where it takes more."""
        lane, inputs = pending.chosen.lane, pending.inputs
        if pending.first is not None or pending.replay or not lane.is_quick(inputs.n_rows):
            return None
        outputs = lane.run(inputs.arrays, inputs.n_rows)
        return outputs, self._answerer.take(pending, outputs)

    def reply_now(self, begun: Begun, outputs: Outputs, turn: Turn | None) -> Reply:
        """Give the answer of `run_now` when it was kept; counts it."""
        status, version, n_rows = 500, None, 0
        try:
            if turn is not None:
                turn.check(begun.pending.identity)
            answered = self._answerer.answered(begun.pending, outputs)
            reply = reply_of(begun.ask, answered)
            status, version, n_rows = 200, answered.version, answered.n_rows
        except Exception as error:  # noqa: BLE001 - every failure has one form on the wire
            reply = error_reply(error)
            status = reply.status
        self._count(begun.route, version, status, n_rows, begun.began)
        return reply

    def _find_place(self, path: str) -> Place:
        found = find_place(path)
        # Addresses are made up by callers: those that nobody asks again must not stay for ever.
        if len(self._places) >= _REMEMBERED:
            self._places.clear()
        self._places[path] = found
        return found

    def _tell(self, asked: Asked, place: Place) -> Reply:
        if place.about_model:
            return self._tell_of_model(asked, place)
        teller = self._tellers.get(asked.path.removesuffix("/"))
        if teller is None:
            raise RouteNotFound(
                f"There is nothing at `{asked.path[:200]}`",
                hint="See `/openapi.json`, `/v2`, `/v2/models/<endpoint>`, `/feedback`",
            )
        _only("GET", asked)
        return teller()

    def _tell_ready(self) -> Reply:
        ready = self._follower.is_ready
        return Reply(to_json({"ready": ready}), 200 if ready else 503)

    def _tell_of_model(self, asked: Asked, place: Place) -> Reply:
        _only("GET", asked)
        route = self._follower.find(place.name or "")
        self._door.enter(route, asked.headers, counts=False)
        number = place.version
        chosen = route.version(number) if number is not None else route.versions[route.shares[-1][0]]
        if place.ready:
            return Reply(to_json({"name": place.name, "ready": True}))
        signature = chosen.entity.signature
        return Reply(
            to_json(model_metadata(place.name or "", sorted(route.versions), signature, signature.outputs))
        )

    async def predict(self, asked: Asked, place: Place, form: Form, begun: Begun | None = None) -> Reply:
        """Answer a request for predictions; `begun` if it was read already."""
        _only("POST", asked)
        if begun is not None:
            route, began = begun.route, begun.began
        else:
            route = self._route() if place.name is None else self._follower.find(place.name)
            began = time.perf_counter()
        version, n_rows, status = None, 0, 500
        try:
            if begun is not None:
                ask, pending = begun.ask, begun.pending
            elif len(asked.body) > _LARGE_BYTES:
                self._door.enter(route, asked.headers)
                loop = asyncio.get_running_loop()
                ask, pending = await loop.run_in_executor(
                    self._computing, self._begin, asked, place, form, route
                )
            else:
                self._door.enter(route, asked.headers)
                ask, pending = self._begin(asked, place, form, route)
            try:
                if pending.first is not None:
                    pending, outputs = await self._in_turn(pending, pending.first)
                elif not pending.replay and pending.chosen.lane.is_quick(pending.inputs.n_rows):
                    outputs = pending.chosen.lane.run(*pending.inputs)
                else:
                    outputs = await self._compute(pending)
            except TooManyRequests:
                raise
            except Exception as error:
                culprit = await asyncio.get_running_loop().run_in_executor(
                    self._computing, pending.chosen.lane.culprit, *pending.inputs
                )
                raise self._answerer.failed(pending, error, culprit) from error
            answered = await self._answerer.finish(pending, outputs)
            reply = reply_of(ask, answered)
            version, n_rows, status = answered.version, answered.n_rows, 200
        except NoriaError as error:
            status = status_of(error)
            raise
        finally:
            self._count(route, version, status, n_rows, began)
        return reply

    def _count(self, route: Route, version: int | None, status: int, n_rows: int, began: float) -> None:
        self._observe((route.project, route.endpoint), version, status, n_rows, time.perf_counter() - began)

    def _begin(self, asked: Asked, place: Place, form: Form, route: Route) -> tuple[Ask, Pending]:
        ask = form(asked.body, asked.headers, route.newest)
        door, headers = self._door, asked.headers
        may_replay = partial(door.may_replay, route, headers) if ask.parameters else _not_asked
        return ask, self._answerer.begin(route, ask, version=place.version, may_replay=may_replay)

    async def _in_turn(self, pending: Pending, first: LoadedVersion) -> tuple[Pending, Outputs]:
        """Ask the first version, and the chosen one if that is not sure; give whose answer it is."""
        cascade = pending.route.cascade
        assert cascade is not None  # noqa: S101 - else there is no first one
        asked = msgspec.structs.replace(pending, chosen=first)
        outputs: Outputs = {}
        raised: Exception | None = None
        try:
            outputs = await self._run(asked)
            if is_sure(outputs, cascade.min_confidence):
                return asked, outputs
        except TooManyRequests:
            raise
        except Exception as error:  # noqa: BLE001 - the second answers what the first cannot
            raised = error
        self._answerer.unsure(asked, outputs, raised)
        return pending, await self._run(pending)

    async def _run(self, pending: Pending) -> Outputs:
        lane, inputs = pending.chosen.lane, pending.inputs
        return lane.run(*inputs) if lane.is_quick(inputs.n_rows) else await self._compute(pending)

    async def _compute(self, pending: Pending) -> Outputs:
        lane, inputs = pending.chosen.lane, pending.inputs
        if pending.replay:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._computing, self._answerer.replay, pending)
        return await lane.predict(inputs.arrays, inputs.n_rows, self._computing)

    def _route(self) -> Route:
        route = self._follower.only()
        if route is None:
            raise RouteNotFound(
                f"This server serves {len(self._follower.routes)} endpoints, and the address names none",
                hint="Ask `/endpoints/<endpoint>/invocations`",
            )
        return route

    def _take_feedback(self, asked: Asked, address: str) -> Reply:
        _only("POST", asked)
        request = read_feedback(asked.body)
        named = request.endpoint
        route = self._follower.only() if named is None else self._follower.find(named)
        self._door.enter(route, asked.headers)
        stamped = stamp(request, self._door.client_of(route, asked.headers, address))
        answer = self._feedback.take(stamped, route)
        return Reply(to_json(answer), 202 if answer.queued else 200)

    async def _read_body(self, headers: Headers, protocol: HTTPProtocol, announced: str | None) -> bytes:
        if announced is not None and announced.isdecimal() and int(announced) > MAX_BODY_BYTES:
            raise _too_large()
        encoding = headers.get("content-encoding")
        if encoding is not None and encoding != "identity":
            raise ContentTypeRefused("This server takes no compressed bodies", hint="Send it as it is")
        # A timer for each request would cost more than the rest of this function.
        task: Any = asyncio.current_task()
        self._reading[task] = self._n_sweeps
        if not self._sweeping:
            self._sweep(asyncio.get_running_loop())
        try:
            return await (protocol() if announced is not None else _gather_body(protocol))
        except asyncio.CancelledError as error:
            task.uncancel()
            raise too_slow() from error
        finally:
            del self._reading[task]

    async def _forget_body(self, headers: Headers, protocol: HTTPProtocol) -> bool:
        """Read a small body that nobody wants; tells whether the connection can be used again.

        The server closes one whose body is left unread, and a client that keeps it would meet the close with its next
        request instead of an answer.
        """
        announced = headers.get("content-length")
        if announced is None or announced == "0":
            return headers.get("transfer-encoding") is None
        if not announced.isdecimal() or int(announced) > _LINGER_BYTES or headers.get("expect") is not None:
            return False
        try:
            async with asyncio.timeout(_LINGER_S):
                await protocol()
        except Exception:  # noqa: BLE001 - a body that does not come is no failure beside the one to be told
            return False
        return True

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        """Give up bodies that began to be read too many sweeps ago; end when there are none."""
        self._n_sweeps += 1
        for task, began in list(self._reading.items()):
            if began <= self._n_sweeps - SWEEPS:
                task.cancel()
        self._sweeping = bool(self._reading)
        if self._sweeping:
            loop.call_later(SWEEP_S, self._sweep, loop)

    def _status(self) -> dict[str, Any]:
        return {
            "ready": self._follower.is_ready,
            "endpoints": {
                name: {
                    "revision": route.revision,
                    "shares": {str(version): weight for version, weight in route.shares},
                    "loaded": sorted(route.versions),
                    "cascade": route.cascade,
                }
                for name, route in self._follower.routes.items()
            },
            **{name: transfer.status() for name, transfer in self._transfers.items()},
        }


def _not_asked() -> bool:
    return False


def _only(method: str, asked: Asked) -> None:
    if asked.method != method and not (method == "GET" and asked.method == "HEAD"):
        raise MethodNotAllowed(f"`{asked.path[:200]}` takes `{method}`, not `{asked.method[:20]}`")


async def _gather_body(protocol: HTTPProtocol) -> bytes:
    gathered = bytearray()
    async for piece in protocol:
        gathered += piece
        if len(gathered) > MAX_BODY_BYTES:
            raise _too_large()
    return bytes(gathered)


def _too_large() -> TooLarge:
    return TooLarge(f"A request may have at most {MAX_BODY_BYTES} bytes", hint="Send fewer rows at a time")
