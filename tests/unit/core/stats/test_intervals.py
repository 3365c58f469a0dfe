from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from noria.core.errors import Invalid
from noria.core.stats.intervals import (
    Interval,
    bootstrap_interval,
    clopper_pearson,
    mean_interval,
    newcombe_difference,
    newcombe_paired,
    wilson,
)


@pytest.mark.parametrize(("k", "n"), [(0, 1), (1, 1), (0, 20), (20, 20), (3, 20), (999, 1000)])
@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.4])
def test_proportions_are_scipys(k: int, n: int, alpha: float) -> None:
    """Wilson and Clopper-Pearson agree with `scipy.stats.binomtest`."""
    theirs = stats.binomtest(k, n)
    for ours, method in (
        (wilson(k, n, alpha=alpha), "wilson"),
        (clopper_pearson(k, n, alpha=alpha), "exact"),
    ):
        expected = theirs.proportion_ci(1 - alpha, method=method)  # type: ignore[arg-type]
        assert (ours.lower, ours.upper) == pytest.approx((expected.low, expected.high), abs=1e-12)
        assert (ours.estimate, ours.n, ours.alpha) == (k / n, n, alpha)


@pytest.mark.parametrize("p", [0.02, 0.3, 0.5, 0.9])
def test_exact_proportions_cover(p: float) -> None:
    """The exact interval covers at least 95 %, computed by adding up the binomial distribution."""
    n = 40
    k = np.arange(n + 1)
    covered = np.array([clopper_pearson(int(i), n).contains(p) for i in k])
    close = np.array([wilson(int(i), n).contains(p) for i in k])

    assert np.sum(stats.binom.pmf(k, n, p)[covered]) >= 0.95
    assert np.sum(stats.binom.pmf(k, n, p)[close]) >= 0.91


@pytest.mark.parametrize(("k", "n"), [(1, 0), (-1, 5), (6, 5)])
def test_counts_that_do_not_fit_are_refused(k: int, n: int) -> None:
    """No trials, negative successes, more successes than trials."""
    with pytest.raises(Invalid):
        wilson(k, n)
    with pytest.raises(Invalid):
        clopper_pearson(k, n)
    with pytest.raises(Invalid):
        newcombe_difference(k, n, 1, 2)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((56, 70, 48, 80), (0.0524, 0.3339)),
        ((9, 10, 3, 10), (0.1705, 0.8090)),
        ((5, 56, 0, 29), (-0.0381, 0.1926)),
    ],
)
def test_differences_are_the_published_ones(
    counts: tuple[int, int, int, int], expected: tuple[float, float]
) -> None:
    """Examples of Newcombe (1998), Table II, method 10."""
    found = newcombe_difference(*counts)

    assert (round(found.lower, 4), round(found.upper, 4)) == expected


def test_a_difference_covers(rng: np.random.Generator) -> None:
    """Over 2,000 pairs of samples the true difference is outside in 5 %."""
    first, second = rng.binomial(60, 0.9, 2000), rng.binomial(40, 0.7, 2000)
    missed = [
        not newcombe_difference(int(a), 60, int(b), 40).contains(0.2)
        for a, b in zip(first, second, strict=True)
    ]

    assert np.mean(missed) == pytest.approx(0.05, abs=0.02)


def test_a_paired_difference_is_the_published_one() -> None:
    """The first example of Newcombe (1998), paired data, method 10."""
    found = newcombe_paired(36, 12, 2, 0)

    assert (round(found.lower, 4), round(found.upper, 4)) == (0.0569, 0.3404)


def test_two_equal_models_differ_by_nothing() -> None:
    """With no row in which they differ, what is left is how far the common share is known."""
    found = newcombe_paired(0, 0, 0, 5)

    assert found.estimate == 0
    assert found.upper == -found.lower == pytest.approx(wilson(0, 5).upper)


def test_a_paired_difference_covers_and_is_narrower(rng: np.random.Generator) -> None:
    """Two models that mostly fail on the same rows are told apart by far fewer rows."""
    missed, widths = [], []
    for counts in rng.multinomial(80, [0.75, 0.12, 0.04, 0.09], 1500):
        both, first, second, neither = (int(c) for c in counts)
        found = newcombe_paired(both, first, second, neither)
        apart = newcombe_difference(both + first, 80, both + second, 80)
        missed.append(not found.contains(0.08))
        widths.append(found.width / apart.width)

    assert np.mean(missed) == pytest.approx(0.05, abs=0.02)
    assert np.mean(widths) < 0.85


