"""What packing points that came one by one promises: nothing is lost, doubled or changed; on each database."""

from __future__ import annotations

import math
import sys
import threading
from datetime import UTC, datetime
from textwrap import dedent

import pytest
import sqlalchemy as sa

from noria.access.projects import NewProject, Projects
from noria.core.context import Context
from noria.core.errors import NoriaError
from noria.core.events.sealer import Sealer
from noria.tracking.compaction import (
    MAX_PACKED,
    MIN_LIVE,
    RUNS_AT_ONCE,
    compact_ended,
    compact_live,
    compact_run,
)
from noria.tracking.entities import LogBatch, NewRun, RunEnd
from noria.tracking.point_entities import PointColumns
from noria.tracking.points import MIN_PACKED
from noria.tracking.service import Runs
from noria.tracking.tables import metric_chunks, metric_points
from support.processes import Processes

PROJECT = "default"


@pytest.fixture(params=["in_process"])
def transport(request: pytest.FixtureRequest) -> str:
    """Name the one transport: nobody packs points through a server."""
    return str(request.param)


def columns(steps: list[int]) -> PointColumns:
    values = [math.nan if step % 50 == 7 else step / 8 for step in steps]
    return PointColumns(steps=steps, at=[1_000 + step for step in steps], values=values)


def log_in_parts(context: Context, run_id: str, key: str, n_points: int, *, part: int = 50) -> None:
    """Log points so that each part is too short to be packed at once."""
    for begin in range(0, n_points, part):
        some = columns(list(range(begin, min(begin + part, n_points))))
        context.service(Runs).log(PROJECT, run_id, LogBatch(points={key: some}))


def n_rows(context: Context, table: sa.Table) -> int:
    with context.database.read() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


def read(context: Context, run_id: str, key: str) -> str:
    return repr(context.service(Runs).points(PROJECT, run_id, key).points)


def test_packed_points_read_as_before(context: Context) -> None:
    """Whoever reads a history cannot tell whether it was packed; short ones stay rows; sending again adds nothing."""
    run = context.service(Runs).create(PROJECT, NewRun()).id
    n_long = MAX_PACKED + 500
    log_in_parts(context, run, "long", n_long)
    log_in_parts(context, run, "short", MIN_PACKED - 1)
    before = [read(context, run, key) for key in ("long", "short")]
    latest = context.service(Runs).metrics(PROJECT, run)

    assert compact_run(context, run) == n_long
    assert n_rows(context, metric_points) == MIN_PACKED - 1
    assert n_rows(context, metric_chunks) == 2
    assert [read(context, run, key) for key in ("long", "short")] == before
    assert repr(context.service(Runs).metrics(PROJECT, run)) == repr(latest)
    assert compact_run(context, run) == 0
    log_in_parts(context, run, "long", 1_000)
    assert read(context, run, "long") == before[0]
    compact_run(context, run)
    assert read(context, run, "long") == before[0]


def test_runs_are_packed_after_their_end(context: Context) -> None:
    """The control loop's look packs what ended since the last one, once."""
    runs = context.service(Runs)
    ended, running = (runs.create(PROJECT, NewRun()).id for _ in range(2))
    for run in (ended, running):
        log_in_parts(context, run, "m", 200)
    runs.finish(PROJECT, ended, RunEnd())
    Sealer(context.database, context.clock, context.settings.folder).tick()

    assert compact_ended(context) == 200
    assert compact_ended(context) == 0
    assert n_rows(context, metric_points) == 200
    assert read(context, ended, "m") == read(context, running, "m")


def test_a_run_that_is_gone_is_passed_over(context: Context) -> None:
    """An event of a run that was purged since does not stop the look."""
    assert compact_run(context, "0" * 32) == 0


def test_packing_while_points_are_logged_loses_none(context: Context) -> None:
    """What a thread logs while another packs is there in the end, each point once."""
    run = context.service(Runs).create(PROJECT, NewRun()).id
    writer = threading.Thread(target=log_in_parts, args=(context, run, "m", 2_000))
    writer.start()
    while writer.is_alive():
        compact_run(context, run)
    writer.join()
    compact_run(context, run)

    assert read(context, run, "m") == repr(columns(list(range(2_000))))


