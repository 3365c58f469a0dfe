"""What the end of a run keeps with it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from noria.tracking.batches import ParamChanged
from noria.tracking.entities import LogBatch, MetricPoint, NewRun, RunEnd, RunStatus
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
