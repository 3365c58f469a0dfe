"""Each page as a route, and the static files; an error on the way to a page is a page too."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Mapping, Sequence
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
from noria.core.web.assets import ASSET_HEADERS, ASSETS_PATH, find_asset, gzipped
from noria.core.web.cookies import LANGUAGE_COOKIE, NOTICE_COOKIE, Cookie, read_cookie
from noria.core.web.languages import Language, choose_language
from noria.core.web.notices import open_notice
from noria.core.web.pages import Browser, Elsewhere, Frame, Page, PageContext, Visit
from noria.core.web.rendering import PAGE_HEADERS, render
from noria.core.web.retelling import Sentence
from noria.core.web.themes import theme_of
from noria.core.web.urls import LANGUAGE_PARAMETER, OVERVIEW_PATH, Urls
from noria.server.answers import Answer
from noria.server.compression import PACKED_PAGES
from noria.server.error_sentences import retelling
from noria.server.gate import PRINCIPAL, SEALS, SESSION, UNAUTHORIZED
from noria.server.navigation import sections
from noria.server.requests import HIDDEN_SLASH
from noria.server.routes import PERMISSION, context_of
from noria.server.threads import Threads

SEE_ASSETS = Permission(name="assets.read", public=True)
MAX_FIELDS = 500
"""Of a query: a comparison names up to 200 runs, and a table as many columns."""

ERROR_TEMPLATE = "noria.core.web/error.html"

PATH_PARAMETER = re.compile(r"\{([a-z_]+)\}")
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
    message: Sentence
    hint: Sentence | None


def page_routes(table: PageTable, *, threads: Threads) -> list[BaseRouteHandler]:
    """Make a route of each page, and one for the static files."""
    return [*(_route(page, table, threads) for page in table.pages), _asset_route(threads)]


class PageTable:
    """All pages: found by their address, and drawn."""

    def __init__(self, pages: Sequence[Page]) -> None:
        self.pages = tuple(pages)
        self._served = frozenset(page.path for page in pages)

    def find(self, path: str) -> tuple[Page, dict[str, str]] | None:
        """Give the page of a path, as the router has it, and the values of the path's parameters."""
        for page in self.pages:
            match = path_pattern(page.path).fullmatch(path)
            if match is not None:
                return page, {
                    name: value.replace(HIDDEN_SLASH, "/") for name, value in match.groupdict().items()
                }
        return None

    def draw(self, page: Page, visit: Visit, frame: Frame) -> bytes:
        """Give the HTML of a page."""
        shown = page.build(visit)
        project = visit.parameters.get("project", shown.project)
        if project:
            principal = visit.context.principal
            found = sections(principal, project, path=page.path, served=self._served, urls=frame.urls)
            frame = dataclasses.replace(frame, project=project, sections=found)
        return render(page.template, shown, frame)


@functools.cache
def path_pattern(path: str) -> re.Pattern[str]:
    """Give the pattern of a path with `{name}` for its parameters.

    Examples
    --------
    >>> path_pattern("/projects/{project}").fullmatch("/projects/a").groupdict()
    {'project': 'a'}
    """
    # Every other part is a name, every first one a literal.
    parts = PATH_PARAMETER.split(path)
    return re.compile(
        "".join(f"(?P<{part}>[^/]+)" if i % 2 else re.escape(part) for i, part in enumerate(parts))
    )


def error_page(request: Request[Any, Any, Any], error: NoriaError) -> Response[bytes]:
    """Give the page that tells an error; who would have to sign in to read a page goes there."""
    status = status_of(error)
    if status == UNAUTHORIZED and _may_sign_in(request):
        return _to_sign_in(request.scope)
    hint = retelling.find(error.hint) if error.hint else None
    shown = ErrorContext(status=status, code=error.code, message=retelling.find(error.message), hint=hint)
    headers = {**PAGE_HEADERS, **({"www-authenticate": "Bearer"} if status == 401 else {})}
    media_type = headers.pop("content-type").partition(";")[0]  # Litestar adds the encoding
    body = render(ERROR_TEMPLATE, shown, frame_of(request.scope))
    return Response(body, status_code=status, headers=headers, media_type=media_type)


def wants_page(request: Request[Any, Any, Any]) -> bool:
    """Tell whether a person with a browser asked, rather than a program."""
    return "text/html" in (header(request.scope["headers"], b"accept") or "")


def _may_sign_in(request: Request[Any, Any, Any]) -> bool:
    """Tell whether a browser asks for a page, and has not tried a credential of another kind."""
    headers = request.scope["headers"]
    navigates = header(headers, b"sec-fetch-mode") in (None, "navigate")
    return request.method == "GET" and navigates and header(headers, b"authorization") is None


def _to_sign_in(scope: Any) -> Response[bytes]:
    frame = frame_of(scope)
    to = None if scope["path"] == OVERVIEW_PATH else frame.here
    return Response(b"", status_code=303, headers={"location": frame.urls.sign_in(to=to)})


