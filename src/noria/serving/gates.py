"""Gates of a rollout: pure judgements from counts and sums.

Each gate compares the new version with the old one by one-sided bounds. It passes when the bound at `confidence` is
within the limit, fails when the opposite bound at `abort_confidence` is beyond it, and waits otherwise. This module
runs in the server process, so it is plain arithmetic without NumPy.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

from noria.serving.entities import ErrorGate, GateResult, Gates, LatencyGate, QualityGate, Verdict
from noria.serving.predictions import VersionStats


class Bounds(NamedTuple):
    """One-sided bounds, each at the same confidence."""

    lower: float
    upper: float


class Sample(NamedTuple):
    """Size, sum and sum of squares of values that are not negative."""

    n: int
    total: float
    squares: float

    @property
    def mean(self) -> float:
        """Arithmetic mean; the sample is not empty."""
        return self.total / self.n

    @property
    def relative_variance_of_mean(self) -> float:
        """Variance of the mean over its square; 0 for fewer than two values or a mean of 0."""
        if self.n < 2 or self.total <= 0:
            return 0.0
        variance = max(0.0, (self.squares - self.n * self.mean**2) / (self.n - 1))
        return variance / self.n / self.mean**2


def evaluate(
    gates: Gates, *, step: VersionStats, new: VersionStats, old: VersionStats | None
) -> list[GateResult]:
    """Judge a step of a rollout by every gate that is set.

    Parameters
    ----------
    step
        The new version since the step began: errors and latency depend on the load of the step.
    new
        The new version since the rollout began: labels come late, and quality does not depend on the load.
    old
        The old version since the rollout began; None when there is none.
    """
    results = []
    if gates.errors is not None:
        results.append(judge_errors(gates, gates.errors, new=step, old=old))
    if gates.latency is not None:
        results.append(judge_latency(gates, gates.latency, new=step, old=old))
    if gates.quality is not None:
        results.append(judge_quality(gates, gates.quality, new=new, old=old))
    return results


def combine(results: list[GateResult]) -> Verdict:
    """Give the verdict of a step: one failure fails it, and it passes when every gate does."""
    verdicts = {result.verdict for result in results}
    if Verdict.FAIL in verdicts:
        return Verdict.FAIL
    return Verdict.WAIT if Verdict.WAIT in verdicts else Verdict.PASS


def judge_errors(gates: Gates, gate: ErrorGate, *, new: VersionStats, old: VersionStats | None) -> GateResult:
    """Compare the shares of requests that failed.

    Without requests to the old version, its share is taken as 0: the strictest reading.
    """
    base = old if old is not None and old.n_requests else None
    old_share = base.n_errors / base.n_requests if base else None
    figures: dict[str, float | int | None] = {
        "n_new": new.n_requests,
        "n_old": base.n_requests if base else 0,
        "new_share": new.n_errors / new.n_requests if new.n_requests else None,
        "old_share": old_share,
        "limit": gate.max_increase,
    }
    if not new.n_requests:
        return _result("errors", Verdict.WAIT, "The new version has answered no request yet", figures)
    passing = _error_increase(new, base, gates.confidence)
    failing = _error_increase(new, base, gates.abort_confidence)
    figures |= {"lower": failing.lower, "upper": passing.upper}
    against = "without requests to the old version" if old_share is None else f"against {_percent(old_share)}"
    sentence = (
        f"{_percent(new.n_errors / new.n_requests)} of {new.n_requests} requests failed {against}; "
        f"the increase is between {_points(failing.lower)} and {_points(passing.upper)}, "
        f"{_points(gate.max_increase)} allowed"
    )
    return _result("errors", _verdict(failing.lower, passing.upper, gate.max_increase), sentence, figures)


def judge_latency(
    gates: Gates, gate: LatencyGate, *, new: VersionStats, old: VersionStats | None
) -> GateResult:
    """Compare the mean latencies of requests without error."""
    mine, base = _latency(new), _latency(old) if old is not None else None
    figures: dict[str, float | int | None] = {
        "n_new": mine.n,
        "n_old": base.n if base else 0,
        "new_mean_ms": new.mean_latency_ms,
        "old_mean_ms": old.mean_latency_ms if old else None,
        "new_p99_ms": new.latency_quantile_ms(0.99),
        "old_p99_ms": old.latency_quantile_ms(0.99) if old else None,
        "limit": gate.max_ratio,
    }
    if mine.n < 2:
        return _result("latency", Verdict.WAIT, "The new version has answered too few requests", figures)
    if _upper_mean(mine, gates.confidence) <= gate.ignore_below_ms * 1000:
        sentence = f"The mean latency of {mine.mean / 1000:.1f} ms is below {gate.ignore_below_ms:g} ms"
        return _result("latency", Verdict.PASS, sentence, figures)
    if base is None or base.n < 2:
        sentence = f"The mean latency of {mine.mean / 1000:.1f} ms has nothing to be compared with"
        return _result("latency", Verdict.PASS if old is None else Verdict.WAIT, sentence, figures)
    passing = mean_ratio(mine, base, gates.confidence)
    failing = mean_ratio(mine, base, gates.abort_confidence)
    figures |= {"lower": failing.lower, "upper": passing.upper}
    sentence = (
        f"The mean latency is {mine.mean / 1000:.1f} ms against {base.mean / 1000:.1f} ms, "
        f"{failing.lower:.2f} to {passing.upper:.2f} times as long; {gate.max_ratio:g} times is allowed"
    )
    return _result("latency", _verdict(failing.lower, passing.upper, gate.max_ratio), sentence, figures)


def judge_quality(
    gates: Gates, gate: QualityGate, *, new: VersionStats, old: VersionStats | None
) -> GateResult:
    """Ask that the new version is not worse than the old one by more than a margin, on labelled rows."""
    if old is None:
        return _result("quality", Verdict.PASS, "There is no old version to be worse than", {})
    if min(new.n_labelled, old.n_labelled) < gate.min_labels:
        figures: dict[str, float | int | None] = {"n_new": new.n_labelled, "n_old": old.n_labelled}
        sentence = (
            f"Not judged: {new.n_labelled} labels for the new version and {old.n_labelled} for the old one, "
            f"{gate.min_labels} needed for each"
        )
        return _result("quality", Verdict.WAIT if gate.required else Verdict.PASS, sentence, figures)
    if new.n_measured and old.n_measured:
        return _judge_error_size(gates, gate, new=new, old=old)
    return _judge_accuracy(gates, gate, new=new, old=old)


def _judge_accuracy(gates: Gates, gate: QualityGate, *, new: VersionStats, old: VersionStats) -> GateResult:
    counts = (old.n_correct, old.n_judged, new.n_correct, new.n_judged)
    loss = (old.accuracy or 0.0) - (new.accuracy or 0.0)
    passing = share_difference(*counts, confidence=gates.confidence)
    failing = share_difference(*counts, confidence=gates.abort_confidence)
    figures: dict[str, float | int | None] = {
        "n_new": new.n_judged,
        "n_old": old.n_judged,
        "new_accuracy": new.accuracy,
        "old_accuracy": old.accuracy,
        "loss": loss,
        "lower": failing.lower,
        "upper": passing.upper,
        "limit": gate.max_loss,
    }
    sentence = (
        f"Accuracy {_percent(new.accuracy or 0.0)} on {new.n_judged} labels against "
        f"{_percent(old.accuracy or 0.0)} on {old.n_judged}; the loss is between {_points(failing.lower)} and "
        f"{_points(passing.upper)}, {_points(gate.max_loss)} allowed"
    )
    return _result("quality", _verdict(failing.lower, passing.upper, gate.max_loss), sentence, figures)


def _judge_error_size(gates: Gates, gate: QualityGate, *, new: VersionStats, old: VersionStats) -> GateResult:
    mine = Sample(new.n_measured, new.abs_error_sum, new.abs_error_sum_squares)
    base = Sample(old.n_measured, old.abs_error_sum, old.abs_error_sum_squares)
    passing = mean_ratio(mine, base, gates.confidence)
    failing = mean_ratio(mine, base, gates.abort_confidence)
    limit = 1.0 + gate.max_loss
    figures: dict[str, float | int | None] = {
        "n_new": mine.n,
        "n_old": base.n,
        "new_mean_absolute_error": mine.mean,
        "old_mean_absolute_error": base.mean,
        "lower": _finite(failing.lower),
        "upper": _finite(passing.upper),
        "limit": limit,
    }
    sentence = (
        f"Mean absolute error {mine.mean:.4g} on {mine.n} labels against {base.mean:.4g} on {base.n}, "
        f"{failing.lower:.2f} to {passing.upper:.2f} times as large; {limit:g} times is allowed"
    )
    return _result("quality", _verdict(failing.lower, passing.upper, limit), sentence, figures)


def wilson(n_successes: int, n: int, *, confidence: float) -> Bounds:
    """Score bounds for a share, each one-sided at `confidence`; `n` is at least 1.

    References
    ----------
    Wilson, E. B. (1927). Probable inference, the law of succession, and statistical inference. JASA 22.
    """
    z = _z(confidence)
    p = n_successes / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return Bounds(
        0.0 if n_successes == 0 else max(0.0, centre - half),
        1.0 if n_successes == n else min(1.0, centre + half),
    )


def share_difference(
    n_successes_first: int,
    n_first: int,
    n_successes_second: int,
    n_second: int,
    *,
    confidence: float,
) -> Bounds:
    """Bounds for the difference of two shares, first minus second: Newcombe's hybrid of two score intervals.

    References
    ----------
    Newcombe, R. G. (1998). Interval estimation for the difference between independent proportions: comparison of
    eleven methods. Statistics in Medicine 17, method 10.
    """
    p, q = n_successes_first / n_first, n_successes_second / n_second
    first = wilson(n_successes_first, n_first, confidence=confidence)
    second = wilson(n_successes_second, n_second, confidence=confidence)
    return Bounds(
        (p - q) - math.hypot(p - first.lower, second.upper - q),
        (p - q) + math.hypot(first.upper - p, q - second.lower),
    )


def mean_ratio(first: Sample, second: Sample, confidence: float) -> Bounds:
    r"""Bounds for the ratio of two means of values that are not negative, by the delta method on its logarithm.

    The variance of the logarithm of a mean is about its relative variance, so the bounds are the ratio times
    :math:`e^{\pm z \sqrt{v_1 + v_2}}`. Good from some twenty values on; both samples hold one at least.
    """
    if first.total <= 0 or second.total <= 0:
        ratio = 1.0 if first.total <= 0 and second.total <= 0 else 0.0 if first.total <= 0 else math.inf
        return Bounds(ratio, ratio)
    spread = _z(confidence) * math.sqrt(first.relative_variance_of_mean + second.relative_variance_of_mean)
    ratio = first.mean / second.mean
    return Bounds(ratio * math.exp(-spread), ratio * math.exp(min(spread, 700.0)))


def _error_increase(new: VersionStats, old: VersionStats | None, confidence: float) -> Bounds:
    if old is None:
        return wilson(new.n_errors, new.n_requests, confidence=confidence)
    return share_difference(new.n_errors, new.n_requests, old.n_errors, old.n_requests, confidence=confidence)


def _latency(stats: VersionStats) -> Sample:
    return Sample(stats.n_requests - stats.n_errors, stats.latency_sum_us, stats.latency_sum_squares)


def _upper_mean(sample: Sample, confidence: float) -> float:
    return sample.mean * (1 + _z(confidence) * math.sqrt(sample.relative_variance_of_mean))


def _verdict(lower: float, upper: float, limit: float) -> Verdict:
    if lower > limit:
        return Verdict.FAIL
    return Verdict.PASS if upper <= limit else Verdict.WAIT


def _result(gate: str, verdict: Verdict, sentence: str, figures: dict[str, float | int | None]) -> GateResult:
    return GateResult(gate=gate, verdict=verdict, sentence=sentence, figures=figures)


def _z(confidence: float) -> float:
    return NormalDist().inv_cdf(confidence)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _points(share: float) -> str:
    return f"{100 * share:.1f} points"
