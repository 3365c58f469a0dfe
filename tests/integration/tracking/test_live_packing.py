"""A server packs the points of runs that go on, by itself."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from noria.core.clock import SystemClock
from noria.core.context import Context
from noria.tracking.compaction import MIN_LIVE
from noria.tracking.entities import LogBatch, NewRun
from noria.tracking.point_entities import PointColumns
from noria.tracking.service import Runs
from noria.tracking.tables import metric_points
from support.conformance import open_test_context, workspace_settings
from support.ports import free_port
from support.processes import Processes
from support.waiting import wait_until

PART = 50


def n_rows(context: Context) -> int:
    with context.database.read() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(metric_points)).scalar_one())


def test_a_server_packs_runs_that_go_on(
    tmp_path: Path, processes: Processes, noria_command: tuple[str, ...]
) -> None:
    """Soon after its start, and the history is read as it was."""
    folder = tmp_path / "workspace"
    with open_test_context(workspace_settings(folder), SystemClock()) as context:
        runs = context.service(Runs)
        run = runs.create("default", NewRun()).id
        for begin in range(0, MIN_LIVE, PART):
            steps = list(range(begin, begin + PART))
            part = PointColumns(steps=steps, at=steps, values=[step / 4 for step in steps])
            runs.log("default", run, LogBatch(points={"m": part}))
        assert n_rows(context) == MIN_LIVE

        argv = [*noria_command, "server", "--workspace", str(folder), "--port", str(free_port())]
        server = processes.start(argv, name="server")
        wait_until(lambda: n_rows(context) == 0, 90.0, server.output)

        points = runs.points("default", run, "m").points
        assert points.steps == list(range(MIN_LIVE))
        assert points.values == [step / 4 for step in range(MIN_LIVE)]
