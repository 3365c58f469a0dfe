"""Requests that are received before the event loop hears of them, over a real socket through Granian."""

from __future__ import annotations

import asyncio
import gc
import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, NamedTuple

import numpy as np
import pytest
from granian.constants import Interfaces

from noria.core.errors import Failed, Invalid
from noria.core.listening import Listener
from noria.serving.modelserver import arrivals
from noria.serving.modelserver.arrivals import ArrivalLoop, Arrivals
from noria.serving.modelserver.replies import Reply, error_reply, respond
from support.waiting import wait_until

LATE, BROKEN, RAISES = b"late", b"broken", b"raises"


class Kept:
    """A turn that notes how often it was kept."""

    def __init__(self, notes: list[str]) -> None:
        self._notes = notes
        self.is_kept = False

    def keep(self) -> None:
        if not self.is_kept:
            self.is_kept = True
            if "full" in self._notes:
                raise Failed("not kept")
            self._notes.append("kept")


class Echo:
    """Stands where `ModelApp` does, and answers with the body; the body says how."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.n_usual = 0
        self._turn = Kept(self.notes)

    async def __rsgi__(self, _: Any, protocol: Any) -> None:
        self.n_usual += 1
        respond(protocol, Reply(b"usual: " + await protocol()))

    def expected(self, scope: Any) -> Any:
        return Asking("POST", scope.path, scope.headers, None, None) if scope.path == "/early" else None

    def begin_now(self, asked: Any, *_: Any) -> Any:
        if asked.body == RAISES:
            raise Invalid("no")
        return None if asked.body == BROKEN else Read(asked.body)

    def run_now(self, body: bytes) -> Any:
        if body == LATE:
            return None
        if self._turn.is_kept:
            self._turn = Kept(self.notes)
        return {"x": np.zeros(1)}, self._turn

    def reply_now(self, begun: Any, *_: Any) -> Reply:
        self.notes.append("sent")
        return Reply(begun.pending)

    async def predict(self, asked: Any, _: Any, __: Any, begun: Any) -> Reply:
        await asyncio.sleep(0)
        if asked.body == RAISES:
            raise Invalid("no")
        assert (begun is None) == (asked.body == BROKEN)
        return Reply(b"later: " + asked.body)


class Asking(NamedTuple):
    method: str
    path: str
    headers: Any
    place: Any
    form: Any


class Read(NamedTuple):
    pending: bytes


class Unwatched:
    @contextmanager
    def watching(self) -> Iterator[None]:
        yield


@pytest.fixture
def served() -> Iterator[tuple[Echo, int]]:
    """Give the application and its port."""
    app, listening = Echo(), socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    stopping, ready = asyncio.Event(), threading.Event()
    found: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        found.append(asyncio.get_running_loop())
        asyncio.get_running_loop().call_soon(ready.set)
        await Listener(app, listening, interface=Interfaces.RSGI).run(stopping, grace_s=1)

    def run() -> None:
        with asyncio.Runner(loop_factory=ArrivalLoop) as runner:
            loop = runner.get_loop()
            assert isinstance(loop, ArrivalLoop)
            Arrivals(app, Unwatched(), loop)  # type: ignore[arg-type]  # see `Echo`
            runner.run(serve())

    thread = threading.Thread(target=run)
    thread.start()
    ready.wait(10)
    yield app, port
    found[0].call_soon_threadsafe(stopping.set)
    thread.join(20)


def ask(port: int, body: bytes, path: str = "/early") -> tuple[int, bytes]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request("POST", path, body)
        answer = connection.getresponse()
        return answer.status, answer.read()


def test_what_is_expected_passes_the_applications_coroutine_by(served: tuple[Echo, int]) -> None:
    """It is answered with its body, however long; all else goes the usual way."""
    app, port = served
    for body in (b"a", b"b" * 70_000, b"c" * 900_000):
        assert ask(port, body) == (200, body)
    assert app.n_usual == 0
    assert ask(port, b"d", "/else") == (200, b"usual: d")
    assert app.n_usual == 1


def test_answers_are_sent_after_their_turn_was_kept(served: tuple[Echo, int]) -> None:
    """Whoever has an answer can be sure that the record is with the kernel."""
    app, port = served
    threads = [threading.Thread(target=ask, args=(port, b"x%d" % n)) for n in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert app.notes.count("sent") == 40
    assert app.notes[0] == "kept"
    assert 1 <= app.notes.count("kept") <= 40


def test_what_could_not_be_kept_is_not_acknowledged(served: tuple[Echo, int]) -> None:
    """The client learns that it failed, and the next one is answered."""
    app, port = served
    app.notes.append("full")
    assert ask(port, b"a") == (error_reply(Failed("not kept")).status, error_reply(Failed("not kept")).body)
    app.notes.clear()
    assert ask(port, b"a") == (200, b"a")


def test_nothing_of_a_request_is_kept(served: tuple[Echo, int]) -> None:
    """Neither it nor its body stays when it was answered, at once or later."""
    _, port = served
    for body in [b"x" * 200_000, LATE, BROKEN, RAISES] * 5:
        ask(port, body)

    def left() -> int:
        gc.collect()
        return sum(type(each).__name__ == "_Arrival" for each in gc.get_objects())

    # The last one may still be on its way out of the loop.
    wait_until(lambda: left() == 0, 20, "requests are kept after they were answered")


def test_what_takes_longer_is_answered_by_a_task(served: tuple[Echo, int]) -> None:
    """So is what is not as it should be, with the error that it deserves."""
    _, port = served
    assert ask(port, LATE) == (200, b"later: late")
    assert ask(port, BROKEN) == (200, b"later: broken")
    assert ask(port, RAISES) == (error_reply(Invalid("no")).status, error_reply(Invalid("no")).body)


def test_a_body_that_does_not_come_is_given_up(
    served: tuple[Echo, int], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The client is told, its connection ends, and others were answered meanwhile; one that goes away hurts nobody."""
    monkeypatch.setattr(arrivals, "SWEEP_S", 0.05)
    app, port = served
    with socket.create_connection(("127.0.0.1", port), timeout=20) as gone:
        gone.sendall(b"POST /early HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n123")
    with socket.create_connection(("127.0.0.1", port), timeout=20) as slow:
        slow.sendall(b"POST /early HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n123")
        assert ask(port, b"quick") == (200, b"quick")
        found = b""
        while part := slow.recv(65_536):
            found += part
    assert found.startswith(b"HTTP/1.1 503")
    assert b"did not arrive within 30 s" in found
    assert ask(port, b"quick") == (200, b"quick")
    assert app.n_usual == 0
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []
