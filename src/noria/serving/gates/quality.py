"""The gate on labelled quality."""

from __future__ import annotations

from noria.serving.gate_rules import GateResult, Gates, QualityGate, Verdict
from noria.serving.gates.bounds import Sample, mean_ratio, share_difference
from noria.serving.gates.words import finite, percent, points, result, verdict
from noria.serving.predictions import VersionStats


def judge_quality(
    gates: Gates, gate: QualityGate, *, new: VersionStats, old: VersionStats | None
) -> GateResult:
    """Ask that the new version is not worse than the old one by more than a margin, on labelled rows."""
    if old is None:
        return result("quality", Verdict.PASS, "There is no old version to be worse than", {})
    if min(new.n_labelled, old.n_labelled) < gate.min_labels:
        figures: dict[str, float | int | None] = {"n_new": new.n_labelled, "n_old": old.n_labelled}
        sentence = (
            f"Not judged: {new.n_labelled} labels for the new version and {old.n_labelled} for the old one, "
            f"{gate.min_labels} needed for each"
        )
        return result("quality", Verdict.WAIT if gate.required else Verdict.PASS, sentence, figures)
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
        f"Accuracy {percent(new.accuracy or 0.0)} on {new.n_judged} labels against "
        f"{percent(old.accuracy or 0.0)} on {old.n_judged}; the loss is between {points(failing.lower)} and "
        f"{points(passing.upper)}, {points(gate.max_loss)} allowed"
    )
    return result("quality", verdict(failing.lower, passing.upper, gate.max_loss), sentence, figures)


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
        "lower": finite(failing.lower),
        "upper": finite(passing.upper),
        "limit": limit,
    }
    sentence = (
        f"Mean absolute error {mine.mean:.4g} on {mine.n} labels against {base.mean:.4g} on {base.n}, "
        f"{failing.lower:.2f} to {passing.upper:.2f} times as large; {limit:g} times is allowed"
    )
    return result("quality", verdict(failing.lower, passing.upper, limit), sentence, figures)
