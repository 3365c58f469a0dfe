"""Relations: how columns hang together, and which single column no longer does.

Columns become normal scores by the ranks of the training rows, so that units, tails and outliers do not matter; codes
become indicators. For each column two residuals are set against each other: how far its values lie from what the other
columns say, and how far from its own mean. What is left is how much the column says about the others, point by point
(the pointwise mutual information of a Gaussian, up to a constant). A world in which some rows became frequent leaves
it as it was, for it moves both residuals alike; a column that was joined wrongly, came late, was permuted or stands in
another unit does not.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from noria.core.stats.samples import is_missing
from noria.decisions.stages.guards import FEWEST_ROWS, LEAST_PAST

Array = NDArray[Any]
Floats = NDArray[np.float64]
Columns = Mapping[str, Array]

RELATED = 0.3
"""Share of a column's variance that the others explain, from which on its relations tell of it."""

_MOST_WIDTH = 80
_TOP_CODES = 6
_RIDGE = 0.05
_MOST_STRAIN = 30.0
LAGS = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 24, 48)
_FACTOR = 2.5
_MARGIN = 0.2
_CHANCE = 4.0
_LEFT = 0.35
_AS_WELL = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What the relations of a window are like.

    Attributes
    ----------
    column
        The one whose relation to the others is broken, the others hanging together as before without it.
    strain, natural
        Of that column, and the largest of calm blocks.
    lag
        Number of rows by which it came late, if moving it back mends the relation.
    strained
        Columns whose residuals are beyond nature, for whatever reason.
    """

    column: str | None = None
    strain: float = 0.0
    natural: float = 0.0
    lag: int = 0
    strained: frozenset[str] = frozenset()

    @property
    def broken(self) -> bool:
        """Tell whether one column no longer hangs together with the others."""
        return self.column is not None


class Encoding:
    """Turns columns into normal scores and indicators."""

    def __init__(self, reference: Columns) -> None:
        self._parts: list[tuple[str, str, Any]] = []
        owners: list[int] = []
        self.names: list[str] = []
        for name, column in reference.items():
            part = _part(name, column)
            if part is None or len(owners) + _width(part) > _MOST_WIDTH:
                continue
            self.names.append(name)
            self._parts.append(part)
            owners += [len(self.names) - 1] * _width(part)
        self.owners = np.array(owners, dtype=int)

    def __call__(self, columns: Columns) -> Floats:
        """Encode rows, shape (n_rows, width)."""
        encoded = [_encoded(part, columns[part[0]]) for part in self._parts]
        n = len(next(iter(columns.values()))) if columns else 0
        return np.hstack(encoded) if encoded else np.zeros((n, 0))


class _Moments:
    """Means, spreads and correlations of encoded rows, and the residuals that they imply.

    Parameters
    ----------
    owners : ndarray, shape (width,)
        Column to which each dimension belongs: the indicators of one column of codes tell nothing about one another.
    kept
        Columns to look at; all unless given.
    """

    def __init__(self, rows: Floats, owners: NDArray[np.intp], kept: NDArray[np.bool_] | None = None) -> None:
        self._n_columns = int(owners.max()) + 1 if len(owners) else 0
        columns = np.arange(self._n_columns) if kept is None else np.flatnonzero(kept)
        self._dimensions = np.isin(owners, columns)
        mine, places = rows[:, self._dimensions], owners[self._dimensions]
        self._mean, self._spread = mine.mean(axis=0), np.maximum(mine.std(axis=0), 0.02)
        scores = (mine - self._mean) / self._spread
        known = scores.T @ scores / max(len(rows), 1)
        alone = (1 - _RIDGE) * known + _RIDGE * np.eye(len(known))
        self._precision = np.linalg.inv(alone)
        self._parts = []
        self.related = np.zeros(self._n_columns)
        for column in columns:
            at = np.flatnonzero(places == column)
            block = np.ix_(at, at)
            given_others = np.linalg.inv(self._precision[block])
            self._parts.append((int(column), at, given_others, np.linalg.inv(alone[block])))
            self.related[column] = np.clip(1 - np.diag(given_others).min(), 0.0, 1.0)
        self.usual = self.strains(rows).mean(axis=0)

    def strains(self, rows: Floats) -> Floats:
        """Give for each row and column: squared residual given the others less that given nothing; 0 if left out.

        Residuals of a column of codes are Mahalanobis distances of all its indicators.
        """
        scores = (rows[:, self._dimensions] - self._mean) / self._spread
        weighted = scores @ self._precision
        found = np.zeros((len(rows), self._n_columns))
        for column, at, given_others, alone in self._parts:
            told = (weighted[:, at] @ given_others * weighted[:, at]).sum(axis=1)
            free = (scores[:, at] @ alone * scores[:, at]).sum(axis=1)
            found[:, column] = np.minimum(told, _MOST_STRAIN) - np.minimum(free, _MOST_STRAIN)
        return found

    def strain(self, rows: Floats) -> Floats:
        """Give the mean strain of each column beyond what is usual; 0 for those left out."""
        found: Floats = self.strains(rows).mean(axis=0) - self.usual
        return found


class Relations:
    """Knows how the columns of training rows hang together."""

    def __init__(self, reference: Columns, blocks: list[NDArray[np.intp]]) -> None:
        self.encoding = Encoding(reference)
        self.rows = self.encoding(reference)
        self._natural = np.zeros(len(self.encoding.names))
        if not self.rows.shape[1]:
            return
        self._moments = _Moments(self.rows, self.encoding.owners)
        self._spread = self._moments.strains(self.rows).std(axis=0)
        for block in blocks:
            rest = np.delete(self.rows, block, axis=0) if len(blocks) > 1 else self.rows
            self._accept(self.rows[block], _Moments(rest, self.encoding.owners))
            if block[0] >= LEAST_PAST * len(self.rows):
                # As guards do: what blocks did beyond their past, live windows may do beyond theirs.
                self._accept(self.rows[block], _Moments(self.rows[: block[0]], self.encoding.owners))

    def look(self, columns: Columns, moved: Collection[str] = ()) -> Look:
        """Compare a window.

        Parameters
        ----------
        moved
            Columns that are distributed otherwise than ever: of two without which the others hang together about as
            well, the one that moved is the broken one.
        """
        rows = self.encoding(columns)
        if rows.shape[1] < 2 or len(rows) < FEWEST_ROWS:
            return Look()
        excess = self._excess(self._moments.strain(rows), len(rows))
        strained = np.flatnonzero(excess > 0)
        if not len(strained):
            return Look()
        names = frozenset(self.encoding.names[index] for index in strained)
        best = self._culprit(rows, excess, strained, moved)
        if best is None:
            return Look(strained=names)
        return Look(
            column=self.encoding.names[best],
            strain=float(self._moments.strain(rows)[best]),
            natural=float(self._natural[best]),
            lag=self._lag(rows, best),
            strained=names,
        )

    def related(self, name: str) -> float:
        """Give the share of a column's variance that the others explain; 0 for one that is not encoded."""
        if name not in self.encoding.names or self.rows.shape[1] < 2:
            return 0.0
        return float(self._moments.related[self.encoding.names.index(name)])

    def strain_of(self, columns: Columns, names: Collection[str]) -> float | None:
        """Sum by how much the relations of some columns are strained beyond nature; None where none is related."""
        if not any(self.related(name) > RELATED for name in names):
            return None
        rows = self.encoding(columns)
        excess = self._excess(self._moments.strain(rows), len(rows))
        mine = [self.encoding.names.index(name) for name in names if name in self.encoding.names]
        return float(np.maximum(excess[mine], 0.0).sum())

    def would_show(self, name: str, n_rows: int) -> bool:
        """Tell whether a column whose values were shuffled among that many rows would be seen here."""
        if name not in self.encoding.names or self.rows.shape[1] < 2:
            return False
        index = self.encoding.names.index(name)
        mine = self.encoding.owners == index
        shuffled = np.array(self.rows)
        shuffled[:, mine] = np.random.default_rng(0).permutation(self.rows[:, mine])
        return bool(self._excess(self._moments.strain(shuffled), n_rows)[index] > 0)

    def accept(self, columns: Columns, *, slack: float = 1.0) -> None:
        """Take a window as natural, and what is `slack` times as strained too."""
        rows = self.encoding(columns)
        if rows.shape[1] and len(rows) >= FEWEST_ROWS:
            self._accept(rows, self._moments, slack)

    def _accept(self, rows: Floats, moments: _Moments, slack: float = 1.0) -> None:
        self._natural = np.maximum(self._natural, slack * moments.strain(rows))

    def _excess(self, strain: Floats, n_rows: int) -> Floats:
        chance = _CHANCE * self._spread / np.sqrt(n_rows)
        return np.asarray(strain - _FACTOR * self._natural - _MARGIN - chance)

    def _culprit(
        self, rows: Floats, excess: Floats, strained: NDArray[np.intp], moved: Collection[str]
    ) -> int | None:
        """Find the column without which the others hang together as before."""
        left = {}
        for index in strained:
            kept = np.arange(len(self.encoding.names)) != index
            if kept.sum() < 2:
                left[int(index)] = 0.0
                continue
            without = self._excess(_Moments(self.rows, self.encoding.owners, kept).strain(rows), len(rows))
            left[int(index)] = float(np.maximum(without, 0.0).sum())
        others = float(excess[strained].sum())
        least = min(left.values())
        if least > _LEFT * others:
            return None
        near = [index for index in left if left[index] <= min(_LEFT, least / others + _AS_WELL) * others]
        return min(near, key=lambda i: (self.encoding.names[i] not in moved, left[i], -excess[i]))

    def _lag(self, rows: Floats, index: int) -> int:
        """Find by how many rows a column has to be moved for the relations to be what they were."""
        mine = self.encoding.owners == index
        now = float(self._moments.strain(rows)[index])
        found: list[tuple[float, int]] = []
        for lag in (sign * size for size in LAGS for sign in (1, -1)):
            if abs(lag) > len(rows) // 4:
                continue
            moved = np.array(rows)
            moved[:, mine] = np.roll(rows[:, mine], -lag, axis=0)
            kept = moved[: len(rows) - lag] if lag > 0 else moved[-lag:]
            found.append((float(self._moments.strain(kept)[index]), lag))
        best = min(found, default=(np.inf, 0))
        calm = float(self._natural[index])
        return best[1] if best[0] < calm + 0.4 * (now - calm) else 0


