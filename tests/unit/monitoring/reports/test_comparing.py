"""Two tables compared: figures against SciPy, and tables that are not as one wishes."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon

from noria.core.errors import Invalid
from noria.data.profiling.sources import ArraysTable, FrameTable
from noria.monitoring.reports.comparing import compare_tables
from noria.monitoring.reports.entities import ColumnReport, DriftComparison


def compared(reference: Any, current: Any, **settings: Any) -> DriftComparison:
    tables = [
        FrameTable(side if isinstance(side, pl.DataFrame) else pl.DataFrame(side, strict=False))
        for side in (reference, current)
    ]
    found = compare_tables(*tables, **settings)
    text = msgspec.json.encode(found)

    assert b"NaN" not in text
    assert b"Infinity" not in text
    assert msgspec.json.decode(text, type=DriftComparison) == found
    return found


def column(reference: Any, current: Any, **settings: Any) -> ColumnReport:
    (found,) = compared({"x": reference}, {"x": current}, **settings).columns
    return found


def why_not(reference: Any, current: Any) -> str:
    found = compared({"x": reference, "y": range(len(reference))}, {"x": current, "y": range(len(current))})
    (left_out,) = found.not_compared
    return left_out.why


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(9)


class TestSecondOpinion:
    """The same figures as SciPy's."""

    def test_numbers(self, rng: np.random.Generator) -> None:
        """Kolmogorov-Smirnov, Wasserstein, means; PSI and Jensen-Shannon of deciles."""
        before, after = rng.normal(size=2_000), rng.normal(0.4, 1.5, 700)
        found = column(before, after)
        tested = stats.ks_2samp(before, after, method="asymp")
        edges = [
            -np.inf,
            before.min() - 1e-12,
            *np.quantile(before, np.arange(1, 11) / 10, method="inverted_cdf"),
            np.inf,
        ]
        counts = [np.histogram(np.nextafter(side, -np.inf), edges)[0] + 0.5 for side in (before, after)]
        shares = [c[(counts[0] + counts[1]) > 1] for c in counts]
        p, q = (share / share.sum() for share in shares)

        assert (found.kind, found.test) == ("numeric", "ks")
        assert found.statistic == pytest.approx(tested.statistic)
        assert found.p_value == pytest.approx(tested.pvalue, rel=1e-6)
        assert found.wasserstein == pytest.approx(stats.wasserstein_distance(before, after))
        assert found.wasserstein_std == pytest.approx(
            stats.wasserstein_distance(before, after) / before.std()
        )
        assert (found.mean_reference, found.mean_current) == pytest.approx((before.mean(), after.mean()))
        assert found.psi == pytest.approx(float(np.sum((q - p) * np.log(q / p))))
        assert found.jensen_shannon == pytest.approx(float(jensenshannon(p, q, base=2)))

    def test_categories(self, rng: np.random.Generator) -> None:
        """Chi-squared of the table of counts."""
        before, after = rng.choice(list("abc"), 900), rng.choice(list("abc"), 400, p=[0.5, 0.3, 0.2])
        counts = [[int((side == label).sum()) for label in "abc"] for side in (before, after)]
        tested = stats.chi2_contingency(counts, correction=False)
        found = column(before, after)

        assert (found.kind, found.test) == ("categorical", "chi_squared")
        assert (found.statistic, found.p_value) == pytest.approx((tested.statistic, tested.pvalue))
        assert found.wasserstein is None

    def test_missing_values(self, rng: np.random.Generator) -> None:
        """Chi-squared of known and missing, doubled for the second test made."""
        after: list[float | None] = [*rng.normal(size=400), *[None] * 100, *[float("nan")] * 100]
        found = column(rng.normal(size=500), after)
        tested = stats.chi2_contingency([[500, 0], [400, 200]], correction=False)

        assert (found.test, found.drifted) == ("missing", True)
        assert found.p_value == pytest.approx(2 * tested.pvalue)
        assert (found.missing_reference, found.missing_current) == pytest.approx((0.0, 1 / 3))

    def test_quiet_tables(self, rng: np.random.Generator) -> None:
        """Of 40 pairs of tables with 10 columns at level 0.1, about a tenth has any column that differs."""
        n_any = 0
        for _ in range(40):
            sides = [{f"x{i}": rng.normal(size=n) for i in range(10)} for n in (2_500, 2_000)]
            n_any += compared(*sides, level=0.1).n_differ > 0

        assert n_any <= 9

    def test_false_discoveries(self, rng: np.random.Generator) -> None:
        """With half of the columns moved for certain, the quiet half is rarely called different."""
        sides = [{f"x{i}": rng.normal(moved * (i % 2), size=400) for i in range(60)} for moved in (0.0, 1.0)]
        found = compared(*sides, level=0.05)
        wrong = [c.name for c in found.columns if c.differs and int(c.name[1:]) % 2 == 0]

        assert found.n_differ >= 30
        assert len(wrong) <= 5

    def test_a_constant_has_no_deviation_to_measure_in(self) -> None:
        """Although that of thousands of equal fractions is not always 0 once it is rounded."""
        found = column([0.003467] * 17_000, list(np.linspace(0, 1, 5_000)))

        assert found.wasserstein is not None
        assert found.wasserstein_std is None


