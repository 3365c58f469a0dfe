"""How often always-valid gates are wrong at any time, how wide their intervals are, and what a look costs.

python benchmarks/rollouts/bench_gates.py [--quick] [--json FILE]

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
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats as scipy_stats

from noria.core.stats.sequential_distributions import band
from noria.core.stats.sequential_means import Sums, mean_capital, mean_difference, mean_interval
from noria.core.stats.sequential_ratios import mean_ratio, paired_ratio, unbounded_mean
from noria.core.stats.sequential_shares import Outcomes, share_bounds, share_capital, share_difference
from noria.serving.counts import Judged, count_labels, merge
from noria.serving.gate_rules import (
    ErrorGate,
    Gates,
    LatencyGate,
    Metric,
    PredictionsGate,
    QualityGate,
    SlowGate,
    Verdict,
)
from noria.serving.gates import combine, evaluate
from noria.serving.predictions import VersionStats, latency_bucket
from noria.serving.sums import ClassSums, Form, RowSums

Floats = NDArray[np.float64]
ALPHA = 0.05
DEMAND = -math.log(ALPHA)
WIDEST = 2.5
Z = float(scipy_stats.norm.ppf(1 - ALPHA / 2))


class Told(NamedTuple):
    """Whether a stream was ever missed, and the width at 1,000 rows as a multiple of the fixed-size one."""

    missed: bool
    width: float


def looks(n_rows: int) -> list[int]:
    """Give after which rows a stream is looked at."""
    return [*range(1, min(200, n_rows) + 1), *range(210, n_rows + 1, 10)]


def share(p: float) -> Callable[[np.random.Generator, int], Told]:
    """Rows that count or not: errors, right answers, slow requests, the share that F1 is told by."""

    def tell(generator: np.random.Generator, n_rows: int) -> Told:
        hits = (generator.random(n_rows) < p).cumsum()
        missed = any(share_capital(Outcomes(int(hits[n - 1]), n))(p) >= DEMAND for n in looks(n_rows))
        lower, upper = share_bounds(Outcomes(int(hits[999]), 1000), ALPHA)
        return Told(missed, (upper - lower) / (2 * Z * math.sqrt(p * (1 - p) / 1000)))

    return tell


def two_shares(p: float, q: float) -> Callable[[np.random.Generator, int], Told]:
    """Two streams of rows that count or not."""

    def tell(generator: np.random.Generator, n_rows: int) -> Told:
        first, second = (generator.random(n_rows) < p).cumsum(), (generator.random(n_rows) < q).cumsum()
        missed = any(
            share_capital(Outcomes(int(first[n - 1]), n))(p)
            + share_capital(Outcomes(int(second[n - 1]), n))(q)
            >= DEMAND
            for n in looks(n_rows)
        )
        lower, upper = share_difference(
            Outcomes(int(first[999]), 1000), Outcomes(int(second[999]), 1000), ALPHA
        )
        return Told(missed, (upper - lower) / (2 * Z * math.sqrt((p * (1 - p) + q * (1 - q)) / 1000)))

    return tell


Draw = Callable[[np.random.Generator, int], Floats]


def bounded(draw: Draw, mean: float, sd: float) -> Callable[[np.random.Generator, int], Told]:
    """Values in [0, 1]: AUC by pairs, relative errors, means of blocks, differences of pairs."""

    def tell(generator: np.random.Generator, n_rows: int) -> Told:
        sums = _sums(draw(generator, n_rows))
        missed = any(mean_capital(sums(n))(mean) >= DEMAND for n in looks(n_rows))
        lower, upper = mean_interval(sums(1000), ALPHA)
        return Told(missed, (upper - lower) / (2 * Z * sd / math.sqrt(1000)))

    return tell


def two_bounded(draw: Draw, mean: float, sd: float) -> Callable[[np.random.Generator, int], Told]:
    """Two streams of values in [0, 1]."""

    def tell(generator: np.random.Generator, n_rows: int) -> Told:
        first, second = _sums(draw(generator, n_rows)), _sums(draw(generator, n_rows))
        missed = any(
            mean_capital(first(n))(mean) + mean_capital(second(n))(mean) >= DEMAND for n in looks(n_rows)
        )
        lower, upper = mean_difference(first(1000), second(1000), ALPHA)
        return Told(missed, (upper - lower) / (2 * Z * sd * math.sqrt(2 / 1000)))

    return tell


def unbounded(draw: Draw, mean: float, sd: float) -> Callable[[np.random.Generator, int], Told]:
    """Values without upper bound: latencies, absolute and squared errors."""

    def tell(generator: np.random.Generator, n_rows: int) -> Told:
        sums = _sums(draw(generator, n_rows))
        found = [unbounded_mean(sums(n), ALPHA) for n in looks(n_rows)]
        lower, upper = unbounded_mean(sums(1000), ALPHA)
        missed = any(not low <= mean <= high for low, high in found)
        return Told(missed, (upper - lower) / (2 * Z * sd / math.sqrt(1000)))

    return tell


def ratio(draw: Draw, mean: float, sd: float) -> Callable[[np.random.Generator, int], Told]:
    """Draw two streams; the ratio of two means without upper bound, the truth being 1."""

    def tell(generator: np.random.Generator, n_rows: int) -> Told:
        first, second = _sums(draw(generator, n_rows)), _sums(draw(generator, n_rows))
        found = [mean_ratio(first(n), second(n), ALPHA) for n in looks(n_rows)]
        lower, upper = mean_ratio(first(1000), second(1000), ALPHA)
        missed = any(not low <= 1 <= high for low, high in found)
        return Told(missed, (upper - lower) / (2 * Z * sd / mean * math.sqrt(2 / 1000)))

    return tell


def pairs_ratio(generator: np.random.Generator, n_rows: int) -> Told:
    """Draw pairs; the ratio of absolute errors of two versions on the same rows, the truth being 1."""
    hard = generator.gamma(2, 1, n_rows)
    new, old = hard * generator.uniform(0.5, 1.5, n_rows), hard * generator.uniform(0.5, 1.5, n_rows)
    first, second, products = _sums(new), _sums(old), (new * old).cumsum()
    found = [paired_ratio(first(n), second(n), float(products[n - 1]), ALPHA) for n in looks(n_rows)]
    lower, upper = paired_ratio(first(1000), second(1000), float(products[999]), ALPHA)
    sd = float((new - old)[:1000].std()) / float(old[:1000].mean())
    return Told(
        any(not low <= 1 <= high for low, high in found), (upper - lower) / (2 * Z * sd / math.sqrt(1000))
    )


def distribution(generator: np.random.Generator, n_rows: int) -> Told:
    """Draw ten classes, whose cumulative shares are told."""
    classes = generator.integers(0, 10, n_rows)
    at = np.array(looks(n_rows))
    away = np.zeros(at.size)
    for last in range(9):
        away = np.maximum(away, np.abs((classes <= last).cumsum()[at - 1] / at - (last + 1) / 10))
    wide = np.array([band(n, ALPHA) for n in at.tolist()])
    return Told(bool((away > wide).any()), band(1000, ALPHA) / float(scipy_stats.kstwo(1000).ppf(1 - ALPHA)))


def in_bursts(generator: np.random.Generator, n_rows: int, failing: float) -> Floats:
    """Draw rows of which a share fails, some fifty on end: 1.0 where one does."""
    failed = np.zeros(n_rows)
    lasts = 50
    pause = lasts * (1 - failing) / failing
    at = int(generator.geometric(1 / pause))
    while at < n_rows:
        length = int(generator.geometric(1 / lasts))
        failed[at : at + length] = 1.0
        at += length + int(generator.geometric(1 / pause))
    return failed


def bursts(block: int) -> Callable[[np.random.Generator, int], Told]:
    """Rows that fail together for some fifty rows on end, 5 % of the time: by rows, or by blocks."""
    truth = 0.05

    def tell(generator: np.random.Generator, n_rows: int) -> Told:
        failed = in_bursts(generator, n_rows, truth)
        means = failed[: n_rows // block * block].reshape(-1, block).mean(axis=1)
        sums = _sums(means)
        found = looks(means.size)
        if block == 1:
            missed = any(share_capital(Outcomes(sums(n).total, n))(truth) >= DEMAND for n in found)
        else:
            missed = any(mean_capital(sums(n))(truth) >= DEMAND for n in found)
        return Told(missed, math.nan)

    return tell


def _sums(values: Floats) -> Callable[[int], Sums]:
    total, squares = values.cumsum(), (values * values).cumsum()
    return lambda n: Sums(n, float(total[n - 1]), float(squares[n - 1]))


def _auc(generator: np.random.Generator, n: int) -> Floats:
    return generator.choice([0.0, 0.5, 1.0], n, p=[0.175, 0.05, 0.775])


def _relative(generator: np.random.Generator, n: int) -> Floats:
    return np.minimum(generator.exponential(0.1, n), 1.0)


def _paired(generator: np.random.Generator, n: int) -> Floats:
    return generator.choice([0.0, 0.5, 1.0], n, p=[0.04, 0.92, 0.04])


def _lognormal(generator: np.random.Generator, n: int) -> Floats:
    return generator.lognormal(0, 1, n)


def _gamma(generator: np.random.Generator, n: int) -> Floats:
    return generator.gamma(2, 1, n)


def _absolute(generator: np.random.Generator, n: int) -> Floats:
    return np.abs(generator.normal(size=n))


def _squared(generator: np.random.Generator, n: int) -> Floats:
    return generator.normal(size=n) ** 2


_RELATIVE_MEAN = 0.1 * (1 - math.exp(-10))
_RELATIVE_SD = math.sqrt(2 * 0.01 * (1 - 11 * math.exp(-10)) - _RELATIVE_MEAN**2)
_LOG_MEAN, _LOG_SD = math.exp(0.5), math.sqrt((math.e - 1) * math.e)
_ABS_MEAN, _ABS_SD = math.sqrt(2 / math.pi), math.sqrt(1 - 2 / math.pi)

FORMS: dict[str, Callable[[np.random.Generator, int], Told]] = {
    "errors, 1 %": share(0.01),
    "accuracy, 90 %": share(0.9),
    "F1 of 0.75": share(0.6),
    "errors, difference": two_shares(0.01, 0.01),
    "accuracy, difference": two_shares(0.9, 0.9),
    "AUC of 0.8": bounded(_auc, 0.8, math.sqrt(0.775 + 0.0125 - 0.64)),
    "AUC, difference": two_bounded(_auc, 0.8, math.sqrt(0.775 + 0.0125 - 0.64)),
    "MAPE of 0.1": bounded(_relative, _RELATIVE_MEAN, _RELATIVE_SD),
    "accuracy, pairs": bounded(_paired, 0.5, math.sqrt(0.02)),
    "latency, log-normal": unbounded(_lognormal, _LOG_MEAN, _LOG_SD),
    "latency, gamma": unbounded(_gamma, 2.0, math.sqrt(2)),
    "latency, ratio": ratio(_lognormal, _LOG_MEAN, _LOG_SD),
    "MAE": unbounded(_absolute, _ABS_MEAN, _ABS_SD),
    "MAE, ratio": ratio(_absolute, _ABS_MEAN, _ABS_SD),
    "RMSE (squares)": unbounded(_squared, 1.0, math.sqrt(2)),
    "MAE, pairs": pairs_ratio,
    "predictions": distribution,
    "bursts, blocks of 100": bursts(100),
    "bursts, blocks of 1000": bursts(1000),
}


def tell_streams(name: str, n_streams: int, n_rows: int, seed: int) -> tuple[str, float, float]:
    """Give the share of streams that were ever missed, and the mean width."""
    generator = np.random.default_rng([seed, *name.encode()])
    told = [FORMS[name](generator, n_rows) for _ in range(n_streams)]
    return name, sum(each.missed for each in told) / n_streams, float(np.mean([each.width for each in told]))


IN_BLOCKS = "errors in blocks"
LEVELS = {
    "errors": Gates(errors=ErrorGate(max_increase=0.02), latency=None, quality=None),
    IN_BLOCKS: Gates(errors=ErrorGate(max_increase=0.02, block_rows=100), latency=None, quality=None),
    "latency": Gates(errors=None, latency=LatencyGate(max_ratio=1.2, ignore_below_ms=0), quality=None),
    "slow": Gates(errors=None, latency=None, slow=SlowGate(limit_ms=200, max_share=0.02), quality=None),
    "predictions": Gates(
        errors=None, latency=None, predictions=PredictionsGate(max_distance=0.1), quality=None
    ),
    "quality": Gates(errors=None, latency=None, quality=QualityGate(max_loss=0.03, required=True)),
    "f1": Gates(
        errors=None,
        latency=None,
        quality=QualityGate(metric=Metric.F1, positive="1", max_loss=0.05, required=True),
    ),
}
"""Gate → settings whose limit the new version of `at_the_limit` is on."""


class Version(NamedTuple):
    """What a version does to each request."""

    errors: float = 0.01
    latency_ms: float = 100.0
    slow: float = 0.01
    first_class: float = 0.5
    accuracy: float = 0.9
    jaccard: float = 0.6


OLD = Version()
_F1 = 2 * OLD.jaccard / (1 + OLD.jaccard) - 0.05
LIMIT = Version(0.03, 120.0, 0.02, 0.6, 0.87, _F1 / (2 - _F1))
WORSE = Version(0.10, 400.0, 0.05, 0.9, 0.75, 0.3)


def a_second(generator: np.random.Generator, version: Version, n: int, number: int = 2) -> VersionStats:
    """Draw what a version answered in a second; a fifth of it is labelled."""
    n_errors = int(generator.binomial(n, version.errors))
    took = generator.lognormal(math.log(version.latency_ms * 1000) - 0.125, 0.5, n - n_errors)
    slow = int(generator.binomial(n - n_errors, version.slow))
    n_labelled = n // 5
    first = int(generator.binomial(n, version.first_class))
    correct = int(generator.binomial(n_labelled, version.accuracy))
    both = int(generator.binomial(n_labelled, version.jaccard))
    sums = RowSums(classes={"1": ClassSums(n_labelled, both, both)}, predicted={"0": first, "1": n - first})
    return VersionStats(
        version=number,
        n_requests=n,
        n_rows=n,
        n_errors=n_errors,
        latency_sum_us=float(took.sum()),
        latency_sum_squares=float((took * took).sum()),
        latency_buckets={latency_bucket(20_000): n - n_errors - slow, latency_bucket(900_000): slow},
        n_labelled=n_labelled,
        n_judged=n_labelled,
        n_correct=correct,
        sums=sums,
    )


Seconds = Iterator[tuple[VersionStats, VersionStats]]


def by_request(generator: np.random.Generator, n_seconds: int) -> Seconds:
    """Draw what both versions answer in each second, requests being independent of one another."""
    for _ in range(n_seconds):
        yield a_second(generator, LIMIT, 20), a_second(generator, OLD, 60, 1)


def by_burst(generator: np.random.Generator, n_seconds: int) -> Seconds:
    """Draw the same of ten times as many requests that fail together, some fifty on end."""
    drawn = [
        in_bursts(generator, n_seconds * n, version.errors).reshape(n_seconds, n)
        for version, n in ((LIMIT, 200), (OLD, 600))
    ]
    for new, old in zip(*drawn, strict=True):
        yield _failed(2, new), _failed(1, old)


def _failed(number: int, failed: Floats) -> VersionStats:
    return VersionStats(
        version=number,
        n_requests=failed.size,
        n_rows=failed.size,
        n_errors=int(failed.sum()),
        sums=RowSums(forms={"error": Form.of(failed.tolist())}),
    )


def at_the_limit(gate: str, n_runs: int, n_seconds: int, seed: int) -> tuple[str, float, float]:
    """Give the shares of runs that a gate passed, and failed, at any second, the new version being on its limit."""
    generator = np.random.default_rng([seed, *gate.encode()])
    seconds = by_burst if gate == IN_BLOCKS else by_request
    said: Counter[Verdict] = Counter()
    for _ in range(n_runs):
        new, old = VersionStats(version=2), VersionStats(version=1)
        for more_new, more_old in seconds(generator, n_seconds):
            new, old = merge(new, more_new), merge(old, more_old)
            verdict = combine(evaluate(LEVELS[gate], step=new, new=new, old=old))
            if verdict is not Verdict.WAIT:
                said[verdict] += 1
                break
    return gate, said[Verdict.PASS] / n_runs, said[Verdict.FAIL] / n_runs


def canaries(kind: str, n_runs: int, seed: int) -> tuple[str, float, float, float]:
    """Give the shares of canaries that were promoted and aborted, and the mean seconds until then.

    Ten and fifty percent of 200 requests a second, each step at least 30 s, the default gates and predictions; looked
    at every second, for at most 300 s a step.
    """
    generator = np.random.default_rng([seed, *kind.encode()])
    gates = Gates(predictions=PredictionsGate(), quality=QualityGate(max_loss=0.05, required=True))
    version = {"as good": OLD, "worse": WORSE}[kind]
    said, took = Counter[str](), []
    for _ in range(n_runs):
        ended, seconds = a_canary(generator, gates, version)
        said[ended] += 1
        took.append(seconds)
    return kind, said["promoted"] / n_runs, said["aborted"] / n_runs, float(np.mean(took))


def a_canary(generator: np.random.Generator, gates: Gates, version: Version) -> tuple[str, int]:
    """Run one canary to its end."""
    new, old = VersionStats(version=2), VersionStats(version=1)
    seconds = 0
    for weight in (0.1, 0.5):
        step, verdict = VersionStats(version=2), Verdict.WAIT
        for second in range(300):
            seconds += 1
            answered = a_second(generator, version, int(200 * weight))
            new, step = merge(new, answered), merge(step, answered)
            old = merge(old, a_second(generator, OLD, int(200 * (1 - weight)), 1))
            verdict = combine(evaluate(gates, step=step, new=new, old=old))
            if verdict is Verdict.FAIL:
                return "aborted", seconds
            if verdict is Verdict.PASS and second >= 30:
                break
        if verdict is not Verdict.PASS:
            return "undecided", seconds
    return "promoted", seconds


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
    parser.add_argument("--quick", action="store_true", help="few streams and runs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    chosen = parser.parse_args()
    n_streams, n_rows, n_runs, n_canaries = (40, 2000, 20, 4) if chosen.quick else (1000, 10_000, 300, 60)
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
