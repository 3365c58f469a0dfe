"""The workflow that brings a rollout to its end."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from noria.core.clock import ManualClock
from noria.core.context import Context
from noria.core.control.testing import InlineSteps
from noria.core.control.workflows import event_arguments
from noria.core.events.log import EventLog
from noria.core.workspace import InProcess, Workspace
from noria.registry.entities import NewModel, NewName
from noria.registry.service import Models
from noria.serving.control import REACTIONS, follow_name, rollout
from noria.serving.entities import Deployment, Reason, Rollout, RolloutStatus, RolloutStep, Strategy
from noria.serving.gate_rules import Verdict
from noria.serving.predictions import CaptureBatch
from noria.serving.service import Captures, Endpoints, Rollouts
from support.conformance import open_test_context, workspace_settings
from support.serving import follow, predictions, register_version

START = datetime(2030, 1, 1, tzinfo=UTC)
STEPS = [
    RolloutStep(weight=0.1, bake_s=10, min_requests=20),
    RolloutStep(weight=0.5, bake_s=10, min_requests=20),
]


class BusyClock(ManualClock):
    """A clock on which, while somebody sleeps, a model server answers requests."""

    failing_from_s = float("inf")
    serving_from_s = 0.0

    def __init__(self) -> None:
        super().__init__(START)
        self.workspace: Workspace | None = None
        self._ids = itertools.count()

    def sleep(self, seconds: float) -> None:
        """Let time pass, and 40 requests to each version with it."""
        super().sleep(seconds)
        if self.workspace is None or self.monotonic() < self.serving_from_s:
            return
        follow(self.workspace.service(Endpoints))
        revision = self.workspace.service(Endpoints).get("default", "live").revision
        broken = "broken" if self.monotonic() > self.failing_from_s else None
        ids = [f"p{next(self._ids)}" for _ in range(80)]
        batch = [
            *predictions(ids[:40], version=1, revision=revision),
            *predictions(ids[40:], version=2, revision=revision, error=broken),
        ]
        self.workspace.service(Captures).append("default", "live", CaptureBatch(predictions=batch))


@pytest.fixture
def clock() -> BusyClock:
    """Give the clock of the workspace."""
    return BusyClock()


@pytest.fixture
def context(tmp_path: Path, clock: BusyClock) -> Iterator[Context]:
    """Give a workspace whose endpoint `live` is served by version 1 of `digits`."""
    with open_test_context(workspace_settings(tmp_path), clock) as opened:
        clock.workspace = Workspace(opened.settings, InProcess(opened), clock)
        register_version(clock.workspace)
        register_version(clock.workspace)
        opened.service(Endpoints).deploy("default", "live", Deployment(model="digits", version=1))
        yield opened


def _run(context: Context, clock: BusyClock, plan: Deployment) -> tuple[Rollout, InlineSteps]:
    made = context.service(Endpoints).deploy("default", "live", plan)
    steps = InlineSteps(clock)
    rollout.fn(steps, context, {"payload": {"rollout_id": made.id}})
    return context.service(Rollouts).get("default", made.id), steps


def _canary(**options: object) -> Deployment:
    return Deployment(model="digits", version=2, strategy=Strategy.CANARY, steps=STEPS, **options)  # type: ignore[arg-type]


def test_a_healthy_canary_is_promoted_step_by_step(context: Context, clock: BusyClock) -> None:
    """Each step lasts its bake time, passes its gates and is written down; the alias moves at the end."""
    ended, _ = _run(context, clock, _canary(alias="champion"))

    assert (ended.status, ended.reason) == (RolloutStatus.PROMOTED, "Every step passed its gates")
    assert [(step.step, step.weight, step.verdict) for step in ended.history] == [
        (-1, 0.0, Verdict.PASS),
        (0, 0.1, Verdict.PASS),
        (1, 0.5, Verdict.PASS),
    ]
    for step in ended.history[1:]:
        assert step.started_at is not None
        assert (step.ended_at - step.started_at).total_seconds() >= 10
        assert step.n_requests >= 20
    assert [share.version for share in context.service(Endpoints).get("default", "live").shares] == [2]
    assert context.service(Models).resolve("default", "digits@champion").version == 2


def test_a_canary_that_begins_to_fail_is_rolled_back(context: Context, clock: BusyClock) -> None:
    """The gate says why, and the old version has all requests again."""
    clock.failing_from_s = 8

    ended, _ = _run(context, clock, _canary())

    assert ended.status is RolloutStatus.ROLLED_BACK
    assert "errors:" in (ended.reason or "")
    assert ended.history[-1].verdict is Verdict.FAIL
    assert [share.version for share in context.service(Endpoints).get("default", "live").shares] == [1]


def test_a_rollout_that_ended_by_hand_ends_its_workflow(context: Context, clock: BusyClock) -> None:
    """The workflow finds it ended, and only moves the alias."""
    made = context.service(Endpoints).deploy("default", "live", _canary(alias="champion"))
    context.service(Rollouts).promote("default", made.id, Reason())
    steps = InlineSteps(clock)

    answer = rollout.fn(steps, context, {"payload": {"rollout_id": made.id}})

    assert answer == {"rollout_id": made.id, "status": "promoted"}
    assert steps.names == ["advance", "alias"]


def test_waiting_for_long_is_cheap(context: Context, clock: BusyClock) -> None:
    """A rollout that nobody serves is looked at ever more rarely, and begins soon after somebody does."""
    clock.serving_from_s = 3 * 3600
    made = context.service(Endpoints).deploy("default", "live", _canary())
    steps = InlineSteps(clock)

    rollout.fn(steps, context, {"payload": {"rollout_id": made.id}})
    ended = context.service(Rollouts).get("default", made.id)

    assert ended.status is RolloutStatus.PROMOTED
    assert len(steps.names) < 900


def test_the_event_of_a_start_starts_the_workflow(context: Context) -> None:
    """What the reaction listens to is what a deployment appends, with the id that the workflow needs."""
    made = context.service(Endpoints).deploy("default", "live", _canary())
    reaction = next(each for each in REACTIONS if each.workflow == rollout.name)

    events = EventLog(context.database).read(0, types=sorted(reaction.event_types))

    assert events[-1].payload["rollout_id"] == made.id


def test_endpoints_follow_the_name_of_their_model(context: Context, clock: BusyClock) -> None:
    """Another model that takes the former name is none of theirs; models without endpoints need no work."""
    models = context.service(Models)
    models.create("default", NewModel(name="unserved"))
    models.rename("default", "unserved", NewName(name="unserved still"))
    models.rename("default", "digits", NewName(name="numbers"))
    models.create("default", NewModel(name="digits"))
    reaction = next(each for each in REACTIONS if each.workflow == follow_name.name)
    assert reaction.when is not None
    for event in EventLog(context.database).read(0, types=[*reaction.event_types]):
        assert reaction.when(context, event) is (event.payload["before"] == "digits")
        follow_name.fn(InlineSteps(clock), context, event_arguments(event))

    assert context.service(Endpoints).get("default", "live").model == "numbers"
    assert (
        context.service(Endpoints)
        .deploy("default", "live", Deployment(model="numbers", version=2, strategy=Strategy.REPLACE))
        .to_version
        == 2
    )
