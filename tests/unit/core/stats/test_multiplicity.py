from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from noria.core.errors import Invalid
from noria.core.stats.multiplicity import benjamini_hochberg, benjamini_yekutieli, bonferroni, holm
from noria.core.stats.samples import Floats

Rule = Callable[[Floats], Floats]


def _holm_by_hand(p: Floats, alpha: float) -> set[int]:
    """Step down as Holm writes it: stop at the first p-value above alpha over the tests that are left."""
    rejected: set[int] = set()
    for step, index in enumerate(np.argsort(p)):
        if p[index] > alpha / (p.size - step):
            break
        rejected.add(int(index))
    return rejected


@pytest.mark.parametrize("n", [1, 2, 17, 400])
def test_false_discovery_rates_are_scipys(rng: np.random.Generator, n: int) -> None:
    """Both rules agree with `scipy.stats.false_discovery_control`."""
    p = rng.beta(0.4, 1, n)

    assert benjamini_hochberg(p) == pytest.approx(stats.false_discovery_control(p))
    assert benjamini_yekutieli(p) == pytest.approx(stats.false_discovery_control(p, method="by"))


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.3])
def test_holm_rejects_what_the_procedure_rejects(rng: np.random.Generator, alpha: float) -> None:
    """Adjusted values at most alpha are those that the written procedure rejects."""
    for _ in range(50):
        p = rng.beta(0.3, 2, 12)
        assert set(np.flatnonzero(holm(p) <= alpha).tolist()) == _holm_by_hand(p, alpha)


def test_bonferroni_multiplies() -> None:
    """P times the number of tests, at most 1."""
    assert bonferroni(np.array([0.01, 0.4, 0.9])).tolist() == pytest.approx([0.03, 1.0, 1.0])


@pytest.mark.parametrize("rule", [benjamini_hochberg, benjamini_yekutieli, bonferroni, holm])
def test_a_test_that_could_not_be_made_does_not_count(rule: Rule) -> None:
    """NaN stays NaN, and the others are adjusted as if it were not there."""
    adjusted = rule(np.array([0.01, np.nan, 0.03]))

    assert np.isnan(adjusted[1])
    assert adjusted[[0, 2]].tolist() == rule(np.array([0.01, 0.03])).tolist()


@pytest.mark.parametrize("rule", [benjamini_hochberg, benjamini_yekutieli, bonferroni, holm])
def test_no_tests_give_no_values(rule: Rule) -> None:
    """An empty list is not an error."""
    assert rule(np.array([])).size == 0


@pytest.mark.parametrize("p", [[0.5, 1.1], [-0.1], [[0.5]], ["0.5"]])
def test_what_is_no_probability_is_refused(p: list[float]) -> None:
    """Outside [0, 1], of two dimensions, or text."""
    with pytest.raises(Invalid, match="`p_values`"):
        benjamini_hochberg(p)


def test_false_discoveries_stay_under_the_level(rng: np.random.Generator) -> None:
    """With 10 real effects among 100 tests, the share of false ones among the found is at most the level."""
    shares: list[float] = []
    for _ in range(500):
        z = rng.normal(size=100)
        z[:10] += 3.5
        found = np.flatnonzero(benjamini_hochberg(stats.norm.sf(z)) <= 0.1)
        shares.append(float(np.mean(found >= 10)) if found.size else 0.0)

    assert np.mean(shares) == pytest.approx(0.09, abs=0.02)
