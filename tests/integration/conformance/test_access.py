"""What users, tokens and sessions promise, over each transport and on each database."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from noria.access.audit import Audit
from noria.access.authentication import authenticate, drop_narrow_tokens, issue_narrow_token
from noria.access.entities import NewToken, NewUser, PasswordChange, RoleChange, SignIn, TokenKind
from noria.access.passwords import FAILURES_OF_A_NAME, WINDOW
from noria.access.projects import NewProject, Projects
from noria.access.tokens import Sessions, Tokens
from noria.access.users import Users
from noria.core.clock import ManualClock
from noria.core.context import Context
from noria.core.database.sqlite import around
from noria.core.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated
from noria.core.http_errors import TooManyRequests
from noria.core.permissions import Principal, Role
from support.conformance import Services

PASSWORD = "correct horse battery"
DAY_S = 86_400.0


@pytest.fixture
def clock() -> ManualClock:
    """Give a clock that the tests move."""
    return ManualClock(datetime(2030, 1, 1, tzinfo=UTC))


def whoever_has(context: Context, secret: str) -> Principal | None:
    """Give the caller that the gate would see."""
    with context.database.read() as connection:
        return authenticate(connection, context.clock, secret)


def test_a_made_user_is_listed(services: Services) -> None:
    """Users are listed in the order of their names, without their passwords."""
    users = services(Users)
    bea = users.create(NewUser(name="bea", password=PASSWORD, role=Role.ADMIN))
    ali = users.create(NewUser(name="ali", password=PASSWORD))
    first = users.list(limit=1)

    assert (bea.role, ali.role) == (Role.ADMIN, None)
    assert users.list().items == [ali, bea]
    assert (first.items, first.next) == ([ali], "ali")
    assert users.list(after="ali").items == [bea]


@pytest.mark.parametrize(
    ("name", "password"), [("x/y", PASSWORD), ("", PASSWORD), ("local", PASSWORD), ("ali", "short")]
)
def test_an_unusable_name_or_password_is_refused(services: Services, name: str, password: str) -> None:
    """A user has a name that stands in addresses and is not Noria's own, and a password of some length."""
    users = services(Users)
    with pytest.raises(Invalid):
        users.create(NewUser(name=name, password=password))

    assert users.list().items == []


def test_two_users_of_one_name_are_refused(services: Services) -> None:
    """Making a user twice is a conflict."""
    users = services(Users)
    users.create(NewUser(name="ali", password=PASSWORD))

    with pytest.raises(Conflict, match="`ali`"):
        users.create(NewUser(name="ali", password=PASSWORD))


def test_roles_are_given_and_taken(services: Services) -> None:
    """A role holds in all projects or in one, and can be changed and taken away."""
    users = services(Users)
    services(Projects).create(NewProject(name="energy"))
    users.create(NewUser(name="ali", password=PASSWORD))
    users.set_role("ali", RoleChange(role=Role.VIEWER))
    users.set_role("ali", RoleChange(role=Role.SCIENTIST, project="energy"))
    given = users.set_role("ali", RoleChange(role=Role.ENGINEER, project="energy"))
    taken = users.set_role("ali", RoleChange(role=None, project="energy"))
    bare = users.set_role("ali", RoleChange(role=None))

    assert (given.role, given.project_roles) == (Role.VIEWER, {"energy": Role.ENGINEER})
    assert (taken.role, taken.project_roles) == (Role.VIEWER, {})
    assert bare.role is None


def test_a_role_needs_a_user_and_a_project(services: Services) -> None:
    """What is not there is named, with what is close to it."""
    users = services(Users)
    users.create(NewUser(name="alice", password=PASSWORD))

    with pytest.raises(NotFound, match="user `alise`") as no_user:
        users.set_role("alise", RoleChange(role=Role.VIEWER))
    with pytest.raises(NotFound, match="project `defalt`"):
        users.set_role("alice", RoleChange(role=Role.VIEWER, project="defalt"))
    assert "`alice`" in (no_user.value.hint or "")


