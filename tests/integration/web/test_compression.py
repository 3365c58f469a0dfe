"""Pages come packed as the browser asks, streams as they are."""

from __future__ import annotations

import gzip

import httpx
import pytest
import zstandard

from noria.core.context import Context
from support.pages import Reader
from support.wheel import PROJECT, turn_once

OVERVIEW = f"/projects/{PROJECT}"
BROWSER = "gzip, deflate, br, zstd"


def raw(reader: Reader, path: str, takes: str) -> tuple[httpx.Response, bytes]:
    """Ask for something, and give the bytes of the answer as they come."""
    headers = {"accept": "text/html", "accept-encoding": takes, "accept-language": "en"}
    with httpx.stream("GET", reader.server.url + path, headers=headers, timeout=30) as answer:
        return answer, b"".join(answer.iter_raw())


def unzstd(body: bytes) -> bytes:
    """Unpack a frame that does not say how long its content is."""
    return zstandard.ZstdDecompressor().decompressobj().decompress(body)


@pytest.mark.parametrize(
    ("takes", "encoding", "unpack"),
    [(BROWSER, "zstd", unzstd), ("gzip, deflate", "gzip", gzip.decompress), ("identity", None, bytes)],
    ids=["zstd", "gzip", "as it is"],
)
@pytest.mark.parametrize("path", [OVERVIEW, f"{OVERVIEW}/models/nobody"], ids=["a page", "an error"])
def test_a_page_is_packed_as_the_browser_takes_it(
    reader: Reader, path: str, takes: str, encoding: str | None, unpack: type[bytes]
) -> None:
    """It is the same page, and caches keep each form apart."""
    plain, expected = raw(reader, path, "identity")
    answer, body = raw(reader, path, takes)

    assert answer.status_code == plain.status_code
    assert answer.headers.get("content-encoding") == encoding
    assert int(answer.headers["content-length"]) == len(body)
    assert unpack(body) == expected
    assert "accept-language" in answer.headers["vary"].lower()
    if encoding:
        assert len(body) < len(expected) / 2
        assert "accept-encoding" in answer.headers["vary"].lower()


def test_a_stream_is_not_packed(reader: Reader, context: Context) -> None:
    """An event is not kept back until there is enough to pack."""
    turn_once(context)
    stream = reader.server.url + f"{OVERVIEW}/live"
    with httpx.stream("GET", stream, headers={"accept-encoding": BROWSER}, timeout=30) as live:
        assert live.headers["content-type"].startswith("text/event-stream")
        assert "content-encoding" not in live.headers
