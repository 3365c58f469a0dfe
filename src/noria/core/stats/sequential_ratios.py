r"""Means without upper bound and their ratios, by intervals that stay valid from some size on, however often one looks.

Plain Python on sums: the server judges rollouts by these, and loads no numpy.

No interval for the mean of values that may be as large as they like holds for every distribution. With a finite
variance, sums come as near to a Brownian motion as one likes, and Robbins' normal mixture for that gives the asymptotic
confidence sequence of Waudby-Smith et al.: the means m with

.. math:: \frac{n^2 (\bar x - m)^2}{2 (n + k) s^2} < \log(1/\alpha) + \tfrac12 \log(1 + n/k).

It holds at all times together from some size on (`MIN_VALUES` here), the better the later and the less skewed
the values are. For 1,000 values it is 1.8 times as wide as the interval for a fixed size. The capitals against the
means of two streams multiply, so pairs of means remain in an ellipse, and the ratios of those pairs are told as Fieller
tells ratios of means: by a quadratic equation.

References
----------
Robbins, H. (1970). Statistical methods related to the law of the iterated logarithm. Ann. Math. Statistics 41.
Waudby-Smith, I., Arbour, D., Sinha, R., Kennedy, E. H. and Ramdas, A. (2024). Time-uniform central limit theory and
asymptotic confidence sequences. Annals of Statistics 52, theorem 2.2.
Fieller, E. C. (1954). Some problems in interval estimation. JRSS B 16.
"""

from __future__ import annotations

import math

from noria.core.stats.sequential_means import Sums

MIN_VALUES = 30
"""Fewer values than this tell nothing about a mean without bounds."""

PRIOR_VALUES = 800.0
"""How many values the mixture is spread like. Fewer would tell more of few values, and too much of few skewed ones:
with so many, log-normal values whose logarithm has a standard deviation of 1 are missed less than 5 % of the time."""


def unbounded_mean(sums: Sums, alpha: float) -> tuple[float, float]:
    """Give the always-valid interval for a mean; everything while there are too few values.

    Parameters
    ----------
    alpha
        Chance that the true mean is outside at any time at all, in (0, 1).

    Examples
    --------
    >>> lower, upper = unbounded_mean(Sums(1000, 2000.0, 5000.0), 0.05)
    >>> round(lower, 3), round(upper, 3)
    (1.889, 2.111)
    """
    if sums.n < MIN_VALUES:
        return -math.inf, math.inf
    half = math.sqrt(_demand(alpha, sums) * _variance(sums))
    return sums.mean - half, sums.mean + half


def mean_ratio(first: Sums, second: Sums, alpha: float) -> tuple[float, float]:
    """Give the always-valid interval for the ratio of two means of values that are not negative, first to second.

    Parameters
    ----------
    first, second
        Of two streams that do not depend on one another.

    Returns
    -------
    tuple of float
        From 0 to infinity while there are too few values, or the second mean may be 0.

    Examples
    --------
    >>> lower, upper = mean_ratio(Sums(1000, 2000.0, 5000.0), Sums(1000, 1000.0, 1250.0), 0.05)
    >>> round(lower, 2), round(upper, 2)
    (1.84, 2.17)
    """
    if min(first.n, second.n) < MIN_VALUES:
        return 0.0, math.inf
    return _fieller(first, second, _demand(alpha, first, second), 0.0)


def paired_ratio(first: Sums, second: Sums, products: float, alpha: float) -> tuple[float, float]:
    """Give the always-valid interval for the ratio of two means of pairs: the same rows, told twice.

    Parameters
    ----------
    first, second
        Of the same number of values.
    products
        Sum of the products of the pairs.

    Notes
    -----
    For each ratio r, the differences x - r y are one stream whose mean is 0 when r is the true one.
    """
    if first.n < MIN_VALUES:
        return 0.0, math.inf
    n = first.n
    covariance = (products - n * first.mean * second.mean) / (n - 1)
    together = covariance * (n + PRIOR_VALUES) / (n * n)
    return _fieller(first, second, _demand(alpha, first), together)


def _fieller(first: Sums, second: Sums, demand: float, covariance: float) -> tuple[float, float]:
    """Give the ratios r with (x - r y)^2 at most demand * (var x - 2 r cov + r^2 var y), for means x and y."""
    x, y = first.mean, second.mean
    a = y * y - demand * _variance(second)
    b = x * y - demand * covariance
    c = x * x - demand * _variance(first)
    root = math.sqrt(max(b * b - a * c, 0.0))
    # The smaller root, written so that it also holds where the second mean may be 0: then there is no larger one.
    lower = c / (b + root) if c > 0 and b + root > 0 else 0.0
    return lower, max(0.0, (b + root) / a) if a > 0 else math.inf


def _demand(alpha: float, *streams: Sums) -> float:
    penalties = sum(math.log1p(stream.n / PRIOR_VALUES) for stream in streams)
    return -2 * math.log(alpha) + penalties


def _variance(sums: Sums) -> float:
    """Give the variance that the mixture lets the mean have."""
    n = sums.n
    variance = max(sums.squares - n * sums.mean * sums.mean, 0.0) / (n - 1)
    return variance * (n + PRIOR_VALUES) / (n * n)
