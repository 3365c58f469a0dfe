"""Columns that look otherwise because targets come in another mix: given its target, each row looks as ever."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from noria.decisions.replay.case import State, targets_of
from noria.decisions.replay.rows import Window
from noria.decisions.stages.distances import distance
from noria.decisions.stages.guards import Sign

Parts = list[tuple[Window, NDArray[np.intp]]]

_FEWEST_ROWS = 40
_BOUND = 1.63  # of Kolmogorov's distribution at 1 %
_NEARER = 0.5
_LEVELS = (0.2, 0.4, 0.6, 0.8)


def of_the_mix(state: State, parts: Parts, signs: list[Sign]) -> frozenset[str]:
    """Name the columns whose signs the mix of targets explains.

    Such a column lies apart from training rows, but not from training rows drawn with the targets of today, in fifths
    of the training targets where these are numbers. What no world gives by moving is never explained.
    """
    targets, then = targets_of(parts), state.world.actual
    doubtful = {sign.column for sign in signs if not sign.hard and sign.column in state.inputs.reference}
    if len(targets) < _FEWEST_ROWS or not doubtful:
        return frozenset()
    if not state.world.classifies:
        edges = np.quantile(then, _LEVELS)
        targets, then = np.searchsorted(edges, targets), np.searchsorted(edges, then)
    every, places = np.unique(np.concatenate([then, targets]), return_inverse=True)
    before, now = (np.bincount(part, minlength=len(every)) for part in np.split(places, [len(then)]))
    weights = (now / np.maximum(before, 1))[places[: len(then)]]
    if not weights.sum():
        return frozenset()
    drawn = np.random.default_rng(0).choice(len(then), len(then), p=weights / weights.sum())
    n_drawn = weights.sum() ** 2 / (weights**2).sum()
    found = set()
    for name in doubtful:
        live = np.concatenate([state.scenes[window.number].columns[name][rows] for window, rows in parts])
        known = state.inputs.reference[name]
        apart, given = distance(live, known), distance(live, known[drawn])
        bound = _BOUND * math.sqrt(1 / len(live) + 1 / n_drawn)
        if given <= min(bound, _NEARER * apart) and apart > bound:
            found.add(name)
    return frozenset(found)
