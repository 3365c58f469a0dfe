"""What searches take among many runs: wall time and CPU of the service's operation, on SQLite and PostgreSQL.

    python benchmarks/tracking/bench_search.py
    python benchmarks/tracking/bench_search.py sqlite:////tmp/runs.db postgresql://… --repeats 40

The first fills a database of 100,000 runs for itself; others are made by `fill_runs.py`.
Each query is asked again and again with other metrics and thresholds, so
that no page of a database is warm because the query before it was the same.
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

sys.path.insert(0, str(Path(__file__).parent))
from fill_runs import fill  # type: ignore[import-not-found]  # beside this program

from noria.core.database.engine import Database
from noria.tracking.entities import Lifecycle
from noria.tracking.run_rows import load_run_rows
from noria.tracking.search.runs import parse_query, search_runs

ASKED = "metrics.{a} > 0.5 and params.{p} != '7'"


@dataclass(frozen=True, kw_only=True)
class Query:
    """A search with places for what differs from time to time.

    Attributes
    ----------
    filter
        `{a}` and `{b}` are metrics, `{p}` and `{q}` params, `{x}` a small random share, `{n}` the number of runs.
    order
        What to order by; the newest first unless given.
    experiments
        In how many of the experiments; all unless given.
    page
        Which page to ask for, counted from 0; the pages before it are not measured.
    """

    filter: str = ""
    order: str = "metrics.{c} DESC"
    limit: int = 100
    experiments: int | None = None
    lifecycle: Lifecycle = Lifecycle.ACTIVE
    page: int = 0


QUERIES = {
    "driver: half by metric, not one param": Query(filter=ASKED),
    "half": Query(filter="metrics.{a} > 0.5{d}"),
    "1 in 10": Query(filter="metrics.{a} > 0.9{d}"),
    "3 in 100": Query(filter="metrics.{a} > 0.97{d}"),
    "1 in 100": Query(filter="metrics.{a} > 0.99{d}"),
    "1 in 1,000": Query(filter="metrics.{a} > 0.999{d}"),
    "10 runs": Query(filter="metrics.{a} > {top10}"),
    "no run": Query(filter="metrics.{a} > 2.{d}"),
    "no such key": Query(filter="metrics.nobody > 2.{d}"),
    "all, by a metric": Query(),
    "all, by a metric, rising": Query(order="metrics.{c} ASC"),
    "1 in 100, rising": Query(filter="metrics.{a} < 0.01{d}", order="metrics.{c} ASC"),
    "1 in 100, by the same metric": Query(filter="metrics.{a} > 0.99{d}", order="metrics.{a} ASC"),
    "two of 1 in 10": Query(filter="metrics.{a} > 0.9{d} and metrics.{b} > 0.9{d}"),
    "two of 1 in 100": Query(filter="metrics.{a} > 0.99{d} and metrics.{b} > 0.99{d}"),
    "six halves": Query(filter=" and ".join(f"metrics.m{at} > 0.5{{d}}" for at in range(6))),
    "half, param and tag": Query(filter=ASKED + " and tags.team != 'team-3'"),
    "param = (1 in 100)": Query(filter="params.{p} = '{two}'"),
    "two params = (1 in 10,000)": Query(filter="params.{p} = '{two}' and params.{q} = '3'"),
    "param LIKE 'x%' (11 in 100)": Query(filter="params.{p} LIKE '{one}%'"),
    "param LIKE '%x' (1 in 10)": Query(filter="params.{p} LIKE '%{one}'"),
    "param LIKE, none": Query(filter="params.{p} LIKE '%x{one}%'"),
    "tag = (1 in 20)": Query(filter="tags.team = 'team-{one}'"),
    "tag LIKE 'ab%' (1 in 256)": Query(filter="tags.commit LIKE '{hex}%'"),
    "tag LIKE '%abc%', all differ": Query(filter="tags.commit LIKE '%{hex}{one}%'"),
    "tag ILIKE '%ABCD%', all differ": Query(filter="tags.commit ILIKE '%{hex}B{one}%'"),
    "tag LIKE none, all differ": Query(filter="tags.commit LIKE '%z{hex}%'"),
    "name LIKE 'r12%' (1 in 100)": Query(filter="run_name LIKE 'r{two}%'"),
    "name LIKE '%123%'": Query(filter="run_name LIKE '%{two}{one}%'"),
    "name ILIKE none": Query(filter="run_name ILIKE '%Z{hex}%'"),
    "name =": Query(filter="run_name = 'r{some}'"),
    "status = (1 in 100)": Query(filter="status = 'FAILED'"),
    "user = (1 in 7)": Query(filter="user_id = 'user3'"),
    "start_time > (1 in 100)": Query(filter="start_time > {late}"),
    "against the order (1 in 100)": Query(filter="metrics.m0 > 0.99{d}", order="metrics.m19 DESC"),
    "with the order (1 in 100)": Query(filter="metrics.m0 > 0.99{d}", order="metrics.m18 DESC"),
    "all, newest first": Query(order=""),
    "param = (1 in 100), newest first": Query(filter="params.{p} = '{two}'", order=""),
    "1 in 100, newest first": Query(filter="metrics.{a} > 0.99{d}", order=""),
    "half, newest first": Query(filter=ASKED, order=""),
    "user =, newest first": Query(filter="user_id = 'user3'", order=""),
    "by ten values": Query(order="metrics.m17 DESC"),
    "1 in 100 by ten values": Query(filter="metrics.{a} > 0.99{d}", order="metrics.m17 DESC"),
    "by one value": Query(order="metrics.m16 DESC"),
    "half by one value": Query(filter=ASKED, order="metrics.m16"),
    "by param, then metric": Query(order="params.{p}; metrics.{c} DESC"),
    "1 in 100 by param": Query(filter="metrics.{a} > 0.99{d}", order="params.{p}"),
    "by tag, all differ": Query(order="tags.commit"),
    "by name": Query(order="run_name"),
    "by status, then metric": Query(order="status; metrics.{c} DESC"),
    "by end": Query(order="end_time DESC"),
    "driver, 1,000 runs": Query(filter=ASKED, limit=1_000),
    "1 in 100, 1,000 runs": Query(filter="metrics.{a} > 0.99{d}", limit=1_000),
    "driver, 5,000 runs": Query(filter=ASKED, limit=5_000),
    "driver, page 10": Query(filter=ASKED, page=10),
    "all, newest first, page 10 of 1,000": Query(order="", limit=1_000, page=10),
    "deleted (1 in 100)": Query(lifecycle=Lifecycle.DELETED),
    "deleted and active": Query(filter=ASKED, lifecycle=Lifecycle.ALL),
    "driver, 3 experiments": Query(filter=ASKED, experiments=3),
    "1 in 100, 3 experiments": Query(filter="metrics.{a} > 0.99{d}", experiments=3),
    "10 runs, 3 experiments": Query(filter="metrics.{a} > {top10}", experiments=3),
    "all, newest first, 3 experiments": Query(order="", experiments=3),
    "tag LIKE '%abc%', 3 experiments": Query(filter="tags.commit LIKE '%{hex}{one}%'", experiments=3),
}


@dataclass(frozen=True, slots=True)
class Taken:
    """What one search took, in milliseconds, and how many runs it gave."""

    find_ms: float
    load_ms: float
    cpu_ms: float
    n_found: int


def main() -> None:
    """Print one line per query and database: `<--` if the CPU took over 50 ms, `<-` if only the clock did."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("urls", nargs="*", help="databases made by fill_runs.py; a new one unless given")
    parser.add_argument("--runs", type=int, default=100_000, help="in the new database")
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--smoke", action="store_true", help="few runs, once: shows only that it runs")
    parser.add_argument("--only", default="", help="part of the name of the queries to run")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    if asked.smoke:
        asked.runs, asked.repeats = 500, 1
    with tempfile.TemporaryDirectory(prefix="bench-search-") as folder:
        _measure_all(asked.urls or [_filled(f"sqlite:///{folder}/runs.db", asked.runs)], asked)


