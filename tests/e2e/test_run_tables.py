"""Experiments, runs and comparisons in a real browser: a person finds the best run, and no page has a barrier."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Route, expect

from noria.core.clock import SystemClock
from noria.core.context import Context
from noria.server.assembly import load_actions, load_pages
from noria.tracking.entities import LogBatch, NewRun, Run, RunEnd
from noria.tracking.point_entities import MetricPoint
from noria.tracking.service import Runs
from support.axe import barriers
from support.browser import Browser
from support.conformance import open_test_context, workspace_settings
from support.live_server import LiveServer

PROJECT = "default"
TABLE = f"/projects/{PROJECT}/experiments/digits"
PHONE = {"width": 390, "height": 844}


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    """Give the backends of a workspace with an experiment of twelve runs in four settings, and one that goes on."""
    with open_test_context(workspace_settings(tmp_path), SystemClock()) as opened:
        for model, base in (("svm", 0.8), ("trees", 0.9)):
            for lr in ("0.1", "0.01"):
                for seed in range(3):
                    params = {"model": model, "lr": lr, "seed": str(seed)}
                    log(opened, f"{model}-{lr}-{seed}", params, base + float(lr) / 3 + seed / 1000)
        log(opened, "sweep", {}, 0.5, running=True)
        yield opened


def log(context: Context, name: str, params: dict[str, str], score: float, *, running: bool = False) -> Run:
    """Keep a run with a curve."""
    runs = context.service(Runs)
    run = runs.create(PROJECT, NewRun(experiment="digits", name=name, params=params))
    points = [
        MetricPoint(key="accuracy", value=score * (1 - 0.5**step), step=step, at=run.started_at)
        for step in range(1, 12)
    ]
    runs.log(PROJECT, run.id, LogBatch(metrics=points))
    if not running:
        runs.finish(PROJECT, run.id, RunEnd(ended_at=run.started_at + timedelta(seconds=3)))
    return run


@pytest.fixture
def url(context: Context) -> Iterator[str]:
    """Serve the pages of the workspace."""
    server = LiveServer()
    server.show(load_pages(), load_actions())
    with server.serving(context):
        yield server.url
    server.close()


def test_a_filter_is_completed_that_was_typed_before_the_library_came(browser: Browser, url: str) -> None:
    """On a slow line somebody may have stopped typing by then: nothing but its coming brings the list."""
    page = browser.page
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/htmx.min*.js", hold)
    page.goto(url + TABLE)
    with page.expect_request("**/htmx.min*.js"):
        page.get_by_role("combobox", name="Filter").press_sequentially("params.mo")
    expect(page.get_by_role("combobox", name="Filter")).to_have_value("params.mo")
    held[0].continue_()

    expect(page.locator("#filter-options > [role=option]").first).to_have_attribute(
        "data-filter", "params.model "
    )


def test_a_person_finds_the_best_runs_and_compares_them(browser: Browser, url: str) -> None:
    """The filter is completed by the keyboard, a heading sorts, and two ticked runs stand side by side."""
    page = browser.page
    page.goto(url + TABLE)
    field = page.get_by_role("combobox", name="Filter")
    offered = page.locator("#filter-options > [role=option]")
    field.press_sequentially("params.mo")
    for wanted in ("params.model ", "params.model = ", "params.model = 'svm' "):
        expect(offered.first).to_have_attribute("data-filter", wanted)
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        expect(field).to_have_value(wanted)
    field.fill("params.model = ")
    offered.filter(has_text="'trees'").click()
    expect(field).to_have_value("params.model = 'trees' ")
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    expect(page.locator("th.is-run")).to_have_count(6)
    page.get_by_role("link", name="accuracy").click()
    expect(page.locator("th.is-run").first).to_contain_text("trees-0.1-2")
    page.keyboard.press("j")
    page.keyboard.press("x")
    page.keyboard.press("j")
    page.keyboard.press("x")
    page.get_by_role("button", name="Compare").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("Comparison of 2 runs")
    page.get_by_role("heading", name="Curves").scroll_into_view_if_needed()
    expect(page.locator(".chart-plot.is-drawn")).to_have_count(1, timeout=20_000)


def test_chosen_columns_come_back(browser: Browser, url: str) -> None:
    """The browser keeps the columns that were chosen last, without a script of ours."""
    page = browser.page
    page.goto(url + TABLE)
    page.locator("summary", has_text="Columns").click()
    page.get_by_label("model", exact=True).uncheck()
    page.get_by_role("button", name="Show these").click()
    page.goto(url + TABLE)

    expect(page.get_by_role("link", name="lr", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="model", exact=True)).to_have_count(0)


def test_a_running_table_keeps_up_to_date(browser: Browser, context: Context, url: str) -> None:
    """A run that starts meanwhile comes by itself, and what was ticked stays ticked."""
    page = browser.page
    page.goto(url + TABLE)
    box = page.get_by_label("Select trees-0.1-0")
    box.check()
    log(context, "late", {"model": "late"}, 0.7)
    expect(page.get_by_role("link", name="late", exact=True)).to_be_visible(timeout=20_000)

    expect(box).to_be_checked()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "es"])
def test_no_page_has_a_barrier(browser: Browser, url: str, scheme: str, language: str) -> None:
    """Axe finds nothing, on a desk and on a phone, and nothing sticks out sideways."""
    page = browser.page
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    for path in (
        f"/projects/{PROJECT}/experiments?lang={language}",
        f"{TABLE}?lang={language}",
        f"{TABLE}?group=params.model&lang={language}",
        f"{TABLE}?filter=nothing&lang={language}",
        f"/projects/{PROJECT}/compare?experiment=digits&lang={language}",
    ):
        for size in (PHONE, {"width": 1280, "height": 800}):
            page.set_viewport_size(size)  # type: ignore[arg-type]
            page.goto(url + path)

            assert barriers(page) == [], path
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
