"""Every page that there is, in a real browser: nobody is kept out, and it fits a phone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest

from noria.core.clock import SystemClock
from noria.core.context import Context
from noria.core.web.urls import TOKENS_PATH
from noria.monitoring.service import Monitors
from noria.server.assembly import load_actions, load_pages
from noria.serving.batch.entities import BatchEnd, BatchOptions, NewBatchRun, Slot
from noria.serving.batch.service import Batches
from noria.serving.service import Rollouts
from noria.tracking.entities import LogBatch, NewRun, RunEnd, RunStatus
from noria.tracking.point_entities import MetricPoint
from noria.tracking.service import Runs
from support.axe import barriers
from support.browser import Browser
from support.conformance import open_test_context, workspace_settings
from support.live_server import LiveServer
from support.scheduled import PIPELINE, run_and_schedule
from support.wheel import PROJECT, turn_once

PHONE, DESK = 390, 1280
EXPERIMENT = "night search"
QUERIES = {"compare": "runs={run_id}&runs={other}", "search": "q=digits", "view": "path=notes.md"}
"""What a page needs besides its path, by the last part of that."""

UNSEEN = (TOKENS_PATH, "/complete")
"""Ends of paths whose pages are not for a visitor without the key, or are parts of others."""


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    """Give a workspace in which every kind of thing exists."""
    settings = workspace_settings(tmp_path_factory.mktemp("every"))
    with open_test_context(settings, SystemClock()) as opened:
        yield opened


@pytest.fixture(scope="module")
def example(context: Context) -> dict[str, str]:
    """Give a value for each parameter of a path."""
    record = turn_once(context, close=False)
    first, second = _run(context, "first"), _run(context, "second")
    _, failed, _ = run_and_schedule(context)
    (rollout, *_) = context.service(Rollouts).list(PROJECT).items
    (alert, *_) = context.service(Monitors).alerts(PROJECT, open_only=True).items
    return {
        "project": PROJECT,
        "experiment": EXPERIMENT,
        "run_id": first,
        "other": second,
        "model": "digits",
        "dataset": "digits-train",
        "version": "1",
        "endpoint": "digits",
        "pipeline": PIPELINE.replace("/", "%2F"),
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


def _run(context: Context, name: str) -> str:
    runs = context.service(Runs)
    run = runs.create(
        PROJECT, NewRun(name=name, experiment=EXPERIMENT, params={"depth": name}, tags={"a": "b"})
    )
    points = [
        MetricPoint(key="loss", value=1 / step, step=step, at=run.started_at + timedelta(seconds=step))
        for step in range(1, 30)
    ]
    runs.log(PROJECT, run.id, LogBatch(metrics=points))
    runs.finish(PROJECT, run.id, RunEnd(status=RunStatus.FINISHED))
    return run.id


def paths() -> list[str]:
    return [page.path for page in load_pages() if not page.path.endswith(UNSEEN)]


def test_every_page_keeps_nobody_out(browser: Browser, context: Context, example: dict[str, str]) -> None:
    """Axe finds nothing on any page, none is wider than a phone, and no browser complains."""
    server = LiveServer()
    server.show(load_pages(), load_actions())
    found: dict[str, object] = {}
    page = browser.page
    with server.serving(context):
        for path in paths():
            query = QUERIES.get(path.rpartition("/")[2], "")
            page.set_viewport_size({"width": DESK, "height": 800})
            answer = page.goto(f"{server.url}{path.format(**example)}?{query.format(**example)}".rstrip("?"))
            assert answer is not None
            if answer.status == 404 and path.endswith("/view"):
                browser.complaints.clear()  # this run has no such file
                continue
            wrong = barriers(page)
            page.set_viewport_size({"width": PHONE, "height": 844})
            width = page.evaluate("document.documentElement.scrollWidth")
            if wrong or width > PHONE or browser.complaints or answer.status != 200:
                found[path] = (answer.status, width, wrong, [*browser.complaints])
            browser.complaints.clear()
    server.close()

    assert found == {}


def test_every_parameter_has_an_example(example: dict[str, str]) -> None:
    """A page with a new parameter is looked at as well."""
    named = {name for path in paths() for name in re.findall(r"\{(\w+)\}", path)}

    assert named <= set(example)
