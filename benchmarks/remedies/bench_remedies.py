"""The remedy benchmark: episodes with two truths, and how often cause and remedy are right.

    .venv/bin/python benchmarks/remedies/bench_remedies.py --data DIR --part tuning|test [--quick] [--json FILE]
                                                [--cache DIR] [--only TEXT] [--causes a,b] [--n 40] [--delay 7]

Real rows × model family × incident × severity × seed × label regime, as docs/remedy-benchmark.md says. The tuning part
and the test part share no data set, model family or injector (a test reads their imports).
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import math
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS"), "1"))

import report
from dealing import plans
from episodes import Plan
from losses import as_loss

DATA = Path(__file__).parents[3] / "shared" / "data"


def run(job: tuple[Plan, str, str]) -> dict[str, Any]:
    """Replay one episode beside its truth."""
    plan, cache, part = job
    from truths import made

    try:
        truth = made(plan, part, Path(cache))
    except ValueError as error:
        return {"name": plan.name, "skipped": str(error)}
    began, worked = time.monotonic(), _cpu_seconds()
    answer = _replayed(Path(truth["folder"]))
    return {
        **truth,
        "answer": answer,
        "with": _losses(truth["metric"], answer, "with"),
        "disagreement": _disagreement(truth["without"], _losses(truth["metric"], answer, "without")),
        "seconds": time.monotonic() - began,
        "cpu_seconds": _cpu_seconds() - worked,
    }


def _cpu_seconds() -> float:
    """Give the processor time of this process and of children that have ended, as those of a replay have."""
    ours, theirs = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return ours.ru_utime + ours.ru_stime + theirs.ru_utime + theirs.ru_stime


def _replayed(folder: Path) -> dict[str, Any]:
    """Give the engine's answer; an engine that fails has said nothing, and its error is kept."""
    import msgspec

    from noria.decisions.replay.engine import replay
    from noria.decisions.replay.episode import read_episode

    try:
        answer = replay(read_episode(folder), environ=os.environ, timeout_s=600.0)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other episodes go on
        return {"incidents": [], "quality": [], "error": f"{type(error).__name__}: {error}"}
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(answer))
    return found


def _losses(metric: str, answer: dict[str, Any], which: str) -> dict[str, float]:
    return {
        str(q["window"]): math.nan if q[which] is None else as_loss(metric, q[which])
        for q in answer["quality"]
    }


def _disagreement(ours: dict[str, float], theirs: dict[str, float]) -> float:
    """Give how far the two measures of the loss without actions are apart, by windows; they should be equal."""
    gaps = [abs(value - theirs[window]) for window, value in ours.items() if window in theirs]
    known = [gap for gap in gaps if not math.isnan(gap)]
    return max(known, default=0.0)


def _chosen(found: list[Plan], only: str, causes: str) -> list[Plan]:
    names = [cause.strip() for cause in causes.split(",") if cause.strip()]
    return [
        plan
        for plan in found
        if only in plan.name and (not names or any(cause in names for cause in plan.causes))
    ]


def _parsed() -> argparse.Namespace:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--data", type=Path, default=DATA, help="folder of the data sets")
    options.add_argument("--part", choices=["tuning", "test", "smoke"], default="tuning")
    options.add_argument("--n", type=int, default=40)
    options.add_argument("--delay", type=int, default=0, help="windows until labels are known; -1: never")
    options.add_argument("--seed", type=int, default=1000)
    options.add_argument("--quick", action="store_true", help="the CI subset: 20 episodes of few rows")
    options.add_argument("--smoke", action="store_true", help="two tiny episodes of scikit-learn's own data")
    options.add_argument("--workers", type=int, default=2)
    options.add_argument(
        "--cache", type=Path, help="folder that keeps made episodes and truths for the next run"
    )
    options.add_argument("--only", default="", metavar="TEXT", help="episodes whose name holds it")
    options.add_argument("--causes", default="", help="episodes with one of these causes: a,b")
    options.add_argument("--json", type=Path)
    found = options.parse_args()
    if found.smoke:
        found.part, found.n = "smoke", 2
    if found.quick:
        found.n = 20
    return found


def main() -> None:
    """Run a part and print its table."""
    chosen = _parsed()
    delay = None if chosen.delay < 0 else chosen.delay
    dealt = plans(
        chosen.part, chosen.data, n=chosen.n, delay=delay, first_seed=chosen.seed, small=chosen.quick
    )
    with (
        tempfile.TemporaryDirectory() as folder,
        concurrent.futures.ProcessPoolExecutor(
            chosen.workers, mp_context=multiprocessing.get_context("spawn")
        ) as pool,
    ):
        cache = str(chosen.cache.resolve() if chosen.cache else folder)
        waiting = {
            pool.submit(run, (plan, cache, chosen.part)): number
            for number, plan in enumerate(_chosen(dealt, chosen.only, chosen.causes))
        }
        done: dict[int, dict[str, Any]] = {}
        for future in concurrent.futures.as_completed(waiting):
            found = done[waiting[future]] = future.result()
            print(report.line_of(found), flush=True)
            if chosen.json:
                chosen.json.write_text(json.dumps([done[number] for number in sorted(done)]))
    results = [done[number] for number in sorted(done) if "skipped" not in done[number]]
    print()
    print(report.table(results) if results else "No episode is left.")


if __name__ == "__main__":
    main()
