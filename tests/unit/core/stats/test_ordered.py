"""Distances of sorted samples against SciPy, and p-values against the exact distribution."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from noria.core.stats.bins import bin_counts
from noria.core.stats.ordered import (
    counts_between,
    finite_part,
    ks_distance,
    ks_p_value,
    ks_p_values,
    sorted_known,
    wasserstein_distance,
)
from noria.core.stats.samples import Floats


def samples(rng: np.random.Generator, ties: int) -> tuple[Floats, Floats]:
    """Give two sorted samples of other sizes, with many equal values, few, or none."""
    n, m = rng.integers(1, 700, 2)
    if ties:
        first, second = rng.integers(0, ties, n), rng.integers(0, ties, m) + rng.integers(0, 3)
    else:
        first, second = rng.normal(size=n), rng.normal(rng.random(), size=m)
    return np.sort(first.astype(float)), np.sort(second.astype(float))


@pytest.mark.parametrize("ties", [0, 3, 40])
def test_distances_are_those_of_scipy(rng: np.random.Generator, ties: int) -> None:
    """Of 80 pairs of samples each, stretches that were not looked at included."""
    for _ in range(80):
        first, second = samples(rng, ties)

        assert ks_distance(first, second) == pytest.approx(
            stats.ks_2samp(first, second, method="asymp").statistic, abs=1e-12
        )
        assert wasserstein_distance(first, second) == pytest.approx(
            stats.wasserstein_distance(first, second), abs=1e-9
        )


def test_a_difference_inside_one_stretch_is_found() -> None:
    """Where both samples agree at every 64th value."""
    first = np.arange(10_000.0)
    second = first.copy()
    second[5_001:5_056] = 5_001.0

    assert ks_distance(first, second) == pytest.approx(stats.ks_2samp(first, second).statistic, abs=1e-12)


def test_equal_sizes_take_the_shorter_way(rng: np.random.Generator) -> None:
    """And arrive at the same area."""
    first, second = np.sort(rng.normal(size=500)), np.sort(rng.exponential(size=500))

    assert wasserstein_distance(first, second) == pytest.approx(stats.wasserstein_distance(first, second))


@pytest.mark.parametrize("size", [1_000, 20_000, 1_500_000])
def test_p_values_of_large_samples_are_those_of_the_exact_distribution(size: int) -> None:
    """Within 2 % down to one in a million, and 8 % down to 1e-12."""
    for place in (0.3, 0.8, 1.0, 1.36, 1.63, 2.0, 2.6):
        distance = place / size**0.5
        exact = stats.kstwo.sf(distance, size)

        assert ks_p_value(distance, 2 * size, 2 * size) == pytest.approx(exact, rel=2e-2)
    far = 3.6 / size**0.5
    assert ks_p_value(far, 2 * size, 2 * size) == pytest.approx(stats.kstwo.sf(far, size), rel=8e-2)


@pytest.mark.parametrize("size", [20, 57, 133, 400, 999])
def test_p_values_of_some_hundred_rows_are_scipys(size: int) -> None:
    """Within 0.2 %; those below a tenth within 0.02 % and never too small."""
    wanted = np.concatenate([np.linspace(0.1, 0.995, 60), np.geomspace(1e-9, 0.1, 60)])
    distances = stats.kstwo.isf(wanted, size)
    exact = stats.kstwo.sf(distances, size)

    found = ks_p_values(distances, 2 * size, 2 * size)

    assert found == pytest.approx(exact, rel=2e-3)
    assert found[60:] == pytest.approx(exact[60:], rel=2e-4)
    assert (found[60:] >= exact[60:] * (1 - 1e-9)).all()


def test_p_values_of_small_samples_are_scipys(rng: np.random.Generator) -> None:
    """To the last digits."""
    first, second = np.sort(rng.normal(size=30)), np.sort(rng.normal(0.3, size=40))
    found = ks_p_value(ks_distance(first, second), 30, 40)

    assert found == pytest.approx(stats.ks_2samp(first, second, method="asymp").pvalue)


def test_p_values_end_at_zero_and_one() -> None:
    """Of distances that nothing and everything reaches, of samples of every size."""
    sizes = np.array([1, 3, 60, 900, 5_000])

    assert ks_p_values(np.ones(5), sizes, sizes)[1:] == pytest.approx(0.0, abs=0.3)
    assert (ks_p_values(np.zeros(5), sizes, sizes) == 1.0).all()
    assert (np.diff(ks_p_values(np.linspace(0, 1, 50), 300, 400)) <= 0).all()


def test_equal_samples_are_called_different_at_the_level(rng: np.random.Generator) -> None:
    """800 pairs of quiet samples: 5 % have a p-value up to 0.05."""
    p_values = []
    for _ in range(800):
        first, second = np.sort(rng.normal(size=2_500)), np.sort(rng.normal(size=2_000))
        p_values.append(ks_p_value(ks_distance(first, second), 2_500, 2_000))

    assert 0.025 < np.mean(np.array(p_values) <= 0.05) < 0.075


def test_counts_are_those_of_unsorted_values(rng: np.random.Generator) -> None:
    """Bins closed on the right, infinities in the outer ones."""
    values = np.append(rng.integers(0, 20, 300).astype(float), [np.inf, -np.inf])
    edges = np.array([-1.0, 3.0, 3.5, 12.0])

    assert counts_between(np.sort(values), edges).tolist() == bin_counts(values, edges).tolist()


@pytest.mark.parametrize("kind", ["f4", "f8", "i2", "u8"])
def test_sorting_keeps_what_is_known(rng: np.random.Generator, kind: str) -> None:
    """In the values' own type; NaN is left out and infinities stay."""
    values = rng.integers(0, 100, 200).astype(kind)
    if values.dtype.kind == "f":
        values[:5], values[5] = np.nan, np.inf
    found = sorted_known(values)
    known = values[~np.isnan(values)] if values.dtype.kind == "f" else values

    assert found.dtype == np.float64
    assert found.tolist() == sorted(known.tolist())
    assert finite_part(found).tolist() == [value for value in found.tolist() if np.isfinite(value)]


def test_nothing_known_stays_nothing() -> None:
    """A column of NaN, and an empty one."""
    assert sorted_known(np.full(3, np.nan)).size == 0
    assert finite_part(sorted_known(np.array([]))).size == 0
