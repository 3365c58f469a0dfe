"""Pipelines that come with Noria, so that schedules, workers and triggers can predict and compare batches.

::

    [[schedules]]
    name = "scores"
    run = "noria.serving.batch.pipeline:predict"
    cron = "0 3 * * *"
    params = { model = "churn@production", input = "customers", output = "scores", key = "id",
               once = "scores {interval_start}" }

An interval that is run again says the same word in `once`, so its rows are written once.
"""

from __future__ import annotations

from typing import Any

import msgspec

from noria.core.workspace import current_workspace
from noria.pipelines.authoring import pipeline, step
from noria.serving.batch.client import predict as predict_rows


@step(cache=False)
def predicted(
    model: str,
    input: str,  # noqa: A002 - the word of the field
    output: str,
    key: str,
    keep: str,
    once: str,
    batch: str,
    slot: str,
    workers: int,
    input_url: str,
    append: bool,
    probabilities: bool,
    unfit: str,
) -> dict[str, Any]:
    """Predict a batch, and give its run; words that are empty are left out."""
    run = predict_rows(
        model,
        input,
        output or None,
        key=_listed(key),
        keep=_listed(keep),
        once=once or None,
        batch=batch or None,
        slot=slot or None,
        workers=workers,
        input_url=input_url or None,
        append=append,
        probabilities=probabilities,
        unfit=unfit,
        workspace=current_workspace(),
    )
    told: dict[str, Any] = msgspec.to_builtins(run)
    return told


@step(cache=False)
def compared(batch: str, truth: str, label: str, block: str, alpha: float, input_url: str) -> dict[str, Any]:
    """Hold both slots of a batch against the truth, and give what was found."""
    from noria.serving.batch.compare import compare_batch

    found = compare_batch(
        current_workspace(),
        batch,
        truth,
        label,
        block=block or None,
        alpha=alpha,
        input_url=input_url or None,
    )
    told: dict[str, Any] = msgspec.to_builtins(found)
    return told


@pipeline
def predict(
    model: str,
    input: str,  # noqa: A002 - the word of the field
    output: str = "",
    key: str = "",
    keep: str = "",
    once: str = "",
    batch: str = "",
    slot: str = "",
    workers: int = 1,
    input_url: str = "",
    append: bool = False,
    probabilities: bool = False,
    unfit: str = "refuse",
) -> dict[str, Any]:
    """Predict all rows of an input; `key` and `keep` are columns with commas between them."""
    return predicted(
        model, input, output, key, keep, once, batch, slot, workers, input_url, append, probabilities, unfit
    )


@pipeline
def compare(
    batch: str, truth: str, label: str, block: str = "", alpha: float = 0.05, input_url: str = ""
) -> dict[str, Any]:
    """Compare both slots of a batch, and switch if its rule says so."""
    return compared(batch, truth, label, block, alpha, input_url)


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
