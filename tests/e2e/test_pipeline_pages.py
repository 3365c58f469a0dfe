"""Tasks on the pages of pipelines and schedules in a real browser: find the step that failed, pause, run now."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import structs
from playwright.sync_api import expect

from noria.core.clock import SystemClock
from noria.core.context import Context
from noria.pipelines.schedules.entities import NewSchedules, ScheduleStatus
from noria.pipelines.schedules.service import Schedules
from noria.server.assembly import load_actions, load_pages
from support.browser import Browser
from support.conformance import open_test_context, workspace_settings
from support.live_server import KEY, LiveServer
from support.scheduled import PIPELINE, PROJECT, WRONG, run_and_schedule


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    """Give a workspace with runs and schedules."""
    with open_test_context(workspace_settings(tmp_path), SystemClock()) as opened:
        run_and_schedule(opened)
        yield opened


@pytest.fixture
def url(context: Context) -> Iterator[str]:
    """Serve the pages of the workspace."""
    server = LiveServer()
    server.show(load_pages(), load_actions())
    with server.serving(context):
        yield server.url
    server.close()


def test_the_step_that_failed_is_found(browser: Browser, context: Context, url: str) -> None:
    """From the navigation by keys to the run: the graph marks the step, its message stands there as it was written."""
    del context
    page = browser.page
    page.goto(f"{url}/?lang=en")
    page.keyboard.press("g")
    page.keyboard.press("p")
    page.get_by_role("link", name=PIPELINE).click()
    expect(page.get_by_role("row")).to_have_count(4)
    page.get_by_role("row").filter(has_text="failed").get_by_role("link").click()
    graph = page.locator(".pipeline-graph")
    expect(graph.locator("rect.failed")).to_have_count(1)
    expect(graph).to_contain_text("× 3")
    expect(page.get_by_role("row").filter(has_text=WRONG.replace("`", ""))).to_contain_text("score")

    assert browser.complaints == []


def test_a_schedule_is_paused_resumed_and_run(browser: Browser, context: Context, url: str) -> None:
    """In Spanish on a dark phone: pause with a way back, run now, and the history narrowed to what waits."""
    page, schedules = browser.page, context.service(Schedules)
    page.goto(f"{url}/projects/{PROJECT}/schedules/nightly?lang=en")
    expect(
        page.get_by_text("noria schedules pause nightly")
    ).to_be_visible()  # for who has shown no credential
    page.set_extra_http_headers({"authorization": f"Bearer {KEY}"})
    page.set_viewport_size({"width": 390, "height": 844})
    page.emulate_media(color_scheme="dark")
    page.goto(f"{url}/projects/{PROJECT}/schedules?lang=es")
    page.get_by_role("link", name="nightly").click()
    page.get_by_role("button", name="Pausar").click()
    expect(page.get_by_text("pausa", exact=False).first).to_be_visible()
    assert schedules.get(PROJECT, "nightly").status is ScheduleStatus.PAUSED
    page.get_by_role("button", name="Deshacer").click()
    expect(page.get_by_role("button", name="Pausar")).to_be_visible()
    assert schedules.get(PROJECT, "nightly").status is ScheduleStatus.ACTIVE
    page.get_by_role("button", name="Ejecutar ahora").click()
    page.get_by_role("link", name="en espera").click()
    expect(page.locator("#history-now").get_by_role("row")).to_have_count(3)

    assert len(schedules.history(PROJECT, "nightly").items) == 2
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert browser.complaints == []


def test_a_schedule_is_pinned_and_unpinned(browser: Browser, context: Context, url: str) -> None:
    """By the keyboard, in Spanish: the page asks what pinning means, tells who pinned it, and has a way back."""
    page, schedules = browser.page, context.service(Schedules)
    spec = schedules.get(PROJECT, "nightly").spec
    changed = structs.replace(spec, params={"day": "{end_date}"})
    schedules.apply(PROJECT, NewSchedules(schedules=[changed]))
    page.goto(f"{url}/projects/{PROJECT}/schedules/nightly?lang=en")
    expect(page.get_by_text("noria schedules pin nightly --to 1")).to_be_visible()
    page.set_extra_http_headers({"authorization": f"Bearer {KEY}"})
    page.goto(f"{url}/projects/{PROJECT}/schedules/nightly?lang=es")
    page.get_by_role("button", name="Fijar en la revisión 1").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="¿Fijar")).to_be_visible()
    page.get_by_role("button", name="Fijar").click()
    expect(page.get_by_text("en la revisión 1 de 2")).to_be_visible()
    pinned = schedules.get(PROJECT, "nightly")
    page.get_by_role("button", name="Soltar").click()
    expect(page.get_by_text("en la revisión 1 de 2")).not_to_be_visible()

    assert (pinned.revision, pinned.spec) == (1, spec)
    assert schedules.get(PROJECT, "nightly").revision == 2
    assert browser.complaints == []
