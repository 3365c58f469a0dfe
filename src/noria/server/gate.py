"""The one gate before every route: operations, pages, health, descriptions, and whatever has no route.

`Gate` stands outside the router. It applies the rules of `noria.core.gate`, has it established who calls, and puts the
security headers on every answer. `Guard` stands between the router and each route, where the route's permission and
the project of the path are known; a route without a permission lets nobody in.
"""

from __future__ import annotations

import functools
import logging
import re
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from noria.core.admission import ANYONE, admit
from noria.core.context import Context
from noria.core.direct import Chosen, Whole
from noria.core.errors import Invalid, NoriaError, Unauthenticated
from noria.core.gate import READING_METHODS, SECURITY_HEADERS, AllowedHosts, check_host, check_origin
from noria.core.http_errors import AddressInvalid, MethodNotAllowed, known_error
from noria.core.permissions import Principal
from noria.server.answers import WITHOUT_BODY, Answer, StreamAnswer
from noria.server.gatekeeper import Gatekeeper
from noria.server.requests import HIDDEN_SLASH
from noria.server.routes import CONTEXT, PERMISSION
from noria.server.threads import Threads
from noria.server.unread import Incoming

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Message, Receive, Send

    from noria.server.adapter_routes import AdapterSwitch, Taken

CHALLENGES = (b"Bearer", b'Basic realm="Noria", charset="UTF-8"')
"""What an answer without a valid credential says that one may be."""

UNAUTHORIZED = 401
HEALTH_PATH = "/health/"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
_ANSWERED_WHOLE = METHODS - {"HEAD"}
PRINCIPAL = "noria.principal"
"""Key in a request's scope under which the gate leaves who calls."""

SESSION = "noria.session"
"""Key in a request's scope under which the gate leaves the secret of the session that it belongs to."""

SEALS = "noria.seals"
"""Key in a request's scope under which the gate leaves what vouches for forms and cookies."""

FORM = "form"
"""Key in a route's `opt` that is true where it is an action, which takes forms."""

STRANGER = "stranger"
"""Key in a route's `opt` under which an action has the application that answers somebody who is not signed in."""

IDENTIFY = "noria.identify"
"""Key in a request's scope under which the gate leaves what finds out who calls, where that is left to others."""


_log = logging.getLogger("noria.http")

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PLAIN_PATH = re.compile(rb"[A-Za-z0-9/_.-]*")
_MAX_KNOWN_HOSTS = 64
_READ_HEADERS = frozenset(
    (
        b"authorization",
        b"content-length",
        b"content-type",
        b"cookie",
        b"host",
        b"origin",
        b"sec-fetch-site",
        b"transfer-encoding",
    )
)


Refuse = Callable[[str, NoriaError], tuple[int, list[tuple[bytes, bytes]], bytes]]
"""Gives status, headers and body of an error, in the words of whoever the address belongs to."""


