"""The page of digits in a real browser: draw a digit, see what it is, say what it was."""

from __future__ import annotations

import re
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import expect

from noria.examples.digits.page.asking import Drawing, Seen, Share, Told
from noria.examples.digits.page.site import Site, serving
from support.axe import barriers
from support.browser import Browser
from support.processes import Processes
from support.waiting import wait_until

PATIENCE_S = 300.0
PATIENCE_MS = 120_000
SEVEN = ((0.25, 0.12), (0.75, 0.12), (0.45, 0.9))


def labels(folder: Path) -> list[str]:
    """Read from the side what was told of the digits."""
    with closing(sqlite3.connect(f"file:{folder / '.noria' / 'noria.db'}?mode=ro", uri=True)) as connection:
        return [str(value) for (value,) in connection.execute("select value from labels")]


class Stub:
    """Sees a 7 first and ones from then on."""

    model = "digits"

    def __init__(self) -> None:
        self.n_asked = 0
        self.told: list[Told] = []

    def predict(self, drawing: Drawing) -> Seen:
        assert drawing.strokes
        self.n_asked += 1
        digit = 7 if self.n_asked == 1 else 1
        return Seen(
            digit=digit,
            confidence=0.75,
            probabilities={str(digit): 0.75},
            prediction_id=f"p{self.n_asked}",
            version=1,
            about="a stand-in",
            side=8,
            pixels=[0] * 64,
        )

    def tell(self, told: Told) -> None:
        self.told.append(told)

    def shares(self) -> list[Share]:
        return [Share(version=1, weight=1.0)]


def draw_two_digits(browser: Browser, address: str) -> None:
    """Draw a 7 by pointer on a light screen, which was a 1, and a 1 by keys on a dark phone in Spanish."""
    page = browser.page
    page.goto(f"{address}/?lang=en")
    board = page.locator("#board")
    box = board.bounding_box()
    assert box is not None
    points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in SEVEN]
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points:
        page.mouse.move(*point, steps=8)
    page.mouse.up()
    expect(page.locator("#says")).to_have_text("It is a 7", timeout=PATIENCE_MS)
    expect(page.locator("#version")).to_have_text("version 1")
    expect(page.locator("#shares")).to_have_text("version 1: 100%", timeout=PATIENCE_MS)
    assert barriers(page) == []
    page.get_by_role("button", name="1", exact=True).click()
    expect(page.locator("#kept")).to_contain_text("it was a 1", timeout=PATIENCE_MS)

    page.set_viewport_size({"width": 390, "height": 844})
    page.emulate_media(color_scheme="dark")
    page.goto(f"{address}/?lang=es")
    board.focus()
    for key in ["ArrowUp", "Space", *["ArrowDown"] * 16, "Space", "Enter"]:
        page.keyboard.press(key)
    expect(page.locator("#says")).to_have_text("Es un 1", timeout=PATIENCE_MS)
    assert barriers(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("button", name="Sí").click()
    expect(page.locator("#kept")).to_contain_text("era un 1", timeout=PATIENCE_MS)
    assert browser.complaints == []


def test_digits_are_drawn_and_put_right(browser: Browser) -> None:
    """By pointer and by keys, light and dark, in both languages; what they were is told to the endpoint."""
    stub = Stub()
    with serving(Site(stub, noria_url="http://noria.test", port=0)) as site:
        draw_two_digits(browser, site.url)

    assert [told.digit for told in stub.told] == [1, 1]


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_the_demo_trains_serves_and_keeps_what_they_were(
    processes: Processes, noria_command: tuple[str, ...], browser: Browser, tmp_path: Path
) -> None:
    """The command as a person runs it: a model that was just trained answers, and both labels reach the store."""
    folder = tmp_path / "digits"
    command = [*noria_command, "demo", "--page", "--folder", str(folder), "--port", "0"]
    demo = processes.start(command, name="page", cwd=tmp_path)
    address = re.findall(r"http://\S+", demo.wait_for_output("The page: ", PATIENCE_S))[0]
    draw_two_digits(browser, address)

    wait_until(lambda: len(labels(folder)) == 2, PATIENCE_S, "both labels are in the store")
    demo.process.send_signal(signal.SIGINT)
    assert demo.wait(PATIENCE_S) == 0, demo.output()
