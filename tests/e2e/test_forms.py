"""Forms in a real browser when something comes between: somebody else's change, and another site."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import expect

from noria.core.clock import SystemClock
from noria.core.context import Context
from noria.server.assembly import load_actions, load_pages
from noria.tracking.entities import NewRun, Run, RunEnd
from noria.tracking.service import Runs
from support.browser import Browser
from support.conformance import open_test_context, workspace_settings
from support.live_server import LiveServer

PROJECT = "default"


@dataclass(frozen=True, slots=True)
class Site:
    """A server with a run."""

    url: str
    context: Context
    run: Run

    @property
    def page(self) -> str:
        """The address of the run's page."""
        return f"{self.url}/projects/{PROJECT}/runs/{self.run.id}"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Serve a workspace with one run that has ended."""
    server = LiveServer()
    server.show(load_pages(), load_actions())
    with open_test_context(workspace_settings(tmp_path), SystemClock()) as context, server.serving(context):
        runs = context.service(Runs)
        run = runs.create(PROJECT, NewRun(experiment="digits", name="first"))
        yield Site(server.url, context, runs.finish(PROJECT, run.id, RunEnd()))
    server.close()


@pytest.mark.parametrize(
    ("language", "describe", "keep"),
    [
        ("en", "Describe it", "Keep it"),
        ("es", "Describirla", "Guardarla"),
    ],
    ids=["en", "es"],
)
def test_of_two_people_the_second_is_told(
    browser: Browser, site: Site, language: str, describe: str, keep: str
) -> None:
    """Whoever sends a description that somebody changed meanwhile is told so, and what was typed stays in the form."""
    first = browser.page
    assert first.context.browser is not None
    second = first.context.browser.new_context().new_page()
    for page, text in ((first, "what Ana says"), (second, "what Ben says")):
        page.goto(f"{site.page}?lang={language}")
        page.locator("summary").filter(has_text=describe).click()
        page.locator("#describe textarea").fill(text)
    first.get_by_role("button", name=keep).click()
    expect(first.locator(".markdown")).to_have_text("what Ana says")
    second.get_by_role("button", name=keep).click()
    expect(second.locator(".field-error, .notice.is-bad, [role=alert]").first).to_be_visible()
    expect(second.locator("#describe textarea")).to_have_value("what Ben says")

    assert site.context.service(Runs).get(PROJECT, site.run.id).tags["mlflow.note.content"] == "what Ana says"


def test_a_form_of_another_site_does_nothing(browser: Browser, site: Site) -> None:
    """A page elsewhere that sends a form of ours in the reader's name changes nothing."""
    form = f'<form method=post action="{site.page}/rename"><input name=name value=stolen></form>'
    script = "<script>document.forms[0].submit()</script>"
    with _elsewhere(f"<!doctype html><title>x</title>{form}{script}") as other:
        browser.page.goto(other)
        browser.page.wait_for_url(f"{site.page}/rename")
        expect(browser.page.locator("body")).to_contain_text("A page of another site sent this request")
    browser.complaints.clear()  # the browser reports the refusal

    assert site.context.service(Runs).get(PROJECT, site.run.id).name == "first"


@contextmanager
def _elsewhere(page: str) -> Iterator[str]:
    """Serve one page of another site, and give its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://localhost:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()
