"""Whether there are rows unlike any known one: distances to a reference, with calibrated p-values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from noria.core.errors import Invalid
from noria.core.stats.samples import Bools, Floats, check_alpha, complete_rows, same_width

_CELLS_PER_BLOCK = 4_000_000
# In standard deviations; keeps the squares of absurd values finite.
_FARTHEST = 1e9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Novelty:
    """How far rows lie from a reference.

    Attributes
    ----------
    scores : ndarray, shape (n_current,)
        Mean distance to the nearest reference rows, in scaled features.
    p_values : ndarray, shape (n_current,)
        Chance that a row of the reference's kind lies at least that far.
    kept : ndarray of bool, shape (n_rows,)
        Which of the given current rows had no missing value; the others have no score.
    n_far : int
        Rows whose own p-value is at most alpha.
    p_value : float
        Of the whole sample: chance of so many far rows among rows of the reference's kind.
    n_missing : int
        Rows dropped from all samples.
    """

    scores: Floats
    p_values: Floats
    kept: Bools
    n_far: int
    p_value: float
    n_missing: int


def novelty(
    reference: ArrayLike,
    calibration: ArrayLike,
    current: ArrayLike,
    *,
    n_neighbours: int = 3,
    alpha: float = 0.05,
) -> Novelty:
    """Score rows by their distance to a reference, calibrated on held-out rows of the same kind.

    The score is the mean distance to the nearest reference rows. Each feature is divided by its standard deviation in
    the reference, or by the median of these when that is larger: units do not matter much, and a feature that hardly
    ever varies, such as a corner of an image, does not drown the others. The p-value of a row is the rank of its score
    among those of the calibration rows (split conformal), so it is valid for any data. The whole sample is tested by
    how many of its rows are far: for rows of one kind, in whatever distribution, that number is beta-binomial.

    Parameters
    ----------
    reference : array_like, shape (n_rows, ...)
        What is known; at least `n_neighbours` rows.
    calibration : array_like, shape (k_rows, ...)
        Rows of the same kind that are not in `reference`. The smallest p-value is 1 / (k_rows + 1).
    current : array_like, shape (m_rows, ...)
        The rows to judge.
    n_neighbours
        At least 1.
    alpha
        Rows with a p-value up to this count as far; below 1 / (k_rows + 1) none can.

    Raises
    ------
    Invalid
        If a sample has no complete row or holds an infinity, widths differ, or there are fewer reference rows than
        neighbours.

    Notes
    -----
    The p-values of rows share one calibration sample and are positively dependent; `benjamini_hochberg` over them is
    still valid (Bates et al.). Cost: one distance per pair of rows; sample a large reference first.

    References
    ----------
    Bates, S., Candès, E., Lei, L., Romano, Y. and Sesia, M. (2023). Testing for outliers with conformal p-values.
    Annals of Statistics 51.
    """
    check_alpha(alpha)
    known, known_kept = complete_rows(reference, name="reference")
    held_out, held_out_kept = complete_rows(calibration, name="calibration")
    rows, kept = complete_rows(current, name="current")
    same_width(known, held_out, names=("reference", "calibration"))
    same_width(known, rows)
    if not 1 <= n_neighbours <= len(known):
        raise Invalid(
            f"`n_neighbours` must lie between 1 and the `{len(known)}` reference rows, not `{n_neighbours}`"
        )
    usual = np.sort(_neighbour_distance(known, held_out, n_neighbours))
    scores = _neighbour_distance(known, rows, n_neighbours)
    n_as_far = usual.size - np.searchsorted(usual, scores, side="left")
    p_values = (n_as_far + 1) / (usual.size + 1)
    n_far = int(np.sum(p_values <= alpha))
    return Novelty(
        scores=scores,
        p_values=p_values,
        kept=kept,
        n_far=n_far,
        p_value=_far_rows_p_value(n_far, rows=scores.size, calibration=usual.size, alpha=alpha),
        n_missing=sum(int(np.sum(~k)) for k in (known_kept, held_out_kept, kept)),
    )


def _neighbour_distance(reference: Floats, rows: Floats, n_neighbours: int) -> Floats:
    """Mean Euclidean distance of each row to its nearest reference rows, in scaled features."""
    centre, scale = reference.mean(axis=0), _feature_scale(reference)
    known = (reference - centre) / scale
    asked = np.clip((rows - centre) / scale, -_FARTHEST, _FARTHEST)
    known_squares = np.sum(known**2, axis=1)
    distances = np.empty(len(asked))
    block = max(1, _CELLS_PER_BLOCK // len(known))
    for start in range(0, len(asked), block):
        part = asked[start : start + block]
        squares = np.sum(part**2, axis=1)[:, np.newaxis] + known_squares - 2 * part @ known.T
        nearest = np.partition(squares, n_neighbours - 1, axis=1)[:, :n_neighbours]
        distances[start : start + block] = np.sqrt(np.maximum(nearest, 0)).mean(axis=1)
    return distances


def _feature_scale(reference: Floats) -> Floats:
    spread = reference.std(axis=0)
    varying = spread[spread > 0]
    return np.maximum(spread, np.median(varying)) if varying.size else np.ones_like(spread)


def _far_rows_p_value(n_far: int, *, rows: int, calibration: int, alpha: float) -> float:
    """Chance of at least so many far rows, if all rows are of one kind.

    A row is far when it lies beyond the r-th farthest calibration row, r = alpha (k + 1) rounded down. The share of
    the distribution beyond that row is Beta(r, k + 1 - r), and the far rows are a binomial draw with it.
    """
    from scipy.stats import betabinom

    # The same comparison as that of the p-values, so that rounding cannot part them.
    rank = int(np.sum(np.arange(1, calibration + 1) / (calibration + 1) <= alpha))
    return float(betabinom.sf(n_far - 1, rows, rank, calibration + 1 - rank)) if rank else 1.0
