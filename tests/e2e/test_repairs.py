"""Inputs that are put right, in a real browser: a person approves it on the page of the decision, and sees it stand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import ViewportSize, expect

from noria.core.clock import SystemClock
from noria.core.context import Context
from noria.core.permissions import Principal, Role
from noria.decisions.announcements import Announcements, NewAnnouncement
from noria.decisions.entities import Cause, Decision, DecisionStatus, Remedy, Trigger
from noria.decisions.ledger import NewDecision, move, open_decision
from noria.decisions.service import Decisions
from noria.monitoring.service import Monitors
from noria.server.assembly import load_actions, load_pages
from noria.serving.repairs.entities import ByLine, ColumnRepair, EndRepair, NewRepair
from noria.serving.service import InputRepairs
from support.axe import barriers
from support.browser import Browser
from support.conformance import open_test_context, workspace_settings
from support.live_server import LiveServer
from support.wheel import PROJECT, Turn

DESKTOP: ViewportSize = {"width": 1280, "height": 800}
PHONE: ViewportSize = {"width": 390, "height": 844}
WAYS = pytest.mark.parametrize(
    ("language", "scheme", "size"), [("en", "light", DESKTOP), ("es", "dark", PHONE)], ids=["en", "es"]
)
ENGINEER = Principal(name="eva", project_roles={"default": Role.ENGINEER}, holds_key=True)
REPAIR = ColumnRepair(
    column="pixels[20]", change=ByLine(slope=1000.0), words="`pixels[20]` is divided by 1000"
)
APPROVING = {
    "en": (
        "It asks: repair the inputs?",
        "pixels[20] is divided by 1000",
        "Approve",
        "put inputs of digits right",
    ),
    "es": (
        "Pregunta: ¿reparar las entradas?",
        "pixels[20] se divide por 1000",
        "Aprobar",
        "corregir las entradas de digits",
    ),
}
STANDING = {
    "en": ("Inputs", "put right", "pixels[20] is divided by 1000", "announced", "Ended by hand"),
    "es": ("Entradas", "corregidas", "pixels[20] se divide por 1000", "anunciado", "Terminada a mano"),
}
ENDING = {
    "en": ("End the repair", "End repair 1 of the inputs of digits?", "Undo", "put right again: repair 2"),
    "es": (
        "Terminar la reparación",
        "¿Terminar la reparación 1 de las entradas de digits?",
        "Deshacer",
        "corregidas de nuevo: reparación 2",
    ),
}
TO_LOAD_MS = 20_000


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    """Give a workspace with an endpoint about which there is an alert."""
    with open_test_context(workspace_settings(tmp_path), SystemClock()) as opened:
        turn = Turn(opened)
        turn.registered()
        turn.deployed()
        turn.answered(version=1, n=300)
        turn.watched()
        yield opened


@pytest.fixture
def server(context: Context) -> Iterator[LiveServer]:
    """Serve the pages of the workspace."""
    live = LiveServer()
    live.show(load_pages(), load_actions())
    with live.serving(context):
        yield live
    live.close()


def asked(context: Context) -> Decision:
    """Have a decision ask whether to put an input right."""
    (alert,) = context.service(Monitors).alerts(PROJECT).items
    new = NewDecision(
        project=PROJECT,
        endpoint="digits",
        model="digits",
        version=1,
        trigger=Trigger.QUALITY,
        alert_id=alert.id,
        onset_position=120,
        sentence=alert.sentence,
    )
    return move(
        context,
        PROJECT,
        open_decision(context, new).id,
        DecisionStatus.ASKING,
        text="it asks",
        cause=Cause.INPUT_FAULT,
        remedy=Remedy.REPAIR_INPUTS,
        repair=[REPAIR],
    )


@WAYS
def test_a_repair_is_approved_on_the_page_of_the_decision(
    browser: Browser,
    context: Context,
    server: LiveServer,
    language: str,
    scheme: str,
    size: ViewportSize,
) -> None:
    """What would be done to which input is told, then asked once more; the decision then carries it out."""
    title, words, approve, sure = APPROVING[language]
    decision = asked(context)
    server.tokens["eva"] = ENGINEER
    page = browser.page
    page.context.set_extra_http_headers({"authorization": "Bearer eva"})
    page.set_viewport_size(size)
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(f"{server.url}/decisions/{PROJECT}/{decision.record_id}?lang={language}")
    question = page.locator(".question")
    expect(question.get_by_role("heading")).to_contain_text(title)
    expect(question.get_by_role("listitem")).to_have_text([words])
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    assert barriers(page) == []
    question.get_by_role("button", name=approve).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(sure)
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    assert barriers(page) == []
    page.get_by_role("button", name=approve).click()
    expect(page.locator(".notice.is-good")).to_be_visible()
    expect(page.locator(".question")).to_have_count(0)

    found = context.service(Decisions).get(PROJECT, decision.id)
    assert found.status is DecisionStatus.ACTING
    assert found.timeline[-1].text.startswith("eva approved")
    assert browser.complaints == []


@WAYS
def test_repairs_and_announcements_stand_on_the_page_of_the_endpoint(
    browser: Browser,
    context: Context,
    server: LiveServer,
    language: str,
    scheme: str,
    size: ViewportSize,
) -> None:
    """They come while the page is open, with what is done to which input and by whom, and their end is told."""
    title, stands, words, announced, why = STANDING[language]
    page = browser.page
    page.set_viewport_size(size)
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(f"{server.url}/projects/{PROJECT}/endpoints/digits?lang={language}")
    inputs = page.locator("#inputs-now")
    expect(page.locator("#answers-now")).to_be_visible()
    expect(inputs).to_be_hidden()
    repairs = context.service(InputRepairs)
    begun = repairs.set(PROJECT, "digits", NewRepair(columns=[REPAIR]))
    later = context.clock.now() + timedelta(days=1)
    new = NewAnnouncement(text="a new lamp", columns=["pixels[3]"], at=later)
    context.service(Announcements).announce(PROJECT, "digits", new)
    expect(inputs.get_by_role("heading")).to_have_text(title, timeout=TO_LOAD_MS)
    expect(inputs).to_contain_text(stands)
    expect(inputs).to_contain_text(words)
    expect(inputs).to_contain_text(announced)
    expect(inputs).to_contain_text("a new lamp")
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    assert barriers(page) == []
    repairs.end(PROJECT, "digits", EndRepair(id=begun.id))

    expect(inputs).to_contain_text(why, timeout=TO_LOAD_MS)
    assert browser.complaints == []


@WAYS
def test_a_repair_is_ended_on_the_page_of_the_endpoint(
    browser: Browser,
    context: Context,
    server: LiveServer,
    language: str,
    scheme: str,
    size: ViewportSize,
) -> None:
    """The page asks first, tells that it is done, and its notice begins the repair again."""
    end, sure, undo, again = ENDING[language]
    repairs = context.service(InputRepairs)
    repairs.set(PROJECT, "digits", NewRepair(columns=[REPAIR]))
    server.tokens["eva"] = ENGINEER
    page = browser.page
    page.context.set_extra_http_headers({"authorization": "Bearer eva"})
    page.set_viewport_size(size)
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(f"{server.url}/projects/{PROJECT}/endpoints/digits?lang={language}")
    assert barriers(page) == []
    page.locator("#inputs-now").get_by_role("button", name=end).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(sure)
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    assert barriers(page) == []
    page.get_by_role("button", name=end).click()
    notice = page.locator(".notice.is-good")
    expect(notice).to_contain_text("1")
    (ended,) = repairs.list(PROJECT, "digits").items
    assert (ended.ended_by, ended.ended_why) == ("eva", "Ended by hand")
    notice.get_by_role("button", name=undo).click()
    expect(notice).to_contain_text(again)

    begun, _ = repairs.list(PROJECT, "digits").items
    assert (begun.number, begun.columns, begun.ended_at) == (2, [REPAIR], None)
    assert browser.complaints == []
