"""What runs do not share."""

from __future__ import annotations

import math

from noria.tracking.comparison import differing_keys


def test_equal_maps_do_not_differ() -> None:
    """What all have alike is no difference, NaN included."""
    assert differing_keys([{"a": 1.0, "b": math.nan}, {"a": 1.0, "b": math.nan}]) == []


def test_missing_and_other_values_differ() -> None:
    """A key that one lacks is a difference; NaN differs from a number."""
    maps = [{"a": 1.0, "b": math.nan, "c": 3.0}, {"a": 1.0, "b": 2.0}, {"a": 1.5, "b": 2.0}]

    assert differing_keys(maps) == ["a", "b", "c"]


def test_one_map_has_no_differences() -> None:
    """Nothing differs from itself."""
    assert differing_keys([{"a": 1}]) == []