class Gate:
    """The outermost application.

    Parameters
    ----------
    app
        What is behind it; answers some requests in a thread whose body is at hand.
    identifies
        Tells of an address whether what answers it identifies the caller itself, by `scope[IDENTIFY]`, in the thread
        that serves the request: a thread less to pass through.
    takes_form
        Tells of an address whether an action is there.
    refuse
        Words for errors.
    """

    def __init__(
        self,
        app: AdapterSwitch,
        gatekeeper: Gatekeeper,
        hosts: AllowedHosts,
        *,
        threads: Threads,
        identifies: Callable[[str], bool],
        takes_form: Callable[[str], bool],
        refuse: Refuse,
    ) -> None:
        self._app: ASGIApp = app
        self._threaded = app
        self._gatekeeper = gatekeeper
        self._hosts = hosts
        self._threads = threads
        self._identifies = identifies
        self._takes_form = takes_form
        self._refuse = refuse
        self._known_hosts: set[str] = set()
        self._chosen: dict[tuple[str, bytes], tuple[str, Taken]] = {}

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Let a request in, or answer it with the reason."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._conclude(self._admitted, scope, Incoming(receive, scope["headers"]), send)

    async def _admitted(self, scope: Any, receive: Receive, send: Send) -> None:
        await self._admit(scope)
        await self._app(scope, receive, send)

    async def _conclude(self, app: ASGIApp, scope: Any, incoming: Incoming, send: Send) -> None:
        """Send what an application answers, or the reason why there is no answer."""
        began = time.monotonic()
        answer = _Hardened(send, incoming, scope)
        try:
            await app(scope, incoming, answer)
        except Exception as error:
            if answer.status is not None:
                raise
            await self._refusal(scope, error)(scope, incoming, answer)
        finally:
            _log_request(scope, answer.status, time.monotonic() - began)

    def _refusal(self, scope: Any, error: Exception) -> Answer:
        status, headers, body = self._refuse(_shown_path(scope), known_error(error))
        return Answer(status, body, headers)

    def choose(self, scope: Any) -> Chosen | None:
        """Tell what a thread is to do that answers a request; None of what the event loop has to answer.

        Nothing is decided here about who is let in: the thread begins with the same checks.
        """
        method, raw_path = scope["method"], scope["raw_path"]
        known = self._chosen.get((method, raw_path)) or self._find(method, raw_path)
        if known is None:
            return None
        n_bytes = _length(scope["headers"])
        if n_bytes is None or n_bytes > self._threaded.most_bytes or (n_bytes > 0 and method == "GET"):
            return None
        return Chosen(functools.partial(self._answer_in_thread, scope, *known), n_bytes)

    def _find(self, method: str, raw_path: bytes) -> tuple[str, Taken] | None:
        if method not in _ANSWERED_WHOLE or not _PLAIN_PATH.fullmatch(raw_path):
            return None
        path = raw_path.decode("ascii")
        taken = self._threaded.choose(method, path)
        if taken is None:
            return None
        if not taken.path:  # as many as there are routes without parameters
            self._chosen[method, raw_path] = path, taken
        return path, taken

    def _answer_in_thread(self, scope: Any, path: str, taken: Taken, body: bytes) -> Whole | ASGIApp:
        began = time.monotonic()
        try:
            self._check(scope, path)
            answer = self._threaded.answer(scope, taken, body)
        except Exception as error:  # noqa: BLE001 - every failure has its form
            answer = self._refusal(scope, error)
        if isinstance(answer, StreamAnswer):
            return functools.partial(self._send_stream, answer)
        _log_request(scope, answer.status, time.monotonic() - began)
        headers = _hardened(answer.with_length(), answer.status, scope["headers"])
        return Whole(answer.status, headers, answer.body)

    async def _send_stream(self, answer: StreamAnswer, scope: Any, receive: Receive, send: Send) -> None:
        # Nothing is left of the body, whatever its headers say.
        await self._conclude(answer, scope, Incoming(receive, ()), send)

    async def _admit(self, scope: Any) -> None:
        credentials = self._check(scope)
        # Whether this process lives must not depend on the database that tells who asks.
        if IDENTIFY not in scope and not scope["path"].startswith(HEALTH_PATH):
            caller = await self._threads.run(self._gatekeeper.recognise, *credentials)
            scope[PRINCIPAL], scope[SESSION] = caller

    def _check(self, scope: Any, chosen: str | None = None) -> tuple[str | None, str | None]:
        """Refuse what must not come in whoever sends it, and give what it says of who that is.

        Parameters
        ----------
        chosen
            The path, where it is read already and known to be of an adapter's route.
        """
        method = scope["method"]
        if method not in METHODS:
            raise MethodNotAllowed(f"This server does not know the method `{method[:20]}`")
        told = _told(scope["headers"])
        host = told.get(b"host")
        if host not in self._known_hosts:
            check_host(host, self._hosts)
            self._remember(host)
        scope["path"] = path = chosen or routed_path(scope["raw_path"])
        identifies_itself = chosen is not None or self._identifies(path)
        if method not in READING_METHODS:
            check_origin(
                method,
                told.get(b"origin"),
                host,
                told.get(b"content-type"),
                fetch_site=told.get(b"sec-fetch-site"),
                has_body=told.get(b"content-length") not in (None, "0") or b"transfer-encoding" in told,
                is_action=method == "POST" and not identifies_itself and self._takes_form(path),
            )
        scope[SEALS] = self._gatekeeper.seals
        credentials = told.get(b"authorization"), told.get(b"cookie")
        if identifies_itself:
            scope[IDENTIFY] = functools.partial(self._gatekeeper.identify, *credentials)
        if method == "HEAD":
            scope["method"] = "GET"
            scope[WITHOUT_BODY] = True
        return credentials

    def _remember(self, host: str | None) -> None:
        # Few names lead here, and each was checked; the bound is for whoever tries many addresses in digits.
        if host is not None and len(self._known_hosts) < _MAX_KNOWN_HOSTS:
            self._known_hosts.add(host)


