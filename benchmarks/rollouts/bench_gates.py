"""How often always-valid gates are wrong at any time, how wide their intervals are, and what a look costs.

python benchmarks/rollouts/bench_gates.py [--quick | --smoke] [--json FILE]

Streams: for every form of a metric, 1,000 streams of 10,000 rows are looked at after each of the first 200 rows and
after every tenth from then on. A stream is missed when the truth was outside the interval at any look. The width is
that after 1,000 rows beside the interval for a fixed size.

Rollouts: the gates of `noria.serving.gates` look every second at a version that is exactly as bad as the limit
allows, so that each promotion is false, and each abort, too. Then whole canaries are run whose new version is as good
as the old one, or clearly worse. Exits with 1 where a rate is above its level or an interval too wide.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from gate_runs import LEVELS, OLD, a_second, at_the_limit, canaries
from gate_streams import ALPHA, FORMS, tell_streams
from scipy import stats as scipy_stats

from noria.serving.counts import Judged, count_labels, merge
from noria.serving.gate_rules import Gates, Metric, QualityGate
from noria.serving.gates import evaluate
from noria.serving.predictions import VersionStats
from noria.serving.sums import Form, RowSums

WIDEST = 2.5
SIZES = {"smoke": (3, 1000, 2, 1), "quick": (40, 2000, 20, 4), "whole": (1000, 10_000, 300, 60)}
"""Streams, rows of each, rollouts on a limit, and canaries."""


def cost_ms() -> dict[str, float]:
    """Give the processor time of each gate on much that was counted."""
    generator = np.random.default_rng(1)
    judged = [
        Judged(2, 1, {"predictions": p, "probabilities": [1 - s, s]}, t)
        for p, s, t in zip(
            generator.integers(0, 2, 2000).tolist(),
            generator.random(2000).tolist(),
            generator.integers(0, 2, 2000).tolist(),
            strict=True,
        )
    ]
    many = merge(a_second(generator, OLD, 1_000_000), count_labels("classification", judged)[0].stats)
    error = RowSums(forms={"error": Form.of((generator.random(100_000) < 0.01).astype(float).tolist())})
    many = merge(many, VersionStats(version=2, sums=error))
    gates = {
        **LEVELS,
        "auc": Gates(errors=None, latency=None, quality=QualityGate(metric=Metric.AUC)),
    }
    return {name: _least_ms(each, many) for name, each in gates.items()}


def _least_ms(gates: Gates, stats: VersionStats) -> float:
    spent = []
    for _ in range(30):
        before = time.process_time()
        for _ in range(10):
            evaluate(gates, step=stats, new=stats, old=stats)
        spent.append((time.process_time() - before) * 100)
    return min(spent)


def main() -> int:
    """Print a line for each form, gate and kind of canary."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--smoke", action="store_const", dest="size", const="smoke", help="shows that it runs"
    )
    parser.add_argument(
        "--quick", action="store_const", dest="size", const="quick", help="few streams and runs"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    chosen = parser.parse_args()
    n_streams, n_rows, n_runs, n_canaries = SIZES[chosen.size or "whole"]
    found: dict[str, Any] = {"streams": {}, "limits": {}, "canaries": {}, "cost_ms": cost_ms()}
    good = True
    for name, spent in found["cost_ms"].items():
        print(f"{name:24} {spent:7.3f} ms a look")
    with ProcessPoolExecutor(chosen.processes) as pool:
        streams = [pool.submit(tell_streams, name, n_streams, n_rows, chosen.seed) for name in FORMS]
        limits = [pool.submit(at_the_limit, gate, n_runs, 240, chosen.seed) for gate in LEVELS]
        runs = [pool.submit(canaries, kind, n_canaries, chosen.seed) for kind in ("as good", "worse")]
        for stream in streams:
            name, missed, width = stream.result()
            found["streams"][name] = {"ever_missed": missed, "width": None if math.isnan(width) else width}
            good &= _within(missed, ALPHA, n_streams) and not width > WIDEST
            print(f"{name:24} {missed:7.2%} ever missed, {width:5.2f} times the fixed width", flush=True)
        for limit in limits:
            gate, promoted, aborted = limit.result()
            found["limits"][gate] = {"false_promotions": promoted, "false_aborts": aborted}
            good &= _within(promoted, ALPHA, n_runs) and _within(aborted, 0.001, n_runs)
            print(f"{gate:24} {promoted:7.2%} passed on its limit, {aborted:7.2%} failed", flush=True)
        for run in runs:
            kind, promoted, aborted, seconds = run.result()
            found["canaries"][kind] = {"promoted": promoted, "aborted": aborted, "mean_s": seconds}
            print(
                f"{kind:24} {promoted:7.2%} promoted, {aborted:7.2%} aborted, after {seconds:.0f} s",
                flush=True,
            )
    print("every rate is under its level" if good else "a rate or a width is above its level")
    if chosen.json:
        chosen.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0 if good else 1


def _within(rate: float, level: float, n: int) -> bool:
    """Tell whether a rate is compatible with its level: above it by chance less than once in a thousand times."""
    return rate * n <= scipy_stats.binom.ppf(0.999, n, level)


if __name__ == "__main__":
    sys.exit(main())
