"""What the index of texts promises: a search finds what is there, whatever came after it; on each database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from noria.core.clock import ManualClock
from noria.core.context import Context
from noria.core.events.sealer import assign_positions
from noria.server.upkeep import remove_deleted
from noria.tracking.entities import LogBatch, NewRun, RunChange, RunEnd
from noria.tracking.search.plan import Costs
from noria.tracking.search.runs import parse_query, search_runs
from noria.tracking.service import Runs
from noria.tracking.tables import experiments, runs
from noria.tracking.text_index import Sizes, index_texts
from noria.tracking.text_tables import text_fields, text_segments, text_tail

PROJECT = "default"
SIZES = Sizes(least_runs=0, least_sampled=1, segment=2, tail=3, merged=3)
INDEXED = Costs(least_scanned=0)


@pytest.fixture
def clock() -> ManualClock:
    """Give the clock of the workspace, which a test moves."""
    return ManualClock(datetime.now(UTC))


@pytest.fixture(params=["in_process"])
def transport(request: pytest.FixtureRequest) -> str:
    """Name the one transport: nobody indexes through a server."""
    return str(request.param)


def index(context: Context, n_calls: int = 10) -> None:
    for _ in range(n_calls):
        assign_positions(context.database)
        index_texts(context.database, SIZES)


def make(context: Context, name: str, commit: str) -> str:
    return context.service(Runs).create(PROJECT, NewRun(name=name, tags={"commit": commit})).id


def find(context: Context, filter_text: str) -> list[str]:
    """Give the names of the runs that a search finds, by the index where it can be of use."""
    with context.database.read() as connection:
        places = list(connection.execute(sa.select(experiments.c.pk)).scalars())
        found, _ = search_runs(connection, places, parse_query(filter_text, []), limit=100, costs=INDEXED)
        names = dict(connection.execute(sa.select(runs.c.pk, runs.c.name)).fetchall())
    return sorted(names[key] for key in found)


def count(context: Context, table: sa.Table) -> int:
    with context.database.read() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


def test_the_index_comes_to_hold_every_run(context: Context) -> None:
    """Names and tags that differ are indexed, what came later too, and segments do not become ever more."""
    for at in range(40):
        make(context, f"first-{at}", f"aa{at:04d}ff")
    index(context)
    for at in range(40):
        make(context, f"second-{at}", f"bb{at:04d}ff")
        index(context, 1)
    index(context)

    assert count(context, text_fields) == 2
    assert count(context, text_tail) < SIZES.tail
    assert count(context, text_segments) < 20
    assert find(context, "tags.commit LIKE '%0017f%'") == ["first-17", "second-17"]
    assert find(context, "run_name ILIKE '%RST-3_'") == [f"first-{at}" for at in range(30, 40)]
    assert find(context, "tags.commit LIKE '%0017f%' AND run_name LIKE '%cond%'") == ["second-17"]


def test_what_changes_after_it_was_indexed_is_found(context: Context) -> None:
    """Whichever way a value changes: by a tag, its removal, a name, at the end, by a new run."""
    service = context.service(Runs)
    ids = [make(context, f"run-{at}", f"old{at}") for at in range(6)]
    index(context)
    service.log(PROJECT, ids[0], LogBatch(tags={"commit": "fresh0"}))
    service.log(PROJECT, ids[1], LogBatch(tags={"commit": None}))
    service.amend(PROJECT, ids[2], RunChange(name="fresh name"))
    service.finish(PROJECT, ids[3], RunEnd(last=LogBatch(tags={"commit": "fresh3"})))
    make(context, "late", "fresh late")

    for _ in range(6):
        assert find(context, "tags.commit LIKE '%fresh%'") == ["late", "run-0", "run-3"]
        assert find(context, "tags.commit LIKE '%old%'") == ["fresh name", "run-4", "run-5"]
        assert find(context, "run_name LIKE '%sh nam%'") == ["fresh name"]
        assert find(context, "run_name LIKE '%run%'") == [f"run-{at}" for at in (0, 1, 3, 4, 5)]
        index(context, 1)


def test_the_key_of_a_run_that_is_gone_may_be_given_again(context: Context, clock: ManualClock) -> None:
    """SQLite does so with the newest; the index still names the old run, and the new one is found by its own."""
    ids = [make(context, f"run-{at}", f"old{at}") for at in range(4)]
    index(context)
    context.service(Runs).delete(PROJECT, ids[-1])
    clock.advance(86_400.0)
    assert remove_deleted(context, older_than=timedelta()).rows["runs"] == 1
    make(context, "next", "fresh")

    for _ in range(4):
        assert find(context, "tags.commit LIKE '%fres%'") == ["next"]
        assert find(context, "tags.commit LIKE '%old%'") == ["run-0", "run-1", "run-2"]
        index(context, 1)


def test_values_that_are_the_same_or_numbers_are_not_indexed(context: Context) -> None:
    """Few values are compared instead of the runs, and nobody looks for the middle of a number."""
    for at in range(10):
        params = {"lr": f"0.{at}1", "same": "adam"}
        context.service(Runs).create(PROJECT, NewRun(name="same", params=params, tags={"t": "x"}))
    index(context)

    assert count(context, text_fields) == 0
