"""Columns that came with other rows, alone or several together, as a join by the wrong key brings them.

Among themselves such columns hang together as ever, so that none stands out, and neither does one that hangs together
with no other. But the model gains nothing from them any
more: among the rows of a window they may be shuffled, all by one order, and nothing more is lost, where that cost on
held-out training rows about what is lost now. The other columns tell the model what they always did, and what a small
model says of the target without the doubtful ones holds on live rows as on training rows; where a rule changed, it
does not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from noria.decisions.replay.case import State, targets_of
from noria.decisions.replay.repairs import TOGETHER, UNRELATED
from noria.decisions.replay.rows import Window
from noria.decisions.replay.runner import CodeRaised
from noria.decisions.replay.watch import Rise
from noria.decisions.stages.guards import Sign
from noria.decisions.stages.silence import Side, others_hold

if TYPE_CHECKING:
    import polars as pl

Parts = list[tuple[Window, NDArray[np.intp]]]

_FEWEST_ROWS = 80
_MOST_ROWS = 1_000
_MOST_COLUMNS = 24
_SURE = 3.0  # standard errors
_NOTHING = 2.0
_SILENT, _SPEAKS = 0.25, 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cost:
    """What a shuffle costs by row: mean and standard error."""

    mean: float
    se: float

    def times(self, factor: float) -> _Cost:
        """Give so many times the cost."""
        return _Cost(mean=factor * self.mean, se=factor * self.se)

    def is_none_beside(self, other: _Cost) -> bool:
        """Tell whether it is nothing, where the other one was something, and surely less than that."""
        surely = other.mean - self.mean > _NOTHING * math.hypot(self.se, other.se)
        return surely and self.mean <= _NOTHING * self.se and self.mean < _SILENT * other.mean


def misjoined(state: State, parts: Parts, rise: Rise, least: float) -> list[Sign]:
    """Find the columns that came with other rows and explain the rise of the loss.

    Parameters
    ----------
    parts
        Windows with the labelled rows that lose more.
    least
        Loss by row that has to be explained at least.
    """
    names = state.inputs.relations.encoding.names
    if sum(len(rows) for _, rows in parts) < _FEWEST_ROWS or not 3 <= len(names) <= _MOST_COLUMNS:
        return []
    then = {name: _in_training(state, [name]) for name in names}
    told = [name for name, cost in then.items() if cost.mean > _SURE * cost.se]
    now = {name: _in_live_rows(state, parts, [name]) for name in told}
    speak = [name for name in told if now[name].mean > _SPEAKS * then[name].mean]
    if not speak:
        return []
    # Where much is lost already, a shuffle of any column costs less than it did.
    usual = min(1.0, float(np.median([now[name].mean / then[name].mean for name in speak])))
    silent = [name for name in told if now[name].is_none_beside(then[name].times(usual))]
    if not silent:
        return []
    if len(silent) == 1 and state.inputs.relations.would_show(silent[0], state.block_rows):
        return []
    before, after = _in_training(state, silent), _in_live_rows(state, parts, silent)
    slack = _NOTHING * before.se
    explains = before.mean + slack >= least and before.mean - slack <= rise.high
    # Where a column has the opposite effect now, a shuffle saves something.
    changes_nothing = after.is_none_beside(before) and after.mean >= -_NOTHING * after.se
    if not explains or not changes_nothing or not _others_hold(state, parts, silent):
        return []
    listed = ", ".join(f"`{name}`" for name in silent)
    costs = "cost" if len(silent) > 1 else "costs"
    figures = (
        f"{costs} {after.mean:+.4f} (standard error {after.se:.4f}), on training rows {before.mean:+.4f}"
    )
    says = (
        f"{listed} hang together as always but not with the rows they came with: shuffled together among these they "
        f"{figures}"
        if len(silent) > 1
        else f"{listed} looks as always but does not go with the rows it came with: shuffled among these it {figures}"
    )
    return [
        Sign(
            column=name,
            kind=UNRELATED,
            size=after.mean,
            natural=before.mean,
            sentence=says,
            values={TOGETHER: silent},
        )
        for name in silent
    ]


def _in_training(state: State, names: Sequence[str]) -> _Cost:
    """Give what a shuffle of columns costs among as many training rows as a window has, held out of the model."""
    world, (model, fold) = state.world, state.baseline.folds[-1]
    rows = fold[:_MOST_ROWS]
    size = max(2, min(state.block_rows, len(rows)))
    order = np.concatenate(
        [_order(start, min(size, len(rows) - start)) for start in range(0, len(rows), size)]
    )
    raw = world.raw[rows]
    try:
        shuffled = world.predict(model, world.runner.features(world.module, _moved(raw, names, order)))
        straight = world.predict(model, world.runner.features(world.module, raw))
    except CodeRaised:
        return _Cost(mean=0.0, se=math.inf)
    actual = world.actual[rows]
    return _cost(world.metric.rows(actual, shuffled) - world.metric.rows(actual, straight))


def _in_live_rows(state: State, parts: Parts, names: Sequence[str]) -> _Cost:
    """Give what a shuffle of columns among the rows of each window costs now."""
    found = []
    for window, rows in parts:
        order = _order(0, len(window))
        try:
            raw = _moved(state.path.repaired(window.raw), names, order)
            features = state.world.runner.features(state.world.module_for(state.path), raw)
            shuffled = state.world.predict(state.world.model_for(state.path), features)
        except CodeRaised:
            return _Cost(mean=0.0, se=math.inf)
        straight, _ = state.world.answer(state.path, window)
        found.append(state.world.losses(window, shuffled, rows) - state.world.losses(window, straight, rows))
    return _cost(np.concatenate(found))


def _moved(raw: pl.DataFrame, names: Sequence[str], order: NDArray[np.intp]) -> pl.DataFrame:
    return raw.with_columns(raw[name].gather(order) for name in names)


def _order(start: int, n: int) -> NDArray[np.intp]:
    return start + np.random.default_rng(n).permutation(n)


def _cost(more: NDArray[np.float64]) -> _Cost:
    return _Cost(mean=float(more.mean()), se=float(more.std() / math.sqrt(max(len(more), 1))))


def _others_hold(state: State, parts: Parts, silent: Sequence[str]) -> bool:
    encoding = state.inputs.relations.encoding
    live = np.vstack([encoding(state.scenes[window.number].columns)[rows] for window, rows in parts])
    left_out = np.flatnonzero(np.isin(encoding.owners, [encoding.names.index(name) for name in silent]))
    if len(left_out) == len(encoding.owners):
        return False
    return others_hold(
        Side(rows=state.inputs.relations.rows, targets=state.world.actual),
        Side(rows=live, targets=targets_of(parts)),
        left_out,
    )
