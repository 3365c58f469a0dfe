import itertools
import json
import math
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import pytest

from noria.core.errors import Invalid
from noria.core.stats.bins import smoothed_shares
from noria.core.stats.profiles import (
    MAX_DISTINCT,
    QUANTILE_LEVELS,
    TableProfile,
    array_columns,
    cell_counts,
    compare,
    compare_counts,
    profile_array,
    profile_table,
)
from noria.core.stats.tests import psi


def test_a_numeric_column_is_described(rng: np.random.Generator) -> None:
    """Moments and quantiles are NumPy's; counts add up to the rows."""
    values = rng.normal(3, 2, 500)
    found = profile_table({"a": [*values, None, float("nan"), float("inf")]}).columns["a"]

    assert found.kind == "numeric"
    assert (found.n_rows, found.n_missing, found.n_infinite) == (503, 2, 1)
    assert found.mean == pytest.approx(values.mean())
    assert found.std == pytest.approx(values.std())
    assert (found.minimum, found.maximum) == (values.min(), values.max())
    assert found.quantiles == pytest.approx(np.quantile(values, QUANTILE_LEVELS))
    assert sum(found.counts) == 501
    assert len(found.counts) == len(found.edges) + 1


def test_a_categorical_column_is_described() -> None:
    """Categories by frequency, then by name; the rest is counted together."""
    found = profile_table({"a": ["b"] * 3 + ["a"] * 3 + ["c", "d", None]}, n_top=2).columns["a"]

    assert found.kind == "categorical"
    assert [(c.label, c.n) for c in found.top] == [("a", 3), ("b", 3)]
    assert (found.n_other, found.n_missing, found.n_distinct, found.n_rows) == (2, 1, 4, 9)
    assert found.mean is None


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2], "numeric"),
        ([True, False], "categorical"),
        (["1", "2"], "categorical"),
        (np.array([1, None, 2.5], dtype=object), "numeric"),
        (np.array([Decimal("1.5"), None], dtype=object), "numeric"),
        (np.array([True, None], dtype=object), "categorical"),
        (np.array([None, None], dtype=object), "categorical"),
        (np.array([1, "x"], dtype=object), "categorical"),
        (np.array(["2026-01-01"], dtype="M8[s]"), "numeric"),
        (np.array([5], dtype="m8[s]"), "numeric"),
        (np.array([b"x"]), "categorical"),
    ],
)
def test_the_kind_follows_the_values(values: Any, kind: str) -> None:
    """Numbers and dates are numeric, all else is a category."""
    assert profile_table({"a": values}).columns["a"].kind == kind


def test_dates_are_seconds_since_1970() -> None:
    """NaT is missing."""
    found = profile_table({"at": np.array(["1970-01-02", "NaT", "1970-01-03"], dtype="M8[D]")}).columns["at"]

    assert (found.minimum, found.maximum, found.n_missing) == (86400.0, 172800.0, 1)
    assert found.mean == datetime.fromisoformat("1970-01-02T12:00:00+00:00").timestamp()


@pytest.mark.parametrize(
    "values",
    [
        [float("nan")] * 3,
        [float("inf"), float("-inf")],
        [5.0] * 10,
        [1.7e308, -1.7e308, 0.0],
        [5e-324, 0.0, -5e-324],
        np.array([2**63 - 1, -(2**63)]),
        np.array([1.0, np.finfo(np.float32).max], dtype=np.float32),
        np.array([1.0, 2.0, np.nan], dtype=np.float16),
    ],
)
def test_odd_numbers_give_clean_json(values: Any) -> None:
    """Nothing known, constants and the ends of the range: no warning, no NaN, and the same profile after JSON."""
    profile = profile_table({"a": values})
    text = msgspec.json.encode(profile)
    numbers = [v for v in json.loads(text)["columns"]["a"].values() if isinstance(v, float)]

    assert msgspec.json.decode(text, type=TableProfile) == profile
    assert b"null" not in text or profile.columns["a"].minimum is None
    assert all(math.isfinite(v) for v in numbers)


def test_many_distinct_values_are_capped_and_say_so() -> None:
    """Above the cap the count is a lower bound."""
    few = profile_table({"a": np.arange(MAX_DISTINCT)}).columns["a"]
    many = profile_table({"a": np.arange(MAX_DISTINCT + 1).astype(str)}).columns["a"]

    assert (few.n_distinct, few.n_distinct_capped) == (MAX_DISTINCT, False)
    assert (many.n_distinct, many.n_distinct_capped) == (MAX_DISTINCT, True)


def test_an_array_is_profiled_feature_by_feature(rng: np.random.Generator) -> None:
    """Shape (n, 2, 3) gives x0 to x5 in C order."""
    array = rng.random((20, 2, 3))
    profile = profile_array(array)

    assert list(profile.columns) == ["x0", "x1", "x2", "x3", "x4", "x5"]
    assert profile.n_rows == 20
    assert profile.columns["x4"].mean == pytest.approx(array[:, 1, 1].mean())
    assert profile_array(array[:, 0, 0]).columns["x0"] == profile.columns["x0"]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({}, "no columns"),
        ({"a": []}, "column `a` is empty"),
        ({"a": [1, 2], "b": [1]}, "Column `b` has `1` rows and column `a` has `2`"),
        ({"a": [[1, 2]]}, "Column `a` must have one dimension"),
        ({"a": np.array([1 + 2j])}, None),
    ],
)
def test_a_bad_table_is_refused(columns: dict[str, Any], said: str | None) -> None:
    """The message names the column; complex numbers are categories."""
    if said is None:
        assert profile_table(columns).columns["a"].kind == "categorical"
        return
    with pytest.raises(Invalid) as caught:
        profile_table(columns)

    assert said in caught.value.message


