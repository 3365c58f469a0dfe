"""Always-valid intervals in plain Python: against other implementations, brute force and simulation."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from scipy import integrate, special
from scipy import stats as scipy_stats

from noria.core.stats.sequential import BoundedMean, difference_interval
from noria.core.stats.sequential_distributions import band, distance
from noria.core.stats.sequential_means import Sums, log_mixture, mean_difference, mean_interval
from noria.core.stats.sequential_ratios import PRIOR_VALUES, mean_ratio, paired_ratio, unbounded_mean
from noria.core.stats.sequential_shares import (
    PRIOR_OUTCOMES,
    Outcomes,
    share_bounds,
    share_capital,
    share_difference,
)

ALPHA = 0.05
GRID = np.linspace(0, 1, 2001)


@pytest.mark.parametrize(("hits", "n", "p"), [(3, 20, 0.4), (0, 50, 0.02), (700, 1000, 0.65), (12, 12, 0.9)])
def test_capital_against_a_share_is_the_mixture_of_likelihood_ratios(hits: int, n: int, p: float) -> None:
    """The closed form is the integral of the likelihood ratio over the Beta distribution."""
    prior = scipy_stats.beta(PRIOR_OUTCOMES * p, PRIOR_OUTCOMES * (1 - p))

    def ratio(u: float) -> float:
        return float(np.exp(hits * np.log(u / p) + (n - hits) * np.log((1 - u) / (1 - p))) * prior.pdf(u))

    expected = integrate.quad(ratio, 0, 1, points=[hits / n, p], limit=200)[0]

    assert share_capital(Outcomes(hits, n))(p) == pytest.approx(math.log(expected), abs=1e-6)


@pytest.mark.parametrize(
    ("total", "spread"), [(0.0, 5.0), (3.0, 10.0), (80.0, 300.0), (400.0, 1e6), (30.0, 0.0)]
)
def test_capital_against_a_mean_is_under_the_mixture_of_games(total: float, spread: float) -> None:
    """The closed form is at most the integral over the stakes, and at most the logarithm of 2 under it."""
    rho = 8.0

    def game(kept: float) -> float:
        stake = 1 - kept
        exponent = stake * total + (math.log(kept) + stake) * spread - rho * kept + (rho - 1) * math.log(kept)
        return math.exp(exponent)

    prior = special.gammainc(rho, rho) * special.gamma(rho) / rho**rho
    exact = math.log(integrate.quad(game, 0, 1, points=[max(1 - total / (spread + 1), 0.001)], limit=500)[0])
    exact -= math.log(prior)

    assert exact - math.log(2) - 1e-6 <= log_mixture(total, spread) <= exact + 1e-6


@pytest.mark.parametrize(
    ("first", "second"),
    [((10, 1000), (100, 10_000)), ((20, 60), (3, 600)), ((0, 300), (1, 50)), ((500, 1000), (450, 1000))],
)
def test_difference_of_shares_agrees_with_all_pairs(first: tuple[int, int], second: tuple[int, int]) -> None:
    """The search finds the widest difference among all pairs of shares that remain."""
    ours, theirs = Outcomes(*first), Outcomes(*second)
    one = np.array([share_capital(ours)(p) for p in GRID])
    other = np.array([share_capital(theirs)(p) for p in GRID])
    left = one[:, None] + other[None, :] < -math.log(ALPHA)
    differences = (GRID[:, None] - GRID[None, :])[left]
    lower, upper = share_difference(ours, theirs, ALPHA)

    assert lower == pytest.approx(differences.min(), abs=2 * GRID[1])
    assert upper == pytest.approx(differences.max(), abs=2 * GRID[1])


def _sums(values: np.ndarray[Any, np.dtype[np.float64]]) -> Sums:
    return Sums(values.size, float(values.sum()), float((values * values).sum()))


def test_means_agree_with_the_sequences_of_the_workers() -> None:
    """Another game with the same sums gives about the same interval, for one mean and for a difference."""
    generator = np.random.default_rng(5)
    values, others = generator.beta(2, 3, 2000), generator.beta(2, 4, 3000)
    known, known_others = BoundedMean().update(values), BoundedMean().update(others)
    lower, upper = mean_interval(_sums(values), ALPHA)
    expected = known.interval(ALPHA)
    between = mean_difference(_sums(values), _sums(others), ALPHA)
    expected_between = difference_interval(known, known_others, ALPHA)

    assert upper - lower == pytest.approx(expected.upper - expected.lower, rel=0.2)
    assert between[1] - between[0] == pytest.approx(expected_between.upper - expected_between.lower, rel=0.2)
    assert between[0] < values.mean() - others.mean() < between[1]


def test_ratio_agrees_with_all_pairs_of_means() -> None:
    """Fieller's ends are the smallest and largest ratio in the ellipse of the means that remain."""
    generator = np.random.default_rng(6)
    first, second = generator.gamma(2, 3, 400), generator.gamma(2, 2, 900)
    lower, upper = mean_ratio(_sums(first), _sums(second), ALPHA)
    demand = -2 * math.log(ALPHA) + math.log1p(400 / PRIOR_VALUES) + math.log1p(900 / PRIOR_VALUES)
    scale = [v.var(ddof=1) * (v.size + PRIOR_VALUES) / v.size**2 * demand for v in (first, second)]
    angle = np.linspace(0, 2 * np.pi, 100_001)
    ratios = (first.mean() + math.sqrt(scale[0]) * np.cos(angle)) / (
        second.mean() + math.sqrt(scale[1]) * np.sin(angle)
    )

    assert (lower, upper) == pytest.approx((ratios.min(), ratios.max()), rel=1e-6)


