"""The energy distance against SciPy and brute force, and its permutation test on quiet samples."""

import numpy as np
import pytest
from scipy.stats import energy_distance

from noria.core.errors import Invalid
from noria.core.stats.energy import energy_test


def test_in_one_dimension_it_is_that_of_scipy() -> None:
    """SciPy gives its root."""
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=80), rng.exponential(size=60)
    found = energy_test(first, second, rng=rng, n_permutations=9)

    assert found.distance == pytest.approx(energy_distance(first, second) ** 2)
    assert (found.n_reference, found.n_current) == (80, 60)


def test_in_several_dimensions_it_is_that_of_all_pairs() -> None:
    """Means of distances written out."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(30, 5)), rng.normal(1.0, size=(20, 5))

    def mean(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.mean([np.linalg.norm(one - other) for one in a for other in b]))

    found = energy_test(x, y, rng=rng, n_permutations=9)
    assert found.distance == pytest.approx(2 * mean(x, y) - mean(x, x) - mean(y, y))


def test_quiet_samples_have_p_values_that_are_spread_evenly() -> None:
    """Of 300 pairs of equal samples some 5 % have a p-value of at most 0.05."""
    rng = np.random.default_rng(2)
    p_values = [
        energy_test(
            rng.standard_t(3, size=(40, 4)), rng.standard_t(3, size=(40, 4)), rng=rng, n_permutations=99
        ).p_value
        for _ in range(300)
    ]

    assert 4 <= sum(p <= 0.05 for p in p_values) <= 28  # 15, three and a half standard deviations about it
    assert 0.42 < np.mean(p_values) < 0.58


def test_a_change_of_width_alone_is_seen() -> None:
    """Means are equal; distances are not."""
    rng = np.random.default_rng(3)
    found = energy_test(rng.normal(size=(400, 8)), rng.normal(scale=1.5, size=(400, 8)), rng=rng)

    assert found.p_value == 0.001


def test_constants_do_not_differ_from_themselves() -> None:
    """Every relabelling has the same distance."""
    found = energy_test(np.ones((50, 3)), np.ones((50, 3)), rng=np.random.default_rng(0), n_permutations=50)

    assert (found.distance, found.p_value) == (0.0, 1.0)


def test_bad_samples_are_refused() -> None:
    """Too few rows, infinities, widths that differ."""
    rng = np.random.default_rng(0)
    with pytest.raises(Invalid, match="not 1 and 5"):
        energy_test(np.ones((1, 2)), np.ones((5, 2)), rng=rng)
    with pytest.raises(Invalid, match="`reference` holds `inf`"):
        energy_test(np.full((5, 2), np.inf), np.ones((5, 2)), rng=rng)
    with pytest.raises(Invalid, match="2"):
        energy_test(np.ones((5, 2)), np.ones((5, 3)), rng=rng)