@pytest.mark.parametrize("array", [[], 5.0, [["a"]], np.zeros((3, 0))])
def test_a_bad_array_is_refused(array: Any) -> None:
    """No rows, no features, not numbers."""
    with pytest.raises(Invalid, match="`array`"):
        profile_array(array)


def test_settings_are_checked() -> None:
    """At least one bin and one category."""
    with pytest.raises(Invalid, match="`n_bins`"):
        profile_table({"a": [1, 2]}, n_bins=0)
    with pytest.raises(Invalid, match="`n_top`"):
        profile_table({"a": ["x"]}, n_top=0)


def test_the_reference_itself_does_not_differ(rng: np.random.Generator) -> None:
    """Compared with its own rows every distance is 0."""
    columns = {"a": rng.normal(size=300), "b": rng.choice(["x", "y"], 300), "c": np.ones(300)}
    found = compare(profile_table(columns), columns)

    assert {
        name: (c.psi, c.jensen_shannon, c.p_value, c.n_outside) for name, c in found.items()
    } == dict.fromkeys(columns, (0.0, 0.0, 1.0, 0))


def test_the_index_is_that_of_the_stored_bins(rng: np.random.Generator) -> None:
    """By hand: count both samples in the stored bins, smooth, and compare shares."""
    reference, current = rng.normal(size=400), rng.normal(0.4, 1, 200)
    profile = profile_table({"a": reference})
    column = profile.columns["a"]
    bounds = [-np.inf, *column.edges, np.inf]
    counts = [int(np.sum((current > a) & (current <= b))) for a, b in itertools.pairwise(bounds)]
    both = [(r, c) for r, c in zip(column.counts, counts, strict=True) if r + c]
    expected = psi(smoothed_shares([r for r, _ in both]), smoothed_shares([c for _, c in both]))

    assert compare(profile, {"a": current})["a"].psi == pytest.approx(expected)


def test_more_missing_values_are_a_difference(rng: np.random.Generator) -> None:
    """A hole in the data shows in index and p-value though the rest is as before."""
    reference = rng.normal(size=500)
    current = reference.copy()
    current[:100] = np.nan
    found = compare(profile_table({"a": reference}), {"a": current})["a"]

    assert found.n_missing == 100
    assert found.psi > 0.5
    assert found.p_value < 1e-6


def test_rows_outside_the_reference_are_counted() -> None:
    """Below, above, infinite, and unknown categories."""
    reference: dict[str, Any] = {"a": [1.0, 2.0, 3.0], "b": ["x", "y", "x"], "c": [None, None, None]}
    window: dict[str, Any] = {"a": [0.9, np.inf, 2.5], "b": ["z", "x", None], "c": [None, "new", None]}
    found = compare(profile_table(reference), window)

    assert (found["a"].n_outside, found["b"].n_outside, found["c"].n_outside) == (2, 1, 1)


def test_categories_beyond_the_list_are_not_called_unknown() -> None:
    """When the profile lists only a part, others may have been there."""
    profile = profile_table({"a": ["x", "x", "y"]}, n_top=1)

    assert compare(profile, {"a": ["y", "z"]})["a"].n_outside == 0


def test_windows_add_up(rng: np.random.Generator) -> None:
    """Counts of two windows, added, compare as the rows of both do."""
    profile = profile_table({"a": rng.normal(size=200), "b": rng.choice(list("xyz"), 200)})
    first = {"a": rng.normal(1, 1, 50), "b": rng.choice(list("xyw"), 50)}
    second = {"a": rng.normal(2, 1, 30), "b": rng.choice(list("xyw"), 30)}
    joined = compare(profile, {name: np.concatenate([first[name], second[name]]) for name in first})

    for name, column in profile.columns.items():
        counts = cell_counts(column, first[name]) + cell_counts(column, second[name])
        assert compare_counts(column, counts) == joined[name]


def test_equal_samples_are_called_different_at_the_level(rng: np.random.Generator) -> None:
    """Over 500 columns of equal distribution 5 % have a p-value up to 0.05."""
    profile = profile_array(rng.normal(size=(400, 500)))
    found = compare(profile, array_columns(rng.normal(size=(300, 500))))

    assert np.mean([c.p_value <= 0.05 for c in found.values()]) == pytest.approx(0.05, abs=0.03)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"siz": [1.0]}, "There is no column `size`"),
        ({"size": ["big"]}, "`size` must hold numbers"),
        ({"size": []}, "column `size` is empty"),
    ],
)
def test_a_window_that_does_not_fit_is_refused(columns: dict[str, Any], said: str) -> None:
    """A column that is gone, texts for numbers, no rows."""
    profile = profile_table({"size": [1.0, 2.0]})
    with pytest.raises(Invalid) as caught:
        compare(profile, columns)

    assert said in caught.value.message


def test_a_near_name_is_suggested() -> None:
    """The hint holds the column that was probably meant."""
    with pytest.raises(Invalid) as caught:
        compare(profile_table({"size": [1.0]}), {"sizes": [1.0]})

    assert caught.value.hint == "Is it `sizes`?"


@pytest.mark.parametrize("counts", [[1, 2], [0, 0, 0, 0, 0]])
def test_counts_fit_the_profile(counts: list[int]) -> None:
    """Another number of cells, or no rows."""
    column = profile_table({"a": [1.0, 2.0]}).columns["a"]
    with pytest.raises(Invalid, match="`counts`"):
        compare_counts(column, counts)
