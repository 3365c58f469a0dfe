"""The remedy benchmark: episodes with two truths, and how often cause and remedy are right.

    .venv/bin/python benchmarks/remedies/bench_remedies.py --data DIR --part tuning|test [--quick] [--json FILE]

Real rows × model family × incident × seed × label regime. 30 % of the episodes hold no incident, 15 % two, and half
of them an innocent deployment near the onset. The tuning part and the test part share no data set, model family or
injector (a test reads their imports).
"""

from __future__ import annotations

import argparse
import concurrent.futures
import importlib
import json
import multiprocessing
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS"), "1"))

import numpy as np
import score
from episodes import Plan, Source, make

RETRAINING = ("retrain", "new_model", "recalibrate")


def plans(part: str, data: Path, *, n: int, delay: int | None, first_seed: int) -> list[Plan]:
    """Deal out episodes."""
    sources: list[Source] = importlib.import_module(f"data_{part}").sources(data)
    models = list(importlib.import_module(f"models_{part}").PIPELINES)
    injectors = importlib.import_module(f"injectors_{part}").INJECTORS
    causes = list(injectors)
    found = []
    for number in range(n):
        rng = np.random.default_rng(first_seed + number)
        chosen: list[Any] = []
        quiet = number % 10 in (0, 3, 7)
        if not quiet:
            index = number * 7 // 10
            cause = causes[index % len(causes)]
            chosen = [(cause, injectors[cause][(index // len(causes)) % len(injectors[cause])])]
            second = ["concept_drift", "pipeline_fault", "input_fault"][number % 3]
            if number % 14 in (5, 12) and cause not in (second, "new_class"):
                chosen.append((second, injectors[second][int(rng.integers(len(injectors[second])))]))
        able = [s for s in sources if _fits(s, [c for c, _ in chosen], quiet=quiet)]
        source = able[int(rng.integers(len(able)))]
        found.append(
            Plan(
                source=source,
                model=source.model or models[int(rng.integers(len(models)))],
                injectors=tuple(chosen),
                seed=first_seed + number,
                delay=delay,
                decoy=bool(rng.random() < 0.5),
            )
        )
    return found


def _fits(source: Source, causes: list[str], *, quiet: bool) -> bool:
    if "new_class" in causes:
        return source.task == "classification" and source.frame[source.target].n_unique() > 5
    return quiet or not source.ordered or "input_fault" in causes or "pipeline_fault" in causes


def run(job: tuple[Plan, str, str]) -> dict[str, Any]:
    """Make one episode, replay it, simulate its truth."""
    plan, folder, part = job
    from oracle import Simulated, baselines, saved_by

    from noria.decisions.replay.engine import replay
    from noria.decisions.replay.episode import read_episode

    pipelines = importlib.import_module(f"models_{part}").PIPELINES
    place = Path(folder) / plan.name
    try:
        truth = make(plan, place, pipelines)
    except (ValueError, StopIteration) as error:
        return {"name": plan.name, "skipped": str(error)}
    began = time.process_time(), time.monotonic()
    answer = replay(read_episode(place), environ=os.environ, timeout_s=600.0)
    simulated = Simulated(place, Path(truth["clean"]))
    found = json.loads(__import__("msgspec").json.encode(answer))
    losses = {
        "without": simulated.losses(simulated.answers()),
        "with": {q["window"]: _loss(simulated, q["with"]) for q in found["quality"]},
    }
    return {
        **truth,
        "answer": found,
        "saved": saved_by(simulated, truth["onset"]) if truth["onset"] is not None else {"wait": 0.0},
        "baselines": baselines(simulated, plan.delay),
        "losses": losses,
        "seconds": time.monotonic() - began[1],
    }


def _loss(simulated: Any, value: float | None) -> float:
    return float("nan") if value is None else simulated.metric.as_value(value)


def main() -> None:
    """Run a part and print its table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--data", type=Path, required=True)
    options.add_argument("--part", choices=["tuning", "test"], default="tuning")
    options.add_argument("--n", type=int, default=120)
    options.add_argument("--delay", type=int, default=0, help="windows until labels are known; -1: never")
    options.add_argument("--seed", type=int, default=1000)
    options.add_argument("--quick", action="store_true")
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--json", type=Path)
    chosen = options.parse_args()
    n = 20 if chosen.quick else chosen.n
    delay = None if chosen.delay < 0 else chosen.delay
    with (
        tempfile.TemporaryDirectory() as folder,
        concurrent.futures.ProcessPoolExecutor(
            chosen.workers, mp_context=multiprocessing.get_context("spawn")
        ) as pool,
    ):
        jobs = [
            (plan, folder, chosen.part)
            for plan in plans(chosen.part, chosen.data, n=n, delay=delay, first_seed=chosen.seed)
        ]
        results = []
        for found in pool.map(run, jobs):
            results.append(found)
            if chosen.json:
                chosen.json.write_text(json.dumps(results))
    print(score.table([r for r in results if "skipped" not in r]))


if __name__ == "__main__":
    main()
