"""Rollouts whose new version is exactly on a limit, as good as the old one or clearly worse, looked at every second."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from gate_streams import Floats, in_bursts

from noria.serving.counts import merge
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
