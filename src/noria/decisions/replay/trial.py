"""What a remedy did on labelled rows, in loss over the horizon."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noria.decisions.entities import Remedy
from noria.decisions.replay.case import State, losses_under
from noria.decisions.replay.deployed import pooled
from noria.decisions.replay.outputs import Floats
from noria.decisions.replay.rows import Window
from noria.decisions.replay.watch import quantile
from noria.decisions.replay.world import Path

Parts = list[tuple[Window, NDArray[np.intp]]]

FEWEST_JUDGED = 20
_LEVEL = 0.0119
"""Of one look; over up to eight of them 0.05 (Pocock, 1977, Biometrika 64, for equally spaced looks)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What a remedy did on rows that it did not learn from.

    Attributes
    ----------
    value, low, high
        Loss that it saves over the horizon, its cost taken off, with the 95 % interval; None when it could not be
        judged.
    path
        What it makes of the path, fitted on every labelled row.
    estimated
        Whether it puts estimates in the place of inputs, from which nothing may learn.
    repairs
        Whether it changes raw rows.
    cost
        What it costs once.
    left
        Mean loss of the rows that judged it, where it was judged by labelled ones.
    """

    remedy: Remedy
    path: Path | None
    note: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    estimated: bool = False
    repairs: bool = False
    cost: float = 0.0
    left: float | None = None


def judged(
    state: State,
    remedy: Remedy,
    path: Path,
    parts: Parts,
    note: str,
    *,
    known: tuple[float, float, int] | None = None,
    trusted: bool = False,
    final: Path | None = None,
    more: float = 0.0,
) -> Trial:
    """Judge a path on labelled rows.

    Parameters
    ----------
    known
        What training rows tell of its gain: mean, standard error, number of rows.
    trusted
        Whether they tell it whatever live rows say, as of code; of inputs that are broken, or of a world that
        moved, they tell only what agrees with live rows.
    final
        What it makes of the path when it has learnt from every labelled row.
    more
        What else it costs.
    """
    episode = state.world.episode
    cost = episode.cost_of(remedy) + more
    left = None
    if sum(len(rows) for _, rows in parts) >= FEWEST_JUDGED:
        before, after = (
            losses_under(state, state.path, parts),
            losses_under(state, path, parts),
        )
        gain, half, base = (
            float((before - after).mean()),
            half_width(before - after),
            float(before.mean()),
        )
        left = float(after.mean())
        note = f"{note}; judged on {len(before)} rows"
        other = 0.0 if known is None else quantile(_LEVEL / 2, known[2]) * known[1]
        alike = known is not None and (trusted or abs(gain - known[0]) <= half + other)
        if known is not None and alike and other > 0 and half > 0:
            gain, half = pooled((gain, half), (known[0], other))
            note = f"{note} and {known[2]} training rows"
    elif known is not None and known[2]:
        gain, half = known[0], quantile(_LEVEL / 2, known[2]) * known[1]
        base = state.baseline.mean + known[0]
        note = f"{note}; judged on {known[2]} training rows"
    else:
        note = f"{note}; no labelled rows to judge it on"
        return Trial(remedy=remedy, path=final or path, note=note, cost=cost)
    low, middle, high = (
        -state.world.metric.in_loss(-each, base) for each in (gain - half, gain, gain + half)
    )
    return Trial(
        remedy=remedy,
        path=final or path,
        note=note,
        cost=cost,
        left=left,
        value=middle * episode.horizon - cost,
        low=low * episode.horizon - cost,
        high=high * episode.horizon - cost,
    )


def split(parts: Parts) -> tuple[Parts, Parts]:
    """Cut labelled rows in time: the first half teaches."""
    total = sum(len(rows) for _, rows in parts)
    teaching: Parts = []
    judging: Parts = []
    left = total // 2
    for window, rows in parts:
        if left > 0:
            teaching.append((window, rows[:left]))
        if left < len(rows):
            judging.append((window, rows[max(left, 0) :]))
        left -= len(rows)
    return teaching, judging


def worth(trial: Trial) -> float:
    """Give what it saves; less than anything when it could not be judged."""
    return -math.inf if trial.value is None else trial.value


def half_width(differences: Floats) -> float:
    """Give half the width of the interval of a mean of paired differences."""
    n = len(differences)
    return quantile(_LEVEL / 2, n) * float(differences.std(ddof=1)) / math.sqrt(n)
