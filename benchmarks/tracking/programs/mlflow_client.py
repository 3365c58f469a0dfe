"""The client's work of `bench_mlflow.py`; runs in the environment of MLflow.

Before and after each phase it prints a line and waits for one, so that the other side can look at the server.
"""

import argparse
import contextlib
import json
import os
import random
import sqlite3
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"

from mlflow import MlflowClient
from mlflow.entities import Metric, Param

FILTER = "metrics.m0 > 0.5 and params.p1 != '7'"
ORDER = ["metrics.m3 DESC"]


def tell(**said):
    print(json.dumps(said), flush=True)
    sys.stdin.readline()


@contextlib.contextmanager
def phase(name, n):
    tell(begin=name)
    began = time.perf_counter()
    yield
    tell(phase=name, n=n, wall_s=time.perf_counter() - began)


def log_run(client, experiment, i, now):
    run = client.create_run(experiment).info.run_id
    client.log_batch(
        run,
        metrics=[Metric(f"m{j}", i + j / 10, now, 0) for j in range(10)],
        params=[Param(f"p{j}", str(i * j)) for j in range(10)],
    )
    client.set_terminated(run)


def drawn(n_runs):
    """Give metrics and params of the runs that are searched; the same for every server."""
    source = random.Random(0)
    for _ in range(n_runs):
        yield [source.random() for _ in range(20)], [str(source.randrange(100)) for _ in range(20)]


def seed_by_client(client, experiment, n_runs, now):
    def put(job):
        i, (metrics, params) = job
        run = client.create_run(experiment, start_time=now + i, run_name=f"r{i}").info.run_id
        client.log_batch(
            run,
            metrics=[Metric(f"m{j}", value, now, 0) for j, value in enumerate(metrics)],
            params=[Param(f"p{j}", value) for j, value in enumerate(params)],
        )

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, enumerate(drawn(n_runs))))


def seed_by_sql(path, experiment, n_runs, now):
    """Fill MLflow's own tables, since its server would take minutes."""
    database = sqlite3.connect(path, timeout=60)

    def insert(table, rows):
        known = [column[1] for column in database.execute(f"pragma table_info({table})")]
        names = [name for name in rows[0] if name in known]
        marks = ",".join("?" * len(names))
        database.executemany(
            f"insert into {table} ({','.join(names)}) values ({marks})",
            [tuple(row[name] for name in names) for row in rows],
        )

    runs, points, params, tags = [], [], [], []
    for i, (metrics, values) in enumerate(drawn(n_runs)):
        run = uuid.uuid4().hex
        runs.append(
            {
                "run_uuid": run,
                "name": f"r{i}",
                "source_type": "LOCAL",
                "source_name": "",
                "entry_point_name": "",
                "user_id": "u",
                "status": "RUNNING",
                "start_time": now + i,
                "source_version": "",
                "lifecycle_stage": "active",
                "artifact_uri": f"mlflow-artifacts:/{experiment}/{run}/artifacts",
                "experiment_id": int(experiment),
            }
        )
        tags.append({"key": "mlflow.runName", "value": f"r{i}", "run_uuid": run})
        points += [
            {"key": f"m{j}", "value": value, "timestamp": now, "run_uuid": run, "step": 0, "is_nan": False}
            for j, value in enumerate(metrics)
        ]
        params += [{"key": f"p{j}", "value": value, "run_uuid": run} for j, value in enumerate(values)]
    for table, rows in (
        ("runs", runs),
        ("metrics", points),
        ("latest_metrics", points),
        ("params", params),
        ("tags", tags),
    ):
        insert(table, rows)
    database.commit()
    database.close()


def search(client, experiment, name, repeats, *, limit, query=FILTER, order=ORDER):
    client.search_runs([experiment], query, order_by=order, max_results=limit)
    with phase(name, repeats):
        for _ in range(repeats):
            client.search_runs([experiment], query, order_by=order, max_results=limit)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("uri")
    parser.add_argument("--seed-sqlite")
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args()
    part = 100 if options.smoke else 1
    n_runs, n_single, n_points, n_seeded = 100 // part or 2, 300 // part, 100_000 // part, 10_000 // part
    client = MlflowClient(options.uri)
    name = uuid.uuid4().hex[:8]
    experiment = client.create_experiment(f"bench-{name}")
    now = int(time.time() * 1000)

    for i in range(5):
        log_run(client, experiment, i, now)
    with phase("run", n_runs):
        for i in range(n_runs):
            log_run(client, experiment, i, now)
    with phase("run, 8 threads", n_runs * 2), ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: log_run(client, experiment, i, now), range(n_runs * 2)))

    run = client.create_run(experiment).info.run_id
    with phase("single metric", n_single):
        for i in range(n_single):
            client.log_metric(run, "x", float(i), step=i)

    run = client.create_run(experiment).info.run_id
    size = min(1000, n_points)
    with phase("point", n_points):
        for start in range(0, n_points, size):
            steps = range(start, start + size)
            client.log_batch(run, metrics=[Metric("h", step * 0.5, now + step, step) for step in steps])
    with phase("history of 100,000 points", 3):
        for _ in range(3):
            assert len(client.get_metric_history(run, "h")) == n_points

    seeded = client.create_experiment(f"seed-{name}")
    if options.seed_sqlite:
        seed_by_sql(options.seed_sqlite, seeded, n_seeded, now)
    else:
        seed_by_client(client, seeded, n_seeded, now)
    search(client, seeded, "search, 100 of the matches", 9 if part == 1 else 1, limit=100)
    search(client, seeded, "search, 5,000 of the matches", 3 if part == 1 else 1, limit=5000)
    search(client, seeded, "newest 100 runs", 9 if part == 1 else 1, limit=100, query="", order=None)
    with phase("page of 1,000 runs", max(1, n_seeded // 1000)):
        token, n_seen = None, 0
        while True:
            page = client.search_runs([seeded], "", max_results=1000, page_token=token)
            n_seen += len(page)
            token = page.token
            if not token:
                break
        assert n_seen == n_seeded


main()
