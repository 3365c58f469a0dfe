"""Whether a published draw is like ours: intervals that hold the next draw, whatever its distribution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

COVERAGE = 0.95


@dataclass(frozen=True, slots=True)
class DrawInterval:
    """Holds one more draw with a probability of at least `coverage`."""

    lower: float
    upper: float
    coverage: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A published value beside what was measured."""

    where: str
    experiment: str
    measure: str
    published: str
    mean: float
    interval: DrawInterval
    inside: bool


def next_draw(draws: Sequence[float], coverage: float = COVERAGE) -> DrawInterval:
    """Give the interval between two order statistics that holds one more draw.

    Of n + 1 draws that are alike in distribution the last is as likely to have any rank as any other; so it lies
    between the k-th smallest and the k-th largest of n others with a probability of at least 1 - 2 k / (n + 1), ties
    included (Wilks, 1941). The largest k that keeps `coverage` is taken; where even k = 1 does not, as with fewer than
    39 draws for 0.95, the interval is from the smallest to the largest and says what it covers.
    """
    ordered = sorted(draws)
    n = len(ordered)
    k = max(1, int((1.0 - coverage) * (n + 1) / 2.0 + 1e-9))
    return DrawInterval(ordered[k - 1], ordered[n - k], 1.0 - 2.0 * k / (n + 1))


def judged(published: str, interval: DrawInterval) -> bool:
    """Tell whether a printed value may come from within the interval, given how far it was rounded.

    Examples
    --------
    >>> judged("0.895", DrawInterval(0.8, 0.8947, 0.95))
    True
    >>> judged("0.90", DrawInterval(0.8, 0.8947, 0.95))
    False
    """
    value = Decimal(published)
    exponent = value.as_tuple().exponent
    half = 0.5 * 10.0 ** (exponent if isinstance(exponent, int) else 0)
    # A value printed without decimals (`1`) is a share, and was rounded to three like those beside it.
    half = min(half, 0.0005)
    return interval.lower - half <= float(value) <= interval.upper + half
