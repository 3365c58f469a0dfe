"""What signing in by name and password with each request promises, on each database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from noria.access.audit import Audit
from noria.access.entities import NewToken, NewUser, PasswordChange, RoleChange
from noria.access.passwords import FAILURES_OF_A_NAME, WINDOW
from noria.access.signing_in import PasswordDoor
from noria.access.tokens import Tokens
from noria.access.users import Users
from noria.core.clock import ManualClock
from noria.core.context import Context
from noria.core.errors import Unauthenticated
from noria.core.http_errors import TooManyRequests
from noria.core.permissions import Principal, Role

PASSWORD = "correct horse battery"


@pytest.fixture
def clock() -> ManualClock:
    """Give a clock that the tests move."""
    return ManualClock(datetime(2030, 1, 1, tzinfo=UTC))


@pytest.fixture
def ali(context: Context) -> str:
    context.service(Users).create(NewUser(name="ali", password=PASSWORD, role=Role.SCIENTIST))
    return "ali"


@pytest.fixture
def door() -> PasswordDoor:
    return PasswordDoor()


def guess_wrong(door: PasswordDoor, context: Context, name: str, times: int = FAILURES_OF_A_NAME) -> None:
    for n in range(times):
        with pytest.raises(Unauthenticated):
            door.sign_in(context, name, f"wrong {n}")


def test_a_name_with_its_password_is_its_user(door: PasswordDoor, context: Context, ali: str) -> None:
    """The caller has the roles of the user as they are now, each time."""
    first = door.sign_in(context, ali, PASSWORD)
    context.service(Users).set_role(ali, RoleChange(role=None))
    context.service(Users).set_role(ali, RoleChange(role=Role.VIEWER, project="default"))
    second = door.sign_in(context, ali, PASSWORD)

    assert first == Principal(name="ali", role=Role.SCIENTIST, holds_key=True)
    assert second == Principal(name="ali", project_roles={"default": Role.VIEWER}, holds_key=True)


@pytest.mark.parametrize("name", ["", "token", "ali"])
def test_a_token_is_a_password_for_any_name(
    door: PasswordDoor, context: Context, ali: str, name: str
) -> None:
    """Clients that know only names and passwords send a token as the password."""
    issued = context.service(Tokens).create(NewToken(name="ci", role=Role.VIEWER, project="default"))

    caller = door.sign_in(context, name, issued.secret)

    assert caller.name == "token:ci"
    context.service(Tokens).revoke(issued.token.id)
    with pytest.raises(Unauthenticated):
        door.sign_in(context, name, issued.secret)


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("ali", "wrong horse battery"),
        ("bea", PASSWORD),
        ("ali", ""),
        ("", ""),
        ("ALI", PASSWORD),
        ("ali", PASSWORD + "x" * 2000),
        ("x" * 2000, PASSWORD),
    ],
)
def test_a_wrong_password_and_an_unknown_name_look_the_same(
    door: PasswordDoor, context: Context, ali: str, name: str, password: str
) -> None:
    """A refusal does not tell which of the two was wrong, also right after the right password."""
    door.sign_in(context, ali, PASSWORD)

    with pytest.raises(Unauthenticated, match=r"^The name or the password is wrong$"):
        door.sign_in(context, name, password)


def test_guessing_is_slowed_down_and_locks_nobody_out_who_is_in(
    door: PasswordDoor, context: Context, ali: str, clock: ManualClock
) -> None:
    """Wrong guesses are counted as at any sign-in; programs that signed in shortly before go on working."""
    door.sign_in(context, ali, PASSWORD)
    guess_wrong(door, context, ali)

    with pytest.raises(TooManyRequests):
        door.sign_in(context, ali, "wrong once more")
    with pytest.raises(TooManyRequests):
        PasswordDoor().sign_in(context, ali, PASSWORD)
    assert door.sign_in(context, ali, PASSWORD).name == ali
    clock.advance(WINDOW.total_seconds())
    assert PasswordDoor().sign_in(context, ali, PASSWORD).name == ali
    events = context.service(Audit).events(type="session.blocked").items
    assert [event.subject for event in events] == ["user:ali"]


def test_a_right_password_forgets_the_wrong_ones(door: PasswordDoor, context: Context, ali: str) -> None:
    """Somebody who mistypes now and then never has to wait."""
    for _ in range(3):
        guess_wrong(PasswordDoor(), context, ali, FAILURES_OF_A_NAME - 1)
        PasswordDoor().sign_in(context, ali, PASSWORD)

    assert door.sign_in(context, ali, PASSWORD).name == ali


def test_what_is_remembered_ends_by_itself(context: Context, ali: str, clock: ManualClock) -> None:
    """After a while the password is checked anew."""
    door = PasswordDoor(remembered_s=10)
    door.sign_in(context, ali, PASSWORD)
    guess_wrong(door, context, ali)
    clock.advance(9.9)
    assert door.sign_in(context, ali, PASSWORD).name == ali
    clock.advance(0.1)

    with pytest.raises(TooManyRequests):
        door.sign_in(context, ali, PASSWORD)


def test_a_new_password_counts_at_once(door: PasswordDoor, context: Context, ali: str) -> None:
    """What is remembered of the old password lets nobody in, nor does it after the user is gone."""
    door.sign_in(context, ali, PASSWORD)
    context.service(Users).set_password(ali, PasswordChange(password="another long password"))
    with pytest.raises(Unauthenticated):
        door.sign_in(context, ali, PASSWORD)
    door.sign_in(context, ali, "another long password")
    context.service(Users).delete(ali)

    with pytest.raises(Unauthenticated):
        door.sign_in(context, ali, "another long password")


def test_no_more_is_remembered_than_was_said(context: Context, ali: str) -> None:
    """The pair that was used longest ago is forgotten first."""
    context.service(Users).create(NewUser(name="bea", password=PASSWORD))
    context.service(Users).create(NewUser(name="eve", password=PASSWORD))
    door = PasswordDoor(remembered_n=2)
    for name in (ali, "bea", ali, "eve"):
        door.sign_in(context, name, PASSWORD)
    for name in (ali, "bea", "eve"):
        guess_wrong(door, context, name)

    assert {door.sign_in(context, name, PASSWORD).name for name in (ali, "eve")} == {ali, "eve"}
    with pytest.raises(TooManyRequests):
        door.sign_in(context, "bea", PASSWORD)


def test_pairs_are_told_apart_wherever_the_name_ends(context: Context, door: PasswordDoor) -> None:
    """A letter that moves from the name to the password makes another pair."""
    context.service(Users).create(NewUser(name="ab", password="c" + PASSWORD))
    context.service(Users).create(NewUser(name="abc", password="another long password"))
    door.sign_in(context, "ab", "c" + PASSWORD)

    with pytest.raises(Unauthenticated):
        door.sign_in(context, "abc", PASSWORD)


def test_many_threads_sign_in_at_once(door: PasswordDoor, context: Context, ali: str) -> None:
    """The first requests of a program with many threads are all let in."""
    with ThreadPoolExecutor(8) as pool:
        callers = list(pool.map(lambda _: door.sign_in(context, ali, PASSWORD).name, range(24)))

    assert callers == [ali] * 24
