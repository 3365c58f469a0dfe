"""How errors look to MLflow's clients: codes, statuses, and the one JSON form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from noria.core.adapters import AdapterAnswer
from noria.core.errors import (
    Conflict,
    Corrupt,
    Forbidden,
    Invalid,
    NoriaError,
    NotFound,
    Unauthenticated,
    Unavailable,
)
from noria.core.gate import ContentTypeRefused
from noria.core.http_errors import AddressInvalid, MethodNotAllowed, RouteNotFound, TooManyRequests

BAD_REQUEST: Final = "BAD_REQUEST"
ENDPOINT_NOT_FOUND: Final = "ENDPOINT_NOT_FOUND"
INTERNAL_ERROR: Final = "INTERNAL_ERROR"
INVALID_PARAMETER_VALUE: Final = "INVALID_PARAMETER_VALUE"
INVALID_STATE: Final = "INVALID_STATE"
NOT_IMPLEMENTED: Final = "NOT_IMPLEMENTED"
PERMISSION_DENIED: Final = "PERMISSION_DENIED"
RESOURCE_ALREADY_EXISTS: Final = "RESOURCE_ALREADY_EXISTS"
RESOURCE_CONFLICT: Final = "RESOURCE_CONFLICT"
RESOURCE_DOES_NOT_EXIST: Final = "RESOURCE_DOES_NOT_EXIST"
TEMPORARILY_UNAVAILABLE: Final = "TEMPORARILY_UNAVAILABLE"

STATUS: Final[Mapping[str, int]] = {
    "INVALID_PARAMETER_VALUE": 400,
    "RESOURCE_ALREADY_EXISTS": 400,
    "BAD_REQUEST": 400,
    "CUSTOMER_UNAUTHORIZED": 401,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "RESOURCE_DOES_NOT_EXIST": 404,
    "NOT_FOUND": 404,
    "ENDPOINT_NOT_FOUND": 404,
    "ABORTED": 409,
    "RESOURCE_CONFLICT": 409,
    "ALREADY_EXISTS": 409,
    "REQUEST_LIMIT_EXCEEDED": 429,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "INTERNAL_ERROR": 500,
    "INVALID_STATE": 500,
    "DATA_LOSS": 500,
    "NOT_IMPLEMENTED": 501,
    "TEMPORARILY_UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
"""Error code → HTTP status. What exists already is 400 for MLflow, not 409."""

_CLASSES: Final[Mapping[str, tuple[str, str]]] = {
    "BAD_REQUEST": ("KAM00", "INVALID_PARAMETER_VALUE"),
    "CUSTOMER_UNAUTHORIZED": ("KAM00", "PERMISSION_DENIED"),
    "ENDPOINT_NOT_FOUND": ("KAM00", "RESOURCE_NOT_FOUND"),
    "INTERNAL_ERROR": ("XXM00", "CLIENT_INTERNAL_ERROR"),
    "INVALID_PARAMETER_VALUE": ("KAM00", "INVALID_PARAMETER_VALUE"),
    "INVALID_STATE": ("XXM00", "CLIENT_INTERNAL_ERROR"),
    "NOT_FOUND": ("KAM00", "RESOURCE_NOT_FOUND"),
    "PERMISSION_DENIED": ("KAM00", "PERMISSION_DENIED"),
    "RESOURCE_ALREADY_EXISTS": ("KAM00", "RESOURCE_ALREADY_EXISTS"),
    "RESOURCE_DOES_NOT_EXIST": ("KAM00", "RESOURCE_NOT_FOUND"),
    "TEMPORARILY_UNAVAILABLE": ("XXM00", "CLIENT_INTERNAL_ERROR"),
}
"""Error code → the `sqlstate` and `error_class` that MLflow sends beside it; other codes have none."""

ErrorCodes = Mapping[type[NoriaError], str]
"""Branch of Noria's errors → MLflow's error code."""

ERROR_CODES: Final[ErrorCodes] = {
    Invalid: INVALID_PARAMETER_VALUE,
    NotFound: RESOURCE_DOES_NOT_EXIST,
    RouteNotFound: ENDPOINT_NOT_FOUND,
    Conflict: RESOURCE_CONFLICT,
    Unauthenticated: "UNAUTHENTICATED",
    Forbidden: PERMISSION_DENIED,
    Corrupt: "DATA_LOSS",
    TooManyRequests: "REQUEST_LIMIT_EXCEEDED",
    Unavailable: TEMPORARILY_UNAVAILABLE,
    NoriaError: INTERNAL_ERROR,
}
"""The code of an error is that of its nearest class in this table, unless the endpoint has a table of its own."""


class MlflowError(NoriaError):
    """An error with the code and the words of MLflow's server.

    Examples
    --------
    >>> MlflowError(RESOURCE_DOES_NOT_EXIST, "Run with id=7 not found").status
    404
    """

    code = "mlflow_error"

    def __init__(self, error_code: str, message: str) -> None:
        super().__init__(message, details={"error_code": error_code})

    @property
    def error_code(self) -> str:
        """What MLflow calls this kind of error."""
        code: str = self.details["error_code"]
        return code

    @property
    def status(self) -> int:
        """The HTTP status that belongs to the code."""
        return STATUS[self.error_code]


def invalid(message: str) -> MlflowError:
    """Make an error about a wrong value."""
    return MlflowError(INVALID_PARAMETER_VALUE, message)


def missing(message: str) -> MlflowError:
    """Make an error about something that does not exist."""
    return MlflowError(RESOURCE_DOES_NOT_EXIST, message)


class _Body(msgspec.Struct, omit_defaults=True):
    error_code: str
    message: str
    sqlstate: str | None = None
    error_class: str | None = None


def refuse(error: NoriaError, codes: ErrorCodes | None = None) -> AdapterAnswer:
    """Tell an error in MLflow's words.

    Parameters
    ----------
    codes
        What stands before `ERROR_CODES` for this endpoint.
    """
    if isinstance(error, MethodNotAllowed):
        return AdapterAnswer(status=405, body=_encode(ENDPOINT_NOT_FOUND, error.message))
    if isinstance(error, ContentTypeRefused):
        # The gate refuses before it is known which types the address takes; JSON is what all but files take.
        message = "Bad Request. Content-Type must be one of ['application/json']."
        return AdapterAnswer(status=400, body=_encode(INVALID_PARAMETER_VALUE, message))
    if isinstance(error, AddressInvalid):
        return AdapterAnswer(status=400, body=_encode(INVALID_PARAMETER_VALUE, "Invalid path"))
    code = error.error_code if isinstance(error, MlflowError) else code_of(error, codes or {})
    message = error.message if error.hint is None else f"{error.message.rstrip('.')}. {error.hint}"
    return AdapterAnswer(status=STATUS[code], body=_encode(code, message))


def code_of(error: NoriaError, codes: ErrorCodes) -> str:
    """Find the error code of one of Noria's errors.

    Examples
    --------
    >>> code_of(Conflict("`digits` exists"), {Conflict: RESOURCE_ALREADY_EXISTS})
    'RESOURCE_ALREADY_EXISTS'
    """
    table = {**ERROR_CODES, **codes}
    return next(table[cls] for cls in type(error).__mro__ if cls in table)


def _encode(code: str, message: str) -> bytes:
    # A request may hold halves of surrogate pairs, which a message that quotes it cannot.
    text = message.encode("utf-8", "backslashreplace").decode()
    sqlstate, error_class = _CLASSES.get(code, (None, None))
    return msgspec.json.encode(_Body(code, text, sqlstate, error_class))