def _filled(url: str, n_runs: int) -> str:
    database = Database(url)
    fill(database, n_runs, 1)
    database.dispose()
    return url


def _measure_all(urls: list[str], asked: argparse.Namespace) -> None:
    for url in urls:
        database = Database(url)
        n_runs, experiments = _content(database)
        print(
            f"\n{database.url.get_backend_name()}, {n_runs} runs in {len(experiments)} experiments", end="; "
        )
        print(f"milliseconds of {asked.repeats} searches, after 3 others")
        print(
            f"{'query':42} {'p50':>8} {'p95':>8} {'max':>8} {'cpu':>8} {'cpu95':>8} {'+load':>8} {'runs':>6}",
            flush=True,
        )
        for name, query in QUERIES.items():
            if asked.only in name and (query.experiments or 1) <= len(experiments):
                taken = list(_measured(database, query, experiments, n_runs, asked.repeats, asked.seed))
                print(_line(name, taken), flush=True)
        database.dispose()


def _line(name: str, taken: list[Taken]) -> str:
    found, busy = sorted(one.find_ms for one in taken), sorted(one.cpu_ms for one in taken)
    # By the nearest rank: the least value that 95 of 100 do not exceed.
    at = math.ceil(0.95 * len(found)) - 1
    load = statistics.median(one.load_ms for one in taken)
    n_found = statistics.median(one.n_found for one in taken)
    slow = "  <--" if busy[at] > 50 else "  <-" if found[at] > 50 else ""
    numbers = (statistics.median(found), found[at], found[-1], statistics.mean(busy), busy[at], load)
    return f"{name:42} {' '.join(f'{one:8.2f}' for one in numbers)} {n_found:6.0f}{slow}"


