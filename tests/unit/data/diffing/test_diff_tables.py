"""Comparison of two versions of a table, against brute force and SciPy."""

from __future__ import annotations

from datetime import time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy import stats

from noria.core.errors import NotFound
from noria.data.diffing.distances import column_distance, ks_distance
from noria.data.diffing.entities import CellChange, RetypedColumn, TypedColumn
from noria.data.diffing.matching import KeyNotUnique
from noria.data.diffing.tables import diff_tables
from noria.data.profiling.sources import FrameTable
from noria.data.profiling.tables import profile_of

BEFORE = pl.DataFrame(
    {
        "id": [1, 2, 3, 4],
        "name": ["ana", "bob", None, "eva"],
        "x": [1.0, float("nan"), 3.0, 4.0],
        "old": [0] * 4,
    }
)
AFTER = pl.DataFrame(
    {
        "id": [5, 4, 2, 1],
        "x": [9.0, 4.0, float("nan"), 1.5],
        "name": ["eli", None, "bob", "ana"],
        "new": ["a"] * 4,
    }
)


def diff(before: pl.DataFrame, after: pl.DataFrame, *key: str, **options: Any) -> Any:
    return diff_tables(FrameTable(before), FrameTable(after), key=key, **options)


def test_rows_are_matched_by_key_in_whatever_order() -> None:
    """Added, removed and changed rows are told, with the cells; NaN equals NaN, and missing equals missing."""
    rows = diff(BEFORE, AFTER, "id").rows

    assert (rows.n_before, rows.n_after, rows.n_added, rows.n_removed, rows.n_changed) == (4, 4, 1, 1, 2)
    assert rows.changed_cells == {"name": 1, "x": 1}
    assert [row.key for row in rows.added] == [{"id": "5"}]
    assert [row.key for row in rows.removed] == [{"id": "3"}]
    assert [(row.key, row.cells) for row in rows.changed] == [
        ({"id": "1"}, (CellChange(column="x", before="1.0", after="1.5"),)),
        ({"id": "4"}, (CellChange(column="name", before="eva", after=None),)),
    ]


def test_columns_are_compared() -> None:
    """Added, removed, of another type, in another order."""
    schema = diff(BEFORE, AFTER.with_columns(pl.col("id").cast(pl.String)), "id").schema

    assert schema.added == (TypedColumn(name="new", type="String"),)
    assert schema.removed == (TypedColumn(name="old", type="Int64"),)
    assert schema.retyped == (RetypedColumn(name="id", before="Int64", after="String"),)
    assert schema.is_reordered


def test_a_key_of_another_type_still_matches() -> None:
    """By its text; and a cell that only changed its type did not change its value."""
    rows = diff(
        BEFORE, BEFORE.with_columns(pl.col("id").cast(pl.String), pl.col("old").cast(pl.Float32)), "id"
    ).rows

    assert (rows.n_added, rows.n_removed, rows.n_changed) == (0, 0, 0)


def test_equal_tables_differ_in_nothing() -> None:
    """With a key, without one, and with rows in another order."""
    for key in ((), ("id",)):
        assert diff(BEFORE, BEFORE, *key).is_empty
        assert diff(BEFORE, BEFORE.reverse(), *key).is_empty
    assert {each.distance for each in diff(BEFORE, BEFORE, "id").distances} == {0.0}


def test_without_a_key_whole_rows_are_a_bag() -> None:
    """A repeated row counts as often as it is there."""
    rows = diff(pl.DataFrame({"a": [1, 1, 2]}), pl.DataFrame({"a": [1, 2, 2, 3]})).rows

    assert (rows.key, rows.n_removed, rows.n_added, rows.n_changed) == ((), 1, 2, 0)


def test_a_key_of_several_columns_with_missing_values() -> None:
    """Names rows too; a missing value is one value."""
    before = pl.DataFrame({"a": [1, 1, None], "b": ["x", None, "x"], "v": [1, 2, 3]})
    after = before.with_columns(v=pl.Series([1, 2, 4]))
    rows = diff(before, after[[2, 0, 1]], "a", "b").rows

    assert (rows.n_added, rows.n_removed, rows.n_changed) == (0, 0, 1)
    assert rows.changed[0].key == {"a": None, "b": "x"}


def test_a_key_that_repeats_is_refused_with_an_example() -> None:
    """Since no row could be told from the other."""
    with pytest.raises(KeyNotUnique, match="names 2 rows of the version after") as raised:
        diff(BEFORE, AFTER.vstack(AFTER.head(1)), "id")

    assert raised.value.details["example"] == ["`id` = `5`"]
    assert "--key" in str(raised.value.hint)


def test_an_unknown_key_column() -> None:
    """Is answered with the near one."""
    with pytest.raises(NotFound, match="`idd`"):
        diff(BEFORE, AFTER, "idd")


def test_lists_and_records_are_compared_cell_by_cell() -> None:
    """They have changed cells, and no distance."""
    before = pl.DataFrame({"id": [1, 2, 3], "l": [[1], None, [2, 3]], "r": [{"a": 1}, {"a": 2}, None]})
    after = pl.DataFrame({"id": [1, 2, 3], "l": [[1], [4], [2, 3]], "r": [{"a": 1}, {"a": 3}, {"a": 1}]})
    found = diff(before, after, "id")

    assert found.rows.changed_cells == {"r": 2, "l": 1}
    assert [each.column for each in found.distances] == ["id"]


