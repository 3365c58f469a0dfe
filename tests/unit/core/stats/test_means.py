"""Differences of means against SciPy's tests, and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from noria.core.errors import Invalid
from noria.core.stats.means import paired_difference, welch_difference


@pytest.mark.parametrize("seed", range(5))
def test_paired_differences_are_those_of_scipy(seed: int) -> None:
    """Estimate, interval and p-value are SciPy's."""
    rng = np.random.default_rng(seed)
    first, second = rng.normal(1, 2, 12), rng.normal(0.5, 1, 12)
    found, other = paired_difference(first, second, alpha=0.1), stats.ttest_rel(first, second)
    interval = other.confidence_interval(0.9)

    assert found.p_value == pytest.approx(other.pvalue)
    assert (found.lower, found.upper) == pytest.approx((interval.low, interval.high))


@pytest.mark.parametrize("seed", range(5))
def test_welch_differences_are_those_of_scipy(seed: int) -> None:
    """Estimate, interval and p-value are SciPy's, for samples of different sizes and spreads."""
    rng = np.random.default_rng(seed)
    first, second = rng.normal(1, 5, 7), rng.normal(0, 1, 20)
    found, other = welch_difference(first, second), stats.ttest_ind(first, second, equal_var=False)
    interval = other.confidence_interval(0.95)

    assert found.p_value == pytest.approx(other.pvalue)
    assert (found.lower, found.upper) == pytest.approx((interval.low, interval.high))
    assert found.n == 27


def test_a_shared_seed_effect_cancels_in_pairs() -> None:
    """A small difference that drowns between seeds is found within them."""
    rng = np.random.default_rng(0)
    effect = rng.normal(0, 1, 10)
    first, second = effect + 0.1 + rng.normal(0, 0.02, 10), effect + rng.normal(0, 0.02, 10)

    assert paired_difference(first, second).p_value < 1e-4
    assert welch_difference(first, second).p_value > 0.5


def test_samples_without_spread_are_certain() -> None:
    """Equal constants do not differ, and different ones do."""
    assert paired_difference([1.0, 1.0], [1.0, 1.0]).p_value == 1.0
    assert paired_difference([2.0, 2.0], [1.0, 1.0]).p_value == 0.0
    assert welch_difference([2.0, 2.0], [1.0, 1.0, 1.0]).estimate == 1.0


def test_bad_samples_are_refused() -> None:
    """Sizes must fit, and nothing may be missing."""
    with pytest.raises(Invalid, match="one size"):
        paired_difference([1, 2], [1, 2, 3])
    with pytest.raises(Invalid, match="at least 2"):
        welch_difference([1], [1, 2])
    with pytest.raises(Invalid, match="none missing"):
        welch_difference([1, 2, float("nan")], [1, 2])
    with pytest.raises(Invalid, match="alpha"):
        welch_difference([1, 2], [1, 2], alpha=1.5)
