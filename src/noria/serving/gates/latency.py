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
from noria.serving.gates.words import Figures, finite, hundredths, result, verdict
from noria.serving.predictions import VersionStats, latency_bucket
from noria.serving.sentences import (
    FEW_BLOCKS_NEW,
    FEW_BLOCKS_OLD,
    FEW_TIMES_NEW,
    FEW_TIMES_OLD,
    NO_REQUEST,
    OVER,
    QUICK,
    QUICK_ALONE,
    SLOWER,
)


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
        sentence = (FEW_TIMES_NEW if gate.block_rows == 1 else FEW_BLOCKS_NEW) % _few(mine, gate)
        return result("latency", Verdict.WAIT, sentence, figures)
    mean_ms = mine.mean / 1000
    if unbounded_mean(mine, (1 - gates.confidence) / 2)[1] <= gate.ignore_below_ms * 1000:
        sentence = QUICK % {"mean": f"{mean_ms:.1f}", "ignored": f"{gate.ignore_below_ms:g}"}
        return result("latency", Verdict.PASS, sentence, figures)
    if base is None:
        return result("latency", Verdict.PASS, QUICK_ALONE % {"mean": f"{mean_ms:.1f}"}, figures)
    if base.n < MIN_VALUES:
        words = FEW_TIMES_OLD if gate.block_rows == 1 else FEW_BLOCKS_OLD
        sentence = words % (_few(base, gate) | {"mean": f"{mean_ms:.1f}"})
        return result("latency", Verdict.WAIT, sentence, figures)
    found = bounds(gates, lambda alpha: mean_ratio(mine, base, alpha / 2))
    figures |= {"lower": finite(found.lower), "upper": finite(found.upper)}
    sentence = SLOWER % {
        "mean": f"{mean_ms:.1f}",
        "old": f"{base.mean / 1000:.1f}",
        "lower": f"{found.lower:.2f}",
        "upper": f"{found.upper:.2f}",
        "allowed": f"{gate.max_ratio:g}",
    }
    return result("latency", verdict(found, gate.max_ratio), sentence, figures)


def judge_slow(gates: Gates, gate: SlowGate, *, new: VersionStats) -> GateResult:
    """Ask that few requests without error take longer than a limit."""
    first = latency_bucket(int(gate.limit_ms * 1000))
    n = sum(new.latency_buckets.values())
    n_over = sum(count for bucket, count in new.latency_buckets.items() if bucket >= first)
    figures: Figures = {"n_new": n, "n_over": n_over, "limit": gate.max_share}
    if not n:
        return result("slow", Verdict.WAIT, NO_REQUEST, figures)
    found = bounds(gates, lambda alpha: share_bounds(Outcomes(n_over, n), alpha))
    figures |= {"new_share_over": n_over / n, "lower": found.lower, "upper": found.upper}
    sentence = OVER % {
        "share": hundredths(n_over / n),
        "n": n,
        "limit": f"{gate.limit_ms:g}",
        "lower": hundredths(found.lower),
        "upper": hundredths(found.upper),
        "allowed": hundredths(gate.max_share),
    }
    return result("slow", verdict(found, gate.max_share), sentence, figures)


def _latency(stats: VersionStats, gate: LatencyGate) -> Sums:
    if gate.block_rows == 1:
        return Sums(stats.n_requests - stats.n_errors, stats.latency_sum_us, stats.latency_sum_squares)
    return Sums(*stats.sums.form("latency").by(gate.block_rows))


def _few(sums: Sums, gate: LatencyGate) -> dict[str, object]:
    return {"n": int(sums.n), "rows": gate.block_rows, "needed": MIN_VALUES}
