"""Counters of streams: figures against NumPy, and batches that are not as one wishes."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from noria.core.errors import Invalid
from noria.core.stats.counters import TableCounter, merged, moments
from noria.core.stats.profiles import profile_table


def test_moments_are_numpys_to_a_two_thousandth(rng: np.random.Generator) -> None:
    """Of a stream that moved, in batches."""
    profile = profile_table({"x": rng.normal(50, 4, 1_000)})
    values = rng.normal(57, 9, 20_000)
    counter = TableCounter(profile)
    for start in range(0, values.size, 700):
        counter.update({"x": values[start : start + 700]})
    mean, deviation = moments(counter.counts.columns["x"], profile.columns["x"]) or (0.0, 0.0)

    assert mean == pytest.approx(values.mean(), abs=4 / 2048)
    assert deviation == pytest.approx(values.std(), abs=4 / 1024)


def test_a_wild_value_is_clipped_and_told(rng: np.random.Generator) -> None:
    """It cannot drown the moments of a window, and extremes show it."""
    profile = profile_table({"x": rng.normal(size=1_000)})
    counter = TableCounter(profile)
    counter.update({"x": np.append(np.zeros(999), 1e300)})
    found = counter.counts.columns["x"]
    told = moments(found, profile.columns["x"])

    assert (found.n_clipped, found.maximum) == (1, 1e300)
    assert told is not None
    assert abs(told[0]) < 2


def test_distinct_new_labels_are_estimated(rng: np.random.Generator) -> None:
    """Exactly while they are few; of 20,000 within a third, in 64 labels."""
    profile = profile_table({"kind": ["a", "b"] * 50})
    few, many = TableCounter(profile), TableCounter(profile)
    few.update({"kind": np.array(["a", "new", "newer", "new"])})
    for start in range(0, 20_000, 1_000):
        many.update({"kind": np.array([f"id-{i}" for i in range(start, start + 1_000)], dtype=object)})

    told = few.counts.columns["kind"]
    assert (told.n_new, {new.label: new.n for new in told.new}) == (2, {"new": 2, "newer": 1})
    assert many.counts.columns["kind"].n_new == pytest.approx(20_000, rel=0.35)
    assert len(msgspec.json.encode(many.counts)) < 4_000


@pytest.mark.parametrize(
    "values",
    [
        [],
        [1.0],
        [np.nan] * 5,
        [np.inf, -np.inf, np.nan],
        [5.0] * 9,
        [1.7e308, -1.7e308],
        np.array([1, 2, 3], dtype="u1"),
        np.array([1.0, np.nan], dtype="f2"),
        np.array([1, None], dtype=object),
        np.array([True, False]),
    ],
)
def test_odd_batches_are_counted(values: Any, rng: np.random.Generator) -> None:
    """None, one row, all missing, infinite, constant, the ends of the range, other types: clean JSON, every row."""
    counter = TableCounter(profile_table({"x": rng.normal(size=100)}))
    counter.update({"x": values})
    found = counter.counts
    text = msgspec.json.encode(found)

    assert found.columns["x"].n_rows == found.n_rows == len(values)
    assert b"NaN" not in text
    assert merged(found, found).n_rows == 2 * len(values)


@pytest.mark.parametrize("reference", [[np.nan] * 30, [3.0] * 30, [np.inf] * 30, [0.0] * 30])
def test_odd_references_count_as_well(reference: list[float], rng: np.random.Generator) -> None:
    """A column that was never known, or never moved, may come to life."""
    counter = TableCounter(profile_table({"x": np.array(reference)}))
    counter.update({"x": rng.normal(size=50)})

    assert counter.counts.columns["x"].n_rows == 50


@pytest.mark.parametrize(
    ("batch", "said"),
    [
        ({"x": [1.0]}, "no column `kind`"),
        ({"x": [1.0, 2.0], "kind": ["a"]}, "Column `kind` has `1` rows and column `x` has `2`"),
        ({"x": ["text"], "kind": ["a"]}, "`x` must hold numbers"),
        ({"x": [[1.0]], "kind": ["a"]}, "one dimension"),
    ],
)
def test_a_bad_batch_is_refused_whole(batch: dict[str, Any], said: str) -> None:
    """Nothing of it is counted."""
    counter = TableCounter(profile_table({"kind": ["a"], "x": [1.0]}))
    with pytest.raises(Invalid) as caught:
        counter.update(batch)

    assert said in caught.value.message
    assert counter.counts.n_rows == 0
    assert sum(counter.counts.columns["kind"].cells) == 0


def test_counters_of_other_references_do_not_mix() -> None:
    """Other columns, or other cells."""
    counts = [
        TableCounter(profile_table(columns)).counts
        for columns in ({"x": [1.0]}, {"y": [1.0]}, {"x": np.arange(50.0)})
    ]
    for other in counts[1:]:
        with pytest.raises(Invalid, match="cannot be merged"):
            merged(counts[0], other)
