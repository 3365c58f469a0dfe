"""Routes that belong to no one capability: health, what Prometheus reads, and the description of the API."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import sqlalchemy as sa
from litestar import Request
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.types import ASGIApp

from noria.core.context import Context
from noria.core.operations import Service
from noria.core.permissions import Permission
from noria.core.remote import API
from noria.core.serialisation import to_json
from noria.monitoring.prometheus.metrics import CONTENT_TYPE, exposition
from noria.server.answers import Answer, json_answer
from noria.server.openapi import describe
from noria.server.routes import PERMISSION, context_of
from noria.server.threads import Threads

SEE_HEALTH = Permission(name="health.read", public=True)
DESCRIBE_API = Permission(name="api.describe", roleless=True)

READ_METRICS = Permission(name="metrics.read")

OPENAPI_PATH = f"{API}/openapi.json"
METRICS_PATH = "/metrics"


def system_routes(
    services: Sequence[type[Service]], *, threads: Threads, control_state: Callable[[], str]
) -> list[BaseRouteHandler]:
    """Make the routes.

    Parameters
    ----------
    control_state
        Says what the control loop of this process does: `running`, `standby`, `starting`. Raises when it failed.
    """

    @cache
    def description() -> bytes:
        return to_json(describe(services))

    def look(context: Context) -> ASGIApp:
        with context.database.read() as connection:
            connection.execute(sa.text("select 1"))
        return json_answer(200, to_json({"status": "ready", "control": control_state()}))

    async def live(request: Request[Any, Any, Any]) -> ASGIApp:  # noqa: ARG001 - a handler's signature
        return json_answer(200, to_json({"status": "live"}))

    async def ready(request: Request[Any, Any, Any]) -> ASGIApp:
        return await threads.run(look, context_of(request.scope))

    async def metrics(request: Request[Any, Any, Any]) -> ASGIApp:
        body = await threads.run(exposition, context_of(request.scope))
        return Answer(200, body, [(b"content-type", CONTENT_TYPE.encode())])

    async def openapi(request: Request[Any, Any, Any]) -> ASGIApp:  # noqa: ARG001 - a handler's signature
        return json_answer(200, await threads.run(description))

    return [
        HTTPRouteHandler(path, http_method="GET", opt={PERMISSION: needs})(handler)
        for path, needs, handler in (
            ("/health/live", SEE_HEALTH, live),
            ("/health/ready", SEE_HEALTH, ready),
            (METRICS_PATH, READ_METRICS, metrics),
            (OPENAPI_PATH, DESCRIBE_API, openapi),
        )
    ]
