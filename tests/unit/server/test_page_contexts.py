"""What pages hand to their templates, and forms to their actions: each field is documented."""

from __future__ import annotations

import dataclasses
import re
import typing
from typing import Any

import pytest

from noria.core.web.actions import ConfirmContext, ResendContext
from noria.core.web.pages import Frame, PageContext
from noria.server.assembly import load_actions, load_pages
from noria.server.page_routes import ErrorContext

PAGES, ACTIONS = load_pages(), load_actions()
OURS = (Frame, PageContext, ErrorContext, ConfirmContext, ResendContext)


CONTEXTS: set[type] = {*OURS, *(typing.get_type_hints(page.build)["return"] for page in PAGES)}


def documented(cls: type) -> set[str]:
    """Give the names that the docstrings of a class and of those above it speak of."""
    lines = [line.strip() for each in cls.__mro__ for line in (each.__doc__ or "").splitlines()]
    return {name for line in lines if re.fullmatch(r"\w+(, \w+)*", line) for name in line.split(", ")}


@pytest.mark.parametrize("cls", sorted(CONTEXTS, key=str))
def test_each_field_is_documented(cls: type) -> None:
    """Who writes a template reads in the class what each field means."""
    fields = {each.name for each in dataclasses.fields(cls)}

    assert fields - documented(cls) == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path)
def test_a_page_gives_a_context_of_its_own(page: Any) -> None:
    """Every page says by type what its template sees."""
    context = typing.get_type_hints(page.build)["return"]

    assert issubclass(context, PageContext)
    assert context is not PageContext


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.path)
def test_an_action_says_what_its_form_brings(action: Any) -> None:
    """The handler takes the form that the action declares, and fields have documented meanings."""
    hints = typing.get_type_hints(action.handle)

    assert action.fields in hints.values()
    assert action.fields.__doc__
