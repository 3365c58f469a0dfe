"""Relations: how columns hang together, and which single column explains that they no longer do.

Columns become normal scores by the ranks of the training rows, so that units, tails and outliers do not matter; codes
become indicators. Windows and training rows are compared as Gaussians: the Kullback-Leibler divergence of the two is
small as long as means and covariances are what they were. When it grows, it is computed again without each column in
turn: if one column alone explains the change, that column is at fault (shifted in time, joined wrongly, permuted);
a drift of the world moves columns that hang together together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from noria.core.stats.samples import is_missing
from noria.decisions.stages.guards import LEAST_PAST

Array = NDArray[Any]
Floats = NDArray[np.float64]
Columns = Mapping[str, Array]

_MOST_WIDTH = 80
_TOP_CODES = 6
_SHRINK = 0.1
_LAGS = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 24, 48)
_FACTOR = 1.5
_BROKEN_FACTOR = 2.0
_LEAST_EXPLAINED = 0.6
_LEAST_LEAD = 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a window's relations are like.

    Attributes
    ----------
    divergence, natural
        Of this window, and the largest of calm blocks.
    column
        The one that explains the change alone, if one does; `explained` is the share that it explains.
    conditional
        What is left of the divergence once that of the column alone is taken off: of the others given the column. A
        world in which some values of a column became frequent leaves it as it was; a column with wrong values does
        not.
    lag
        Number of rows by which the column came late, if moving it back mends the relations.
    """

    divergence: float
    natural: float
    column: str | None = None
    explained: float = 0.0
    conditional: float = 0.0
    lag: int = 0

    @property
    def moved(self) -> bool:
        """Tell whether the window is unlike any calm one."""
        return self.divergence > _FACTOR * self.natural + 0.05

    @property
    def broken(self) -> bool:
        """Tell whether the other columns hang together with the one otherwise than ever."""
        return self.column is not None and self.conditional > _BROKEN_FACTOR * self.natural + 0.05


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


class Relations:
    """Knows how the columns of training rows hang together."""

    def __init__(self, reference: Columns, blocks: list[NDArray[np.intp]]) -> None:
        self.encoding = Encoding(reference)
        self.rows = self.encoding(reference)
        self._mean, self._cov = _moments(self.rows)
        self._natural = 0.0
        self._block_rows = len(blocks[0]) if blocks else 1
        for block in blocks:
            mean, cov = _moments(np.delete(self.rows, block, axis=0) if len(blocks) > 1 else self.rows)
            self._accept(self.rows[block], mean, cov)
            if block[0] >= LEAST_PAST * len(self.rows):
                # As guards do: what blocks did beyond their past, live windows may do beyond theirs.
                self._accept(self.rows[block], *_moments(self.rows[: block[0]]))

    def look(self, columns: Columns) -> Look:
        """Compare a window."""
        rows = self.encoding(columns)
        if not rows.shape[1] or len(rows) < 10:
            return Look(divergence=0.0, natural=0.0)
        mean, cov = _moments(rows)
        whole = _divergence(mean, cov, self._mean, self._cov)
        natural = self._natural_of(len(rows))
        look = Look(divergence=whole, natural=natural)
        return self._with_column(look, rows, mean, cov) if whole > 1.2 * natural else look

    def accept(self, columns: Columns, *, slack: float = 1.0) -> None:
        """Take a window as natural, and what is `slack` times as far off too."""
        rows = self.encoding(columns)
        if rows.shape[1] and len(rows) >= 10:
            self._accept(rows, self._mean, self._cov, slack)

    def others_moved(self, columns: Columns, apart: set[str]) -> bool:
        """Tell whether the columns besides some are unlike calm ones."""
        kept = ~np.isin(
            self.encoding.owners, [self.encoding.names.index(n) for n in apart & {*self.encoding.names}]
        )
        rows = self.encoding(columns)
        if not kept.any() or len(rows) < 10:
            return False
        mean, cov = _moments(rows)
        rest = _divergence_of(kept, mean, cov, self._mean, self._cov)
        return rest > _FACTOR * self._natural_of(len(rows)) + 0.05

    def _natural_of(self, n_rows: int) -> float:
        """Give what is natural for so many rows: chance alone is inverse to their number."""
        return self._natural * max(1.0, self._block_rows / n_rows)

    def _accept(self, rows: Floats, mean: Floats, cov: Floats, slack: float = 1.0) -> None:
        if not rows.shape[1]:
            return
        own_mean, own_cov = _moments(rows)
        self._natural = max(self._natural, slack * _divergence(own_mean, own_cov, mean, cov))

    def _with_column(self, look: Look, rows: Floats, mean: Floats, cov: Floats) -> Look:
        if len(self.encoding.names) < 2:
            return look
        owners = self.encoding.owners
        rests = np.array(
            [
                _divergence_of(owners != index, mean, cov, self._mean, self._cov)
                for index in range(len(self.encoding.names))
            ]
        )
        excess = max(look.divergence - look.natural, 1e-9)
        shares = 1 - np.maximum(rests - look.natural, 0.0) / excess
        order = np.argsort(rests)
        lead = (rests[order[1]] - rests[order[0]]) / max(look.divergence, 1e-9)
        best = int(order[0])
        if shares[best] < _LEAST_EXPLAINED or lead < _LEAST_LEAD:
            return look
        own = _divergence_of(owners == best, mean, cov, self._mean, self._cov)
        found = replace(
            look,
            column=self.encoding.names[best],
            explained=float(shares[best]),
            conditional=look.divergence - own,
        )
        return replace(found, lag=self._lag(rows, best, look)) if found.broken else found

    def _lag(self, rows: Floats, index: int, look: Look) -> int:
        """Find by how many rows a column has to be moved for the relations to be what they were."""
        mine = self.encoding.owners == index
        found: list[tuple[float, int]] = []
        for lag in (sign * size for size in _LAGS for sign in (1, -1)):
            if abs(lag) > len(rows) // 4:
                continue
            moved = np.array(rows)
            moved[:, mine] = np.roll(rows[:, mine], -lag, axis=0)
            kept = moved[: len(rows) - lag] if lag > 0 else moved[-lag:]
            mean, cov = _moments(kept)
            found.append((_divergence(mean, cov, self._mean, self._cov), lag))
        best = min(found, default=(np.inf, 0))
        mended = best[0] < look.natural + 0.4 * (look.divergence - look.natural)
        return best[1] if mended else 0


