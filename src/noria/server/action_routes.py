"""Each action as a POST route: the form is checked and the action called, or the form is shown again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
from litestar import Request, Response
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.types import ASGIApp

from noria.core.admission import admit
from noria.core.errors import Conflict, Forbidden, Invalid, NoriaError
from noria.core.http_errors import TooManyRequests, known_error, status_of
from noria.core.web.actions import (
    AnyAction,
    Confirmation,
    ConfirmContext,
    Done,
    FieldsRefused,
    ResendContext,
    Stale,
)
from noria.core.web.cookies import SESSION_COOKIE, Cookie
from noria.core.web.forms import FormState, Sent, decode_form, read_form, secret_fields
from noria.core.web.languages import mark
from noria.core.web.notices import Notice, close_notice
from noria.core.web.pages import Browser, Frame, Visit
from noria.core.web.rendering import render
from noria.core.web.urls import OVERVIEW_PATH, SIGN_IN_PATH, is_local
from noria.server.answers import Answer
from noria.server.error_sentences import retelling
from noria.server.gate import FORM, PRINCIPAL, SEALS, STRANGER, routed_path
from noria.server.page_routes import (
    PATH_PARAMETER,
    PageTable,
    browser_of,
    error_page,
    form_holder,
    frame_of,
    html_answer,
    path_parameters,
    path_pattern,
    query_parameters,
    session_holder,
)
from noria.server.requests import check_length, read_body
from noria.server.routes import PERMISSION, context_of
from noria.server.threads import Threads

if TYPE_CHECKING:
    from litestar.types import Receive, Send

FORM_LIMIT_BYTES = 1 << 20
SIGN_IN_LIMIT_BYTES = 2 << 20
"""What is typed at the sign-in may carry another form, closed and encoded."""

MAX_ADDRESS = 4000
KEPT_LIFE = timedelta(days=1)
"""For how long a form waits for its sender to sign in again."""

CONFIRM_TEMPLATE = "noria.core.web/confirm.html"
RESEND_TEMPLATE = "noria.core.web/resend.html"

REFUSED_FIELDS = mark("Nothing was saved: look at the marked fields")
REFUSED_STALE = mark(
    "Somebody else has changed this meanwhile, so nothing was saved. Compare what stands there now with what you "
    "typed; sending again replaces it"
)
REFUSED_TOKEN = mark("This form had become too old, so nothing was saved. Look it over and send it again")
REFUSED_STRANGER = mark("Your sign-in has ended. Sign in again: what you typed is kept")
REFUSED_CLICK = mark("Your sign-in has ended. Sign in again")

_KEPT = "kept form"


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A form that waits for its sender to sign in."""

    action: str
    here: str
    pairs: list[tuple[str, str]]
    form: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Post:
    """A form that arrived."""

    scope: Any
    sent: Sent
    here: str

    def shown(self) -> Frame:
        """Give the frame of the page that the form stands on."""
        return frame_of(self.scope, here=self.here)

    @property
    def address(self) -> str:
        """Where the form was sent to, as the form has it."""
        return frame_of(self.scope).here

    @property
    def browser(self) -> Browser:
        """What sent it."""
        return browser_of(self.scope)


def action_routes(
    actions: Sequence[AnyAction], pages: PageTable, *, threads: Threads
) -> list[BaseRouteHandler]:
    """Make a POST route of each action.

    Parameters
    ----------
    pages
        Where the forms stand, to be shown again.
    """
    desk = _Desk(actions, pages)
    return [_route(action, desk, threads) for action in actions]


