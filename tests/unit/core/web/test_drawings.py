"""The geometry of wheels, scales and intervals."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.core.web.drawings import WHEEL_SIZE, draw_wheel, scale_over

numbers = st.floats(min_value=-1e12, max_value=1e12)


@pytest.mark.parametrize("n", [3, 6, 8])
def test_buckets_stand_round_the_wheel(n: int) -> None:
    """Buckets are at equal distances from the centre and from one another, the first at the top, none cut off."""
    drawn = draw_wheel(n)
    centre = WHEEL_SIZE / 2
    radii = [math.dist((b.x, b.y), (centre, centre)) for b in drawn.buckets]
    gaps = [math.dist((a.x, a.y), (b.x, b.y)) for a, b in zip(drawn.buckets, drawn.buckets[1:], strict=False)]

    assert len(drawn.buckets) == len(drawn.arcs) == n
    assert radii == pytest.approx([radii[0]] * n, abs=0.05)
    assert gaps == pytest.approx([gaps[0]] * (n - 1), abs=0.05)
    assert (drawn.buckets[0].x, drawn.buckets[0].y) == (centre, centre - radii[0])
    assert all(17 < c < WHEEL_SIZE - 17 for b in drawn.buckets for c in (b.x, b.y))


@given(st.lists(numbers, min_size=1, max_size=8))
def test_a_scale_shows_all_its_values_in_their_order(values: list[float]) -> None:
    """Each value lies on the scale, and a larger one never lies left of a smaller one."""
    scale = scale_over(values)
    places = [scale.place(value) for value in sorted(values)]

    assert places == sorted(places)
    assert all(0 < place < 100 for place in places)


def test_values_beyond_the_scale_are_held_at_its_ends() -> None:
    """What is not finite makes no scale, and what lies outside is drawn at the end."""
    scale = scale_over([math.nan, math.inf, 1.0, 3.0])

    assert scale.place(-50) == 0
    assert scale.place(50) == 100
    assert scale.interval(2.0, None, 3.0).low == scale.interval(2.0, None, 3.0).value == 50
    assert (scale_over([]).first, scale_over([]).last) == (0.0, 1.0)
