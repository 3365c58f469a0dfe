"""Fill a new database with many runs, straight into the tables: 20 metrics and 20 params each, as MLflow's driver has.

    python benchmarks/tracking/fill_runs.py sqlite:////tmp/runs.db --runs 1000000 --projects 50

Run number i belongs to project i mod n, and each project has one experiment. Metrics `m0` … `m15` are uniform in
[0, 1); `m16` is constant, `m17` has ten values, `m18` is `m0` and `m19` is `1 - m0`. Params `p0` … `p19` are one of a
hundred numbers. Tags: `team` is one of twenty, `commit` differs. One run in a hundred failed, another was deleted.
"""

from __future__ import annotations

import argparse
import time

import sqlalchemy as sa

from noria.access.tables import projects
from noria.core.clock import SystemClock
from noria.core.database.engine import Database
from noria.core.database.migrate import migrate
from noria.core.ids import new_id
from noria.tracking.text_index import index_texts

N_KEYS = 20
START = 1_790_000_000_000_000
RARE = 100

# What differs between the two: random numbers, series, and times of a hash.
WORDS = {
    "sqlite": {
        "uniform": "((random() & 9007199254740991) / 9007199254740992.0)",
        "below": "(abs(random()) % {n})",
        "hex": "lower(hex(randomblob({n})))",
        "series": "(with recursive s(i) as (select {low} union all select i + 1 from s where i < {high})"
        " select i from s)",
        "floor": "cast({x} as integer)",
    },
    "postgresql": {
        "uniform": "random()",
        "below": "floor(random() * {n})::bigint",
        "hex": "substr(md5(random()::text) || md5(random()::text), 1, 2 * {n})",
        "series": "generate_series({low}, {high}) as s(i)",
        "floor": "floor({x})::bigint",
    },
}
INDEXED = ("metric_latest", "run_params", "run_tags", "runs")


def fill(database: Database, n_runs: int, n_projects: int, *, block: int = 100_000) -> list[int]:
    """Fill a new database, and give the numbers of the experiments."""
    migrate(database, now=SystemClock().now())
    words = WORDS["sqlite" if database.is_sqlite else "postgresql"]
    numbers = _make_experiments(database, n_projects)
    with database.write() as connection:
        first = int(
            connection.execute(sa.text("select min(pk) from experiments where number = 1")).scalar_one()
        )
        dropped = _drop_indexes(connection, sqlite=database.is_sqlite)
    for low in range(0, n_runs, block):
        with database.write() as connection:
            _fill_block(connection, words, first, n_projects, low, min(low + block, n_runs) - 1)
    with database.write() as connection:
        for statement in dropped:
            connection.execute(sa.text(statement))
        connection.execute(
            sa.text(
                "insert into run_counts select experiment_pk, case when deleted_at is null then 0 else 1 end, status,"
                " count(*) from runs group by 1, 2, 3"
            )
        )
    _index(database)
    _settle(database)
    return numbers


def _make_experiments(database: Database, n_projects: int) -> list[int]:
    now = int(time.time() * 1e6)
    with database.write() as connection:
        for at in range(n_projects):
            row = {"id": new_id(), "name": f"project-{at:03d}", "created_at": SystemClock().now()}
            project = connection.execute(sa.insert(projects).returning(projects.c.pk), row).scalar_one()
            connection.execute(
                sa.text(
                    "insert into experiments (id, project_pk, name, number, created_at, updated_at)"
                    " values (:id, :project, 'runs', :number, :now, :now)"
                ),
                {"id": new_id(), "project": project, "number": at + 1, "now": now},
            )
        connection.execute(sa.text("update experiment_numbers set last = :last"), {"last": n_projects})
        keys = [f"m{at}" for at in range(N_KEYS)] + [f"p{at}" for at in range(N_KEYS)] + ["team", "commit"]
        connection.execute(
            sa.text("insert into tracking_keys (pk, key) values (:pk, :key)"),
            [{"pk": 1000 + at, "key": key} for at, key in enumerate(keys)],
        )
    return list(range(1, n_projects + 1))


def _drop_indexes(connection: sa.Connection, *, sqlite: bool) -> list[str]:
    """Drop what is quicker made when all rows are in."""
    tables = ", ".join(f"'{table}'" for table in INDEXED)
    if sqlite:
        query = (
            "select name, sql from sqlite_master where type = 'index' and sql is not null"
            f" and tbl_name in ({tables})"
        )
    else:
        query = (
            "select indexname, indexdef from pg_indexes where indexdef not like '%UNIQUE%'"
            f" and tablename in ({tables})"
        )
    found = connection.execute(sa.text(query)).fetchall()
    for name, _ in found:
        connection.execute(sa.text(f"drop index {name}"))
    return [sql for _, sql in found] + ([] if sqlite else _drop_references(connection, tables))