@pytest.mark.parametrize("n", [30, 60, 200, 5000])
def test_ratio_of_pairs_holds_what_their_differences_leave(n: int) -> None:
    """A ratio is inside exactly when the mean of x - r y may be 0, also while no ratio is too large."""
    generator = np.random.default_rng(n)
    old = generator.gamma(2, 3, n)
    new = old * generator.uniform(0.8, 1.4, n)
    lower, upper = paired_ratio(_sums(new), _sums(old), float((new * old).sum()), ALPHA)
    demand = -2 * math.log(ALPHA) + math.log1p(n / PRIOR_VALUES)

    def may_be(ratio: float) -> bool:
        differences = new - ratio * old
        variance = differences.var(ddof=1) * (n + PRIOR_VALUES) / n**2
        return bool(differences.mean() ** 2 <= demand * variance)

    for ratio in np.linspace(0.01, 5, 200).tolist():
        if min(abs(ratio - lower), abs(ratio - upper)) > 1e-9:
            assert may_be(ratio) == (lower <= ratio <= upper), ratio


def test_pairs_tell_more_than_streams() -> None:
    """Two errors of each row that go together are compared more exactly as pairs."""
    generator = np.random.default_rng(7)
    old = generator.gamma(2, 3, 1000)
    new = old * generator.uniform(0.9, 1.3, 1000)
    paired = paired_ratio(_sums(new), _sums(old), float((new * old).sum()), ALPHA)
    apart = mean_ratio(_sums(new), _sums(old), ALPHA)

    assert paired[1] - paired[0] < 0.4 * (apart[1] - apart[0])
    assert paired[0] < 1.1 < paired[1]


def test_nothing_known_is_said_without_data() -> None:
    """Empty and tiny streams give all that a figure can be, and no division by zero."""
    assert share_bounds(Outcomes(0, 0), ALPHA) == (0.0, 1.0)
    assert mean_interval(Sums(0, 0.0, 0.0), ALPHA, low=-1.0) == (-1.0, 1.0)
    assert unbounded_mean(Sums(1, 1.0, 1.0), ALPHA) == (-math.inf, math.inf)
    assert mean_ratio(Sums(40, 0.0, 0.0), Sums(40, 0.0, 0.0), ALPHA) == (0.0, math.inf)
    assert distance({}, {"a": 3}, ALPHA) == (0.0, 0.0, 1.0)
    lower, upper = share_difference(Outcomes(0, 0), Outcomes(0, 0), ALPHA)
    assert lower == pytest.approx(-1, abs=0.01)
    assert upper == pytest.approx(1, abs=0.01)


def test_distance_agrees_with_scipy() -> None:
    """The distance of cumulative shares is the statistic of Kolmogorov and Smirnov."""
    generator = np.random.default_rng(8)
    first, second = generator.poisson(4, 300), generator.poisson(5, 500)
    counts = [Counter(v.tolist()) for v in (first, second)]

    assert distance(counts[0], counts[1], ALPHA).seen == pytest.approx(
        scipy_stats.ks_2samp(first, second).statistic
    )


def _ever_missed(kind: str, generator: np.random.Generator) -> tuple[bool, float]:
    """Look at a stream after every hundredth row, and tell whether the truth was ever outside, and a width at 1,000."""
    n_rows, looks = 3000, np.arange(100, 3001, 100)
    if kind == "share":
        values, truth = (generator.random(n_rows) < 0.03).astype(float), 0.03
    elif kind == "mean":
        values, truth = generator.beta(1, 4, n_rows), 0.2
    else:
        values, truth = generator.lognormal(0, 1, n_rows), math.exp(0.5)
    total, squares = values.cumsum(), (values * values).cumsum()
    missed, width = False, 0.0
    for look in looks.tolist():
        sums = Sums(look, float(total[look - 1]), float(squares[look - 1]))
        if kind == "share":
            lower, upper = share_bounds(Outcomes(sums.total, look), ALPHA)
        elif kind == "mean":
            lower, upper = mean_interval(sums, ALPHA)
        else:
            lower, upper = unbounded_mean(sums, ALPHA)
        missed |= not lower <= truth <= upper
        if look == 1000:
            fixed = 2 * 1.96 * math.sqrt((sums.squares / look - sums.mean**2) / look)
            width = (upper - lower) / fixed
    return missed, width


@pytest.mark.parametrize("kind", ["share", "mean", "unbounded"])
def test_the_truth_is_hardly_ever_outside_at_any_time(kind: str) -> None:
    """Looking again and again, at most the stated share of streams ever misses, at under 2.5 times the fixed width."""
    generator = np.random.default_rng(9)
    found = [_ever_missed(kind, generator) for _ in range(100)]

    assert sum(missed for missed, _ in found) <= 5
    assert np.mean([width for _, width in found]) <= 2.5


def test_bands_hold_the_distribution_at_all_times() -> None:
    """The band about the cumulative shares is left by at most the stated share of streams, at twice the fixed width."""
    generator = np.random.default_rng(10)
    missed = 0
    for _ in range(100):
        classes = generator.integers(0, 5, 3000)
        shares = np.cumsum(classes[:, None] <= np.arange(5), axis=0) / np.arange(1, 3001)[:, None]
        away = np.abs(shares - np.arange(1, 6) / 5).max(axis=1)
        missed += bool((away > np.array([band(n, ALPHA) for n in range(1, 3001)])).any())

    assert missed <= 5
    assert band(1000, ALPHA) <= 2.5 * scipy_stats.kstwo(1000).ppf(1 - ALPHA)
