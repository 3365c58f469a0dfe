"""The gate on how long requests take."""

from __future__ import annotations

from noria.serving.gate_rules import GateResult, Gates, LatencyGate, Verdict
from noria.serving.gates.bounds import Sample, mean_ratio, upper_mean
from noria.serving.gates.words import result, verdict
from noria.serving.predictions import VersionStats


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
        return result("latency", Verdict.WAIT, "The new version has answered too few requests", figures)
    if upper_mean(mine, gates.confidence) <= gate.ignore_below_ms * 1000:
        sentence = f"The mean latency of {mine.mean / 1000:.1f} ms is below {gate.ignore_below_ms:g} ms"
        return result("latency", Verdict.PASS, sentence, figures)
    if base is None or base.n < 2:
        sentence = f"The mean latency of {mine.mean / 1000:.1f} ms has nothing to be compared with"
        return result("latency", Verdict.PASS if old is None else Verdict.WAIT, sentence, figures)
    passing = mean_ratio(mine, base, gates.confidence)
    failing = mean_ratio(mine, base, gates.abort_confidence)
    figures |= {"lower": failing.lower, "upper": passing.upper}
    sentence = (
        f"The mean latency is {mine.mean / 1000:.1f} ms against {base.mean / 1000:.1f} ms, "
        f"{failing.lower:.2f} to {passing.upper:.2f} times as long; {gate.max_ratio:g} times is allowed"
    )
    return result("latency", verdict(failing.lower, passing.upper, gate.max_ratio), sentence, figures)


def _latency(stats: VersionStats) -> Sample:
    return Sample(stats.n_requests - stats.n_errors, stats.latency_sum_us, stats.latency_sum_squares)