def test_a_sign_in_gives_a_token_for_half_a_day(
    services: Services, context: Context, clock: ManualClock
) -> None:
    """Name and password are exchanged for a token that acts as the user, and that ends by itself."""
    services(Users).create(NewUser(name="ali", password=PASSWORD, role=Role.SCIENTIST))
    issued = services(Sessions).create(SignIn(name="ali", password=PASSWORD))
    caller = whoever_has(context, issued.secret)
    clock.advance(DAY_S)

    assert caller == Principal(name="ali", role=Role.SCIENTIST, holds_key=True)
    assert issued.token.kind is TokenKind.SESSION
    assert issued.secret.startswith(issued.token.prefix)
    assert whoever_has(context, issued.secret) is None


@pytest.mark.parametrize(
    ("name", "password"), [("ali", "wrong horse battery"), ("bea", PASSWORD), ("ali", "")]
)
def test_a_wrong_password_and_an_unknown_name_look_the_same(
    services: Services, name: str, password: str
) -> None:
    """A refused sign-in does not tell which of the two was wrong."""
    services(Users).create(NewUser(name="ali", password=PASSWORD))

    with pytest.raises(Unauthenticated, match=r"^The name or the password is wrong$"):
        services(Sessions).create(SignIn(name=name, password=password))


def test_guessing_passwords_is_slowed_down(services: Services, clock: ManualClock) -> None:
    """After a few wrong guesses even the right password has to wait; other names do not."""
    services(Users).create(NewUser(name="ali", password=PASSWORD))
    services(Users).create(NewUser(name="bea", password=PASSWORD))
    sessions = services(Sessions)
    for _ in range(FAILURES_OF_A_NAME):
        with pytest.raises(Unauthenticated):
            sessions.create(SignIn(name="ali", password="a wrong password"))
    with pytest.raises(TooManyRequests) as refused:
        sessions.create(SignIn(name="ali", password=PASSWORD))
    other = sessions.create(SignIn(name="bea", password=PASSWORD))
    clock.advance(WINDOW.total_seconds())
    again = sessions.create(SignIn(name="ali", password=PASSWORD))
    log = services(Audit).events(type="session.blocked").items

    assert refused.value.details["retry_after_s"] == WINDOW.total_seconds()
    assert (other.token.user, again.token.user) == ("bea", "ali")
    assert [event.subject for event in log] == ["user:ali"]


def test_a_new_password_ends_the_old_sessions(services: Services, context: Context) -> None:
    """After a change only the new password signs in, and tokens of earlier sign-ins are dead."""
    services(Users).create(NewUser(name="ali", password=PASSWORD, role=Role.VIEWER))
    sessions = services(Sessions)
    before = sessions.create(SignIn(name="ali", password=PASSWORD))
    services(Users).set_password("ali", PasswordChange(password="another long password"))
    with pytest.raises(Unauthenticated):
        sessions.create(SignIn(name="ali", password=PASSWORD))
    after = sessions.create(SignIn(name="ali", password="another long password"))

    assert whoever_has(context, before.secret) is None
    assert whoever_has(context, after.secret) is not None


def test_a_token_does_no_more_than_it_was_made_for(services: Services, context: Context) -> None:
    """A token carries its project, role and permissions, and not the rest of its maker's."""
    issued = services(Tokens).create(
        NewToken(name="ci", project="default", role=Role.SCIENTIST, permissions=["runs.write"], ttl_s=DAY_S)
    )
    caller = whoever_has(context, issued.secret)

    assert caller == Principal(
        name="token:ci",
        role=None,
        project_roles={"default": Role.SCIENTIST},
        holds_key=True,
        only=frozenset({"runs.write"}),
    )
    assert services(Tokens).list().items == [issued.token]


def test_the_secret_of_a_token_is_kept_nowhere(services: Services, context: Context) -> None:
    """Neither the list of tokens nor the event log nor the database holds the secret."""
    issued = services(Tokens).create(NewToken(name="ci"))
    services(Users).create(NewUser(name="ali", password=PASSWORD))
    with context.database.read() as connection:
        from sqlalchemy import inspect, text

        everything = "".join(
            str(connection.execute(text(f"select * from {table}")).all())  # noqa: S608 - names from the schema
            for table in inspect(around(connection)).get_table_names()
        )

    assert issued.secret not in everything
    assert PASSWORD not in everything
    assert issued.token.prefix in everything


