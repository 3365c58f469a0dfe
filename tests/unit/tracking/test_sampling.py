"""Long histories shown by few points."""

from __future__ import annotations

import math

import pytest

from noria.tracking.chunks import Point
from noria.tracking.sampling import sampled


def points(values: list[float]) -> list[Point]:
    return [
        (step, step, 1, 0.0) if math.isnan(value) else (step, step, 0, value)
        for step, value in enumerate(values)
    ]


def test_short_histories_are_shown_whole() -> None:
    """Nothing is left out of what fits."""
    short = points([1.0, 2.0, 3.0, 4.0])

    assert sampled(short, 4) == short
    assert sampled([], 4) == []


@pytest.mark.parametrize("max_points", [4, 5, 10, 99, 100, 101])
def test_extremes_and_ends_are_kept(max_points: int) -> None:
    """First, last, least and greatest are among the points, in order, and there are no more than asked for."""
    whole = points([math.sin(step / 9) * (1 + step / 500) for step in range(1_000)])
    shown = sampled(whole, max_points)

    assert len(shown) <= max_points
    assert shown == sorted(set(shown))
    assert (shown[0], shown[-1]) == (whole[0], whole[-1])
    for choose in (min, max):
        assert choose(whole, key=lambda p: p[3]) in shown


def test_nan_hides_no_number() -> None:
    """A stretch of NaN shows one; a number among NaN is shown."""
    values = [math.nan] * 100
    values[50] = 7.0
    shown = sampled(points(values), 10)

    assert (50, 50, 0, 7.0) in shown
    assert shown[1][2] == 1