class TestVerdict:
    """A difference may be certain and small."""

    def test_a_small_difference_differs_and_has_not_drifted(self, rng: np.random.Generator) -> None:
        """Drift is a matter of size as well."""
        small = column(rng.normal(size=50_000), rng.normal(0.05, size=50_000))
        large = column(rng.normal(size=50_000), rng.normal(0.8, size=50_000))

        assert (small.differs, small.drifted) == (True, False)
        assert (large.differs, large.drifted) == (True, True)

    def test_drifted_columns_come_first(self, rng: np.random.Generator) -> None:
        """Then those that differ."""
        sides = [
            {
                "quiet": rng.normal(size=5_000),
                "small": rng.normal(by / 10, size=5_000),
                "large": rng.normal(by, size=5_000),
            }
            for by in (0.0, 1.0)
        ]

        assert [c.name for c in compared(*sides).columns] == ["large", "small", "quiet"]

    def test_new_categories_are_named(self) -> None:
        """With their share, the commonest first."""
        found = column(["a", "b"] * 50, ["a"] * 40 + ["new"] * 40 + ["rare"] * 20)

        assert (found.new_values, found.new_share) == (["new", "rare"], 0.6)

    def test_bars_hold_every_row(self, rng: np.random.Generator) -> None:
        """Shares of each side add up to one, whatever the extremes."""
        found = column([*rng.normal(size=500), 1e9], [*rng.normal(size=300), -np.inf])

        assert sum(bar.reference for bar in found.bars) == pytest.approx(1)
        assert sum(bar.current for bar in found.bars) == pytest.approx(300 / 300)


class TestBadInput:
    """What tables may hold besides."""

    @pytest.mark.parametrize(
        ("reference", "current", "why"),
        [
            ([1.0] * 50, [1.0] * 50, "one and the same value"),
            ([None] * 50, [None] * 50, "one and the same value"),
            ([float("nan")] * 50, [None] * 50, "one and the same value"),
            (np.arange(50.0), np.arange(1.0), "fewer than 20 rows"),
            ([f"id-{i}" for i in range(3000)], [f"other-{i}" for i in range(3000)], "nearly every value"),
            (np.arange(50).astype("M8[D]"), np.arange(50).astype("M8[D]"), "a time"),
            (
                [f"2026-01-{d:02}" for d in range(1, 31)],
                [f"2026-02-{d:02}T10:00" for d in range(1, 25)],
                "a time",
            ),
            ([["a"]] * 50, [["b"]] * 50, "lists"),
        ],
    )
    def test_what_no_test_tells_anything_about(self, reference: Any, current: Any, why: str) -> None:
        """Is left out with the reason."""
        if len(current) == 1:
            found = compared({"x": reference}, {"x": current})
            assert why in found.not_compared[0].why
            assert found.n_differ == 0
        else:
            assert why in why_not(reference, current)

    @pytest.mark.parametrize(
        ("reference", "current"),
        [
            ([3.0] * 200, [4.0] * 200),
            ([3.5] * 200, list(np.linspace(0, 1, 200))),
            (list(np.linspace(0, 1, 200)), [None] * 200),
            ([None] * 200, list(np.linspace(0, 1, 200))),
            (list(np.linspace(0, 1, 200)), [np.inf] * 200),
            ([np.inf] * 200, list(np.linspace(0, 1, 200))),
            (["one"] * 200, ["two"] * 200),
            ([True] * 200, [False] * 200),
            (list(np.linspace(0, 1, 200)), ["text"] * 200),
            ([1e308, -1e308] * 100, [5e-324, 0.0] * 100),
        ],
    )
    def test_the_worst_is_drift(self, reference: Any, current: Any) -> None:
        """Constants that moved, columns that went missing or came to life, infinities, another type."""
        assert column(reference, current).drifted

    def test_vanished_and_added_columns_are_told(self) -> None:
        """They cannot be compared."""
        found = compared({"x": range(100), "old": range(100)}, {"x": range(100), "new": range(100)})

        assert (found.vanished, found.added) == (["old"], ["new"])

    def test_a_reference_smaller_than_the_window(self, rng: np.random.Generator) -> None:
        """Is compared all the same, and quiet when it is."""
        assert not column(rng.normal(size=30), rng.normal(size=5_000)).differs

    def test_arrays_and_types(self, rng: np.random.Generator) -> None:
        """Half floats, bytes, unsigned and decimal numbers, Enum and Categorical are what they mean."""
        arrays = {
            "half": rng.normal(size=100).astype("f2"),
            "bytes": np.array([b"a", b"b"] * 50),
            "unsigned": rng.integers(0, 2**63, 100).astype("u8"),
        }
        found = compare_tables(ArraysTable(arrays), ArraysTable(arrays))
        frame = pl.DataFrame(
            {
                "d": pl.Series(range(100)).cast(pl.Decimal(10, 2)),
                "c": pl.Series(["a", "b"] * 50).cast(pl.Categorical),
                "e": pl.Series(["a", "b"] * 50).cast(pl.Enum(["a", "b"])),
            }
        )

        assert {c.name: c.kind for c in found.columns} == {
            "half": "numeric",
            "bytes": "categorical",
            "unsigned": "numeric",
        }
        assert [c.p_value for c in compared(frame, frame).columns] == [1.0] * 3

    def test_what_cannot_be_compared_is_refused(self) -> None:
        """Nothing in common, no rows, settings out of range."""
        with pytest.raises(Invalid, match="no column in common"):
            compared({"a": [1]}, {"b": [1]})
        with pytest.raises(Invalid, match="`current` has no rows"):
            compared({"a": [1]}, {"a": []})
        for settings in ({"level": 0.0}, {"level": 1.0}, {"least_psi": -1.0}, {"least_psi": float("nan")}):
            with pytest.raises(Invalid):
                compared({"a": [1]}, {"a": [1]}, **settings)
