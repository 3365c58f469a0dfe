"""The mean of vectors: how often chance is taken for a shift, and shifts that no single dimension shows."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from noria.core.errors import Invalid
from noria.core.stats.mean_shift import FEWEST_ROWS, MeanShift, mean_shift, spread_of
from noria.core.stats.ordered import ks_p_value

N_DIMENSIONS = 96


def correlated(rng: np.random.Generator, n_rows: int, *, rho: float = 0.7) -> NDArray[np.float64]:
    """Give rows of which each number hangs together with the next one, with tails as embeddings have them."""
    rows = rng.standard_t(6, size=(n_rows, N_DIMENSIONS))
    for column in range(1, N_DIMENSIONS):
        rows[:, column] = rho * rows[:, column - 1] + np.sqrt(1 - rho**2) * rows[:, column]
    return rows


def compared(reference: NDArray[np.float64], sample: NDArray[np.float64]) -> MeanShift:
    shifts = (sample.mean(axis=0) - reference.mean(axis=0)) / reference.std(axis=0)
    return mean_shift(spread_of(reference), shifts, n_reference=len(reference), n_rows=len(sample))


@pytest.mark.parametrize(("n_reference", "n_rows"), [(400, 100), (80, 400)])
def test_chance_is_taken_for_a_shift_as_often_as_the_level_says(n_reference: int, n_rows: int) -> None:
    """At 5 % and at 1 %, over 600 pairs of samples of one distribution; also with fewer rows than dimensions."""
    rng = np.random.default_rng(5)
    found = [compared(correlated(rng, n_reference), correlated(rng, n_rows)).p_value for _ in range(600)]

    assert 0.03 <= np.mean(np.array(found) <= 0.05) <= 0.08
    assert np.mean(np.array(found) <= 0.01) <= 0.025


def test_the_p_value_is_that_of_the_sum_drawn() -> None:
    """Against a hundred thousand draws of the sum, from the eigenvalues of the correlations."""
    rng = np.random.default_rng(6)
    reference = correlated(rng, 20_000)
    spread = spread_of(reference)
    eigenvalues = np.linalg.eigvalsh(np.corrcoef(reference.T))
    drawn = rng.chisquare(1, size=(100_000, N_DIMENSIONS)) @ eigenvalues
    noise = 1 / 500 + 1 / 20_000
    for level in (0.5, 0.1, 0.01):
        total = np.quantile(drawn, 1 - level)
        shifts = np.full(N_DIMENSIONS, np.sqrt(total * noise / N_DIMENSIONS))
        found = mean_shift(spread, shifts, n_reference=20_000, n_rows=500)
        assert found.p_value == pytest.approx(level, rel=0.3)
        assert found.statistic == pytest.approx(total / N_DIMENSIONS)


def test_a_shift_that_no_dimension_shows_is_plain_in_all() -> None:
    """A tenth of a deviation in every dimension: too little for tests one by one, adjusted for their number."""
    rng = np.random.default_rng(7)
    reference, sample = rng.normal(size=(1000, 256)), rng.normal(0.1, size=(300, 256))
    alone = [
        ks_p_value(float(np.abs(_steps(reference[:, j], sample[:, j])).max()), 1000, 300) for j in range(256)
    ]
    found = compared(reference, sample)

    assert min(alone) * 256 > 1e-4
    assert found.p_value < 1e-12
    # 256 independent dimensions, each a tenth apart: the square of the distance is 2.56, along a direction of which
    # chance has its part of 256 (1/1000 + 1/300).
    assert found.psi == pytest.approx(2.56**2 / (2.56 + 256 * (1 / 1000 + 1 / 300)), rel=0.2)


def test_the_index_is_the_square_of_the_distance_along_the_shift() -> None:
    """One number seen a hundred times is as far away as once; where nothing moved there is next to none."""
    rng = np.random.default_rng(8)
    one = rng.normal(size=(2000, 1))
    rows = one + 0.01 * rng.normal(size=(2000, 100))
    moved = compared(rows[:1000], rows[1000:] + 0.5)
    still = compared(rows[:1000], rows[1000:])

    assert moved.psi == pytest.approx(0.25, abs=0.1)
    assert still.psi < 0.01
    assert still.p_value > 0.01


def test_what_cannot_be_learned_from_is_refused() -> None:
    """Few rows, and a dimension that does not vary."""
    rng = np.random.default_rng(9)
    with pytest.raises(Invalid, match=f"49 rows; {FEWEST_ROWS} are needed"):
        spread_of(rng.normal(size=(49, 40)))
    rows = rng.normal(size=(60, 40))
    rows[:, 3] = 1
    with pytest.raises(Invalid, match="Dimension 3 is constant"):
        spread_of(rows)


def _steps(reference: NDArray[np.float64], sample: NDArray[np.float64]) -> NDArray[np.float64]:
    places = np.sort(np.concatenate([reference, sample]))
    return np.asarray(
        np.searchsorted(np.sort(reference), places, side="right") / len(reference)
        - np.searchsorted(np.sort(sample), places, side="right") / len(sample)
    )
