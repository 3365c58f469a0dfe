"""Show a long history by few of its points, without hiding a peak."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

BLOCK: Final = 256
"""Points of a block at most: a long row of points is known by the least and the greatest of each block."""


def kept_places(values: Sequence[float], max_points: int) -> Sequence[int]:
    """Choose at most `max_points`: the first, the last, and of each stretch between its least and its greatest.

    Points are parted into stretches of equal count; a stretch in which every value is NaN keeps its first point. What
    is greatest or least, or has a first or last step, in the whole is so in what is kept.

    Parameters
    ----------
    values
        In order; may be NaN.
    max_points
        At least 4.

    Examples
    --------
    >>> kept_places([float(place == 70) for place in range(100)], 6)
    [0, 1, 50, 70, 99]
    """
    n_points = len(values)
    if n_points <= max_points:
        return range(n_points)
    n_inner = n_points - 2
    n_stretches = stretches_of(max_points)
    kept = [0]
    for stretch in range(n_stretches):
        begin = 1 + stretch * n_inner // n_stretches
        end = 1 + (stretch + 1) * n_inner // n_stretches
        inner = list(values[begin:end])
        low, high = extremes(inner, inner)
        kept += [begin + low] if low == high else sorted((begin + low, begin + high))
    return [*kept, n_points - 1]


def stretches_of(max_points: int) -> int:
    """Give into how many stretches points are parted of which at most so many are to be shown."""
    return (max_points - 2) // 2


def extremes(lows: list[float], highs: list[float]) -> tuple[int, int]:
    """Give the place of the least of some values and of the greatest of others; NaN is neither.

    Parameters
    ----------
    lows, highs
        Of the same length, at least one; NaN in the same places. Where there is nothing else, the first place counts.
    """
    least, greatest = min(lows), max(highs)
    if math.isnan(least):  # only where the first is: no later one passes for the least
        numbers = [place for place, value in enumerate(lows) if not math.isnan(value)]
        if not numbers:
            return 0, 0
        least, greatest = min(lows[place] for place in numbers), max(highs[place] for place in numbers)
    return lows.index(least), highs.index(greatest)


def n_blocks(n_points: int) -> int:
    """Give into how many blocks a row of points is parted."""
    return -(-n_points // BLOCK)


def block_extremes(values: Sequence[float]) -> list[tuple[int, int]]:
    """Give the places of the least and of the greatest value of each block; NaN is neither.

    Blocks hold `BLOCK` points, or one less where that parts them evenly. One in which every value is NaN gives its
    first place twice.

    Examples
    --------
    >>> block_extremes([3.0, 1.0, 2.0])
    [(1, 0)]
    """
    n_points, blocks = len(values), n_blocks(len(values))
    found: list[tuple[int, int]] = []
    for block in range(blocks):
        begin = block * n_points // blocks
        inner = list(values[begin : (block + 1) * n_points // blocks])
        low, high = extremes(inner, inner)
        found.append((begin + low, begin + high))
    return found
