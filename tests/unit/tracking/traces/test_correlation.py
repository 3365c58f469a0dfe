"""How far two filters go together."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from noria.tracking.traces.correlation import SMOOTHING, npmi

counts = st.integers(0, 50)


@given(counts, counts, counts, counts)
def test_the_value_is_that_of_the_definition(
    both: int, first_only: int, second_only: int, neither: int
) -> None:
    """Computed from probabilities."""
    n = both + first_only + second_only + neither
    assume(both > 0 and both < n)
    p_both, p_first, p_second = both / n, (both + first_only) / n, (both + second_only) / n
    expected = math.log(p_both / (p_first * p_second)) / -math.log(p_both)

    found = npmi(both, both + first_only, both + second_only, n)

    assert found == pytest.approx(expected, abs=1e-12)


@given(counts, counts, counts, counts, st.sampled_from([0.0, SMOOTHING]))
def test_the_value_lies_between_minus_one_and_one(
    both: int, first_only: int, second_only: int, neither: int, smoothing: float
) -> None:
    """And does not depend on which filter comes first; None only where a filter finds nothing."""
    n = both + first_only + second_only + neither
    found = npmi(both, both + first_only, both + second_only, n, smoothing=smoothing)

    assert found == npmi(both, both + second_only, both + first_only, n, smoothing=smoothing)
    assert (found is None) == (both + first_only == 0 or both + second_only == 0)
    assert found is None or -1.0 <= found <= 1.0


def test_the_ends_of_the_scale() -> None:
    """Never together, and always together; smoothing stays clear of the lower end."""
    assert npmi(0, 3, 4, 10) == -1.0
    assert npmi(4, 4, 4, 10) == 1.0
    smoothed = npmi(0, 3, 4, 10, smoothing=SMOOTHING)
    assert smoothed is not None
    assert -1.0 < smoothed < 0.0


def test_counts_that_contradict_one_another_have_no_value() -> None:
    """More together than alone, or more than there are."""
    assert npmi(5, 3, 4, 10) is None
    assert npmi(1, 8, 8, 10) is None
