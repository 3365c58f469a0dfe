"""Each page as a route, and the static files; an error on the way to a page is a page too."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, quote

from litestar import Request, Response
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.types import ASGIApp

from noria._version import __version__
from noria.core.errors import Invalid, NoriaError, near
from noria.core.http_errors import RouteNotFound, header, known_error, status_of
from noria.core.permissions import Permission, Principal
from noria.core.web.assets import ASSET_HEADERS, ASSETS_PATH, find_asset
from noria.core.web.languages import Language, choose_language
from noria.core.web.pages import Frame, Page, PageContext, Visit
from noria.core.web.rendering import PAGE_HEADERS, render
from noria.core.web.urls import LANGUAGE_PARAMETER, Urls
from noria.server.answers import Answer
from noria.server.gate import PRINCIPAL
from noria.server.requests import HIDDEN_SLASH
from noria.server.routes import PERMISSION, context_of
from noria.server.threads import Threads

SEE_ASSETS = Permission(name="assets.read", public=True)
ERROR_TEMPLATE = "noria.core.web/error.html"

_PATH_PARAMETER = re.compile(r"\{([a-z_]+)\}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorContext(PageContext):
    """What the page of an error shows.

    Attributes
    ----------
    status
        Of HTTP.
    code
        For looking it up.
    message, hint
        What is wrong, and what mends it.
    """

    status: int
    code: str
    message: str
    hint: str | None


def page_routes(pages: Sequence[Page], *, threads: Threads) -> list[BaseRouteHandler]:
    """Make a route of each page, and one for the static files."""
    return [*(_route(page, threads) for page in pages), _asset_route()]


def error_page(request: Request[Any, Any, Any], error: NoriaError) -> Response[bytes]:
    """Give the page that tells an error."""
    status = status_of(error)
    shown = ErrorContext(status=status, code=error.code, message=error.message, hint=error.hint)
    headers = {**PAGE_HEADERS, **({"www-authenticate": "Bearer"} if status == 401 else {})}
    media_type = headers.pop("content-type").partition(";")[0]  # Litestar adds the encoding
    body = render(ERROR_TEMPLATE, shown, _frame(request.scope))
    return Response(body, status_code=status, headers=headers, media_type=media_type)


def wants_page(request: Request[Any, Any, Any]) -> bool:
    """Tell whether a person with a browser asked, rather than a program."""
    return "text/html" in (header(request.scope["headers"], b"accept") or "")


def _route(page: Page, threads: Threads) -> HTTPRouteHandler:
    async def handle(request: Request[Any, Any, Any]) -> ASGIApp:
        return await threads.run(_show, page, request.scope)

    def refuse(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
        return error_page(request, known_error(error))

    return HTTPRouteHandler(
        _PATH_PARAMETER.sub(r"{\1:str}", page.path),
        http_method="GET",
        opt={PERMISSION: page.needs},
        exception_handlers={Exception: refuse},
    )(handle)


def _show(page: Page, scope: Any) -> ASGIApp:
    frame = _frame(scope)
    visit = Visit(
        context=context_of(scope),
        parameters=_path_parameters(scope) | _query_parameters(page, scope["query_string"]),
        urls=frame.urls,
    )
    body = render(page.template, page.build(visit), frame)
    headers = {**PAGE_HEADERS, "content-language": frame.language.value}
    return Answer(200, body, [(name.encode(), value.encode()) for name, value in headers.items()])


def _frame(scope: Any) -> Frame:
    query = scope["query_string"].decode("latin-1")
    asked = _last(query, LANGUAGE_PARAMETER)
    language = choose_language(asked, header(scope["headers"], b"accept-language"))
    principal: Principal | None = scope.get(PRINCIPAL)
    path = quote(scope["path"].replace(HIDDEN_SLASH, "%2F"), safe="/%")
    return Frame(
        language=language,
        languages=tuple(Language),
        urls=Urls(language=language if asked == language.value else None),
        here=f"{path}?{query}" if query else path,
        caller=principal.name if principal is not None else "",
        release=__version__,
    )


def _path_parameters(scope: Any) -> dict[str, str]:
    return {name: str(value).replace(HIDDEN_SLASH, "/") for name, value in scope["path_params"].items()}


def _query_parameters(page: Page, query: bytes) -> dict[str, str]:
    text = query.decode("latin-1")
    known = (*page.query, LANGUAGE_PARAMETER)
    found = parse_qs(text, max_num_fields=20) if text else {}
    for name, values in found.items():
        if name not in known:
            close = near(name, known)
            raise Invalid(
                f"This page has no query parameter `{name[:100]}`",
                hint=f"Did you mean `{close}`?" if close else "Leave it out",
            )
        if _CONTROL.search(values[-1]):
            raise Invalid(f"The query parameter `{name}` holds a control character")
    return {name: values[-1] for name, values in found.items()}


def _last(query: str, name: str) -> str | None:
    try:
        return parse_qs(query, max_num_fields=20).get(name, [None])[-1]
    except ValueError:
        return None


def _asset_route() -> HTTPRouteHandler:
    async def handle(request: Request[Any, Any, Any]) -> ASGIApp:
        asset = find_asset(request.scope["path_params"]["file"])
        if asset is None:
            raise RouteNotFound(f"There is no static file `{request.scope['path'][:200]}`")
        headers = {"content-type": asset.media_type, **ASSET_HEADERS}
        return Answer(200, asset.body, [(name.encode(), value.encode()) for name, value in headers.items()])

    return HTTPRouteHandler(ASSETS_PATH + "/{file:str}", http_method="GET", opt={PERMISSION: SEE_ASSETS})(
        handle
    )
