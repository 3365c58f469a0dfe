"""A part of the rows in another unit: rows of one sender, say, divided by the factor by which they are off.

Where the other columns tell a column well, they tell which rows these are, even of values that lie among the others,
and by how much they are off. Elsewhere only values that lie outside all there was are divided.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noria.core.stats.samples import is_missing
from noria.decisions.replay.estimating import estimates, estimator
from noria.decisions.replay.recoding import Change
from noria.decisions.replay.rows import Columns
from noria.decisions.stages.scales import factor_near, factor_of

Bad = Callable[[NDArray[Any], NDArray[Any]], NDArray[np.bool_]]
"""Which values lie outside, given those of training."""

_SURELY = 6.0  # standard deviations between what is right and what is off


@dataclass(frozen=True, slots=True, kw_only=True)
class Divided:
    """What is done, in words and as a change of the column."""

    words: str
    change: Change


def divided_where(name: str, known: Columns, current: Columns, *, bad: Bad) -> Divided | None:
    """Find the known factor by which a part of the rows is off; None where there is none.

    Parameters
    ----------
    known, current
        Training rows, and rows of today.
    """
    outside = bad(current[name], known[name]) & ~is_missing(current[name])
    told = _Told.of(name, known)
    if told is not None:
        beyond = told.beyond(current[name], current)[outside]
        beyond = beyond[np.isfinite(beyond)]
        factor = factor_near(math.exp(float(np.median(beyond))), told.spread) if len(beyond) else None
        if factor is not None and abs(math.log(factor)) > _SURELY * told.spread:
            words = (
                f"`{name}` is divided by {factor:.4g} where it lies outside all it was, or far from what the other "
                "columns say"
            )
            return Divided(words=words, change=_change(known[name], bad, factor, told.beyond))
    factor = factor_of(known[name], current[name][outside])
    if factor is None:
        return None
    words = f"`{name}` is divided by {factor:.4g} where it lies outside all it was"
    return Divided(words=words, change=_change(known[name], bad, factor))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What the other columns say of one whose values are above 0.

    Attributes
    ----------
    beyond
        Gives how far logarithms of values lie above those of their estimates; NaN where there is none.
    spread
        Standard deviation of that on training rows which did not teach the estimates.
    """

    beyond: Change
    spread: float

    @classmethod
    def of(cls, name: str, known: Columns) -> _Told | None:
        there = known[name][~is_missing(known[name])]
        held = estimates(name, known, known) if len(there) and (there > 0).all() else None
        if held is None:
            return None
        usual = np.log(held.actual) - _logarithms(held.then)
        usual = usual[np.isfinite(usual)]
        if not len(usual):
            return None
        estimate = estimator(name, known)

        def beyond(values: NDArray[Any], columns: Columns) -> NDArray[Any]:
            return _logarithms(values) - _logarithms(estimate(columns))

        return cls(beyond=beyond, spread=float(usual.std()))


def _change(known: NDArray[Any], bad: Bad, factor: float, beyond: Change | None = None) -> Change:
    def divide(values: NDArray[Any], columns: Columns) -> NDArray[Any]:
        off = bad(values, known)
        if beyond is not None:
            apart = beyond(values, columns)
            with np.errstate(invalid="ignore"):
                off = off | (np.abs(apart - math.log(factor)) < np.abs(apart))
        return np.where(off & ~is_missing(values), values.astype(np.float64) / factor, values)

    return divide


def _logarithms(values: NDArray[Any]) -> NDArray[np.float64]:
    """Give logarithms; NaN for what has none."""
    numbers = values.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(numbers > 0, np.log(numbers), np.nan)