def _content(database: Database) -> tuple[int, list[int]]:
    with database.read() as connection:
        experiments = connection.execute(sa.text("select pk from experiments where number > 0 order by pk"))
        return int(connection.execute(sa.text("select sum(n_runs) from run_counts")).scalar_one()), list(
            experiments.scalars()
        )


def _measured(
    database: Database, query: Query, experiments: list[int], n_runs: int, repeats: int, seed: int
) -> Iterator[Taken]:
    rng = random.Random(seed)
    for at in range(repeats + 3):
        words = _words(rng, n_runs)
        orders = [one.strip() for one in query.order.format(**words).split(";") if one]
        chosen = experiments if query.experiments is None else rng.sample(experiments, query.experiments)
        one = _searched(database, query, query.filter.format(**words), orders, chosen)
        if at >= 3:
            yield one


def _searched(
    database: Database, query: Query, text: str, orders: list[str], experiments: list[int]
) -> Taken:
    after: str | None = None
    for _ in range(query.page):
        with database.read() as connection:
            parsed = parse_query(text, orders, query.lifecycle)
            _, after = search_runs(connection, experiments, parsed, limit=query.limit, after=after)
    with database.read() as connection:
        server = (
            None
            if database.is_sqlite
            else connection.execute(sa.text("select pg_backend_pid()")).scalar_one()
        )
        cpu, started = _cpu_s(server), time.perf_counter()
        parsed = parse_query(text, orders, query.lifecycle)
        found, _ = search_runs(connection, experiments, parsed, limit=query.limit, after=after)
        ended, cpu = time.perf_counter(), _cpu_s(server) - cpu
        load_run_rows(connection, found)
        return Taken((ended - started) * 1e3, (time.perf_counter() - ended) * 1e3, cpu * 1e3, len(found))


def _cpu_s(server: int | None) -> float:
    """Give the CPU seconds of this process, and of a server's process on this machine."""
    schedule = Path(f"/proc/{server}/schedstat")
    there = int(schedule.read_text().split()[0]) / 1e9 if server and schedule.exists() else 0.0
    return time.process_time() + there


def _words(rng: random.Random, n_runs: int) -> dict[str, str]:
    a, b, c = rng.sample(range(16), 3)
    p, q = rng.sample(range(20), 2)
    return {
        "a": f"m{a}",
        "b": f"m{b}",
        "c": f"m{c}",
        "p": f"p{p}",
        "q": f"p{q}",
        "d": f"{rng.randrange(1000):05d}",
        "one": str(rng.randrange(1, 10)),
        "two": str(rng.randrange(10, 100)),
        "hex": f"{rng.randrange(256):02x}",
        "some": str(rng.randrange(n_runs)),
        "top10": repr(1 - 10 / n_runs),
        "late": str(1_790_000_000_000 + int(n_runs * 0.99)),
    }


if __name__ == "__main__":
    main()