def test_long_tails_of_live_runs_are_packed(context: Context) -> None:
    """Of every project; what is short, has ended or was deleted stays as it is, and packing again does nothing."""
    runs = context.service(Runs)
    context.service(Projects).create(NewProject(name="bank"))
    live, ended, deleted = (runs.create(PROJECT, NewRun()).id for _ in range(3))
    foreign = runs.create("bank", NewRun()).id
    for run in (live, ended, deleted):
        log_in_parts(context, run, "long", MIN_LIVE)
    log_in_parts(context, live, "short", MIN_LIVE - 1)
    for begin in range(0, MIN_LIVE, 50):
        batch = LogBatch(points={"long": columns(list(range(begin, begin + 50)))})
        runs.log("bank", foreign, batch)
    runs.finish(PROJECT, ended, RunEnd())
    runs.delete(PROJECT, deleted)
    before = [read(context, live, key) for key in ("long", "short")]

    assert compact_live(context) == 2 * MIN_LIVE
    assert n_rows(context, metric_chunks) == 2
    assert n_rows(context, metric_points) == 3 * MIN_LIVE - 1
    assert [read(context, live, key) for key in ("long", "short")] == before
    assert compact_live(context) == 0
    log_in_parts(context, live, "long", MIN_LIVE + 10)
    assert read(context, live, "long") == repr(columns(list(range(MIN_LIVE + 10))))
    runs.finish(PROJECT, live, RunEnd())
    compact_run(context, live)
    assert [read(context, live, "short")] == before[1:]


def test_no_live_run_is_passed_over(context: Context) -> None:
    """However many there are, and though they all started at one moment."""
    runs = context.service(Runs)
    at = datetime(2026, 1, 1, tzinfo=UTC)
    made = [runs.create(PROJECT, NewRun(started_at=at)).id for _ in range(RUNS_AT_ONCE + 5)]
    chosen = [made[0], made[RUNS_AT_ONCE - 1], made[RUNS_AT_ONCE], made[-1]]
    for run in chosen:
        log_in_parts(context, run, "m", MIN_LIVE)

    assert compact_live(context) == len(chosen) * MIN_LIVE
    assert n_rows(context, metric_points) == 0


def test_points_without_steps_are_packed(context: Context) -> None:
    """More points of one step than a packed row holds are several rows."""
    run = context.service(Runs).create(PROJECT, NewRun()).id
    n_points = MAX_PACKED + 200
    for begin in range(0, n_points, 50):
        at = list(range(begin, min(begin + 50, n_points)))
        part = PointColumns(steps=[0] * len(at), at=at, values=[0.5] * len(at))
        context.service(Runs).log(PROJECT, run, LogBatch(points={"m": part}))
    before = read(context, run, "m")

    assert compact_live(context) == n_points
    assert (n_rows(context, metric_points), n_rows(context, metric_chunks)) == (0, 2)
    assert read(context, run, "m") == before


def test_several_pack_a_live_run_while_several_log_to_it(context: Context) -> None:
    """Each point is there once in the end, whoever took it out of its row."""
    run = context.service(Runs).create(PROJECT, NewRun()).id
    loggers = [threading.Thread(target=log_in_parts, args=(context, run, key, 3_000)) for key in ("a", "b")]
    stop = threading.Event()
    failed: list[NoriaError] = []

    def pack() -> None:
        try:
            while not stop.is_set():
                compact_live(context)
                compact_run(context, run)
        except NoriaError as error:
            failed.append(error)

    packers = [threading.Thread(target=pack) for _ in range(2)]
    for thread in (*loggers, *packers):
        thread.start()
    for thread in loggers:
        thread.join()
    stop.set()
    for thread in packers:
        thread.join()
    compact_run(context, run)

    assert failed == []
    for key in ("a", "b"):
        assert read(context, run, key) == repr(columns(list(range(3_000))))
    assert n_rows(context, metric_points) < 2 * MIN_PACKED


def test_a_packer_that_is_killed_loses_nothing(context: Context, processes: Processes) -> None:
    """Whenever it dies, each point is in its row or in a packed one."""
    run = context.service(Runs).create(PROJECT, NewRun()).id
    script = processes.folder / "packer.py"
    script.write_text(
        dedent(
            """
            import sys
            from noria.core.config import load_settings
            from noria.core.workspace import open_workspace
            from noria.tracking.compaction import compact_run
            with open_workspace(load_settings()) as workspace:
                context = workspace.backend.context
                while True:
                    print("packed", compact_run(context, sys.argv[1]), flush=True)
            """
        )
    )
    environ = {
        "NORIA_WORKSPACE": context.settings.workspace,
        "NORIA_DATABASE": context.settings.database_url,
        "NORIA_OBJECTS": context.settings.objects_url,
    }
    n_points = 0
    for _ in range(3):
        packer = processes.start([sys.executable, str(script), run], name="packer", env=environ)
        packer.wait_for_output("packed")
        for begin in range(n_points, n_points + 1_000, 40):
            steps = list(range(begin, begin + 40))
            context.service(Runs).log(PROJECT, run, LogBatch(points={"m": columns(steps)}))
        n_points += 1_000
        packer.kill()

        assert read(context, run, "m") == repr(columns(list(range(n_points))))
    assert n_rows(context, metric_chunks) > 0
