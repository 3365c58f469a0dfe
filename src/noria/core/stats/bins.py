"""Bins from a reference sample: edges that hold about equal shares, counts in them, and smoothed shares."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from noria.core.errors import Invalid
from noria.core.stats.samples import Floats, Ints, to_floats

PSEUDO_COUNT: Final = 0.5
"""Added to each cell: the Jeffreys prior of a multinomial."""


def quantile_edges(values: Floats, n_bins: int = 10) -> Floats:
    """Choose bin edges so that each inner bin holds about the same share of a sample.

    Bins are closed on the right, and the two outer ones are open-ended and hold nothing of this sample: below its
    smallest value, and above its largest. A value that fills a bin's share alone, as in counts and constants, gets a
    bin of its own, so that leaving it is seen.

    Parameters
    ----------
    values : ndarray, shape (n,)
        Finite and not empty.
    n_bins : int
        Wanted number of inner bins, at least 1; there are fewer when values repeat, and at most twice as many.

    Returns
    -------
    ndarray, shape (n_edges,)
        Rising. Bin i holds edge i-1 < x <= edge i; there are n_edges + 1 bins.

    Examples
    --------
    >>> quantile_edges(np.arange(1.0, 9.0), 4)[1:].tolist()
    [2.0, 4.0, 6.0, 8.0]
    """
    return edges_of_sorted(np.sort(values), n_bins)


def edges_of_sorted(ordered: Floats, n_bins: int = 10) -> Floats:
    """Choose bin edges as `quantile_edges` does, of values that are sorted already.

    Parameters
    ----------
    ordered : ndarray, shape (n,)
        Finite, rising and not empty.
    """
    if n_bins < 1:
        raise Invalid(f"`n_bins` must be at least 1, not `{n_bins}`")
    # The value of rank ceil(n k / n_bins): the inverse of the empirical distribution, without rounding.
    ranks = -(-ordered.size * np.arange(1, n_bins + 1) // n_bins)
    cuts = ordered[ranks - 1]
    starts = np.searchsorted(ordered, cuts, side="left")
    ends = np.searchsorted(ordered, cuts, side="right")
    heavy = starts[(ends - starts) * n_bins >= ordered.size]
    before_heavy = ordered[heavy[heavy > 0] - 1]
    with np.errstate(over="ignore", under="ignore"):
        below = np.nextafter(ordered[:1], -np.inf)
    # Nothing finite lies below the smallest float, so it needs no bin there.
    return np.unique(np.concatenate([below[np.isfinite(below)], before_heavy, cuts]))


def bin_counts(values: Floats, edges: Floats) -> Ints:
    """Count values per bin, bins closed on the right; infinities fall into the outer bins.

    Returns
    -------
    ndarray of int, shape (n_edges + 1,)
    """
    return np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1)


def smoothed_shares(counts: ArrayLike, pseudo_count: float = PSEUDO_COUNT) -> Floats:
    """Turn counts into shares that are all positive, by adding a pseudo-count to each bin.

    Parameters
    ----------
    counts : array_like, shape (n_bins,)
        At least 0.
    pseudo_count : float
        Positive.

    Returns
    -------
    ndarray, shape (n_bins,)
        Positive, sums to 1.

    Examples
    --------
    >>> smoothed_shares([0, 1]).tolist()
    [0.25, 0.75]
    """
    array = to_floats(counts, name="counts")
    if array.ndim != 1 or array.size == 0:
        raise Invalid(f"`counts` must have one dimension and at least one bin, not shape `{array.shape}`")
    if not (array >= 0).all() or np.isinf(array).any():
        raise Invalid(f"`counts` must be finite and at least 0, not `{array.tolist()}`")
    if pseudo_count <= 0:
        raise Invalid(f"`pseudo_count` must be positive, not `{pseudo_count}`")
    smoothed = array + pseudo_count
    return np.asarray(smoothed / smoothed.sum())
