"""A real browser without a window, which notices what went wrong in the page."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
SWITCHES = (
    "--no-sandbox",  # Chromium refuses to run as root with its sandbox; the pages are our own
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class BrowserUnavailable(Exception):
    """No browser is installed; the text says how to get one."""


@dataclass(frozen=True, slots=True)
class Browser:
    """One open page, and the complaints that it has given rise to."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    def listen(self) -> None:
        """Collect errors of scripts and of the console, and requests that failed or were answered with an error."""
        self.page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        self.page.on(
            "console",
            lambda message: (
                self.complaints.append(f"console: {message.text}") if message.type == "error" else None
            ),
        )
        self.page.on(
            "requestfailed",
            # a stream is always cut short by the page that goes, and so is what a page asks for as it goes
            lambda request: (
                None
                if request.url.endswith("/live") or request.failure == "net::ERR_ABORTED"
                else self.complaints.append(f"failed: {request.url}")
            ),
        )
        self.page.on(
            "response",
            lambda answer: (
                self.complaints.append(f"{answer.status}: {answer.url}") if answer.status >= 400 else None
            ),
        )


def find_browser() -> Path:
    """Give the program of an installed Chromium."""
    found = next((path for name in PROGRAMS if (path := shutil.which(name))), None)
    if not found:
        raise BrowserUnavailable("no Chromium is installed: apt-get install chromium")
    return Path(found)


@contextmanager
def open_browser(*, width: int = 1280, height: int = 800) -> Iterator[Browser]:
    """Open an empty page of the given size in pixels, with a profile of its own, and close it afterwards."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=find_browser(), args=list(SWITCHES))
        try:
            browser = Browser(chromium.new_page(viewport={"width": width, "height": height}))
            browser.listen()
            yield browser
        finally:
            chromium.close()
