"""The pure rules on roles and tokens."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from noria.access.entities import (
    MIN_PASSWORD_LENGTH,
    Token,
    TokenKind,
    check_password,
    check_ttl,
    limited,
    weaker,
)
from noria.core.errors import Invalid
from noria.core.permissions import Permission, Principal, Role

AT = datetime(2030, 1, 1, tzinfo=UTC)
ROLES = [None, *Role]


def token(role: Role, *, project: str | None = None, permissions: list[str] | None = None) -> Token:
    """Make a token."""
    return Token(
        id="0" * 32,
        kind=TokenKind.API,
        name="t",
        prefix="noria_x",
        user="ali",
        project=project,
        role=role,
        permissions=permissions,
        created_at=AT,
        expires_at=AT,
    )


@pytest.mark.parametrize("one", ROLES)
@pytest.mark.parametrize("other", ROLES)
def test_the_weaker_of_two_roles_is_contained_in_both(one: Role | None, other: Role | None) -> None:
    """The order does not matter, and no role is weaker than none."""
    found = weaker(one, other)

    assert found == weaker(other, one)
    assert found in (one, other)
    assert (found is None) == (None in (one, other))
    if found is not None and one is not None and other is not None:
        assert one.contains(found)
        assert other.contains(found)


@pytest.mark.parametrize("own", ROLES)
@pytest.mark.parametrize("local", ROLES)
@pytest.mark.parametrize("cap", list(Role))
@pytest.mark.parametrize("project", [None, "energy", "default"])
def test_a_token_never_does_what_its_owner_could_not(
    own: Role | None, local: Role | None, cap: Role, project: str | None
) -> None:
    """For every mixture of roles and bounds, what a token may do is what the owner, the role and the project allow."""
    owner = Principal(
        name="ali", role=own, project_roles={} if local is None else {"energy": local}, holds_key=True
    )
    bounded = limited(owner, token(cap, project=project))
    for role in Role:
        permission = Permission(name="x.do", role=role)
        for where in ("energy", "default", None):
            inside = project is None or where == project
            expected = owner.may(permission, where) and cap.contains(role) and inside

            assert bounded.may(permission, where) == expected


def test_a_token_with_permissions_has_no_others() -> None:
    """The list of permissions bounds what the role would give, also what needs no role."""
    bounded = limited(Principal(name="ali", role=Role.ADMIN), token(Role.ADMIN, permissions=["a.do"]))

    assert bounded.may(Permission(name="a.do"), None)
    assert not bounded.may(Permission(name="b.do"), None)
    assert not bounded.may(Permission(name="c.do", roleless=True), None)


@pytest.mark.parametrize("ttl_s", [60.0, 3600.0, 366 * 86_400.0])
def test_a_life_within_the_bounds_is_taken(ttl_s: float) -> None:
    """From a minute to a year."""
    assert check_ttl(ttl_s) == timedelta(seconds=ttl_s)


@pytest.mark.parametrize("ttl_s", [59.9, 0.0, -5.0, 366 * 86_400.0 + 1, float("inf"), float("nan")])
def test_a_life_outside_the_bounds_is_refused(ttl_s: float) -> None:
    """Neither shorter, nor longer, nor a number that is none."""
    with pytest.raises(Invalid):
        check_ttl(ttl_s)


def test_a_password_has_a_least_length() -> None:
    """One character less than the least is refused."""
    check_password("x" * MIN_PASSWORD_LENGTH)
    with pytest.raises(Invalid, match=str(MIN_PASSWORD_LENGTH - 1)):
        check_password("x" * (MIN_PASSWORD_LENGTH - 1))
