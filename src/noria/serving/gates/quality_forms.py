"""In which form each metric of labelled quality is told.

Each metric is told in a form by rows, or by blocks of rows, for which an always-valid interval holds:

========  ======================================================================  ==================================
metric    form                                                                    interval
========  ======================================================================  ==================================
accuracy  a row is right or not                                                   beta-binomial mixture
f1        of the rows that are of the class, in truth or as predicted, one is     beta-binomial mixture of that
          both or not; F1 = 2 J / (1 + J) of their share J                        share
auc       a row of either class, each row once: the higher score or not           empirical Bernstein
mape      absolute error as a share of the truth, at most 1                       empirical Bernstein
mae       absolute error; the ratio of both means                                 asymptotic, Fieller's ratio
rmse      squared error; the root of the ratio of both means                      asymptotic, Fieller's ratio
========  ======================================================================  ==================================

Where both versions predicted the same rows, accuracy and mean absolute error are told by the differences of the pairs.
Means of blocks are told by empirical Bernstein, or asymptotically where errors have no bound. See
`core.stats.sequential_shares`, `sequential_means` and `sequential_ratios` for the papers.
"""

from __future__ import annotations

import math

from noria.core.stats.sequential_means import Sums, mean_interval, mean_stream
from noria.core.stats.sequential_ratios import mean_ratio, paired_ratio
from noria.core.stats.sequential_search import Stream, stream_near
from noria.core.stats.sequential_shares import Outcomes, share_capital, share_stream
from noria.serving.gate_rules import Gates, Metric, QualityGate
from noria.serving.gates.bounds import Bounds, bounds, difference
from noria.serving.predictions import VersionStats
from noria.serving.sums import ClassSums, PairStats

_FORMS = {
    Metric.ACCURACY: "correct",
    Metric.AUC: "auc",
    Metric.MAE: "abs_error",
    Metric.RMSE: "squared_error",
    Metric.MAPE: "relative_error",
}


def values_of(gate: QualityGate, metric: Metric, stats: VersionStats) -> Sums:
    """Give the sums of a metric's form, by rows or by blocks."""
    if metric is Metric.F1:
        found = stats.sums.classes.get(gate.positive or "", ClassSums())
        either = found.n_true + found.n_predicted - found.n_both
        return Sums(either, found.n_both, found.n_both)
    if gate.block_rows == 1 and metric is Metric.ACCURACY:
        return Sums(stats.n_judged, stats.n_correct, stats.n_correct)
    if gate.block_rows == 1 and metric is Metric.MAE:
        return Sums(stats.n_measured, stats.abs_error_sum, stats.abs_error_sum_squares)
    return Sums(*stats.sums.form(_FORMS[metric]).by(gate.block_rows))


def level_of(metric: Metric, values: Sums) -> float:
    """Give a metric as people know it from the mean of its form."""
    if metric is Metric.F1:
        return _f1(values.mean)
    return math.sqrt(values.mean) if metric is Metric.RMSE else values.mean


def loss_bounds(gates: Gates, gate: QualityGate, metric: Metric, mine: Sums, base: Sums) -> Bounds:
    """Give the bounds of how much worse the new version is, for metrics between 0 and 1."""
    new, old = _stream(gate, metric, mine), _stream(gate, metric, base)
    return difference(gates, new, old) if metric is Metric.MAPE else difference(gates, old, new)


def paired_loss(gates: Gates, pairs: PairStats) -> tuple[float, Bounds]:
    """Give the loss of accuracy on pairs: a row counts 1 that only the old version got right, and -1 the other way."""
    old, new = pairs.n_only_old_right, pairs.n_only_new_right
    sums = Sums(pairs.n_judged, old - new, old + new)
    return sums.mean, bounds(gates, lambda alpha: mean_interval(sums, alpha, low=-1.0, high=1.0))


def ratio_bounds(gates: Gates, metric: Metric, mine: Sums, base: Sums) -> Bounds:
    """Give the bounds of how many times as large the error is."""
    found = bounds(gates, lambda alpha: mean_ratio(mine, base, alpha))
    return Bounds(math.sqrt(found.lower), math.sqrt(found.upper)) if metric is Metric.RMSE else found


def paired_errors(gates: Gates, pairs: PairStats) -> tuple[Sums, Sums, Bounds]:
    """Give the absolute errors of pairs, and the bounds of their ratio."""
    mine = Sums(pairs.n_measured, pairs.new_error_sum, pairs.new_error_squares)
    base = Sums(pairs.n_measured, pairs.old_error_sum, pairs.old_error_squares)
    return mine, base, bounds(gates, lambda alpha: paired_ratio(mine, base, pairs.error_products, alpha))


def _stream(gate: QualityGate, metric: Metric, values: Sums) -> Stream:
    outcomes = Outcomes(values.total, values.n)
    if metric is Metric.F1:
        against = share_capital(outcomes)
        return stream_near(lambda f1: against(f1 / (2 - f1)), _f1(outcomes.share), outcomes.n)
    if metric is Metric.ACCURACY and gate.block_rows == 1:
        return share_stream(outcomes)
    return mean_stream(values)


def _f1(share: float) -> float:
    """Give F1 from the share, among the rows of the class in truth or as predicted, of those that are both."""
    return 2 * share / (1 + share)
