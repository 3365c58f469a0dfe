"""What the projects service promises, over each transport and on each database."""

from __future__ import annotations

import pytest

from noria.access.projects import NewProject, Projects
from noria.core.errors import Conflict, Invalid, NotFound
from support.conformance import Services


def test_the_default_project_exists_from_the_start(services: Services) -> None:
    """A new workspace has the project `default`, and no other."""
    projects = services(Projects)
    listed = projects.list()

    assert [project.name for project in listed.items] == ["default"]
    assert listed.next is None
    assert projects.get("default") == listed.items[0]


def test_a_made_project_is_found(services: Services) -> None:
    """A project that was made is got by its name and listed in the order of names."""
    projects = services(Projects)
    made = projects.create(NewProject(name="energy"))
    projects.create(NewProject(name="another"))

    assert projects.get("energy") == made
    assert [project.name for project in projects.list().items] == ["another", "default", "energy"]


def test_projects_are_listed_in_pages(services: Services) -> None:
    """Pages follow one another without gap or repetition, and the last one says so."""
    projects = services(Projects)
    for name in ("a", "b", "c"):
        projects.create(NewProject(name=name))
    first = projects.list(limit=2)
    second = projects.list(limit=2, after=first.next or "")

    assert [project.name for project in first.items] == ["a", "b"]
    assert [project.name for project in second.items] == ["c", "default"]
    assert second.next is None


def test_a_second_project_of_one_name_is_refused(services: Services) -> None:
    """Making a project twice is a conflict that names it."""
    projects = services(Projects)
    projects.create(NewProject(name="energy"))

    with pytest.raises(Conflict, match="`energy`"):
        projects.create(NewProject(name="energy"))


@pytest.mark.parametrize("name", ["a/b", "", "..", "über uns", "x" * 200, "a\nb"])
@pytest.mark.alike
def test_a_name_that_cannot_stand_in_an_address_is_refused(services: Services, name: str) -> None:
    """A project's name is letters, digits, dots, dashes and underscores."""
    with pytest.raises(Invalid):
        services(Projects).create(NewProject(name=name))


@pytest.mark.parametrize("name", ["defalt", "a/b", "..", "%2E", "über uns", "a?b#c", "a%2Fb"])
@pytest.mark.alike
def test_an_unknown_project_is_not_found_under_the_name_that_was_asked(services: Services, name: str) -> None:
    """Whatever the name holds, it reaches the service unchanged, and the error names it."""
    with pytest.raises(NotFound) as caught:
        services(Projects).get(name)

    assert caught.value.details == {"kind": "project", "name": name}
