"""Bounds for shares and for ratios of means: plain arithmetic on counts and sums, without NumPy."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple


class Bounds(NamedTuple):
    """One-sided bounds, each at the same confidence."""

    lower: float
    upper: float


class Sample(NamedTuple):
    """Size, sum and sum of squares of values that are not negative."""

    n: int
    total: float
    squares: float

    @property
    def mean(self) -> float:
        """Arithmetic mean; the sample is not empty."""
        return self.total / self.n

    @property
    def relative_variance_of_mean(self) -> float:
        """Variance of the mean over its square; 0 for fewer than two values or a mean of 0."""
        if self.n < 2 or self.total <= 0:
            return 0.0
        variance = max(0.0, (self.squares - self.n * self.mean**2) / (self.n - 1))
        return variance / self.n / self.mean**2


def wilson(n_successes: int, n: int, *, confidence: float) -> Bounds:
    """Score bounds for a share, each one-sided at `confidence`; `n` is at least 1.

    References
    ----------
    Wilson, E. B. (1927). Probable inference, the law of succession, and statistical inference. JASA 22.
    """
    z = _z(confidence)
    p = n_successes / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return Bounds(
        0.0 if n_successes == 0 else max(0.0, centre - half),
        1.0 if n_successes == n else min(1.0, centre + half),
    )


def share_difference(
    n_successes_first: int,
    n_first: int,
    n_successes_second: int,
    n_second: int,
    *,
    confidence: float,
) -> Bounds:
    """Bounds for the difference of two shares, first minus second: Newcombe's hybrid of two score intervals.

    References
    ----------
    Newcombe, R. G. (1998). Interval estimation for the difference between independent proportions: comparison of
    eleven methods. Statistics in Medicine 17, method 10.
    """
    p, q = n_successes_first / n_first, n_successes_second / n_second
    first = wilson(n_successes_first, n_first, confidence=confidence)
    second = wilson(n_successes_second, n_second, confidence=confidence)
    return Bounds(
        (p - q) - math.hypot(p - first.lower, second.upper - q),
        (p - q) + math.hypot(first.upper - p, q - second.lower),
    )


def mean_ratio(first: Sample, second: Sample, confidence: float) -> Bounds:
    r"""Bounds for the ratio of two means of values that are not negative, by the delta method on its logarithm.

    The variance of the logarithm of a mean is about its relative variance, so the bounds are the ratio times
    :math:`e^{\pm z \sqrt{v_1 + v_2}}`. Good from some twenty values on; both samples hold one at least.
    """
    if first.total <= 0 or second.total <= 0:
        ratio = 1.0 if first.total <= 0 and second.total <= 0 else 0.0 if first.total <= 0 else math.inf
        return Bounds(ratio, ratio)
    spread = _z(confidence) * math.sqrt(first.relative_variance_of_mean + second.relative_variance_of_mean)
    ratio = first.mean / second.mean
    return Bounds(ratio * math.exp(-spread), ratio * math.exp(min(spread, 700.0)))


def upper_mean(sample: Sample, confidence: float) -> float:
    """Give the upper bound of the mean of a sample."""
    return sample.mean * (1 + _z(confidence) * math.sqrt(sample.relative_variance_of_mean))


def _z(confidence: float) -> float:
    return NormalDist().inv_cdf(confidence)
