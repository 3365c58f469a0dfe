"""The page of a rollout and what it does, over real HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from noria.core.context import Context
from noria.core.events.sealer import Sealer
from noria.core.permissions import Principal, Role
from noria.serving.entities import (
    ApprovalPoint,
    Approvals,
    Deployment,
    Reason,
    RolloutStatus,
    Strategy,
)
from noria.serving.rollouts.passage import advance
from noria.serving.service import Endpoints, Rollouts
from support.hostile import HOSTILE, assert_harmless
from support.pages import Reader, visible_text
from support.wheel import PROJECT, Turn, Words, turn_once

BOTH = pytest.mark.parametrize(
    "database_kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
)
EVA = Principal(name="eva", role=Role.ENGINEER, holds_key=True)
ZOE = Principal(name="zoe", role=Role.ENGINEER, holds_key=True)
VIEWER = Principal(name="ana", project_roles={"default": Role.VIEWER}, holds_key=True)


@pytest.fixture
def rollouts(context: Context) -> Rollouts:
    """Give the service."""
    return context.service(Rollouts)


def canary(context: Context, words: Words | None = None) -> str:
    """Have a canary in its first step; give its id."""
    turn_once(context, words, close=False)
    rollout = context.service(Rollouts).list(PROJECT).items[0]
    for _ in range(2):
        advance(context, rollout.id)
        Turn(context, words)._follow()
    return rollout.id


def page_of(rollout_id: str) -> str:
    """Give the page of a rollout."""
    return f"/projects/default/rollouts/{rollout_id}"


@BOTH
def test_a_rollout_tells_how_far_it_is(reader: Reader, context: Context) -> None:
    """Shares, the present step with its gates, and what it waits for are told."""
    shown = reader.text(page_of(canary(context)))

    for told in (
        "Rollout of digits: v1 → v2",
        "under way in steps",
        "v1 90 % v2 10 %",
        "requests of this step",
        "Waits for",
        "Loading the new version",
        "Step 1: 10 % of the requests",
        "Step 2: 50 % of the requests not begun",
        "errors … undecided",
        "a decision",
        "Begun by local",
    ):
        assert told.lower() in shown.lower(), shown


@BOTH
def test_an_ended_rollout_tells_its_outcome(reader: Reader, context: Context, rollouts: Rollouts) -> None:
    """How it ended, and why, is told; nothing can be done with it any more."""
    rollout_id = canary(context)
    rollouts.abort(PROJECT, rollout_id, Reason(reason="too slow"))
    page = reader.get(page_of(rollout_id))
    shown = visible_text(page.text)

    assert "↩ rolled back" in shown
    assert "Rolled back: version 1 answers every request too slow" in shown
    assert f'action="{page_of(rollout_id)}' not in page.text


def test_a_first_deployment_has_no_steps(reader: Reader, context: Context, rollouts: Rollouts) -> None:
    """The first version took its place at once."""
    turn = Turn(context)
    turn.registered()
    shown = reader.text(page_of(turn.deployed()))

    assert "First deployment of digits: v1" in shown
    assert "there were no steps and no gates" in shown


@BOTH
def test_a_rollout_is_paused_and_goes_on(reader: Reader, context: Context, rollouts: Rollouts) -> None:
    """Both need no question, each takes the other back, and the timeline has who did it."""
    rollout_id = canary(context)
    path = page_of(rollout_id)
    paused = reader.send(reader.form(path, f"{path}/pause", name="pause"))
    assert paused.status_code == 303
    assert rollouts.get(PROJECT, rollout_id).status is RolloutStatus.PAUSED
    resumed = reader.send(reader.form(path, f"{path}/resume", name="resume"))
    Sealer(context.database, context.clock, context.settings.folder).tick()

    assert resumed.status_code == 303
    assert rollouts.get(PROJECT, rollout_id).status is RolloutStatus.RUNNING
    assert "Resumed by local" in reader.text(path)
    assert "Paused by local" in reader.text(path)


@pytest.mark.parametrize(
    ("part", "asked", "version"),
    [
        ("promote", "The steps and gates that are left are passed over", 2),
        ("abort", "End the rollout: version 2 → version 1?", 1),
    ],
)
def test_a_rollout_is_ended_after_a_question(
    reader: Reader, context: Context, part: str, asked: str, version: int
) -> None:
    """What happens is shown before it happens; a second click is told that there is nothing left to end."""
    rollout_id = canary(context)
    path = page_of(rollout_id)
    form = reader.form(path, f"{path}/{part}", name=part)
    question = reader.send(form)
    assert question.status_code == 200
    assert asked in visible_text(question.text)
    done = reader.send(form, confirmed="yes")

    assert (done.status_code, done.headers["location"]) == (303, path)
    shares = context.service(Endpoints).get(PROJECT, "digits").shares
    assert [(share.version, share.weight) for share in shares] == [(version, 1.0)]
    other = "abort" if part == "promote" else "promote"
    late = reader.send(form, confirmed="yes")
    form.action = f"{path}/{other}"
    crossed = reader.send(form, confirmed="yes")
    assert late.status_code == 303
    assert crossed.status_code == 409


@pytest.mark.parametrize("language", ["en", "es"])
def test_what_users_write_stays_text(
    reader: Reader, context: Context, rollouts: Rollouts, language: str
) -> None:
    """Markup in a reason is shown as text."""
    rollout_id = canary(context)
    rollouts.pause(PROJECT, rollout_id, Reason(reason=HOSTILE))
    Sealer(context.database, context.clock, context.settings.folder).tick()
    assert_harmless(reader.get(page_of(rollout_id), language=language))
    rollouts.promote(PROJECT, rollout_id, Reason(reason=HOSTILE))
    assert_harmless(reader.get(page_of(rollout_id), language=language))


def test_what_a_rollout_says_is_told_in_the_readers_language(
    reader: Reader, context: Context, rollouts: Rollouts
) -> None:
    """What it waits for, and why it ended, without a word of English."""
    rollout_id = canary(context)
    said = rollouts.check(PROJECT, rollout_id).waits_for

    waiting = reader.get(page_of(rollout_id), language="es")
    rollouts.abort(PROJECT, rollout_id, Reason())
    ended = reader.get(page_of(rollout_id), language="es")

    assert said
    assert not [each for each in said if each in visible_text(waiting.text)]
    assert "Terminado a mano" in visible_text(ended.text)
    assert '<span lang="en">' not in waiting.text + ended.text


def test_a_viewer_steers_nothing(reader: Reader, context: Context, rollouts: Rollouts) -> None:
    """A viewer sees no button, and is refused what one would do."""
    path = page_of(canary(context))
    reader.server.is_open = False
    reader.server.tokens["t"] = VIEWER
    page = reader.get(path, token="t")
    headers: Any = {"authorization": "Bearer t", "origin": reader.server.url}
    sent = reader.client.post(f"{reader.server.url}{path}/promote", data={"csrf": "x"}, headers=headers)

    assert page.status_code == 200
    assert f'action="{path}' not in page.text
    assert sent.status_code == 403
    assert rollouts.list(PROJECT).items[0].status is RolloutStatus.RUNNING


def test_an_unknown_rollout_is_told(reader: Reader) -> None:
    """A wrong id leads to the list."""
    answer = reader.get(page_of("0" * 32))

    assert answer.status_code == 404
    assert "There is no rollout" in visible_text(answer.text)


def test_a_shadow_tells_what_it_predicts_and_who_has_to_agree(
    reader: Reader, context: Context, rollouts: Rollouts
) -> None:
    """What callers do not see is told apart from what they do; others approve with a button, the beginner cannot."""
    turn_once(context)
    wish = Deployment(
        model="digits",
        version=1,
        strategy=Strategy.BLUE_GREEN,
        approvals=Approvals(n=2, before=ApprovalPoint.START),
    )
    made = context.acting_as(ZOE).service(Endpoints).deploy(PROJECT, "digits", wish)
    context.acting_as(EVA).service(Rollouts).approve(PROJECT, made.id, Reason(reason="it is cheaper"))

    waiting = reader.text(page_of(made.id))
    reader.send(reader.form(page_of(made.id), f"{page_of(made.id)}/approve", name="approve"))
    for _ in range(2):
        Turn(context, None)._follow()
        advance(context, made.id)
    begun = reader.get(page_of(made.id)).text
    rollouts.abort(PROJECT, made.id, Reason())
    ended = reader.text(page_of(made.id))

    assert "1 of 2 before it begins: eva" in waiting
    assert "Approved by eva it is cheaper" in waiting
    shown = visible_text(begun)
    assert "2 of 2 before it begins: eva, local" in shown
    assert f'action="{page_of(made.id)}/approve' not in begun
    assert "Version 1 predicts 100 % of these requests too; callers do not see it" in shown
    assert "Step 1: 100 % of the requests, predicted along" in shown
    assert "Step 2: 100 % of the requests not begun" in shown
    assert "Version Requests Errors Latency, mean Labels Quality v1 0 0" in ended
