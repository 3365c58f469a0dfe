"""Services that call a Noria server: the same class, the same methods, the same errors.

`remote_service(Runs, transport)` gives a `Runs` whose operations go over HTTP by their own declaration::

    runs = remote_service(Runs, HttpTransport("http://127.0.0.1:7777", secret=key))
    run = runs.get("default", run_id)
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar
from urllib.parse import quote, unquote, urlsplit

import msgspec

from noria.core.clock import Clock, SystemClock
from noria.core.errors import ErrorBody, Invalid, Unavailable, error_from_body
from noria.core.gate import is_loopback
from noria.core.operations import Download, Operation, Service, operations_of
from noria.core.serialisation import to_json
from noria.core.trust import trust_for

if TYPE_CHECKING:
    import httpx

S = TypeVar("S", bound=Service)

API: Final = "/api/v1"
OWN_HEADERS: Final = "noria-"
"""Headers that an operation adds to a download begin so."""

TIMEOUT_S = 60.0
CONNECT_TIMEOUT_S = 5.0
_ATTEMPTS = 3
_PAUSE_S = 0.1
_ERROR_LIMIT_BYTES = 1 << 20
_CHUNK_BYTES = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of an operation, in the terms of HTTP."""

    method: str
    path: str
    query: list[tuple[str, str]]
    content: Any = None
    content_type: str | None = None


class HttpTransport:
    """Connections to one server. Thread-safe.

    Parameters
    ----------
    base_url
        `http(s)://host[:port][/prefix]`.
    secret
        Token or workspace key, sent as `Authorization: Bearer …`.
    timeout_s
        How long to wait for each part of an answer.
    """

    def __init__(
        self,
        base_url: str,
        *,
        secret: str | None = None,
        timeout_s: float = TIMEOUT_S,
        clock: Clock | None = None,
    ) -> None:
        import httpx

        self.base_url = base_url.rstrip("/")
        self._clock = clock or SystemClock()
        self._timeout_s = timeout_s
        headers = {"accept": "application/json"}
        if secret:
            headers["authorization"] = f"Bearer {secret}"
        self._client = httpx.Client(
            headers=headers,
            timeout=httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S),
            verify=trust_for(base_url),
            # A proxy from the environment stands between machines, never before our own.
            trust_env=not is_loopback(urlsplit(base_url).hostname or ""),
        )

    def send(self, call: Call) -> httpx.Response:
        """Send a call and give the answer with its body unread.

        A call that only reads is tried again, briefly, when the connection fails.

        Raises
        ------
        Unavailable
            If nothing answers.
        """
        import httpx

        attempts = _ATTEMPTS if call.method == "GET" else 1
        for attempt in range(1, attempts + 1):
            try:
                return self._client.send(self._request(call), stream=True)
            except httpx.TransportError as error:
                if attempt == attempts or isinstance(error, httpx.ReadTimeout):
                    self.give_up(error)
            self._clock.sleep(_PAUSE_S * attempt)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def give_up(self, error: Exception) -> NoReturn:
        """Raise `Unavailable` for a failure of the connection."""
        import httpx

        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            raise Unavailable(
                f"Nothing answers at `{self.base_url}`",
                hint="Start the server there with `noria up`, or name another workspace with `NORIA_WORKSPACE`",
            ) from error
        if isinstance(error, httpx.TimeoutException):
            raise Unavailable(f"`{self.base_url}` did not answer in {self._timeout_s:g} s") from error
        raise Unavailable(
            f"The connection to `{self.base_url}` broke: {error}", hint="Try again; see the server's log"
        ) from error

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    def _request(self, call: Call) -> httpx.Request:
        headers = {"content-type": call.content_type} if call.content_type else {}
        return self._client.build_request(
            call.method,
            self.base_url + API + call.path,
            params=tuple(call.query) or None,
            content=call.content,
            headers=headers,
        )


def remote_service(cls: type[S], transport: HttpTransport) -> S:
    """Make a service whose operations are called over HTTP.

    Parameters
    ----------
    cls
        A service class; what is returned is an instance of a subclass of it.
    """
    key: Any = cls  # mypy takes a class for one that cannot be hashed
    made: Any = _remote_class(key)
    service: S = made.__new__(made)
    service._transport = transport  # type: ignore[attr-defined]
    return service


class _Remote:
    """What a remote service has in place of a context."""

    _transport: HttpTransport

    @property
    def context(self) -> NoReturn:
        """Refuse: the backends are at the server."""
        raise AttributeError("A remote service has operations only; its context is at the server")

    def sibling(self, cls: type[S]) -> S:
        """Give another service over the same transport."""
        return remote_service(cls, self._transport)


