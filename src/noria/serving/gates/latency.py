"""The gates on how long requests take.

Mean latencies have no upper bound that is known beforehand, so they are compared by asymptotic confidence sequences
(Waudby-Smith et al. 2024, see `core.stats.sequential_ratios`). A quantile is told by rows: each request takes longer
than the limit or not, and their share is told by a beta-binomial mixture (Howard et al. 2021).
"""

from __future__ import annotations

from noria.core.stats.sequential_means import Sums
from noria.core.stats.sequential_ratios import MIN_VALUES, mean_ratio, unbounded_mean
from noria.core.stats.sequential_shares import Outcomes, share_bounds
from noria.serving.gate_rules import GateResult, Gates, LatencyGate, SlowGate, Verdict
from noria.serving.gates.bounds import bounds
from noria.serving.gates.words import Figures, finite, percent, result, verdict
from noria.serving.predictions import VersionStats, latency_bucket


def judge_latency(
    gates: Gates, gate: LatencyGate, *, new: VersionStats, old: VersionStats | None
) -> GateResult:
    """Compare the mean latencies of requests without error, or of blocks of them.

    A pass by what is ignored and a pass by the ratio share the chance to be wrong.
    """
    mine = _latency(new, gate)
    base = _latency(old, gate) if old is not None else None
    figures: Figures = {
        "n_new": int(mine.n),
        "n_old": int(base.n) if base else 0,
        "new_mean_ms": new.mean_latency_ms,
        "old_mean_ms": old.mean_latency_ms if old else None,
        "new_p99_ms": new.latency_quantile_ms(0.99),
        "old_p99_ms": old.latency_quantile_ms(0.99) if old else None,
        "limit": gate.max_ratio,
    }
    if mine.n < MIN_VALUES:
        sentence = f"{_times(mine, gate)} of the new version, {MIN_VALUES} needed"
        return result("latency", Verdict.WAIT, sentence, figures)
    mean_ms = mine.mean / 1000
    if unbounded_mean(mine, (1 - gates.confidence) / 2)[1] <= gate.ignore_below_ms * 1000:
        sentence = f"The mean latency of {mean_ms:.1f} ms is below {gate.ignore_below_ms:g} ms"
        return result("latency", Verdict.PASS, sentence, figures)
    if base is None:
        sentence = f"The mean latency of {mean_ms:.1f} ms has nothing to be compared with"
        return result("latency", Verdict.PASS, sentence, figures)
    if base.n < MIN_VALUES:
        sentence = (
            f"{_times(base, gate)} of the old version to compare {mean_ms:.1f} ms with, {MIN_VALUES} needed"
        )
        return result("latency", Verdict.WAIT, sentence, figures)
    found = bounds(gates, lambda alpha: mean_ratio(mine, base, alpha / 2))
    figures |= {"lower": finite(found.lower), "upper": finite(found.upper)}
    sentence = (
        f"The mean latency is {mean_ms:.1f} ms against {base.mean / 1000:.1f} ms, "
        f"{found.lower:.2f} to {found.upper:.2f} times as long; {gate.max_ratio:g} times is allowed"
    )
    return result("latency", verdict(found, gate.max_ratio), sentence, figures)


def judge_slow(gates: Gates, gate: SlowGate, *, new: VersionStats) -> GateResult:
    """Ask that few requests without error take longer than a limit."""
    first = latency_bucket(int(gate.limit_ms * 1000))
    n = sum(new.latency_buckets.values())
    n_over = sum(count for bucket, count in new.latency_buckets.items() if bucket >= first)
    figures: Figures = {"n_new": n, "n_over": n_over, "limit": gate.max_share}
    if not n:
        return result("slow", Verdict.WAIT, "The new version has answered no request yet", figures)
    found = bounds(gates, lambda alpha: share_bounds(Outcomes(n_over, n), alpha))
    figures |= {"new_share_over": n_over / n, "lower": found.lower, "upper": found.upper}
    sentence = (
        f"{percent(n_over / n)} of {n} requests took longer than {gate.limit_ms:g} ms; the share is between "
        f"{percent(found.lower)} and {percent(found.upper)}, {percent(gate.max_share)} allowed"
    )
    return result("slow", verdict(found, gate.max_share), sentence, figures)


def _latency(stats: VersionStats, gate: LatencyGate) -> Sums:
    if gate.block_rows == 1:
        return Sums(stats.n_requests - stats.n_errors, stats.latency_sum_us, stats.latency_sum_squares)
    return Sums(*stats.sums.form("latency").by(gate.block_rows))


def _times(sums: Sums, gate: LatencyGate) -> str:
    what = "requests" if gate.block_rows == 1 else f"blocks of {gate.block_rows} requests"
    return f"{int(sums.n)} {what} without error"
