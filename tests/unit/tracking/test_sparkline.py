"""A history in one line."""

from __future__ import annotations

import math

import pytest

from noria.tracking.sparkline import BLOCKS, GAP, sparkline


@pytest.mark.parametrize(
    ("values", "drawn"),
    [
        ([], ""),
        ([5.0], "▄"),
        ([2.0, 2.0], "▄▄"),
        ([0.0, 7.0], "▁█"),
        ([float(i) for i in range(8)], BLOCKS),
        ([math.nan], GAP),
        ([0.0, math.inf, 1.0], f"▁{GAP}█"),
        ([-1.7e308, 1.7e308], "▁█"),
        ([1.7e308, 1.7e308], "▄▄"),
    ],
)
def test_values_are_drawn(values: list[float], drawn: str) -> None:
    """The smallest value is the lowest block, the largest the full one; what is not finite is a dot."""
    assert sparkline(values) == drawn


def test_long_histories_are_drawn_by_stretches() -> None:
    """A thousand falling values fill the width and fall."""
    line = sparkline([float(-i) for i in range(1000)], width=8)

    assert line == BLOCKS[::-1]
