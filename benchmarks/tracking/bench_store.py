"""What the store costs: CPU time in the services of runs, on SQLite in process.

Each case is given with the time that a fixed loop of Python took beside it, since the speed of a shared machine
changes while one looks.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from noria.core.config import load_settings
from noria.core.workspace import Workspace, open_workspace
from noria.tracking.entities import LogBatch, NewRun, RunEnd
from noria.tracking.point_entities import MetricPoint, PointColumns
from noria.tracking.service import Runs

N_POINTS = 100_000


@dataclass(slots=True)
class Bench:
    """A workspace to measure in.

    Attributes
    ----------
    scale
        1 for the figures; less shows only that the benchmark runs.
    """

    workspace: Workspace
    scale: float
    long_run: str = ""
    many: list[str] = field(default_factory=list)

    @property
    def runs(self) -> Runs:
        """Give the service."""
        return self.workspace.service(Runs)

    def count(self, n: int) -> int:
        """Scale a number of repetitions."""
        return max(1, round(n * self.scale))


Case = Callable[[Bench], tuple[Callable[[], object], int]]
"""Prepares a case and gives what is measured, and how many units that is."""


def main() -> None:
    """Print one line per case: median and least CPU time of one unit, and of the loop beside it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="small numbers, once: shows only that it runs")
    smoke = parser.parse_args().smoke
    repeats = 1 if smoke else 7
    print(f"{'CPU time in microseconds':44} {'median':>10} {'least':>10} {'loop':>6}   ({repeats} times)")
    with (
        tempfile.TemporaryDirectory() as folder,
        open_workspace(load_settings(workspace=folder)) as workspace,
    ):
        bench = Bench(workspace, 0.01 if smoke else 1.0)
        for name, case in CASES.items():
            taken, loops = zip(*(measure(bench, case) for _ in range(repeats)), strict=True)
            print(
                f"{name:44} {statistics.median(taken) * 1e6:10.1f} {min(taken) * 1e6:10.1f} {min(loops):6.2f}"
            )


def measure(bench: Bench, case: Case) -> tuple[float, float]:
    """Give the CPU seconds of one unit, and the milliseconds of the loop that tells how fast the machine is now."""
    act, n_units = case(bench)
    began = time.process_time()
    for _ in range(200_000):
        pass
    loop_ms = (time.process_time() - began) * 1e3
    began = time.process_time()
    act()
    return (time.process_time() - began) / n_units, loop_ms


def whole_run(bench: Bench) -> tuple[Callable[[], object], int]:
    """Create a run, log 10 params and 10 metrics, end it: three calls."""
    n_runs, now = bench.count(200), bench.workspace.clock.now()

    def act() -> None:
        for number in range(n_runs):
            made = bench.runs.create("default", NewRun())
            batch = LogBatch(
                params={f"p{i}": str(number * i) for i in range(10)},
                metrics=[MetricPoint(key=f"m{i}", value=number / (i + 1), at=now) for i in range(10)],
            )
            bench.runs.log("default", made.id, batch)
            bench.runs.finish("default", made.id, RunEnd())

    return act, n_runs


def single_point(bench: Bench) -> tuple[Callable[[], object], int]:
    """Log one point a call."""
    run, now, n_calls = new_run(bench), bench.workspace.clock.now(), bench.count(500)

    def act() -> None:
        for step in range(n_calls):
            point = MetricPoint(key="m", value=0.5, step=step, at=now)
            bench.runs.log("default", run, LogBatch(metrics=[point]))

    return act, n_calls


def points(size: int) -> Case:
    """Log 100,000 points in batches of one size, as objects."""

    def case(bench: Bench) -> tuple[Callable[[], object], int]:
        now = bench.workspace.clock.now()
        made = [
            MetricPoint(key="m", value=value, step=step, at=now + timedelta(microseconds=step * 1_013))
            for step, value in enumerate(noise(bench.count(N_POINTS)))
        ]
        batches = [LogBatch(metrics=made[begin : begin + size]) for begin in range(0, len(made), size)]
        return logging(bench, batches), len(made)

    return case


