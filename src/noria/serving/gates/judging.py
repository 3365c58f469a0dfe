"""Every gate of a step, and what they say together."""

from __future__ import annotations

from noria.serving.gate_rules import GateResult, Gates, Verdict
from noria.serving.gates.errors import judge_errors
from noria.serving.gates.latency import judge_latency
from noria.serving.gates.quality import judge_quality
from noria.serving.predictions import VersionStats


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