class Guard:
    """Stands before each route and asks for its permission."""

    def __init__(self, app: ASGIApp, context: Callable[[], Context]) -> None:
        self.app = app
        self._context = context

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Let the caller in with a context of their own, or refuse."""
        options = scope["route_handler"].opt
        project = scope["path_params"].get("project")
        try:
            caller = admit(scope.get(PRINCIPAL), options.get(PERMISSION), project)
        except Unauthenticated:
            if STRANGER not in options:
                raise
            scope[CONTEXT] = self._context().acting_as(ANYONE)
            await options[STRANGER](scope, receive, send)
            return
        scope[CONTEXT] = self._context().acting_as(caller)
        await self.app(scope, receive, send)


def _shown_path(scope: Any) -> str:
    # As far as it can be read: this may be the answer to a path that cannot.
    return unquote(scope["raw_path"].decode("latin-1"), errors="replace")


def routed_path(raw_path: bytes) -> str:
    """Decode a path so that a `/` inside a parameter does not split it.

    Raises
    ------
    Invalid
        If the path is not UTF-8 or holds a control character.
    """
    if _PLAIN_PATH.fullmatch(raw_path):
        return raw_path.decode("ascii")
    try:
        segments = [unquote(part, errors="strict") for part in raw_path.decode("ascii").split("/")]
    except UnicodeDecodeError as error:
        raise AddressInvalid("The address is not UTF-8") from error
    if any(_CONTROL.search(segment) for segment in segments):
        raise AddressInvalid("The address holds a control character")
    return "/".join(segment.replace("/", HIDDEN_SLASH) for segment in segments)


def _told(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, str]:
    """Give the headers that the gate reads, each the first of its name.

    Raises
    ------
    Invalid
        If `Host` is there twice, lest two programs on the way each believe another one.
    """
    told: dict[bytes, str] = {}
    n_hosts = 0
    for name, value in headers:
        if name == b"host":
            n_hosts += 1
        if name in _READ_HEADERS and name not in told:
            told[name] = value.decode("latin-1")
    if n_hosts > 1:
        raise Invalid(f"The header `host` is there {n_hosts} times")
    return told


class _Hardened:
    """Sends an answer with the security headers that it does not set itself."""

    def __init__(self, send: Send, incoming: Incoming, scope: Any) -> None:
        self._send = send
        self._incoming = incoming
        self._asked = scope["headers"]
        self._without_body = scope["method"] == "HEAD"
        self.status: int | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = _hardened(message["headers"], self.status, self._asked)
            if not self._incoming.is_whole and not await self._incoming.leave_nothing():
                message["headers"] = [*message["headers"], (b"connection", b"close")]
        elif message["type"] == "http.response.body" and self._without_body:
            message["body"] = b""
        await self._send(message)


def _hardened(
    headers: Iterable[tuple[bytes, bytes]], status: int, asked: Iterable[tuple[bytes, bytes]]
) -> list[tuple[bytes, bytes]]:
    """Give the headers of an answer to `asked` with those that every answer has."""
    given = with_security_headers(headers)
    return with_challenges(given, _is_browser(asked)) if status == UNAUTHORIZED else given


def _length(headers: Iterable[tuple[bytes, bytes]]) -> int | None:
    """Give the length of a body, 0 of none; None where it is not told in digits, or is sent only when asked for."""
    length = 0
    for name, value in headers:
        if name == b"content-length":
            if length or not value.isdigit():
                return None
            length = int(value)
        elif name in (b"transfer-encoding", b"expect"):
            return None
    return length


def _log_request(scope: Any, status: int | None, duration_s: float) -> None:
    """Write the one line of a request.

    What reads changes nothing, and what an adapter takes are points by the thousand; where these went well, it is
    told to who asks for more.
    """
    often = scope["method"] in READING_METHODS or IDENTIFY in scope
    level = logging.DEBUG if often and status is not None and status < 500 else logging.INFO
    if not _log.isEnabledFor(level):
        return
    principal: Principal | None = scope.get(PRINCIPAL)
    _log.log(
        level,
        "http.request",
        extra={
            "method": scope["method"],
            "path": scope["path"].replace(HIDDEN_SLASH, "%2F"),
            "status": status,
            "duration_ms": round(duration_s * 1000, 1),
            "actor": principal.name if principal else None,
        },
    )


def with_security_headers(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Add the headers that every answer has, except those that are there already."""
    given = list(headers)
    names = {name.lower() for name, _ in given}
    if names.isdisjoint(_SECURITY_NAMES):  # nearly always
        return given + _SECURITY_HEADERS
    return [*given, *(pair for pair in _SECURITY_HEADERS if pair[0] not in names)]


def with_challenges(
    headers: Iterable[tuple[bytes, bytes]],
    is_browser: bool = False,
) -> list[tuple[bytes, bytes]]:
    """Say which credentials would do; a browser is not asked for a password, which it does in a window of its own."""
    others = [(name, value) for name, value in headers if name.lower() != b"www-authenticate"]
    challenges = CHALLENGES[:1] if is_browser else CHALLENGES
    return [*others, *((b"www-authenticate", challenge) for challenge in challenges)]


def _is_browser(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    return any(name in (b"origin", b"sec-fetch-site") for name, _ in headers)


_SECURITY_HEADERS = [(name.encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]
_SECURITY_NAMES = frozenset(name for name, _ in _SECURITY_HEADERS)
