"""Every gate of a step, and what they say together."""

from __future__ import annotations

from noria.serving.gate_rules import GateResult, Gates, Verdict
from noria.serving.gates.distribution import judge_predictions
from noria.serving.gates.errors import judge_errors
from noria.serving.gates.latency import judge_latency, judge_slow
from noria.serving.gates.quality import judge_quality
from noria.serving.predictions import VersionStats
from noria.serving.sums import PairStats


def evaluate(
    gates: Gates,
    *,
    step: VersionStats,
    new: VersionStats,
    old: VersionStats | None,
    pairs: PairStats | None = None,
) -> list[GateResult]:
    """Judge a step of a rollout by every gate that is set.

    Parameters
    ----------
    step
        The new version since the step began: errors and latency depend on the load of the step.
    new
        The new version since the rollout began: labels come late, and neither quality nor what is predicted depends on
        the load.
    old
        The old version since the rollout began; None when there is none.
    pairs
        Rows that both predicted since the rollout began.

    Notes
    -----
    However often this is asked, a gate that passes does so wrongly with a chance of at most 1 - confidence in a step,
    and one that fails with at most 1 - abort confidence.
    """
    results = []
    if gates.errors is not None:
        results.append(judge_errors(gates, gates.errors, new=step, old=old))
    if gates.latency is not None:
        results.append(judge_latency(gates, gates.latency, new=step, old=old))
    if gates.slow is not None:
        results.append(judge_slow(gates, gates.slow, new=step))
    if gates.predictions is not None:
        results.append(judge_predictions(gates, gates.predictions, new=new, old=old, pairs=pairs))
    if gates.quality is not None:
        results.append(judge_quality(gates, gates.quality, new=new, old=old, pairs=pairs))
    return results


def combine(results: list[GateResult]) -> Verdict:
    """Give the verdict of a step: one failure fails it, and it passes when every gate does."""
    verdicts = {result.verdict for result in results}
    if Verdict.FAIL in verdicts:
        return Verdict.FAIL
    return Verdict.WAIT if Verdict.WAIT in verdicts else Verdict.PASS
