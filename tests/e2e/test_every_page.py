"""Every page that there is, in a real browser: nobody is kept out, it fits a phone, and what users write stays text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, TypeAlias

import pytest
from playwright.sync_api import Dialog, Page

from noria.core.clock import SystemClock
from noria.core.context import Context
from noria.server.assembly import load_actions, load_pages
from support.axe import RULES_OF_LOOKS, barriers
from support.browser import Browser
from support.conformance import open_test_context, workspace_settings
from support.examples import address, fill, paths
from support.hostile import HOSTILE
from support.live_server import LiveServer
from support.wheel import PROJECT, Words

PHONE, DESK = 390, 1280


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    """Give a workspace in which every kind of thing exists."""
    settings = workspace_settings(tmp_path_factory.mktemp("every"))
    with open_test_context(settings, SystemClock()) as opened:
        yield opened


@pytest.fixture(scope="module")
def example(context: Context) -> dict[str, str]:
    """Give a value for each parameter of a path."""
    return fill(context)


@pytest.mark.timeout(400)
@pytest.mark.parametrize(("language", "width", "other_width"), [("en", DESK, PHONE), ("es", PHONE, DESK)])
def test_every_page_keeps_nobody_out(
    browser: Browser,
    context: Context,
    example: dict[str, str],
    language: str,
    width: int,
    other_width: int,
) -> None:
    """Axe finds nothing on any page in any look, none is wider than the screen, and no browser complains.

    Each page is seen with each two of language, theme and width together, and in one of the looks of much contrast,
    another one in each language.
    """
    server = LiveServer()
    server.show(load_pages(), load_actions())
    found: dict[str, object] = {}
    page = browser.page
    with server.serving(context):
        for place, path in enumerate(paths(), start=0 if language == "en" else 1):
            look(page, "light", width)
            answer = page.goto(server.url + in_language(address(path, example), language))
            assert answer is not None
            if answer.status == 404 and path.endswith("/view"):
                browser.complaints.clear()  # this run has no such file
                continue
            wrong = [*barriers(page), *too_wide(page, width)]
            look(page, "dark", other_width)
            wrong += [*barriers(page, RULES_OF_LOOKS), *too_wide(page, other_width)]
            look(page, *STARK_LOOKS[place % len(STARK_LOOKS)])
            wrong += [*barriers(page, ["color-contrast"]), *browser.complaints]
            if wrong or answer.status != 200:
                found[path] = (answer.status, wrong)
            browser.complaints.clear()
    server.close()

    assert found == {}


Scheme: TypeAlias = Literal["light", "dark"]
Contrast: TypeAlias = Literal["no-preference", "more"]
Forced: TypeAlias = Literal["none", "active"]

STARK_LOOKS: tuple[tuple[Scheme, int, Contrast, Forced], ...] = (
    ("light", DESK, "more", "none"),
    ("dark", PHONE, "more", "none"),
    ("light", PHONE, "no-preference", "active"),
    ("dark", DESK, "no-preference", "active"),
)
"""Much contrast, asked of the page; and colours of the system's own."""


def look(
    page: Page, scheme: Scheme, width: int, contrast: Contrast = "no-preference", forced: Forced = "none"
) -> None:
    """Have a page look as on such a screen."""
    page.emulate_media(color_scheme=scheme, contrast=contrast, forced_colors=forced)
    page.set_viewport_size({"width": width, "height": 844 if width == PHONE else 800})


def too_wide(page: Page, width: int) -> list[str]:
    """Tell whether a page has to be scrolled sideways."""
    found = page.evaluate("document.documentElement.scrollWidth")
    return [f"{found} pixels wide on {width}"] if found > width else []


def in_language(at: str, language: str) -> str:
    """Give the address of a page in a language."""
    return f"{at}{'&' if '?' in at else '?'}lang={language}"


def test_every_parameter_has_an_example(example: dict[str, str]) -> None:
    """A page with a new parameter is looked at as well."""
    named = {name for path in paths() for name in re.findall(r"\{(\w+)\}", path)}

    assert named <= set(example)


HOSTILE_WORDS = Words(
    message=HOSTILE,
    run=HOSTILE,
    metric="holdout_accuracy",
    sentence=HOSTILE,
    problem=HOSTILE,
    stage=HOSTILE,
    verdict=HOSTILE,
    finding=HOSTILE,
    cause=HOSTILE,
    remedy=HOSTILE,
    note=HOSTILE,
    reason=HOSTILE,
    fact=HOSTILE,
    value=HOSTILE,
)
LONG = "a-name-without-an-end" * 24
LONG_WORDS = Words(
    message=LONG, run=LONG[:500], sentence=LONG, problem=LONG, note=LONG, reason=LONG, value=LONG
)


@pytest.mark.parametrize(
    ("words", "said"), [(HOSTILE_WORDS, HOSTILE), (LONG_WORDS, LONG[:400])], ids=["html", "long"]
)
def test_what_users_write_breaks_no_page(browser: Browser, tmp_path: Path, words: Words, said: str) -> None:
    """Markup in every field runs nothing and loads nothing; a name of 500 letters is no reason to scroll sideways."""
    server = LiveServer()
    server.show(load_pages(), load_actions())
    page = browser.page
    asked: list[str] = []

    def dismiss(dialog: Dialog) -> None:
        asked.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", dismiss)
    page.set_viewport_size({"width": PHONE, "height": 844})
    found: dict[str, object] = {}
    with open_test_context(workspace_settings(tmp_path), SystemClock()) as context, server.serving(context):
        filled = fill(context, words, said=said)
        for path in paths():
            answer = page.goto(server.url + address(path, filled))
            assert answer is not None
            if answer.status == 404 and path.endswith("/view"):
                browser.complaints.clear()  # this run has no such file
                continue
            width = page.evaluate("document.documentElement.scrollWidth")
            planted = page.locator("img[src='x'], main b, main script").count()
            if width > PHONE or planted or asked or browser.complaints or answer.status != 200:
                found[path] = (answer.status, width, planted, [*asked], [*browser.complaints])
            asked.clear()
            browser.complaints.clear()
    server.close()

    assert found == {}


@pytest.mark.parametrize("language", ["en", "es"])
def test_pages_of_an_empty_store_say_what_to_do(browser: Browser, tmp_path: Path, language: str) -> None:
    """Before anything was made each list is a page that fits a phone, has no barrier, and tells the first step."""
    server = LiveServer()
    server.show(load_pages(), load_actions())
    page = browser.page
    page.set_viewport_size({"width": PHONE, "height": 844})
    found: dict[str, object] = {}
    with open_test_context(workspace_settings(tmp_path), SystemClock()) as context, server.serving(context):
        for path in paths():
            if set(re.findall(r"\{(\w+)\}", path)) - {"project"} or path.endswith("/compare"):
                continue
            answer = page.goto(f"{server.url}{path.format(project=PROJECT)}?lang={language}")
            assert answer is not None
            wrong = barriers(page)
            width = page.evaluate("document.documentElement.scrollWidth")
            is_told = path in NEVER_EMPTY or page.locator(".empty").count() > 0
            if wrong or width > PHONE or browser.complaints or answer.status != 200 or not is_told:
                found[path] = (answer.status, width, wrong, is_told, [*browser.complaints])
            browser.complaints.clear()
    server.close()

    assert found == {}


NEVER_EMPTY = (
    "/sign-in",
    "/account",
    "/search",
    "/projects/{project}/experiments",
    "/projects/{project}/audit",
)
"""Pages that have something to show or to fill in from the beginning."""