def test_every_type_is_compared() -> None:
    """Equal rows are equal whatever they hold, and a value that only changed its type did not change."""
    before = pl.DataFrame(
        {
            "id": [1, 2, 3],
            "category": pl.Series(["x", "y", "x"], dtype=pl.Categorical),
            "choice": pl.Series(["x", "y", "x"], dtype=pl.Enum(["y", "x"])),
            "money": [Decimal("1.10"), None, Decimal("3.00")],
            "clock": [time(1), None, time(2)],
            "bytes": [b"a", b"\xff", None],
            "span": [timedelta(1), None, timedelta(2)],
            "nothing": pl.Series([None] * 3, dtype=pl.Null),
            "record": [{"a": 1, "b": [1]}, None, {"a": None, "b": []}],
            "pair": pl.Series([[1, 2], [3, 4], [5, 6]], dtype=pl.Array(pl.Int64, 2)),
            "huge": pl.Series([1, 2, 3], dtype=pl.Int128),
            "large": pl.Series([2**63, 1, None], dtype=pl.UInt64),
        }
    )
    changes = {
        "category": pl.String,
        "choice": pl.String,
        "span": pl.Duration("ms"),
        "huge": pl.Int64,
    }
    after = before.reverse().cast(changes)  # type: ignore[arg-type]

    for key in ((), ("id",), ("category", "id"), ("money", "clock", "id"), ("span", "id")):
        assert diff(before, before.reverse(), *key).is_empty
    assert diff(before, after, "id").rows.changed_cells == {}
    assert diff(before, after.with_columns(record=pl.lit(1)), "id").rows.changed_cells == {"record": 3}
    assert profile_of(FrameTable(before)) is not None


def test_empty_tables() -> None:
    """Have rows added or removed, and no distances."""
    found = diff(BEFORE.clear(), BEFORE, "id")

    assert (found.rows.n_added, found.rows.n_removed) == (4, 0)
    assert {each.distance for each in found.distances} == {None}
    assert diff(BEFORE.clear(), BEFORE.clear()).is_empty


def test_no_more_examples_than_asked_for() -> None:
    """Counts are whole all the same."""
    before = pl.DataFrame({"id": range(100), "v": [0] * 100})
    rows = diff(before, before.with_columns(v=1), "id", n_examples=3).rows

    assert (rows.n_changed, len(rows.changed)) == (100, 3)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("n", "m"), [(2, 2), (3, 50), (20_000, 9_000), (9_000, 9_000)])
def test_kolmogorov_smirnov_agrees_with_scipy(seed: int, n: int, m: int) -> None:
    """With ties, with a shift, and with almost equal samples, which take the longest way."""
    rng = np.random.default_rng(seed)
    before = np.sort(np.round(rng.normal(size=n), seed))
    after = np.sort(np.round(rng.normal(size=m) + rng.choice([0, 0, 1]), seed))
    if seed == 5 and n > m:
        after = np.sort(rng.permutation(before)[:m])
    expected = stats.ks_2samp(before, after, method="asymp").statistic

    assert ks_distance(before, after) == pytest.approx(expected, abs=1e-12)
    assert ks_distance(after, before) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", range(8))
def test_few_changes_are_measured_at_the_changes(seed: int) -> None:
    """With ties, rows that came or went, and missing values; the distance is the one of all values."""
    rng = np.random.default_rng(seed)
    before = pl.DataFrame({"id": range(3_000), "v": np.round(rng.normal(size=3_000), seed % 3)})
    before = before.with_columns(pl.when(pl.col("id") % 41 == 5).then(None).otherwise("v").alias("v"))
    after = before[rng.permutation(3_000)[: 3_000 - seed]]
    after = after.with_columns(pl.when(pl.col("id") % 97 == 1).then(rng.normal()).otherwise("v").alias("v"))
    found = {each.column: each.distance for each in diff(before, after, "id").distances}
    known = [np.sort(frame["v"].drop_nulls().to_numpy()) for frame in (before, after)]

    assert found["v"] == pytest.approx(ks_distance(*known), abs=1e-12)


def test_total_variation_by_hand() -> None:
    """Half the differences of shares; missing values stand beside it."""
    before, after = pl.Series(["a", "a", "b", "c"]), pl.Series(["a", "b", "b", "d", None])
    found = column_distance("k", before, after)

    assert found.distance == pytest.approx((0.25 + 0.25 + 0.25 + 0.25) / 2)
    assert (found.measure, found.missing_before) == ("total_variation", 0.0)
    assert found.missing_after == pytest.approx(0.2)


def test_a_number_that_became_a_text_is_a_category() -> None:
    """`1` and `"1"` are the same category."""
    found = column_distance("k", pl.Series([1, 2]), pl.Series(["1", "3"]))

    assert (found.measure, found.distance) == ("total_variation", 0.5)
