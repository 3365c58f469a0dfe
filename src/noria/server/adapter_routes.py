"""Addresses of foreign protocols: found in a table, guarded, and answered in the protocol's own words.

They do not go through the router of the operations: a client that logs a point at a time pays for each layer that it
passes, and a protocol has hundreds of addresses, each of which the router would prepare at every start.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qs

from noria.core.adapters import (
    Adapter,
    AdapterAnswer,
    AdapterRequest,
    AdapterRoute,
    AdapterStream,
    AskedHeaders,
)
from noria.core.admission import ANYONE, SIGN_IN, admit
from noria.core.context import Context
from noria.core.errors import Invalid, NoriaError, Unauthenticated
from noria.core.http_errors import MethodNotAllowed, RouteNotFound, error_answer, header, known_error
from noria.core.permissions import Principal
from noria.server.answers import Answer, Headers, StreamAnswer
from noria.server.gate import IDENTIFY, PRINCIPAL
from noria.server.requests import HIDDEN_SLASH, Limits, UploadBody, check_length, read_body
from noria.server.threads import Threads

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Receive, Send

_UNSEEN_BODY_BYTES = 1 << 20
"""A body up to this size is gathered before it is known who sends it, and costs no thread of its own."""

_PARAMETER = re.compile(r"\{([a-z_]+)(:path)?\}")
_MAX_QUERY_PAIRS = 10_000
"""Protocols name a hundred runs, or a thousand, in one query."""


class AdapterTable:
    """The routes of all adapters, found by method and address."""

    def __init__(self, adapters: Sequence[Adapter]) -> None:
        self.adapters = tuple(adapters)
        self._exact: dict[str, dict[str, AdapterRoute]] = {}
        self._by_length: dict[int, list[tuple[re.Pattern[str], dict[str, AdapterRoute]]]] = {}
        self._tails: list[tuple[re.Pattern[str], dict[str, AdapterRoute]]] = []
        patterns: dict[str, dict[str, AdapterRoute]] = {}
        for adapter in adapters:
            for route in adapter.routes:
                by_method = self._exact if "{" not in route.path else patterns
                known = by_method.setdefault(route.path, {})
                if route.method in known:
                    raise TypeError(f"Two routes answer {route.method} {route.path}")
                known[route.method] = route
        for path, methods in patterns.items():
            self._add_pattern(path, methods)
        self._tails.sort(key=lambda tail: len(tail[0].pattern), reverse=True)

    def owner(self, path: str) -> Adapter | None:
        """Give the adapter to which an address belongs, whether or not it has such a route."""
        for adapter in self.adapters:
            if path.startswith(adapter.prefixes):
                return adapter
        return None

    def knows(self, path: str) -> bool:
        """Tell whether an address is an adapter's."""
        return path in self._exact or self.owner(path) is not None or self.find(path) is not None

    def find(self, path: str) -> tuple[dict[str, AdapterRoute], dict[str, str]] | None:
        """Give the routes of an address by method, and the values of its parameters."""
        exact = self._exact.get(path)
        if exact is not None:
            return exact, {}
        for pattern, methods in (*self._by_length.get(path.count("/"), ()), *self._tails):
            match = pattern.fullmatch(path)
            if match is not None:
                return methods, {
                    key: value.replace(HIDDEN_SLASH, "/") for key, value in match.groupdict().items()
                }
        return None

    def _add_pattern(self, path: str, methods: dict[str, AdapterRoute]) -> None:
        tail = path.endswith(":path}")
        text = "".join(
            f"(?P<{name}>{'.*' if rest else '[^/]+'})" if name else re.escape(literal)
            for literal, name, rest in _parts(path)
        )
        entry = (re.compile(text, re.DOTALL), methods)
        if tail:
            self._tails.append(entry)
        else:
            self._by_length.setdefault(path.count("/"), []).append(entry)


def _parts(path: str) -> Iterable[tuple[str, str, bool]]:
    """Split a path into literals and parameters."""
    end = 0
    for match in _PARAMETER.finditer(path):
        yield path[end : match.start()], "", False
        yield "", match[1], match[2] is not None
        end = match.end()
    yield path[end:], "", False


class Taken(NamedTuple):
    """A route that answers, and the values of its parameters."""

    route: AdapterRoute
    path: dict[str, str]


