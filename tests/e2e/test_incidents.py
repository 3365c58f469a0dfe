"""Tasks in a real browser: understand the demo's incident, roll back, answer a question; and no barrier on the way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from noria.core.clock import SystemClock
from noria.core.context import Context
from noria.monitoring.entities import CloseAlert
from noria.monitoring.service import Monitors
from noria.server.assembly import load_actions, load_pages
from noria.serving.entities import Reason
from noria.serving.service import Endpoints, Rollouts
from support.axe import barriers
from support.browser import Browser
from support.conformance import open_test_context, workspace_settings
from support.live_server import LiveServer
from support.wheel import PROJECT, turn_once

DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
WAYS = pytest.mark.parametrize(
    ("language", "scheme", "size"), [("en", "light", DESKTOP), ("es", "dark", PHONE)], ids=["en", "es"]
)

INCIDENT = {
    "en": ("Incidents", "Quality fell", "What was decided", "a new class appeared", "Score after"),
    "es": (
        "Incidentes",
        "La calidad bajó",
        "Qué se decidió",
        "apareció una clase nueva",
        "Puntuación después",
    ),
}
ROLL_BACK = {
    "en": ("Roll back to v1", "Go on", "version 2 → version 1", "Roll back", "went back", "Undo"),
    "es": ("Volver a v1", "Continuar", "versión 2 → versión 1", "Volver atrás", "volvió", "Deshacer"),
}


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    """Give the backends of a fresh workspace."""
    with open_test_context(workspace_settings(tmp_path), SystemClock()) as opened:
        yield opened


@pytest.fixture
def url(context: Context) -> Iterator[str]:
    """Serve the pages of the workspace."""
    server = LiveServer()
    server.show(load_pages(), load_actions())
    with server.serving(context):
        yield server.url
    server.close()


@WAYS
def test_the_demos_incident_is_understood(
    browser: Browser, context: Context, url: str, language: str, scheme: str, size: dict[str, int]
) -> None:
    """From the overview through the list to what happened, what was found, and how it ended."""
    turn_once(context)
    section, kind, decided, cause, after = INCIDENT[language]
    page = browser.page
    page.set_viewport_size(size)  # type: ignore[arg-type]
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(f"{url}/?lang={language}")
    page.get_by_role("link", name=section, exact=True).first.click()
    page.get_by_role("link", name=kind).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("digits")
    expect(page.get_by_role("heading", name=decided)).to_be_visible()
    expect(page.locator(".gist").nth(1)).to_contain_text(cause)
    expect(page.get_by_role("rowheader", name=after)).to_be_visible()

    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    assert browser.complaints == []


@WAYS
def test_an_endpoint_is_rolled_back_and_forth(
    browser: Browser, context: Context, url: str, language: str, scheme: str, size: dict[str, int]
) -> None:
    """The question shows from which version to which; the notice takes it back."""
    turn_once(context)
    button, go_on, shown, sure, told, undo = ROLL_BACK[language]
    page = browser.page
    page.set_viewport_size(size)  # type: ignore[arg-type]
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(f"{url}/projects/default/endpoints?lang={language}")
    page.locator("a.row-link").click()
    page.get_by_text(button).click()
    page.get_by_role("button", name=go_on).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(shown)
    page.get_by_role("button", name=sure).click()
    expect(page.get_by_role("status").filter(has_text=told)).to_be_visible()
    assert context.service(Endpoints).get(PROJECT, "digits").version == 1
    page.get_by_role("button", name=undo).click()
    expect(page.locator("#answers-now")).to_contain_text("v2")

    assert context.service(Endpoints).get(PROJECT, "digits").version == 2
    assert browser.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_a_phone_and_have_no_barrier(
    browser: Browser, context: Context, url: str, scheme: str
) -> None:
    """On a phone nothing is wider than the screen, and axe finds nothing on any of these pages."""
    turn_once(context, close=False)
    (alert,) = context.service(Monitors).alerts(PROJECT).items
    rollout = context.service(Rollouts).list(PROJECT).items[0]
    page = browser.page
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    found = {}
    for path in (
        "endpoints",
        "endpoints/digits",
        f"rollouts/{rollout.id}",
        "incidents",
        "incidents?view=decisions",
        f"incidents/{alert.id}",
    ):
        page.goto(f"{url}/projects/default/{path}")
        width = page.evaluate("document.documentElement.scrollWidth")
        found[path] = (width <= PHONE["width"], barriers(page))

    assert {path: each for path, each in found.items() if each != (True, [])} == {}
    assert browser.complaints == []


def test_a_rollout_keeps_up_to_date(browser: Browser, context: Context, url: str) -> None:
    """Who watches a canary sees without a reload that somebody paused it, and then that it was promoted."""
    turn_once(context, close=False)
    rollout = context.service(Rollouts).list(PROJECT).items[0]
    page = browser.page
    page.goto(f"{url}/projects/default/rollouts/{rollout.id}")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    context.service(Rollouts).pause(PROJECT, rollout.id, Reason(reason="lunch"))
    expect(page.get_by_role("button", name="Resume")).to_be_visible(timeout=20_000)
    expect(page.locator("#head").get_by_text("lunch")).to_be_visible()
    context.service(Rollouts).promote(PROJECT, rollout.id, Reason())

    expect(page.locator("#timeline-now")).to_contain_text("Promoted: version 2", timeout=20_000)


def test_an_alert_is_closed_and_the_other_reader_sees_it(
    browser: Browser, context: Context, url: str
) -> None:
    """The reason is asked for in the page; once somebody closed the alert, the button is gone without a reload."""
    turn_once(context, close=False)
    monitors = context.service(Monitors)
    (alert,) = monitors.alerts(PROJECT).items
    page = browser.page
    page.goto(f"{url}/projects/default/incidents/{alert.id}")
    page.locator("summary").filter(has_text="Close the alert").click()
    expect(page.get_by_label("Reason")).to_be_visible()
    monitors.close_alert(PROJECT, alert.id, CloseAlert(why="a broken lamp"))

    expect(page.locator("#head")).to_contain_text("a broken lamp", timeout=20_000)
    expect(page.get_by_text("Close the alert")).to_have_count(0)