def test_tokens_are_listed_in_pages_newest_first(services: Services) -> None:
    """Pages of tokens follow one another."""
    tokens = services(Tokens)
    made = [tokens.create(NewToken(name=name)).token for name in ("a", "b", "c")]
    first = tokens.list(limit=2)
    second = tokens.list(limit=2, before=first.next)

    assert [*first.items, *second.items] == made[::-1]
    assert second.next is None
    assert tokens.list(kind=TokenKind.SESSION).items == []


def test_a_revoked_token_is_dead(services: Services, context: Context) -> None:
    """A token can be ended before its time, once."""
    tokens = services(Tokens)
    issued = tokens.create(NewToken(name="ci"))
    tokens.revoke(issued.token.id)

    assert whoever_has(context, issued.secret) is None
    with pytest.raises(NotFound):
        tokens.revoke(issued.token.id)


@pytest.mark.parametrize("ttl_s", [0.0, -1.0, 59.0, 400 * DAY_S])
def test_a_token_lives_from_a_minute_to_a_year(services: Services, ttl_s: float) -> None:
    """A life outside these bounds is refused, and no token is made."""
    tokens = services(Tokens)
    with pytest.raises(Invalid):
        tokens.create(NewToken(name="ci", ttl_s=ttl_s))

    assert tokens.list().items == []


def test_a_token_shrinks_with_the_roles_of_its_user(services: Services, context: Context) -> None:
    """Taking a role from a user takes it from the user's tokens; deleting the user ends them."""
    users = services(Users)
    users.create(NewUser(name="ali", password=PASSWORD, role=Role.ENGINEER))
    issued = services(Sessions).create(SignIn(name="ali", password=PASSWORD))
    users.set_role("ali", RoleChange(role=Role.VIEWER))
    demoted = whoever_has(context, issued.secret)
    users.delete("ali")

    assert demoted is not None
    assert demoted.role is Role.VIEWER
    assert whoever_has(context, issued.secret) is None


def test_a_narrow_token_holds_its_permissions_until_it_is_dropped(
    context: Context, clock: ManualClock
) -> None:
    """Noria's own tokens for a job act under the job's name, in one project, and end with it or by themselves."""

    def issue(name: str) -> str:
        with context.database.write(durable=True) as connection:
            return issue_narrow_token(
                connection,
                clock,
                name=name,
                project="default",
                permissions={"jobs.report"},
                role=Role.SCIENTIST,
                ttl_s=60.0,
            )

    dropped, expired = issue("worker:1"), issue("worker:2")
    caller = whoever_has(context, dropped)
    with context.database.write(durable=True) as connection:
        drop_narrow_tokens(connection, "worker:1")
    after_drop = (whoever_has(context, dropped), whoever_has(context, expired))
    clock.advance(60.0)

    assert caller == Principal(
        name="worker:1",
        project_roles={"default": Role.SCIENTIST},
        holds_key=True,
        only=frozenset({"jobs.report"}),
    )
    assert after_drop[0] is None
    assert after_drop[1] is not None
    assert whoever_has(context, expired) is None


@pytest.mark.parametrize("secret", ["", "noria_", "noria_wrong", "x" * 5000, "noria_' or 1=1 --"])
def test_an_unknown_secret_is_nobody(context: Context, secret: str) -> None:
    """Only the secret of a token stands for somebody."""
    assert whoever_has(context, secret) is None


def test_every_change_of_access_is_an_event(services: Services) -> None:
    """The log tells who may do what since when, in order, and never a secret."""
    users, tokens = services(Users), services(Tokens)
    users.create(NewUser(name="ali", password=PASSWORD, role=Role.ADMIN))
    users.set_role("ali", RoleChange(role=Role.VIEWER, project="default"))
    users.set_password("ali", PasswordChange(password="another long password"))
    issued = tokens.create(NewToken(name="ci"))
    tokens.revoke(issued.token.id)
    services(Sessions).create(SignIn(name="ali", password="another long password"))
    users.delete("ali")
    page = services(Audit).events()
    told = [(event.type, event.subject, event.actor) for event in page.items]

    assert told == [
        ("user.created", "user:ali", "local"),
        ("user.role-set", "user:ali", "local"),
        ("user.password-set", "user:ali", "local"),
        ("token.created", f"token:{issued.token.id}", "local"),
        ("token.revoked", f"token:{issued.token.id}", "local"),
        ("session.created", "user:ali", "ali"),
        ("user.deleted", "user:ali", "local"),
    ]
    assert page.next is None
    assert [event.position for event in page.items] == list(range(1, 8))


