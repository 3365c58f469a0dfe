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

import importlib
from typing import Any

from noria.pipelines.authoring import pipeline, step


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
    endpoint: str,
) -> dict[str, Any]:
    """Predict a batch, and give its run; words that are empty are left out."""
    return _done(
        "noria.serving.batch.client:predict",
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
        endpoint=endpoint or None,
    )


@step(cache=False)
def compared(batch: str, truth: str, label: str, block: str, alpha: float, input_url: str) -> dict[str, Any]:
    """Hold both slots of a batch against the truth, and give what was found."""
    return _done(
        "noria.serving.batch.compare:compare_here",
        batch,
        truth,
        label,
        block=block or None,
        alpha=alpha,
        input_url=input_url or None,
    )


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
    endpoint: str = "",
) -> dict[str, Any]:
    """Predict all rows of an input; `key` and `keep` are columns with commas between them."""
    return predicted(
        model,
        input,
        output,
        key,
        keep,
        once,
        batch,
        slot,
        workers,
        input_url,
        append,
        probabilities,
        unfit,
        endpoint,
    )


@pipeline
def compare(
    batch: str, truth: str, label: str, block: str = "", alpha: float = 0.05, input_url: str = ""
) -> dict[str, Any]:
    """Compare both slots of a batch, and switch if its rule says so."""
    return compared(batch, truth, label, block, alpha, input_url)


def _done(target: str, *given: Any, **named: Any) -> dict[str, Any]:
    """Call a function that is found by its name, and give what it gave as JSON has it.

    Before each step all code is read that it leads to, to tell whether its result is known. These steps always run, so
    that would take longer than many predictions, and for nothing.
    """
    module, _, name = target.partition(":")
    found = getattr(importlib.import_module(module), name)(*given, **named)
    told: dict[str, Any] = importlib.import_module("noria.serving.batch.jobs").plain(found)
    return told


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
