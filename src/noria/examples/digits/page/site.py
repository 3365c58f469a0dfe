"""Serve the page on this computer, with Python's own HTTP server."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

import jinja2
import msgspec

import noria
from noria.examples.digits.page.asking import Drawing, Seen, Share, Told
from noria.examples.digits.page.words import LANGUAGES, THEMES, WORDS, choose_language

HOST = "127.0.0.1"
MAX_BODY_BYTES = 1 << 18
_SILENT_AFTER_S = 20.0

_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
_FILES = {
    "/page.css": "text/css; charset=utf-8",
    "/page.js": "text/javascript; charset=utf-8",
    "/wheel.svg": "image/svg+xml",
}


class Asked(Protocol):
    """What the page needs: `asking.Asking`, or a stand-in."""

    @property
    def model(self) -> str:
        """Name of the model."""

    def predict(self, drawing: Drawing) -> Seen:
        """Tell what a drawing is."""

    def tell(self, told: Told) -> None:
        """Keep what a digit was."""

    def shares(self) -> list[Share]:
        """Tell which versions answer."""


class Site(ThreadingHTTPServer):
    """The page's server.

    Parameters
    ----------
    asked
        Answers for the model.
    noria_url
        Of the workspace's pages, to link to.
    port
        0 takes any that is free.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, asked: Asked, *, noria_url: str, port: int) -> None:
        super().__init__((HOST, port), _Handler)
        self.asked = asked
        self.noria_url = noria_url
        templates = jinja2.Environment(
            loader=jinja2.PackageLoader("noria.examples.digits.page", "files"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.template = templates.get_template("page.html")
        self.authorities = {f"{name}:{self.server_port}" for name in (HOST, "localhost")}

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a browser that went away; anything else is told on stderr."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{HOST}:{self.server_port}"


@contextmanager
def serving(site: Site) -> Iterator[Site]:
    """Serve in a thread for the length of the block."""
    thread = threading.Thread(target=site.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        site.shutdown()
        site.server_close()
        thread.join()


class _Refused(Exception):
    """The request is not for this page, or not from it."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    server: Site
    protocol_version = "HTTP/1.1"
    timeout = _SILENT_AFTER_S

    def do_GET(self) -> None:
        self._answer(self._read)

    def do_POST(self) -> None:
        self._answer(self._write)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Say nothing: the terminal is for the story."""

    def version_string(self) -> str:
        return "noria"

    def _answer(self, work: Callable[[], tuple[str, bytes]]) -> None:
        try:
            self._check_host()
            kind, body = work()
            self._send(200, kind, body)
        except _Refused as refused:
            self.close_connection = True
            self._send_error(refused.status, str(refused))
        except noria.Unavailable as error:
            self._send_error(503, error.message)
        except (noria.NoriaError, msgspec.DecodeError, UnicodeDecodeError) as error:
            self._send_error(400, error.message if isinstance(error, noria.NoriaError) else str(error))

    def _read(self) -> tuple[str, bytes]:
        address = urlsplit(self.path)
        if address.path == "/":
            return "text/html; charset=utf-8", self._page(address.query)
        if address.path == "/shares":
            return _json({"shares": self.server.asked.shares()})
        kind = _FILES.get(address.path)
        if kind is None:
            raise _Refused(404, "There is nothing here")
        file = resources.files("noria.examples.digits.page") / "files" / address.path[1:]
        return kind, file.read_bytes()

    def _write(self) -> tuple[str, bytes]:
        body = self._body()
        if self.path == "/predict":
            return _json(self.server.asked.predict(msgspec.json.decode(body, type=Drawing)))
        if self.path == "/feedback":
            self.server.asked.tell(msgspec.json.decode(body, type=Told))
            return _json({"kept": True})
        raise _Refused(404, "There is nothing here")

    def _page(self, query: str) -> bytes:
        given = {name: values[-1] for name, values in parse_qs(query).items()}
        language = choose_language(given.get("lang"), self.headers.get("accept-language"))
        theme = given.get("theme") if given.get("theme") in THEMES else "auto"
        shown = self.server.template.render(
            words=WORDS[language],
            language=language,
            languages=LANGUAGES,
            theme=theme,
            themes=THEMES,
            model=self.server.asked.model,
            noria_url=self.server.noria_url,
        )
        return shown.encode()

    def _check_host(self) -> None:
        """Refuse what another site's page sends: a name that leads here by rebinding, or a write from elsewhere."""
        if self.headers.get("host", "").lower() not in self.server.authorities:
            raise _Refused(403, "This page does not answer for that host")
        if self.command == "GET":
            return
        origin = self.headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != self.headers["host"].lower():
            raise _Refused(403, "This page takes nothing from other sites")
        if self.headers.get("sec-fetch-site", "same-origin") != "same-origin":
            raise _Refused(403, "This page takes nothing from other sites")
        if self.headers.get_content_type() != "application/json":
            raise _Refused(415, "This page takes JSON")

    def _body(self) -> bytes:
        length = self.headers.get("content-length", "")
        if not length.isdecimal() or len(length) > 9 or int(length) > MAX_BODY_BYTES:
            raise _Refused(413, f"A body has a length, of at most {MAX_BODY_BYTES} bytes")
        return self.rfile.read(int(length))

    def _send_error(self, status: int, message: str) -> None:
        self._send(status, *_json({"message": message}))

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        for name, value in {"content-type": kind, "content-length": str(len(body)), **_HEADERS}.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(body)


def _json(value: Any) -> tuple[str, bytes]:
    return "application/json", json.dumps(msgspec.to_builtins(value)).encode()
