"""Confidence intervals for a sample whose size was fixed beforehand; to look again and again, see `sequential`.

`alpha` is the chance that an interval misses the true value, in (0, 1).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec
import numpy as np
from numpy.typing import ArrayLike

from noria.core.errors import Invalid
from noria.core.stats.samples import Floats, check_alpha, is_missing, one_sample


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """An estimate and the interval that covers the true value with probability 1 - alpha.

    Attributes
    ----------
    n
        Observations used; for two samples, of both together.
    n_missing
        Observations dropped because they were missing.
    """

    estimate: float
    lower: float
    upper: float
    alpha: float
    n: int
    n_missing: int = 0

    @property
    def width(self) -> float:
        """Upper minus lower."""
        return self.upper - self.lower

    def contains(self, value: float) -> bool:
        """Tell whether the value lies in the closed interval."""
        return self.lower <= value <= self.upper


def wilson(n_successes: int, n: int, *, alpha: float = 0.05) -> Interval:
    """Score interval for a proportion: covers close to 1 - alpha on average, and never leaves [0, 1].

    Parameters
    ----------
    n_successes, n
        Counts, 0 <= n_successes <= n and n at least 1.

    Raises
    ------
    Invalid
        If the counts do not fit.

    Examples
    --------
    >>> w = wilson(8, 10)
    >>> round(w.lower, 4), round(w.upper, 4)
    (0.4902, 0.9433)

    References
    ----------
    Wilson, E. B. (1927). Probable inference, the law of succession, and statistical inference. JASA 22.
    """
    _check_counts(n_successes, n)
    z = _z(alpha)
    p = n_successes / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    lower = 0.0 if n_successes == 0 else centre - half
    upper = 1.0 if n_successes == n else centre + half
    return Interval(estimate=p, lower=lower, upper=upper, alpha=alpha, n=n)


def clopper_pearson(n_successes: int, n: int, *, alpha: float = 0.05) -> Interval:
    """Exact interval for a proportion: covers at least 1 - alpha for every true value, and is wider than `wilson`.

    Parameters
    ----------
    n_successes, n
        Counts, 0 <= n_successes <= n and n at least 1.

    Raises
    ------
    Invalid
        If the counts do not fit.

    References
    ----------
    Clopper, C. J. and Pearson, E. S. (1934). The use of confidence or fiducial limits. Biometrika 26.
    """
    from scipy.special import betaincinv

    _check_counts(n_successes, n)
    check_alpha(alpha)
    n_failures = n - n_successes
    lower = 0.0 if n_successes == 0 else float(betaincinv(n_successes, n_failures + 1, alpha / 2))
    upper = 1.0 if n_failures == 0 else float(betaincinv(n_successes + 1, n_failures, 1 - alpha / 2))
    return Interval(estimate=n_successes / n, lower=lower, upper=upper, alpha=alpha, n=n)


def newcombe_difference(
    n_successes_first: int, n_first: int, n_successes_second: int, n_second: int, *, alpha: float = 0.05
) -> Interval:
    """Interval for the difference of two proportions of independent samples, first minus second.

    Two Wilson intervals, their distances to the estimates added as squares (Newcombe's method 10).

    Raises
    ------
    Invalid
        If the counts do not fit.

    Examples
    --------
    >>> d = newcombe_difference(56, 70, 48, 80)
    >>> round(d.lower, 4), round(d.upper, 4)
    (0.0524, 0.3339)

    References
    ----------
    Newcombe, R. G. (1998). Interval estimation for the difference between independent proportions. Statistics in
    Medicine 17.
    """
    first = wilson(n_successes_first, n_first, alpha=alpha)
    second = wilson(n_successes_second, n_second, alpha=alpha)
    return _difference(first, second, correlation=0.0, n=n_first + n_second)


def newcombe_paired(
    n_both: int, n_first_only: int, n_second_only: int, n_neither: int, *, alpha: float = 0.05
) -> Interval:
    """Interval for the difference of two proportions seen on the same rows, first minus second.

    As `newcombe_difference`, less the correlation of the pairs (Newcombe's method 10 for paired data). With two models
    on the same rows it is much narrower.

    Parameters
    ----------
    n_both, n_first_only, n_second_only, n_neither
        Rows in which both succeed, the first only, the second only, neither; at least one row.

    Raises
    ------
    Invalid
        If a count is negative or there are no rows.

    References
    ----------
    Newcombe, R. G. (1998). Improved confidence intervals for the difference between binomial proportions based on
    paired data. Statistics in Medicine 17.
    """
    n = n_both + n_first_only + n_second_only + n_neither
    for count in (n_both, n_first_only, n_second_only, n_neither):
        _check_counts(count, n)
    first = wilson(n_both + n_first_only, n, alpha=alpha)
    second = wilson(n_both + n_second_only, n, alpha=alpha)
    correlation = _paired_correlation(n_both, n_first_only, n_second_only, n_neither)
    return _difference(first, second, correlation=correlation, n=n)


def mean_interval(values: ArrayLike, *, alpha: float = 0.05) -> Interval:
    """Student's t interval for a mean.

    Parameters
    ----------
    values : array_like, shape (n,)
        At least two finite values; missing ones are dropped and counted.

    Raises
    ------
    Invalid
        If there are fewer than two values, or an infinity.

    Notes
    -----
    Exact for normal values; close for others once n is large against their skewness.

    References
    ----------
    Student (1908). The probable error of a mean. Biometrika 6.
    """
    from scipy.special import stdtrit

    sample, n_missing = one_sample(values, name="values")
    check_alpha(alpha)
    if sample.size < 2:
        raise Invalid(f"A mean interval needs at least 2 values, not `{sample.size}`")
    mean = float(sample.mean())
    half = float(stdtrit(sample.size - 1, 1 - alpha / 2) * sample.std(ddof=1) / sample.size**0.5)
    return Interval(
        estimate=mean, lower=mean - half, upper=mean + half, alpha=alpha, n=sample.size, n_missing=n_missing
    )


def bootstrap_interval(
    statistic: Callable[..., float],
    *samples: ArrayLike,
    rng: np.random.Generator,
    n_resamples: int = 1000,
    alpha: float = 0.05,
) -> Interval:
    """Percentile bootstrap interval for any statistic of rows.

    Parameters
    ----------
    statistic
        Takes as many arrays as `samples`, gives one number.
    samples : array_like, shape (n_rows, ...)
        Equally long; rows are drawn together, so labels stay with their predictions. Rows in which a one-dimensional
        sample is missing are dropped and counted.
    rng
        Source of the resamples.
    n_resamples
        At least 100.

    Returns
    -------
    Interval
        The estimate is the statistic of the rows as given.

    Raises
    ------
    Invalid
        If there are no rows, lengths differ, or the statistic is not finite on the rows or on a resample.

    Notes
    -----
    First-order accurate: for skewed statistics of few rows it covers less than 1 - alpha.

    References
    ----------
    Efron, B. (1979). Bootstrap methods: another look at the jackknife. Annals of Statistics 7.
    """
    check_alpha(alpha)
    if n_resamples < 100:
        raise Invalid(f"`n_resamples` must be at least 100, not `{n_resamples}`")
    rows, n_missing = _joint_rows(samples)
    n = len(rows[0])
    estimate = _finite_statistic(statistic, rows)
    resampled = np.empty(n_resamples)
    for i in range(n_resamples):
        drawn = rng.integers(0, n, n)
        resampled[i] = _finite_statistic(statistic, [r[drawn] for r in rows])
    lower, upper = np.quantile(resampled, [alpha / 2, 1 - alpha / 2])
    return Interval(
        estimate=estimate, lower=float(lower), upper=float(upper), alpha=alpha, n=n, n_missing=n_missing
    )


def _check_counts(n_successes: int, n: int) -> None:
    if n < 1:
        raise Invalid(f"`n` must be at least 1, not `{n}`")
    if not 0 <= n_successes <= n:
        raise Invalid(f"`{n_successes}` successes do not fit into `{n}` trials")


def _z(alpha: float) -> float:
    from scipy.special import ndtri

    check_alpha(alpha)
    return float(ndtri(1 - alpha / 2))


def _difference(first: Interval, second: Interval, *, correlation: float, n: int) -> Interval:
    """Combine two intervals by adding their distances to the estimates as squares, less what correlation explains."""
    down = _side(first.estimate - first.lower, second.upper - second.estimate, correlation)
    up = _side(first.upper - first.estimate, second.estimate - second.lower, correlation)
    estimate = first.estimate - second.estimate
    return Interval(
        estimate=estimate,
        lower=max(-1.0, estimate - down),
        upper=min(1.0, estimate + up),
        alpha=first.alpha,
        n=n,
    )


def _side(first: float, second: float, correlation: float) -> float:
    square = first * first - 2 * correlation * first * second + second * second
    return math.sqrt(max(0.0, square))


def _paired_correlation(n_both: int, n_first_only: int, n_second_only: int, n_neither: int) -> float:
    """Correlation of two outcomes, with Newcombe's continuity correction when it is positive."""
    e, f, g, h = n_both, n_first_only, n_second_only, n_neither
    margins = (e + f) * (g + h) * (e + g) * (f + h)
    if margins == 0:
        return 0.0
    product = e * h - f * g
    corrected = max(product - (e + f + g + h) / 2, 0.0) if product > 0 else product
    return float(corrected / margins**0.5)


def _joint_rows(samples: tuple[ArrayLike, ...]) -> tuple[list[Floats], int]:
    arrays = [np.asarray(s) for s in samples]
    lengths = sorted({len(a) if a.ndim else 0 for a in arrays})
    if len(lengths) != 1 or lengths[0] == 0:
        raise Invalid(f"`samples` must be equally long and not empty, not of lengths `{lengths}`")
    missing = np.zeros(lengths[0], dtype=bool)
    for array in arrays:
        if array.ndim == 1:
            missing |= is_missing(array)
    if missing.all():
        raise Invalid("`samples` have no row without a missing value")
    return [a[~missing] for a in arrays], int(missing.sum())


def _finite_statistic(statistic: Callable[..., float], rows: list[Floats]) -> float:
    value = float(statistic(*rows))
    if not np.isfinite(value):
        raise Invalid(
            f"The statistic is `{value}` on some of the rows", hint="It must be defined on every resample"
        )
    return value
