"""Going back to the code before, in a real browser: a person approves it on the page of the decision."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from noria.core.clock import SystemClock
from noria.core.context import Context
from noria.core.permissions import Principal, Role
from noria.decisions.entities import Cause, DecisionStatus, Remedy, Trigger
from noria.decisions.ledger import NewDecision, move, open_decision
from noria.decisions.pipeline_entities import PipelinePin
from noria.decisions.service import Decisions
from noria.monitoring.service import Monitors
from noria.server.assembly import load_actions, load_pages
from support.axe import barriers
from support.browser import Browser
from support.conformance import open_test_context, workspace_settings
from support.live_server import LiveServer
from support.wheel import PROJECT, Turn

ENGINEER = Principal(name="eva", project_roles={"default": Role.ENGINEER}, holds_key=True)
PIN = PipelinePin(schedule="features", revision=1, instead_of=2)
WORDS = {
    "en": (
        "It asks: fix the pipeline?",
        "would go back from revision 2 to revision 1",
        "Approve",
        "goes back from revision 2 to revision 1",
        "goes back to revision 1",
    ),
    "es": (
        "Pregunta: ¿reparar el pipeline?",
        "volvería de la revisión 2 a la revisión 1",
        "Aprobar",
        "vuelva de la revisión 2 a la revisión 1",
        "vuelve a la revisión 1",
    ),
}


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


@pytest.mark.parametrize("language", ["en", "es"])
def test_a_pin_is_approved_on_the_page_of_the_decision(
    browser: Browser, context: Context, language: str
) -> None:
    """Which schedule would go back to what is told, then asked once more with its consequences."""
    title, would, approve, sure, said = WORDS[language]
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
    decision = move(
        context,
        PROJECT,
        open_decision(context, new).id,
        DecisionStatus.ASKING,
        text="it asks",
        cause=Cause.PIPELINE_FAULT,
        remedy=Remedy.FIX_PIPELINE,
        pin=PIN,
    )
    server = LiveServer()
    server.show(load_pages(), load_actions())
    server.tokens["eva"] = ENGINEER
    page = browser.page
    with server.serving(context):
        page.context.set_extra_http_headers({"authorization": "Bearer eva"})
        page.set_viewport_size({"width": 390, "height": 844})
        page.goto(f"{server.url}/decisions/{PROJECT}/{decision.record_id}?lang={language}")
        question = page.locator(".question")
        expect(question.get_by_role("heading")).to_contain_text(title)
        expect(question).to_contain_text(would)
        assert barriers(page) == []
        question.get_by_role("button", name=approve).click()
        expect(page.get_by_role("heading", level=1)).to_contain_text(sure)
        expect(page.get_by_text("noria schedules unpin features")).to_be_visible()
        page.get_by_role("button", name=approve).click()
        expect(page.locator(".notice.is-good")).to_contain_text(said)
    server.close()

    assert context.service(Decisions).get(PROJECT, decision.id).status is DecisionStatus.ACTING
    assert browser.complaints == []
