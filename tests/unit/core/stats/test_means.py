"""Differences of means against SciPy's tests, and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from noria.core.errors import Invalid
from noria.core.stats.intervals import mean_interval
from noria.core.stats.means import holm_adjusted, interval_of_mean, paired_difference, welch_difference
from noria.core.stats.multiplicity import holm
from noria.core.stats.student import t_quantile, t_tail


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


@pytest.mark.parametrize("degrees", [0.7, 1, 2, 3.3, 9, 50, 1000])
def test_the_t_distribution_is_that_of_scipy(degrees: float) -> None:
    """Quantiles and tails agree with SciPy's from the middle far out, also for degrees that are not whole."""
    for alpha in (0.5, 0.1, 0.05, 0.01, 1e-4, 1e-8):
        assert t_quantile(alpha, degrees) == pytest.approx(stats.t.isf(alpha / 2, degrees), rel=1e-8)
    for t in (0.0, 0.3, -1.5, 4.0, 30.0):
        assert t_tail(t, degrees) == pytest.approx(2 * stats.t.sf(abs(t), degrees), rel=1e-9)
    assert t_tail(float("inf"), degrees) == 0.0


@pytest.mark.parametrize("seed", range(5))
def test_intervals_and_adjustments_are_those_for_arrays(seed: int) -> None:
    """What the server tells in plain Python is what workers tell with arrays."""
    rng = np.random.default_rng(seed)
    values, p_values = rng.normal(3, 2, 4 + seed), rng.uniform(0, 0.3, 7)
    other = mean_interval(values, alpha=0.1)

    assert interval_of_mean(values, alpha=0.1) == pytest.approx((other.lower, other.upper))
    assert holm_adjusted(p_values) == pytest.approx(holm(p_values).tolist())


def test_an_infinite_value_has_no_mean() -> None:
    """Infinity is refused by name."""
    with pytest.raises(Invalid, match="infinite"):
        interval_of_mean([1.0, float("inf")])
