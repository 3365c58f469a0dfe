"""Curves to draw: few points of long histories, and moving averages."""

from __future__ import annotations

import math
import random

import pytest

from noria.tracking.chunks import Columns, PackedPoints, pack
from noria.tracking.curves import moving_averages


@pytest.mark.parametrize("stride", [1, 7, None])
def test_packed_points_are_read_one_by_one(stride: int | None) -> None:
    """Values are read whole; step and moment of each point where they are asked for."""
    rnd = random.Random(3)
    steps = (
        sorted(rnd.sample(range(-500, 500), 60)) if stride is None else list(range(-9, 60 * stride, stride))
    )
    at = [rnd.randrange(-(10**15), 10**15) for _ in steps]
    values = [rnd.gauss(0, 1) for _ in steps]
    packed = PackedPoints(pack(Columns(steps, at, values)).data)

    assert list(packed.values) == values
    assert [packed.step(place) for place in range(len(steps))] == steps
    assert [packed.at(place) for place in range(len(steps))] == at


@pytest.mark.parametrize("hole", [None, math.nan, math.inf])
def test_moving_averages_are_means_of_a_window(hole: float | None) -> None:
    """Each is the mean of the finite values at most half a window away, and as many on both sides."""
    rnd = random.Random(4)
    values = [rnd.uniform(-1, 1) for _ in range(101)]
    if hole is not None:
        values[40] = values[77] = hole
    found = moving_averages(values, range(101), 0.1)
    for place, average in enumerate(found):
        reach = min(5, place, 100 - place)
        window = [value for value in values[place - reach : place + reach + 1] if math.isfinite(value)]

        assert average == pytest.approx(math.fsum(window) / len(window))


def test_nothing_finite_has_no_average() -> None:
    """Where the window holds no number, there is none."""
    assert moving_averages([math.nan, 1.0], [0, 1], 0.5) == [None, 1.0]
