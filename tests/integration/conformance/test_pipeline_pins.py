"""A pipeline that broke is taken back: workers and people over each transport, the control loop on each database."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from noria.catalog.service import Catalog
from noria.core.clock import Clock, ManualClock
from noria.core.context import Context
from noria.core.workspace import Workspace
from noria.decisions.entities import OWN, Answer, DecisionSection, DecisionStatus, Policy, Remedy
from noria.decisions.service import Decisions
from noria.pipelines.schedules.service import Schedules
from support.conformance import Services, open_test_context, workspace_settings
from support.decisions import PROJECT
from support.project import user_project
from support.scheduled_incident import SCHEDULE, ScheduledIncident

SECTION = DecisionSection(
    policy=dict.fromkeys(OWN, Policy.FORBID), outcome_labels=20, outcome_patience_s=60.0
)


@pytest.fixture
def clock() -> Clock:
    """Give a clock that the tests move."""
    return ManualClock(datetime(2030, 1, 1, tzinfo=UTC))


@pytest.fixture
def context(tmp_path: Path, database_url: str, clock: Clock) -> Iterator[Context]:
    """Give the backends of a fresh workspace whose project says what may be decided."""
    chosen = workspace_settings(tmp_path / "workspace", database_url)
    chosen = replace(chosen, sections={"decisions": SECTION}, project_root=tmp_path / "project")
    with open_test_context(chosen, clock) as opened:
        yield opened


@pytest.fixture
def incident(context: Context, workspace: Workspace, tmp_path: Path) -> Iterator[ScheduledIncident]:
    """Give an endpoint whose rows an hourly pipeline makes, after three good hours."""
    with user_project(tmp_path / "project") as project:
        project.write("noria.toml", "")
        found = ScheduledIncident(context, folder=project.root, through=workspace)
        found.begin()
        for _ in range(3):
            found.an_hour()
        yield found


def test_a_pipeline_that_broke_is_named_taken_back_and_measured(
    incident: ScheduledIncident, services: Services
) -> None:
    """The step is named; who approves over the transport has the schedule run the code before; answers are right."""
    incident.apply(divisor="1")
    onset = incident.an_hour()[0]
    incident.an_hour()
    incident.decide(incident.alarm(onset))
    (asked,) = services(Decisions).list(PROJECT).items

    assert (asked.status, asked.remedy, asked.subject) == (
        DecisionStatus.ASKING,
        Remedy.FIX_PIPELINE,
        "step flows.py:scaled",
    ), asked.reason
    assert asked.pin is not None
    assert (asked.pin.schedule, asked.pin.revision, asked.pin.instead_of) == (SCHEDULE, 1, 2)

    approved = services(Decisions).approve(PROJECT, asked.id, Answer(reason="yes"))
    incident.on_sleep.append(incident.an_hour)
    incident.carry_out(approved)
    done = services(Decisions).get(PROJECT, asked.id)
    schedule = services(Schedules).get(PROJECT, SCHEDULE)
    outcome = services(Catalog).get(PROJECT, done.record_id).outcome

    assert done.status is DecisionStatus.DONE, done.reason
    assert schedule.revision == 1
    assert schedule.pin is not None
    assert asked.id in schedule.pin.reason
    assert outcome is not None
    assert outcome["result"] == "pinned"
    assert outcome["score_after"] > 0.85 > outcome["score_before"]
    assert [each.number for each in services(Schedules).revisions(PROJECT, SCHEDULE).items] == [2, 1]
    services(Schedules).unpin(PROJECT, SCHEDULE)
    assert services(Schedules).get(PROJECT, SCHEDULE).revision == 2
