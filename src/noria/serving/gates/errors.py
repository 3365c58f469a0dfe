"""The gate on the share of requests that fail: beta-binomial mixtures (Howard et al. 2021).

Where requests that follow one another fail together, means of blocks are compared by empirical-Bernstein confidence
sequences instead. See `core.stats.sequential_shares` and `sequential_means`.
"""

from __future__ import annotations

from noria.core.stats.sequential_means import Sums, mean_interval, mean_stream
from noria.core.stats.sequential_shares import Outcomes, share_bounds, share_stream
from noria.serving.gate_rules import ErrorGate, GateResult, Gates, Verdict
from noria.serving.gates.bounds import Bounds, bounds, difference
from noria.serving.gates.words import Figures, hundredths, result, verdict
from noria.serving.predictions import VersionStats
from noria.serving.sentences import FAILED, FAILED_ALONE, NO_BLOCK, NO_REQUEST


def judge_errors(gates: Gates, gate: ErrorGate, *, new: VersionStats, old: VersionStats | None) -> GateResult:
    """Compare the shares of requests that failed.

    Without requests to the old version, its share is taken as 0: the strictest reading.
    """
    base = old if old is not None and old.n_requests else None
    old_share = base.n_errors / base.n_requests if base else None
    figures: Figures = {
        "n_new": new.n_requests,
        "n_old": base.n_requests if base else 0,
        "new_share": new.n_errors / new.n_requests if new.n_requests else None,
        "old_share": old_share,
        "limit": gate.max_increase,
    }
    if not new.n_requests:
        return result("errors", Verdict.WAIT, NO_REQUEST, figures)
    found = _by_request(gates, new, base) if gate.block_rows == 1 else _by_block(gates, gate, new, base)
    if found is None:
        return result("errors", Verdict.WAIT, NO_BLOCK % {"rows": gate.block_rows}, figures)
    figures |= {"lower": found.lower, "upper": found.upper}
    sentence = (FAILED_ALONE if old_share is None else FAILED) % {
        "new": hundredths(new.n_errors / new.n_requests),
        "n": new.n_requests,
        "old": "" if old_share is None else hundredths(old_share),
        "lower": hundredths(found.lower),
        "upper": hundredths(found.upper),
        "allowed": hundredths(gate.max_increase),
    }
    return result("errors", verdict(found, gate.max_increase), sentence, figures)


def _by_request(gates: Gates, new: VersionStats, old: VersionStats | None) -> Bounds:
    mine = Outcomes(new.n_errors, new.n_requests)
    if old is None:
        return bounds(gates, lambda alpha: share_bounds(mine, alpha))
    return difference(gates, share_stream(mine), share_stream(Outcomes(old.n_errors, old.n_requests)))


def _by_block(gates: Gates, gate: ErrorGate, new: VersionStats, old: VersionStats | None) -> Bounds | None:
    mine = Sums(*new.sums.form("error").by(gate.block_rows))
    if not mine.n:
        return None
    if old is None:
        return bounds(gates, lambda alpha: mean_interval(mine, alpha))
    base = Sums(*old.sums.form("error").by(gate.block_rows))
    return difference(gates, mean_stream(mine), mean_stream(base))
