r"""Shares of outcomes and their difference, told by intervals that stay valid however often one looks.

Plain Python on counts: the server judges rollouts by these, and loads no numpy.

Against the claim that the share is p, bet as if it were drawn from a Beta distribution around p, as much spread as
:math:`\kappa` outcomes leave. After x of n outcomes the capital is

.. math:: E(p) = \frac{B(\kappa p + x,\ \kappa (1 - p) + n - x)}{B(\kappa p,\ \kappa (1 - p))\ p^x (1 - p)^{n - x}},

a fair game when the claim is true, whatever came before decides nothing about the next outcome but its chance p. By
Ville's inequality it ever reaches :math:`1/\alpha` with probability at most :math:`\alpha`, so the shares that it did
not reach it against are an interval that covers the true one at all times together. The capitals against p and q of
two streams, each at its own pace, multiply to a fair game against the pair; the differences of the pairs that remain
are the interval for the difference.

References
----------
Ville, J. (1939). Étude critique de la notion de collectif. Gauthier-Villars.
Robbins, H. (1970). Statistical methods related to the law of the iterated logarithm. Ann. Math. Statistics 41.
Howard, S. R., Ramdas, A., McAuliffe, J. and Sekhon, J. (2021). Time-uniform, nonparametric, nonasymptotic confidence
sequences. Annals of Statistics 49, section 3.2 (beta-binomial mixture).
"""

from __future__ import annotations

import math
from typing import NamedTuple

from noria.core.stats.sequential_search import Capital, Stream, difference_bounds, mean_bounds, stream_near

PRIOR_OUTCOMES = 25.0
"""How many outcomes the bet is spread like: the interval is narrowest, for its kind, at some twenty times as many."""

_EDGE = 1e-12


class Outcomes(NamedTuple):
    """How many outcomes there were, and how many of them count."""

    n_hits: float
    n: float

    @property
    def share(self) -> float:
        """Share of those that count; 0 without any outcome."""
        return self.n_hits / self.n if self.n else 0.0


def share_stream(outcomes: Outcomes) -> Stream:
    """Give the capital against each share, and the share that it is lowest against."""
    return stream_near(share_capital(outcomes), outcomes.share, outcomes.n)


def share_capital(outcomes: Outcomes) -> Capital:
    """Give the logarithm of the capital against each share.

    Parameters
    ----------
    outcomes
        `n_hits` between 0 and `n`.

    Examples
    --------
    >>> against = share_capital(Outcomes(50, 100))
    >>> against(0.5) < 0 < against(0.3)
    True
    """
    hits, misses = outcomes.n_hits, outcomes.n - outcomes.n_hits
    base = math.lgamma(PRIOR_OUTCOMES) - math.lgamma(PRIOR_OUTCOMES + outcomes.n)

    def log_capital(share: float) -> float:
        p = min(max(share, _EDGE), 1 - _EDGE)
        a, b = PRIOR_OUTCOMES * p, PRIOR_OUTCOMES * (1 - p)
        rising = math.lgamma(a + hits) - math.lgamma(a) + math.lgamma(b + misses) - math.lgamma(b)
        return base + rising - hits * math.log(p) - misses * math.log1p(-p)

    return log_capital


def share_bounds(outcomes: Outcomes, alpha: float) -> tuple[float, float]:
    """Give the always-valid interval for a share.

    Parameters
    ----------
    alpha
        Chance that the true share is outside at any time at all, in (0, 1).

    Notes
    -----
    For 1,000 outcomes it is 1.6 times as wide as the interval for a fixed size. Every outcome has the same chance,
    given those before; rows that come in bundles and fail together are to be counted in blocks.

    Examples
    --------
    >>> lower, upper = share_bounds(Outcomes(30, 1000), 0.05)
    >>> round(lower, 3), round(upper, 3)
    (0.015, 0.05)
    """
    if not outcomes.n:
        return 0.0, 1.0
    return mean_bounds(share_stream(outcomes), alpha, low=0.0, high=1.0)


def share_difference(first: Outcomes, second: Outcomes, alpha: float) -> tuple[float, float]:
    """Give the always-valid interval for the difference of two shares, first minus second.

    Parameters
    ----------
    first, second
        Of two streams that do not depend on one another; either may be of any length, also of none.
    alpha
        Chance that the true difference is outside at any pair of times at all, in (0, 1).

    Examples
    --------
    >>> lower, upper = share_difference(Outcomes(60, 1000), Outcomes(30, 1000), 0.05)
    >>> lower < 0.03 < upper
    True
    """
    return difference_bounds(share_stream(first), share_stream(second), alpha, low=0.0, high=1.0)
