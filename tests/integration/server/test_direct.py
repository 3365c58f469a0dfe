"""Requests that a thread answers without the event loop: behind the same gate, in the same words."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx
import pytest

from noria.core.adapters import Adapter, AdapterAnswer, AdapterRequest, AdapterRoute, AdapterStream
from noria.core.errors import NoriaError, NotFound
from noria.core.http_errors import status_of
from noria.core.permissions import Permission
from noria.core.remote import HttpTransport
from noria.core.serialisation import to_json
from support.live_server import LiveServer
from support.waiting import wait_until

USE = Permission(name="quick.use", roleless=True)
JSON = {"content-type": "application/json"}


def tell(request: AdapterRequest) -> AdapterAnswer:
    told = {
        "thread": threading.current_thread().name,
        "n_bytes": len(request.body),
        "ends": request.body[-3:].decode(),
        "caller": request.context.principal.name,
    }
    return AdapterAnswer(body=to_json(told), headers={"x-own": "yes"})


def fail(request: AdapterRequest) -> AdapterAnswer:
    if request.query.get("known"):
        raise NotFound("There is none")
    raise RuntimeError("nobody foresaw this")


def stream(request: AdapterRequest) -> AdapterStream:
    def chunks() -> Iterator[bytes]:
        if request.body == b"{}":
            raise NotFound("There is nothing to send")
        yield from (b"one ", b"two")

    return AdapterStream(chunks=chunks(), size_bytes=7, media_type="text/plain")


def refuse(error: NoriaError) -> AdapterAnswer:
    return AdapterAnswer(status=status_of(error), body=to_json({"quick_words": error.message}))


QUICK = Adapter(
    name="quick",
    prefixes=("/quick/",),
    routes=[
        AdapterRoute(method="GET", path="/quick/tell", handle=tell, needs=USE),
        AdapterRoute(method="POST", path="/quick/tell", handle=tell, needs=USE),
        AdapterRoute(method="GET", path="/quick/fail", handle=fail, needs=USE),
        AdapterRoute(method="POST", path="/quick/stream", handle=stream, needs=USE),
    ],
    refuse=refuse,
)


@pytest.fixture(autouse=True)
def adapted(small_server: LiveServer, transport: HttpTransport) -> None:
    """Serve the protocol, and a workspace."""
    small_server.adapt(QUICK)


@contextmanager
def connected(url: str) -> Iterator[socket.socket]:
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=20) as connection:
        yield connection


def test_small_requests_do_not_wait_for_the_event_loop(
    small_server: LiveServer, stranger: httpx.Client
) -> None:
    """They are answered by threads while it is held up, with the headers that every answer has."""
    with small_server.holding_the_loop():
        asked = stranger.get("/quick/tell")
        posted = stranger.post("/quick/tell", content=b'{"a": 1}', headers=JSON)

    assert asked.json()["thread"].startswith("noria-request")
    assert (posted.json()["n_bytes"], posted.headers["x-own"]) == (8, "yes")
    for answer in (asked, posted):
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["content-type"] == "application/json"
        assert int(answer.headers["content-length"]) == len(answer.content)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "elsewhere.example"}, 403),
        ({"origin": "http://elsewhere.example"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"content-type": "text/plain"}, 415),
        ({"authorization": "Bearer nobody"}, 401),
        ({"authorization": "Bearer"}, 401),
    ],
)
def test_the_gate_refuses_there_what_it_refuses_elsewhere(
    small_server: LiveServer, stranger: httpx.Client, headers: dict[str, str], status: int
) -> None:
    """Whoever is refused by name, origin, content type or credential never reaches a handler."""
    with small_server.holding_the_loop():
        answer = stranger.post("/quick/tell", content=b"{}", headers={**JSON, **headers})

    assert answer.status_code == status
    assert set(answer.json()) == {"quick_words"}
    assert ("www-authenticate" in answer.headers) is (status == 401)


def test_nobody_unknown_is_let_in(small_server: LiveServer, stranger: httpx.Client) -> None:
    """Where everyone has to sign in, a request without a credential is refused."""
    small_server.is_open = False
    with small_server.holding_the_loop():
        answer = stranger.get("/quick/tell")

    assert answer.status_code == 401


def test_failures_are_told_in_the_words_of_the_protocol(
    small_server: LiveServer, stranger: httpx.Client
) -> None:
    """A known error has its status, and one that nobody foresaw is a fault without its text."""
    with small_server.holding_the_loop():
        known = stranger.get("/quick/fail?known=1")
        unforeseen = stranger.get("/quick/fail")

    assert (known.status_code, known.json()) == (404, {"quick_words": "There is none"})
    assert unforeseen.status_code == 500
    assert "foresaw" not in unforeseen.json()["quick_words"]


def test_streams_are_sent_by_the_event_loop(stranger: httpx.Client) -> None:
    """An answer in chunks is sent as elsewhere, also one that fails before its first chunk."""
    sent = stranger.post("/quick/stream", content=b'{"a": 1}', headers=JSON)
    failed = stranger.post("/quick/stream", content=b"{}", headers=JSON)

    assert (sent.status_code, sent.text, sent.headers["x-frame-options"]) == (200, "one two", "DENY")
    assert (failed.status_code, failed.json()) == (404, {"quick_words": "There is nothing to send"})


@pytest.mark.parametrize("n_bytes", [1, 40_000, 100_000])
def test_bodies_come_whole_whatever_their_size(stranger: httpx.Client, n_bytes: int) -> None:
    """Those in many parts, too."""
    body = b"x" * (n_bytes - 1) + b"!"
    for _ in range(2):  # the connection is good for another request
        told = stranger.post("/quick/tell", content=body, headers=JSON).json()
        assert (told["n_bytes"], told["ends"]) == (n_bytes, body[-3:].decode())


def test_a_body_that_comes_in_chunks_without_a_length_is_taken(stranger: httpx.Client) -> None:
    """Nothing tells beforehand how long it will be."""
    told = stranger.post("/quick/tell", content=iter([b"abc", b"def"]), headers=JSON).json()

    assert (told["n_bytes"], told["ends"]) == (6, "def")


def test_requests_that_follow_each_other_at_once_are_answered_in_turn(small_server: LiveServer) -> None:
    """Two requests in one write, the second with half of its body, which comes later."""
    head = "POST /quick/tell HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 6\r\n"
    with connected(small_server.url) as connection:
        connection.sendall(f"{head}\r\nabcdef{head}Connection: close\r\n\r\nghi".encode())
        told = connection.recv(1 << 16)
        connection.sendall(b"jkl")
        while part := connection.recv(1 << 16):
            told += part

    assert told.count(b"HTTP/1.1 200") == 2
    assert told.index(b'"ends":"def"') < told.index(b'"ends":"jkl"')


def test_a_client_that_leaves_in_its_body_leaves_nothing_behind(
    small_server: LiveServer, stranger: httpx.Client
) -> None:
    """Nobody answers it, and the next one is."""
    head = "POST /quick/tell HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 9\r\n"
    for _ in range(20):
        with connected(small_server.url) as connection:
            connection.sendall(f"{head}\r\nabc".encode())

    wait_until(
        lambda: stranger.post("/quick/tell", content=b"abc", headers=JSON).json()["ends"] == "abc",
        20,
        "the server answers others",
    )
