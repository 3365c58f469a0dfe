import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon

from noria.core.errors import Invalid
from noria.core.stats.tests import (
    EmptyBin,
    SortedReference,
    chi_squared,
    chi_squared_counts,
    jensen_shannon_distance,
    ks_two_sample,
    psi,
    wasserstein_1,
)


@pytest.mark.parametrize(("n", "m"), [(200, 150), (30, 7), (1, 500), (1000, 1000)])
@pytest.mark.parametrize("decimals", [12, 0], ids=["continuous", "ties"])
def test_kolmogorov_smirnov_is_scipys(rng: np.random.Generator, n: int, m: int, decimals: int) -> None:
    """Statistic and p-value of each column are those of `scipy.stats.ks_2samp`."""
    reference = rng.normal(size=(n, 4)).round(decimals)
    current = rng.normal([0, 0.2, 0.5, 3], 1, size=(m, 4)).round(decimals)
    ours = ks_two_sample(reference, current)

    for i in range(4):
        theirs = stats.ks_2samp(reference[:, i], current[:, i], method="asymp")
        assert ours.statistic[i] == pytest.approx(theirs.statistic, abs=1e-12)
        assert ours.p_value[i] == pytest.approx(theirs.pvalue, rel=1e-9, abs=1e-12)


def test_one_row_each_is_not_evidence() -> None:
    """The smallest samples have a result without a warning, where SciPy divides by zero."""
    found = ks_two_sample([[1.0, 2.0]], [[1.0, 3.0]])

    assert found.statistic.tolist() == [0.0, 1.0]
    assert found.p_value[0] == 1


def test_a_sorted_reference_gives_the_same(rng: np.random.Generator) -> None:
    """Sorting once and comparing many windows changes nothing."""
    reference = rng.normal(size=(100, 2, 3))
    kept = SortedReference.of(reference)

    for _ in range(3):
        current = rng.normal(size=(40, 6))
        assert (ks_two_sample(kept, current).p_value == ks_two_sample(reference, current).p_value).all()
        assert (wasserstein_1(kept, current) == wasserstein_1(reference, current)).all()


def test_missing_values_are_dropped_per_column() -> None:
    """A column with holes is compared on what it has; one without values has no result."""
    nan = float("nan")
    reference = np.array([[1.0, 1.0], [2.0, 2.0], [nan, 3.0]])
    current = np.array([[1.0, nan], [nan, nan]])
    found = ks_two_sample(reference, current)

    assert found.n_reference.tolist() == [2, 3]
    assert found.n_current.tolist() == [1, 0]
    assert found.statistic[0] == 0.5
    assert np.isnan(found.statistic[1])
    assert np.isnan(found.p_value[1])
    assert np.isnan(wasserstein_1(reference, current)[1])


def test_infinite_values_have_a_rank() -> None:
    """Kolmogorov-Smirnov takes them as the largest value; Wasserstein cannot."""
    inf = float("inf")

    assert ks_two_sample([1.0, 2.0, inf], [1.0, inf, inf]).statistic[0] == pytest.approx(1 / 3)
    with pytest.raises(Invalid, match="`current` holds `inf`"):
        wasserstein_1([1.0], [inf])


@pytest.mark.parametrize(
    ("reference", "current"),
    [([], [1.0]), ([1.0], []), ([[1.0, 2.0]], [[1.0]]), (["a"], ["b"]), (2.0, [1.0])],
)
def test_samples_that_cannot_be_compared_are_refused(reference: object, current: object) -> None:
    """No rows, other widths, not numbers, not rows."""
    with pytest.raises(Invalid):
        ks_two_sample(reference, current)  # type: ignore[arg-type]


def test_kolmogorov_smirnov_raises_false_alarms_at_its_level(rng: np.random.Generator) -> None:
    """Of 1,000 columns from one distribution 5 % are called different at the 5 % level."""
    p = ks_two_sample(rng.gamma(2, size=(400, 1000)), rng.gamma(2, size=(300, 1000))).p_value

    assert np.mean(p <= 0.05) == pytest.approx(0.05, abs=0.022)
    assert np.mean(p <= 0.5) == pytest.approx(0.5, abs=0.055)


def test_kolmogorov_smirnov_on_ties_raises_fewer_false_alarms(rng: np.random.Generator) -> None:
    """Counts with few values make the test careful, not wrong."""
    p = ks_two_sample(rng.integers(0, 4, (300, 300)), rng.integers(0, 4, (200, 300))).p_value

    assert np.mean(p <= 0.05) <= 0.05


def test_wasserstein_is_scipys(rng: np.random.Generator) -> None:
    """Each column's distance is that of `scipy.stats.wasserstein_distance`."""
    reference, current = rng.normal(size=(80, 3)), rng.normal([0, 1, 5], 2, size=(55, 3))
    theirs = [stats.wasserstein_distance(reference[:, i], current[:, i]) for i in range(3)]

    assert wasserstein_1(reference, current) == pytest.approx(theirs)


def test_wasserstein_of_a_shift_is_the_shift() -> None:
    """Moving every row by 3 costs 3."""
    assert wasserstein_1([1.0, 5.0, 6.0], [4.0, 8.0, 9.0]) == pytest.approx([3.0])


