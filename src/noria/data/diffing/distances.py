"""How far two samples of one column are apart, from 0 to 1, whatever its unit."""

from __future__ import annotations

from typing import Any, Final, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from noria.data.diffing.entities import KOLMOGOROV_SMIRNOV, TOTAL_VARIATION, ColumnDistance
from noria.data.profiling.columns import counted, known_numbers

_PIECES: Final = 4096
_FEW: Final = 10

Values = NDArray[Any]


def column_distance(
    name: str, before: pl.Series, after: pl.Series, *, moved: tuple[pl.Series, pl.Series] | None = None
) -> ColumnDistance:
    """Measure how far the known values of a column moved; missing ones are told beside it.

    Parameters
    ----------
    before, after
        Neither lists nor records. Where only one of them is numeric, both are compared as categories.
    moved
        Values that `after` no longer has and values that it has instead, where they are known: comparing few changes
        is faster then.
    """
    numbers = known_numbers(before), known_numbers(after)
    if numbers[0] is not None and numbers[1] is not None:
        measure, n_known = KOLMOGOROV_SMIRNOV, (numbers[0].size, numbers[1].size)
        at = _few(moved, n_known)
        distance = ks_distance(np.sort(numbers[0]), np.sort(numbers[1]), at=at) if all(n_known) else None
    else:
        groups = counted(before), counted(after)
        measure, n_known = TOTAL_VARIATION, (int(groups[0]["n"].sum()), int(groups[1]["n"].sum()))
        distance = total_variation(*groups) if all(n_known) else None
    return ColumnDistance(
        column=name,
        distance=distance,
        measure=measure,
        missing_before=_missing(n_known[0], len(before)),
        missing_after=_missing(n_known[1], len(after)),
    )


def unchanged_distance(name: str, values: pl.Series) -> ColumnDistance:
    """Give the distance of a column from itself, without measuring it."""
    numbers = known_numbers(values)
    n_known = len(values) - values.null_count() if numbers is None else numbers.size
    return ColumnDistance(
        column=name,
        distance=0.0 if n_known else None,
        measure=TOTAL_VARIATION if numbers is None else KOLMOGOROV_SMIRNOV,
        missing_before=_missing(n_known, len(values)),
        missing_after=_missing(n_known, len(values)),
    )


def _few(moved: tuple[pl.Series, pl.Series] | None, n_known: tuple[int, int]) -> Values | None:
    if moved is None or sum(map(len, moved)) * _FEW > sum(n_known):
        return None
    values = [known_numbers(part) for part in moved]
    return np.concatenate([part for part in values if part is not None])


def ks_distance(before: Values, after: Values, *, at: Values | None = None) -> float:
    """Give the Kolmogorov-Smirnov distance of two samples: the largest gap of their distribution functions.

    Parameters
    ----------
    before, after : ndarray, shape (n,) and (m,)
        Rising and not empty; infinities only have a rank.
    at : ndarray
        The values by which the samples differ, if they are known and few.

    Notes
    -----
    The smaller sample is cut into pieces, and those that can hold the largest gap are cut again. Where the samples
    share all but the values `at`, the gap between two of these changes by the shared values alone, so in one direction,
    and the largest is at one of them.

    References
    ----------
    Smirnov, N. (1948). Table for estimating the goodness of fit of empirical distributions. Ann. Math. Stat. 19.

    Examples
    --------
    >>> ks_distance(np.array([1.0, 2.0]), np.array([2.0, 3.0]))
    0.5
    """
    if at is not None:
        sides = (_shares(before, after, at, "left"), _shares(before, after, at, "right"))
        return max(map(_gap, sides)) if at.size else 0.0
    fewer, more = sorted((before, after), key=len)
    starts, ends, largest = np.array([0]), np.array([fewer.size]), 0.0
    for length in (max(1, fewer.size // _PIECES), 16, 1):
        starts, ends = _cut(starts, ends, length)
        low, high = (
            _shares(fewer, more, fewer[starts], "left"),
            _shares(fewer, more, fewer[ends - 1], "right"),
        )
        largest = max(largest, _gap(low), _gap(high))
        # Both functions rise, so within a piece their gap is at most from the beginning of one to the end of the other.
        can_hold = np.maximum(high[0] - low[1], high[1] - low[0]) > largest
        starts, ends = starts[can_hold], ends[can_hold]
        if not starts.size:
            break
    return largest


def _cut(starts: Values, ends: Values, length: int) -> tuple[Values, Values]:
    """Cut pieces of a sample into ones of at most `length` values."""
    n_parts = -(-(ends - starts) // length)
    within = np.arange(n_parts.sum()) - np.repeat(np.cumsum(n_parts) - n_parts, n_parts)
    cut = np.repeat(starts, n_parts) + within * length
    return cut, np.minimum(cut + length, np.repeat(ends, n_parts))


def _shares(one: Values, other: Values, at: Values, side: Literal["left", "right"]) -> tuple[Values, Values]:
    """Give the shares of two sorted samples below (left) or upto (right) some values."""
    return np.searchsorted(one, at, side) / one.size, np.searchsorted(other, at, side) / other.size


def _gap(shares: tuple[Values, Values]) -> float:
    return float(np.abs(shares[0] - shares[1]).max())


def total_variation(before: pl.DataFrame, after: pl.DataFrame) -> float:
    """Give the total variation distance of two samples of categories.

    Half the sum of the differences of shares: the share of rows that would have to change their category.

    Parameters
    ----------
    before, after
        Columns `label` and `n`, each label once, not empty.

    References
    ----------
    Levin, D. A., Peres, Y. and Wilmer, E. L. (2009). Markov chains and mixing times, section 4.1. AMS.
    """
    shares = [
        frame.select("label", (pl.col("n") / pl.col("n").sum()).alias(name))
        for frame, name in ((before, "p"), (after, "q"))
    ]
    both = shares[0].join(shares[1], on="label", how="full").select(pl.col("p", "q").fill_null(0.0))
    return float(min(1.0, (both["p"] - both["q"]).abs().sum() / 2))


def _missing(n_known: int, n_rows: int) -> float:
    return 1 - n_known / n_rows if n_rows else 0.0
