"""A client that meets no server, a broken one, or something that is no Noria at all."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from noria.core.clock import ManualClock
from noria.core.errors import Unavailable
from noria.core.remote import HttpTransport, remote_service
from support.echo import Echo, Said
from support.ports import free_port

HTML = b"<html><body>Welcome to nginx</body></html>"

Serve = Callable[..., "Scripted"]


def answer(status: int, body: bytes, *headers: bytes) -> bytes:
    """Lay out an HTTP answer."""
    lines = [b"HTTP/1.1 %d X" % status, b"content-length: %d" % len(body), b"connection: close", *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


class Scripted:
    """Gives each connection the next of some answers, then hangs up; None hangs up without a word."""

    def __init__(self, *answers: bytes | None) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._answers = answers
        self.n_requests = 0
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._release = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        self._release.set()
        with contextlib.suppress(OSError):  # where closing alone wakes who waits for a connection
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(10)

    def _run(self) -> None:
        for each in self._answers:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                self.n_requests += 1
                if each == b"":
                    self._release.wait(30)
                elif each is not None:
                    connection.sendall(each)


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Give what starts a scripted server."""
    started: list[Scripted] = []

    def start(*answers: bytes | None) -> Scripted:
        started.append(Scripted(*answers))
        return started[-1]

    yield start
    for server in started:
        server.close()


@pytest.fixture
def reach() -> Iterator[Callable[..., Echo]]:
    """Give what makes a client of an address; its connections are closed with the test."""
    opened: list[HttpTransport] = []

    def make(url: str, *, timeout_s: float = 10.0, clock: ManualClock | None = None) -> Echo:
        opened.append(HttpTransport(url, timeout_s=timeout_s, clock=clock))
        return remote_service(Echo, opened[-1])

    yield make
    for transport in opened:
        transport.close()


@pytest.mark.parametrize(
    "reply",
    [
        answer(200, HTML, b"content-type: text/html"),
        answer(502, HTML, b"content-type: text/html"),
        answer(404, b'{"detail":"Not Found"}', b"content-type: application/json"),
        answer(302, b"", b"location: http://127.0.0.1:1/elsewhere"),
        answer(200, b'{"text":1}', b"content-type: application/json"),
        answer(500, b"x" * 3_000_000),
        answer(500, b""),
    ],
)
def test_an_answer_that_is_not_noria_s_is_told(
    serve: Serve, reach: Callable[..., Echo], reply: bytes
) -> None:
    """A proxy's page, another program and another version are told apart from an error of Noria."""
    server = serve(reply)

    with pytest.raises(Unavailable, match="but not as a Noria server of this version does") as caught:
        reach(server.url).maybe()
    assert server.url in caught.value.message


def test_a_broken_connection_is_tried_again_when_only_reading(
    serve: Serve, reach: Callable[..., Echo]
) -> None:
    """A read whose connection breaks is repeated after a pause, and its answer counts."""
    clock = ManualClock(datetime(2030, 1, 1, tzinfo=UTC))
    server = serve(None, None, answer(200, b'{"text":"there"}', b"content-type: application/json"))

    assert reach(server.url, clock=clock).maybe() == Said(text="there")
    assert server.n_requests == 3
    assert clock.monotonic() > 0


def test_a_read_is_given_up_after_a_few_attempts(serve: Serve, reach: Callable[..., Echo]) -> None:
    """A server that keeps hanging up is an error that names it."""
    server = serve(None, None, None, None, None)

    with pytest.raises(Unavailable, match=f"The connection to `{server.url}` broke"):
        reach(server.url).maybe()
    assert server.n_requests == 3


def test_a_write_is_never_sent_twice(serve: Serve, reach: Callable[..., Echo]) -> None:
    """Nobody knows whether a write whose connection broke was done, so it is not repeated."""
    server = serve(None, answer(201, b'{"text":"x"}'))

    with pytest.raises(Unavailable):
        reach(server.url).body(Said(text="x"))
    assert server.n_requests == 1


def test_a_silent_server_is_given_up_in_time(serve: Serve, reach: Callable[..., Echo]) -> None:
    """A server that takes the request and says nothing is an error after the time allowed, once."""
    server = serve(b"", b"")

    with pytest.raises(Unavailable, match=r"did not answer in 0\.2 s"):
        reach(server.url, timeout_s=0.2).maybe()
    assert server.n_requests == 1


def test_an_answer_cut_short_is_not_taken_for_whole(serve: Serve, reach: Callable[..., Echo]) -> None:
    """A connection that breaks in the middle of an answer is an error."""
    whole = answer(200, b'{"text":"there"}', b"content-type: application/json")
    server = serve(*[whole[:-3]] * 3)

    with pytest.raises(Unavailable, match="broke"):
        reach(server.url).maybe()


def test_a_proxy_of_the_environment_does_not_stand_before_loopback(
    serve: Serve, reach: Callable[..., Echo], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`HTTP_PROXY` is for other machines; a server on this one is reached directly."""
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    server = serve(answer(200, b"null", b"content-type: application/json"))

    assert reach(server.url).maybe() is None


@pytest.mark.parametrize("suffix", ["", "/", "/noria", "/noria/"])
def test_a_server_may_live_below_a_path(serve: Serve, reach: Callable[..., Echo], suffix: str) -> None:
    """An address with a path, as behind a proxy, is kept, with or without a slash at its end."""
    server = serve(answer(200, b"null", b"content-type: application/json"))

    assert reach(server.url + suffix).maybe() is None
