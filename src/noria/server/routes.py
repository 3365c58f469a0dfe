"""Each operation as a route: the arguments are read, the service is called in a thread, the answer is sent."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from litestar import Request
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp

from noria.core.context import Context
from noria.core.operations import Download, Operation, Service, operations_of
from noria.core.remote import API
from noria.core.serialisation import to_json
from noria.server.answers import Answer, download_answer, json_answer
from noria.server.requests import (
    Limits,
    UploadBody,
    check_content_type,
    check_length,
    json_decoder,
    path_arguments,
    query_arguments,
    read_body,
)
from noria.server.threads import Threads

if TYPE_CHECKING:
    from litestar.types import Scope

PERMISSION = "permission"
"""Key in a route's `opt` under which the gate finds what the caller must hold."""

CONTEXT = "noria.context"
"""Key in a request's scope under which the gate leaves the context of the caller."""

_PATH_PARAMETER = re.compile(r"\{([a-z_]+)\}")


def operation_routes(
    services: Iterable[type[Service]], *, threads: Threads, limits: Limits
) -> list[HTTPRouteHandler]:
    """Make a route of each operation that the services declare."""
    return [_route(cls, operation, threads, limits) for cls in services for operation in operations_of(cls)]


def context_of(scope: Scope) -> Context:
    """Give the context of a request that the gate let in."""
    context: Context = scope[CONTEXT]  # type: ignore[literal-required]
    return context


def _route(cls: type[Service], operation: Operation, threads: Threads, limits: Limits) -> HTTPRouteHandler:
    endpoint = Endpoint(cls, operation, threads, limits)

    async def handle(request: Request[Any, Any, Any]) -> ASGIApp:
        return await endpoint.answer(request)

    declared = operation.declaration
    return HTTPRouteHandler(
        API + _PATH_PARAMETER.sub(r"{\1:str}", declared.path),
        http_method=declared.method,
        name=operation.id,
        opt={PERMISSION: declared.needs},
        status_code=200,  # the answer brings its own; Litestar only checks this one against the handler's type
    )(handle)


class Endpoint:
    """What answers the requests for one operation."""

    def __init__(self, cls: type[Service], operation: Operation, threads: Threads, limits: Limits) -> None:
        self._cls = cls
        self._operation = operation
        self._threads = threads
        self._limits = limits
        body = operation.body_parameter
        self._decode = json_decoder(operation.parameters[body].annotation) if body else None

    async def answer(self, request: Request[Any, Any, Any]) -> ASGIApp:
        """Read the arguments, call the service, and give its answer."""
        operation = self._operation
        arguments = path_arguments(operation, request.scope["path_params"])
        arguments |= query_arguments(operation, request.scope["query_string"])
        run = self._threads.run
        if operation.upload_parameter is not None:
            arguments[operation.upload_parameter] = self._upload(request)
            run = self._threads.transfer
        elif operation.body_parameter is not None:
            arguments[operation.body_parameter] = await self._body(request)
        return await run(self._call, context_of(request.scope), arguments)

    async def _body(self, request: Request[Any, Any, Any]) -> Any:
        assert self._decode is not None  # noqa: S101 - made for every operation with a body
        headers = request.scope["headers"]
        check_content_type(headers, "application/json")
        check_length(headers, self._limits.body_bytes)
        body = await read_body(request.receive, self._limits.body_bytes)
        return self._decode(body)

    def _upload(self, request: Request[Any, Any, Any]) -> UploadBody:
        headers = request.scope["headers"]
        check_content_type(headers, "application/octet-stream")
        check_length(headers, self._limits.upload_bytes)
        return UploadBody(request.receive, asyncio.get_running_loop(), self._limits)

    def _call(self, context: Context, arguments: dict[str, Any]) -> ASGIApp:
        method: Callable[..., Any] = getattr(context.service(self._cls), self._operation.name)
        result = method(**arguments)
        status = self._operation.declaration.status
        if isinstance(result, Download):
            return download_answer(result, self._threads, status=status)
        if self._operation.returns in (None, type(None)):
            return Answer(204, b"")
        return json_answer(status, to_json(result))
