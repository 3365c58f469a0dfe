"""The gate on the share of requests that fail."""

from __future__ import annotations

from noria.serving.gate_rules import ErrorGate, GateResult, Gates, Verdict
from noria.serving.gates.bounds import Bounds, share_difference, wilson
from noria.serving.gates.words import percent, points, result, verdict
from noria.serving.predictions import VersionStats


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
        return result("errors", Verdict.WAIT, "The new version has answered no request yet", figures)
    passing = _error_increase(new, base, gates.confidence)
    failing = _error_increase(new, base, gates.abort_confidence)
    figures |= {"lower": failing.lower, "upper": passing.upper}
    against = "without requests to the old version" if old_share is None else f"against {percent(old_share)}"
    sentence = (
        f"{percent(new.n_errors / new.n_requests)} of {new.n_requests} requests failed {against}; "
        f"the increase is between {points(failing.lower)} and {points(passing.upper)}, "
        f"{points(gate.max_increase)} allowed"
    )
    return result("errors", verdict(failing.lower, passing.upper, gate.max_increase), sentence, figures)


def _error_increase(new: VersionStats, old: VersionStats | None, confidence: float) -> Bounds:
    if old is None:
        return wilson(new.n_errors, new.n_requests, confidence=confidence)
    return share_difference(new.n_errors, new.n_requests, old.n_errors, old.n_requests, confidence=confidence)
