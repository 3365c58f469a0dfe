"""The pages of batches, over real HTTP."""

from __future__ import annotations

from noria.core.context import Context
from noria.core.errors import ErrorBody
from noria.serving.batch.entities import BatchEnd, BatchOptions, BatchProgress, NewBatchRun, SwitchBatch
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
from support.hostile import HOSTILE, assert_harmless
from support.pages import Reader, visible_text

OUTPUT = "postgresql://db/shop#scores"


def fill(context: Context, version: int, slot: Slot) -> str:
    """Put a run of a version into a slot, and give its id."""
    batches = context.service(Batches)
    output = slot_output(OUTPUT, slot)
    begun = batches.begin(
        "default",
        NewBatchRun(
            model="churn",
            version=version,
            identity=output,
            input="customers@1",
            output=output,
            options=BatchOptions(),
            batch="scores",
            slot=slot,
        ),
    )
    attempt = batches.attempt("default", begun.id).attempt
    batches.note("default", begun.id, BatchProgress(attempt=attempt, n_rows=4321, n_duplicates=3))
    batches.finish("default", begun.id, BatchEnd(attempt=attempt, n_rows=4321, n_unfit=2, written=output))
    return begun.id


def test_batches_show_what_is_live_and_what_compares_them(context: Context, reader: Reader) -> None:
    """Without any there is the command; then slots, comparison, rule and runs, failed ones with their reason."""
    assert "noria predict" in reader.get("/projects/default/batches").text
    batches, blue, green = context.service(Batches), fill(context, 1, Slot.BLUE), fill(context, 2, Slot.GREEN)
    batches.set_rule("default", "scores", SetRule(rule=Rule(min_gain=0.5)))
    comparison = Comparison(
        metric=Metric.ACCURACY,
        live=Slot.BLUE,
        live_run=blue,
        candidate_run=green,
        live_version=1,
        candidate_version=2,
        n_pairs=4000,
        n_blocks=4000,
        n_without_truth=321,
        live_value=0.7,
        candidate_value=0.8,
        gain=0.1,
        gain_low=0.05,
        gain_high=0.15,
        level=0.95,
        method="made up",
        verdict=Verdict.BETTER,
        truth=HOSTILE,
    )
    batches.compared("default", "scores", NewComparison(comparison=comparison))
    batches.switch("default", "scores", SwitchBatch(reason=HOSTILE))
    broken = batches.begin(
        "default",
        NewBatchRun(
            model="churn", version=3, identity="x", input=HOSTILE, output="elsewhere", options=BatchOptions()
        ),
    )
    error = BatchEnd(attempt=0, error=ErrorBody(code="unavailable", message=HOSTILE))
    batches.finish("default", broken.id, error)

    for path in ("/projects/default/batches", "/projects/default/batches/scores"):
        for language in ("en", "es"):
            answer = reader.get(path, language=language)
            assert_harmless(answer)
    listed = visible_text(reader.get("/projects/default/batches").text)
    assert "the candidate is better" in listed
    assert "failed" in listed
    shown = visible_text(reader.get("/projects/default/batches/scores").text)
    assert "churn v2" in shown
    assert "0.05" in shown
    assert "4,321" in shown
    assert "noria batches switch scores" in shown
    spanish = visible_text(reader.get("/projects/default/batches/scores", language="es").text)
    assert "la candidata es mejor" in spanish
    assert reader.get("/projects/default/batches/none").status_code == 404
