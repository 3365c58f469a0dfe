"""A metric's history in one line of text."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"
GAP = "·"


def sparkline(values: Sequence[float], *, width: int = 32) -> str:
    """Draw values, in their order, as blocks between their smallest and largest.

    More values than `width` are drawn as the means of equal stretches. A stretch without a finite value is a dot.

    Examples
    --------
    >>> sparkline([0.0, 1.0, 2.0, 3.0])
    '▁▃▆█'
    >>> sparkline([1.0, float("nan"), 1.0])
    '▄·▄'
    """
    means = [_mean(stretch) for stretch in _stretches(values, width)]
    finite = [mean for mean in means if mean is not None]
    if not finite:
        return GAP * len(means)
    low, high = min(finite), max(finite)
    return "".join(GAP if mean is None else BLOCKS[_level(mean, low, high)] for mean in means)


def _stretches(values: Sequence[float], width: int) -> list[Sequence[float]]:
    count = min(width, len(values))
    bounds = [len(values) * index // count for index in range(count)] + [len(values)] if count else []
    return [values[start:end] for start, end in itertools.pairwise(bounds)]


def _mean(values: Sequence[float]) -> float | None:
    finite = [value for value in values if math.isfinite(value)]
    # Divided first: the sum of large values could overflow.
    return math.fsum(value / len(finite) for value in finite) if finite else None


def _level(value: float, low: float, high: float) -> int:
    top = len(BLOCKS) - 1
    # Halved first: the distance of two large values could overflow.
    span = high / 2 - low / 2
    return top // 2 if span == 0 else round((value / 2 - low / 2) / span * top)
