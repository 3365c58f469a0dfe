"""The parts of pages, all on one page, in a real browser: charts are drawn, keys work, and nobody is kept out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest
from playwright.sync_api import Route, expect

from noria.core.clock import SystemClock
from noria.core.web.assets import has_asset
from noria.core.web.languages import Language
from noria.core.web.rendering import PAGE_HEADERS
from noria.core.web.themes import Theme
from noria.server.assembly import load_pages
from support.axe import barriers
from support.browser import Browser
from support.conformance import open_test_context, workspace_settings
from support.gallery import gallery
from support.live_server import LiveServer

if TYPE_CHECKING:
    from playwright.sync_api import Page

PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 800}
TO_LOAD_MS = 20_000
"""The chart library comes after the page, and is large."""

PARTS = "table column_picker chart parallel graph diff tree markdown progress empty facts tabs tag_list code"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve an empty workspace, for the static files."""
    server = LiveServer()
    server.show(load_pages())
    with (
        open_test_context(workspace_settings(tmp_path_factory.mktemp("parts")), SystemClock()) as context,
        server.serving(context),
    ):
        yield server.url
    server.close()


def open_gallery(
    page: Page, url: str, *, language: Language = Language.ENGLISH, theme: Theme = Theme.AUTO
) -> None:
    """Show the parts under the policy that every page has."""

    def answer(route: Route) -> None:
        route.fulfill(body=gallery(language, theme), headers=PAGE_HEADERS)

    page.route("**/gallery", answer)
    page.goto(f"{url}/gallery")


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
@pytest.mark.parametrize(
    ("theme", "scheme"),
    [(Theme.AUTO, "dark"), (Theme.LIGHT, "dark"), (Theme.CONTRAST, "light"), (Theme.CONTRAST, "dark")],
)
def test_the_parts_keep_nobody_out(
    browser: Browser, url: str, size: dict[str, int], theme: Theme, scheme: str
) -> None:
    """In each theme and at each width axe finds nothing, and nothing is wider than the screen."""
    page = browser.page
    page.set_viewport_size(size)  # type: ignore[arg-type]
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    open_gallery(page, url, theme=theme)

    assert barriers(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]


@pytest.mark.skipif(not has_asset("vendor/plotly.min.js"), reason="the chart library was not built in")
def test_a_chart_is_downloaded_as_a_drawing(browser: Browser, url: str) -> None:
    """The button under the strict policy gives an SVG with the chart's title and lines, made in the browser."""
    page = browser.page
    open_gallery(page, url, theme=Theme.DARK)
    chart = page.locator("figure.chart", has=page.locator("[data-figure]")).first
    chart.scroll_into_view_if_needed()
    button = chart.locator("[data-save-chart]")
    expect(button).to_be_visible(timeout=TO_LOAD_MS)
    with page.expect_download() as waiting:
        button.click()
    saved = waiting.value
    drawn = ElementTree.parse(saved.path()).getroot()  # noqa: S314 - drawn by the page under test
    texts = [each.text for each in drawn.iter() if each.text]

    assert saved.suggested_filename.endswith(".svg")
    assert drawn.tag == "{http://www.w3.org/2000/svg}svg"
    assert chart.locator("figcaption strong").inner_text() in texts
    assert len([each for each in drawn.iter() if each.tag.endswith("}path")]) > 5
    assert not [each for each in drawn.iter() if each.tag.endswith(("}script", "}image", "}foreignObject"))]


@pytest.mark.skipif(not has_asset("vendor/plotly.min.js"), reason="the chart library was not built in")
def test_charts_are_drawn_under_the_strict_policy(browser: Browser, url: str) -> None:
    """Lines, bands, bars and dates are drawn without a complaint of the browser's, in the colours of the theme."""
    page = browser.page
    open_gallery(page, url, theme=Theme.DARK)
    charts = page.locator("figure.chart", has=page.locator("[data-figure]"))
    for index in range(charts.count()):
        charts.nth(index).scroll_into_view_if_needed()
        expect(charts.nth(index).locator("svg.main-svg").first).to_be_visible(timeout=TO_LOAD_MS)
    lines = page.locator(".chart-plot .js-line")
    expect(lines.first).to_be_attached()

    assert lines.first.evaluate("each => getComputedStyle(each).stroke") == "rgb(92, 192, 205)"
    assert page.locator(".chart-first >> visible=true").count() == 0


def test_without_the_library_the_first_picture_stays(browser: Browser, url: str) -> None:
    """A page whose chart library is missing shows the server's picture of each chart, and the table behind it."""
    page = browser.page
    page.route("**/plotly.min*.js", lambda route: route.fulfill(body="", content_type="text/javascript"))
    open_gallery(page, url)
    chart = page.locator("figure.chart").first
    picture = chart.locator(".chart-first")
    expect(picture.locator("path.line").first).to_be_visible()
    page.wait_for_load_state("networkidle")
    expect(picture).to_be_visible()
    chart.locator("summary").click()

    expect(chart.get_by_role("columnheader", name="validation")).to_be_visible()
    assert chart.locator("tbody tr").count() > 20


def test_rows_are_reached_by_keys(browser: Browser, url: str) -> None:
    """`j` and `k` go over the rows, `x` ticks one, and `?` shows what the keys do."""
    page = browser.page
    open_gallery(page, url)
    for key in ("j", "j", "j", "k", "x"):
        page.keyboard.press(key)
    expect(page.get_by_role("checkbox", name="Select brave-otter-1", exact=True)).to_be_checked()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("/")

    expect(page.get_by_role("searchbox", name="Search")).to_be_focused()


def test_all_rows_are_ticked_at_once_and_an_id_is_copied(browser: Browser, url: str) -> None:
    """The box of the heading ticks every row of the page; a copied id says that it is."""
    page = browser.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_gallery(page, url)
    page.get_by_role("checkbox", name="Select all rows of this page").check()
    page.get_by_role("button", name="Copy 01a1fe334b7176c49e423563c9819fa6").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()

    assert page.locator("tbody input:checked").count() == 14
    assert page.evaluate("navigator.clipboard.readText()") == "01a1fe334b7176c49e423563c9819fa6"


def test_the_parts_speak_spanish(browser: Browser, url: str) -> None:
    """Numbers, charts and helps are in the reader's language."""
    page = browser.page
    open_gallery(page, url, language=Language.SPANISH)

    expect(page.get_by_text("14 de más de 10.000")).to_be_visible()
    assert barriers(page) == []


def test_a_template_of_the_parts_is_complete() -> None:
    """The gallery imports every macro that the parts have, so that none goes unlooked at."""
    shown = Path(__file__).parents[1] / "support" / "gallery.html"
    for name in (
        "table",
        "chart",
        "parallel",
        "graph",
        "diff",
        "tree",
        "markdown",
        "progress",
        "empty",
        "facts",
        "tabs",
    ):
        assert f"{name}(" in shown.read_text(encoding="utf-8")