def columns(size: int) -> Case:
    """Log 100,000 points in batches of one size, as columns."""

    def case(bench: Bench) -> tuple[Callable[[], object], int]:
        values = list(noise(bench.count(N_POINTS)))
        batches = [
            LogBatch(points={"m": columns_from(begin, values[begin : begin + size])})
            for begin in range(0, len(values), size)
        ]
        return logging(bench, batches), len(values)

    return case


def whole_history(bench: Bench) -> tuple[Callable[[], object], int]:
    """Read 100,000 points as columns."""
    run = long_run(bench)
    return lambda: bench.runs.points("default", run, "m"), bench.count(N_POINTS)


def sampled_history(bench: Bench) -> tuple[Callable[[], object], int]:
    """Read 1,000 of 100,000 points, the extremes among them."""
    run = long_run(bench)
    return lambda: bench.runs.histories("default", [run], ["m"], max_points=1_000), 1


def page_of_runs(bench: Bench) -> tuple[Callable[[], object], int]:
    """List 1,000 runs with 20 params and 20 metrics each."""
    many_runs(bench)
    return lambda: bench.runs.list("default", experiment="many", limit=1_000), min(1_000, len(bench.many))


def one_run(bench: Bench) -> tuple[Callable[[], object], int]:
    """Get one run with 20 params and 20 metrics."""
    (first, *_), n_reads = many_runs(bench), bench.count(500)

    def act() -> None:
        for _ in range(n_reads):
            bench.runs.get("default", first)

    return act, n_reads


def logging(bench: Bench, batches: list[LogBatch]) -> Callable[[], object]:
    """Give what logs batches to a run of its own."""
    run = new_run(bench)

    def act() -> None:
        for batch in batches:
            bench.runs.log("default", run, batch)

    return act


def new_run(bench: Bench) -> str:
    """Make a run."""
    return bench.runs.create("default", NewRun()).id


def long_run(bench: Bench) -> str:
    """Give a run with 100,000 points, made at first use."""
    if not bench.long_run:
        bench.long_run = new_run(bench)
        values = list(noise(bench.count(N_POINTS)))
        for begin in range(0, len(values), 1_000):
            batch = LogBatch(points={"m": columns_from(begin, values[begin : begin + 1_000])})
            bench.runs.log("default", bench.long_run, batch)
    return bench.long_run


def many_runs(bench: Bench) -> list[str]:
    """Give runs with 20 params and 20 metrics each, made at first use."""
    if not bench.many:
        now = bench.workspace.clock.now()
        for number in range(bench.count(1_000)):
            params = {f"p{i}": str((number * i) % 100) for i in range(20)}
            made = bench.runs.create("default", NewRun(experiment="many", params=params))
            metrics = [MetricPoint(key=f"m{i}", value=number / (i + 1), at=now) for i in range(20)]
            bench.runs.log("default", made.id, LogBatch(metrics=metrics))
            bench.many.append(made.id)
    return bench.many


def columns_from(begin: int, values: list[float]) -> PointColumns:
    """Give points whose steps and times begin at a number."""
    steps = list(range(begin, begin + len(values)))
    return PointColumns(steps=steps, at=[step * 1_013 for step in steps], values=values)


def noise(n: int) -> Iterator[float]:
    """Give values that cannot be foreseen, the same ones each time."""
    state = 1
    for _ in range(n):
        state = state * 6_364_136_223_846_793_005 + 1_442_695_040_888_963_407 & (1 << 64) - 1
        yield state / (1 << 64)


CASES: dict[str, Case] = {
    "run created, logged (10 + 10) and ended": whole_run,
    "call with one point": single_point,
    "point as object, batches of 1,000": points(1_000),
    "point as object, batches of 10,000": points(10_000),
    "point in columns, batches of 1,000": columns(1_000),
    "point in columns, batches of 10,000": columns(10_000),
    "point read, all 100,000 as columns": whole_history,
    "1,000 of 100,000 points, extremes kept": sampled_history,
    "run of a page of 1,000 (20 + 20)": page_of_runs,
    "run read by its id (20 + 20)": one_run,
}

if __name__ == "__main__":
    main()
