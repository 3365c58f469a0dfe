"""Which raw columns the model leans on: what a shuffle of each costs on training rows that it was not fitted on."""

from __future__ import annotations

import numpy as np

from noria.decisions.replay.baseline import Baseline
from noria.decisions.replay.runner import CodeRaised
from noria.decisions.replay.world import World

_MOST_ROWS = 500


def importances(world: World, baseline: Baseline) -> dict[str, tuple[float, float]]:
    """Give the rise of the mean row loss when a column is shuffled (Breiman, 2001), with its standard error."""
    model, fold = baseline.folds[-1]
    rows = fold[:_MOST_ROWS]
    raw, actual = world.raw[rows], world.actual[rows]
    order = np.random.default_rng(0).permutation(len(rows))
    before = world.metric.rows(actual, world.predict(model, world.features[rows]))
    found = {}
    for name in raw.columns:
        shuffled = raw.with_columns(raw[name].gather(order))
        try:
            answered = world.predict(model, world.runner.features(world.module, shuffled))
        except CodeRaised:
            continue
        more = world.metric.rows(actual, answered) - before
        found[name] = (float(more.mean()), float(more.std() / np.sqrt(max(len(more), 1))))
    return found
