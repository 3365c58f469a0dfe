"""Runs whose tasks are started by somebody else, over each transport and on each database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from noria.core.clock import Clock, ManualClock
from noria.core.context import Context
from noria.core.errors import NotFound
from noria.core.workspace import Workspace
from noria.pipelines.entities import ExportedCode, NewPipelineRun
from noria.pipelines.run_records import LEASE_S, PipelineRunNotFound, mark_killed
from noria.pipelines.service import PipelineRuns
from noria.server.upkeep import remove_deleted
from noria.tracking.entities import RunStatus

PROJECT = "default"
DAY_S = 86_400.0


@pytest.fixture
def clock() -> Clock:
    """Give a clock that the test moves, for leases."""
    return ManualClock(datetime(2026, 3, 1, tzinfo=UTC))


def test_a_run_rests_between_its_tasks_and_its_code_stays(
    workspace: Workspace, context: Context, clock: ManualClock
) -> None:
    """Nobody takes a resting run for dead, nor collects the code of an export; a task that dies is noticed."""
    runs = workspace.service(PipelineRuns)
    store = workspace.objects()
    code, loose = (store.put_bytes(data).digest for data in (b"code", b"loose"))
    exported = ExportedCode(target="flow:study", orchestrator="airflow", snapshot=code)
    for _ in range(2):
        runs.keep_export(PROJECT, exported)
    runs.start(PROJECT, NewPipelineRun(run_id="a" * 32, name="study", pipeline="flow:study"))
    runs.rest(PROJECT, "a" * 32)
    clock.advance(30 * DAY_S)

    assert mark_killed(context) == 0
    assert runs.get(PROJECT, "a" * 32).status is RunStatus.RUNNING
    runs.beat(PROJECT, "a" * 32)
    clock.advance(LEASE_S + 1)
    assert mark_killed(context) == 1
    assert runs.get(PROJECT, "a" * 32).status is RunStatus.KILLED
    remove_deleted(context, older_than=timedelta(days=1))
    assert store.missing([code, loose]) == {loose}

    with pytest.raises(PipelineRunNotFound):
        runs.rest(PROJECT, "b" * 32)
    with pytest.raises(NotFound):
        runs.keep_export(PROJECT, ExportedCode(target="f:p", orchestrator="x", snapshot=f"blake3:{'0' * 64}"))
