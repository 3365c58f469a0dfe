"""What holds for every input: symmetry, order, split and merge, round trips."""

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from noria.core.stats.bins import bin_counts, quantile_edges, smoothed_shares
from noria.core.stats.intervals import clopper_pearson, newcombe_difference, newcombe_paired, wilson
from noria.core.stats.multiplicity import benjamini_hochberg, benjamini_yekutieli, bonferroni, holm
from noria.core.stats.profiles import TableProfile, cell_counts, compare, profile_table
from noria.core.stats.samples import Floats
from noria.core.stats.sequential import BoundedMean, confidence_sequence, difference_interval
from noria.core.stats.tests import (
    chi_squared_counts,
    jensen_shannon_distance,
    ks_two_sample,
    psi,
    wasserstein_1,
)

finite = st.floats(-1e6, 1e6)
samples = arrays.arrays(np.float64, st.integers(1, 30), elements=finite)
units = arrays.arrays(np.float64, st.integers(1, 60), elements=st.floats(0, 1))
probabilities = arrays.arrays(np.float64, st.integers(1, 30), elements=st.floats(0, 1))
counts = st.lists(st.integers(0, 200), min_size=3, max_size=3).filter(lambda c: sum(c) > 0)


@given(samples, samples)
def test_tests_of_two_samples_are_symmetric(a: Floats, b: Floats) -> None:
    """Which sample is the reference does not matter."""
    there, back = ks_two_sample(a, b), ks_two_sample(b, a)

    assert there.statistic == pytest.approx(back.statistic)
    assert there.p_value == pytest.approx(back.p_value)
    assert wasserstein_1(a, b) == pytest.approx(wasserstein_1(b, a))


@given(samples)
def test_a_sample_does_not_differ_from_itself(a: Floats) -> None:
    """Distance 0, p-value 1, in any order of the rows."""
    found = ks_two_sample(a, a[::-1])

    assert found.statistic[0] == 0
    assert found.p_value[0] == 1
    assert wasserstein_1(a, a[::-1])[0] == 0


@given(samples, samples)
def test_a_rank_test_ignores_the_unit(a: Floats, b: Floats) -> None:
    """Any rising change of unit leaves the Kolmogorov-Smirnov statistic as it is."""
    scaled = ks_two_sample(8 * a, 8 * b)

    assert scaled.statistic == ks_two_sample(a, b).statistic


@given(samples, samples, samples)
def test_the_distance_takes_no_detour(a: Floats, b: Floats, c: Floats) -> None:
    """Wasserstein obeys the triangle inequality."""
    assert wasserstein_1(a, c)[0] <= (wasserstein_1(a, b)[0] + wasserstein_1(b, c)[0]) * (1 + 1e-9) + 1e-6


@given(counts, counts, counts)
def test_distances_of_shares_behave(a: list[int], b: list[int], c: list[int]) -> None:
    """Both are symmetric, at least 0, and 0 for equal shares; Jensen-Shannon is a metric up to 1."""
    p, q, r = smoothed_shares(a), smoothed_shares(b), smoothed_shares(c)

    assert psi(p, q) == pytest.approx(psi(q, p))
    assert psi(p, q) >= 0
    assert psi(p, p) == 0
    assert jensen_shannon_distance(p, q) == pytest.approx(jensen_shannon_distance(q, p))
    assert (
        jensen_shannon_distance(p, r) <= jensen_shannon_distance(p, q) + jensen_shannon_distance(q, r) + 1e-7
    )
    assert jensen_shannon_distance(p, q) <= 1


@given(counts, counts, st.permutations(range(3)))
def test_chi_squared_ignores_order_and_roles(a: list[int], b: list[int], order: list[int]) -> None:
    """Swapping the samples changes nothing; nor does the order of cells, unless equal totals are pooled."""
    found, swapped = chi_squared_counts(a, b), chi_squared_counts(b, a)
    shuffled = chi_squared_counts([a[i] for i in order], [b[i] for i in order])

    assert found.p_value == pytest.approx(swapped.p_value)
    assert 0 <= found.p_value <= 1
    if len({x + y for x, y in zip(a, b, strict=True)}) == 3:
        assert found.p_value == pytest.approx(shuffled.p_value)


@given(probabilities)
def test_adjusted_p_values_stand_in_order(p: Floats) -> None:
    """Raw <= Benjamini-Hochberg <= Holm <= Bonferroni, and Benjamini-Yekutieli above Hochberg's; all up to 1."""
    bh, by, holms, most = benjamini_hochberg(p), benjamini_yekutieli(p), holm(p), bonferroni(p)
    slack = 1 + 1e-12

    assert (p <= bh * slack).all()
    assert (bh <= holms * slack).all()
    assert (holms <= most * slack).all()
    assert (bh <= by * slack).all()
    assert most.max() <= 1


@given(probabilities)
def test_adjusting_keeps_the_order_and_ignores_position(p: Floats) -> None:
    """A smaller p-value stays the smaller one, wherever it stands in the list."""
    order = np.argsort(p, kind="stable")
    for rule in (benjamini_hochberg, benjamini_yekutieli, holm, bonferroni):
        adjusted = rule(p)
        assert (np.diff(adjusted[order]) >= 0).all()
        assert rule(p[::-1])[::-1] == pytest.approx(adjusted, rel=1e-12)


