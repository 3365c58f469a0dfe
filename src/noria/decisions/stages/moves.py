"""Moves: which columns (or targets) are distributed otherwise than training rows, beyond what blocks of these were.

The distance is that of Kolmogorov and Smirnov, over codes in a fixed order as well. What blocks of training rows
showed against the rest and against their past, less chance, is nature; a window has to be further away than twice
that and than chance, by the Dvoretzky-Kiefer-Wolfowitz inequality at a level that is shared among columns and looks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noria.core.stats.samples import is_missing
from noria.decisions.stages.guards import FEWEST_ROWS, LEAST_PAST

Array = NDArray[Any]
Floats = NDArray[np.float64]
Columns = Mapping[str, Array]

_ALPHA = 0.01
_FACTOR = 2.0
_MAX_OF_BLOCKS = 1.6
_MOST_POINTS = 200
_MOST_CODES = 200


class Moves:
    """Knows how columns of training rows are distributed, and how far blocks of them strayed."""

    def __init__(self, reference: Columns, blocks: list[NDArray[np.intp]]) -> None:
        self._known = {name: _Known(column, blocks) for name, column in reference.items()}

    def moved(self, columns: Columns, *, n_looks: int = 1) -> dict[str, float]:
        """Give the columns that moved, with how far beyond nature and chance.

        Parameters
        ----------
        n_looks
            Number of this look: the level of look k is alpha / (k (k + 1)), so that all looks share alpha.
        """
        level = _ALPHA / (max(len(self._known), 1) * n_looks * (n_looks + 1))
        found = {
            name: self._known[name].excess(values, level)
            for name, values in columns.items()
            if name in self._known
        }
        return {name: excess for name, excess in found.items() if excess > 0}

    def accept(self, columns: Columns, *, slack: float = 1.0) -> None:
        """Take a window as natural, and what is `slack` times as far off too."""
        for name, values in columns.items():
            if name in self._known:
                self._known[name].accept(values, slack)


class _Known:
    """One column of the training rows."""

    def __init__(self, column: Array, blocks: list[NDArray[np.intp]]) -> None:
        self._is_number = column.dtype.kind in "iufb"
        places = self._points(column)
        self._n = len(places)
        self._shares = self._cumulated(places)
        self._natural = 0.0
        for block in blocks:
            start = int(block[0])
            inside = self._placed(column[block])
            self._stray(inside, self._placed(np.delete(column, block)) if len(blocks) > 1 else places)
            if start >= LEAST_PAST * len(column):
                self._stray(inside, self._placed(column[:start]))

    def excess(self, values: Array, level: float) -> float:
        places = self._placed(values)
        if len(places) < FEWEST_ROWS or self._n < FEWEST_ROWS:
            return 0.0
        chance = math.sqrt(-0.5 * math.log(level / 2)) * _rate(len(places), self._n)
        distance = float(np.abs(self._cumulated(places) - self._shares).max())
        return distance - math.hypot(_FACTOR * self._natural, chance)

    def accept(self, values: Array, slack: float) -> None:
        places = self._placed(values)
        if len(places) >= FEWEST_ROWS and self._n:
            distance = float(np.abs(self._cumulated(places) - self._shares).max())
            chance = _rate(len(places), self._n)
            self._natural = max(self._natural, slack * math.sqrt(max(0.0, distance**2 - chance**2)))

    def _stray(self, inside: NDArray[np.intp], rest: NDArray[np.intp]) -> None:
        if len(inside) < FEWEST_ROWS or len(rest) < FEWEST_ROWS:
            return
        distance = float(np.abs(self._cumulated(inside) - self._cumulated(rest)).max())
        chance = _MAX_OF_BLOCKS * _rate(len(inside), len(rest))
        self._natural = max(self._natural, math.sqrt(max(0.0, distance**2 - chance**2)))

    def _points(self, column: Array) -> NDArray[np.intp]:
        known = column[~is_missing(column)]
        if self._is_number:
            values = known.astype(np.float64)
            values = values[np.isfinite(values)]
            if len(values) > _MOST_POINTS:
                values = np.quantile(values, np.linspace(0, 1, _MOST_POINTS), method="nearest")
            self._grid: Array = np.unique(values)
        else:
            names, counts = np.unique(known.astype(str), return_counts=True)
            self._grid = np.sort(names[np.argsort(-counts, kind="stable")][:_MOST_CODES])
        return self._placed(column)

    def _placed(self, values: Array) -> NDArray[np.intp]:
        """Give the cell of each value: those below, at and between the points, and one for codes never seen."""
        known = values[~is_missing(values)]
        if not len(self._grid):
            return np.zeros(0, dtype=np.intp)
        if self._is_number:
            numbers = known.astype(np.float64)
            numbers = numbers[np.isfinite(numbers)]
            return np.searchsorted(self._grid, numbers, "left") + np.searchsorted(
                self._grid, numbers, "right"
            )
        names = known.astype(str)
        at = np.clip(np.searchsorted(self._grid, names), 0, len(self._grid) - 1)
        return np.where(self._grid[at] == names, 2 * at + 1, 2 * len(self._grid))

    def _cumulated(self, places: NDArray[np.intp]) -> Floats:
        counts = np.bincount(places, minlength=2 * len(self._grid) + 1)
        return np.cumsum(counts) / max(len(places), 1)


def _rate(n: int, n_reference: int) -> float:
    return math.sqrt(1 / n + 1 / n_reference)
