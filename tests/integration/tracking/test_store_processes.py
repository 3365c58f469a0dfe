"""The store under several processes at once, and under processes that are killed while they write."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest
import sqlalchemy as sa

from noria.core.clock import SystemClock
from noria.core.context import Context
from noria.core.workspace import open_context
from noria.tracking.service import Experiments, Runs
from noria.tracking.tables import experiments, run_counts, runs
from support.conformance import workspace_settings
from support.processes import Processes, RunningProcess

PROJECT = "default"
HEAD = """
    import itertools, sys
    from noria.core.config import load_settings
    from noria.core.workspace import open_workspace
    from noria.tracking.entities import LogBatch, NewRun, RunEnd
    from noria.tracking.point_entities import PointColumns
    from noria.tracking.service import Experiments, Runs

    def columns(begin, n):
        steps = list(range(begin, begin + n))
        return PointColumns(steps=steps, at=steps, values=[float(s) for s in steps])

    worker = sys.argv[1]
    with open_workspace(load_settings()) as workspace:
        service = workspace.service(Runs)
"""


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    """Open a fresh workspace on SQLite."""
    opened = open_context(workspace_settings(tmp_path / "workspace"), SystemClock())
    yield opened
    opened.database.dispose()


def start(processes: Processes, context: Context, body: str, worker: int) -> RunningProcess:
    path = processes.folder / f"writer{worker}.py"
    path.write_text(dedent(HEAD) + "    " + dedent(body).replace("\n", "\n    "))
    environ = {"NORIA_WORKSPACE": context.settings.workspace}
    return processes.start([sys.executable, str(path), str(worker)], name=path.name, env=environ)


def assert_counts_are_right(context: Context) -> None:
    """Check that the counts that are kept are what counting gives."""
    deleted = sa.case((runs.c.deleted_at.is_(None), 0), else_=1)
    groups = (runs.c.experiment_pk, deleted, runs.c.status)
    with context.database.read() as connection:
        counted = set(connection.execute(sa.select(*groups, sa.func.count()).group_by(*groups)))
        kept = set(connection.execute(sa.select(run_counts).where(run_counts.c.n_runs > 0)))
    assert kept == counted


@pytest.mark.slow
def test_eight_processes_write_to_one_file_at_once(processes: Processes, context: Context) -> None:
    """Each writes single points, chunks, params and ends; nobody is told that the database is locked."""
    body = """
    for number in range(6):
        run = service.create("default", NewRun(experiment=f"e{number}", params={"worker": worker}))
        for step in range(20):
            service.log("default", run.id, LogBatch(points={"single": columns(step, 1)}, tags={"t": str(step)}))
        service.log("default", run.id, LogBatch(points={"packed": columns(0, 1000), f"own{worker}": columns(0, 3)}))
        service.finish("default", run.id, RunEnd())
    """
    children = [start(processes, context, body, worker) for worker in range(8)]
    for child in children:
        assert child.wait(180) == 0, child.output()
    found = context.service(Runs).list(PROJECT, limit=100).items

    assert len(found) == 48
    for run in found:
        own = f"own{run.params['worker']}"
        assert run.metrics == {"single": 19.0, "packed": 999.0, own: 2.0}
        assert run.tags == {"t": "19"}
    numbers = [e.number for e in context.service(Experiments).list(PROJECT).items]
    assert sorted(numbers) == list(range(7))
    assert_counts_are_right(context)


@pytest.mark.slow
def test_what_was_acknowledged_survives_a_kill(processes: Processes, context: Context) -> None:
    """Processes that are killed while they write lose nothing that the service had taken, and damage nothing."""
    body = """
    run = service.create("default", NewRun(name=worker))
    for number in itertools.count():
        batch = LogBatch(
            points={"packed": columns(number * 100, 100), "single": columns(number, 1)},
            params={f"p{number}": str(number)},
        )
        service.log("default", run.id, batch)
        print(f"kept {number}", flush=True)
    """
    children = [start(processes, context, body, worker) for worker in range(4)]
    for child in children:
        child.wait_for_output("kept 20")
    for child in children:
        child.kill()
    service = context.service(Runs)
    for run in service.list(PROJECT).items:
        last = children[int(run.name)].output().split("kept ")[-1].split()
        n_kept = int(last[0]) + 1
        packed = service.points(PROJECT, run.id, "packed").points.steps
        single = service.points(PROJECT, run.id, "single").points.steps

        assert len(single) in (n_kept, n_kept + 1)
        assert single == list(range(len(single)))
        assert packed == list(range(len(single) * 100))
        assert len(run.params) == len(single)
    with context.database.read() as connection:
        assert connection.exec_driver_sql("pragma integrity_check").scalar_one() == "ok"
        assert connection.exec_driver_sql("pragma foreign_key_check").fetchall() == []
        assert connection.execute(sa.select(sa.func.count()).select_from(experiments)).scalar_one() == 1
    assert_counts_are_right(context)
