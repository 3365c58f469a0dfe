from typing import Any

import numpy as np
import pytest
from scipy import stats

from noria.core.errors import Invalid
from noria.core.stats import changepoint
from noria.core.stats.changepoint import change_point
from noria.core.stats.samples import Floats


def _split_by_brute_force(series: Floats, min_segment: int) -> tuple[int, float]:
    """Score each split with SciPy's binomial likelihood, one by one."""

    def best(part: Floats) -> float:
        return float(stats.bernoulli.logpmf(part.astype(int), part.mean()).sum())

    scores = {
        split: 2 * (best(series[:split]) + best(series[split:]) - best(series))
        for split in range(min_segment, len(series) - min_segment + 1)
    }
    index = max(scores, key=lambda split: scores[split])
    return index, scores[index]


def test_the_best_split_is_that_of_brute_force(rng: np.random.Generator) -> None:
    """Index and statistic agree with trying each split."""
    for _ in range(20):
        series = np.concatenate([rng.random(30) < 0.8, rng.random(25) < 0.4]).astype(float)
        found = change_point(series, rng=rng, min_segment=3, n_permutations=19)
        index, score = _split_by_brute_force(series, 3)
        assert found.statistic == pytest.approx(score)
        assert found.index == index
        assert found.before == pytest.approx(series[:index].mean())
        assert found.after == pytest.approx(series[index:].mean())


def test_a_clear_change_is_found(rng: np.random.Generator) -> None:
    """From 95 % to 60 % right at row 200: significant, and known within a few rows."""
    series = np.concatenate([rng.random(200) < 0.95, rng.random(100) < 0.6]).astype(int)
    found = change_point(series, rng=rng)

    assert found.p_value == 1 / 500
    assert abs(found.index - 200) <= 10
    assert found.lower <= 200 <= found.upper
    assert found.upper - found.lower < 40


def test_the_place_is_in_the_interval_as_often_as_said(rng: np.random.Generator) -> None:
    """Of 400 series with a change in a random place, 90 % or nearly hold it in their 90 % interval."""
    held = []
    for _ in range(400):
        place = int(rng.integers(10, 91))
        before, after = rng.random(2)
        series = np.concatenate([rng.random(place) < before, rng.random(100 - place) < after]).astype(float)
        first, last = changepoint._credible_run(changepoint._log_posterior(series, 5), 0.1)
        held.append(first + 5 <= place <= last + 5)

    assert np.mean(held) == pytest.approx(0.9, abs=0.05)


def test_false_alarms_stay_at_the_level(rng: np.random.Generator) -> None:
    """Of 300 series without a change, 10 % have a p-value up to 0.1."""
    p = [change_point(rng.random(60) < 0.9, rng=rng, n_permutations=99).p_value for _ in range(300)]

    assert np.mean(np.array(p) <= 0.1) <= 0.1 + 0.035


def test_a_constant_series_has_no_change(rng: np.random.Generator) -> None:
    """No split is better than another: p-value 1, the place anywhere, no warning."""
    found = change_point(np.full(40, 0.7), rng=rng)

    assert found.p_value == 1
    assert found.upper - found.lower > 20


def test_rows_are_counted_as_given(rng: np.random.Generator) -> None:
    """Missing rows are left out of the sums and kept in the count of rows."""
    nan = float("nan")
    series = [1.0] * 20 + [nan] * 5 + [0.0] * 20
    found = change_point(series, rng=rng)

    assert (found.index, found.n, found.n_missing) == (25, 40, 5)
    assert (found.before, found.after) == (1.0, 0.0)


def test_long_series_are_shuffled_in_blocks(rng: np.random.Generator) -> None:
    """Past the size of a block all permutations still count, once."""
    series = np.arange(30_000) / 30_000

    assert change_point(series, rng=rng, n_permutations=49).p_value == 0.02


@pytest.mark.parametrize(
    ("values", "settings"),
    [
        ([0.5] * 9, {}),
        ([2.0] * 20, {}),
        ([[1.0, 0.0]], {}),
        ([1.0] * 20, {"min_segment": 0}),
        ([1.0] * 20, {"n_permutations": 9}),
        ([1.0] * 20, {"alpha": 0.0}),
    ],
)
def test_bad_input_is_refused(rng: np.random.Generator, values: Any, settings: dict[str, Any]) -> None:
    """Too few values, values outside [0, 1], two dimensions, settings out of range."""
    with pytest.raises(Invalid):
        change_point(values, rng=rng, **settings)
