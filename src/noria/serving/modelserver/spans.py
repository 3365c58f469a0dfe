"""One OpenTelemetry span for each request, sent over OTLP/HTTP; off unless a collector is named.

Answers never wait for the collector: spans lie in a bounded queue until a thread sends them, and what does not fit, or
what the collector does not take, is dropped and counted.
"""

from __future__ import annotations

import logging
import re
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from granian._granian import RSGIHTTPProtocol as HTTPProtocol
from granian.rsgi import Scope

from noria._version import __version__
from noria.core.trust import trust_for

if TYPE_CHECKING:
    import httpx

    from noria.serving.modelserver.watch import App

QUEUE = 4096
"""Most spans that wait."""

_BATCH = 512
_SEND_EVERY_S = 1.0
_TIMEOUT_S = 5.0
_PATH = "/v1/traces"
# https://www.w3.org/TR/trace-context/#traceparent-header
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_SERVER_KIND = 2
_ERROR_STATUS = 2

_log = logging.getLogger("noria.serving.spans")


class Span(NamedTuple):
    """A request, as it is told."""

    trace_id: bytes
    span_id: bytes
    parent_id: bytes
    start_ns: int
    end_ns: int
    method: str
    path: str
    status: int


class Spans:
    """Sends spans in a thread of its own.

    Parameters
    ----------
    url
        Of the collector, with or without `/v1/traces`.
    dropped
        Told how many spans were dropped.
    """

    def __init__(self, url: str, *, dropped: Callable[[int], None]) -> None:
        self._url = url if url.endswith(_PATH) else url.rstrip("/") + _PATH
        self._dropped = dropped
        self._waiting: deque[Span] = deque()
        self._stopping = threading.Event()
        self._is_away = False
        self._thread = threading.Thread(target=self._run, name="noria-spans", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Send what waits, within `timeout_s`, and end."""
        self._stopping.set()
        self._thread.join(timeout_s)

    def add(self, span: Span) -> None:
        """Take a span, or drop it when too many wait."""
        if len(self._waiting) >= QUEUE:
            self._dropped(1)
        else:
            self._waiting.append(span)

    def _run(self) -> None:
        import httpx

        with httpx.Client(timeout=_TIMEOUT_S, verify=trust_for(self._url)) as client:
            while not self._stopping.wait(_SEND_EVERY_S):
                self._send_all(client)
            self._send_all(client)

    def _send_all(self, client: httpx.Client) -> None:
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
            try:
                answer = client.post(
                    self._url, content=encoded(batch), headers={"content-type": "application/x-protobuf"}
                )
                answer.raise_for_status()
                self._is_away = False
            except Exception as error:  # noqa: BLE001 - a collector's trouble is not the model server's
                self._dropped(len(batch))
                if not self._is_away:
                    _log.warning("spans.not_sent", extra={"reason": str(error)})
                self._is_away = True
                return


class Traced:
    """An application, with a span for each of its requests."""

    def __init__(self, app: App, spans: Spans) -> None:
        self._app = app
        self._spans = spans

    async def __rsgi__(self, scope: Scope, protocol: HTTPProtocol) -> None:
        """Answer one request."""
        noting: Any = _Noting(protocol)
        start_ns = time.time_ns()
        try:
            await self._app.__rsgi__(scope, noting)
        finally:
            context = _TRACEPARENT.fullmatch(scope.headers.get("traceparent") or "")
            # A caller that does not sample its trace does not want this part of it either.
            if context is None or int(context[3], 16) & 1:
                self._spans.add(
                    Span(
                        trace_id=bytes.fromhex(context[1]) if context else secrets.token_bytes(16),
                        span_id=secrets.token_bytes(8),
                        parent_id=bytes.fromhex(context[2]) if context else b"",
                        start_ns=start_ns,
                        end_ns=time.time_ns(),
                        method=scope.method,
                        path=scope.path[:500],
                        status=noting.status,
                    )
                )


class _Noting:
    """Granian's side of a request, with a note of the status that was answered."""

    def __init__(self, protocol: HTTPProtocol) -> None:
        self._protocol = protocol
        self.status = 500

    def __call__(self) -> Any:
        return self._protocol()

    def __aiter__(self) -> Any:
        return self._protocol.__aiter__()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._protocol, name)
        if not name.startswith("response_"):
            return found

        def answer(status: int, *rest: Any) -> Any:
            self.status = status
            return found(status, *rest)

        return answer


def encoded(batch: list[Span]) -> bytes:
    """Give the message that a collector takes."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    message = ExportTraceServiceRequest()
    resource = message.resource_spans.add()
    _attribute(resource.resource.attributes, "service.name", "noria-model-server")
    _attribute(resource.resource.attributes, "service.version", __version__)
    scope = resource.scope_spans.add()
    scope.scope.name = "noria.serving"
    for span in batch:
        told = scope.spans.add(
            trace_id=span.trace_id,
            span_id=span.span_id,
            parent_span_id=span.parent_id,
            name=f"{span.method} {span.path}",
            kind=_SERVER_KIND,
            start_time_unix_nano=span.start_ns,
            end_time_unix_nano=span.end_ns,
        )
        # https://opentelemetry.io/docs/specs/semconv/http/http-spans/
        _attribute(told.attributes, "http.request.method", span.method)
        _attribute(told.attributes, "url.path", span.path)
        _attribute(told.attributes, "http.response.status_code", span.status)
        if span.status >= 500:
            told.status.code = _ERROR_STATUS
    data: bytes = message.SerializeToString()
    return data


def _attribute(attributes: Any, key: str, value: str | int) -> None:
    made = attributes.add(key=key)
    if isinstance(value, int):
        made.value.int_value = value
    else:
        made.value.string_value = value
