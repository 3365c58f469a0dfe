"""The distribution of the time that labels take, from labels that came so far. Pure.

Whoever looks only at labels that came finds them quicker than they are: of yesterday's answers, the quick ones are here
and the slow ones are not. An answer of age a shows delays up to a alone (right truncation). So the chance that a label
comes within d, given that it comes within d', is taken from answers that are older than d' alone, and these chances
are multiplied from the longest delay that could be seen down to d: the product-limit estimator in reverse time. Rows
that never get a label have no part in it.

References
----------
Lagakos, S. W., Barraj, L. M. and De Gruttola, V. (1988). Nonparametric analysis of truncated survival data, with
application to AIDS. Biometrika 75(3), equation 3 (estimator), section 3.2 (its variance).
Kalbfleisch, J. D. and Lawless, J. F. (1989). Inference based on retrospective ascertainment. JASA 84(406).
Lawless, J. F. (1994). Adjustments for reporting delays and the prediction of occurred but not reported events.
Canadian Journal of Statistics 22(1) (events not reported yet).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from noria.monitoring.delays.entities import AnswerBucket

FIRST_S: Final = 60.0
"""Upper edge of the first bin of delays."""

PER_DOUBLING: Final = 4
"""Bins in which a delay doubles."""

LAST_BIN: Final = 80
"""Its upper edge is two years; what takes longer counts in it."""

FEWEST_LABELS: Final = 50
"""Labels before anything is said of their delay."""

SETTLED: Final = 0.95
"""Share of the labels that came within half of the longest delay that could be seen: if fewer did, more will come."""

_Z: Final = 1.959964


def bin_of(delay_s: float) -> int:
    """Give the bin of a delay in seconds; one that is negative, by clocks that differ, is none.

    Examples
    --------
    >>> [bin_of(delay) for delay in (-3, 59.9, 60, 120, 1e12)]
    [0, 0, 1, 5, 80]
    """
    if delay_s < FIRST_S:
        return 0
    return min(LAST_BIN, math.floor(PER_DOUBLING * math.log2(delay_s / FIRST_S)) + 1)


def upper_edge_s(place: int) -> float:
    """Give the delay at which a bin ends, in seconds.

    Examples
    --------
    >>> upper_edge_s(0), upper_edge_s(4)
    (60.0, 120.0)
    """
    return float(FIRST_S * 2 ** (place / PER_DOUBLING))


@dataclass(frozen=True, slots=True, kw_only=True)
class DelayCurve:
    """Share of the labels that come within a delay, of those that come within the longest that could be seen.

    Attributes
    ----------
    shares, errors
        At the upper edge of each bin, and the standard errors of their logarithms.
    n_labels
        That all this was learned from.
    """

    shares: tuple[float, ...]
    errors: tuple[float, ...]
    n_labels: int

    @property
    def horizon_s(self) -> float:
        """The longest delay that could be seen, in seconds; 0 where none could."""
        return upper_edge_s(len(self.shares) - 1) if self.shares else 0.0

    @property
    def is_settled(self) -> bool:
        """Tell whether labels have all but ceased to come well before the longest delay that could be seen."""
        return len(self.shares) > PER_DOUBLING and self.shares[-1 - PER_DOUBLING] >= SETTLED

    def share(self, delay_s: float) -> float:
        """Give the share that comes within a delay, between the edges by a straight line."""
        if delay_s <= 0:
            return 0.0
        if delay_s >= self.horizon_s:
            return 1.0
        place = bin_of(delay_s)
        low_s, low = (upper_edge_s(place - 1), self.shares[place - 1]) if place else (0.0, 0.0)
        return low + (self.shares[place] - low) * (delay_s - low_s) / (upper_edge_s(place) - low_s)

    def interval(self, place: int) -> tuple[float, float]:
        """Give the 95 % interval of the share at the upper edge of a bin."""
        spread = _Z * self.errors[place]
        if math.isinf(spread):
            return 0.0, 1.0
        return self.shares[place] * math.exp(-spread), min(1.0, self.shares[place] * math.exp(spread))

    def quantile_s(self, share: float) -> float:
        """Give the delay within which a share of the labels comes, in seconds."""
        place = next(i for i, each in enumerate(self.shares) if each >= share)
        low_s, low = (upper_edge_s(place - 1), self.shares[place - 1]) if place else (0.0, 0.0)
        return low_s + (upper_edge_s(place) - low_s) * (share - low) / (self.shares[place] - low)


def delay_curve(buckets: Sequence[AnswerBucket], now: datetime) -> DelayCurve:
    """Estimate how long labels take.

    Parameters
    ----------
    buckets
        Answers with the delays of their labels. All labels that came before `now` have been counted; a bucket is as old
        as its newest answer may be.
    """
    n_labels = sum(bucket.n_labels for bucket in buckets)
    # By bin: labels in it, and in it or before, of the answers that are older than the delay at which it ends.
    chances = [(0, 0)] * (LAST_BIN + 1)
    for bucket in buckets:
        up_to = 0
        for place in range(bin_of((now - bucket.ends_at).total_seconds())):
            n = bucket.delays.get(place, 0)
            up_to += n
            chances[place] = chances[place][0] + n, chances[place][1] + up_to
    while chances and chances[-1][1] < FEWEST_LABELS:
        chances.pop()
    shares, errors = [1.0] * len(chances), [0.0] * len(chances)
    share, variance = 1.0, 0.0
    for place in range(len(chances) - 1, 0, -1):
        n, within = chances[place]
        if n:  # where none comes at all, none is there to be divided either
            share *= 1 - n / within
            variance += n / (within * (within - n)) if n < within else math.inf
        shares[place - 1], errors[place - 1] = share, math.sqrt(variance)
    return DelayCurve(shares=tuple(shares), errors=tuple(errors), n_labels=n_labels)
