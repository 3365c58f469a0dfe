import itertools

import numpy as np
import pytest

from noria.core.errors import Invalid
from noria.core.stats.bins import bin_counts, quantile_edges, smoothed_shares


def test_inner_bins_hold_equal_shares(rng: np.random.Generator) -> None:
    """Without ties each inner bin holds a tenth, and the outer ones nothing."""
    values = rng.normal(size=1000)
    counts = bin_counts(values, quantile_edges(values, 10))

    assert counts[0] == counts[-1] == 0
    assert counts[1:-1].tolist() == pytest.approx([100] * 10, abs=1)


def test_values_outside_the_reference_fall_into_the_outer_bins() -> None:
    """Below the smallest, above the largest, and infinities."""
    edges = quantile_edges(np.arange(10.0), 5)
    counts = bin_counts(np.array([-0.1, -np.inf, 0.0, 9.0, 9.1, np.inf]), edges)

    assert counts[0] == 2
    assert counts[-1] == 2
    assert counts.sum() == 6


@pytest.mark.parametrize("value", [0.0, 7.5, -1e300])
def test_leaving_a_constant_is_seen_on_both_sides(value: float) -> None:
    """A constant reference has a bin for its value alone."""
    edges = quantile_edges(np.full(20, value), 10)
    step = max(abs(value), 1.0) * 1e-3

    assert bin_counts(np.array([value - step, value, value + step]), edges).tolist() == [1, 1, 1]


def test_the_smallest_float_needs_no_bin_below() -> None:
    """Edges stay finite at the end of the range."""
    lowest = np.finfo(np.float64).min
    edges = quantile_edges(np.array([lowest, 0.0]), 2)

    assert np.isfinite(edges).all()
    assert bin_counts(np.array([lowest, 0.0]), edges).sum() == 2


def test_a_frequent_value_has_a_bin_of_its_own() -> None:
    """Half zeros: moving the zeros to one does not hide in a wider bin."""
    values = np.concatenate([np.zeros(50), np.arange(1.0, 51.0)])
    counts = bin_counts(np.concatenate([np.zeros(10), np.ones(5)]), quantile_edges(values, 4))

    assert 10 in counts
    assert 5 in counts


def test_each_value_of_a_small_set_is_a_bin() -> None:
    """Counts with few values are compared value by value."""
    values = np.repeat([1.0, 2.0, 3.0], [30, 50, 20])

    assert bin_counts(values, quantile_edges(values, 10)).tolist() == [0, 30, 50, 20, 0]


def test_bins_are_counted_as_brute_force_does(rng: np.random.Generator) -> None:
    """Each bin is open on the left and closed on the right."""
    reference, values = rng.integers(0, 9, 200).astype(float), rng.integers(-3, 12, 300).astype(float)
    edges = quantile_edges(reference, 4)
    bounds = [-np.inf, *edges, np.inf]
    expected = [sum(a < v <= b for v in values) for a, b in itertools.pairwise(bounds)]

    assert bin_counts(values, edges).tolist() == expected


def test_shares_are_positive_and_sum_to_one() -> None:
    """Half a row per bin is added."""
    assert smoothed_shares([0, 3, 5]).tolist() == pytest.approx([0.5 / 9.5, 3.5 / 9.5, 5.5 / 9.5])


@pytest.mark.parametrize("counts", [[], [-1, 2], [np.inf, 1], [np.nan, 1], [[1, 2]]])
def test_counts_that_are_none_are_refused(counts: list[float]) -> None:
    """Negative, infinite, NaN, of two dimensions, or no bins at all."""
    with pytest.raises(Invalid, match="`counts`"):
        smoothed_shares(counts)


def test_a_pseudo_count_is_positive_and_bins_are_at_least_one() -> None:
    """Settings are checked by value."""
    with pytest.raises(Invalid, match="`0`"):
        smoothed_shares([1], pseudo_count=0)
    with pytest.raises(Invalid, match="`n_bins`"):
        quantile_edges(np.ones(3), 0)
