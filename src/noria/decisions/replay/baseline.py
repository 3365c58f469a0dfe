"""What the model loses on training rows that it was not fitted on, block by block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noria.decisions.replay.outputs import Floats, Predicted, joined
from noria.decisions.replay.runner import CodeRaised, Model
from noria.decisions.replay.world import World
from noria.decisions.stages.decomposition import label_mix, mix_dispersion

_N_FOLDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """Losses of held-out training rows.

    Attributes
    ----------
    rows : ndarray, shape (n_reference,)
        Loss of each training row when it was held out.
    between
        Standard deviation of the mean losses of blocks beyond what chance explains.
    mix_dispersion
        How many times more the targets of blocks vary than chance draws do.
    allowance
        How much more later rows lost than earlier ones held out among them: what time alone does.
    """

    rows: Floats
    predicted: Predicted
    folds: tuple[tuple[Model, NDArray[np.intp]], ...]
    between: float
    allowance: float
    mix_dispersion: float

    @property
    def mean(self) -> float:
        """Mean loss of a held-out row."""
        return float(self.rows.mean())


def make_baseline(world: World, block_rows: int) -> Baseline:
    """Fit the pipeline's model without each fifth of the reference in turn, and once on the first half."""
    n = len(world.actual)
    folds = _folds(world.actual, n)
    fitted = []
    for fold in folds:
        kept = np.setdiff1d(np.arange(n), fold)
        fitted.append((_fitted(world, kept), fold))
    answers = [world.predict(model, world.features[fold]) for model, fold in fitted]
    order = np.argsort(np.concatenate([fold for _, fold in fitted]))
    predicted = joined(answers).take(order) if _alike(answers) else answers[0]
    rows = np.empty(n)
    for (_, fold), answer in zip(fitted, answers, strict=True):
        rows[fold] = world.metric.rows(world.actual[fold], answer)
    blocks = _blocks(n, block_rows)
    return Baseline(
        rows=rows,
        predicted=predicted,
        folds=tuple(fitted),
        between=_between(rows, blocks),
        allowance=_allowance(world, rows),
        mix_dispersion=mix_dispersion(world.actual, blocks),
    )


def _fitted(world: World, rows: NDArray[np.intp]) -> Model:
    try:
        return world.runner.fit(world.module, world.features[rows], world.target[rows])
    except CodeRaised:
        model: Model = world.model  # too few rows or classes in a part; the whole model has to do
        return model


def _alike(answers: list[Predicted]) -> bool:
    first = answers[0].classes
    return all(_same(answer.classes, first) for answer in answers)


def _same(one: NDArray[Any] | None, other: NDArray[Any] | None) -> bool:
    if one is None or other is None:
        return one is other
    return np.array_equal(one, other)


def _folds(actual: NDArray[Any], n: int) -> list[NDArray[np.intp]]:
    """Cut rows into fifths in their order; rows that are sorted by class are dealt out instead."""
    cut = [np.asarray(part, dtype=np.intp) for part in np.array_split(np.arange(n), _N_FOLDS)]
    if actual.dtype.kind == "f" or all(
        label_mix(np.delete(actual, fold), actual[fold]) < 0.5 for fold in cut
    ):
        return cut
    return [np.arange(start, n, _N_FOLDS, dtype=np.intp) for start in range(_N_FOLDS)]


def _blocks(n: int, size: int) -> list[NDArray[np.intp]]:
    size = max(5, min(size, n // 4))
    return [np.arange(start, start + size) for start in range(0, n - size + 1, size)]


def _between(rows: Floats, blocks: list[NDArray[np.intp]]) -> float:
    if len(blocks) < 3:
        return 0.0
    means = np.array([rows[block].mean() for block in blocks])
    within = float(np.mean([rows[block].var() / len(block) for block in blocks]))
    return float(np.sqrt(max(0.0, means.var(ddof=1) - within)))


def _allowance(world: World, rows: Floats) -> float:
    half = len(rows) // 2
    later = np.arange(half, len(rows))
    answer = world.predict(_fitted(world, np.arange(half)), world.features[later])
    more = world.metric.rows(world.actual[later], answer) - rows[later]
    se = float(more.std() / np.sqrt(len(more)))
    return max(0.0, float(more.mean()) - 2 * se)