def test_the_audit_is_read_in_pages_and_by_type(services: Services) -> None:
    """Events follow one another from page to page, and can be asked for by type and subject."""
    users = services(Users)
    for name in ("ali", "bea"):
        users.create(NewUser(name=name, password=PASSWORD))
    users.delete("ali")
    audit = services(Audit)
    first = audit.events(limit=2)
    second = audit.events(after=first.next or 0, limit=2)

    assert [event.position for event in (*first.items, *second.items)] == [1, 2, 3]
    assert second.next is None
    assert [event.subject for event in audit.events(type="user.created").items] == ["user:ali", "user:bea"]
    assert [event.type for event in audit.events(subject="user:ali").items] == [
        "user.created",
        "user.deleted",
    ]


def test_an_unsealed_log_verifies_and_says_so(services: Services) -> None:
    """The report counts the events and how many the chain covers."""
    services(Users).create(NewUser(name="ali", password=PASSWORD))
    audit = services(Audit)
    audit.events()
    report = audit.verify()

    assert (report.ok, report.n_events, report.n_sealed, report.n_checkpoints) == (True, 1, 0, 0)


def test_a_person_changes_their_own_password_with_the_present_one(context: Context) -> None:
    """Without the admin's role one's own password can be changed, by who knows it, and nobody else's."""
    context.service(Users).create(NewUser(name="ali", password=PASSWORD))
    context.service(Users).create(NewUser(name="bea", password=PASSWORD))
    own = context.acting_as(Principal(name="ali", holds_key=True)).service(Users)
    with pytest.raises(Unauthenticated):
        own.set_password("ali", PasswordChange(password="another long password", current="a wrong one"))
    with pytest.raises(Forbidden):
        own.set_password("bea", PasswordChange(password="another long password", current=PASSWORD))
    own.set_password("ali", PasswordChange(password="another long password", current=PASSWORD))

    assert (
        context.service(Sessions).create(SignIn(name="ali", password="another long password")).token.user
        == "ali"
    )


def test_nobody_makes_a_token_stronger_than_themselves(context: Context) -> None:
    """Role, project and permissions of a token are bounded by those of its maker."""
    context.service(Users).create(NewUser(name="ali", password=PASSWORD, role=Role.VIEWER))
    viewer = Principal(name="ali", role=Role.VIEWER, holds_key=True)
    nobody = Principal(name="ali", holds_key=True)
    narrow = Principal(name="ali", role=Role.VIEWER, holds_key=True, only=frozenset({"tokens.manage"}))

    def make(principal: Principal, new: NewToken) -> object:
        return context.acting_as(principal).service(Tokens).create(new).token.permissions

    with pytest.raises(Forbidden):
        make(viewer, NewToken(name="t", role=Role.ADMIN))
    with pytest.raises(Forbidden):
        make(nobody, NewToken(name="t"))
    with pytest.raises(Forbidden):
        make(narrow, NewToken(name="t", permissions=["runs.write"]))
    assert make(narrow, NewToken(name="t")) == ["tokens.manage"]
    assert make(viewer, NewToken(name="t", role=Role.VIEWER)) is None


def test_the_last_user_is_removed_by_the_owner_only(context: Context) -> None:
    """A server must not become open because somebody deleted the last user over the network."""
    context.service(Users).create(NewUser(name="ali", password=PASSWORD, role=Role.ADMIN))
    admin = context.acting_as(Principal(name="ali", role=Role.ADMIN, holds_key=True)).service(Users)
    with pytest.raises(Conflict, match="last user"):
        admin.delete("ali")
    context.service(Users).delete("ali")

    assert context.service(Users).list().items == []
