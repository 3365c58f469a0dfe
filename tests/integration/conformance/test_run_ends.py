"""What the end of a run keeps with it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from noria.core.errors import Invalid
from noria.core.ids import new_id
from noria.tracking.batches import ParamChanged
from noria.tracking.entities import LogBatch, NewRun, RunEnd, RunRecord, RunStatus
from noria.tracking.point_entities import MetricPoint
from noria.tracking.service import Runs
from support.conformance import Services


@pytest.fixture
def runs(services: Services) -> Runs:
    return services(Runs)


def test_what_comes_with_the_end_is_kept(runs: Runs) -> None:
    """One request keeps what was logged last and ends the run."""
    run = runs.create("default", NewRun())
    point = MetricPoint(key="a", value=0.5, step=3, at=datetime.now(UTC))
    last = LogBatch(params={"lr": "1"}, metrics=[point])
    ended = runs.finish("default", run.id, RunEnd(last=last))

    assert (ended.status, ended.params, ended.metrics) == (RunStatus.FINISHED, {"lr": "1"}, {"a": 0.5})


def test_an_end_whose_last_batch_is_refused_is_none(runs: Runs) -> None:
    """All of it happens, or nothing."""
    run = runs.create("default", NewRun(params={"lr": "1"}))
    with pytest.raises(ParamChanged):
        runs.finish("default", run.id, RunEnd(last=LogBatch(params={"lr": "2"}, tags={"t": "x"})))
    kept = runs.get("default", run.id)

    assert (kept.status, kept.tags) == (RunStatus.RUNNING, {})


def test_a_run_can_be_recorded_whole(runs: Runs) -> None:
    """One request keeps all of it, and tells the events of its start and its end; the same again changes nothing."""
    new = NewRun(id=new_id(), name="whole", experiment="digits", params={"a": "1"}, tags={"t": "x"})
    last = LogBatch(params={"lr": "1"}, metrics=[MetricPoint(key="a", value=0.5, at=datetime.now(UTC))])
    for _ in range(2):
        runs.record("default", RunRecord(new=new, end=RunEnd(status=RunStatus.FAILED, last=last)))
    (kept,) = runs.list("default").items

    assert (kept.id, kept.name, kept.experiment, kept.status) == (new.id, "whole", "digits", RunStatus.FAILED)
    assert (kept.params, kept.tags, kept.metrics) == ({"a": "1", "lr": "1"}, {"t": "x"}, {"a": 0.5})
    assert kept.ended_at is not None
    counted = [(count.status, count.n_runs) for count in runs.counts("default").items if count.n_runs]
    assert counted == [(RunStatus.FAILED, 1)]


def test_what_is_recorded_whole_is_checked_as_elsewhere(runs: Runs) -> None:
    """It needs an id, an end and good names; of a refused one nothing is kept."""
    new = NewRun(id=new_id(), params={"lr": "1"})
    for record in (
        RunRecord(new=NewRun(), end=RunEnd()),
        RunRecord(new=new, end=RunEnd(status=RunStatus.RUNNING)),
        RunRecord(new=NewRun(id=new_id(), params={"../a": "1"}), end=RunEnd()),
        RunRecord(new=new, end=RunEnd(ended_at=datetime(2000, 1, 1, tzinfo=UTC))),
    ):
        with pytest.raises(Invalid):
            runs.record("default", record)
    with pytest.raises(ParamChanged):
        runs.record("default", RunRecord(new=new, end=RunEnd(last=LogBatch(params={"lr": "2"}))))

    assert runs.list("default").items == []
