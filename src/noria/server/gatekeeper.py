"""Who calls: the one place that turns a token, a password or a session into a principal."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from noria.core.admission import SIGN_IN
from noria.core.context import Context
from noria.core.errors import Unauthenticated
from noria.core.permissions import LOCAL_OWNER, LOCAL_VISITOR, Principal
from noria.core.web.cookies import SESSION_COOKIE, read_cookie
from noria.core.web.seals import Seals

Authenticate = Callable[[Context, str], Principal | None]
"""Finds the principal of a token; None when there is none."""

SignIn = Callable[[Context, str, str], Principal]
"""Finds the principal of a name with a password, or refuses."""

Resume = Callable[[Context, str], Principal | None]
"""Finds the principal of a browser's session; None when it has ended."""


class Caller(NamedTuple):
    """Who calls.

    Attributes
    ----------
    principal
        None for somebody unknown.
    session
        Secret of the session by which the caller is known; None where it is another credential, or none.
    """

    principal: Principal | None
    session: str | None = None


class Gatekeeper:
    """Establishes who calls.

    Parameters
    ----------
    context
        Gives the backends at each request.
    key
        The workspace key.
    authenticate
        Finds the principal of any other secret.
    sign_in
        Finds the principal of a name with a password.
    resume
        Finds the principal of a browser's session.
    is_open
        Tells whether somebody without a credential is let in as a visitor: on loopback, until a user exists.
    """

    def __init__(
        self,
        *,
        context: Callable[[], Context],
        key: str,
        authenticate: Authenticate,
        sign_in: SignIn,
        resume: Resume,
        is_open: Callable[[Context], bool],
    ) -> None:
        self.context = context
        self.seals = Seals(key, self._now)
        self._resume = resume
        self._key = key.encode()
        self._authenticate = authenticate
        self._sign_in = sign_in
        self._is_open = is_open

    def identify(self, authorization: str | None, cookies: str | None = None) -> Principal | None:
        """Give the caller, or None for somebody unknown. Asks the database: call it in a thread.

        Parameters
        ----------
        authorization, cookies
            The headers `Authorization` and `Cookie`.

        Raises
        ------
        Unauthenticated
            If there is a credential and it is not valid. A session that has ended is none.
        """
        return self.recognise(authorization, cookies).principal

    def _now(self) -> datetime:
        return self.context().clock.now()

    def recognise(self, authorization: str | None, cookies: str | None) -> Caller:
        """Give the caller, and the session by which they are known. Raises what `identify` does."""
        if authorization is not None:
            return Caller(self._authorized(authorization))
        secret = read_cookie(cookies, SESSION_COOKIE)
        principal = None if secret is None else self._resume(self.context(), secret)
        if principal is not None:
            return Caller(principal, secret)
        return Caller(LOCAL_VISITOR if self._is_open(self.context()) else None)

    def _authorized(self, authorization: str) -> Principal:
        scheme, _, credential = authorization.partition(" ")
        credential = credential.strip()
        if scheme.lower() == "bearer" and credential:
            return self._bearer(credential)
        if scheme.lower() == "basic" and credential:
            return self._basic(*name_and_password(credential))
        raise Unauthenticated(
            "The `Authorization` header is neither `Bearer <token>` nor `Basic <name and password>`"
        )

    def _bearer(self, secret: str) -> Principal:
        if self._is_key(secret):
            return LOCAL_OWNER
        principal = self._authenticate(self.context(), secret)
        if principal is None:
            raise Unauthenticated("The token is unknown, expired or revoked", hint=SIGN_IN)
        return principal

    def _basic(self, name: str, password: str) -> Principal:
        return LOCAL_OWNER if self._is_key(password) else self._sign_in(self.context(), name, password)

    def _is_key(self, secret: str) -> bool:
        return hmac.compare_digest(secret.encode(), self._key)


def name_and_password(credential: str) -> tuple[str, str]:
    """Decode what follows `Basic`: base64 of a name, a colon and a password.

    UTF-8, as the challenge asks for, or else Latin-1, in which many clients send what fits into it.

    Raises
    ------
    Unauthenticated
        If it is something else.

    Examples
    --------
    >>> name_and_password("YW5hOmE6Yg==")
    ('ana', 'a:b')
    """
    try:
        decoded = base64.b64decode(credential.encode("ascii"), validate=True)
    except ValueError as error:
        raise Unauthenticated("What follows `Basic` is not base64") from error
    try:
        text = decoded.decode()
    except UnicodeDecodeError:
        text = decoded.decode("latin-1")
    name, colon, password = text.partition(":")
    if not colon:
        raise Unauthenticated("What follows `Basic` has no colon between name and password")
    return name, password
