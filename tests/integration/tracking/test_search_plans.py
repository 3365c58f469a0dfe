"""No search of runs reads a whole table or index, whichever way it goes: by the plans of both databases."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from noria.access.tables import projects
from noria.core.clock import SystemClock
from noria.core.database.engine import Database
from noria.core.database.migrate import migrate
from noria.tracking.entities import Lifecycle
from noria.tracking.model_tables import logged_models, run_models
from noria.tracking.run_rows import load_runs
from noria.tracking.search.plan import Costs
from noria.tracking.search.runs import parse_query, search_runs
from noria.tracking.tables import run_links
from support.plans import Recorded, RecordingConnection, scans
from support.run_store import StoredRun, Used, store_runs

CLAUSES = [
    "metrics.m > 0.5",
    "metrics.m = 0.25",
    "metrics.m != 0.25",
    "metrics.nobody > 1",
    "params.p = '3'",
    "params.p != '3'",
    "params.p LIKE '1%'",
    "params.p LIKE '%1'",
    "params.p ILIKE '%1'",
    "params.p IS NULL",
    "params.few = 'a'",
    "params.few LIKE '%a%'",
    "tags.t = 'x'",
    "tags.t IS NOT NULL",
    "tags.t IS NULL",
    "tags.`mlflow.runName` LIKE 'r1%'",
    "tags.`mlflow.parentRunId` = 'FIRST'",
    "tags.`mlflow.parentRunId` LIKE '0%'",
    "tags.`mlflow.parentRunId` IS NULL",
    "status = 'FINISHED'",
    "status != 'FINISHED'",
    "user_id = 'ana'",
    "user_id LIKE '%n%'",
    "run_name = 'r7'",
    "run_id = 'FIRST'",
    "run_id IN ('FIRST', 'nobody')",
    "artifact_uri LIKE '%FIRST%'",
    "start_time > 20",
    "end_time <= 30",
    "datasets.name = 'd1'",
    "datasets.name IN ('d1', 'd2')",
    "datasets.digest LIKE '%2'",
    "datasets.context = 'train'",
]
ORDERS = [
    "metrics.m",
    "metrics.m DESC",
    "params.p DESC",
    "params.few",
    "tags.t",
    "tags.`mlflow.parentRunId` DESC",
    "status",
    "user_id DESC",
    "run_name",
    "run_id",
    "start_time",
    "end_time DESC",
    "artifact_uri",
]
COSTS = [
    None,
    # Small stores never need the ways of large ones, unless these are made out to be cheap.
    Costs(least_sorted=0, test=0.001, worth_planning=0.0, least_step=2, most_step=5, least_foremost=0),
    Costs(least_sorted=0, test=1000.0, worth_planning=0.0, least_step=3, most_step=8, most_merged=1),
    Costs(least_sorted=3, test=1.0, worth_planning=20.0, least_step=2, max_set=0),
]
N_OTHERS = 1_500
START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Store:
    """A database with runs in two experiments, and more in one that no search asks for."""

    database: Database
    places: list[int]
    first: str


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    if request.param == "sqlite":
        folder: Path = tmp_path_factory.mktemp("plans")
        yield from filled(f"sqlite:///{folder / 'noria.db'}")
        return
    with request.getfixturevalue("postgres_server").fresh_database() as url:
        yield from filled(url)


def filled(url: str) -> Iterator[Store]:
    database = Database(url)
    migrate(database, now=SystemClock().now())
    with database.write() as connection:
        project = connection.execute(sa.select(projects.c.pk)).scalars().first()
        assert project is not None
        made = [store_runs(connection, project, made_up(40, at)) for at in range(2)]
        fill_up(connection, project)
    if not database.is_sqlite:
        with database.write() as connection:
            connection.execute(sa.text("analyze"))
    yield Store(database, [one.pk for one in made], f"{0:031x}0")
    database.dispose()


def fill_up(connection: sa.Connection, project: int) -> None:
    """Store what no search asks for: small tables are read as a whole on PostgreSQL, and rightly so."""
    others = store_runs(
        connection,
        project,
        [
            StoredRun(
                id=f"{at:031x}f",
                metrics={"m": float(at), "loss": 1.0},
                params={"p": str(at), "few": "z"},
                tags={"t": str(at), f"key{at}": "v"},
                datasets=(Used(name=f"e{at}", digest=str(at), context="train"),),
            )
            for at in range(N_OTHERS)
        ],
    )
    links = [
        {"run_pk": pk, "direction": "input", "ref": f"dataset:e{pk}", "digest": "", "at": START}
        for pk in others.keys
    ]
    connection.execute(sa.insert(run_links), links)
    models = [
        {
            "pk": pk,
            "id": f"m-{pk:032x}",
            "project_pk": project,
            "experiment_pk": others.pk,
            "name": "m",
            "status": "ready",
            "status_message": "",
            "model_type": "",
            "source_run": "",
            "created_at": START,
            "updated_at": START,
        }
        for pk in others.keys
    ]
    connection.execute(sa.insert(logged_models), models)
    uses = [{"run_pk": pk, "direction": "output", "model_pk": pk, "step": 0} for pk in others.keys]
    connection.execute(sa.insert(run_models), uses)


def made_up(n_runs: int, experiment: int) -> list[StoredRun]:
    return [
        StoredRun(
            id=f"{at:031x}{experiment}",
            name=f"r{at}",
            status=["finished", "failed", "running"][at % 3],
            started_at=at * 1000,
            ended_at=None if at % 3 == 2 else at * 2000,
            author="ana" if at % 4 else "bob",
            deleted=at % 7 == 0 and at > 0,
            parent=0 if at % 5 == 4 else None,
            metrics={"m": math.nan if at % 11 == 0 else at % 8 / 8} if at % 6 else {},
            params={"p": str(at), "few": "ab"[at % 2]} if at % 9 else {"few": "a"},
            tags={"t": "xyz"[at % 3]} if at % 4 else {},
            datasets=(Used(name=f"d{at % 3}", digest=str(at % 2), context="train" if at % 2 else None),),
        )
        for at in range(n_runs)
    ]


def searches() -> Iterator[tuple[str, list[str], Lifecycle, Costs | None]]:
    """Give each clause and order alone and some together, each way of planning with many of them."""
    chance = random.Random(20260711)
    filters = ["", *CLAUSES, *(" and ".join(chance.sample(CLAUSES, 3)) for _ in range(40))]
    orders: list[list[str]] = [[], *([one] for one in ORDERS), ["params.few", "metrics.m DESC"]]
    every = list(itertools.product(filters, orders, Lifecycle, COSTS))
    for filter_text in filters:
        yield filter_text, [], Lifecycle.ACTIVE, None
    for order in orders:
        yield "", order, Lifecycle.ALL, None
    yield from chance.sample(every, 250)


def recorded_statements(store: Store) -> dict[str, Any]:
    """Search page by page, and give the statements that this took."""
    recorded = Recorded()
    for filter_text, order, lifecycle, costs in searches():
        query = parse_query(filter_text.replace("FIRST", store.first), order, lifecycle)
        after = None
        for _ in range(3):
            with store.database.read() as connection:
                noting: Any = RecordingConnection(connection, recorded)
                found, after = search_runs(noting, store.places, query, limit=7, after=after, costs=costs)
                load_runs(noting, found)
            if after is None:
                break
    return recorded.statements


def test_no_search_reads_a_whole_table(store: Store) -> None:
    """Each table and index that grows with the runs is entered at a place, never read from one end to the other."""
    statements = recorded_statements(store)
    wrong: list[str] = []
    n_looked_at = 0
    with store.database.read() as connection:
        driver: Any = connection.connection.dbapi_connection
        for text, values in statements.items():
            if text.lstrip().lower().startswith("select set_config"):
                driver.cursor().execute(text, values)
                continue
            n_looked_at += 1
            scanned = scans(connection, text, values)
            if scanned:
                wrong.append(f"{sorted(scanned)}: {text}")

    assert n_looked_at > 100
    assert "\n".join(wrong) == ""


def test_a_whole_table_would_be_noticed(store: Store) -> None:
    """What reads all runs, by their table or by an index, is seen as such."""
    with store.database.read() as connection:
        for text in (
            "select count(*) from runs where author || name = 'x'",
            "select r.name from runs r join run_tags t on t.run_pk = r.pk where t.value = 'x'",
            "select max(value || '') from run_params",
        ):
            assert scans(connection, text, ()) & {"runs", "run_tags", "run_params"}, text
        assert scans(connection, "select name from runs where pk = 1", ()) == set()
