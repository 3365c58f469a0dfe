"""What the pages of access do: sign in and out, change a password, end sessions, make and revoke tokens."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import msgspec

from noria.access.entities import MIN_PASSWORD_LENGTH, NewToken, PasswordChange
from noria.access.permissions import MANAGE_TOKENS, OPEN_SIGN_IN, SEE_ACCOUNT, SET_PASSWORD
from noria.access.sessions import LIFE, end_own_session, end_session, renew_session, sign_in
from noria.access.signing_in import check_password
from noria.access.tokens import Tokens
from noria.access.users import Users
from noria.core.errors import Unauthenticated
from noria.core.permissions import Role
from noria.core.web.actions import Action, Confirmation, Done, FieldError, FieldsRefused, NoFields, Secret
from noria.core.web.cookies import SESSION_COOKIE, Cookie
from noria.core.web.languages import mark
from noria.core.web.pages import Visit
from noria.core.web.urls import (
    END_SESSION_PATH,
    PASSWORD_PATH,
    REVOKE_TOKEN_PATH,
    SIGN_IN_PATH,
    SIGN_OUT_PATH,
    TOKENS_PATH,
    is_local,
)


class SignInForm(msgspec.Struct, frozen=True, kw_only=True):
    """Name and password, where to go on to, and a form that waits."""

    password: Secret
    name: Annotated[str, msgspec.Meta(max_length=1000)] = ""
    to: str = ""
    kept: str = ""


class PasswordForm(msgspec.Struct, frozen=True, kw_only=True):
    """The present password, and twice the new one."""

    current: Secret
    password: Secret
    again: Secret


class TokenForm(msgspec.Struct, frozen=True, kw_only=True):
    """A token to make; `only` names permissions, with spaces or commas between them."""

    name: Annotated[str, msgspec.Meta(max_length=120)]
    days: Annotated[int, msgspec.Meta(ge=1, le=366)] = 90
    role: Role | None = None
    project: str = ""
    only: Annotated[str, msgspec.Meta(max_length=2000)] = ""


class RevokeForm(msgspec.Struct, frozen=True, kw_only=True):
    """The name of the token to end, to ask with."""

    name: str


def take_sign_in(visit: Visit, form: SignInForm) -> Done:
    """Begin a session."""
    secret = sign_in(visit.context, form.name, form.password, browser=visit.browser.name)
    if visit.browser.session:
        end_session(visit.context, visit.browser.session)
    to = form.to if is_local(form.to) else visit.urls.overview()
    return Done(to=to, cookies=(_session_cookie(secret),), kept=form.kept)


def take_sign_out(visit: Visit, _: NoFields) -> Done:
    """End the session of this browser."""
    end_session(visit.context, visit.browser.session)
    return Done(to=visit.urls.sign_in(), words=mark("You are signed out"), cookies=(_session_cookie(""),))


def take_password(visit: Visit, form: PasswordForm) -> Done:
    """Change the reader's own password; every other session ends, and this one goes on under a new secret."""
    context = visit.context
    if form.password != form.again:
        raise FieldsRefused({"again": FieldError(words=mark("The two new passwords differ"))})
    if len(form.password) < MIN_PASSWORD_LENGTH:
        short = FieldError(
            words=mark("Use at least %(bound)s characters"), values={"bound": str(MIN_PASSWORD_LENGTH)}
        )
        raise FieldsRefused({"password": short})
    try:
        check_password(context, context.principal.name, form.current)
    except Unauthenticated as wrong:
        raise FieldsRefused({"current": FieldError(words=mark("This is not your password"))}) from wrong
    change = PasswordChange(password=form.password, current=form.current)
    context.service(Users).set_password(context.principal.name, change)
    secret = renew_session(context, browser=visit.browser.name)
    return Done(
        to=visit.urls.account(),
        words=mark("The password is changed, and your other sessions have ended"),
        cookies=(_session_cookie(secret),),
    )


def take_end_session(visit: Visit, _: NoFields) -> Done:
    """End a session of the reader."""
    end_own_session(visit.context, visit.parameters["session_id"])
    return Done(to=visit.urls.account(), words=mark("The session has ended"))


def take_token(visit: Visit, form: TokenForm) -> Done:
    """Make a token, and show its secret this once."""
    only = form.only.replace(",", " ").split()
    new = NewToken(
        name=form.name,
        project=form.project or None,
        role=form.role,
        permissions=only or None,
        ttl_s=timedelta(days=form.days).total_seconds(),
    )
    issued = visit.context.service(Tokens).create(new)
    return Done(
        to=visit.urls.tokens(),
        words=mark("This is the token `%(name)s`"),
        values={"name": issued.token.name},
        secret=issued.secret,
    )


def confirm_revoke(visit: Visit, form: RevokeForm) -> Confirmation:
    """Ask before a token ends."""
    return Confirmation(
        words=mark("Revoke the token `%(name)s`?"),
        consequences=(mark("What uses it is refused from now on. It cannot be brought back."),),
        values={"name": form.name},
        button=mark("Revoke"),
        back=visit.urls.tokens(),
    )


def take_revoke(visit: Visit, form: RevokeForm) -> Done:
    """End a token."""
    visit.context.service(Tokens).revoke(visit.parameters["token_id"])
    return Done(
        to=visit.urls.tokens(), words=mark("The token `%(name)s` is revoked"), values={"name": form.name}
    )


def _session_cookie(secret: str) -> Cookie:
    return Cookie(name=SESSION_COOKIE, value=secret, life=LIFE)


ACTIONS = (
    Action(path=SIGN_IN_PATH, needs=OPEN_SIGN_IN, fields=SignInForm, handle=take_sign_in),
    Action(path=SIGN_OUT_PATH, needs=SEE_ACCOUNT, fields=NoFields, handle=take_sign_out),
    Action(path=PASSWORD_PATH, needs=SET_PASSWORD, fields=PasswordForm, handle=take_password),
    Action(path=END_SESSION_PATH, needs=SEE_ACCOUNT, fields=NoFields, handle=take_end_session),
    Action(path=TOKENS_PATH, needs=MANAGE_TOKENS, fields=TokenForm, handle=take_token),
    Action(
        path=REVOKE_TOKEN_PATH,
        needs=MANAGE_TOKENS,
        fields=RevokeForm,
        handle=take_revoke,
        confirm=confirm_revoke,
    ),
)
