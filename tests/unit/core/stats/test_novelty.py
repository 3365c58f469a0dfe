import itertools

import numpy as np
import pytest
from sklearn.datasets import load_wine
from sklearn.neighbors import NearestNeighbors

from noria.core.errors import Invalid
from noria.core.stats import novelty as module
from noria.core.stats.novelty import novelty


@pytest.mark.parametrize(("n", "m"), [(50, 23), (2100, 2000)], ids=["one block", "two blocks"])
def test_distances_are_scikit_learns(rng: np.random.Generator, n: int, m: int) -> None:
    """Mean distance to the nearest rows in scaled features, also when computed in blocks."""
    reference, current = rng.normal(size=(n, 4)) * [1, 2, 3, 50], rng.normal(size=(m, 4))
    spread = reference.std(axis=0)
    scale = np.maximum(spread, np.median(spread))
    expected, _ = NearestNeighbors(n_neighbors=3).fit(reference / scale).kneighbors(current / scale)
    found = novelty(reference, reference[:5], current)

    assert found.scores == pytest.approx(expected.mean(axis=1))


def test_p_values_are_ranks(rng: np.random.Generator) -> None:
    """By hand: one more than the calibration rows at least as far, of one more than all of them."""
    found = novelty([[0.0], [0.1]], [[1.0], [2.0], [3.0]], [[0.0], [2.0], [9.0]], n_neighbours=1)

    assert found.p_values.tolist() == [1.0, 0.75, 0.25]


def test_rows_of_the_same_kind_have_uniform_p_values(rng: np.random.Generator) -> None:
    """Over 300 samples a row has a p-value up to 0.1 in 10 % of cases, a sample one up to 0.05 in at most 5 %."""
    rows, samples = [], []
    for _ in range(300):
        found = novelty(rng.normal(size=(40, 3)), rng.normal(size=(39, 3)), rng.normal(size=(30, 3)))
        rows.append(np.mean(found.p_values <= 0.1))
        samples.append(found.p_value <= 0.05)

    assert np.mean(rows) == pytest.approx(0.1, abs=0.015)
    assert np.mean(samples) <= 0.05 + 0.02


def test_an_unknown_kind_of_row_is_seen(rng: np.random.Generator) -> None:
    """One kind of wine that the reference lacks, among 40 rows of known kinds."""
    x, y = load_wine(return_X_y=True)
    known = rng.permutation(x[y != 0])
    current = np.concatenate([known[90:], x[y == 0][:15]])
    found = novelty(known[:50], known[50:90], current)

    assert found.p_value < 0.001
    assert found.n_far >= 8
    assert np.median(found.p_values[-15:]) < 0.1


@pytest.mark.parametrize(("k", "m", "alpha"), [(4, 3, 0.4), (9, 2, 0.1), (3, 4, 0.5)])
def test_the_test_of_the_sample_counts_orders(k: int, m: int, alpha: float) -> None:
    """By brute force: every interleaving of calibration and current rows is equally likely."""
    orders = list(
        itertools.combinations(range(k + m), m)
    )  # where the current rows stand, counted from the farthest
    far = [sum((place - i + 1) / (k + 1) <= alpha for i, place in enumerate(order)) for order in orders]

    for n_far in range(m + 1):
        expected = np.mean([f >= n_far for f in far])
        assert module._far_rows_p_value(n_far, rows=m, calibration=k, alpha=alpha) == pytest.approx(expected)


def test_without_enough_calibration_rows_nothing_is_far(rng: np.random.Generator) -> None:
    """Four calibration rows cannot give a p-value under 0.2."""
    found = novelty(rng.normal(size=(9, 1)), rng.normal(size=(4, 1)), np.full((5, 1), 99.0), alpha=0.05)

    assert (found.n_far, found.p_value) == (0, 1.0)


def test_incomplete_rows_have_no_score() -> None:
    """They are told by position."""
    nan = float("nan")
    found = novelty([[0.0], [1.0], [nan]], [[0.5]], [[nan], [0.2]], n_neighbours=1)

    assert found.kept.tolist() == [False, True]
    assert found.scores.shape == found.p_values.shape == (1,)
    assert found.n_missing == 2


def test_constants_and_absurd_values_are_far_without_a_warning() -> None:
    """A constant feature keeps its unit; huge values stay finite."""
    found = novelty(np.ones((5, 2)), np.ones((4, 2)), [[1.0, 1.0], [1e149, -1e149]])

    assert found.scores[0] == 0
    assert found.scores[1] > 1e8
    assert found.p_values.tolist() == [1.0, 0.2]


def test_bad_input_is_refused(rng: np.random.Generator) -> None:
    """More neighbours than rows, other widths, infinities, no rows."""
    good = rng.normal(size=(5, 2))
    with pytest.raises(Invalid, match="`n_neighbours`"):
        novelty(good, good, good, n_neighbours=6)
    with pytest.raises(Invalid, match="`calibration`"):
        novelty(good, good[:, :1], good)
    with pytest.raises(Invalid, match="`current`"):
        novelty(good, good, good[:, :1])
    with pytest.raises(Invalid, match="`current` holds `inf`"):
        novelty(good, good, np.full((2, 2), np.inf))
    with pytest.raises(Invalid, match="`calibration` is empty"):
        novelty(good, good[:0], good)
