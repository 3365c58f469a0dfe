"""Runs and points as MLflow's client logs them; argument: address of the server. Prints one JSON line."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

from mlflow.entities import Metric, Param
from mlflow.tracking import MlflowClient

N_RUNS, N_POINTS, BATCH = 40, 20_000, 1_000

client = MlflowClient(sys.argv[1])
experiment = client.create_experiment("points")


def now() -> int:
    return int(time.time() * 1000)


def whole_run() -> None:
    run = client.create_run(experiment)
    metrics = [Metric(f"m{i}", 0.5, now(), 0) for i in range(10)]
    client.log_batch(run.info.run_id, metrics=metrics, params=[Param(f"p{i}", "1") for i in range(10)])
    client.set_terminated(run.info.run_id)


def points() -> None:
    run = client.create_run(experiment)
    for first in range(0, N_POINTS, BATCH):
        steps = range(first, first + BATCH)
        client.log_batch(
            run.info.run_id, metrics=[Metric("loss", step * 0.001, now(), step) for step in steps]
        )


def per_second(n: int, work: Callable[[], None], times: int = 1) -> float:
    started = time.perf_counter()
    for _ in range(times):
        work()
    return n / (time.perf_counter() - started)


whole_run()
print(json.dumps({"runs": per_second(N_RUNS, whole_run, N_RUNS), "points": per_second(N_POINTS, points)}))
