"""A workspace in which every kind of thing exists, so that every page has something to show."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import quote

from noria.access.comment_entities import NewComment
from noria.access.comments import Comments
from noria.core.context import Context
from noria.core.web.urls import TOKENS_PATH
from noria.monitoring.service import Monitors
from noria.server.assembly import load_pages
from noria.serving.batch.entities import BatchEnd, BatchOptions, NewBatchRun
from noria.serving.batch.service import Batches
from noria.serving.batch.slot_entities import Slot
from noria.serving.service import Rollouts
from noria.tracking.entities import LogBatch, NewRun, RunEnd, RunStatus
from noria.tracking.point_entities import MetricPoint
from noria.tracking.service import Runs
from support.scheduled import PIPELINE, run_and_schedule
from support.wheel import PROJECT, Words, turn_once

EXPERIMENT = "night search"
QUERIES = {"compare": "runs={run_id}&runs={other}", "search": "q=digits", "view": "path=notes.md"}
"""What a page needs besides its path, by the last part of that."""

UNSEEN = (TOKENS_PATH, "/complete")
"""Ends of paths whose pages are not for a visitor without the key, or are parts of others."""


def paths() -> list[str]:
    """Give the path of every page that a visitor may see, with its parameters in braces."""
    return [page.path for page in load_pages() if not page.path.endswith(UNSEEN)]


def address(path: str, example: dict[str, str]) -> str:
    """Give where a page is, with what it needs."""
    query = QUERIES.get(path.rpartition("/")[2], "")
    return f"{path.format(**example)}?{query.format(**example)}".rstrip("?")


def fill(context: Context, words: Words | None = None, *, said: str = "") -> dict[str, str]:
    """Make one of everything, and give a value for each parameter of a path.

    Parameters
    ----------
    words
        What users have written about the model.
    said
        What they have written wherever else they may: names of runs, params, tags, descriptions, comments.
    """
    record = turn_once(context, words, close=False)
    experiment = f"{EXPERIMENT} {said}".strip()
    first, second = (_run(context, name, experiment, said) for name in ("first", "second"))
    _, failed, _ = run_and_schedule(context)
    (rollout, *_) = context.service(Rollouts).list(PROJECT).items
    (alert, *_) = context.service(Monitors).alerts(PROJECT, open_only=True).items
    if said:
        for subject in (f"run:{first}", f"incident:{alert.id}", "endpoint:digits", f"record:{record}"):
            context.service(Comments).add(PROJECT, NewComment(on=subject, text=said))
    return {
        "project": PROJECT,
        "experiment": quote(experiment, safe=""),
        "run_id": first,
        "other": second,
        "model": "digits",
        "dataset": "digits-train",
        "version": "1",
        "endpoint": "digits",
        "pipeline": quote(PIPELINE, safe=""),
        "pipeline_run": failed,
        "schedule": "nightly",
        "batch": _batch(context),
        "rollout_id": rollout.id,
        "record_id": record,
        "incident": alert.id,
    }


def _batch(context: Context) -> str:
    service = context.service(Batches)
    new = NewBatchRun(
        model="digits",
        version=1,
        identity="a",
        input="digits-train@1",
        output="out/scores.blue.parquet",
        options=BatchOptions(),
        batch="scores",
        slot=Slot.BLUE,
    )
    begun = service.attempt(PROJECT, service.begin(PROJECT, new).id)
    service.finish(PROJECT, begun.id, BatchEnd(attempt=begun.attempt, n_rows=9, written=new.output))
    return "scores"


def _run(context: Context, name: str, experiment: str, said: str) -> str:
    runs = context.service(Runs)
    more: dict[str, Any] = {"mlflow.note.content": said, "said": said} if said else {}
    new = NewRun(
        name=f"{name} {said}".strip(),
        experiment=experiment,
        params={"depth": f"{name} {said}".strip()},
        tags={"a": "b", **more},
    )
    run = runs.create(PROJECT, new)
    points = [
        MetricPoint(key="loss", value=1 / step, step=step, at=run.started_at + timedelta(seconds=step))
        for step in range(1, 30)
    ]
    runs.log(PROJECT, run.id, LogBatch(metrics=points))
    runs.finish(PROJECT, run.id, RunEnd(status=RunStatus.FINISHED))
    return run.id
