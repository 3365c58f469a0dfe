"""Which columns give a target away: one column alone guesses it almost without error, on rows not used for the guess.

Such a column often holds what is known only after the fact (a date of closing, a code of the outcome), and a model
trained with it fails once it is served.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from noria.data.profiling.columns import numbers_with_gaps, texts
from noria.data.profiling.entities import MAX_LEAK_ROWS, Leak
from noria.data.profiling.sources import Table, check_columns

MIN_R_SQUARED: Final = 0.98
MIN_LAMBDA: Final = 0.95
_N_BINS: Final = 64
_ROWS_PER_BIN: Final = 8
_MAX_CLASSES: Final = 20

Values = NDArray[Any]


def likely_leaks(table: Table, target: str) -> tuple[tuple[Leak, ...], int]:
    """Find the columns that give `target` away.

    A column is cut into at most 64 bins of equal shares, of 8 rows at least, or into categories; the missing are one.
    On half of the rows each bin learns the target's mean (its commonest class); the other half is guessed.

    Returns
    -------
    tuple of Leak, int
        Best guess first, and the rows used: all, or at most `MAX_LEAK_ROWS` that are evenly spaced.

    Raises
    ------
    NotFound
        If there is no such column.

    Notes
    -----
    Numeric targets with more than 20 values are scored by R², all others by the proportional reduction of error.

    References
    ----------
    Goodman, L. A. and Kruskal, W. H. (1954). Measures of association for cross classifications. J. Am. Stat. Assoc. 49.
    """
    check_columns(table, [target])
    step = -(-table.n_rows // MAX_LEAK_ROWS)
    truth = table.column(target).gather_every(step)
    is_known = truth.is_not_null().to_numpy()
    numbers = numbers_with_gaps(truth)
    if numbers is not None:
        is_known &= ~np.isnan(numbers)
    wanted, is_number = _target(truth, numbers, is_known)
    n_used = int(is_known.sum())
    if n_used < 4 or wanted.min() == wanted.max():
        return (), n_used
    found = []
    for name, kind in table.schema.items():
        if name == target or kind.is_nested():
            continue
        bins = _bins(table.column(name).gather_every(step))[is_known]
        score = (_r_squared if is_number else _lambda)(bins, wanted)
        if score >= (MIN_R_SQUARED if is_number else MIN_LAMBDA):
            found.append(Leak(column=name, score=score, measure="r_squared" if is_number else "lambda"))
    return tuple(sorted(found, key=lambda leak: (-leak.score, leak.column))), n_used


def _target(truth: pl.Series, numbers: Values | None, is_known: Values) -> tuple[Values, bool]:
    if numbers is not None and truth.n_unique() > _MAX_CLASSES:
        return numbers[is_known], True
    codes = _codes(truth if numbers is None else pl.Series(numbers))
    return codes[is_known], False


def _codes(series: pl.Series) -> Values:
    spelt = texts(series)
    return spelt.rank("dense").fill_null(0).cast(pl.Int64).to_numpy()


def _bins(series: pl.Series) -> Values:
    """Give the bin of each row, the missing in bin 0."""
    numbers = numbers_with_gaps(series)
    if numbers is None:
        return _codes(series)
    known = np.sort(numbers[~np.isnan(numbers)])
    if not known.size:
        return np.zeros(len(series), dtype=np.int64)
    n_bins = max(2, min(_N_BINS, known.size // _ROWS_PER_BIN))
    ranks = (known.size * np.arange(1, n_bins)) // n_bins
    edges = np.unique(known[ranks])
    return np.where(np.isnan(numbers), 0, 1 + np.searchsorted(edges, numbers, side="right"))


def _halves(n: int) -> tuple[Values, Values]:
    """Cut rows into two halves that no pattern of their order can tell, by a bit of the multiples of a large number."""
    bits = (np.arange(n, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)
    is_learnt = (bits & np.uint64(1)).astype(bool)
    return np.flatnonzero(is_learnt), np.flatnonzero(~is_learnt)


def _r_squared(bins: Values, wanted: Values) -> float:
    n_bins = int(bins.max()) + 1
    learnt, guessed = _halves(bins.size)
    counts = np.bincount(bins[learnt], minlength=n_bins)
    sums = np.bincount(bins[learnt], weights=wanted[learnt], minlength=n_bins)
    overall = float(wanted[learnt].mean())
    means = np.where(counts > 0, sums / np.maximum(counts, 1), overall)
    total = float(((wanted[guessed] - overall) ** 2).sum())
    wrong = float(((wanted[guessed] - means[bins[guessed]]) ** 2).sum())
    return max(0.0, 1.0 - wrong / total) if total > 0 else 0.0


def _lambda(bins: Values, wanted: Values) -> float:
    classes, codes = np.unique(wanted, return_inverse=True)
    learnt, guessed = _halves(bins.size)
    commonest = int(np.bincount(codes[learnt]).argmax())
    pairs, counts = np.unique(bins[learnt] * classes.size + codes[learnt], return_counts=True)
    order = np.argsort(counts, kind="stable")  # the last write wins: each bin keeps its commonest class
    guesses = np.full(int(bins.max()) + 1, commonest)
    guesses[pairs[order] // classes.size] = pairs[order] % classes.size
    before = int((codes[guessed] != commonest).sum())
    after = int((codes[guessed] != guesses[bins[guessed]]).sum())
    return max(0.0, 1.0 - after / before) if before else 0.0
