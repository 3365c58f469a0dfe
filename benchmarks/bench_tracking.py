"""What logging costs: CPU time of a call, a run, a point and a page, on SQLite in process."""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable

from noria.core.config import load_settings
from noria.core.workspace import Workspace, open_workspace, use_workspace
from noria.tracking.client import run
from noria.tracking.entities import LogBatch, NewRun, RunEnd
from noria.tracking.limits import MAX_POINTS
from noria.tracking.point_entities import MetricPoint
from noria.tracking.service import Runs

Measure = Callable[[Workspace, int], float]


def main() -> None:
    """Print one line per case: median, fastest and slowest CPU microseconds of one unit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--smoke", action="store_true", help="measure once: shows only that the benchmark runs"
    )
    smoke = parser.parse_args().smoke
    repeats, scale = (1, 1) if smoke else (7, 20)
    print(f"{'CPU microseconds':42} {'median':>9} {'min':>9} {'max':>9}   ({repeats} times)")
    with (
        tempfile.TemporaryDirectory() as folder,
        open_workspace(load_settings(workspace=folder)) as workspace,
    ):
        for name, measure in CASES.items():
            measure(workspace, 1)  # the first time builds statements and fills caches
            taken = [measure(workspace, scale) * 1e6 for _ in range(repeats)]
            print(f"{name:42} {statistics.median(taken):9.1f} {min(taken):9.1f} {max(taken):9.1f}")


def log_call(workspace: Workspace, scale: int) -> float:
    """Give the CPU seconds that the caller's thread spends in one call with one metric."""
    n_calls = 1_000 * scale
    with use_workspace(workspace), run() as active:
        started = time.thread_time()
        for step in range(n_calls):
            active.log({"loss": 0.5}, step=step)
        taken = time.thread_time() - started
    return taken / n_calls


def whole_run(workspace: Workspace, scale: int) -> float:
    """Give the CPU seconds of creating a run, logging 10 params and 10 metrics, and ending it."""
    runs, now = workspace.service(Runs), workspace.clock.now()
    batch = LogBatch(
        params={f"p{i}": "1" for i in range(10)},
        metrics=[MetricPoint(key=f"m{i}", value=0.5, at=now) for i in range(10)],
    )
    n_runs = 10 * scale
    started = time.process_time()
    for _ in range(n_runs):
        made = runs.create(workspace.project, NewRun())
        runs.log(workspace.project, made.id, batch)
        runs.finish(workspace.project, made.id, RunEnd())
    return (time.process_time() - started) / n_runs


def point_in_a_batch(workspace: Workspace, scale: int) -> float:
    """Give the CPU seconds of one metric point among ten thousand."""
    runs, now = workspace.service(Runs), workspace.clock.now()
    made = runs.create(workspace.project, NewRun())
    n_points = MAX_POINTS * min(scale, 2)
    points = [MetricPoint(key="loss", value=0.5, step=step, at=now) for step in range(n_points)]
    started = time.process_time()
    for first in range(0, n_points, MAX_POINTS):
        runs.log(workspace.project, made.id, LogBatch(metrics=points[first : first + MAX_POINTS]))
    return (time.process_time() - started) / n_points


def page_of_runs(workspace: Workspace, scale: int) -> float:
    """Give the CPU seconds of listing 100 runs with 10 params and 10 metrics each."""
    runs = workspace.service(Runs)
    started = time.process_time()
    for _ in range(scale):
        runs.list(workspace.project, limit=100)
    return (time.process_time() - started) / scale


CASES: dict[str, Measure] = {
    "run.log() with one metric, caller's thread": log_call,
    "run created, logged and ended": whole_run,
    "metric point in a batch of 10,000": point_in_a_batch,
    "page of 100 runs": page_of_runs,
}

if __name__ == "__main__":
    main()
