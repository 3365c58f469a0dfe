"""The pages of access: to sign in, the reader's own, and tokens. What they do stands in `actions`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from noria.access.entities import (
    RESERVED_NAMES,
    Token,
)
from noria.access.permissions import MANAGE_TOKENS, OPEN_SIGN_IN, SEE_ACCOUNT
from noria.access.projects import Projects
from noria.access.sessions import (
    find_session_id,
    list_sessions,
)
from noria.access.tokens import Tokens
from noria.core.permissions import LOCAL_VISITOR, Principal, Role
from noria.core.web.formats import clipped
from noria.core.web.languages import mark
from noria.core.web.pages import Crumb, Page, PageContext, Visit
from noria.core.web.urls import (
    ACCOUNT_PATH,
    SIGN_IN_PATH,
    TOKENS_PATH,
    is_local,
)

ROLE_WORDS = {
    Role.VIEWER: mark("viewer"),
    Role.SCIENTIST: mark("scientist"),
    Role.ENGINEER: mark("engineer"),
    Role.ADMIN: mark("admin"),
}
TOKENS_PER_PAGE = 25
_PROJECTS = 200

_BROWSERS = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrom", "Chrome"),
    ("Safari/", "Safari"),
)
"""Signs in the order in which they tell: most browsers call themselves by the names of others too."""

_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iOS"),
    ("iPad", "iPadOS"),
    ("Windows", "Windows"),
    ("Mac OS", "macOS"),
    ("Linux", "Linux"),
)

ACCOUNT = Crumb(text=mark("Account"), is_ours=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInContext(PageContext):
    """What the page to sign in shows.

    Attributes
    ----------
    to
        Address to go on to; empty for the overview.
    """

    to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRow:
    """A session in the list.

    Attributes
    ----------
    browser, system
        Program and operating system, as far as they can be told.
    name
        What the browser calls itself.
    began_at, seen_at, expires_at
        When it was begun and last used, and when it ends at the latest.
    is_this
        Whether the page is read in it.
    """

    id: str
    browser: str
    system: str
    name: str
    began_at: datetime
    seen_at: datetime
    expires_at: datetime
    is_this: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountContext(PageContext):
    """What the reader's own page shows.

    Attributes
    ----------
    name
        Of the reader.
    role
        In every project, in words to be translated; empty when roles are given per project only.
    project_roles
        Project and role in it, in words to be translated.
    sessions
        Those of the reader, the one that was used last first.
    now
        When it was read.
    has_password
        Whether the reader is a user, who has a password to change.
    is_visitor
        Whether the reader is here only because the server is open to its own computer.
    may_make_tokens
        Whether there is a page of tokens for the reader.
    """

    name: str
    role: str
    project_roles: tuple[tuple[str, str], ...]
    sessions: tuple[SessionRow, ...]
    now: datetime
    has_password: bool
    is_visitor: bool
    may_make_tokens: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRow:
    """A token in the list.

    Attributes
    ----------
    name
        As its maker called it.
    prefix
        Beginning of the secret.
    user
        On whose behalf it acts; empty for the workspace's owner.
    project
        The only project that it is good in; empty for all.
    role
        The most it may do, in words to be translated.
    permissions
        Names of the only permissions that it has; None for all of the role.
    created_at, expires_at
        When it was made, and when it ends.
    is_expired
        Whether it has ended.
    """

    id: str
    name: str
    prefix: str
    user: str
    project: str
    role: str
    permissions: tuple[str, ...] | None
    created_at: datetime
    expires_at: datetime
    is_expired: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TokensContext(PageContext):
    """What the page of tokens shows.

    Attributes
    ----------
    tokens
        Newest first.
    next_token
        Where the next page begins; None at the end.
    is_first
        Whether this is the first page.
    roles
        Value and words of the roles that a token may have.
    choices
        Projects that a token may be limited to, as value and text.
    shows_users
        Whether tokens of others are among them.
    now
        When it was read.
    """

    tokens: tuple[TokenRow, ...]
    next_token: str | None
    is_first: bool
    roles: tuple[tuple[str, str], ...]
    choices: tuple[tuple[str, str], ...]
    shows_users: bool
    now: datetime


def sign_in_page(visit: Visit) -> SignInContext:
    """Show the page to sign in."""
    to = visit.parameters.get("to", "")
    return SignInContext(to=to if is_local(to) else "")


def account_page(visit: Visit) -> AccountContext:
    """Show who the reader is, and where else they are signed in."""
    caller = visit.context.principal
    return AccountContext(
        trail=(ACCOUNT,),
        name=caller.name,
        role=ROLE_WORDS[caller.role] if caller.role else "",
        project_roles=tuple(
            (project, ROLE_WORDS[role]) for project, role in sorted(caller.project_roles.items())
        ),
        sessions=_session_rows(visit),
        now=visit.context.clock.now(),
        has_password=_is_user(caller),
        is_visitor=caller == LOCAL_VISITOR,
        may_make_tokens=caller.may(MANAGE_TOKENS, None),
    )


def tokens_page(visit: Visit) -> TokensContext:
    """Show the reader's tokens, or everybody's to an admin."""
    caller, now = visit.context.principal, visit.context.clock.now()
    before = visit.parameters.get("before")
    page = visit.context.service(Tokens).list(limit=TOKENS_PER_PAGE, before=before)
    projects = visit.context.service(Projects).list(limit=_PROJECTS).items
    roles = [role for role in (caller.role, *caller.project_roles.values()) if role]
    strongest = max(roles, key=lambda role: role.rank, default=None)
    return TokensContext(
        trail=(Crumb(text=mark("Account"), url=visit.urls.account(), is_ours=True), TOKENS),
        tokens=tuple(_token_row(token, now) for token in page.items),
        next_token=page.next,
        is_first=before is None,
        roles=tuple(
            (role.value, words)
            for role, words in ROLE_WORDS.items()
            if strongest and strongest.contains(role)
        ),
        choices=tuple((project.name, project.name) for project in projects),
        shows_users=caller.role is Role.ADMIN,
        now=now,
    )


TOKENS = Crumb(text=mark("Tokens"), is_ours=True)


def _session_rows(visit: Visit) -> tuple[SessionRow, ...]:
    secret = visit.browser.session
    this = find_session_id(visit.context, secret) if secret else None
    return tuple(
        SessionRow(
            id=session.id,
            browser=_first_in(session.browser, _BROWSERS) or clipped(session.browser, 60),
            system=_first_in(session.browser, _SYSTEMS),
            name=session.browser,
            began_at=session.created_at,
            seen_at=session.seen_at,
            expires_at=session.expires_at,
            is_this=session.id == this,
        )
        for session in list_sessions(visit.context)
    )


def _first_in(name: str, known: Sequence[tuple[str, str]]) -> str:
    return next((words for sign, words in known if sign in name), "")


def _token_row(token: Token, now: datetime) -> TokenRow:
    return TokenRow(
        id=token.id,
        name=token.name,
        prefix=token.prefix,
        user=token.user or "",
        project=token.project or "",
        role=ROLE_WORDS[token.role],
        permissions=None if token.permissions is None else tuple(token.permissions),
        created_at=token.created_at,
        expires_at=token.expires_at,
        is_expired=token.expires_at <= now,
    )


def _is_user(caller: Principal) -> bool:
    """Tell users from the owner, visitors, and what acts under a name of its own, such as `token:nightly`."""
    return caller.holds_key and caller.name not in RESERVED_NAMES and ":" not in caller.name


PAGES = (
    Page(
        path=SIGN_IN_PATH,
        needs=OPEN_SIGN_IN,
        template="noria.access/sign_in.html",
        build=sign_in_page,
        query=("to",),
    ),
    Page(path=ACCOUNT_PATH, needs=SEE_ACCOUNT, template="noria.access/account.html", build=account_page),
    Page(
        path=TOKENS_PATH,
        needs=MANAGE_TOKENS,
        template="noria.access/tokens.html",
        build=tokens_page,
        query=("before",),
    ),
)
