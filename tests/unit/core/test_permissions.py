"""Who may do what."""

from __future__ import annotations

import itertools

import pytest

from noria.core.permissions import LOCAL_OWNER, LOCAL_VISITOR, Permission, Principal, Role

READ = Permission(name="runs.read")
WRITE = Permission(name="runs.write", role=Role.SCIENTIST)
DEPLOY = Permission(name="endpoints.write", role=Role.ENGINEER)
RUN_CODE = Permission(name="jobs.submit", role=Role.ENGINEER, key=True)
HEALTH = Permission(name="health", public=True)
OWN_TOKENS = Permission(name="tokens.own", roleless=True)


def test_each_role_contains_those_before_it() -> None:
    """Viewer < scientist < engineer < admin."""
    order = [Role.VIEWER, Role.SCIENTIST, Role.ENGINEER, Role.ADMIN]

    for (i, greater), (j, lesser) in itertools.product(enumerate(order), repeat=2):
        assert greater.contains(lesser) == (i >= j)


@pytest.mark.parametrize("role", list(Role))
def test_a_role_holds_the_permissions_up_to_its_own(role: Role) -> None:
    """And none above."""
    principal = Principal(name="u", role=role)

    assert principal.may(READ, "p")
    assert principal.may(WRITE, "p") == (role is not Role.VIEWER)
    assert principal.may(DEPLOY, "p") == (role in (Role.ENGINEER, Role.ADMIN))


def test_a_role_in_a_project_holds_there_only() -> None:
    """Elsewhere, and in the workspace as a whole, it says nothing."""
    principal = Principal(name="u", project_roles={"a": Role.ENGINEER})

    assert principal.may(DEPLOY, "a")
    assert not principal.may(READ, "b")
    assert not principal.may(READ, None)


def test_the_stronger_role_counts() -> None:
    """A weak role in a project takes nothing away from a strong one everywhere, and the reverse."""
    assert Principal(name="u", role=Role.ADMIN, project_roles={"a": Role.VIEWER}).may(DEPLOY, "a")
    assert Principal(name="u", role=Role.VIEWER, project_roles={"a": Role.ADMIN}).may(DEPLOY, "a")


def test_what_needs_the_key_is_refused_without_it() -> None:
    """Reaching the server proves nothing, whatever the role."""
    assert not LOCAL_VISITOR.may(RUN_CODE, "p")
    assert LOCAL_VISITOR.may(DEPLOY, "p")
    assert LOCAL_OWNER.may(RUN_CODE, "p")
    assert not Principal(name="u", role=Role.VIEWER, holds_key=True).may(RUN_CODE, "p")


def test_a_narrow_credential_holds_what_it_names_and_no_more_than_its_role() -> None:
    """A list of permissions narrows a role; it never widens it."""
    narrow = Principal(
        name="job", role=Role.SCIENTIST, holds_key=True, only=frozenset({"runs.write", "jobs.submit"})
    )

    assert narrow.may(WRITE, "p")
    assert not narrow.may(READ, "p")
    assert not narrow.may(RUN_CODE, "p")
    assert not narrow.may(OWN_TOKENS, None)


def test_what_is_public_is_everyones() -> None:
    """Also a caller's without any role, and a narrow credential's."""
    assert Principal(name="nobody").may(HEALTH, None)
    assert Principal(name="job", only=frozenset()).may(HEALTH, None)


def test_what_is_roleless_is_every_known_callers() -> None:
    """Their own tokens, whatever their roles."""
    assert Principal(name="nobody").may(OWN_TOKENS, None)
    assert not Principal(name="nobody").may(READ, None)
