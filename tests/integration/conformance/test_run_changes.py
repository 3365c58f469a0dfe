"""What changes a run besides logging: any status, another name, deletion, data sets; and where runs are found."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from noria.access.projects import NewProject, Projects
from noria.core.context import Context
from noria.core.errors import Invalid, NotFound, TooLarge
from noria.core.ids import new_id
from noria.core.permissions import Principal, Role
from noria.tracking.batches import ParamChanged
from noria.tracking.entities import (
    Dataset,
    Lifecycle,
    LogBatch,
    NewRun,
    RunChange,
    RunEnd,
    RunSource,
    RunStatus,
)
from noria.tracking.point_entities import MetricPoint
from noria.tracking.run_keys import RunDeleted, RunNotFound
from noria.tracking.service import Runs
from support.conformance import Services

PROJECT = "default"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_a_run_can_be_given_any_status(services: Services) -> None:
    """Unlike its end, which comes once, a status can be set whatever the run was."""
    runs = services(Runs)
    run = runs.create(PROJECT, NewRun(started_at=NOON))
    for status in (RunStatus.FINISHED, RunStatus.FAILED, RunStatus.SCHEDULED, RunStatus.KILLED):
        changed = runs.amend(PROJECT, run.id, RunChange(status=status))
        assert changed.status is status
        assert (changed.ended_at is not None) == status.ended
        assert changed == runs.get(PROJECT, run.id)
    assert runs.amend(PROJECT, run.id, RunChange(status=RunStatus.RUNNING)).ended_at is None


def test_a_run_can_end_at_an_unknown_moment(services: Services) -> None:
    """It has no end then, and the end that is told later; an end that is known already stays."""
    runs = services(Runs)
    run = runs.create(PROJECT, NewRun(started_at=NOON))
    open_end = RunChange(status=RunStatus.FINISHED, end_unknown=True)
    ended = runs.amend(PROJECT, run.id, open_end)
    assert (ended.status, ended.ended_at) == (RunStatus.FINISHED, None)

    later = runs.amend(PROJECT, run.id, RunChange(ended_at=NOON + timedelta(hours=1)))
    assert (later.status, later.ended_at) == (RunStatus.FINISHED, NOON + timedelta(hours=1))
    assert runs.amend(PROJECT, run.id, open_end) == later


def test_a_change_leaves_what_it_does_not_name(services: Services) -> None:
    """A new name changes neither status nor end, and an end no name."""
    runs = services(Runs)
    run = runs.create(PROJECT, NewRun(name="first", params={"a": "1"}))
    later = run.started_at + timedelta(hours=1)
    ended = runs.amend(PROJECT, run.id, RunChange(status=RunStatus.FAILED, ended_at=later))
    renamed = runs.amend(PROJECT, run.id, RunChange(name="second"))
    source = RunSource(command="train.py")
    told = runs.amend(PROJECT, run.id, RunChange(source=source))

    assert (ended.name, ended.ended_at) == ("first", later)
    assert renamed == msgspec.structs.replace(ended, name="second")
    assert told == msgspec.structs.replace(renamed, source=source)
    assert told.params == {"a": "1"}
    with pytest.raises(Invalid):
        runs.amend(PROJECT, run.id, RunChange(name="two\nlines"))


def test_a_deleted_run_is_read_and_restored_and_nothing_else(services: Services) -> None:
    """It is left out of lists, keeps what it holds, takes nothing more, and is as it was when restored."""
    runs = services(Runs)
    run = runs.create(PROJECT, NewRun(params={"a": "1"}))
    runs.delete(PROJECT, run.id)
    deleted = runs.get(PROJECT, run.id)

    assert deleted.deleted_at is not None
    assert deleted == msgspec.structs.replace(run, deleted_at=deleted.deleted_at)
    assert runs.list(PROJECT).items == []
    assert runs.list(PROJECT, lifecycle=Lifecycle.DELETED).items == [deleted]
    assert runs.list(PROJECT, lifecycle=Lifecycle.ALL).items == [deleted]
    for write in (
        lambda: runs.log(PROJECT, run.id, LogBatch(tags={"a": "b"})),
        lambda: runs.finish(PROJECT, run.id, RunEnd()),
        lambda: runs.amend(PROJECT, run.id, RunChange(name="x")),
        lambda: runs.amend(PROJECT, run.id, RunChange(status=RunStatus.FAILED)),
    ):
        with pytest.raises(RunDeleted, match=run.id):
            write()
    assert runs.restore(PROJECT, run.id) == run
    assert runs.restore(PROJECT, run.id) == run
    runs.log(PROJECT, run.id, LogBatch(tags={"a": "b"}))
    with pytest.raises(RunNotFound):
        runs.delete(PROJECT, new_id())


def test_a_run_is_found_in_whichever_project(services: Services, context: Context) -> None:
    """Its id tells project and experiment, unless the caller may not read that project."""
    services(Projects).create(NewProject(name="energy"))
    run = services(Runs).create("energy", NewRun(experiment="load"))
    place = services(Runs).locate(run.id)
    visitor = context.acting_as(Principal(name="ana", project_roles={PROJECT: Role.VIEWER})).service(Runs)

    assert (place.run_id, place.project, place.experiment) == (run.id, "energy", "load")
    assert (place.experiment_number, place.deleted_at) == (1, None)
    services(Runs).delete("energy", run.id)
    assert services(Runs).locate(run.id).deleted_at is not None
    for run_id in (run.id, new_id(), "x", "a b"):
        with pytest.raises(NotFound):
            visitor.locate(run_id)


DIGITS = Dataset(
    name="digits",
    digest="4f2a",
    source_type="local",
    source='{"uri":"digits.csv"}',
    schema='{"columns":[]}',
    profile='{"rows":1797}',
    tags={"mlflow.data.context": "training"},
)


def test_data_sets_of_a_run_come_back_once(services: Services) -> None:
    """Logging the same data set again keeps one; its tags are set anew; each run has its own uses."""
    runs = services(Runs)
    first, second = (runs.create(PROJECT, NewRun(name=name)) for name in ("first", "second"))
    other = Dataset(name="digits", digest="77aa")
    runs.log(PROJECT, first.id, LogBatch(datasets=[DIGITS, other]))
    again = msgspec.structs.replace(
        DIGITS, source="elsewhere", tags={"mlflow.data.context": "eval", "n": "1"}
    )
    runs.log(PROJECT, first.id, LogBatch(datasets=[again]))
    runs.log(PROJECT, second.id, LogBatch(datasets=[msgspec.structs.replace(DIGITS, tags={})]))

    kept = msgspec.structs.replace(DIGITS, tags={"mlflow.data.context": "eval", "n": "1"})
    assert runs.get(PROJECT, first.id).datasets == [kept, other]
    assert runs.get(PROJECT, second.id).datasets == [msgspec.structs.replace(DIGITS, tags={})]
    assert [run.datasets for run in runs.list(PROJECT).items] == [
        runs.get(PROJECT, second.id).datasets,
        [kept, other],
    ]


def test_data_sets_stand_in_the_order_of_first_use(services: Services) -> None:
    """As they were given, whatever their names and digests."""
    runs = services(Runs)
    given = [Dataset(name=name, digest=digest) for name, digest in (("b", "9"), ("b", "1"), ("a", "5"))]
    run = runs.create(PROJECT, NewRun())
    runs.log(PROJECT, run.id, LogBatch(datasets=given[:2]))
    runs.log(PROJECT, run.id, LogBatch(datasets=[given[2], given[0]]))

    assert runs.get(PROJECT, run.id).datasets == given


def test_writers_name_the_same_new_data_sets_in_other_orders(services: Services) -> None:
    """Neither waits for the other for ever, and both runs show all of them."""
    runs = services(Runs)
    ids = [runs.create(PROJECT, NewRun(name=name)).id for name in ("there", "back")]

    def log(run_id: str, n: int, step: int) -> None:
        given = [Dataset(name=f"{n} {at}", digest="1") for at in range(8)][::step]
        runs.log(PROJECT, run_id, LogBatch(datasets=given))

    with ThreadPoolExecutor(2) as pool:
        for n in range(5):
            for written in [
                pool.submit(log, run_id, n, step) for run_id, step in zip(ids, (1, -1), strict=True)
            ]:
                written.result(60)

    for run_id in ids:
        named = [dataset.name for dataset in runs.get(PROJECT, run_id).datasets]
        assert sorted(named) == sorted(f"{n} {at}" for n in range(5) for at in range(8))


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "x" * 501},
        {"digest": ""},
        {"digest": "x" * 37},
        {"source": "x" * 65_536},
        {"schema": "x" * 1_048_576},
        {"tags": {"k" * 256: "x"}},
        {"tags": {"k": "x" * 501}},
    ],
)
@pytest.mark.alike
def test_a_data_set_that_passes_a_limit_is_refused(services: Services, wrong: dict[str, object]) -> None:
    """Names, digests, sources, schemas and tags have their limits, and nothing of the batch is kept."""
    runs = services(Runs)
    run = runs.create(PROJECT, NewRun())

    with pytest.raises((Invalid, TooLarge)):
        runs.log(
            PROJECT,
            run.id,
            LogBatch(datasets=[msgspec.structs.replace(DIGITS, **wrong)], tags={"a": "b"}),
        )
    assert runs.get(PROJECT, run.id) == run


def test_a_changed_param_leaves_the_whole_batch_unwritten(services: Services) -> None:
    """Neither metrics nor tags nor the other params of a batch with a changed param are kept."""
    runs = services(Runs)
    run = runs.create(PROJECT, NewRun(params={"lr": "0.1"}))
    batch = LogBatch(
        params={"new": "1", "lr": "0.2"},
        tags={"t": "x"},
        metrics=[MetricPoint(key="m", value=1.0, at=NOON)],
    )
    with pytest.raises(ParamChanged, match=r"`lr`.*`0\.1`.*`0\.2`"):
        runs.log(PROJECT, run.id, batch)
    assert runs.get(PROJECT, run.id) == run
    runs.log(PROJECT, run.id, LogBatch(params={"new": "1", "lr": "0.1"}))
    assert runs.get(PROJECT, run.id).params == {"lr": "0.1", "new": "1"}


def test_no_run_is_its_own_ancestor(services: Services) -> None:
    """A tag that says so is kept, and the run has no parent; those below it stay where they are."""
    runs = services(Runs)
    ids = [runs.create(PROJECT, NewRun(name=f"r{at}")).id for at in range(4)]

    def name_parent(child: int, parent: int) -> None:
        runs.log(PROJECT, ids[child], LogBatch(tags={"mlflow.parentRunId": ids[parent]}))

    def parents() -> list[int | None]:
        found = [runs.get(PROJECT, run_id).parent for run_id in ids]
        return [None if parent is None else ids.index(parent) for parent in found]

    for child in (1, 2, 3):
        name_parent(child, child - 1)
    assert parents() == [None, 0, 1, 2]
    name_parent(0, 3)
    assert parents() == [None, 0, 1, 2]
    name_parent(2, 2)
    assert parents() == [None, 0, None, 2]
    assert runs.get(PROJECT, ids[2]).tags == {"mlflow.parentRunId": ids[2]}
    name_parent(0, 3)
    assert parents() == [3, 0, None, 2]


def test_a_parent_is_of_the_same_project(services: Services) -> None:
    """A tag that names a run elsewhere is a tag only."""
    services(Projects).create(NewProject(name="bank"))
    runs = services(Runs)
    foreign = runs.create("bank", NewRun()).id
    run = runs.create(PROJECT, NewRun()).id
    runs.log(PROJECT, run, LogBatch(tags={"mlflow.parentRunId": foreign}))

    assert runs.get(PROJECT, run).parent is None


def test_two_runs_that_name_each_other_at_once(services: Services) -> None:
    """One of them becomes the parent, whoever comes first."""
    runs = services(Runs)
    for _ in range(5):
        pair = [runs.create(PROJECT, NewRun()).id for _ in range(2)]
        start = threading.Barrier(2)

        def name(child: str, parent: str, start: threading.Barrier = start) -> None:
            start.wait()
            runs.log(PROJECT, child, LogBatch(tags={"mlflow.parentRunId": parent}))

        threads = [threading.Thread(target=name, args=order) for order in (pair, pair[::-1])]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = [runs.get(PROJECT, run_id).parent for run_id in pair]
        assert sorted(parent is None for parent in found) == [False, True]