@given(st.integers(1, 500), st.data())
def test_proportions_mirror(n: int, data: st.DataObject) -> None:
    """The interval of failures is one minus that of successes; Clopper-Pearson holds the estimate and is wider."""
    k = data.draw(st.integers(0, n))
    for method in (wilson, clopper_pearson):
        found, mirrored = method(k, n), method(n - k, n)
        assert found.lower == pytest.approx(1 - mirrored.upper, abs=1e-9)
        assert 0 <= found.lower <= found.estimate <= found.upper <= 1

    assert clopper_pearson(k, n).upper >= wilson(k, n).upper - 0.02


@given(st.lists(st.integers(0, 60), min_size=4, max_size=4).filter(any))
def test_paired_differences_are_odd(cells: list[int]) -> None:
    """Swapping the two models turns the sign, and no limit leaves [-1, 1]."""
    both, first, second, neither = cells
    found, swapped = (
        newcombe_paired(both, first, second, neither),
        newcombe_paired(both, second, first, neither),
    )

    assert found.lower == pytest.approx(-swapped.upper, abs=1e-12)
    assert -1 <= found.lower <= found.estimate + 1e-12
    assert found.estimate - 1e-12 <= found.upper <= 1


@given(st.integers(0, 40), st.integers(0, 40))
def test_differences_are_odd(k: int, j: int) -> None:
    """First minus second is minus second minus first."""
    found, swapped = newcombe_difference(k, 40, j, 40), newcombe_difference(j, 40, k, 40)

    assert found.lower == pytest.approx(-swapped.upper, abs=1e-12)


@given(units, st.lists(st.integers(0, 60), max_size=5))
def test_any_split_of_updates_gives_the_same_state(values: Floats, cuts: list[int]) -> None:
    """One update or many, with empty ones between: equal to the last bit, so the interval is as well."""
    state = BoundedMean()
    for part in np.split(values, sorted(min(cut, values.size) for cut in cuts)):
        state = state.update(part)

    assert state == BoundedMean().update(values)


@settings(max_examples=30)
@given(units, st.sampled_from([0.01, 0.05, 0.3]))
def test_sequences_hold_the_mean_and_mirror(values: Floats, alpha: float) -> None:
    """The running mean is inside at every step, and 1 - x gives one minus the interval."""
    lower, upper = confidence_sequence(values, alpha)
    mirrored_lower, mirrored_upper = confidence_sequence(1 - values, alpha)
    means = np.cumsum(values) / np.arange(1, values.size + 1)

    assert (lower <= means + 1e-9).all()
    assert (means <= upper + 1e-9).all()
    assert lower == pytest.approx(1 - mirrored_upper, abs=1e-7)
    assert upper == pytest.approx(1 - mirrored_lower, abs=1e-7)


@settings(max_examples=30)
@given(units)
def test_more_certainty_is_wider(values: Floats) -> None:
    """The interval at alpha 0.01 holds that at 0.05, which holds that at 0.3."""
    state = BoundedMean().update(values)
    strict, usual, loose = (state.interval(alpha) for alpha in (0.01, 0.05, 0.3))

    assert strict.lower <= usual.lower <= loose.lower <= loose.upper <= usual.upper <= strict.upper


@settings(max_examples=15)
@given(units, units)
def test_a_difference_holds_its_estimate(a: Floats, b: Floats) -> None:
    """Inside the interval, which is never wider than the bounds allow."""
    found = difference_interval(BoundedMean().update(a), BoundedMean().update(b))

    assert -1 - 1e-9 <= found.lower <= found.estimate + 1e-9
    assert found.estimate - 1e-9 <= found.upper <= 1 + 1e-9


@given(samples, st.integers(1, 12))
def test_every_value_has_one_bin(values: Floats, n_bins: int) -> None:
    """All are counted, none in the outer bins, and edges rise."""
    edges = quantile_edges(values, n_bins)
    found = bin_counts(values, edges)

    assert found.sum() == values.size
    assert found[0] == found[-1] == 0
    assert (np.diff(edges) > 0).all()
    assert (found[1:-1] > 0).all()


cells = st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True), st.integers(-(2**70), 2**70))
words = st.one_of(st.none(), st.text(max_size=3), st.booleans())


@given(st.lists(st.tuples(cells, words), min_size=1, max_size=25))
def test_a_profile_survives_json_and_knows_its_own_rows(rows: list[tuple[object, object]]) -> None:
    """Any mix of numbers and texts: equal after JSON, without NaN, and no different from itself."""
    columns = {
        "number": np.array([row[0] for row in rows], dtype=object),
        "word": np.array([row[1] for row in rows], dtype=object),
    }
    profile = profile_table(columns)
    found = compare(profile, columns)

    assert msgspec.json.decode(msgspec.json.encode(profile), type=TableProfile) == profile
    assert {(c.psi, c.p_value) for c in found.values()} == {(0.0, 1.0)}
    for name, column in profile.columns.items():
        assert cell_counts(column, columns[name]).sum() == len(rows) == column.n_rows
