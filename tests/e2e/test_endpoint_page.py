"""The page of an endpoint in a real browser: what its monitor sees by version and segment, and what it estimates."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from noria.core.clock import SystemClock
from noria.core.context import Context
from noria.core.web.assets import has_asset
from noria.server.assembly import load_actions, load_pages
from support.axe import barriers
from support.browser import Browser
from support.conformance import open_test_context, workspace_settings
from support.live_server import LiveServer
from support.sights import LACK, estimate, past_estimates, see_windows, tell_by_task
from support.wheel import PROJECT, turn_once

DESKTOP: ViewportSize = {"width": 1280, "height": 800}
PHONE: ViewportSize = {"width": 390, "height": 844}
WAYS = pytest.mark.parametrize(
    ("language", "scheme", "size"), [("en", "light", DESKTOP), ("es", "dark", PHONE)], ids=["en", "es"]
)
TO_LOAD_MS = 20_000
SEGMENTS = ("pen = <b>red</b>", "pen = blue")
PARTS = {
    "en": "Largest shift of an input, by version and segment",
    "es": "Mayor desplazamiento de una entrada, por versión y segmento",
}
LACK_TOLD = {
    "en": LACK,
    "es": "Aquello con lo que se compara la versión 1 cambió dentro de esta ventana",
}
LACKS = {"en": "What it lacks in the newest window:", "es": "Lo que le falta en la ventana más reciente:"}
ESTIMATED = {
    "en": ("Estimated without labels", "0.912 (95% 0.874 to 0.938; held-out rows 0.951)", "Concept drift"),
    "es": (
        "Estimada sin etiquetas",
        "0,912 (95 % de 0,874 a 0,938; filas apartadas 0,951)",
        "La deriva de concepto",
    ),
}


OVER_TIME = {
    "en": ("Estimated accuracy", ["estimate without labels", "labels that came", "held-out rows"]),
    "es": ("Exactitud estimada", ["estimación sin etiquetas", "etiquetas que llegaron", "filas apartadas"]),
}
LAST_ANSWER = {"en": "last answer (UTC)", "es": "última respuesta (UTC)"}
NEWEST = {"en": "0.9 0.87 – 0.92", "es": "0,9 0,87 – 0,92"}
FIRST_LABELLED = {"en": "0.935", "es": "0,935"}
BY_TASK = {
    "en": (
        ("Forecasts", ["24", "480", "4.25", "1.7", "2.5"]),
        ("Answers without a target", ["<i>0</i>", "25.0\xa0%", "75.0\xa0%"]),
    ),
    "es": (
        ("Pronósticos", ["24", "480", "4,25", "1,7", "2,5"]),
        ("Respuestas sin objetivo", ["<i>0</i>", "25,0\xa0%", "75,0\xa0%"]),
    ),
}


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    """Give a workspace with an endpoint that was watched for some windows."""
    with open_test_context(workspace_settings(tmp_path), SystemClock()) as opened:
        turn_once(opened)
        see_windows(opened, n=6, segments=SEGMENTS)
        yield opened


@pytest.fixture
def url(context: Context) -> Iterator[str]:
    """Serve the pages of the workspace."""
    server = LiveServer()
    server.show(load_pages(), load_actions())
    with server.serving(context):
        yield f"{server.url}/projects/{PROJECT}/endpoints/digits"
    server.close()


@WAYS
def test_versions_and_segments_are_seen_side_by_side(
    browser: Browser, url: str, language: str, scheme: str, size: dict[str, int]
) -> None:
    """The server draws a line for each and names it, the table has its points, and what a window lacks is told."""
    page = browser.page
    page.set_viewport_size(size)  # type: ignore[arg-type]
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.route("**/plotly.min*.js", lambda route: route.fulfill(body="", content_type="text/javascript"))
    page.goto(f"{url}?lang={language}")
    chart = page.locator("figure.chart", has=page.get_by_text(PARTS[language], exact=True))
    names = chart.locator("[data-series]")
    expect(names).to_have_text(["v1", *(f"v1 {segment}" for segment in SEGMENTS)])
    expect(chart.locator(".chart-first path.line")).to_have_count(3)
    chart.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(chart.get_by_role("columnheader", name="v1 pen = blue")).to_be_visible()
    expect(chart.get_by_role("row")).to_have_count(7)
    expect(page.locator("#lacks")).to_contain_text(LACKS[language])
    expect(page.locator("#lacks li")).to_have_text([LACK_TOLD[language]])

    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    assert barriers(page) == []


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_how_it_does_is_told_before_it_is_drawn(browser: Browser, url: str, size: ViewportSize) -> None:
    """Quality and alerts stand beside the charts on a desk, and above them on a phone."""
    page = browser.page
    page.set_viewport_size(size)
    page.goto(url)

    found = {
        name: page.locator(f"#{name}").bounding_box() for name in ("answers", "quality", "alerts", "watch")
    }
    x = {name: box["x"] for name, box in found.items() if box}
    y = {name: box["y"] for name, box in found.items() if box}
    if size is DESKTOP:
        assert x["answers"] == pytest.approx(x["watch"], abs=30)
        assert x["quality"] > x["watch"] + 400
        assert y["quality"] == pytest.approx(y["answers"], abs=30)
    else:
        assert y["answers"] < y["quality"] < y["alerts"] < y["watch"]


@WAYS
def test_an_estimate_is_told_from_a_measurement(
    browser: Browser, context: Context, url: str, language: str, scheme: str, size: dict[str, int]
) -> None:
    """Under its own heading, with interval, held-out figure and what it supposes; it comes while the page is open."""
    title, value, warning = ESTIMATED[language]
    page = browser.page
    page.set_viewport_size(size)  # type: ignore[arg-type]
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(f"{url}?lang={language}")
    expect(page.get_by_role("heading", name=title)).to_have_count(0)
    estimate(context)
    expect(page.get_by_role("heading", name=title)).to_be_visible(timeout=TO_LOAD_MS)
    quality = page.locator("#quality-now")
    expect(quality).to_contain_text(value)
    expect(quality).to_contain_text(warning)

    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    assert barriers(page) == []


@WAYS
def test_past_estimates_are_drawn_beside_what_labels_said(
    browser: Browser, context: Context, url: str, language: str, scheme: str, size: dict[str, int]
) -> None:
    """With intervals, held-out figure and change of version, a table by keyboard, and new ones as they come."""
    title, names = OVER_TIME[language]
    page = browser.page
    page.set_viewport_size(size)  # type: ignore[arg-type]
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.route("**/plotly.min*.js", lambda route: route.fulfill(body="", content_type="text/javascript"))
    past_estimates(context)
    page.goto(f"{url}?lang={language}")
    chart = page.locator("figure.chart", has=page.get_by_text(title, exact=True))
    expect(chart.locator("[data-series]")).to_have_text(names)
    expect(chart.locator(".chart-first path.line")).to_have_count(3)
    expect(chart.locator(".chart-first path.band")).to_have_count(1)
    expect(chart.locator(".chart-first path.mark")).to_have_count(1)
    chart.locator("summary").focus()
    page.keyboard.press("Enter")
    rows = chart.get_by_role("row")
    expect(rows).to_have_count(7)
    expect(rows.nth(0).get_by_role("columnheader")).to_have_text([LAST_ANSWER[language], *names])
    expect(rows.nth(6).get_by_role("cell").nth(0)).to_have_text(NEWEST[language])
    expect(rows.nth(6).get_by_role("cell").nth(1)).to_have_text("–")
    expect(rows.nth(1).get_by_role("cell").nth(1)).to_have_text(FIRST_LABELLED[language])
    past_estimates(context, n=1, n_labelled=0, first=7)
    expect(rows).to_have_count(8, timeout=TO_LOAD_MS)

    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    assert barriers(page) == []


@WAYS
def test_forecasts_and_clusters_are_told_of_the_newest_answers(
    browser: Browser, context: Context, url: str, language: str, scheme: str, size: dict[str, int]
) -> None:
    """By horizon beside repeating the last season, and shares beside the reference; tables scroll by themselves."""
    forecast, cluster = BY_TASK[language]
    page = browser.page
    page.set_viewport_size(size)  # type: ignore[arg-type]
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    tell_by_task(context)
    page.goto(f"{url}?lang={language}")
    told = page.locator("#by-task")
    expect(told.get_by_role("heading")).to_have_text([forecast[0], cluster[0]])
    rows = told.get_by_role("row")
    expect(rows).to_have_count(5)
    expect(rows.nth(1).locator("th, td")).to_have_text(forecast[1])
    expect(rows.nth(2).locator("th, td").nth(3)).to_have_text("–")
    expect(rows.nth(4).locator("th, td")).to_have_text(cluster[1])

    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    assert barriers(page) == []


def drawn_parts(page: Page) -> list[str | None]:
    """Give the names of the lines that the library has drawn in the chart of versions and segments."""
    chart = page.locator("figure.chart", has=page.get_by_text(PARTS["en"], exact=True))
    names: list[str | None] = chart.evaluate(
        "each => each.querySelector('[data-figure]').data.filter(one => one.visible).map(one => one.name)"
    )
    return names


@pytest.mark.skipif(not has_asset("vendor/plotly.min.js"), reason="the chart library was not built in")
def test_a_line_is_hidden_by_key_and_stays_so_when_windows_come(
    browser: Browser, context: Context, url: str
) -> None:
    """Nothing moves when the library draws; the same drawing then takes in new windows, with the focus where it was."""
    page = browser.page
    page.goto(url)
    chart = page.locator("figure.chart", has=page.get_by_text(PARTS["en"], exact=True))
    before = chart.bounding_box()
    name = chart.get_by_role("button", name="v1 pen = blue")
    chart.scroll_into_view_if_needed()
    expect(name).to_be_enabled(timeout=TO_LOAD_MS)
    after = chart.bounding_box()
    assert before is not None
    assert after is not None
    assert (before["width"], before["height"]) == (after["width"], after["height"])
    assert drawn_parts(page) == ["v1", "v1 pen = <\u200bb>red<\u200b/b>", "v1 pen = blue"]

    name.focus()
    page.keyboard.press("Enter")
    expect(name).to_have_attribute("aria-pressed", "false")
    plot = chart.locator("[data-figure]")
    plot.evaluate("each => { each.isTheSame = true; }")
    n_before = plot.evaluate("each => each.calcdata[0].length")
    see_windows(context, segments=SEGMENTS)
    page.wait_for_function(
        "([place, n]) => place.calcdata[0].length > n",
        arg=[plot.element_handle(), n_before],
        timeout=TO_LOAD_MS,
    )

    assert plot.evaluate("each => each.isTheSame") is True
    assert drawn_parts(page) == ["v1", "v1 pen = <\u200bb>red<\u200b/b>"]
    expect(name).to_be_focused()
    expect(name).to_have_attribute("aria-pressed", "false")
