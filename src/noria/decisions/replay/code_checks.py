"""Deployments replayed: the training rows through the code that is live, and through the code that trained.

A golden batch replay with targets: rows that a model was not fitted on tell whether other features or another model
cost it anything. Live rows go through both as well, since a fault may show on them alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from noria.decisions.replay.baseline import Baseline
from noria.decisions.replay.outputs import Floats, Predicted
from noria.decisions.replay.runner import CodeRaised
from noria.decisions.replay.world import Deployment, World

if TYPE_CHECKING:
    import polars as pl

_SURE = 3.0
_SUSPECT = 1.5
_TOUCHED = 0.01
_MOST_GOLDEN = 5_000
_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeCheck:
    """What a deployment does to rows whose answer is known.

    Attributes
    ----------
    differs
        Share of rows whose answer is another.
    harm, se
        Rise of the loss on held-out training rows, and its standard error.
    column
        The feature that differs most.
    worse_live
        What it costs by live rows and training rows together, once they surely tell that it does, after `n_looks` at
        `n_live` labelled ones.
    """

    deployment: Deployment
    differs: float
    harm: float
    se: float
    n: int
    column: str | None = None
    features_differ: float = 0.0
    error: str = ""
    worse_live: float | None = None
    n_looks: int = 0
    n_live: int = 0

    @property
    def cost(self) -> float:
        """Rise of the loss, by all that is known."""
        return self.harm if self.worse_live is None else self.worse_live

    @property
    def is_harmful(self) -> bool:
        """Tell whether it breaks something: it surely costs, or an old model gets features it was not taught by."""
        if self.error or self.worse_live is not None:
            return True
        if min(self.features_differ, self.differs) > _TOUCHED:
            return self.harm > -_SUSPECT * self.se
        return self.differs > 0 and self.harm > max(_SURE * self.se, 1e-9)


def check_features(world: World, baseline: Baseline, deployment: Deployment, block_rows: int) -> CodeCheck:
    """Replay the training rows through newly deployed code, window by window as live rows come."""
    if deployment.module is None:
        return CodeCheck(deployment=deployment, differs=1.0, harm=0.0, se=0.0, n=0, error=deployment.error)
    try:
        live = _features(world, deployment.module, block_rows)
    except CodeRaised as error:
        return CodeCheck(deployment=deployment, differs=1.0, harm=0.0, se=0.0, n=0, error=error.message)
    n = live.height
    alike = _features(world, world.module, block_rows)
    column, differs = compare_features(alike, live)
    losses, changed = np.zeros(n), np.zeros(n, dtype=bool)
    for model, fold in baseline.folds:
        rows = fold[fold < n]
        try:
            before, after = world.predict(model, alike[rows]), world.predict(model, live[rows])
        except CodeRaised as error:
            return CodeCheck(deployment=deployment, differs=1.0, harm=0.0, se=0.0, n=0, error=error.message)
        actual = world.actual[rows]
        losses[rows] = world.metric.rows(actual, after) - world.metric.rows(actual, before)
        changed[rows] = answers_differ(before, after)
    return CodeCheck(
        deployment=deployment,
        differs=float(changed.mean()),
        harm=float(losses.mean()),
        se=_se(losses),
        n=n,
        column=column,
        features_differ=differs,
    )


def check_model(world: World, baseline: Baseline, deployment: Deployment) -> CodeCheck:
    """Fit a newly deployed model's code without parts of the training rows, and set it against the old one on them."""
    if deployment.fit_module is None:
        return CodeCheck(deployment=deployment, differs=1.0, harm=0.0, se=0.0, n=0, error=deployment.error)
    differences: list[Floats] = []
    changed: list[Floats] = []
    for model, fold in baseline.folds[:: max(1, len(baseline.folds) // 2)]:
        kept = np.setdiff1d(np.arange(len(world.actual)), fold)
        try:
            other = world.runner.fit(deployment.fit_module, world.features[kept], world.target[kept])
            after = world.predict(other, world.features[fold])
        except CodeRaised as error:
            return CodeCheck(deployment=deployment, differs=1.0, harm=0.0, se=0.0, n=0, error=error.message)
        before, actual = world.predict(model, world.features[fold]), world.actual[fold]
        differences.append(world.metric.rows(actual, after) - world.metric.rows(actual, before))
        changed.append(answers_differ(before, after).astype(np.float64))
    losses = np.concatenate(differences)
    return CodeCheck(
        deployment=deployment,
        differs=float(np.concatenate(changed).mean()),
        harm=float(losses.mean()),
        se=_se(losses),
        n=len(losses),
    )


def _features(world: World, module: int, block_rows: int) -> pl.DataFrame:
    import polars as pl

    raw = world.raw.head(_MOST_GOLDEN)
    parts = [raw.slice(start, block_rows) for start in range(0, raw.height, block_rows)]
    return pl.concat([world.runner.features(module, part) for part in parts], how="vertical_relaxed")


def compare_features(before: pl.DataFrame, after: pl.DataFrame) -> tuple[str | None, float]:
    """Give the feature that differs most, and in which share of the rows."""
    missing = [name for name in before.columns if name not in after.columns]
    if missing:
        return missing[0], 1.0
    shares = {name: _differs(before[name], after[name]) for name in before.columns}
    worst = max(shares, key=shares.__getitem__, default=None)
    return (worst, shares[worst]) if worst is not None and shares[worst] > 0 else (None, 0.0)


def _differs(before: pl.Series, after: pl.Series) -> float:
    import polars as pl

    if before.dtype.is_numeric() and after.dtype.is_numeric():
        one, two = (side.cast(pl.Float64).fill_null(float("nan")).to_numpy() for side in (before, after))
        scale = np.nanmax(np.abs(one)) if np.isfinite(one).any() else 1.0
        return float((~np.isclose(one, two, rtol=_TOLERANCE, atol=_TOLERANCE * scale, equal_nan=True)).mean())
    one_text, two_text = before.cast(pl.String, strict=False), after.cast(pl.String, strict=False)
    return float(np.mean(one_text.ne_missing(two_text).to_numpy()))


def answers_differ(before: Predicted, after: Predicted) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Tell which answers are others, beyond rounding."""
    if before.values.dtype.kind == "f":
        scale = max(float(np.abs(before.values).max()), 1e-12) if len(before) else 1.0
        return np.asarray(np.abs(before.values - after.values) > 1e-4 * scale)
    other = np.asarray(before.values != after.values)
    if before.shares is not None and after.shares is not None and before.shares.shape == after.shares.shape:
        other |= np.abs(before.shares - after.shares).max(axis=1) > 1e-3
    return other


def _se(values: Floats) -> float:
    return float(values.std() / np.sqrt(max(len(values), 1)))
