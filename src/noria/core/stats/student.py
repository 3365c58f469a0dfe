"""Student's t distribution in plain Python: the server tells intervals of means, and loads no numpy for it."""

from __future__ import annotations

import functools
import math

_TINY = 1e-300
_STEPS = 400


def t_tail(t: float, degrees: float) -> float:
    """Give the chance that a t variable lies beyond `|t|` on either side.

    Parameters
    ----------
    degrees
        Degrees of freedom, greater than 0; need not be whole.

    References
    ----------
    Abramowitz and Stegun (1964). Handbook of Mathematical Functions, 26.7.1: the tail is I_x(v/2, 1/2) with
    x = v / (v + t²).

    Examples
    --------
    >>> round(t_tail(2.2621571628, 9), 9)
    0.05
    """
    square = t * t
    if math.isinf(square):
        return 0.0
    return _incomplete_beta(degrees / 2, 0.5, degrees / (degrees + square), square / (degrees + square))


@functools.lru_cache(maxsize=4096)
def t_quantile(alpha: float, degrees: float) -> float:
    """Give the t beyond which, on either side, a t variable lies with the chance `alpha`, in (0, 1).

    Examples
    --------
    >>> round(t_quantile(0.05, 9), 9)
    2.262157163
    """
    low, high = 0.0, math.inf
    t = 1.0
    for _ in range(_STEPS):
        excess = t_tail(t, degrees) - alpha
        low, high = (t, high) if excess > 0 else (low, t)
        # Newton's step, unless it leaves the bracket: far out the tail is flat, and the step too long.
        better = t + excess / (2 * _density(t, degrees))
        if not low < better < high:
            better = (low + high) / 2 if math.isfinite(high) else 2 * t
        if abs(better - t) <= 1e-12 * t:
            return better
        t = better
    return t


def _density(t: float, degrees: float) -> float:
    scale = math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2) - math.log(degrees * math.pi) / 2
    return max(_TINY, math.exp(scale - (degrees + 1) / 2 * math.log1p(t * t / degrees)))


def _incomplete_beta(a: float, b: float, x: float, rest: float) -> float:
    """Give the regularised incomplete beta function of x, where `rest` is 1 - x without loss of digits."""
    if x <= 0 or rest <= 0:
        return 0.0 if x <= 0 else 1.0
    logarithm = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log(rest)
    if x < (a + 1) / (a + b + 2):
        return math.exp(logarithm) * _fraction(a, b, x) / a
    return 1 - math.exp(logarithm) * _fraction(b, a, rest) / b


def _fraction(a: float, b: float, x: float) -> float:
    """Evaluate the continued fraction of the incomplete beta function by Lentz's method.

    References
    ----------
    Abramowitz and Stegun (1964), 26.5.8; Lentz (1976), Generating Bessel functions in Mie scattering calculations
    using continued fractions. Applied Optics 15.
    """
    c, d = 1.0, 1 / _away(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, _STEPS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / _away(1 + term * d)
            c = _away(1 + term / c)
            value *= c * d
        if abs(c * d - 1) < 1e-16:
            break
    return value


def _away(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
