"""The routes of the model server, as an application for Granian's RSGI."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import unquote

from granian._granian import RSGIHTTPProtocol as HTTPProtocol
from granian.rsgi import Scope

from noria.core.errors import NoriaError, TooLarge, Unavailable
from noria.core.gate import SECURITY_HEADERS
from noria.core.http_errors import MethodNotAllowed, RouteNotFound, error_answer, known_error, status_of
from noria.core.serialisation import from_json, to_json
from noria.serving.modelserver.answering import Answerer
from noria.serving.modelserver.door import Door, Headers
from noria.serving.modelserver.feedback import Feedback, FeedbackRequest
from noria.serving.modelserver.follower import Follower
from noria.serving.modelserver.protocol import model_metadata, read_request, server_metadata
from noria.serving.modelserver.routes import Route
from noria.serving.modelserver.standing import Shown

MAX_BODY_BYTES = 16 << 20
BODY_TIMEOUT_S = 30.0
"""How long a client may take to send the body of one request."""

FEEDBACK = "/feedback"
VERSION_HEADER = "noria-model-version"

B = TypeVar("B")
Observe = Callable[[str, int | None, int, int, float], None]
_MODEL = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?(?:/(ready|infer))?/?")
_COMMON = [("content-type", "application/json"), *SECURITY_HEADERS.items()]


@dataclass(frozen=True, slots=True)
class Reply(Generic[B]):
    """An answer to send."""

    body: B
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """A request whose body was read."""

    method: str
    path: str
    headers: Headers
    body: bytes


class ModelApp:
    """Answers over HTTP. The event loop only reads and writes.

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

    async def __rsgi__(self, scope: Scope, protocol: HTTPProtocol) -> None:
        """Answer one request."""
        method, path, headers = scope.method, scope.path, scope.headers
        try:
            self._door.admit(method, path, headers)
            body = await _read_body(headers, protocol)
            asked = Asked(method, path, headers, body)
            threads = self._waiting if asked.path == FEEDBACK else self._computing
            reply = await asyncio.get_running_loop().run_in_executor(threads, self._encoded_reply, asked)
        except Exception as error:  # noqa: BLE001 - every failure has one form on the wire
            reply = _error_reply(error)
        protocol.response_bytes(reply.status, [*_COMMON, *reply.headers], reply.body)

    def _encoded_reply(self, asked: Asked) -> Reply[bytes]:
        reply = self._reply(asked)
        return Reply(to_json(reply.body), reply.status, reply.headers)

    def _reply(self, asked: Asked) -> Reply[Any]:
        found = _MODEL.fullmatch(asked.path)
        if found is not None:
            return self._about_model(asked, unquote(found[1]), found[2], found[3])
        if asked.path == FEEDBACK:
            return self._take_feedback(asked)
        _only("GET", asked)
        if asked.path in ("/v2", "/v2/"):
            return Reply(server_metadata())
        if asked.path == "/v2/health/live":
            return Reply({"live": True})
        if asked.path == "/v2/health/ready":
            return Reply({"ready": self._follower.is_ready}, 200 if self._follower.is_ready else 503)
        if asked.path == "/status":
            return Reply(self._status())
        raise RouteNotFound(
            f"There is nothing at `{asked.path[:200]}`",
            hint="See `/v2`, `/v2/models/<endpoint>`, `/feedback`",
        )

    def _about_model(self, asked: Asked, name: str, version: str | None, what: str | None) -> Reply[Any]:
        if what == "infer":
            _only("POST", asked)
            return self._infer(asked, self._follower.find(name), version)
        _only("GET", asked)
        route = self._follower.find(name)
        self._door.enter(route, asked.headers, counts=False)
        chosen = route.version(version) if version is not None else route.versions[route.shares[-1][0]]
        if what == "ready":
            return Reply({"name": name, "ready": True})
        signature = chosen.entity.signature
        return Reply(model_metadata(name, sorted(route.versions), signature, signature.outputs))

    def _infer(self, asked: Asked, route: Route, version: str | None) -> Reply[Any]:
        began = time.perf_counter()
        answered, n_rows, status = None, 0, 500
        try:
            self._door.enter(route, asked.headers)
            request = read_request(asked.body)
            may_replay = bool(request.parameters.get("replay")) and self._door.may_replay(
                route, asked.headers
            )
            answer = self._answerer.answer(route, request, version=version, may_replay=may_replay)
            answered, n_rows, status = answer.version, answer.n_rows, 200
        except NoriaError as error:
            status = status_of(error)
            raise
        finally:
            self._observe(route.endpoint, answered, status, n_rows, time.perf_counter() - began)
        return Reply(answer.body, headers=((VERSION_HEADER, str(answer.version)),))

    def _take_feedback(self, asked: Asked) -> Reply[Any]:
        _only("POST", asked)
        request = from_json(asked.body, FeedbackRequest, what="feedback")
        named = request.endpoint
        route = self._follower.only() if named is None else self._follower.find(named)
        self._door.enter(route, asked.headers)
        answer = self._feedback.take(request, route)
        return Reply(answer, 202 if answer.queued else 200)

    def _status(self) -> dict[str, Any]:
        return {
            "ready": self._follower.is_ready,
            "endpoints": {
                name: {
                    "revision": route.revision,
                    "shares": {str(version): weight for version, weight in route.shares},
                    "loaded": sorted(route.versions),
                }
                for name, route in self._follower.routes.items()
            },
            **{name: transfer.status() for name, transfer in self._transfers.items()},
        }


def _only(method: str, asked: Asked) -> None:
    if asked.method != method and not (method == "GET" and asked.method == "HEAD"):
        raise MethodNotAllowed(f"`{asked.path[:200]}` takes `{method}`, not `{asked.method[:20]}`")


async def _read_body(headers: Headers, protocol: HTTPProtocol) -> bytes:
    announced = headers.get("content-length")
    if announced is not None and announced.isdecimal() and int(announced) > MAX_BODY_BYTES:
        raise _too_large()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            return await (protocol() if announced is not None else _gather_body(protocol))
    except TimeoutError as error:
        raise Unavailable(f"The body of the request did not arrive within {BODY_TIMEOUT_S:g} s") from error


async def _gather_body(protocol: HTTPProtocol) -> bytes:
    gathered = bytearray()
    async for piece in protocol:
        gathered += piece
        if len(gathered) > MAX_BODY_BYTES:
            raise _too_large()
    return bytes(gathered)


def _too_large() -> TooLarge:
    return TooLarge(f"A request may have at most {MAX_BODY_BYTES} bytes", hint="Send fewer rows at a time")


def _error_reply(error: Exception) -> Reply[bytes]:
    known = known_error(error)
    status, headers, _ = error_answer(known)
    body = known.to_body()
    # `error` is what clients of the protocol look for, the rest is the form of all of Noria's errors.
    fields = {
        "error": body.message,
        "code": body.code,
        "message": body.message,
        "hint": body.hint,
        "details": body.details,
    }
    return Reply(
        to_json(fields),
        status,
        tuple((key.decode(), value.decode()) for key, value in headers if key != b"content-type"),
    )
