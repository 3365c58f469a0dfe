"""From the endpoint's rows back to the scheduled pipeline: which step changed, and going back to the code before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from noria.catalog.entities import Candidate, DecisionRecord
from noria.catalog.service import Catalog
from noria.core.context import Context
from noria.core.events.log import EventLog
from noria.core.events.sealer import assign_positions
from noria.data.client import dataset
from noria.decisions.entities import (
    OWN,
    Answer,
    Cause,
    Decision,
    DecisionStatus,
    Policy,
    Remedy,
)
from noria.decisions.service import Decisions
from noria.decisions.upstream import change_upstream
from noria.monitoring.entities import AlertKind
from noria.pipelines.jobs import Jobs
from noria.pipelines.schedules.entities import Aside
from noria.pipelines.schedules.service import Schedules
from noria.serving.endpoints import Endpoints
from support.decisions import PROJECT, DyingSteps, Killed
from support.outside import Outside, listening
from support.project import user_project
from support.scheduled_incident import SCHEDULE, ScheduledIncident

QUIET = dict.fromkeys(OWN, Policy.FORBID)


@pytest.fixture
def incident(context: Context, tmp_path: Path) -> Iterator[ScheduledIncident]:
    """Give an endpoint whose rows an hourly pipeline makes, after three good hours."""
    with user_project(tmp_path / "project") as project:
        project.write("noria.toml", "")
        found = ScheduledIncident(context, folder=project.root)
        found.begin()
        for _ in range(3):
            found.an_hour()
        yield found


def decided(incident: ScheduledIncident, onset: int) -> Decision:
    incident.decide(incident.alarm(onset))
    return incident.decision()


def candidate(incident: ScheduledIncident, remedy: Remedy) -> Candidate:
    record = incident.context.service(Catalog).get(PROJECT, incident.decision().record_id)
    return next(each for each in record.candidates if each.name == remedy.value)


def test_the_step_is_named_and_a_person_lets_the_schedule_go_back(incident: ScheduledIncident) -> None:
    """A step that loses its unit is named; approved, the schedule runs the code before, and answers are right again."""
    incident.apply(divisor="1")
    onset = incident.an_hour()[0]
    incident.an_hour()
    asked = decided(incident, onset)

    assert (asked.cause, asked.subject) == (Cause.PIPELINE_FAULT, "step flows.py:scaled"), asked.reason
    assert (asked.status, asked.remedy) == (DecisionStatus.ASKING, Remedy.FIX_PIPELINE), asked.reason
    assert asked.pin is not None
    assert (asked.pin.schedule, asked.pin.revision, asked.pin.instead_of) == (SCHEDULE, 1, 2)
    assert "the schedule features runs revision 1 again" in asked.reason
    assert incident.context.service(Schedules).get(PROJECT, SCHEDULE).pin is None

    approved = incident.context.service(Decisions).approve(PROJECT, asked.id, Answer(reason="yes"))
    incident.on_sleep.append(incident.an_hour)
    incident.carry_out(approved)
    found = incident.decision()
    schedule = incident.context.service(Schedules).get(PROJECT, SCHEDULE)
    record = incident.context.service(Catalog).get(PROJECT, found.record_id)

    assert found.status is DecisionStatus.DONE, found.reason
    assert schedule.revision == 1
    assert schedule.pin is not None
    assert asked.id in schedule.pin.reason
    assert record.outcome is not None
    assert record.outcome["result"] == "pinned"
    assert record.outcome["score_after"] > 0.85 > record.outcome["score_before"]
    again = [
        run for run in incident.context.service(Schedules).history(PROJECT, SCHEDULE).items if run.attempt > 1
    ]
    assert len(again) == 2, "both broken hours were run again"


@pytest.mark.parametrize("settings", [{**QUIET, Remedy.FIX_PIPELINE: Policy.AUTOMATIC}], indirect=True)
def test_by_policy_it_is_done_at_once_and_taken_back_where_it_harms(incident: ScheduledIncident) -> None:
    """Carried out without a question; when the answers after it are surely worse, the schedule is unpinned."""
    incident.apply(divisor="1")
    onset = incident.an_hour()[0]
    incident.an_hour()

    def flipped() -> None:
        incident.an_hour(labelled=False)
        incident.predicted([9] * 120)  # labels that no answer meets

    incident.on_sleep.append(flipped)
    found = decided(incident, onset)
    record = incident.context.service(Catalog).get(PROJECT, found.record_id)

    assert found.status is DecisionStatus.DONE, found.reason
    assert found.remedy is Remedy.FIX_PIPELINE
    assert record.outcome is not None
    assert record.outcome["result"] == "rolled_back"
    schedule = incident.context.service(Schedules).get(PROJECT, SCHEDULE)
    assert (schedule.pin, schedule.revision) == (None, 2)


def test_without_any_label_the_revision_before_is_proposed_at_once(incident: ScheduledIncident) -> None:
    """What the steps show needs no label; what going back gains is not known, and a person is asked."""
    incident.apply(divisor="1")
    onset = incident.an_hour(labelled=False)[0]
    incident.an_hour(labelled=False)
    incident.decide(incident.alarm(onset, kind=AlertKind.DRIFT))
    found = incident.decision()

    assert (found.status, found.remedy, found.subject) == (
        DecisionStatus.ASKING,
        Remedy.FIX_PIPELINE,
        "step flows.py:scaled",
    ), found.reason
    assert found.pin is not None
    assert "0 labelled rows that it would have made are too few to judge it" in found.reason


def test_rows_that_nothing_names_are_found_by_their_number(incident: ScheduledIncident) -> None:
    """Without a key the earlier revision is tried on the same rows, since it makes as many."""
    incident.key = ()
    incident.apply(divisor="1")
    onset = incident.an_hour()[0]
    incident.an_hour()
    found = decided(incident, onset)

    assert found.remedy is Remedy.FIX_PIPELINE, found.reason
    assert candidate(incident, Remedy.FIX_PIPELINE).figures["score"].n == 120


def test_a_revision_that_no_longer_runs_is_told_and_not_taken(incident: ScheduledIncident) -> None:
    """The code before cannot read the new raw rows, so nothing is compared, and the decision says why."""
    incident.column = "euros"
    incident.apply(divisor="1", column="euros")
    onset = incident.an_hour()[0]
    incident.an_hour()
    found = decided(incident, onset)
    record = incident.context.service(Catalog).get(PROJECT, found.record_id)
    replay = next(each for each in record.evidence if each.stage == "replay")

    assert replay.verdict == "lacks"
    assert "could not be run on the same inputs: revision 1" in replay.sentence
    assert found.pin is None


def test_what_somebody_applied_meanwhile_is_not_undone(incident: ScheduledIncident) -> None:
    """Between the question and the answer a person mended the code: the approval changes nothing, and says so."""
    incident.apply(divisor="1")
    onset = incident.an_hour()[0]
    incident.an_hour()
    asked = decided(incident, onset)
    incident.apply(more='.select("id", "income", "age")')
    incident.carry_out(incident.context.service(Decisions).approve(PROJECT, asked.id, Answer()))
    found, schedule = incident.decision(), incident.context.service(Schedules).get(PROJECT, SCHEDULE)

    assert (found.status, found.reason) == (
        DecisionStatus.DONE,
        "The schedule features runs revision 3 by now, not 2",
    )
    assert (schedule.revision, schedule.pin) == (3, None)


@pytest.mark.parametrize("settings", [{**QUIET, Remedy.FIX_PIPELINE: Policy.FORBID}], indirect=True)
def test_a_pipeline_that_must_not_run_again_is_not_run_aside(incident: ScheduledIncident) -> None:
    """Where the project forbids the remedy, no job of the pipeline runs for the decision."""
    incident.apply(divisor="1")
    onset = incident.an_hour()[0]
    incident.an_hour()
    decided(incident, onset)
    entries = {job.entry for job in incident.context.service(Jobs).list(PROJECT, limit=100).items}

    assert "noria.decisions.aside:run_aside" not in entries
    assert "noria.decisions.jobs:diagnose" in entries


@pytest.mark.parametrize("settings", [{**QUIET, Remedy.FIX_PIPELINE: Policy.AUTOMATIC}], indirect=True)
@pytest.mark.parametrize(
    "dies_after", [24, *(pytest.param(after, marks=pytest.mark.soak) for after in (34, *range(0, 44, 3)))]
)
def test_a_killed_workflow_pins_once(incident: ScheduledIncident, dies_after: int) -> None:
    """Dying after any step before that is recorded, and run again on the record, it ends as if nothing had happened."""
    incident.apply(divisor="1")
    onset = incident.an_hour()[0]
    incident.an_hour()
    alert = incident.alarm(onset)
    incident.on_sleep.append(incident.an_hour)
    journal: list[object] = []
    with pytest.raises(Killed):
        incident.decide(alert, DyingSteps(incident, journal, dies_after))
    incident.decide(alert, DyingSteps(incident, journal))
    found = incident.decision()
    assign_positions(incident.context.database)
    told = EventLog(incident.context.database).read(0, limit=1000, subject=f"schedule:{SCHEDULE}")

    assert found.status is DecisionStatus.DONE, found.reason
    assert [event.type for event in told].count("schedule.pinned") == 1
    assert incident.context.service(Schedules).get(PROJECT, SCHEDULE).revision == 1


def test_code_that_gives_the_same_is_innocent(incident: ScheduledIncident) -> None:
    """A change of the code near the onset that changes no row is told as innocent, and nothing is pinned."""
    incident.apply(more='.select("id", "income", "age")')
    onset = incident.an_hour()[0]
    incident.an_hour()
    found = decided(incident, onset)
    record = incident.context.service(Catalog).get(PROJECT, found.record_id)
    replay = next(each for each in record.evidence if each.stage == "replay")

    assert found.cause is not Cause.PIPELINE_FAULT
    assert (replay.verdict, "the code is innocent" in replay.sentence) == ("same", True)
    assert found.pin is None


def test_a_trial_leaves_no_trace_in_production(incident: ScheduledIncident) -> None:
    """Data sets, their newest versions and results of steps are what they were: what ran aside is gone."""
    incident.apply(divisor="1")
    onset = incident.an_hour()[0]
    incident.an_hour()
    versions = {
        name: dataset(name, workspace=incident.workspace).current.version for name in ("raw", "customers")
    }
    decided(incident, onset)
    after = {
        name: dataset(name, workspace=incident.workspace).current.version for name in ("raw", "customers")
    }

    assert after == versions
    assert len(incident.context.service(Schedules).history(PROJECT, SCHEDULE).items) == 5


def test_an_old_change_is_not_blamed(incident: ScheduledIncident) -> None:
    """What changed long before the onset is no cause of it; what changed at it is found whatever comes later."""
    endpoint = incident.context.service(Endpoints).get(PROJECT, incident.endpoint)
    incident.apply(more='.select("id", "income", "age")')
    starts = [incident.an_hour()[0] for _ in range(6)]

    def found(onset: int) -> int | None:
        change = change_upstream(incident.context, PROJECT, endpoint, onset)
        return None if change is None else change.after

    assert [found(onset) for onset in starts] == [2, 2, 2, None, None, None]
    incident.answer([[50.0, 30.0]])
    head = starts[-1] + 120
    assert found(head) is None, "a row that no batch run predicted leads nowhere"


@pytest.fixture
def outside() -> Iterator[Outside]:
    """Give a program that the pipeline's last step tells each time that it made rows."""
    with listening() as made:
        yield made


