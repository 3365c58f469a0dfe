"""Answers as small ASGI applications: a whole body, or a stream from a thread."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING
from urllib.parse import quote

from noria.core.operations import Download
from noria.core.remote import OWN_HEADERS
from noria.server.threads import Threads

if TYPE_CHECKING:
    from litestar.types import Receive, Scope, Send

Headers = list[tuple[bytes, bytes]]

WITHOUT_BODY = "noria.without_body"
"""Key in a request's scope that is there when only the headers of the answer are asked for (HEAD)."""


class Answer:
    """A whole answer."""

    def __init__(self, status: int, body: bytes, headers: Headers | None = None) -> None:
        self.status = status
        self.body = body
        self.headers = headers or []

    def with_length(self) -> Headers:
        """Give the headers, and the length of the body."""
        return [*self.headers, (b"content-length", str(len(self.body)).encode())]

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send status, headers and body."""
        await send({"type": "http.response.start", "status": self.status, "headers": self.with_length()})
        await send({"type": "http.response.body", "body": self.body, "more_body": False})


def json_answer(status: int, body: bytes) -> Answer:
    """Give an answer of JSON."""
    return Answer(status, body, [(b"content-type", b"application/json")])


class StreamAnswer:
    """Chunks, read in a thread as fast as the client takes them.

    The first chunk is read before anything is sent, so that an error at the start has the usual form. An error after
    that breaks the connection, which the client sees as an answer cut short.
    """

    def __init__(
        self,
        chunks: Iterator[bytes],
        headers: Headers,
        size_bytes: int | None,
        threads: Threads,
        *,
        status: int = 200,
    ) -> None:
        self._chunks = chunks
        self._headers = headers
        if size_bytes is not None:
            self._headers = [*headers, (b"content-length", str(size_bytes).encode())]
        self._threads = threads
        self._status = status

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the chunks until they or the client's patience end."""
        chunks = iter(self._chunks)
        try:
            if WITHOUT_BODY in scope:  # or a gigabyte would be read for nobody
                await send({"type": "http.response.start", "status": self._status, "headers": self._headers})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                return
            first = await self._threads.transfer(next, chunks, None)
            await send({"type": "http.response.start", "status": self._status, "headers": self._headers})
            await self._send_body(first, chunks, receive, send)
        finally:
            close = getattr(chunks, "close", None)
            if close is not None:
                await self._threads.transfer(close)

    async def _send_body(
        self, first: bytes | None, chunks: Iterator[bytes], receive: Receive, send: Send
    ) -> None:
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            async for chunk in self._rest(first, chunks):
                if gone.done():
                    return
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            gone.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await gone

    async def _rest(self, first: bytes | None, chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
        chunk = first
        while chunk is not None:
            yield chunk
            chunk = await self._threads.transfer(next, chunks, None)


def download_answer(download: Download, threads: Threads, *, status: int = 200) -> StreamAnswer:
    """Give the answer that a download is sent as."""
    return StreamAnswer(
        download.chunks, download_headers(download), download.size_bytes, threads, status=status
    )


def download_headers(download: Download) -> Headers:
    """Give the headers of a download: an attachment that no browser shows as a page of ours."""
    headers = [(b"content-type", download.media_type.encode("latin-1"))]
    disposition = "attachment"
    if download.filename is not None:
        disposition += f"; filename*=UTF-8''{quote(download.filename, safe='')}"
    headers.append((b"content-disposition", disposition.encode()))
    for name, value in download.headers.items():
        if not name.lower().startswith(OWN_HEADERS):
            raise ValueError(f"A download's own header must begin with `{OWN_HEADERS}`, not `{name}`")
        headers.append((name.lower().encode("latin-1"), value.encode("latin-1")))
    return headers


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
