"""Put the application together: the routes, the gate before them, and one form for every error."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from litestar import Litestar, Request, Response
from litestar.exceptions import HTTPException
from litestar.handlers import BaseRouteHandler
from litestar.middleware import DefineMiddleware
from litestar.plugins.core import MsgspecDIPlugin

from noria.access.sessions import resume_session
from noria.core.adapters import Adapter
from noria.core.context import Context
from noria.core.direct import Chosen
from noria.core.errors import Invalid, NoriaError, TooLarge, Unauthenticated
from noria.core.gate import AllowedHosts
from noria.core.http_errors import MethodNotAllowed, RouteNotFound, error_answer, known_error
from noria.core.operations import Service
from noria.core.permissions import Permission
from noria.core.remote import API
from noria.server.adapter_routes import AdapterSwitch, AdapterTable, refusal
from noria.server.entities import ServerSection
from noria.server.gate import FORM, HEALTH_PATH, PRINCIPAL, Gate, Guard
from noria.server.gatekeeper import Authenticate, Gatekeeper, Resume, SignIn
from noria.server.page_routes import error_page, path_pattern, wants_page
from noria.server.requests import HIDDEN_SLASH, Limits
from noria.server.routes import PERMISSION, operation_routes
from noria.server.threads import Threads

if TYPE_CHECKING:
    from litestar.plugins import PluginProtocol
    from litestar.types import Receive, Send


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """Who is let in, and under which names.

    Attributes
    ----------
    key
        The workspace key.
    authenticate
        Finds the principal of a token.
    sign_in
        Finds the principal of a name with a password.
    is_open
        Tells whether somebody without a credential is a visitor rather than nobody.
    hosts
        What `Host` may say.
    resume
        Finds the principal of a browser's session.
    """

    key: str
    authenticate: Authenticate
    sign_in: SignIn
    is_open: Callable[[Context], bool]
    hosts: AllowedHosts
    resume: Resume = resume_session


class _Router(Litestar):
    """Litestar with the plugins that we use, not with those for libraries that happen to be installed."""

    @staticmethod
    def _get_default_plugins(plugins: list[PluginProtocol]) -> list[PluginProtocol]:
        # Loading pydantic and attrs would cost half a second and 15 MB at each start, for types we do not have.
        return [*plugins, MsgspecDIPlugin()]

    def register(self, value: Any) -> None:  # type: ignore[override]
        """Register a route, without making the table of addresses: `open_routes` makes it once for all.

        Hundreds of routes are answered by a few functions, each of which Litestar is told once how to read.
        """
        for route in super(Litestar, self).register(value):
            handlers: list[Any] = route.route_handlers  # type: ignore[attr-defined]
            for handler in handlers:
                self._read_once(handler)
                handler.on_registration(self)
            route.create_handler_map()  # type: ignore[attr-defined]

    def open_routes(self) -> None:
        """Make the table of addresses."""
        self.asgi_router.construct_routing_trie()

    @property
    def route_handler_method_map(self) -> Any:
        """The routes that there are, looked up by path."""
        return _ByPath(self.routes)

    def _read_once(self, handler: Any) -> None:
        known: dict[Any, Any] = self.__dict__.setdefault("_known_functions", {})
        first = known.setdefault(handler.fn.__code__, handler)
        handler._parsed_fn_signature = first.parsed_fn_signature
        handler._signature_model = first.signature_model


class _ByPath:
    """Finds what is registered at a path; Litestar's own map is made anew of all routes for each one."""

    def __init__(self, routes: Sequence[Any]) -> None:
        self._routes = routes

    def get(self, path: str, default: Any) -> Any:
        """Give the handlers of a path by method."""
        for route in self._routes:
            if route.path == path:
                return {method: each for each in route.route_handlers for method in each.http_methods}
        return default


class _Forms:
    """Where actions are."""

    def __init__(self, routes: Sequence[BaseRouteHandler]) -> None:
        self._paths: list[str] = []
        self.add(routes)

    def add(self, routes: Sequence[BaseRouteHandler]) -> None:
        self._paths += [
            path.replace(":str", "") for route in routes if route.opt.get(FORM) for path in route.paths
        ]

    def knows(self, path: str) -> bool:
        """Tell whether an action is at a path."""
        return any(path_pattern(each).fullmatch(path) for each in self._paths)


