"""Means and their differences, with interval and test: paired where values belong together, and not where they do not.

Plain Python, for samples as small as repeated runs are: the server tells these too, and loads no numpy.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec

from noria.core.errors import Invalid
from noria.core.stats.student import t_quantile, t_tail


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


def paired_difference(
    first: Iterable[float], second: Iterable[float], *, alpha: float = 0.05
) -> MeanDifference:
    """Student's t on the differences of pairs, such as two settings under the same seeds.

    Parameters
    ----------
    first, second : iterable of float, shape (n,)
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
    if len(ours) != len(theirs):
        raise Invalid(f"Pairs need samples of one size, not `{len(ours)}` and `{len(theirs)}`")
    _check_alpha(alpha)
    differences = [one - other for one, other in zip(ours, theirs, strict=True)]
    n = len(differences)
    spread = (_variance(differences) / n) ** 0.5
    return _t_result(math.fsum(differences) / n, spread, n - 1, alpha, n=n, method="paired t")


def welch_difference(
    first: Iterable[float], second: Iterable[float], *, alpha: float = 0.05
) -> MeanDifference:
    """Welch's t for two independent samples, whose variances may differ.

    Parameters
    ----------
    first, second : iterable of float, shape (n,), (m,)
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
    _check_alpha(alpha)
    a, b = _variance(ours) / len(ours), _variance(theirs) / len(theirs)
    parts = a**2 / (len(ours) - 1) + b**2 / (len(theirs) - 1)
    degrees = (a + b) ** 2 / parts if parts > 0 else float(len(ours) + len(theirs) - 2)
    estimate = math.fsum(ours) / len(ours) - math.fsum(theirs) / len(theirs)
    return _t_result(estimate, (a + b) ** 0.5, degrees, alpha, n=len(ours) + len(theirs), method="Welch t")


def interval_of_mean(values: Iterable[float], *, alpha: float = 0.05) -> tuple[float, float]:
    """Give the ends of Student's t interval for a mean, as `intervals.mean_interval` does for arrays.

    Parameters
    ----------
    values : iterable of float, shape (n,)
        At least two finite values.

    Raises
    ------
    Invalid
        If there are fewer than two values, or one that is missing or infinite.

    References
    ----------
    Student (1908). The probable error of a mean. Biometrika 6.

    Examples
    --------
    >>> low, high = interval_of_mean([1.0, 2.0, 3.0])
    >>> round(low, 4), round(high, 4)
    (-0.4841, 4.4841)
    """
    sample = _complete(values, "values")
    _check_alpha(alpha)
    mean = math.fsum(sample) / len(sample)
    half = t_quantile(alpha, len(sample) - 1) * (_variance(sample) / len(sample)) ** 0.5
    return mean - half, mean + half


def holm_adjusted(p_values: Iterable[float]) -> list[float]:
    """Adjust p-values to bound the chance of any false alarm, as `multiplicity.holm` does for arrays.

    References
    ----------
    Holm, S. (1979). A simple sequentially rejective multiple test procedure. Scand. J. Statistics 6.

    Examples
    --------
    >>> holm_adjusted([0.04, 0.01, 0.9])
    [0.08, 0.03, 0.9]
    """
    known = list(p_values)
    adjusted = [0.0] * len(known)
    least = 0.0
    for place, index in enumerate(sorted(range(len(known)), key=known.__getitem__)):
        least = min(1.0, max(least, known[index] * (len(known) - place)))
        adjusted[index] = least
    return adjusted


def _t_result(
    estimate: float, spread: float, degrees: float, alpha: float, *, n: int, method: str
) -> MeanDifference:
    half = t_quantile(alpha, degrees) * spread
    p_value = 1.0 if estimate == 0 else 0.0  # without spread the difference is certain, or there is none
    if spread > 0:
        p_value = t_tail(estimate / spread, degrees)
    return MeanDifference(
        estimate=estimate,
        lower=estimate - half,
        upper=estimate + half,
        p_value=p_value,
        alpha=alpha,
        n=n,
        method=method,
    )


def _variance(sample: list[float]) -> float:
    """Give the unbiased variance in two passes: `statistics.variance` counts in fractions, and takes long."""
    mean = math.fsum(sample) / len(sample)
    return math.fsum((value - mean) ** 2 for value in sample) / (len(sample) - 1)


def _check_alpha(alpha: float) -> None:
    if not 0 < alpha < 1:
        raise Invalid(f"`alpha` must lie between 0 and 1, not be `{alpha}`")


def _complete(values: Iterable[float], name: str) -> list[float]:
    sample = [float(value) for value in values]
    n_missing = sum(math.isnan(value) for value in sample)
    if n_missing or len(sample) < 2:
        raise Invalid(
            f"`{name}` needs at least 2 values and none missing, not {len(sample)} and {n_missing} missing"
        )
    if not all(map(math.isfinite, sample)):
        raise Invalid(f"`{name}` holds an infinite value")
    return sample