@functools.cache
def _remote_class(cls: type[Service]) -> type[Service]:
    methods = {operation.name: _remote_method(cls, operation) for operation in operations_of(cls)}
    return type(
        cls.__name__, (_Remote, cls), {"__module__": cls.__module__, "__doc__": cls.__doc__, **methods}
    )


def _remote_method(cls: type[Service], operation: Operation) -> Callable[..., Any]:
    function = vars(cls)[operation.name]
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(self: _Remote, *args: Any, **kwargs: Any) -> Any:
        arguments = dict(signature.bind(self, *args, **kwargs).arguments)
        arguments.pop("self")
        response = self._transport.send(make_call(operation, arguments))
        return _Answer(self._transport, response).read(operation)

    return call


def make_call(operation: Operation, arguments: Mapping[str, Any]) -> Call:
    """Put an operation's arguments into path, query and body.

    Raises
    ------
    Invalid
        If an argument has no form in an address.
    """
    content, content_type = _body(operation, arguments)
    return Call(
        method=operation.declaration.method,
        path=_path(operation, arguments),
        query=_query(operation, arguments),
        content=content,
        content_type=content_type,
    )


def _path(operation: Operation, arguments: Mapping[str, Any]) -> str:
    path = operation.declaration.path
    for name in operation.path_parameters:
        path = path.replace(f"{{{name}}}", _quote(name, str(arguments[name])))
    return path


def _quote(name: str, value: str) -> str:
    if not value:
        raise Invalid(f"`{name}` is empty")
    # Dots alone would be taken for steps through folders, by this client or by a proxy.
    return value.replace(".", "%2E") if value in (".", "..") else quote(value, safe="")


def _query(operation: Operation, arguments: Mapping[str, Any]) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for name in operation.query_parameters:
        default = operation.parameters[name].default
        value = arguments.get(name, default)
        if value is default or value == default:
            continue
        if value is None or value == []:
            raise Invalid(f"`{name}` cannot be sent as `{value}`", hint=f"Leave out `{name}`")
        values = value if isinstance(value, list) else [value]
        pairs += [(name, _query_text(each)) for each in values]
    return pairs


def _query_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value)


def _body(operation: Operation, arguments: Mapping[str, Any]) -> tuple[Any, str | None]:
    if operation.body_parameter is not None:
        return to_json(arguments[operation.body_parameter]), "application/json"
    if operation.upload_parameter is not None:
        return arguments[operation.upload_parameter], "application/octet-stream"
    return None, None


class _Answer:
    """Reads an answer whose body is still on its way."""

    def __init__(self, transport: HttpTransport, response: httpx.Response) -> None:
        self._transport = transport
        self._response = response

    def read(self, operation: Operation) -> Any:
        """Give what the operation returned, or raise what it raised."""
        if not self._response.is_success:
            self._raise_error()
        if operation.returns is Download:
            return self._download()
        body = b"".join(self._chunks())
        if operation.returns in (None, type(None)):
            return None
        try:
            return msgspec.json.decode(body, type=operation.returns)
        except msgspec.DecodeError as error:
            raise self._not_noria() from error

    def _download(self) -> Download:
        headers = self._response.headers
        # A proxy that compresses counts the compressed bytes.
        length = None if "content-encoding" in headers else headers.get("content-length")
        disposition = headers.get("content-disposition", "")
        return Download(
            chunks=self._chunks(),
            size_bytes=int(length) if length else None,
            media_type=headers.get("content-type", "application/octet-stream"),
            filename=_filename(disposition),
            headers={name: value for name, value in headers.items() if name.startswith(OWN_HEADERS)},
        )

    def _chunks(self) -> Iterator[bytes]:
        import httpx

        try:
            yield from self._response.iter_bytes(_CHUNK_BYTES)
        except httpx.TransportError as error:
            self._transport.give_up(error)
        finally:
            self._response.close()

    def _raise_error(self) -> NoReturn:
        body = bytearray()
        for chunk in self._chunks():
            body += chunk
            if len(body) > _ERROR_LIMIT_BYTES:
                raise self._not_noria()
        try:
            error = msgspec.json.decode(bytes(body), type=ErrorBody)
        except msgspec.DecodeError:
            raise self._not_noria() from None
        raise error_from_body(error)

    def _not_noria(self) -> Unavailable:
        self._response.close()
        return Unavailable(
            f"`{self._transport.base_url}` answered {self._response.status_code}, "
            "but not as a Noria server of this version does",
            hint="Check the address, and what stands between: a proxy, another program on that port",
        )


def _filename(disposition: str) -> str | None:
    _, found, quoted = disposition.partition("filename*=UTF-8''")
    return unquote(quoted) if found else None
