"""Sessions in browsers: begun by a password, carried by a cookie, ended by their owner, by time or by a new password.

What stands in the database is a hash of the secret in the cookie. A sign-in always makes a new secret, so a secret
that somebody planted in a browser never becomes a session.
"""

from __future__ import annotations

import contextlib
import hmac
import secrets
from datetime import datetime, timedelta

import msgspec
import sqlalchemy as sa

from noria.access.authentication import hash_secret, roles_by_project
from noria.access.events import SIGNED_IN, SIGNED_OUT
from noria.access.signing_in import check_password, wrong_password
from noria.access.tables import sessions, users
from noria.core.context import Context
from noria.core.database.prepared import Prepared
from noria.core.database.schema import from_micros
from noria.core.errors import NotFound, Unavailable
from noria.core.events.log import append
from noria.core.ids import new_id
from noria.core.key import read_key
from noria.core.permissions import LOCAL_OWNER, Principal, Role

IDLE = timedelta(hours=12)
LIFE = timedelta(days=30)
_SEEN_EVERY = timedelta(minutes=5)
_MOST_BROWSER = 200
_MOST_SECRET = 100
_LISTED = 200


class BrowserSession(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody signed in with a browser.

    Attributes
    ----------
    browser
        What it calls itself, cut.
    seen_at
        When it was last used, to within minutes.
    expires_at
        When it ends at the latest.
    """

    id: str
    browser: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime


def sign_in(context: Context, name: str, password: str, *, browser: str) -> str:
    """Begin a session, and give its secret.

    The workspace key as password makes a session of the workspace's owner, whatever the name.

    Raises
    ------
    Unauthenticated
        If name or password is wrong.
    TooManyRequests
        After too many wrong passwords.
    """
    if _is_key(context, password):
        with context.database.write(durable=True) as connection:
            return _begin(connection, context, LOCAL_OWNER.name, None, browser)
    check_password(context, name, password)
    with context.database.write(durable=True) as connection:
        key = connection.execute(sa.select(users.c.pk).where(users.c.name == name)).scalar_one_or_none()
        if key is None:
            raise wrong_password()
        return _begin(connection, context, name, key, browser)


def resume_session(context: Context, secret: str) -> Principal | None:
    """Give the caller of a session, with today's roles; None when it is unknown or has ended."""
    if len(secret) > _MOST_SECRET:
        return None
    now = context.clock.now()
    with context.database.read() as connection:
        row = _FIND.first(connection, {"secret_hash": hash_secret(secret)})
        if row is None:
            return None
        pk, seen_at, expires_at, user_pk, name, role = row
        if from_micros(expires_at) <= now or from_micros(seen_at) + IDLE <= now:
            return None
        project_roles = roles_by_project(connection, user_pk) if user_pk is not None else {}
    if from_micros(seen_at) + _SEEN_EVERY <= now:
        _note_seen(context, pk, now)
    if user_pk is None:
        return LOCAL_OWNER
    return Principal(
        name=name, role=Role(role) if role else None, project_roles=project_roles, holds_key=True
    )


def end_session(context: Context, secret: str) -> None:
    """End the session of a secret; nothing happens when there is none."""
    with context.database.write(durable=True) as connection:
        ended = connection.execute(
            sa.delete(sessions).where(sessions.c.secret_hash == hash_secret(secret)).returning(sessions.c.id)
        ).first()
        if ended is not None:
            _append_end(connection, context, ended.id)


def list_sessions(context: Context) -> list[BrowserSession]:
    """List the sessions of the caller that have not ended, the one that was used last first."""
    now = context.clock.now()
    query = (
        sa.select(
            sessions.c.id,
            sessions.c.browser,
            sessions.c.created_at,
            sessions.c.seen_at,
            sessions.c.expires_at,
        )
        .where(_is_own(context), sessions.c.expires_at > now, sessions.c.seen_at > now - IDLE)
        .order_by(sessions.c.seen_at.desc(), sessions.c.pk.desc())
        .limit(_LISTED)
    )
    with context.database.read() as connection:
        return [BrowserSession(**row) for row in connection.execute(query).mappings()]


def find_session_id(context: Context, secret: str) -> str | None:
    """Give the id of the session of a secret; None when there is none."""
    query = sa.select(sessions.c.id).where(sessions.c.secret_hash == hash_secret(secret))
    with context.database.read() as connection:
        return connection.execute(query).scalar_one_or_none()


def end_own_session(context: Context, session_id: str) -> None:
    """End a session of the caller.

    Raises
    ------
    NotFound
        If the caller has no such session.
    """
    with context.database.write(durable=True) as connection:
        ended = connection.execute(
            sa.delete(sessions).where(sessions.c.id == session_id, _is_own(context)).returning(sessions.c.id)
        ).first()
        if ended is None:
            raise NotFound(
                f"You have no session `{session_id[:100]}`", hint="It may have ended: load the page again"
            )
        _append_end(connection, context, session_id)


def renew_session(context: Context, *, browser: str) -> str:
    """Begin a session for the caller, a user whose sessions a new password has just ended, and give its secret."""
    name = context.principal.name
    with context.database.write(durable=True) as connection:
        key = connection.execute(sa.select(users.c.pk).where(users.c.name == name)).scalar_one()
        return _begin(connection, context, name, key, browser)


def _is_key(context: Context, password: str) -> bool:
    key = read_key(context.settings.folder)
    return key is not None and hmac.compare_digest(password.encode("utf-8", "surrogatepass"), key.encode())


def _begin(connection: sa.Connection, context: Context, name: str, user_pk: int | None, browser: str) -> str:
    now = context.clock.now()
    ended = (sessions.c.expires_at <= now) | (sessions.c.seen_at <= now - IDLE)
    connection.execute(sa.delete(sessions).where(ended))
    secret, session_id = secrets.token_urlsafe(32), new_id()
    connection.execute(
        sa.insert(sessions).values(
            id=session_id,
            secret_hash=hash_secret(secret),
            user_pk=user_pk,
            browser="".join(c for c in browser[:_MOST_BROWSER] if c.isprintable()),
            created_at=now,
            seen_at=now,
            expires_at=now + LIFE,
        )
    )
    append(
        connection,
        context.clock,
        actor=name,
        type=SIGNED_IN,
        subject=f"user:{name}",
        payload={"session": session_id},
    )
    return secret


def _note_seen(context: Context, pk: int, now: datetime) -> None:
    # Who may read may read on where nothing can be written at the moment.
    with contextlib.suppress(Unavailable), context.database.write() as connection:
        connection.execute(sa.update(sessions).where(sessions.c.pk == pk).values(seen_at=now))


def _append_end(connection: sa.Connection, context: Context, session_id: str) -> None:
    name = context.principal.name
    append(
        connection,
        context.clock,
        actor=name,
        type=SIGNED_OUT,
        subject=f"user:{name}",
        payload={"session": session_id},
    )


def _is_own(context: Context) -> sa.ColumnElement[bool]:
    caller = context.principal
    if caller == LOCAL_OWNER:
        return sessions.c.user_pk.is_(None)
    return sessions.c.user_pk == sa.select(users.c.pk).where(users.c.name == caller.name).scalar_subquery()


_FIND = Prepared(
    sa.select(
        sessions.c.pk,
        sessions.c.seen_at,
        sessions.c.expires_at,
        sessions.c.user_pk,
        users.c.name,
        users.c.role,
    )
    .select_from(sessions.outerjoin(users, users.c.pk == sessions.c.user_pk))
    .where(sessions.c.secret_hash == sa.bindparam("secret_hash"))
)
