"""What `noria gc` removes for good, and what it leaves: on each database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from noria.core.clock import ManualClock
from noria.core.context import Context
from noria.core.control.testing import InlineSteps
from noria.core.database.schema import whole_metadata
from noria.core.errors import Invalid, NotFound
from noria.core.objects.references import object_references
from noria.core.objects.service import Objects
from noria.server.upkeep import TICKS, remove_deleted
from noria.tracking.entities import Dataset, Link, LogBatch, NewRun, RunEnd, Tags
from noria.tracking.experiment_entities import NewExperiment
from noria.tracking.logged_models import LoggedModels
from noria.tracking.model_entities import ModelUse, NewLoggedModel, RunModels
from noria.tracking.point_entities import MetricPoint, PointColumns
from noria.tracking.purging import OF_MODELS, OF_RUNS
from noria.tracking.service import Experiments, Runs
from noria.tracking.tables import run_counts, runs

PROJECT = "default"
DAY = timedelta(days=1)
DAY_S = DAY.total_seconds()


@pytest.fixture
def clock() -> ManualClock:
    """Give the clock of the workspace, which a test moves."""
    return ManualClock(datetime.now(UTC))


@pytest.fixture(params=["in_process"])
def transport(request: pytest.FixtureRequest) -> str:
    """Name the one transport: nobody purges through a server."""
    return str(request.param)


def full_run(context: Context, experiment: str, parent: str | None = None) -> str:
    """Make a run with something in every table."""
    service = context.service(Runs)
    run = service.create(
        PROJECT, NewRun(experiment=experiment, params={"a": "1"}, tags={"t": "x"}, parent=parent)
    )
    digest = context.service(Objects).put(PROJECT, [f"bytes of {run.id}".encode()]).digest
    steps = list(range(100))
    service.log(
        PROJECT,
        run.id,
        LogBatch(
            metrics=[MetricPoint(key="m", value=1.0, at=context.clock.now())],
            points={"n": PointColumns(steps=steps, at=steps, values=[0.5] * 100)},
            inputs=[Link(ref="dataset:digits@1")],
            datasets=[Dataset(name="d", digest=run.id, tags={"k": "v"})],
            artifacts={"file.txt": digest},
        ),
    )
    return run.id


def removed_rows(context: Context, older_than: timedelta, *, dry_run: bool = False) -> dict[str, int]:
    """Remove what was deleted, and give how many of what this suite deletes."""
    rows = remove_deleted(context, older_than=older_than, dry_run=dry_run).rows
    return {kind: rows[kind] for kind in ("runs", "logged models", "experiments")}


def n_rows(context: Context) -> dict[str, int]:
    """Count the rows of all tables that have some, but events, keys and uploads."""
    kept = {
        "events",
        "event_cursors",
        "tracking_keys",
        "alembic_version",
        "object_references",
        "object_trees",
        "project_objects",
    }
    with context.database.read() as connection:
        counted = {
            table.name: connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for table in whole_metadata().tables.values()
            if table.name not in kept
        }
        owned = sa.select(sa.func.count()).select_from(object_references)
        counted["references"] = connection.execute(owned).scalar_one()
    return {name: n for name, n in counted.items() if n}


def test_what_was_deleted_long_ago_leaves_nothing_behind(context: Context, clock: ManualClock) -> None:
    """After the grace period every row of a deleted run, model and experiment is gone, and only theirs."""
    full_run(context, "kept")
    before = n_rows(context)
    context.service(Experiments).create(PROJECT, NewExperiment(name="gone", tags={"a": "b"}))
    first = full_run(context, "gone")
    second = full_run(context, "gone", parent=first)
    files = [context.service(Runs).artifacts(PROJECT, run).items[0].digest for run in (first, second)]
    models = context.service(LoggedModels)
    made = models.create(PROJECT, NewLoggedModel(experiment="gone"))
    models.link(PROJECT, first, RunModels(outputs=[ModelUse(model=made.id)]))
    context.service(Experiments).delete(PROJECT, "gone")
    clock.advance(30 * DAY_S)

    assert set(removed_rows(context, 31 * DAY).values()) == {0}
    expected = {"runs": 2, "logged models": 1, "experiments": 1}
    held = n_rows(context)
    assert removed_rows(context, 29 * DAY, dry_run=True) == expected
    assert n_rows(context) == held
    assert removed_rows(context, 29 * DAY) == expected
    assert context.objects.missing(files) == set(files)
    assert n_rows(context) == before
    with pytest.raises(NotFound):
        context.service(Experiments).get(PROJECT, "gone")
    assert set(removed_rows(context, timedelta()).values()) == {0}


def test_a_server_removes_each_day_what_was_deleted_a_month_ago(context: Context, clock: ManualClock) -> None:
    """Without anybody asking, and not a day before the thirty days that a deleted run can be restored."""
    run = full_run(context, "e")
    context.service(Runs).delete(PROJECT, run)
    (tick,) = TICKS
    assert tick.every_s == DAY_S

    clock.advance(29 * DAY_S)
    tick.fn(InlineSteps(clock), context, clock.now())
    assert context.service(Runs).get(PROJECT, run).deleted_at is not None
    clock.advance(2 * DAY_S)
    tick.fn(InlineSteps(clock), context, clock.now())

    with pytest.raises(NotFound):
        context.service(Runs).get(PROJECT, run)


def test_a_child_outlives_its_parent(context: Context, clock: ManualClock) -> None:
    """Purging a run leaves those that were started inside it, which then have no parent."""
    parent = full_run(context, "e")
    child = full_run(context, "e", parent=parent)
    context.service(Runs).delete(PROJECT, parent)
    clock.advance(DAY_S)
    remove_deleted(context, older_than=timedelta())

    assert context.service(Runs).get(PROJECT, child).parent is None
    with pytest.raises(NotFound):
        context.service(Runs).get(PROJECT, parent)


def test_a_restored_run_keeps_its_experiment(context: Context, clock: ManualClock) -> None:
    """An experiment that was deleted stays as long as it has a run that is not to go."""
    kept, gone = full_run(context, "e"), full_run(context, "e")
    context.service(Experiments).delete(PROJECT, "e")
    context.service(Runs).restore(PROJECT, kept)
    clock.advance(DAY_S)
    removed = removed_rows(context, timedelta())

    assert removed == {"runs": 1, "logged models": 0, "experiments": 0}
    assert context.service(Experiments).restore(PROJECT, "e").name == "e"
    assert [run.id for run in context.service(Runs).list(PROJECT).items] == [kept]
    with pytest.raises(NotFound):
        context.service(Runs).get(PROJECT, gone)


def test_the_number_of_a_purged_experiment_is_never_given_again(context: Context, clock: ManualClock) -> None:
    """Programs know experiments by their number, so a new one must not be taken for an old one."""
    experiments = context.service(Experiments)
    number = experiments.create(PROJECT, NewExperiment(name="e")).number
    experiments.set_tags(PROJECT, "e", Tags(tags={"a": "b"}))
    experiments.delete(PROJECT, "e")
    clock.advance(DAY_S)
    remove_deleted(context, older_than=timedelta())

    assert experiments.create(PROJECT, NewExperiment(name="e")).number == number + 1


def test_counts_are_right_after_a_purge(context: Context, clock: ManualClock) -> None:
    """The counts that are kept are what counting would give."""
    ids = [full_run(context, "e") for _ in range(4)]
    service = context.service(Runs)
    service.finish(PROJECT, ids[0], RunEnd())
    for run_id in ids[:2]:
        service.delete(PROJECT, run_id)
    clock.advance(DAY_S)
    remove_deleted(context, older_than=timedelta())
    with context.database.read() as connection:
        kept = sa.select(run_counts.c.status, sa.func.sum(run_counts.c.n_runs)).group_by(run_counts.c.status)
        counted = sa.select(runs.c.status, sa.func.count()).group_by(runs.c.status)
        in_table = {status: n for status, n in connection.execute(kept) if n}

        assert in_table == dict(list(connection.execute(counted))) == {"running": 2}


def test_a_grace_period_before_now_is_refused(context: Context) -> None:
    """What will be deleted cannot be removed already."""
    with pytest.raises(Invalid):
        remove_deleted(context, older_than=-DAY)


def test_every_table_that_refers_to_runs_or_models_is_purged() -> None:
    """A table that is added and forgotten here would keep every run that it refers to."""
    for target, purged in (("runs", OF_RUNS), ("logged_models", OF_MODELS)):
        # Issues outlive the run that found them, and forget it: see `test_purging_whole.py`.
        names = {table.name for table in purged} | {"issues"}
        for table in whole_metadata().tables.values():
            for key in table.foreign_keys:
                if key.column.table.name == target and key.ondelete != "CASCADE" and table.name != target:
                    assert table.name in names, f"{table.name} refers to {target}"
