"""Drift of columns against SciPy, and columns that are not as one wishes."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from noria.monitoring.drift import drift_report
from noria.monitoring.entities import ColumnDrift, DriftReport

RNG = np.random.default_rng(0)
STEADY = RNG.normal(size=2000)


def report(reference: Any, current: Any, *, level: float = 0.01, least_psi: float = 0.2) -> DriftReport:
    found = drift_report(reference, current, level=level, least_psi=least_psi)
    assert found is not None
    assert msgspec.json.decode(msgspec.json.encode(found), type=DriftReport) == found
    return found


def column(reference: Any, current: Any) -> ColumnDrift:
    (found,) = report({"x": np.asarray(reference)}, {"x": np.asarray(current)}).columns
    return found


class TestSecondOpinion:
    """The same figures as SciPy's."""

    @pytest.mark.parametrize("shift", [0.0, 0.3, 3.0])
    def test_numbers(self, shift: float) -> None:
        """Kolmogorov-Smirnov at the edges of the reference's tenths: SciPy's of values cut at these, within 0.2 %."""
        current = np.random.default_rng(1).normal(shift, size=300)
        tenths = np.quantile(STEADY, np.arange(1, 11) / 10, method="inverted_cdf")
        edges = [STEADY.min() - 1e-12, *tenths]
        before, after = (
            np.searchsorted(edges, side, side="left").astype(float) for side in (STEADY, current)
        )
        ours, theirs = column(STEADY, current), stats.ks_2samp(before, after, method="asymp")
        exact = stats.ks_2samp(STEADY, current, method="asymp")

        assert ours.test == "ks"
        assert ours.statistic == pytest.approx(theirs.statistic)
        assert ours.p_value == pytest.approx(theirs.pvalue, rel=2e-3, abs=1e-300)
        assert ours.statistic <= exact.statistic
        assert ours.p_value >= exact.pvalue * (1 - 2e-3)

    @pytest.mark.parametrize("kind", [int, float, str, bool])
    def test_categories(self, kind: type) -> None:
        """Chi-squared of the table of counts: each of few values has a cell of its own."""
        rng = np.random.default_rng(2)
        values = 2 if kind is bool else 4
        reference: NDArray[Any] = rng.integers(0, values, 500).astype(kind)
        current: NDArray[Any] = np.minimum(rng.integers(0, values, 300), rng.integers(0, values, 300)).astype(
            kind
        )
        table = [
            [int((side == value).sum()) for value in np.unique(reference)] for side in (reference, current)
        ]
        theirs = stats.chi2_contingency(table, correction=False)
        ours = column(reference, current)

        assert ours.test == "chi_squared"
        assert ours.statistic == pytest.approx(theirs.statistic)
        assert ours.p_value == pytest.approx(theirs.pvalue, rel=1e-6)

    def test_the_adjustment_over_columns(self) -> None:
        """Benjamini-Hochberg over all columns, not over the ten that are shown."""
        rng = np.random.default_rng(3)
        reference = {f"c{i}": rng.normal(size=400) for i in range(25)}
        current = {name: rng.normal(0.1 * i, size=200) for i, name in enumerate(reference)}
        p_values = [column(reference[name], current[name]).p_value for name in reference]
        adjusted = dict(zip(reference, stats.false_discovery_control(p_values), strict=True))
        found = report(reference, current)

        assert found.n_columns == 25
        assert len(found.columns) == 10
        for shown in found.columns:
            assert shown.adjusted_p_value == pytest.approx(adjusted[shown.name], rel=1e-6, abs=1e-300)


class TestVerdict:
    """When a column has drifted."""

    def test_the_same_distribution_has_not(self) -> None:
        """Of 150 windows of 20 columns each, about one in a hundred may say so; more than six would be a mistake."""
        rng = np.random.default_rng(4)
        reference = {f"c{i}": rng.normal(size=1000) for i in range(20)}
        windows = [{name: rng.normal(size=200) for name in reference} for _ in range(150)]

        assert sum(report(reference, window, least_psi=0.0).drifted for window in windows) <= 6

    def test_a_certain_but_small_difference_has_not(self) -> None:
        """With many rows everything differs; only what is large enough matters."""
        rng = np.random.default_rng(5)
        found = column(rng.normal(size=5000), rng.normal(0.15, size=5000))

        assert found.adjusted_p_value < 0.01
        assert not found.drifted

    def test_a_large_one_has_and_comes_first(self) -> None:
        """Those that drifted are shown before those that did not."""
        rng = np.random.default_rng(6)
        reference = {name: rng.normal(size=500) for name in "abc"}
        current = {"a": rng.normal(size=200), "b": rng.normal(2.0, size=200), "c": rng.normal(size=200)}
        found = report(reference, current)

        assert (found.n_drifted, found.columns[0].name, found.drifted) == (1, "b", True)