class AdapterSwitch:
    """Answers the adapters' addresses, and hands everything else on."""

    def __init__(
        self,
        table: AdapterTable,
        rest: ASGIApp,
        *,
        context: Callable[[], Context],
        threads: Threads,
        limits: Limits,
    ) -> None:
        self._table = table
        self._rest = rest
        self._context = context
        self._threads = threads
        self._limits = limits
        self._most_bytes = min(_UNSEEN_BODY_BYTES, limits.body_bytes)

    @property
    def most_bytes(self) -> int:
        """Length of a body up to which a thread answers."""
        return self._most_bytes

    def choose(self, method: str, path: str) -> Taken | None:
        """Give what answers a request, if a thread can answer it once its body is there."""
        found = self._table.find(path)
        route = None if found is None else found[0].get(method)
        return None if found is None or route is None or route.upload else Taken(route, found[1])

    def answer(self, scope: Any, taken: Taken, body: bytes) -> Answer | StreamAnswer:
        """Answer one request, in a thread."""
        try:
            given = _given(scope, taken.path, body, None)
            return self._shown(self._serve(scope, taken.route, given))
        except Exception as error:
            owner = self._table.owner(scope["path"])
            if owner is None:
                raise
            return _as_answer(owner.refuse(known_error(error)))

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = scope["path"]
        found = self._table.find(path)
        owner = self._table.owner(path)
        if found is None and owner is None:
            await self._rest(scope, receive, send)
            return
        try:
            answer = await self._answer(scope, receive, found)
        except Exception as error:
            if owner is None:
                raise
            answer = _as_answer(owner.refuse(known_error(error)))
        await answer(scope, receive, send)

    async def _answer(
        self, scope: Any, receive: Receive, found: tuple[dict[str, AdapterRoute], dict[str, str]] | None
    ) -> Answer | StreamAnswer:
        route = None if found is None else found[0].get(scope["method"])
        if found is None or route is None:
            raise await self._threads.run(_no_route, scope, found is not None)
        run = self._threads.transfer if route.upload else self._threads.run
        if _is_large(scope["headers"]) and not route.upload:
            # Nobody unknown makes the server gather megabytes.
            await run(_identify, scope, route)
        given = await self._given(route, scope, receive, found[1])
        return self._shown(await run(self._serve, scope, route, given))

    def _shown(self, result: AdapterAnswer | AdapterStream) -> Answer | StreamAnswer:
        if isinstance(result, AdapterStream):
            headers = _headers(result.media_type, result.headers)
            return StreamAnswer(
                result.chunks, headers, result.size_bytes, self._threads, status=result.status
            )
        return _as_answer(result)

    def _serve(
        self, scope: Any, route: AdapterRoute, given: Callable[[Context], AdapterRequest]
    ) -> AdapterAnswer | AdapterStream:
        caller = _identify(scope, route)
        return route.handle(given(self._context().acting_as(caller)))

    async def _given(
        self, route: AdapterRoute, scope: Any, receive: Receive, path: dict[str, str]
    ) -> Callable[[Context], AdapterRequest]:
        headers = scope["headers"]
        upload, body = None, b""
        if route.upload:
            check_length(headers, self._limits.upload_bytes)
            upload = UploadBody(receive, asyncio.get_running_loop(), self._limits)
        elif scope["method"] != "GET":
            check_length(headers, self._limits.body_bytes)
            body = await read_body(receive, self._limits.body_bytes)
        return _given(scope, path, body, upload)


def _given(
    scope: Any, path: dict[str, str], body: bytes, upload: UploadBody | None
) -> Callable[[Context], AdapterRequest]:
    query = _query(scope["query_string"])
    return lambda context: AdapterRequest(
        context=context,
        method=scope["method"],
        path=path,
        query=query,
        headers=AskedHeaders(scope["headers"]),
        body=body,
        upload=upload,
    )


def _identify(scope: Any, route: AdapterRoute) -> Principal:
    """Find out who calls and whether they may, once for a request."""
    if route.needs.public:
        return ANYONE
    if PRINCIPAL not in scope:
        scope[PRINCIPAL] = scope[IDENTIFY]()
    return admit(scope[PRINCIPAL], route.needs, None)


def _no_route(scope: Any, known: bool) -> NoriaError:
    if scope[IDENTIFY]() is None:
        # Whoever is not signed in does not learn which routes exist.
        return Unauthenticated("This server asks everyone to sign in", hint=SIGN_IN)
    shown = scope["path"].replace(HIDDEN_SLASH, "%2F")[:200]
    if known:
        return MethodNotAllowed(f"`{shown}` does not take `{scope['method']}`")
    return RouteNotFound(f"There is nothing at `{shown}`")


def _is_large(headers: Headers) -> bool:
    length = header(headers, b"content-length")
    if length is None:
        return header(headers, b"transfer-encoding") is not None
    return not length.isdigit() or int(length) > _UNSEEN_BODY_BYTES


def refusal(table: AdapterTable, path: str, error: NoriaError) -> tuple[int, Headers, bytes]:
    """Give status, headers and body of an error that came before any route was asked."""
    owner = table.owner(path)
    if owner is None:
        return error_answer(error)
    answer = owner.refuse(error)
    status, headers, _ = error_answer(error)
    challenge = (
        [pair for pair in headers if pair[0] == b"www-authenticate"] if status == answer.status else []
    )
    return answer.status, [*_headers(answer.media_type, answer.headers), *challenge], answer.body


def _as_answer(answer: AdapterAnswer) -> Answer:
    return Answer(answer.status, answer.body, _headers(answer.media_type, answer.headers))


def _headers(media_type: str, more: Any) -> Headers:
    kind = (b"content-type", media_type.encode("latin-1"))
    if not more:
        return [kind]
    named = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in more.items()]
    return [kind, *named]


def _query(raw: bytes) -> dict[str, list[str]]:
    if not raw:
        return {}
    try:
        return parse_qs(
            raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MAX_QUERY_PAIRS
        )
    except ValueError as error:
        raise Invalid(f"The query cannot be read: {error}", hint="Write `?name=value&other=value`") from error
