"""Spans of requests, as a collector of OpenTelemetry gets them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from noria.serving.modelserver.spans import QUEUE, Span, Spans, Traced
from support.waiting import wait_until

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class App:
    """Answers with the status that the path names."""

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        """Answer."""
        protocol.response_bytes(int(scope.path[1:]), [], b"")


class Collector(HTTPServer):
    """Keeps the spans that it is sent."""

    spans: list[Any]


class Handler(BaseHTTPRequestHandler):
    """Takes a message of OTLP."""

    server: Collector

    def do_POST(self) -> None:
        """Keep the spans."""
        message = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["content-length"])))
        assert self.path == "/v1/traces"
        self.server.spans += message.resource_spans[0].scope_spans[0].spans
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Be silent."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    """Give a collector that listens."""
    with Collector(("127.0.0.1", 0), Handler) as server:
        server.spans = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def _ask(traced: Traced, path: str, traceparent: str | None = None) -> None:
    headers = {} if traceparent is None else {"traceparent": traceparent}
    scope: Any = SimpleNamespace(method="POST", path=path, headers=headers)
    protocol: Any = SimpleNamespace(response_bytes=lambda *_: None)
    asyncio.run(traced.__rsgi__(scope, protocol))


def test_a_collector_gets_a_span_for_each_request(collector: Collector) -> None:
    """Under the caller's trace when it has one that it samples, with the status that was answered."""
    spans = Spans(f"http://127.0.0.1:{collector.server_port}", dropped=lambda _: None)
    spans.start()
    traced = Traced(App(), spans)
    _ask(traced, "/200", f"00-{TRACE}-{PARENT}-01")
    _ask(traced, "/500", "nonsense")
    _ask(traced, "/200", f"00-{TRACE}-{PARENT}-00")

    wait_until(lambda: len(collector.spans) == 2)
    spans.stop(10)
    first, second = collector.spans

    assert (first.trace_id.hex(), first.parent_span_id.hex()) == (TRACE, PARENT)
    assert first.start_time_unix_nano <= first.end_time_unix_nano
    told = {a.key: a.value.int_value or a.value.string_value for a in second.attributes}
    assert told == {"http.request.method": "POST", "url.path": "/500", "http.response.status_code": 500}
    assert (len(second.trace_id), second.parent_span_id, second.status.code) == (16, b"", 2)


def test_a_collector_that_is_away_costs_spans_and_nothing_else() -> None:
    """They are counted, and memory stays bounded."""
    dropped: list[int] = []
    spans = Spans("http://127.0.0.1:9", dropped=dropped.append)
    one = Span(bytes(16), bytes(8), b"", 0, 1, "GET", "/", 200)
    for _ in range(QUEUE + 3):
        spans.add(one)
    assert sum(dropped) == 3

    spans.start()

    wait_until(lambda: sum(dropped) > 3)
    spans.stop(10)
