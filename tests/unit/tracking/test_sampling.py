"""Long histories shown by few points."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from noria.tracking.sampling import BLOCK, block_extremes, extremes, kept_places, n_blocks

NAN = math.nan


def test_short_histories_are_shown_whole() -> None:
    """Nothing is left out of what fits."""
    assert list(kept_places([1.0, 2.0, 3.0, 4.0], 4)) == [0, 1, 2, 3]
    assert list(kept_places([], 4)) == []


@pytest.mark.parametrize("max_points", [4, 5, 10, 99, 100, 101])
def test_extremes_and_ends_are_kept(max_points: int) -> None:
    """First, last, least and greatest are among the points, in order, and there are no more than asked for."""
    whole = [math.sin(step / 9) * (1 + step / 500) for step in range(1_000)]
    shown = list(kept_places(whole, max_points))

    assert len(shown) <= max_points
    assert shown == sorted(set(shown))
    assert (shown[0], shown[-1]) == (0, 999)
    assert {whole.index(min(whole)), whole.index(max(whole))} <= set(shown)


def test_nan_hides_no_number() -> None:
    """A stretch of NaN shows one; a number among NaN is shown."""
    values = [NAN] * 100
    values[50] = 7.0
    shown = list(kept_places(values, 10))

    assert 50 in shown
    assert shown[1] == 1


@pytest.mark.parametrize(
    ("lows", "highs", "places"),
    [
        ([3.0, 1.0, 2.0], [3.0, 4.0, 9.0], (1, 2)),
        ([NAN, 1.0, 2.0], [NAN, 1.5, 1.0], (1, 1)),
        ([1.0, NAN], [1.0, NAN], (0, 0)),
        ([NAN, NAN], [NAN, NAN], (0, 0)),
        ([NAN, math.inf, -math.inf], [NAN, math.inf, -math.inf], (2, 1)),
    ],
)
def test_least_and_greatest_are_numbers(
    lows: list[float], highs: list[float], places: tuple[int, int]
) -> None:
    """NaN is the least or the greatest of nothing; where there is nothing else, the first stands for all."""
    assert extremes(lows, highs) == places


@pytest.mark.parametrize("n_points", [1, BLOCK, BLOCK + 1, 5 * BLOCK - 1, 10_000])
def test_every_block_tells_its_extremes(n_points: int) -> None:
    """Blocks follow one another without a gap, none is longer than it may be, and each tells its own."""
    values = [math.cos(step / 17) for step in range(n_points)]
    found = block_extremes(values)
    edges = [block * n_points // len(found) for block in range(len(found) + 1)]

    assert len(found) == n_blocks(n_points)
    for (low, high), (begin, end) in zip(found, pairwise(edges), strict=True):
        assert 0 < end - begin <= BLOCK
        assert values[low] == min(values[begin:end])
        assert values[high] == max(values[begin:end])
        assert begin <= min(low, high) <= max(low, high) < end