def broken_again(incident: ScheduledIncident, outside: Outside, aside: Aside) -> tuple[DecisionRecord, int]:
    """Let a pipeline with an effect outside break; give what was decided, and how often it had the effect for that."""
    incident.apply(effect=outside.tell)
    incident.an_hour()
    incident.apply(divisor="1", effect=outside.tell, aside=aside)
    onset = incident.an_hour()[0]
    incident.an_hour()
    before = outside.n_told
    assert before == 3, "the pipeline told it once an hour"
    found = decided(incident, onset)
    return incident.context.service(Catalog).get(PROJECT, found.record_id), outside.n_told - before


def test_effects_outside_are_not_had_again_unless_the_schedule_lets_them(
    incident: ScheduledIncident, outside: Outside
) -> None:
    """Run aside, the step that connects is refused, and the evidence names it, the address and the key."""
    record, n_told = broken_again(incident, outside, Aside.CONFINED)
    replay = next(each for each in record.evidence if each.stage == "replay")

    assert n_told == 0
    assert replay.verdict == "lacks"
    assert f"may not connect to `127.0.0.1:{outside.port}`" in replay.sentence
    assert "`publish`" in replay.sentence
    assert 'aside = "free"' in replay.sentence
    assert record.cause != Cause.PIPELINE_FAULT.value


