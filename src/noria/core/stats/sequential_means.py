r"""Means of bounded values and their differences from three sums, by intervals that stay valid however often one looks.

Plain Python on sums, beside `sequential` for workers: the server judges rollouts by these, and loads no numpy.

Against the claim that the mean of values in [0, 1] is m, let :math:`y = (x - m) / m`, never under -1. For each stake
:math:`\lambda \in [0, 1)` the capital :math:`\prod (1 + \lambda y_i)` is a fair game when the claim is true, and at
least :math:`e^{\lambda S - \psi(\lambda) V}` with :math:`S = \sum y_i`, :math:`V = \sum y_i^2`,
:math:`\psi(\lambda) = -\log(1 - \lambda) - \lambda` (Fan et al.). Spread over the stakes as a truncated gamma
distribution of :math:`1 - \lambda` it has a closed form,

.. math:: \frac{\rho^\rho}{\gamma(\rho, \rho)}\ \frac{\gamma(V + \rho,\ S + V + \rho)}{(S + V + \rho)^{V + \rho}}\
          e^{S + V},

the gamma-exponential mixture of Howard et al. with the empirical variance about m: an empirical-Bernstein interval.
The other side is the same game on 1 - x. Half of the capital plays these two; the other half plays the game of
`sequential_shares` with the sum of the values for the number of hits: as the logarithm is concave, a value between
0 and 1 gains at least its share of what 1 and 0 would gain. It tells more of few values, and of means near 0 and 1.

References
----------
Fan, X., Grama, I. and Liu, Q. (2015). Exponential inequalities for martingales with applications. EJP 20.
Howard, S. R., Ramdas, A., McAuliffe, J. and Sekhon, J. (2021). Time-uniform, nonparametric, nonasymptotic confidence
sequences. Annals of Statistics 49, proposition 9 and theorem 4.
Waudby-Smith, I. and Ramdas, A. (2024). Estimating means of bounded random variables by betting. JRSS B 86.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from noria.core.stats.sequential_search import Capital, Stream, difference_bounds, mean_bounds, stream_near
from noria.core.stats.sequential_shares import Outcomes, share_capital

_RHO = 8.0
# Logarithm of rho^rho / gamma(rho, rho), with the incomplete gamma function as a finite sum for a whole rho.
_LOG_SCALE = (
    _RHO * math.log(_RHO)
    - math.lgamma(_RHO)
    - math.log(1 - math.exp(-_RHO) * sum(_RHO**k / math.factorial(k) for k in range(int(_RHO))))
)
_LOG_HALF = math.log(0.5)
_LOG_QUARTER = math.log(0.25)
_EDGE = 1e-12


class Sums(NamedTuple):
    """Size, sum and sum of squares of values."""

    n: float
    total: float
    squares: float

    @property
    def mean(self) -> float:
        """Arithmetic mean; 0 of nothing."""
        return self.total / self.n if self.n else 0.0

    def scaled(self, low: float, high: float) -> Sums:
        """Give the sums of (x - low) / (high - low)."""
        width = high - low
        squares = self.squares - 2 * low * self.total + self.n * low * low
        return Sums(self.n, (self.total - self.n * low) / width, max(squares, 0.0) / (width * width))


def mean_stream(sums: Sums) -> Stream:
    """Give the capital against each mean of values in [0, 1], and the mean that it is lowest against."""
    estimate = min(max(sums.mean, 0.0), 1.0) if sums.n else 0.5
    return stream_near(mean_capital(sums), estimate, sums.n)


def mean_capital(sums: Sums) -> Capital:
    """Give the logarithm of the capital against each mean of values in [0, 1].

    Examples
    --------
    >>> against = mean_capital(Sums(100, 50.0, 30.0))
    >>> against(0.5) < 0 < against(0.3)
    True
    """
    n, total, squares = sums
    by_share = share_capital(Outcomes(min(max(total, 0.0), n), n))

    def log_capital(mean: float) -> float:
        m = min(max(mean, _EDGE), 1 - _EDGE)
        away = total - n * m
        spread = max(squares - 2 * m * total + n * m * m, 0.0)
        scale = m if away >= 0 else 1 - m
        return both(by_share(m), log_mixture(abs(away) / scale, spread / (scale * scale)))

    return log_capital


def mean_interval(sums: Sums, alpha: float, *, low: float = 0.0, high: float = 1.0) -> tuple[float, float]:
    """Give the always-valid interval for the mean of bounded values.

    Parameters
    ----------
    sums
        Of the values as they are.
    alpha
        Chance that the true mean is outside at any time at all, in (0, 1).
    low, high
        Bounds that the values cannot leave, known beforehand.

    Notes
    -----
    For 1,000 values it is 1.8 to 2 times as wide as the interval for a fixed size. Each value has the same mean, given
    those before; rows that depend on one another are to be averaged in blocks, each of which is one value.

    Examples
    --------
    >>> lower, upper = mean_interval(Sums(1000, 500.0, 300.0), 0.05)
    >>> round(lower, 2), round(upper, 2)
    (0.47, 0.53)
    """
    if not sums.n:
        return low, high
    lower, upper = mean_bounds(mean_stream(sums.scaled(low, high)), alpha, low=0.0, high=1.0)
    return low + (high - low) * lower, low + (high - low) * upper


def mean_difference(first: Sums, second: Sums, alpha: float) -> tuple[float, float]:
    """Give the always-valid interval for the difference of two means of values in [0, 1], first minus second.

    Parameters
    ----------
    first, second
        Of two streams that do not depend on one another; either may be of any length, also of none.

    Examples
    --------
    >>> lower, upper = mean_difference(Sums(1000, 500.0, 300.0), Sums(1000, 450.0, 250.0), 0.05)
    >>> lower < 0.05 < upper
    True
    """
    return difference_bounds(mean_stream(first), mean_stream(second), alpha, low=0.0, high=1.0)


def both(log_share_game: float, log_game: float) -> float:
    """Give the capital that both games leave; the one of the other side counts as lost."""
    first, second = _LOG_HALF + log_share_game, _LOG_QUARTER + log_game
    top = max(first, second)
    return top + math.log1p(math.exp(min(first, second) - top))


def log_mixture(total: float, spread: float) -> float:
    """Give the logarithm of the gamma-exponential mixture, from below.

    Parameters
    ----------
    total
        S, at least 0.
    spread
        V, at least 0.

    Notes
    -----
    The regularised incomplete gamma function P(a, x) with x at least a is bounded from below: by a half, since the
    median of a gamma distribution is under its mean, and by Chernoff's bound of its tail.
    """
    a = spread + _RHO
    ratio = total / a
    evidence = a * (ratio - math.log1p(ratio))
    covered = max(0.5, 1 - math.exp(-evidence))
    return _LOG_SCALE - _RHO + _stirling(a) + evidence + math.log(covered)


def _stirling(a: float) -> float:
    """Give log(gamma(a)) - a log(a) + a for a of 8 or more, without the loss of digits of large ones.

    References
    ----------
    Abramowitz and Stegun (1964), 6.1.41; the error is under 1/1680 a^7.
    """
    inverse = 1 / a
    series = inverse * (1 / 12 - inverse * inverse * (1 / 360 - inverse * inverse / 1260))
    return 0.5 * math.log(2 * math.pi * inverse) + series
