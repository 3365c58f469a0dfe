"""Batch runs and named batches, on each database and over each transport."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LinearRegression

import noria
from noria.access.audit import Audit
from noria.core.errors import Conflict, ErrorBody, Invalid, NotFound
from noria.core.workspace import Workspace
from noria.pipelines.jobs import Jobs
from noria.registry.client import register
from noria.serving.batch.entities import (
    Batch,
    BatchEnd,
    BatchOptions,
    BatchProgress,
    BatchRun,
    BatchStatus,
    NewBatchRun,
    SwitchBatch,
)
from noria.serving.batch.jobs import predict_job, submit_prediction
from noria.serving.batch.ledger import BatchRunNotFound
from noria.serving.batch.service import Batches
from noria.serving.batch.slot_entities import (
    Comparison,
    Metric,
    NewComparison,
    Rule,
    SetRule,
    Slot,
    Verdict,
    slot_output,
)
from support.conformance import Services

OUTPUT = "postgresql://db/shop#scores"


def new(identity: str, slot: Slot | None = None, **more: object) -> NewBatchRun:
    """Give a run to begin."""
    asked = NewBatchRun(
        model="churn",
        version=1,
        identity=identity,
        input="customers@1",
        output=OUTPUT if slot is None else slot_output(OUTPUT, slot),
        options=BatchOptions(key=("id",)),
        batch=None if slot is None else "scores",
        slot=slot,
    )
    return msgspec.structs.replace(asked, **more)


def done(batches: Batches, asked: NewBatchRun) -> BatchRun:
    """Put a run through."""
    run = batches.attempt("default", batches.begin("default", asked).id)
    return batches.finish("default", run.id, BatchEnd(attempt=run.attempt, n_rows=5, written=asked.output))


def test_a_run_is_one_however_often_it_is_begun(services: Services) -> None:
    """Until it ends well, the same rows to the same place are one run, of which the newest attempt is heard."""
    batches = services(Batches)
    begun = batches.begin("default", new("a"))
    assert (begun.status, begun.attempt, begun.n_rows) == (BatchStatus.RUNNING, 0, None)
    first = batches.attempt("default", begun.id)
    noted = batches.note("default", begun.id, BatchProgress(attempt=1, n_rows=9, n_done=4, chunk_rows=2))
    assert (noted.n_done, noted.chunk_rows, first.attempt) == (4, 2, 1)
    broken = BatchEnd(attempt=1, error=ErrorBody(code="unavailable", message="the sink is down"))
    assert batches.finish("default", begun.id, broken).status is BatchStatus.FAILED

    again = batches.begin("default", new("a"))
    assert (again.id, again.chunk_rows) == (begun.id, 2)
    assert batches.attempt("default", again.id).attempt == 2
    with pytest.raises(Conflict, match="later attempt"):
        batches.note("default", begun.id, BatchProgress(attempt=1, n_rows=9))
    late = batches.finish("default", begun.id, BatchEnd(attempt=1, n_rows=9, written="elsewhere"))
    assert late.status is BatchStatus.RUNNING
    with pytest.raises(Invalid):
        batches.finish("default", begun.id, BatchEnd(attempt=2, n_rows=9))
    ended = batches.finish("default", begun.id, BatchEnd(attempt=2, n_rows=9, predict_s=3.0, written=OUTPUT))
    assert (ended.status, ended.n_done, ended.error, ended.rows_per_s) == (
        BatchStatus.SUCCEEDED,
        9,
        None,
        None,
    )
    with pytest.raises(Conflict):
        batches.attempt("default", begun.id)
    assert batches.begin("default", new("a")).id != begun.id

    once = done(batches, new("b", once="monday"))
    assert batches.begin("default", new("c", once="monday")) == once
    with pytest.raises(Conflict, match="monday"):
        batches.begin("default", new("d", once="monday", model="other"))
    with pytest.raises(BatchRunNotFound):
        batches.run("default", "nothing")
    with pytest.raises(Invalid, match="go together"):
        batches.begin("default", new("e", batch="scores"))

    page = batches.runs("default", limit=2)
    assert page.items[0].id == once.id
    assert [run.id for run in batches.runs("default", before=page.next).items] == [begun.id]
    assert [run.id for run in batches.runs("default", status=BatchStatus.RUNNING, model="churn").items] == [
        page.items[1].id
    ]


def compared(batch: Batch, low: float) -> NewComparison:
    """Give a comparison of what the batch holds."""
    live, candidate = batch.slots[batch.live], batch.slots[batch.live.other]
    found = Comparison(
        metric=Metric.ACCURACY,
        live=batch.live,
        live_run=live.run_id,
        candidate_run=candidate.run_id,
        live_version=1,
        candidate_version=2,
        n_pairs=500,
        n_blocks=500,
        n_without_truth=0,
        live_value=0.7,
        candidate_value=0.8,
        gain=0.1,
        gain_low=low,
        gain_high=None,
        level=0.95,
        method="made up",
        verdict=Verdict.BETTER,
        truth="truth",
    )
    return NewComparison(comparison=found)


def test_a_switch_is_one_event_by_hand_or_by_rule(services: Services) -> None:
    """Asked again it changes nothing; a rule switches by a comparison of what the slots hold now."""
    batches = services(Batches)
    blue = done(batches, new("a", Slot.BLUE))
    made = batches.get("default", "scores")
    assert (made.output, made.live, made.slots[Slot.BLUE].run_id) == (OUTPUT, Slot.BLUE, blue.id)
    with pytest.raises(Conflict, match="slot green of `scores`"):
        batches.switch("default", "scores", SwitchBatch(to=Slot.GREEN))
    with pytest.raises(Conflict, match="has the output"):
        batches.begin("default", new("b", Slot.GREEN, output=f"{OUTPUT}2_green"))
    with pytest.raises(Conflict, match="`churn`, not `other`"):
        batches.begin("default", new("b", Slot.GREEN, model="other"))
    with pytest.raises(NotFound, match="There is no batch `score`"):
        batches.get("default", "score")
    done(batches, new("c", Slot.GREEN, version=2))
    for _ in range(2):
        switched = batches.switch("default", "scores", SwitchBatch(to=Slot.GREEN, reason="better"))
    assert (switched.live, switched.reason, switched.switched_by) == (Slot.GREEN, "better", "local")

    old = compared(switched, 0.01)
    assert not batches.compared("default", "scores", old).switched, "no rule"
    batches.set_rule("default", "scores", SetRule(rule=Rule(min_gain=0.02, min_pairs=100)))
    assert not batches.compared("default", "scores", old).switched, "too small a gain"
    found = batches.compared("default", "scores", compared(switched, 0.03))
    assert (found.switched, found.batch.live) == (True, Slot.BLUE)
    with pytest.raises(Conflict, match="since these rows were compared"):
        batches.compared("default", "scores", old)
    assert batches.set_rule("default", "scores", SetRule()).rule is None
    assert [batch.name for batch in batches.list("default").items] == ["scores"]
    events = services(Audit).events(type="batch.switched").items
    told = [(event.payload["from"], event.payload["to"], event.payload["reason"]) for event in events]
    assert sorted(told) == [("blue", "green", "better"), ("green", "blue", "by the rule of the batch")]


@pytest.mark.alike
def test_what_a_job_does_and_how_it_is_asked_for(
    workspace: Workspace, transport: str, tmp_path: Path
) -> None:
    """A worker predicts with what came over the wire, into a table there; no password goes on record."""
    x = np.arange(20.0).reshape(10, 2)
    register(LinearRegression().fit(x, x[:, 0]), "line", x=x, y=x[:, 0], workspace=workspace)
    pl.DataFrame({"id": range(10), "a": x[:, 0], "b": x[:, 1]}).write_csv(tmp_path / "in.csv")
    asked = {"ref": "line", "input": str(tmp_path / "in.csv"), "output": "scores", "key": ["id"]}
    told = predict_job(workspace, {**asked, "chunk_rows": 3})
    held = noria.dataset(told["written"], workspace=workspace).polars()
    assert (told["n_rows"], held["id"].to_list()) == (10, list(range(10)))
    assert held["prediction"].to_numpy() == pytest.approx(x[:, 0])
    if transport != "http":
        with pytest.raises(Invalid, match="No server"):
            submit_prediction(workspace, asked)
        return
    with pytest.raises(Invalid, match="password"):
        submit_prediction(workspace, {**asked, "output": "postgresql://me:secret@db/shop#scores"})
    job = submit_prediction(workspace, asked)
    assert workspace.service(Jobs).get("default", job.id).args == {"asked": asked}
