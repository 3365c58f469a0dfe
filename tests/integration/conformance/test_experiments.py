"""What the service of experiments promises: tags, names, deletion, numbers; over each transport, on each database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from noria.access.projects import NewProject, Projects
from noria.core.context import Context
from noria.core.errors import Conflict, Forbidden, Invalid, NotFound, TooLarge
from noria.core.permissions import Principal, Role
from noria.tracking import tables
from noria.tracking.entities import Lifecycle, LogBatch, NewRun, RunChange, RunEnd, RunStatus, Tags
from noria.tracking.experiment_entities import ExperimentChange, NewExperiment
from noria.tracking.experiment_rows import ExperimentDeleted
from noria.tracking.run_keys import RunDeleted
from noria.tracking.service import Experiments, Runs
from support.conformance import Services

PROJECT = "default"
LONG_AGO = datetime(2020, 2, 3, tzinfo=UTC)


def test_an_experiment_keeps_what_it_was_given(services: Services) -> None:
    """Tags, location and time of a new experiment come back as they were."""
    experiments = services(Experiments)
    new = NewExperiment(
        name="digits", tags={"team": "vision", "note": "ü"}, artifact_location="s3://b/x", created_at=LONG_AGO
    )
    made = experiments.create(PROJECT, new)

    assert made == experiments.get(PROJECT, "digits") == experiments.by_number(made.number)
    assert (made.project, made.tags) == (PROJECT, {"note": "ü", "team": "vision"})
    assert (made.artifact_location, made.created_at) == ("s3://b/x", LONG_AGO)
    assert made.updated_at == LONG_AGO
    assert made.deleted_at is None
    assert experiments.list(PROJECT).items[0] == made


def test_tags_of_an_experiment_are_set_changed_and_removed(services: Services) -> None:
    """Each tag is its own; setting one leaves the others, and the experiment is younger afterwards."""
    experiments = services(Experiments)
    made = experiments.create(PROJECT, NewExperiment(name="digits", tags={"a": "1", "b": "2"}))
    changed = experiments.set_tags(PROJECT, "digits", Tags(tags={"a": "9", "b": None, "c": "x" * 20_000}))

    assert changed.tags == {"a": "9", "c": "x" * 20_000}
    assert changed.updated_at > made.updated_at
    assert experiments.get(PROJECT, "digits") == changed
    with pytest.raises(TooLarge, match="20000"):
        experiments.set_tags(PROJECT, "digits", Tags(tags={"a": "x" * 20_001}))
    with pytest.raises(Invalid):
        experiments.set_tags(PROJECT, "digits", Tags(tags={"../a": "x"}))


def test_an_experiment_is_renamed(services: Services) -> None:
    """Runs, number and tags stay; the old name is free; a name that is taken is refused."""
    experiments, runs = services(Experiments), services(Runs)
    run = runs.create(PROJECT, NewRun(experiment="digits"))
    number = experiments.get(PROJECT, "digits").number
    experiments.create(PROJECT, NewExperiment(name="taken"))

    with pytest.raises(Conflict, match="`taken`"):
        experiments.rename(PROJECT, "digits", ExperimentChange(name="taken"))
    renamed = experiments.rename(PROJECT, "digits", ExperimentChange(name="numbers"))
    assert (renamed.name, renamed.number) == ("numbers", number)
    assert runs.get(PROJECT, run.id).experiment == "numbers"
    with pytest.raises(NotFound):
        experiments.get(PROJECT, "digits")
    assert experiments.rename(PROJECT, "numbers", ExperimentChange(name="numbers")).number == number
    assert experiments.create(PROJECT, NewExperiment(name="digits")).number > number


def test_a_deleted_experiment_is_hidden_with_its_runs_and_comes_back(services: Services) -> None:
    """It can be read but not written to; restoring brings back the runs that went with it, and only those."""
    experiments, runs = services(Experiments), services(Runs)
    kept, gone = (runs.create(PROJECT, NewRun(experiment="digits")) for _ in range(2))
    runs.delete(PROJECT, gone.id)
    experiments.delete(PROJECT, "digits")
    experiments.delete(PROJECT, "digits")

    assert experiments.get(PROJECT, "digits").deleted_at is not None
    assert [e.name for e in experiments.list(PROJECT).items] == ["Default"]
    assert [e.name for e in experiments.list(PROJECT, lifecycle=Lifecycle.DELETED).items] == ["digits"]
    assert len(experiments.list(PROJECT, lifecycle=Lifecycle.ALL).items) == 2
    assert runs.list(PROJECT).items == []
    assert runs.get(PROJECT, kept.id).deleted_at is not None
    with pytest.raises(ExperimentDeleted, match="`digits`"):
        runs.create(PROJECT, NewRun(experiment="digits"))
    with pytest.raises(ExperimentDeleted):
        experiments.set_tags(PROJECT, "digits", Tags(tags={"a": "1"}))
    with pytest.raises(ExperimentDeleted):
        experiments.rename(PROJECT, "digits", ExperimentChange(name="numbers"))

    restored = experiments.restore(PROJECT, "digits")
    assert restored.deleted_at is None
    assert experiments.restore(PROJECT, "digits") == restored
    assert [run.id for run in runs.list(PROJECT).items] == [kept.id]
    runs.log(PROJECT, kept.id, LogBatch(tags={"back": "yes"}))


def test_an_experiment_can_come_back_with_every_run(services: Services) -> None:
    """Also with those that were deleted before it."""
    experiments, runs = services(Experiments), services(Runs)
    kept, gone = (runs.create(PROJECT, NewRun(experiment="digits")) for _ in range(2))
    runs.delete(PROJECT, gone.id)
    experiments.delete(PROJECT, "digits")

    experiments.restore(PROJECT, "digits", every_run=True)
    assert {run.id for run in runs.list(PROJECT).items} == {kept.id, gone.id}


def test_the_name_of_a_deleted_experiment_is_taken(services: Services) -> None:
    """Names are unique also among deleted experiments, and the message says how to get it back."""
    experiments = services(Experiments)
    experiments.create(PROJECT, NewExperiment(name="digits"))
    experiments.delete(PROJECT, "digits")

    with pytest.raises(Conflict, match="`digits`") as caught:
        experiments.create(PROJECT, NewExperiment(name="digits"))
    assert "restore" in (caught.value.hint or "")


def test_a_number_finds_an_experiment_of_any_project(services: Services, context: Context) -> None:
    """By its number an experiment is found in whichever project, unless the caller may not read that one."""
    services(Projects).create(NewProject(name="energy"))
    made = services(Experiments).create("energy", NewExperiment(name="load"))
    stranger = Principal(name="ana", project_roles={PROJECT: Role.ADMIN})
    visitor = context.acting_as(stranger).service(Experiments)

    assert services(Experiments).by_number(made.number).project == "energy"
    assert visitor.by_number(0).name == "Default"
    for number in (made.number, 999, -1):
        with pytest.raises(NotFound, match=str(number)):
            visitor.by_number(number)
    with pytest.raises((Forbidden, NotFound)):
        context.acting_as(stranger).guarded(Experiments).get("energy", "load")


def test_runs_are_counted_by_experiment_status_and_deletion(services: Services) -> None:
    """The counts follow every change of a run, and of the experiment that it belongs to."""
    experiments, runs = services(Experiments), services(Runs)
    ids = [runs.create(PROJECT, NewRun(experiment="digits")).id for _ in range(3)]
    runs.create(PROJECT, NewRun())

    def counted() -> set[tuple[str, str, bool, int]]:
        return {(c.experiment, str(c.status), c.deleted, c.n_runs) for c in runs.counts(PROJECT).items}

    runs.finish(PROJECT, ids[0], RunEnd(status=RunStatus.FAILED))
    runs.amend(PROJECT, ids[1], RunChange(status=RunStatus.SCHEDULED))
    others = {("Default", "running", False, 1)}
    assert counted() == others | {("digits", s, False, 1) for s in ("failed", "scheduled", "running")}
    runs.delete(PROJECT, ids[0])
    runs.delete(PROJECT, ids[0])
    assert counted() == others | {
        ("digits", "failed", True, 1),
        ("digits", "scheduled", False, 1),
        ("digits", "running", False, 1),
    }
    experiments.delete(PROJECT, "digits")
    assert counted() == others | {("digits", s, True, 1) for s in ("failed", "scheduled", "running")}
    experiments.restore(PROJECT, "digits")
    runs.restore(PROJECT, ids[0])
    runs.resume(PROJECT, ids[0])
    assert counted() == others | {("digits", "running", False, 2), ("digits", "scheduled", False, 1)}


def test_counts_stay_right_under_writers_at_once(services: Services, context: Context) -> None:
    """Eight callers that make, end and delete runs and their experiment leave the counts that counting gives."""
    experiments, runs = services(Experiments), services(Runs)
    experiments.create(PROJECT, NewExperiment(name="busy"))

    def work(worker: int) -> None:
        for turn in range(4):
            try:
                run = runs.create(PROJECT, NewRun(experiment="busy"))
                runs.finish(
                    PROJECT, run.id, RunEnd(status=RunStatus.FAILED if turn % 2 else RunStatus.KILLED)
                )
                if worker % 2:
                    runs.delete(PROJECT, run.id)
            except (ExperimentDeleted, RunDeleted):
                experiments.restore(PROJECT, "busy")
            if worker == turn:
                experiments.delete(PROJECT, "busy")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    deleted = sa.case((tables.runs.c.deleted_at.is_(None), 0), else_=1)
    groups = (tables.runs.c.experiment_pk, deleted, tables.runs.c.status)
    with context.database.read() as connection:
        counted = {
            tuple(row) for row in connection.execute(sa.select(*groups, sa.func.count()).group_by(*groups))
        }
        query = sa.select(tables.run_counts).where(tables.run_counts.c.n_runs > 0)
        kept = {tuple(row) for row in connection.execute(query)}
    assert kept == counted
