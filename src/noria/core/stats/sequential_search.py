"""From capital against each claim to the interval of the claims that remain.

Plain Python, without numpy. A capital is given as its logarithm, a function of the mean that is claimed; it is lowest
near the estimate and rises away from it. What is searched is found to a fraction of the interval's width.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Callable

Capital = Callable[[float], float]
"""Claimed mean → logarithm of the capital against it."""

Stream = tuple[Capital, float]
"""Capital against the means of a stream, and the mean against which it is lowest, or nearly so."""

_N_STEPS = 40
_N_SPLITS = 5
_N_LOWEST = 5
_GOLDEN = (math.sqrt(5) - 1) / 2
_EXACT = 1e-4
_COARSE = 2e-3


def stream_near(capital: Capital, estimate: float, n: float) -> Stream:
    """Find where the capital is lowest: within a standard error of the estimate.

    Parameters
    ----------
    estimate
        Mean of `n` values in [0, 1].
    """
    if n <= 0:
        return capital, 0.5
    error = math.sqrt(estimate * (1 - estimate) / n) + 1 / n
    start, end = max(0.0, estimate - error), min(1.0, estimate + error)
    return capital, _top(lambda mean: -capital(mean), start, end, _N_LOWEST)[0]


def mean_bounds(stream: Stream, alpha: float, *, low: float, high: float) -> tuple[float, float]:
    """Give the means that the capital did not reach 1/alpha against.

    Parameters
    ----------
    low, high
        What the mean cannot leave.
    """
    demand = -math.log(alpha)
    return _Side(stream, low).edge(demand, _EXACT), _Side(stream, high).edge(demand, _EXACT)


def upper_difference(first: Stream, second: Stream, alpha: float, *, low: float, high: float) -> float:
    """Give the greatest difference, first minus second, of the pairs of means that the product of capitals leaves.

    The least one is the same with the streams exchanged, and its sign.

    Notes
    -----
    A pair on the edge of what remains has the capitals a and b with a + b = log(1/alpha). How they are shared is
    found by golden section on an angle, as for a circle, since about the estimates the capitals are parabolas.
    """
    up, down = _Side(first, high), _Side(second, low)
    room = -math.log(alpha) - up.least - down.least
    if room <= 0:
        return up.inside - down.inside

    def difference(angle: float) -> float:
        spent = room * math.sin(angle) ** 2
        return up.edge(up.least + spent, _COARSE) - down.edge(down.least + room - spent, _COARSE)

    return _top(difference, 0.0, math.pi / 2, _N_SPLITS)[1]


def difference_bounds(
    first: Stream, second: Stream, alpha: float, *, low: float, high: float
) -> tuple[float, float]:
    """Give the interval of `upper_difference` and its opposite, which hold together at alpha."""
    return (
        -upper_difference(second, first, alpha, low=low, high=high),
        upper_difference(first, second, alpha, low=low, high=high),
    )


class _Side:
    """The way from the estimate to one of the limits, with the capitals that were met on it."""

    def __init__(self, stream: Stream, limit: float) -> None:
        self._capital, self.inside = stream
        self.least = self._capital(self.inside)
        at_limit = self._capital(limit) if limit != self.inside else self.least
        self._met = [(0.0, self.inside), (max(at_limit - self.least, 0.0), limit)]

    def edge(self, demand: float, exact: float) -> float:
        """Find where the capital reaches the demand; the limit if it does nowhere.

        About the estimate the capital is nearly a parabola, so its root is looked for by secants (Illinois' rule keeps
        them in a bracket). What is given lies on the refused side, off by a share of the way at most.
        """
        wanted = demand - self.least
        if wanted <= 0:
            return self.inside
        if self._met[-1][0] < wanted:
            return self._met[-1][1]
        place = bisect_left(self._met, (wanted, -math.inf))
        (low, near), (high, far) = self._met[place - 1], self._met[place]
        target = math.sqrt(wanted)
        at_near, at_far = math.sqrt(low) - target, math.sqrt(high) - target
        for _ in range(_N_STEPS):
            if abs(far - near) <= exact * abs(far - self.inside):
                break
            middle = near + (far - near) * at_near / (at_near - at_far)
            gained = max(self._capital(middle) - self.least, 0.0)
            insort(self._met, (gained, middle))
            value = math.sqrt(gained) - target
            if value < 0:
                near, at_near, at_far = middle, value, at_far / 2
            else:
                far, at_far, at_near = middle, value, at_near / 2
        return far


def _top(height: Callable[[float], float], start: float, end: float, n_steps: int) -> tuple[float, float]:
    """Give the place and height of the top of a function with one top, by golden section."""
    left, right = end - _GOLDEN * (end - start), start + _GOLDEN * (end - start)
    at_left, at_right = height(left), height(right)
    for _ in range(n_steps):
        if at_left < at_right:
            start, left, at_left = left, right, at_right
            right = start + _GOLDEN * (end - start)
            at_right = height(right)
        else:
            end, right, at_right = right, left, at_left
            left = end - _GOLDEN * (end - start)
            at_left = height(left)
    return (left, at_left) if at_left > at_right else (right, at_right)