def test_a_schedule_that_lets_effects_be_had_again_is_compared(
    incident: ScheduledIncident, outside: Outside
) -> None:
    """Both revisions run on the newest inputs, the earlier one on those of an hour before, and tell each time."""
    record, n_told = broken_again(incident, outside, Aside.FREE)

    assert (record.cause, incident.decision().subject) == ("pipeline_fault", "step flows.py:scaled")
    assert n_told == 3


def test_a_schedule_that_is_never_run_aside(incident: ScheduledIncident, outside: Outside) -> None:
    """No job runs the pipeline, and the evidence says why."""
    record, n_told = broken_again(incident, outside, Aside.NEVER)
    replay = next(each for each in record.evidence if each.stage == "replay")
    entries = {job.entry for job in incident.context.service(Jobs).list(PROJECT, limit=100).items}

    assert n_told == 0
    assert 'the schedule says `aside = "never"`' in replay.sentence
    assert "noria.decisions.aside:run_aside" not in entries


def test_what_is_let_later_goes_for_a_change_before(incident: ScheduledIncident, outside: Outside) -> None:
    """A person who was refused the comparison lets it be made, and the schedule goes back from what it runs then."""
    broken_again(incident, outside, Aside.CONFINED)
    first = incident.decision()
    onset = first.onset_position
    incident.apply(divisor="1", effect=outside.tell, aside=Aside.FREE)
    incident.context.service(Decisions).reject(PROJECT, first.id, Answer(reason="look again"))
    again = decided(incident, onset)

    assert again.remedy is Remedy.FIX_PIPELINE, again.reason
    assert again.pin is not None
    assert (again.pin.revision, again.pin.instead_of) == (2, 4)