def _part(name: str, column: Array) -> tuple[str, str, Any] | None:
    known = column[~is_missing(column)]
    if column.dtype.kind in "iufb":
        values = np.sort(known.astype(np.float64))
        values = values[np.isfinite(values)]
        return (name, "number", values) if len(values) and values[0] < values[-1] else None
    codes, counts = np.unique(known.astype(str), return_counts=True)
    if not 2 <= len(codes) <= max(50, len(known) // 20):
        return None
    order = np.argsort(-counts, kind="stable")
    return name, "codes", (codes[order][:_TOP_CODES], codes, counts[order][:_TOP_CODES] / counts.sum())


def _width(part: tuple[str, str, Any]) -> int:
    return 1 if part[1] == "number" else len(part[2][0])


def _encoded(part: tuple[str, str, Any], column: Array) -> Floats:
    _, kind, known = part
    gone = is_missing(column)
    if kind == "codes":
        top, every, shares = known
        values = np.where(gone, "", column).astype(str)
        indicators = (values[:, None] == top[None, :]).astype(np.float64)
        # A code that was never there says nothing about how codes hang together with the rest.
        return np.asarray(np.where(np.isin(values, every)[:, None], indicators, shares[None, :]))
    values = column.astype(np.float64)
    gone = ~np.isfinite(values)
    safe = np.where(gone, known[len(known) // 2], values)
    ranks = (np.searchsorted(known, safe, "left") + np.searchsorted(known, safe, "right")) / 2
    scores = ndtri(np.clip((ranks + 0.5) / (len(known) + 1), 0.002, 0.998))
    return np.where(gone, 0.0, scores)[:, None]