class Application:
    """What a server answers with: the gate, and the routes behind it.

    The pages may come while it answers programs already: whoever asks for one until then waits for it.

    Parameters
    ----------
    is_protocol
        Tells whether an address belongs to a foreign protocol.
    more_to_come
        Whether `add` is going to be called.
    """

    def __init__(
        self,
        gate: Gate,
        router: _Router,
        forms: _Forms,
        is_protocol: Callable[[str], bool],
        *,
        more_to_come: bool,
    ) -> None:
        self._gate = gate
        self._router = router
        self._forms = forms
        self._is_protocol = is_protocol
        self._whole = None if not more_to_come else asyncio.Event()

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if self._whole is not None and scope["type"] == "http" and not self._is_here(scope["path"]):
            await self._whole.wait()
        await self._gate(scope, receive, send)

    def choose(self, scope: Any) -> Chosen | None:
        """Tell what a thread is to do that answers a request; None of what the event loop has to answer."""
        return self._gate.choose(scope)

    def add(self, routes: Sequence[BaseRouteHandler]) -> None:
        """Add the routes that were to come. Call it in the thread of the event loop, which looks routes up.

        Raises
        ------
        TypeError
            If a route declares no permission.
        """
        require_permissions(routes)
        for route in routes:
            self._router.register(route)
        self._router.open_routes()
        self._forms.add(routes)
        if self._whole is not None:
            self._whole.set()
            self._whole = None

    def _is_here(self, path: str) -> bool:
        return path.startswith((f"{API}/", HEALTH_PATH)) or self._is_protocol(path)


def create_app(
    context: Callable[[], Context],
    *,
    services: Sequence[type[Service]],
    door: Door,
    section: ServerSection,
    threads: Threads,
    pages: Sequence[BaseRouteHandler] = (),
    adapters: Sequence[Adapter] = (),
    more_to_come: bool = False,
) -> Application:
    """Make the ASGI application of a workspace.

    Parameters
    ----------
    context
        Gives the backends at each request; the principal in it is replaced by the caller.
    services
        Classes whose operations become routes.
    threads
        Where services run; whoever made them closes them.
    pages
        Further routes, each with its `Permission` in `opt["permission"]`.
    adapters
        Foreign protocols, with addresses of their own.
    more_to_come
        Whether the pages come later, by `Application.add`.

    Raises
    ------
    TypeError
        If a route declares no permission.
    """
    limits = Limits(
        body_bytes=section.body_limit_bytes,
        upload_bytes=section.upload_limit_bytes,
        idle_s=section.idle_upload_s,
    )
    routes = [*operation_routes(services, threads=threads, limits=limits), *pages]
    require_permissions(routes)
    router = _Router(
        route_handlers=routes,
        openapi_config=None,
        logging_config=None,
        middleware=[DefineMiddleware(Guard, context=context)],
        exception_handlers={Exception: _answer_error},
    )
    router.open_routes()
    gatekeeper = Gatekeeper(
        context=context,
        key=door.key,
        authenticate=door.authenticate,
        sign_in=door.sign_in,
        resume=door.resume,
        is_open=door.is_open,
    )
    table = AdapterTable(adapters)
    inner = AdapterSwitch(table, router, context=context, threads=threads, limits=limits)
    forms = _Forms(routes)
    gate = Gate(
        inner,
        gatekeeper,
        door.hosts,
        threads=threads,
        identifies=table.knows,
        takes_form=forms.knows,
        refuse=functools.partial(refusal, table),
    )
    return Application(gate, router, forms, table.knows, more_to_come=more_to_come)


def require_permissions(routes: Sequence[BaseRouteHandler]) -> None:
    """Refuse routes that do not say what their caller must hold.

    Raises
    ------
    TypeError
        If there is one; the message names it.
    """
    for route in routes:
        if not isinstance(route.opt.get(PERMISSION), Permission):
            raise TypeError(
                f"The route {sorted(route.paths)} declares no permission in `opt['{PERMISSION}']`"
            )


def _answer_error(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    shown = _from_router(request, error) if isinstance(error, HTTPException) else known_error(error)
    if request.scope.get(PRINCIPAL) is None and isinstance(shown, RouteNotFound | MethodNotAllowed):
        # Whoever is not signed in does not learn which routes exist.
        shown = Unauthenticated(
            "This server asks everyone to sign in", hint="Send `Authorization: Bearer <token>`"
        )
    if wants_page(request) and not request.scope["path"].startswith(f"{API}/"):
        return error_page(request, shown)
    status, headers, body = error_answer(shown)
    return Response(
        body,
        status_code=status,
        headers={name.decode(): value.decode() for name, value in headers},
        media_type="application/json",
    )


def _from_router(request: Request[Any, Any, Any], error: HTTPException) -> NoriaError:
    path = request.scope["path"].replace(HIDDEN_SLASH, "%2F")[:200]
    if error.status_code == 404:
        return RouteNotFound(f"There is nothing at `{path}`", hint="See `/api/v1/openapi.json`")
    if error.status_code == 405:
        return MethodNotAllowed(f"`{path}` does not take `{request.scope['method']}`")
    if error.status_code == 413:
        return TooLarge(error.detail)
    return Invalid(error.detail) if error.status_code < 500 else known_error(error)