class TestOddColumns:
    """Constants, missing values, infinities, texts, columns that come and go."""

    def test_a_constant_on_both_sides_is_left_out(self) -> None:
        """No test has anything to say about it, and it takes no part in the adjustment."""
        steady = {
            "x": STEADY[:500],
            "k": np.full(500, 3.0),
            "t": np.full(500, "a"),
            "n": np.full(500, np.nan),
        }
        found = report(steady, {"x": STEADY[500:700], **{k: steady[k][:200] for k in "ktn"}})

        assert [shown.name for shown in found.columns] == ["x"]

    def test_nothing_but_constants(self) -> None:
        """There is no report."""
        assert drift_report({"k": np.zeros(50)}, {"k": np.zeros(50)}, level=0.01, least_psi=0.2) is None

    @pytest.mark.parametrize(
        ("before", "after"),
        [(np.full(500, 3.0), STEADY[:200]), (STEADY[:500], np.full(200, 3.0)), (np.zeros(500), np.ones(200))],
    )
    def test_a_constant_on_one_side_has_drifted(self, before: NDArray[Any], after: NDArray[Any]) -> None:
        """A sensor that froze, one that came to life, one that froze elsewhere."""
        assert column(before, after).drifted

    def test_a_column_that_went_missing_has_drifted(self) -> None:
        """All of it: there is no value left to compare, and that is what is told."""
        found = column(STEADY[:500], np.full(200, np.nan))

        assert (found.test, found.drifted) == ("missing", True)

    def test_a_column_of_few_values_that_went_missing_has_drifted(self) -> None:
        """Whether it is ordered or counted."""
        assert column(np.arange(500.0) % 3, np.full(200, np.nan)).drifted

    def test_a_growing_share_of_missing_values_is_drift(self) -> None:
        """Although the values that are there are as they were."""
        current = np.where(np.arange(400) % 2 == 0, np.nan, STEADY[1000:1400])
        found = column(STEADY[:500], current)
        counts = stats.chi2_contingency([[500, 0], [200, 200]], correction=False)

        assert (found.test, found.drifted) == ("missing", True)
        assert found.p_value == pytest.approx(2 * counts.pvalue)

    def test_the_same_share_of_missing_values_is_none(self) -> None:
        """What was always missing now and then is no news."""
        rng = np.random.default_rng(8)
        sides = [np.where(rng.random(n) < 0.2, np.nan, rng.normal(size=n)) for n in (1000, 300)]

        assert not column(*sides).drifted

    def test_missing_values_do_not_hide_a_shift_of_the_rest(self) -> None:
        """The stronger of the two findings counts."""
        rng = np.random.default_rng(9)
        sides = [
            np.where(rng.random(n) < 0.2, np.nan, rng.normal(mean, size=n))
            for n, mean in ((1000, 0), (300, 2))
        ]
        found = column(*sides)

        assert (found.test, found.drifted) == ("ks", True)

    @pytest.mark.parametrize("bad", [np.inf, -np.inf])
    def test_infinities_are_values_beyond_all_others(self, bad: float) -> None:
        """They are counted outside of the reference's range, and every figure stays finite."""
        current = np.where(np.arange(200) % 2 == 0, bad, STEADY[:200])
        found = column(STEADY[:500], current)

        assert found.drifted
        assert all(np.isfinite([found.statistic, found.p_value, found.adjusted_p_value, found.psi]))

    def test_a_reference_of_infinities_has_no_bins(self) -> None:
        """And is compared all the same."""
        assert column(np.full(500, np.inf), STEADY[:200]).drifted

    def test_texts(self) -> None:
        """A new category is drift; the same shares are not."""
        reference = np.array(["red", "green"])[np.arange(600) % 2]
        same = np.array(["red", "green"])[np.arange(200) % 2]
        other = np.array(["red", "green", "ultraviolet"])[np.arange(200) % 3]

        assert not column(reference, same).drifted
        assert column(reference, other).drifted

    def test_columns_on_one_side_only_are_left_out(self) -> None:
        """New and vanished columns cannot be compared."""
        found = report({"x": STEADY[:500], "old": STEADY[:500]}, {"x": STEADY[500:700], "new": STEADY[:200]})

        assert [shown.name for shown in found.columns] == ["x"]
        assert drift_report({"a": STEADY}, {"b": STEADY}, level=0.01, least_psi=0.2) is None

    @pytest.mark.parametrize(("n", "enough"), [(0, False), (19, False), (20, True)])
    def test_few_rows_are_not_judged(self, n: int, enough: bool) -> None:
        """Fewer than twenty say nothing."""
        found = drift_report({"x": STEADY}, {"x": STEADY[:n]}, level=0.01, least_psi=0.2)

        assert (found is not None) == enough

    def test_whole_numbers_of_many_values_are_ordered(self) -> None:
        """Counts up to a hundred are numbers, not categories."""
        rng = np.random.default_rng(10)

        assert column(rng.integers(0, 100, 500), rng.integers(0, 100, 200)).test == "ks"
