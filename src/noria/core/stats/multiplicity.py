"""Many tests at once: p-values adjusted so that false alarms stay bounded.

An adjusted p-value is compared with the level directly: reject where it is at most alpha. A NaN is a test that could
not be made: it stays NaN and does not count as a test.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from noria.core.errors import Invalid
from noria.core.stats.samples import Floats, to_floats


def benjamini_hochberg(p_values: ArrayLike) -> Floats:
    """Adjust p-values to control the false discovery rate, for independent or positively dependent tests.

    Parameters
    ----------
    p_values : array_like, shape (n_tests,)
        Each in [0, 1], or NaN.

    Returns
    -------
    ndarray, shape (n_tests,)
        At least the raw value, at most 1, in the same order.

    Raises
    ------
    Invalid
        If a value lies outside [0, 1].

    Examples
    --------
    >>> benjamini_hochberg([0.01, 0.02, 0.9]).round(4).tolist()
    [0.03, 0.03, 0.9]

    References
    ----------
    Benjamini, Y. and Hochberg, Y. (1995). Controlling the false discovery rate. JRSS B 57.
    """
    return _adjust(p_values, _step_up)


def benjamini_yekutieli(p_values: ArrayLike) -> Floats:
    """Adjust p-values to control the false discovery rate under any dependence of the tests.

    As `benjamini_hochberg`, times the sum of 1/i for i up to the number of tests.

    References
    ----------
    Benjamini, Y. and Yekutieli, D. (2001). The control of the false discovery rate in multiple testing under
    dependency. Annals of Statistics 29.
    """
    return _adjust(p_values, lambda p: _step_up(p) * np.sum(1 / np.arange(1, p.size + 1)))


def bonferroni(p_values: ArrayLike) -> Floats:
    """Adjust p-values to bound the chance of any false alarm, under any dependence: p times the number of tests."""
    return _adjust(p_values, lambda p: p * p.size)


def holm(p_values: ArrayLike) -> Floats:
    """Adjust p-values to bound the chance of any false alarm; never larger than `bonferroni`.

    References
    ----------
    Holm, S. (1979). A simple sequentially rejective multiple test procedure. Scand. J. Statistics 6.
    """
    return _adjust(p_values, _step_down)


def _adjust(p_values: ArrayLike, rule: Callable[[Floats], Floats]) -> Floats:
    """Apply a rule for sorted p-values to those that are present, and put the results back in place."""
    p = to_floats(p_values, name="p_values")
    if p.ndim != 1:
        raise Invalid(f"`p_values` must have one dimension, not shape `{p.shape}`")
    present = ~np.isnan(p)
    outside = present & ((p < 0) | (p > 1))
    if outside.any():
        raise Invalid(f"`p_values` holds `{p[outside][0]}`, which is not a probability")
    positions = np.flatnonzero(present)
    order = positions[np.argsort(p[positions], kind="stable")]
    adjusted = np.full(p.shape, np.nan)
    adjusted[order] = np.minimum(rule(p[order]), 1.0)
    return adjusted


def _step_up(p: Floats) -> Floats:
    scaled = p * p.size / np.arange(1, p.size + 1)
    return np.minimum.accumulate(scaled[::-1])[::-1]


def _step_down(p: Floats) -> Floats:
    return np.maximum.accumulate(p * np.arange(p.size, 0, -1))
