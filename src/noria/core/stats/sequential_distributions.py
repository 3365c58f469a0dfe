r"""How far two distributions may be apart, by bands that stay valid however often one looks.

Plain Python on counts: the server judges rollouts by these, and loads no numpy.

Howard and Ramdas extend the inequality of Dvoretzky, Kiefer and Wolfowitz to all times together: with probability at
least 1 - alpha, the empirical cumulative shares of independent values are, for every n at once, nowhere further from
the true ones than

.. math:: 0.85 \sqrt{\frac{\log\log(e n) + 0.8 \log(1612 / \alpha)}{n}}.

Two streams with alpha/2 each are then further apart than seen by the sum of both bands at most, and less far by as
much at most (the Kolmogorov-Smirnov distance is a metric).

References
----------
Howard, S. R. and Ramdas, A. (2022). Sequential estimation of quantiles with applications to A/B testing and best-arm
identification. Bernoulli 28, corollary 2.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import accumulate
from typing import Any, NamedTuple


class Distance(NamedTuple):
    """Largest difference of cumulative shares, and the always-valid interval for the true one."""

    seen: float
    lower: float
    upper: float


def band(n: float, alpha: float) -> float:
    """Give the half width of the band about the cumulative shares of n values.

    Examples
    --------
    >>> round(band(1000, 0.05), 4)
    0.0866
    """
    if n < 1:
        return 1.0
    demand = math.log(1 + math.log(n)) + 0.8 * math.log(1612 / alpha)
    return min(1.0, 0.85 * math.sqrt(demand / n))


def distance(first: Mapping[Any, int], second: Mapping[Any, int], alpha: float) -> Distance:
    """Tell how far two distributions are apart.

    Parameters
    ----------
    first, second
        Value → how often, of two streams; either may be empty. Values are taken in their own order: numbers by size,
        names by their letters.
    alpha
        Chance that the true distance is outside at any pair of times at all, in (0, 1).

    Notes
    -----
    Of two classes it is the difference of their shares; of more, no class differs by more than twice as much. Values
    that were put into bins give the largest difference at the edges of the bins.

    Examples
    --------
    >>> found = distance({"a": 500, "b": 500}, {"a": 900, "b": 100}, 0.05)
    >>> round(found.seen, 2), round(found.lower, 2), round(found.upper, 2)
    (0.4, 0.22, 0.58)
    """
    n, m = sum(first.values()), sum(second.values())
    slack = band(n, alpha / 2) + band(m, alpha / 2)
    if not n or not m:
        return Distance(0.0, 0.0, 1.0)
    keys = sorted({*first, *second})
    ours = accumulate(first.get(key, 0) / n for key in keys)
    theirs = accumulate(second.get(key, 0) / m for key in keys)
    seen = min(1.0, max(abs(one - other) for one, other in zip(ours, theirs, strict=True)))
    return Distance(seen, max(0.0, seen - slack), min(1.0, seen + slack))