def _route(page: Page, table: PageTable, threads: Threads) -> HTTPRouteHandler:
    async def handle(request: Request[Any, Any, Any]) -> ASGIApp:
        try:
            return await threads.run(_show, page, table, request.scope)
        except Elsewhere as elsewhere:
            return Answer(303, b"", [(b"location", elsewhere.to.encode("ascii"))])

    def refuse(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
        return error_page(request, known_error(error))

    return HTTPRouteHandler(
        PATH_PARAMETER.sub(r"{\1:str}", page.path),
        http_method="GET",
        opt={PERMISSION: page.needs},
        middleware=[PACKED_PAGES],
        exception_handlers={Exception: refuse},
    )(handle)


def _show(page: Page, table: PageTable, scope: Any) -> ASGIApp:
    frame = frame_of(scope)
    given = query_parameters(page, scope["query_string"])
    visit = Visit(
        context=context_of(scope),
        parameters=path_parameters(scope) | {name: values[-1] for name, values in given.items()},
        urls=frame.urls,
        lists=given,
        browser=browser_of(scope),
        here=frame.here,
        language=frame.language,
    )
    kept = read_cookie(header(scope["headers"], b"cookie"), NOTICE_COOKIE)
    if kept is None:
        return html_answer(200, table.draw(page, visit, frame), frame)
    notice = open_notice(scope[SEALS], kept)
    shown = dataclasses.replace(frame, notice=notice)
    return html_answer(
        200, table.draw(page, visit, shown), frame, cookies=[Cookie(name=NOTICE_COOKIE, value="")]
    )


def html_answer(
    status: int,
    body: bytes,
    frame: Frame,
    *,
    cookies: Sequence[Cookie] = (),
    secure: bool = False,
    more: Mapping[str, str] | None = None,
) -> Answer:
    """Give a page as an answer.

    Parameters
    ----------
    secure
        Whether the cookies are for https alone.
    more
        Further headers.
    """
    headers = {**PAGE_HEADERS, "content-language": frame.language.value, **(more or {})}
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    set_ = [(b"set-cookie", cookie.header(secure=secure).encode()) for cookie in cookies]
    return Answer(status, body, [*pairs, *set_])


def _here(scope: Any) -> str:
    query = scope["query_string"].decode("latin-1")
    path = quote(scope["path"]).replace(quote(HIDDEN_SLASH), "%2F")
    path = "/" + path.lstrip("/")  # `//host` would lead to another site
    return f"{path}?{query}" if query else path


def frame_of(scope: Any, *, here: str | None = None) -> Frame:
    """Give the frame of a page.

    Parameters
    ----------
    here
        Address of the page; the one that was asked for when left out.
    """
    here = here or _here(scope)
    headers = scope["headers"]
    cookies = header(headers, b"cookie")
    asked = _last(here.partition("?")[2], LANGUAGE_PARAMETER)
    kept = read_cookie(cookies, LANGUAGE_COOKIE)
    language = choose_language(asked, kept or header(headers, b"accept-language"))
    principal: Principal | None = scope.get(PRINCIPAL)
    return Frame(
        language=language,
        languages=tuple(Language),
        urls=Urls(language=language if asked == language.value else None),
        here=here,
        caller=principal.name if principal is not None else "",
        release=__version__,
        theme=theme_of(cookies),
        is_signed_in=bool(scope.get(SESSION)),
        csrf=scope[SEALS].form_token(form_holder(scope), page=here),
    )


def form_holder(scope: Any) -> str:
    """Tell whose forms a request's pages hold: of a session, or else of a caller."""
    session: str = scope.get(SESSION) or ""
    principal: Principal | None = scope.get(PRINCIPAL)
    return session_holder(session) if session else f"caller {principal.name if principal else ''}"


def session_holder(secret: str) -> str:
    """Tell whose forms belong to a session."""
    return f"session {secret}"


def browser_of(scope: Any) -> Browser:
    """Tell what asks."""
    headers = scope["headers"]
    return Browser(
        name=header(headers, b"user-agent") or "",
        is_secure=(header(headers, b"origin") or "").startswith("https://"),
        session=scope.get(SESSION) or "",
        cookies=header(headers, b"cookie") or "",
    )


def path_parameters(scope: Any) -> dict[str, str]:
    """Give the parameters in the path of a request."""
    return {name: str(value).replace(HIDDEN_SLASH, "/") for name, value in scope["path_params"].items()}


def query_parameters(page: Page, query: bytes) -> dict[str, list[str]]:
    """Give the query parameters of an address.

    Raises
    ------
    Invalid
        If the page does not know one.
    """
    text = query.decode("latin-1")
    known = (*page.query, LANGUAGE_PARAMETER)
    found = parse_qs(text, max_num_fields=MAX_FIELDS) if text else {}
    for name, values in found.items():
        if name not in known:
            close = near(name, known)
            raise Invalid(
                f"This page has no query parameter `{name[:100]}`",
                hint=f"Did you mean `{close}`?" if close else "Leave it out",
            )
        if any(_CONTROL.search(value) for value in values):
            raise Invalid(f"The query parameter `{name}` holds a control character")
    return found


def _last(query: str, name: str) -> str | None:
    try:
        return parse_qs(query, max_num_fields=MAX_FIELDS).get(name, [None])[-1]
    except ValueError:
        return None


def _asset_route(threads: Threads) -> HTTPRouteHandler:
    async def handle(request: Request[Any, Any, Any]) -> ASGIApp:
        asset = find_asset(request.scope["path_params"]["file"])
        if asset is None:
            raise RouteNotFound(f"There is no static file `{request.scope['path'][:200]}`")
        headers = {"content-type": asset.media_type, "vary": "accept-encoding", **ASSET_HEADERS}
        takes = header(request.scope["headers"], b"accept-encoding") or ""
        packed = await threads.run(gzipped, asset.file) if "gzip" in takes else None
        if packed is not None:
            headers["content-encoding"] = "gzip"
        pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
        return Answer(200, asset.body if packed is None else packed, pairs)

    return HTTPRouteHandler(ASSETS_PATH + "/{file:str}", http_method="GET", opt={PERMISSION: SEE_ASSETS})(
        handle
    )