def _route(action: AnyAction, desk: _Desk, threads: Threads) -> HTTPRouteHandler:
    limit = SIGN_IN_LIMIT_BYTES if action.path == SIGN_IN_PATH else FORM_LIMIT_BYTES

    async def handle(request: Request[Any, Any, Any]) -> ASGIApp:
        body = await _body(request.scope, request.receive, limit)
        return await threads.run(desk.take, action, request.scope, body)

    async def keep(scope: Any, receive: Receive, send: Send) -> None:
        body = await _body(scope, receive, limit)
        answer = await threads.run(desk.keep, action, scope, body)
        await answer(scope, receive, send)

    def refuse(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
        return error_page(request, known_error(error))

    return HTTPRouteHandler(
        PATH_PARAMETER.sub(r"{\1:str}", action.path),
        http_method="POST",
        opt={PERMISSION: action.needs, FORM: True, STRANGER: keep},
        exception_handlers={Exception: refuse},
        status_code=200,
    )(handle)


async def _body(scope: Any, receive: Receive, limit_bytes: int) -> bytes:
    check_length(scope["headers"], limit_bytes)
    return await read_body(receive, limit_bytes)


class _Desk:
    """Takes forms."""

    def __init__(self, actions: Sequence[AnyAction], pages: PageTable) -> None:
        self._pages = pages
        self._actions = [action.path for action in actions]

    def take(self, action: AnyAction, scope: Any, body: bytes) -> ASGIApp:
        """Do what a form asks for, or show it again."""
        post = _post(scope, body)
        try:
            return self._do(action, post)
        except (FieldsRefused, Stale, _TokenRefused, NoriaError) as refused:
            error: Exception = refused
        status, state = _refusal(error)
        secrets = secret_fields(action.fields)
        kept = {name: values for name, values in post.sent.fields.items() if name not in secrets}
        state = replace(state, action=post.address, form=post.sent.form, values=kept)
        again = self._again(post, state, status, more=_wait(error))
        if again is None:
            raise _as_noria_error(error)
        return again

    def keep(self, action: AnyAction, scope: Any, body: bytes) -> ASGIApp:
        """Answer somebody whose sign-in has ended with the page to sign in, and keep the form in it."""
        post = _post(scope, body)
        secrets = secret_fields(action.fields)
        kept = _Kept(
            action=post.address,
            here=post.here,
            pairs=[(name, value) for name, value in post.sent.pairs() if name not in secrets],
            form=post.sent.form,
        )
        frame = post.shown()
        # A button that was clicked is no work to keep.
        closed = scope[SEALS].close(msgspec.json.encode(kept).decode(), _KEPT) if kept.pairs else ""
        state = FormState(
            action=frame.urls.sign_in(),
            values={"kept": (closed,), "to": (post.here,)},
            words=REFUSED_STRANGER if closed else REFUSED_CLICK,
        )
        to_sign_in = replace(post, here=frame.urls.sign_in())
        answer = self._again(to_sign_in, state, 401)
        if answer is None:
            raise TypeError(f"there is no page at `{SIGN_IN_PATH}`")
        return answer

    def _do(self, action: AnyAction, post: _Post) -> ASGIApp:
        scope, sent = post.scope, post.sent
        if not scope[SEALS].is_form_token(sent.csrf, form_holder(scope)):
            raise _TokenRefused
        form = decode_form(action.fields, sent.fields)
        frame = post.shown()
        visit = Visit(
            context=context_of(scope),
            parameters=path_parameters(scope),
            urls=frame.urls,
            browser=post.browser,
            here=post.here,
        )
        question = action.confirm(visit, form) if action.confirm else None
        if question is not None and sent.confirmed != (question.typed or "yes"):
            return _ask(question, post, frame)
        return self._answer(action.handle(visit, form), post, frame)

    def _answer(self, done: Done, post: _Post, frame: Frame) -> ASGIApp:
        cookies = [*done.cookies]
        if done.kept:
            resend = self._resend(done, post, frame, cookies)
            if resend is not None:
                return resend
        if done.words:
            notice = close_notice(post.scope[SEALS], _notice(done))
            cookies += [notice] if notice else []
        to = done.to if done.to is not None and is_local(done.to) else post.here
        secure = post.browser.is_secure
        headers = [(b"set-cookie", cookie.header(secure=secure).encode()) for cookie in cookies]
        return Answer(303, b"", [(b"location", to.encode("ascii")), *headers])

    def _resend(self, done: Done, post: _Post, frame: Frame, cookies: Sequence[Cookie]) -> Answer | None:
        opened = post.scope[SEALS].open(done.kept, _KEPT, life=KEPT_LIFE)
        if opened is None:
            return None
        kept = msgspec.json.decode(opened, type=_Kept)
        path = routed_path(urlsplit(kept.action).path.encode())
        if not any(path_pattern(each).fullmatch(path) for each in self._actions):
            return None
        # From now on the browser is of the session that begins with this answer.
        session = next((cookie.value for cookie in cookies if cookie.name == SESSION_COOKIE), "")
        csrf = post.scope[SEALS].form_token(
            session_holder(session) if session else form_holder(post.scope), page=kept.here
        )
        context = ResendContext(action=kept.action, pairs=kept.pairs, here=kept.here, form=kept.form)
        shown = replace(frame, csrf=csrf, here=kept.here, is_signed_in=True)
        body = render(RESEND_TEMPLATE, context, shown)
        return html_answer(200, body, shown, cookies=cookies, secure=post.browser.is_secure)

    def _again(
        self, post: _Post, state: FormState, status: int, *, more: Mapping[str, str] | None = None
    ) -> Answer | None:
        """Show the page that a form stands on, with what was typed; None where it cannot be shown."""
        path, _, query = post.here.partition("?")
        try:
            found = self._pages.find(routed_path(path.encode()))
            if found is None:
                return None
            page, parameters = found
            given = query_parameters(page, query.encode())
            caller = admit(post.scope.get(PRINCIPAL), page.needs, parameters.get("project"))
            frame = replace(post.shown(), form=state)
            visit = Visit(
                context=context_of(post.scope).acting_as(caller),
                parameters=parameters | {name: values[-1] for name, values in given.items()},
                urls=frame.urls,
                lists=given,
                browser=post.browser,
                here=post.here,
                language=frame.language,
            )
            return html_answer(status, self._pages.draw(page, visit, frame), frame, more=more)
        except NoriaError:
            return None


class _TokenRefused(Exception):
    """The form does not show that this reader got it from us."""


def _post(scope: Any, body: bytes) -> _Post:
    sent = read_form(body)
    here = sent.here if len(sent.here) <= MAX_ADDRESS and is_local(sent.here) else OVERVIEW_PATH
    return _Post(scope=scope, sent=sent, here=here)


def _refusal(error: Exception) -> tuple[int, FormState]:
    """Give the status of an answer to a form that was not taken, and what the form says."""
    if isinstance(error, FieldsRefused):
        return 422, FormState(action="", errors=error.errors, words=REFUSED_FIELDS)
    if isinstance(error, Stale):
        return 409, FormState(action="", current=error.current, words=REFUSED_STALE)
    if isinstance(error, NoriaError):
        status = status_of(error)
        hint = retelling.find(error.hint) if error.hint else None
        state = FormState(action="", message=retelling.find(error.message), hint=hint)
        return (422 if status == 400 else status), state
    return 403, FormState(action="", words=REFUSED_TOKEN)


def _wait(error: Exception) -> dict[str, str]:
    if isinstance(error, TooManyRequests) and "retry_after_s" in error.details:
        return {"retry-after": str(error.details["retry_after_s"])}
    return {}


def _as_noria_error(error: Exception) -> NoriaError:
    if isinstance(error, NoriaError):
        return error
    if isinstance(error, FieldsRefused):
        return Invalid(f"The form is not right: {error}", hint="Go back and send it again")
    if isinstance(error, Stale):
        return Conflict(
            "Somebody else has changed this meanwhile", hint="Go back, load the page again and compare"
        )
    return Forbidden("This form had become too old", hint="Go back, load the page again and send it")


def _ask(question: Confirmation, post: _Post, frame: Frame) -> Answer:
    context = ConfirmContext(
        confirmation=question,
        action=post.address,
        pairs=post.sent.pairs(),
        here=post.here,
        form=post.sent.form,
        is_mistyped=bool(post.sent.confirmed),
    )
    status = 422 if context.is_mistyped else 200
    return html_answer(status, render(CONFIRM_TEMPLATE, context, frame), frame)


def _notice(done: Done) -> Notice:
    undo = done.undo
    fields = undo.fields.items() if undo else ()
    return Notice(
        words=done.words,
        values=dict(done.values),
        undo=undo.to if undo else "",
        undo_fields=[
            (name, value)
            for name, values in fields
            for value in ([values] if isinstance(values, str) else values)
        ],
        secret=done.secret,
    )