@pytest.mark.parametrize("counts", [(0, 0, 0, 0), (5, -1, 2, 3), (-1, 2, 2, 2)])
def test_paired_counts_are_checked(counts: tuple[int, int, int, int]) -> None:
    """No rows, or a negative cell."""
    with pytest.raises(Invalid):
        newcombe_paired(*counts)


def test_a_mean_is_scipys(rng: np.random.Generator) -> None:
    """Student's interval agrees with `scipy.stats.t`, missing values left out."""
    values = rng.normal(5, 2, 30)
    expected = stats.t.interval(0.9, 29, loc=values.mean(), scale=stats.sem(values))
    found = mean_interval([*values, float("nan")], alpha=0.1)

    assert (found.lower, found.upper) == pytest.approx(expected)
    assert (found.n, found.n_missing) == (30, 1)


def test_a_constant_has_a_mean_without_width() -> None:
    """No spread, no warning."""
    found = mean_interval([3.0, 3.0, 3.0])

    assert (found.lower, found.estimate, found.upper) == (3.0, 3.0, 3.0)


@pytest.mark.parametrize("values", [[], [1.0], [1.0, float("inf")]])
def test_too_few_values_have_no_mean_interval(values: list[float]) -> None:
    """One value says nothing about spread."""
    with pytest.raises(Invalid):
        mean_interval(values)


def test_the_bootstrap_is_scipys() -> None:
    """With the same generator it gives the interval of `scipy.stats.bootstrap`, percentile method."""
    values = np.random.default_rng(1).gamma(2, size=50)
    ours = bootstrap_interval(np.median, values, rng=np.random.default_rng(7), n_resamples=300, alpha=0.1)
    theirs = stats.bootstrap(
        (values,), np.median, n_resamples=300, confidence_level=0.9, method="percentile",
        rng=np.random.default_rng(7), batch=1,
    ).confidence_interval  # fmt: skip

    assert (ours.lower, ours.upper) == pytest.approx((theirs.low, theirs.high))
    assert ours.estimate == np.median(values)


def test_rows_are_drawn_together(rng: np.random.Generator) -> None:
    """Labels stay with their predictions: a perfect model is perfect in every resample."""
    labels = rng.integers(0, 2, 40)
    found = bootstrap_interval(
        lambda a, b: float(np.mean(a == b)), labels, labels.copy(), rng=rng, n_resamples=100
    )

    assert (found.lower, found.estimate, found.upper) == (1.0, 1.0, 1.0)


def test_rows_with_a_missing_value_are_left_out(rng: np.random.Generator) -> None:
    """Missing in either sample drops the row of both."""
    nan = float("nan")
    found = bootstrap_interval(
        lambda a, b: float(np.mean(a - b)), [1.0, 2.0, nan], [0.0, nan, 0.0], rng=rng, n_resamples=100
    )

    assert (found.estimate, found.n, found.n_missing) == (1.0, 1, 2)


@pytest.mark.parametrize(
    ("samples", "n_resamples"),
    [(([],), 100), (([1.0], [1.0, 2.0]), 100), ((), 100), (([1.0],), 10), (([np.nan],), 100)],
)
def test_what_cannot_be_resampled_is_refused(
    rng: np.random.Generator, samples: tuple[Any, ...], n_resamples: int
) -> None:
    """No rows, other lengths, no samples, too few resamples, nothing but missing values."""
    with pytest.raises(Invalid):
        bootstrap_interval(np.mean, *samples, rng=rng, n_resamples=n_resamples)


def test_a_statistic_must_be_a_number(rng: np.random.Generator) -> None:
    """A statistic that is NaN is refused, not passed on."""
    with pytest.raises(Invalid, match="`nan`"):
        bootstrap_interval(lambda _: float("nan"), [1.0], rng=rng)


@pytest.mark.parametrize("alpha", [0.0, 1.0, 2.0])
def test_every_interval_checks_its_level(rng: np.random.Generator, alpha: float) -> None:
    """An error probability outside (0, 1) is refused."""
    calls: list[Callable[[], Interval]] = [
        lambda: wilson(1, 2, alpha=alpha),
        lambda: clopper_pearson(1, 2, alpha=alpha),
        lambda: mean_interval([1.0, 2.0], alpha=alpha),
        lambda: bootstrap_interval(np.mean, [1.0], rng=rng, alpha=alpha),
    ]
    for call in calls:
        with pytest.raises(Invalid, match="`alpha`"):
            call()


def test_an_interval_knows_its_width_and_its_values() -> None:
    """Closed at both ends."""
    interval = Interval(estimate=0.5, lower=0.25, upper=0.75, alpha=0.05, n=10)

    assert interval.width == 0.5
    assert interval.contains(0.25)
    assert not interval.contains(0.76)
