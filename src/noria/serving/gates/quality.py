"""The gate on labelled quality; `quality_forms` says how each metric is told."""

from __future__ import annotations

from noria.core.stats.sequential_means import Sums
from noria.serving import sentences
from noria.serving.gate_rules import GateResult, Gates, Metric, QualityGate, Verdict
from noria.serving.gates.bounds import Bounds
from noria.serving.gates.quality_forms import (
    level_of,
    loss_bounds,
    paired_errors,
    paired_loss,
    ratio_bounds,
    values_of,
)
from noria.serving.gates.words import Figures, finite, hundredths, result, verdict
from noria.serving.predictions import VersionStats
from noria.serving.sums import PairStats

_NAMES = {
    Metric.ACCURACY: (sentences.ACCURACY, "accuracy"),
    Metric.F1: (sentences.F1, "f1"),
    Metric.AUC: (sentences.AUC, "auc"),
    Metric.MAE: (sentences.MAE, "mean_absolute_error"),
    Metric.RMSE: (sentences.RMSE, "root_mean_squared_error"),
    Metric.MAPE: (sentences.MAPE, "mape"),
}
_RATIOS = frozenset({Metric.MAE, Metric.RMSE})


def judge_quality(
    gates: Gates,
    gate: QualityGate,
    *,
    new: VersionStats,
    old: VersionStats | None,
    pairs: PairStats | None = None,
) -> GateResult:
    """Ask that the new version is not worse than the old one by more than a margin, on labelled rows."""
    if old is None:
        return result("quality", Verdict.PASS, sentences.NONE_TO_BE_WORSE, {})
    metric = gate.metric or (Metric.MAE if new.n_measured and old.n_measured else Metric.ACCURACY)
    mine, base = values_of(gate, metric, new), values_of(gate, metric, old)
    missing = _missing(gate, metric, (new, mine), (old, base))
    if missing is not None:
        figures: Figures = {"n_new": new.n_labelled, "n_old": old.n_labelled}
        return result("quality", Verdict.WAIT if gate.required else Verdict.PASS, missing, figures)
    known = pairs if pairs is not None and gate.block_rows == 1 else PairStats()
    if metric in _RATIOS:
        return _judge_ratio(gates, gate, metric, mine, base, known)
    return _judge_loss(gates, gate, metric, mine, base, known)


def _missing(
    gate: QualityGate, metric: Metric, new: tuple[VersionStats, Sums], old: tuple[VersionStats, Sums]
) -> str | None:
    """Say what is missing to judge by; None when nothing is."""
    n_new, n_old = new[0].n_labelled, old[0].n_labelled
    if min(n_new, n_old) < gate.min_labels:
        return sentences.FEW_LABELS % {"new": n_new, "old": n_old, "needed": gate.min_labels}
    if min(new[1].n, old[1].n) > 0:
        return None
    return sentences.UNTOLD % {
        "new": int(new[1].n),
        "rows_words": _told(gate, metric),
        "old": int(old[1].n),
        "metric": metric.value,
    }


def _judge_loss(
    gates: Gates, gate: QualityGate, metric: Metric, mine: Sums, base: Sums, pairs: PairStats
) -> GateResult:
    ours, theirs = level_of(metric, mine), level_of(metric, base)
    name, key = _NAMES[metric]
    if metric is Metric.ACCURACY and pairs.n_judged:
        loss, found = paired_loss(gates, pairs)
    else:
        loss = ours - theirs if metric is Metric.MAPE else theirs - ours
        found = loss_bounds(gates, gate, metric, mine, base)
    figures = _figures(key, (mine.n, ours), (base.n, theirs), found, gate.max_loss)
    figures |= {"loss": loss} | ({"n_pairs": pairs.n_judged} if pairs.n_judged else {})
    sentence = sentences.LOSS % {
        "metric_words": name,
        "new": hundredths(ours),
        "n": int(mine.n),
        "rows_words": _told(gate, metric),
        "old": hundredths(theirs),
        "m": int(base.n),
        "lower": hundredths(found.lower),
        "upper": hundredths(found.upper),
        "allowed": hundredths(gate.max_loss),
    }
    return result("quality", verdict(found, gate.max_loss), sentence, figures)


def _judge_ratio(
    gates: Gates, gate: QualityGate, metric: Metric, mine: Sums, base: Sums, pairs: PairStats
) -> GateResult:
    if metric is Metric.MAE and pairs.n_measured:
        mine, base, found = paired_errors(gates, pairs)
    else:
        found = ratio_bounds(gates, metric, mine, base)
    ours, theirs = level_of(metric, mine), level_of(metric, base)
    limit = 1.0 + gate.max_loss
    name, key = _NAMES[metric]
    figures = _figures(key, (mine.n, ours), (base.n, theirs), found, limit)
    figures |= {"n_pairs": pairs.n_measured} if pairs.n_measured else {}
    sentence = sentences.LARGER % {
        "metric_words": name,
        "new": f"{ours:.4g}",
        "n": int(mine.n),
        "rows_words": _told(gate, metric),
        "old": f"{theirs:.4g}",
        "m": int(base.n),
        "lower": f"{found.lower:.2f}",
        "upper": f"{found.upper:.2f}",
        "allowed": f"{limit:g}",
    }
    return result("quality", verdict(found, limit), sentence, figures)


def _figures(
    key: str, new: tuple[float, float], old: tuple[float, float], found: Bounds, limit: float
) -> Figures:
    return {
        "n_new": int(new[0]),
        "n_old": int(old[0]),
        f"new_{key}": new[1],
        f"old_{key}": old[1],
        "lower": finite(found.lower),
        "upper": finite(found.upper),
        "limit": limit,
    }


def _told(gate: QualityGate, metric: Metric) -> str:
    one, blocks = {
        Metric.AUC: (sentences.PAIRS, sentences.BLOCKS_OF_PAIRS),
        Metric.F1: (sentences.ROWS_OF, sentences.BLOCKS_OF_ROWS_OF),
    }.get(metric, (sentences.LABELS, sentences.BLOCKS_OF_LABELS))
    return (one if gate.block_rows == 1 else blocks) % {"rows": gate.block_rows, "positive": gate.positive}
