"""The gate on what is predicted: a band about the cumulative shares at all times (Howard and Ramdas 2022).

One prediction of each request is told, its first row's, since rows of one request depend on one another. See
`core.stats.sequential_distributions`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from noria.core.stats.sequential_distributions import distance
from noria.serving.gate_rules import GateResult, Gates, PredictionsGate, Verdict
from noria.serving.gates.bounds import bounds
from noria.serving.gates.words import Figures, hundredths, result, verdict
from noria.serving.predictions import VersionStats
from noria.serving.sentences import ALIKE, DIFFER, NO_PREDICTION_NEW, NO_PREDICTION_OLD, NONE_TO_DIFFER
from noria.serving.sums import PairStats


def judge_predictions(
    gates: Gates,
    gate: PredictionsGate,
    *,
    new: VersionStats,
    old: VersionStats | None,
    pairs: PairStats | None,
) -> GateResult:
    """Compare how the predictions of both versions are distributed."""
    if old is None:
        return result("predictions", Verdict.PASS, NONE_TO_DIFFER, {})
    mine, base = _counts(new), _counts(old)
    n, m = sum(mine.values()), sum(base.values())
    figures: Figures = {"n_new": n, "n_old": m, "limit": gate.max_distance}
    if not n or not m:
        sentence = NO_PREDICTION_OLD if n else NO_PREDICTION_NEW
        return result("predictions", Verdict.WAIT, sentence, figures)
    seen = distance(mine, base, 0.5).seen
    found = bounds(gates, lambda alpha: distance(mine, base, alpha)[1:])
    figures |= {"distance": seen, "lower": found.lower, "upper": found.upper}
    sentence = DIFFER % {
        "n": n,
        "m": m,
        "seen": hundredths(seen),
        "lower": hundredths(found.lower),
        "upper": hundredths(found.upper),
        "allowed": hundredths(gate.max_distance),
    }
    if pairs is not None and pairs.n:
        figures |= {"n_pairs": pairs.n, "agreement": pairs.n_agreed / pairs.n}
        sentence += "; " + ALIKE % {"share": hundredths(pairs.n_agreed / pairs.n), "n": pairs.n}
    return result("predictions", verdict(found, gate.max_distance), sentence, figures)


def _counts(stats: VersionStats) -> Mapping[Any, int]:
    return stats.sums.bins or stats.sums.predicted
