"""How errors look over HTTP: one table of statuses, shared by the server and the model server."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from noria.core.errors import (
    ConfigInvalid,
    Conflict,
    Corrupt,
    ErrorBody,
    Failed,
    Forbidden,
    Invalid,
    NoriaError,
    NotFound,
    StorageFull,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from noria.core.gate import ContentTypeRefused
from noria.core.ids import new_id
from noria.core.serialisation import to_json

_log = logging.getLogger("noria.http")


class RouteNotFound(NotFound):
    """No route has this address."""

    code = "route_not_found"


class AddressInvalid(Invalid):
    """The path of the address cannot be read."""

    code = "address_invalid"


class MethodNotAllowed(Invalid):
    """The route exists, but not with this method."""

    code = "method_not_allowed"


class TooManyRequests(Unavailable):
    """The caller asks more often than is allowed; after a pause it may again."""

    code = "too_many_requests"


class ServerFault(NoriaError):
    """The server failed in a way that it did not foresee; its log has the details."""

    code = "server_fault"


STATUS: dict[type[NoriaError], int] = {
    Invalid: 400,
    ConfigInvalid: 400,
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    MethodNotAllowed: 405,
    Conflict: 409,
    TooLarge: 413,
    ContentTypeRefused: 415,
    Failed: 422,
    TooManyRequests: 429,
    Corrupt: 500,
    NoriaError: 500,
    Unavailable: 503,
    StorageFull: 507,
}
"""Branch of the error tree → status; a class that is not listed has the status of the nearest class above it."""


def status_of(error: NoriaError) -> int:
    """Give the HTTP status of an error.

    Examples
    --------
    >>> from noria.core.objects.references import ObjectNotInProject
    >>> status_of(ObjectNotInProject("default", "blake3:00"))
    404
    """
    return next(STATUS[cls] for cls in type(error).__mro__ if cls in STATUS)


def known_error(error: Exception) -> NoriaError:
    """Give the error to show for an exception: Noria's own as it is, any other as a `ServerFault`, logged."""
    if isinstance(error, NoriaError):
        return error
    incident = new_id()
    _log.error("http.fault", exc_info=error, extra={"incident": incident})
    return ServerFault(
        "The server failed at this request; nothing is known about the cause here",
        hint=f"Look for `{incident}` in the server's log",
        details={"incident": incident},
    )


def error_answer(error: NoriaError) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Give status, headers and JSON body of an error."""
    headers = [(b"content-type", b"application/json")]
    if isinstance(error, Unauthenticated):
        headers.append((b"www-authenticate", b"Bearer"))
    if isinstance(error, TooManyRequests) and "retry_after_s" in error.details:
        headers.append((b"retry-after", str(error.details["retry_after_s"]).encode()))
    return status_of(error), headers, _body(error.to_body())


def _body(body: ErrorBody) -> bytes:
    try:
        return to_json(body)
    except (TypeError, ValueError):
        # Details that are not JSON must not hide the error that they belong to.
        return to_json(ErrorBody(code=body.code, message=body.message, hint=body.hint))


def header(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> str | None:
    """Give the first header of a name (lower case), or None."""
    for key, value in headers:
        if key == name:
            return value.decode("latin-1")
    return None
