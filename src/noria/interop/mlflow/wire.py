"""Endpoints of MLflow's protocol: an address, the message that it takes, and the message that it answers.

A module of this package declares its endpoints and exports them::

    endpoint = Endpoints()

    class GetRun(Message):                     # fields in the order in which MLflow checks them
        run_id: str = ""
        run_uuid: str = ""                     # stands for `run_id` where that is absent

    @endpoint("GET", "2:runs/get", GetRun, required=("run_id",))
    def get_run(request: AdapterRequest, message: GetRun) -> Message:
        ...

    ROUTES = endpoint.routes

`2:` and `3:` stand for `/api/2.0/mlflow/` and `/api/3.0/mlflow/`; each such address exists under `/ajax-api` too. Other
addresses are written out, and exist once. A handler gives a `Message` (JSON without the fields that are at their
defaults), None (`{}`), bytes of JSON, or an `AdapterAnswer` or `AdapterStream` of its own.

What a handler raises is told in MLflow's words: an `MlflowError` as it is, Noria's other errors by
`errors.ERROR_CODES`, unless the endpoint says otherwise::

    @endpoint("POST", "2:experiments/create", CreateExperiment, errors={Conflict: RESOURCE_ALREADY_EXISTS})

Messages are structs whose fields have proto's types: `str`, `Int64`, `Int32`, `float`, `bool`, a `WireEnum`, another
`Message`, or lists of these; `X | None = None` where absent differs from the default. Values that are no finite
numbers leave as text: give them to `wire_number`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Final, TypeVar

import msgspec

from noria.core.adapters import AdapterAnswer, AdapterRequest, AdapterRoute, AdapterStream
from noria.core.errors import NoriaError
from noria.core.permissions import Permission
from noria.interop.mlflow.decoding import Decoder, Message, WireEnum, invalid_parameter, missing_parameter
from noria.interop.mlflow.errors import ErrorCodes, MlflowError, refuse

__all__ = [
    "USE_MLFLOW",
    "Endpoints",
    "Int32",
    "Int64",
    "Message",
    "MlflowError",
    "WireEnum",
    "encode",
    "invalid_parameter",
    "missing_parameter",
    "wire_metric",
    "wire_number",
]

USE_MLFLOW: Final = Permission(name="mlflow.use", roleless=True)
"""What every known caller holds; the services behind the endpoints ask for the rest."""

Int64 = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
Int32 = Annotated[int, msgspec.Meta(ge=-(1 << 31), le=(1 << 31) - 1)]

MAX_DOUBLE: Final = 1.7976931348623157e308

Result = Message | AdapterAnswer | AdapterStream | bytes | None
M = TypeVar("M", bound=Message)
R = TypeVar("R", bound=Result)

_PREFIXES: Final = {"2:": "/2.0/mlflow/", "3:": "/3.0/mlflow/"}
_WITH_BODY_OF_TYPE: Final = frozenset({"POST", "PUT"})

encode: Final = msgspec.json.Encoder().encode
"""Give a message as JSON."""


class Endpoints:
    """The endpoints that a module declares; calling it declares one more."""

    def __init__(self) -> None:
        self.routes: list[AdapterRoute] = []

    def __call__(
        self,
        method: str,
        address: str,
        message: type[M],
        *,
        required: Sequence[str] = (),
        errors: ErrorCodes | None = None,
        needs: Permission = USE_MLFLOW,
    ) -> Callable[[Callable[[AdapterRequest, M], R]], Callable[[AdapterRequest, M], R]]:
        """Declare the decorated function as the handler of an endpoint.

        Parameters
        ----------
        address
            `2:runs/get`, or the whole path. `{name}` parts are in `request.path`.
        message
            What the body (or, for GET, the query) holds.
        required
            Fields that must be given; see `decoding.Decoder`.
        errors
            Error codes that differ from the usual ones.
        """
        decoder = Decoder(message, required)

        def declare(handler: Callable[[AdapterRequest, M], R]) -> Callable[[AdapterRequest, M], R]:
            handle = _handle(handler, decoder, errors)
            self.add(method, address, handle, needs=needs)
            return handler

        return declare

    def add(
        self,
        method: str,
        address: str,
        handle: Callable[[AdapterRequest], AdapterAnswer | AdapterStream],
        *,
        needs: Permission = USE_MLFLOW,
        upload: bool = False,
    ) -> None:
        """Declare an endpoint that reads its request itself."""
        for path in addresses(address):
            self.routes.append(
                AdapterRoute(method=method, path=path, handle=handle, needs=needs, upload=upload)
            )


def addresses(address: str) -> tuple[str, ...]:
    """Give the paths of an address.

    Examples
    --------
    >>> addresses("2:runs/get")
    ('/api/2.0/mlflow/runs/get', '/ajax-api/2.0/mlflow/runs/get')
    >>> addresses("/graphql")
    ('/graphql',)
    """
    prefix = _PREFIXES.get(address[:2])
    if prefix is None:
        return (address,)
    return tuple(f"{root}{prefix}{address[2:]}" for root in ("/api", "/ajax-api"))


def wire_number(value: float) -> float | str:
    """Give a double as JSON can hold it.

    Examples
    --------
    >>> wire_number(0.5), wire_number(float("nan")), wire_number(float("-inf"))
    (0.5, 'NaN', '-Infinity')
    """
    if -MAX_DOUBLE <= value <= MAX_DOUBLE:
        return value
    return "Infinity" if value > 0 else "-Infinity" if value < 0 else "NaN"


def wire_metric(value: float) -> float | str:
    """Give the value of a metric as MLflow's server answers it, whose store has no infinities.

    Examples
    --------
    >>> wire_metric(0.5), wire_metric(float("nan")), wire_metric(float("-inf"))
    (0.5, 'NaN', -1.7976931348623157e+308)
    """
    if value != value:  # noqa: PLR0124 - NaN
        return "NaN"
    return min(max(value, -MAX_DOUBLE), MAX_DOUBLE)


def check_content_type(request: AdapterRequest) -> None:
    """Refuse a body that does not say that it is JSON.

    Raises
    ------
    MlflowError
        If there is no content type, or another.
    """
    if request.method not in _WITH_BODY_OF_TYPE:
        return
    kind = request.headers.get("content-type")
    if kind is None:
        raise MlflowError("INVALID_PARAMETER_VALUE", "Bad Request. Content-Type header is missing.")
    if kind.partition(";")[0] != "application/json":
        raise MlflowError(
            "INVALID_PARAMETER_VALUE", "Bad Request. Content-Type must be one of ['application/json']."
        )


def _handle(
    handler: Callable[[AdapterRequest, M], Result], decoder: Decoder[M], errors: ErrorCodes | None
) -> Callable[[AdapterRequest], AdapterAnswer | AdapterStream]:
    def handle(request: AdapterRequest) -> AdapterAnswer | AdapterStream:
        try:
            if request.method == "GET" and request.query:
                message = decoder.read_query(request.query)
            else:
                check_content_type(request)
                message = decoder.read_body(request.body)
            return _answer(handler(request, message))
        except NoriaError as error:
            return refuse(error, errors)

    return handle


def _answer(result: Result) -> AdapterAnswer | AdapterStream:
    if result is None:
        return _EMPTY
    if isinstance(result, Message):
        return AdapterAnswer(body=encode(result))
    if isinstance(result, bytes):
        return AdapterAnswer(body=result)
    return result


_EMPTY: Final = AdapterAnswer()
