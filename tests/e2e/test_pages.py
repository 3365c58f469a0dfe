"""The pages in a real browser: no complaint, every key reaches its place, both languages, and they stay up to date."""

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
from support.axe import barriers
from support.browser import Browser
from support.conformance import open_test_context, workspace_settings
from support.live_server import LiveServer
from support.wheel import PROJECT, turn_once

PHONE = {"width": 390, "height": 844}


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


@pytest.mark.smoke
def test_the_wheel_leads_to_the_story_in_both_languages(browser: Browser, context: Context, url: str) -> None:
    """A reader goes from the overview to the decision, changes the language, and goes back in it."""
    turn_once(context)
    page = browser.page
    page.goto(url)
    page.get_by_role("link", name="retrain", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("fell from 97.2 %")
    page.get_by_role("link", name="ES", exact=True).click()
    expect(page.get_by_role("heading", name="Pruebas")).to_be_visible()
    page.get_by_role("link", name="default").click()
    expect(page.get_by_role("heading", name="Alertas")).to_be_visible()

    assert page.url.endswith("/projects/default?lang=es")


def test_keys_reach_everything_in_the_order_of_reading(browser: Browser, context: Context, url: str) -> None:
    """The first key stop skips to the content; then come brand, search, languages, menus, sections and the page."""
    turn_once(context)
    page = browser.page
    page.goto(url)
    stops: list[str] = []
    while "retrain" not in stops and len(stops) < 30:
        page.keyboard.press("Tab")
        stops.append(
            page.evaluate(
                "(document.activeElement.getAttribute('aria-label') || document.activeElement.name "
                "|| document.activeElement.textContent).trim()"
            )
        )
    page.keyboard.press("Enter")

    assert stops[:6] == ["Skip to the content", "Noria", "q", "EN", "ES", "Appearance"]
    assert stops[-6:] == ["digits", "digits-train@1", "extra trees", "digits@2", "digits", "retrain"]
    expect(page.get_by_role("heading", level=1)).to_contain_text("fell from 97.2 %")


def test_a_slow_or_dead_server_is_told_of(browser: Browser, context: Context, url: str) -> None:
    """An open page says that the server does not answer, goes on trying, and says when it is back."""
    turn_once(context)
    page = browser.page
    state = page.locator("#live-words")
    page.goto(url)
    expect(state).to_have_text("live")
    page.route(f"{url}/", lambda route: route.abort())
    page.route("**/live", lambda route: route.abort())
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(state).to_have_text("The server does not answer; trying again", timeout=20_000)
    page.unroute(f"{url}/")
    expect(state).to_have_text("live", timeout=20_000)
    browser.complaints.clear()  # the browser reports the requests that were cut off


def test_a_theme_is_chosen_without_script(browser: Browser, context: Context, url: str) -> None:
    """The menu of themes is of plain buttons, and the choice holds on the next page."""
    record = turn_once(context)
    page = browser.page
    page.goto(url)
    page.locator("#appearance > summary").click()
    page.get_by_role("button", name="High contrast").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "contrast")
    page.goto(f"{url}/decisions/default/{record}")

    expect(page.locator("html")).to_have_attribute("data-theme", "contrast")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_keys_lead_to_a_section(browser: Browser, context: Context, url: str) -> None:
    """`g` and then a letter goes to a section of the project."""
    record = turn_once(context)
    page = browser.page
    page.goto(f"{url}/decisions/default/{record}")
    page.keyboard.press("g")
    page.keyboard.press("o")

    page.wait_for_url(f"{url}/projects/default")


def test_the_overview_keeps_up_to_date(browser: Browser, context: Context, url: str) -> None:
    """What changes is shown without a reload, and the keyboard's place is kept."""
    turn_once(context, close=False)
    page = browser.page
    page.goto(url)
    expect(page.get_by_text("1 open alert")).to_be_visible()
    page.get_by_role("link", name="retrain", exact=True).focus()
    (alert,) = context.service(Monitors).alerts(PROJECT, open_only=True).items
    context.service(Monitors).close_alert(PROJECT, alert.id, CloseAlert(why="seen to"))
    expect(page.locator("#alerts").get_by_text("seen to")).to_be_visible(timeout=20_000)
    expect(page.get_by_text("1 open alert")).to_have_count(0)

    expect(page.get_by_role("link", name="retrain", exact=True)).to_be_focused()


def test_an_empty_page_fills_by_itself(browser: Browser, context: Context, url: str) -> None:
    """Whoever waits at the empty overview while the first command runs sees the wheel come."""
    page = browser.page
    page.goto(url)
    expect(page.get_by_text("noria demo")).to_be_visible()
    turn_once(context)
    expect(page.get_by_role("article", name="Model digits")).to_be_visible(timeout=20_000)

    expect(page.get_by_text("noria demo")).to_have_count(0)
    expect(page.get_by_role("heading", name="Alerts")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/", "/decisions/default/{record}", "/nowhere"])
def test_pages_fit_a_phone_and_can_be_read(
    browser: Browser, context: Context, url: str, path: str, scheme: str
) -> None:
    """On a phone nothing is wider than the screen, and every text stands out from its ground (WCAG AA)."""
    record = turn_once(context, close=False)
    page = browser.page
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(url + path.format(record=record))
    width = page.evaluate("document.documentElement.scrollWidth")
    weak = page.evaluate(CONTRAST)
    found = barriers(page)
    if path == "/nowhere":
        browser.complaints.clear()  # the browser reports the status that was asked for

    assert width <= PHONE["width"]
    assert weak == []
    assert found == []


CONTRAST = """() => {
  const light = (c) => { c /= 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => 0.2126 * light(r) + 0.7152 * light(g) + 0.0722 * light(b);
  const ground = (each) => {
    for (let at = each; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const each of document.querySelectorAll("body *:not(svg *)")) {
    const own = [...each.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !each.checkVisibility()) continue;
    const [a, b] = [luminance(parse(getComputedStyle(each).color)), luminance(ground(each))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) found.push(`${each.className} ${each.textContent.trim().slice(0, 30)} ${ratio.toFixed(2)}`);
  }
  return [...new Set(found)];
}"""
