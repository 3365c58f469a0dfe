"""What packing points that came one by one promises: nothing is lost, doubled or changed; on each database."""

from __future__ import annotations

import math
import threading

import pytest
import sqlalchemy as sa

from noria.core.context import Context
from noria.core.events.sealer import Sealer
from noria.tracking.compaction import MAX_PACKED, compact_ended, compact_run
from noria.tracking.entities import LogBatch, NewRun, RunEnd
from noria.tracking.point_entities import PointColumns
from noria.tracking.points import MIN_PACKED
from noria.tracking.service import Runs
from noria.tracking.tables import metric_chunks, metric_points

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