def _drop_references(connection: sa.Connection, tables: str) -> list[str]:
    """Drop foreign keys, which PostgreSQL checks row by row, and checks at once when they are made anew."""
    query = (
        "select c.relname, k.conname, pg_get_constraintdef(k.oid) from pg_constraint as k"
        f" join pg_class as c on c.oid = k.conrelid where k.contype = 'f' and c.relname in ({tables})"
    )
    found = connection.execute(sa.text(query)).fetchall()
    for table, name, _ in found:
        connection.execute(sa.text(f"alter table {table} drop constraint {name}"))
    return [f"alter table {table} add constraint {name} {sql}" for table, name, sql in found]


def _fill_block(
    connection: sa.Connection, words: dict[str, str], first: int, n_projects: int, low: int, high: int
) -> None:
    series = words["series"]
    values = {"first": first, "n": n_projects, "start": START}
    connection.execute(
        sa.text(
            "insert into runs"
            " (pk, id, project_pk, experiment_pk, name, status, started_at, ended_at, author, deleted_at)"
            f" select i + 1, {words['hex'].format(n=16)}, x.project_pk, x.pk, 'r' || i,"
            f" case when {words['below'].format(n=RARE)} = 0 then 'failed' else 'finished' end,"
            " :start + i * 1000, :start + i * 1000 + 1000, 'user' || (i % 7),"
            f" case when {words['below'].format(n=RARE)} = 0 then :start end"
            f" from {series.format(low=low, high=high)} cross join experiments as x"
            " where x.pk = :first + i % :n order by i"
        ),
        values,
    )
    rows = {"low": low + 1, "high": high + 1}
    few = words["floor"].format(x=f"10 * {words['uniform']}")
    connection.execute(
        sa.text(
            "insert into metric_latest (run_pk, key_pk, step, at, is_nan, value, experiment_pk)"
            f" select pk, 1000 + i, 0, started_at, 0, case i when 16 then 1.0 when 17 then {few} / 10.0"
            f" else {words['uniform']} end, experiment_pk from runs cross join {series.format(low=0, high=N_KEYS - 3)}"
            " where pk between :low and :high order by pk, i"
        ),
        rows,
    )
    for key, expression in ((18, "value"), (19, "1 - value")):
        connection.execute(
            sa.text(
                "insert into metric_latest (run_pk, key_pk, step, at, is_nan, value, experiment_pk)"
                f" select run_pk, {1000 + key}, step, at, is_nan, {expression}, experiment_pk from metric_latest"
                " where key_pk = 1000 and run_pk between :low and :high order by run_pk"
            ),
            rows,
        )
    below = words["below"].format(n=100)
    connection.execute(
        sa.text(
            "insert into run_params (run_pk, key_pk, value, experiment_pk, head)"
            " select pk, key, v, experiment_pk, v from"
            f" (select pk, 1020 + i as key, cast({below} as text) as v, experiment_pk"
            f" from runs cross join {series.format(low=0, high=N_KEYS - 1)}"
            " where pk between :low and :high) as q order by pk, key"
        ),
        rows,
    )
    connection.execute(
        sa.text(
            "insert into run_tags (run_pk, key_pk, value, experiment_pk, head)"
            " select pk, key, v, experiment_pk, v from"
            f" (select pk, 1040 + i as key, case i when 0 then 'team-' || {words['below'].format(n=20)}"
            f" else {words['hex'].format(n=6)} end as v, experiment_pk"
            f" from runs cross join {series.format(low=0, high=1)}"
            " where pk between :low and :high) as q order by pk, key"
        ),
        rows,
    )


def _index(database: Database) -> None:
    """Make the index of texts, as the control loop would in time."""
    while True:
        index_texts(database)
        with database.read() as connection:
            query = sa.text("select count(*), sum(case when built < goal then 1 else 0 end) from text_fields")
            n_fields, n_unfinished = connection.execute(query).one()
        if n_fields == 0 or n_unfinished == 0:
            return


def _settle(database: Database) -> None:
    """Do what the databases do by themselves in time."""
    if database.is_sqlite:
        with database.engine.connect() as connection:
            raw = connection.connection.dbapi_connection
            assert raw is not None
            raw.execute("pragma wal_checkpoint(truncate)")
        return
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("vacuum analyze"))


def main() -> None:
    """Fill the database of a URL."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--projects", type=int, default=1)
    asked = parser.parse_args()
    started = time.perf_counter()
    database = Database(asked.url)
    fill(database, asked.runs, asked.projects)
    print(f"{asked.runs} runs in {time.perf_counter() - started:.0f} s")
    database.dispose()


if __name__ == "__main__":
    main()
