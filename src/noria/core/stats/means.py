"""Differences of means, with interval and test: paired where values belong together, and not where they do not."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import ArrayLike

from noria.core.errors import Invalid
from noria.core.stats.samples import Floats, check_alpha, one_sample


class MeanDifference(msgspec.Struct, frozen=True, kw_only=True):
    """How much the mean of the first sample is above that of the second.

    Attributes
    ----------
    lower, upper
        Interval that covers the true difference with probability 1 - alpha.
    p_value
        Two-sided; of no difference at all.
    n
        Pairs, or values of both samples together.
    method
        `paired t` or `Welch t`.
    """

    estimate: float
    lower: float
    upper: float
    p_value: float
    alpha: float
    n: int
    method: str


def paired_difference(first: ArrayLike, second: ArrayLike, *, alpha: float = 0.05) -> MeanDifference:
    """Student's t on the differences of pairs, such as two settings under the same seeds.

    Parameters
    ----------
    first, second : array_like, shape (n,)
        At least two finite values each; the i-th of both are a pair.

    Raises
    ------
    Invalid
        If the sizes differ, there are fewer than two pairs, or a value is missing or infinite.

    References
    ----------
    Student (1908). The probable error of a mean. Biometrika 6.

    Examples
    --------
    >>> found = paired_difference([0.91, 0.93, 0.92], [0.90, 0.91, 0.91])
    >>> round(found.estimate, 4), round(found.p_value, 3)
    (0.0133, 0.057)
    """
    ours, theirs = _complete(first, "first"), _complete(second, "second")
    if ours.size != theirs.size:
        raise Invalid(f"Pairs need samples of one size, not `{ours.size}` and `{theirs.size}`")
    check_alpha(alpha)
    differences = ours - theirs
    spread = float(differences.std(ddof=1) / differences.size**0.5)
    degrees = float(differences.size - 1)
    return _t_result(float(differences.mean()), spread, degrees, alpha, n=differences.size, method="paired t")


def welch_difference(first: ArrayLike, second: ArrayLike, *, alpha: float = 0.05) -> MeanDifference:
    """Welch's t for two independent samples, whose variances may differ.

    Parameters
    ----------
    first, second : array_like, shape (n,), (m,)
        At least two finite values each.

    Raises
    ------
    Invalid
        If a sample has fewer than two values, or one that is missing or infinite.

    References
    ----------
    Welch (1947). The generalization of "Student's" problem when several different population variances are involved.
    Biometrika 34.
    """
    ours, theirs = _complete(first, "first"), _complete(second, "second")
    check_alpha(alpha)
    a, b = float(ours.var(ddof=1) / ours.size), float(theirs.var(ddof=1) / theirs.size)
    parts = a**2 / (ours.size - 1) + b**2 / (theirs.size - 1)
    degrees = (a + b) ** 2 / parts if parts > 0 else float(ours.size + theirs.size - 2)
    estimate = float(ours.mean() - theirs.mean())
    return _t_result(estimate, (a + b) ** 0.5, degrees, alpha, n=ours.size + theirs.size, method="Welch t")


def _t_result(
    estimate: float, spread: float, degrees: float, alpha: float, *, n: int, method: str
) -> MeanDifference:
    from scipy.special import stdtr, stdtrit

    half = float(stdtrit(degrees, 1 - alpha / 2)) * spread
    p_value = 1.0 if estimate == 0 else 0.0  # without spread the difference is certain, or there is none
    if spread > 0:
        p_value = 2 * float(stdtr(degrees, -abs(estimate) / spread))
    return MeanDifference(
        estimate=estimate,
        lower=estimate - half,
        upper=estimate + half,
        p_value=p_value,
        alpha=alpha,
        n=n,
        method=method,
    )


def _complete(values: ArrayLike, name: str) -> Floats:
    sample, n_missing = one_sample(values, name=name)
    if n_missing or sample.size < 2:
        raise Invalid(f"`{name}` needs at least 2 values and none missing, not {sample.size} and {n_missing}")
    return np.asarray(sample)
