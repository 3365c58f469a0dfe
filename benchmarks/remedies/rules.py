"""Simple rules that people use, each retraining on everything labelled, with what they save and cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from losses import loss
from numpy.typing import NDArray
from scipy import stats
from simulated import Rows, Simulated

PAUSE = 4
"""Windows that a rule waits after it has retrained; for the first of them, the schedule of `retrain always`."""

_PSI = 0.2
_BINS = 10
_LEVEL = 0.01
_CALM = 4
_FEWEST = 6


@dataclass(kw_only=True)
class Course:
    """An episode under a rule, up to the end of a window.

    Attributes
    ----------
    known
        The newest window whose labels are known.
    taught
        Raw rows that the live model learnt from.
    losses
        Of the windows so far.
    """

    simulated: Simulated
    taught: pl.DataFrame
    known: int = -1
    losses: dict[int, float] = field(default_factory=dict)

    def learn(self, upto: int) -> Any:
        """Fit on training rows and all labelled ones up to a window."""
        return self.simulated.learn([w for w in self.simulated.windows if w.number <= upto], "all")


Rule = Callable[[Course, Rows], Any]
"""Gives a model to be put live at the end of a window, or None."""


def always(course: Course, _window: Rows) -> Any:
    """Retrain on a schedule."""
    return course.learn(course.known)


def on_psi(course: Course, window: Rows) -> Any:
    """Retrain when the population stability index of any column exceeds 0.2."""
    found = [psi(before, after) for before, after in _numbers(course.taught, window.raw)]
    return course.learn(course.known) if max(found, default=0.0) > _PSI else None


def on_ks(course: Course, window: Rows) -> Any:
    """Retrain when a Kolmogorov-Smirnov test of any column rejects at 1 % after Bonferroni."""
    found = [stats.ks_2samp(before, after).pvalue for before, after in _numbers(course.taught, window.raw)]
    return course.learn(course.known) if min(found, default=1.0) * len(found) < _LEVEL else None


def on_drop(course: Course, _window: Rows) -> Any:
    """Challenge the model when the newest labelled window loses more than calm ones; the better of both is live."""
    simulated, known = course.simulated, course.known
    calm = [course.losses[n] for n in sorted(course.losses)[:_CALM]]
    newest = course.losses[known]
    if known < _CALM or not newest > np.mean(calm) + 2 * np.std(calm, ddof=1):
        return None
    challenger = course.learn(known - 1)
    judged = next(w for w in simulated.windows if w.number == known)
    answers = simulated.predict(challenger, simulated.inputs(judged))
    return challenger if loss(simulated.metric, judged.actual, answers) < newest else None


RULES: dict[str, Rule] = {
    "retrain always": always,
    "retrain on PSI > 0.2": on_psi,
    "retrain on corrected KS": on_ks,
    "retrain on drop, gated": on_drop,
}


def saved_by(simulated: Simulated, rule: Rule, delay: int | None, upto: int) -> tuple[float, int]:
    """Give what a rule saves up to a window, net of what its retrains cost, and how many those were."""
    course = Course(simulated=simulated, taught=simulated.raw)
    base = simulated.losses(simulated.answers())
    model, n_retrains, last = None, 0, -PAUSE
    for window in simulated.windows:
        if window.number > upto:
            break
        live = simulated.model_at(window.number) if model is None else model
        answers = simulated.predict(live, simulated.inputs(window))
        course.losses[window.number] = loss(simulated.metric, window.actual, answers)
        course.known = -1 if delay is None else window.number - delay
        if course.known < 0 or window.number - last < PAUSE:
            continue
        found = _tried(rule, course, window)
        if found is not None:
            model, last, n_retrains = found, window.number, n_retrains + 1
            rows = [w.raw for w in simulated.windows if w.number <= course.known]
            course.taught = pl.concat([simulated.raw, *rows], how="vertical_relaxed")
    total = float(np.nansum([base[w] - course.losses[w] for w in course.losses]))
    return total - n_retrains * simulated.costs.get("retrain", 0.0), n_retrains


def _tried(rule: Rule, course: Course, window: Rows) -> Any:
    try:
        return rule(course, window)
    except ValueError:  # its rows do not allow a fit
        return None


def psi(before: NDArray[Any], after: NDArray[Any]) -> float:
    """Give the population stability index over deciles of the first sample, empty shares taken for 1e-4."""
    edges = np.unique(np.quantile(before, np.linspace(0, 1, _BINS + 1)[1:-1]))
    shares = [
        np.maximum(np.bincount(np.searchsorted(edges, x, "left"), minlength=len(edges) + 1) / len(x), 1e-4)
        for x in (before, after)
    ]
    return float(np.sum((shares[1] - shares[0]) * np.log(shares[1] / shares[0])))


def _numbers(before: pl.DataFrame, after: pl.DataFrame) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    names = [name for name in before.columns if before[name].dtype.is_float()]
    pairs = [(before[name].drop_nulls().to_numpy(), after[name].drop_nulls().to_numpy()) for name in names]
    return [(a, b) for a, b in pairs if len(a) >= _FEWEST and len(b) >= _FEWEST]
