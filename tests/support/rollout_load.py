"""Requests on many connections during a rollout, and whether each was answered as the plans of that instant say."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast
from urllib.parse import urlsplit

import uvloop

from noria.core.context import Context
from noria.core.errors import NoriaError
from noria.serving.modelserver.routes import Route, normalised
from noria.serving.plans import EndpointPlan
from noria.serving.service import Endpoints

LOOK_EVERY_S = 0.03
_CONNECT_AGAIN_S = 0.02


class Answer(NamedTuple):
    """What became of a request; times are of the monotonic clock."""

    id: str
    sent_at: float
    done_at: float
    status: int
    version: int


class Load:
    """Asks one endpoint on some connections, each request under an id of its own, and again when a connection breaks.

    Parameters
    ----------
    url
        Of the model server.
    inputs
        Of one request, as the protocol writes them.
    pause_s
        Of each connection between an answer and the next request.
    """

    def __init__(
        self, url: str, endpoint: str, inputs: list[dict[str, Any]], *, n: int = 32, pause_s: float = 0.0
    ) -> None:
        parts = urlsplit(url)
        self.host, self.port = parts.hostname or "127.0.0.1", parts.port or 80
        self.n = n
        self.pause_s = pause_s
        self.answers: list[Answer] = []
        self.broken: list[tuple[str, float]] = []
        self.strange: list[bytes] = []
        self.refused: list[bytes] = []
        self.stopping = False
        self._numbers = itertools.count(time.time_ns() << 20)
        body = json.dumps({"id": "0" * 32, "inputs": inputs}).encode()
        head = (
            f"POST /v2/models/{endpoint}/infer HTTP/1.1\r\nhost: {self.host}:{self.port}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        self._before, _, self._behind = (head.encode() + body).partition(b"0" * 32)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping = True
        self._thread.join(60)
        assert not self._thread.is_alive(), "a request was never answered"

    @property
    def n_good(self) -> int:
        """How many were answered with 200."""
        return sum(answer.status == 200 for answer in list(self.answers))

    def new_id(self) -> str:
        """Give the next request's id."""
        return f"{next(self._numbers):032x}"

    def request(self, identity: str) -> bytes:
        """Give the bytes of a request."""
        return b"".join((self._before, identity.encode(), self._behind))

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._ask())

    async def _ask(self) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(self.n):
                group.create_task(self._keep_asking())

    async def _keep_asking(self) -> None:
        """Hold one connection, and open another when it breaks."""
        loop = asyncio.get_running_loop()
        left: str | None = None
        while not self.stopping or left is not None:
            ended: asyncio.Future[str | None] = loop.create_future()
            try:
                await loop.create_connection(lambda: _Connection(self, left, ended), self.host, self.port)  # noqa: B023
            except OSError:
                await asyncio.sleep(_CONNECT_AGAIN_S)
                continue
            left = await ended


class _Connection(asyncio.Protocol):
    """Sends one request after the other; when it ends it tells which is left without an answer."""

    def __init__(self, load: Load, left: str | None, ended: asyncio.Future[str | None]) -> None:
        self._load = load
        self._id = left
        self._ended = ended
        self._sent_at = 0.0
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        head = head.lower()
        if len(body) < int(_header(head, b"content-length") or b"0"):
            return
        if not head.startswith(b"http/1.1 200 "):
            self._load.refused.append(body)
        version = _header(head, b"noria-model-version")
        status = int(head[9:12])
        if status == 200 and b'"model_version":"' + (version or b"none") + b'"' not in body:
            self._load.strange.append(body)
        self._load.answers.append(
            Answer(self._id or "", self._sent_at, time.monotonic(), status, int(version or 0))
        )
        self._id, self._buffer = None, b""
        if self._load.pause_s:
            asyncio.get_running_loop().call_later(self._load.pause_s, self._send)
        else:
            self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._id is not None:
            self._load.broken.append((self._id, time.monotonic()))
        if not self._ended.done():
            self._ended.set_result(self._id)

    def _send(self) -> None:
        if self._ended.done():
            return
        if self._load.stopping and self._id is None:
            self._transport.close()
            return
        self._id = self._id or self._load.new_id()
        self._sent_at = time.monotonic()
        self._transport.write(self._load.request(self._id))


def _header(head: bytes, name: bytes) -> bytes | None:
    _, found, behind = head.partition(b"\r\n" + name + b":")
    return behind.partition(b"\r\n")[0].strip() if found else None


@dataclass(slots=True)
class Span:
    """A plan, and the time in which it can have been followed."""

    plan: EndpointPlan
    from_s: float
    until_s: float = float("inf")

    def versions(self, identity: str) -> set[int]:
        """Give which versions may answer a request."""
        plan = self.plan
        numbers: Any = {each.version: each.version for each in plan.versions}
        shares = normalised({each.version: each.weight for each in plan.versions})
        route = Route(
            project=plan.project,
            endpoint=plan.endpoint,
            revision=plan.revision,
            versions=numbers,
            shares=shares,
        )
        chosen = cast("int", route.choose(identity))
        cascade = plan.cascade
        return {chosen, cascade.first} if cascade and chosen == cascade.second else {chosen}


@dataclass(slots=True)
class PlanLog:
    """The plans of one endpoint, as they come and go.

    Attributes
    ----------
    grace_s
        For so long after all workers followed the next plan one that was just started may follow what it found on its
        disk: 0 where none is killed.
    """

    context: Context
    place: tuple[str, str]
    grace_s: float = 0.0
    spans: list[Span] = field(default_factory=list)

    def look(self, before_s: float) -> None:
        """Note the present plan and what is followed.

        Parameters
        ----------
        before_s
            When the look before this one began.
        """
        endpoints = self.context.service(Endpoints)
        plan = next(p for p in endpoints.plans().plans or [] if (p.project, p.endpoint) == self.place)
        if not self.spans or self.spans[-1].plan.revision != plan.revision:
            self.spans.append(Span(plan, before_s))
        followed = [
            applied.revision
            for server in endpoints.servers().items
            for applied in server.endpoints
            if (applied.project, applied.endpoint) == self.place
        ]
        for span in self.spans:
            if followed and span.plan.revision < min(followed) and span.until_s == float("inf"):
                span.until_s = time.monotonic() + self.grace_s

    @contextmanager
    def kept(self) -> Iterator[PlanLog]:
        """Look again and again, in a thread."""
        stopping = threading.Event()
        thread = threading.Thread(target=self._keep, args=(stopping,), daemon=True)
        self.look(float("-inf"))
        thread.start()
        try:
            yield self
        finally:
            stopping.set()
            thread.join(60)

    def misfits(self, answers: Sequence[Answer]) -> list[Answer]:
        """Give the answers that no plan of their time allows."""
        return [
            answer
            for answer in answers
            if answer.status == 200
            and not any(
                answer.version in span.versions(answer.id)
                for span in self.spans
                if span.from_s <= answer.done_at and answer.sent_at <= span.until_s
            )
        ]

    def _keep(self, stopping: threading.Event) -> None:
        before_s = time.monotonic()
        while not stopping.wait(LOOK_EVERY_S):
            began_s = time.monotonic()
            try:
                self.look(before_s)
            except NoriaError:
                continue  # a database that is busy is asked again, and the time before counts from the last good look
            before_s = began_s
