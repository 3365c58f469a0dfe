"""Web pages of a test's workspace: asked for as a browser asks, and read without one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html.parser import HTMLParser

import httpx

from noria.core.context import Context
from noria.server.assembly import load_pages
from support.live_server import LiveServer

ACCEPT = "text/html,application/xhtml+xml,*/*;q=0.8"


@dataclass(frozen=True, slots=True)
class Reader:
    """A browser without the window."""

    server: LiveServer
    client: httpx.Client

    def get(self, path: str, *, language: str = "en", token: str | None = None) -> httpx.Response:
        """Ask for a page."""
        headers = {"accept": ACCEPT, "accept-language": language}
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        return self.client.get(self.server.url + path, headers=headers)

    def text(self, path: str, *, language: str = "en") -> str:
        """Give what a person reads on a page, with single spaces."""
        answer = self.get(path, language=language)
        assert answer.status_code == 200, answer.text
        return visible_text(answer.text)


@contextmanager
def reading(server: LiveServer, context: Context) -> Iterator[Reader]:
    """Show a workspace's pages for the length of the block."""
    server.show(load_pages())
    with server.serving(context), httpx.Client() as client:
        yield Reader(server, client)


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []

    def handle_data(self, data: str) -> None:
        self.parts.append(data)


def visible_text(html: str) -> str:
    """Give the text of a page, with single spaces."""
    parser = _Text()
    parser.feed(html)
    return " ".join(" ".join(parser.parts).split())