def _part(name: str, column: Array) -> tuple[str, str, Any] | None:
    known = column[~is_missing(column)]
    if column.dtype.kind in "iufb":
        values = np.sort(known.astype(np.float64))
        values = values[np.isfinite(values)]
        return (name, "number", values) if len(values) and values[0] < values[-1] else None
    codes, counts = np.unique(known.astype(str), return_counts=True)
    if not 2 <= len(codes) <= max(50, len(known) // 20):
        return None
    return name, "codes", codes[np.argsort(-counts)][:_TOP_CODES]


def _width(part: tuple[str, str, Any]) -> int:
    return 1 if part[1] == "number" else len(part[2])


def _encoded(part: tuple[str, str, Any], column: Array) -> Floats:
    _, kind, known = part
    if kind == "codes":
        values = np.where(is_missing(column), "", column).astype(str)
        return np.asarray((values[:, None] == known[None, :]), dtype=np.float64)
    values = column.astype(np.float64)
    gone = ~np.isfinite(values)
    safe = np.where(gone, known[len(known) // 2], values)
    ranks = (np.searchsorted(known, safe, "left") + np.searchsorted(known, safe, "right")) / 2
    scores = ndtri(np.clip((ranks + 0.5) / (len(known) + 1), 0.002, 0.998))
    return np.where(gone, 0.0, scores)[:, None]


def _moments(rows: Floats) -> tuple[Floats, Floats]:
    if not rows.shape[1]:
        return np.zeros(0), np.zeros((0, 0))
    cov = np.atleast_2d(np.cov(rows, rowvar=False))
    return rows.mean(axis=0), cov


def _divergence(mean: Floats, cov: Floats, old_mean: Floats, old_cov: Floats) -> float:
    """Give the divergence of Gaussians, both covariances shrunk a little towards independence."""
    n = len(mean)
    if not n:
        return 0.0
    scale = np.diag(np.diag(old_cov) * _SHRINK + 1e-3)
    new, old = cov + scale, old_cov + scale
    inverse = np.linalg.inv(old)
    gap = mean - old_mean
    logs = np.linalg.slogdet(new)[1] - np.linalg.slogdet(old)[1]
    return 0.5 * float(np.trace(inverse @ new) - n - logs + gap @ inverse @ gap)


def _divergence_of(
    kept: NDArray[np.bool_], mean: Floats, cov: Floats, old_mean: Floats, old_cov: Floats
) -> float:
    chosen = np.flatnonzero(kept)
    grid = np.ix_(chosen, chosen)
    return _divergence(mean[chosen], cov[grid], old_mean[chosen], old_cov[grid])