def test_stability_index_is_both_divergences_added(rng: np.random.Generator) -> None:
    """PSI is KL(p, q) + KL(q, p) as SciPy's entropy gives them."""
    p, q = rng.dirichlet(np.ones(6)), rng.dirichlet(np.ones(6))

    assert psi(p, q) == pytest.approx(stats.entropy(p, q) + stats.entropy(q, p))


def test_an_empty_bin_is_named() -> None:
    """The message says which bin, and the hint what to do."""
    with pytest.raises(EmptyBin) as caught:
        psi([0.5, 0.5], [1.0, 0.0])

    assert caught.value.message == "Bin `1` of `current_share` is empty"
    assert caught.value.index == 1
    assert "smoothed_shares" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("p", "q"),
    [([0.5, 0.6], [0.5, 0.5]), ([1.0], [0.5, 0.5]), ([1.5, -0.5], [0.5, 0.5]), ([np.nan, 1], [1.0, 0])],
)
def test_shares_that_are_none_are_refused(p: list[float], q: list[float]) -> None:
    """Sums other than 1, other lengths, negatives and NaN."""
    with pytest.raises(Invalid):
        psi(p, q)
    with pytest.raises(Invalid):
        jensen_shannon_distance(p, q)


def test_jensen_shannon_is_scipys(rng: np.random.Generator) -> None:
    """Also with empty bins."""
    p, q = np.append(rng.dirichlet(np.ones(4)), 0), np.append(0, rng.dirichlet(np.ones(4)))

    assert jensen_shannon_distance(p, q) == pytest.approx(jensenshannon(p, q, base=2))
    assert jensen_shannon_distance(p, p) == 0


def test_chi_squared_is_scipys(rng: np.random.Generator) -> None:
    """Without rare cells it is the contingency test without correction."""
    first, second = rng.multinomial(300, [0.2, 0.3, 0.5]), rng.multinomial(200, [0.3, 0.3, 0.4])
    theirs = stats.chi2_contingency(np.stack([first, second]), correction=False)
    ours = chi_squared_counts(first, second)

    assert ours.statistic == pytest.approx(theirs.statistic)
    assert ours.p_value == pytest.approx(theirs.pvalue)
    assert (ours.n_cells, ours.n_pooled, ours.n_reference, ours.n_current) == (3, 0, 300, 200)


def test_rare_categories_are_pooled() -> None:
    """Cells with a smaller expected count under 5 form one cell, as pooling by hand gives."""
    ours = chi_squared_counts([90, 80, 4, 3, 2], [80, 90, 3, 3, 6])
    by_hand = stats.chi2_contingency([[90, 80, 9], [80, 90, 12]], correction=False)

    assert (ours.n_cells, ours.n_pooled) == (3, 3)
    assert ours.statistic == pytest.approx(by_hand.statistic)


def test_a_pool_that_is_too_small_takes_the_next_cell() -> None:
    """One rare category cannot stand alone."""
    ours = chi_squared_counts([100, 50, 1], [100, 50, 2])

    assert (ours.n_cells, ours.n_pooled) == (2, 2)


@pytest.mark.parametrize(("first", "second"), [([5], [9]), ([1, 1], [1, 1]), ([0, 7], [0, 9])])
def test_one_cell_has_nothing_to_compare(first: list[int], second: list[int]) -> None:
    """A constant, or too few rows: no difference, without a warning."""
    ours = chi_squared_counts(first, second)

    assert (ours.statistic, ours.p_value, ours.n_cells) == (0.0, 1.0, 1)


def test_categories_are_counted_and_missing_ones_dropped() -> None:
    """A category that is new in the current sample counts with 0 in the reference."""
    ours = chi_squared(["a"] * 20 + ["b"] * 20 + [None], ["a"] * 20 + ["c"] * 20)
    by_hand = stats.chi2_contingency([[20, 20, 0], [20, 0, 20]], correction=False)

    assert ours.n_missing == 1
    assert ours.statistic == pytest.approx(by_hand.statistic)


@pytest.mark.parametrize(("first", "second"), [([], [1]), ([0, 0], [1, 1]), ([1, 2], [1]), ([-1, 2], [1, 1])])
def test_counts_that_cannot_be_compared_are_refused(first: list[int], second: list[int]) -> None:
    """No rows, other lengths, negatives."""
    with pytest.raises(Invalid, match="_counts`"):
        chi_squared_counts(first, second)


@pytest.mark.parametrize(("first", "second", "name"), [([], ["a"], "reference"), (["a"], [None], "current")])
def test_a_sample_without_categories_is_named(first: list[str], second: list[str], name: str) -> None:
    """The message says which sample has no values."""
    with pytest.raises(Invalid, match=f"`{name}` has no values"):
        chi_squared(first, second)


def test_chi_squared_raises_false_alarms_at_its_level(rng: np.random.Generator) -> None:
    """With many rare categories the pooled test keeps near 5 % of 1,500 trials."""
    shares = np.array([0.4, 0.3, 0.2, 0.05, 0.02, 0.01, 0.01, 0.005, 0.005])
    first, second = rng.multinomial(150, shares, 1500), rng.multinomial(90, shares, 1500)
    p = [chi_squared_counts(a, b).p_value for a, b in zip(first, second, strict=True)]

    assert np.mean(np.array(p) <= 0.05) == pytest.approx(0.05, abs=0.018)
