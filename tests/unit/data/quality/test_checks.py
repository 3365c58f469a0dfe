"""Rules on tables, and what is said of the rows that break them."""

from __future__ import annotations

import tomllib
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.core.config import load_settings
from noria.core.errors import ConfigInvalid
from noria.data.profiling.sources import FrameTable
from noria.data.profiling.tables import profile_of
from noria.data.quality.checks import check_table
from noria.data.quality.entities import MAX_ROWS, RuleResult
from noria.data.quality.settings import DataSection, DatasetRules
from noria.data.quality.suggesting import suggest_rules

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
JANUARY = datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None)
NAN = float("nan")


def check(
    frame: dict[str, Any] | pl.DataFrame, *, against: pl.DataFrame | None = None, **rules: Any
) -> list[RuleResult]:
    table = FrameTable(frame if isinstance(frame, pl.DataFrame) else pl.DataFrame(frame))
    reference = FrameTable(against) if against is not None else None
    return list(check_table(table, msgspec.convert(rules, DatasetRules), now=NOW, reference=reference))


def one(values: Any, /, **rules: Any) -> RuleResult:
    frame = values if isinstance(values, pl.DataFrame) else pl.DataFrame({"a": values})
    (found,) = check(frame, columns={"a": rules})
    return found


def broken(values: Any, /, **rules: Any) -> list[int]:
    found = one(values, **rules)
    assert found.passed == (not found.rows)
    assert found.n_broken == len(found.rows)
    return [row.row for row in found.rows]


@pytest.mark.parametrize(
    ("values", "rules", "expected"),
    [
        ([1, 5, 9, None], {"min": 2}, [0]),
        ([1, 5, 9, None], {"max": 5}, [2]),
        ([1.5, NAN, None, 3.0], {"max": 2}, [3]),
        ([1.5, NAN, -float("inf")], {"min": -1e300}, [2]),
        ([date(2026, 1, 1), date(2026, 2, 1)], {"min": "2026-01-15"}, [0]),
        ([JANUARY, JANUARY + timedelta(days=31)], {"max": "2026-01-15T10:00:00"}, [1]),
        (["a", "b", "c"], {"max": "b"}, [2]),
        ([1, 2, 2, None, None], {"unique": True}, [1, 2]),
        (["a", "x", None], {"values": ["a", "b"]}, [1]),
        ([1, 2, 3], {"values": [1, 3.0]}, [1]),
        ([1.0, 2.5, NAN], {"values": [1]}, [1]),
        ([True, False], {"values": [True]}, [1]),
        (["AB", "ABC", "ab", None], {"pattern": "[A-Z]{2}"}, [1, 2]),
        (["a|b", "a"], {"pattern": "a|b"}, [0]),
    ],
)
def test_rules_name_the_rows_that_break_them(values: Any, rules: dict[str, Any], expected: list[int]) -> None:
    """By their place from 0; a missing value breaks none of these."""
    assert broken(values, **rules) == expected


@pytest.mark.parametrize(
    ("values", "wanted", "passed"),
    [
        ([1], "integer", True),
        ([1], "number", True),
        ([1], "float", False),
        (["1"], "number", False),
        (["1"], "text", True),
        ([True], "boolean", True),
        ([date(2026, 1, 1)], "date", True),
        ([date(2026, 1, 1)], "time", False),
        ([JANUARY], "time", True),
        ([1], "Int64", True),
        ([1], "Int32", False),
    ],
)
def test_types(values: Any, wanted: str, passed: bool) -> None:
    """By family, or by the name of the exact type."""
    assert one(values, type=wanted).passed is passed


def test_missing_values_have_a_share() -> None:
    """NaN is missing too; the rows are told only when there are too many."""
    values = [1.0, None, NAN, 2.0]

    assert one(values, max_missing=0.5).passed
    assert one(values, max_missing=0.5).rows == ()
    assert broken(values, max_missing=0.4) == [1, 2]


def test_a_bound_with_a_zone() -> None:
    """A bound without a zone is one in UTC."""
    at = pl.Series([JANUARY + timedelta(minutes=30), JANUARY + timedelta(hours=2)]).dt.replace_time_zone(
        "Europe/Madrid"
    )

    assert broken(at, min="2026-01-01T00:00:00") == [0]
    assert broken(at, min="2026-01-01T02:00:00+01:00") == [0]


@pytest.mark.parametrize("rules", [{"min": 1}, {"pattern": "a"}, {"max": "2026-01-01"}])
def test_a_rule_that_does_not_fit_the_type_is_broken(rules: dict[str, Any]) -> None:
    """And says which type was found."""
    found = one([True], **rules)

    assert not found.passed
    assert "Boolean" in found.found


def test_a_column_that_is_not_there() -> None:
    """Breaks its rules, with the near name; others may be refused."""
    (found,) = check({"amout": [1]}, columns={"amount": {"min": 0}})
    refused, *_ = check({"a": [1], "b": [1]}, only_columns=True, columns={"a": {"min": 0}})

    assert (found.passed, found.column, found.found) == (False, "amount", "none; is it `amout`?")
    assert (refused.rule, refused.found) == ("columns", "`b`")


def test_the_number_of_rows() -> None:
    """Has bounds, both inside."""
    assert [each.passed for each in check({"a": [1, 2]}, min_rows=2, max_rows=2)] == [True, True]
    assert [each.rule for each in check({"a": [1, 2]}, min_rows=3, max_rows=1)] == ["min_rows", "max_rows"]


def test_a_key_names_each_row_once() -> None:
    """The rows that share one are told, and broken rows of other rules are told by it."""
    frame = {"day": [1, 1, 2, 1], "shop": ["x", "y", "x", "x"], "n": [5, -1, 5, 5]}
    key, low = check(frame, key=["day", "shop"], columns={"n": {"min": 0}})[::-1]
    if key.rule != "key":
        key, low = low, key

    assert (key.passed, [row.row for row in key.rows]) == (False, [0, 3])
    assert low.rows[0].key == {"day": "1", "shop": "y"}
    assert low.rows[0].values == {"n": "-1"}
    assert not check(frame, key=["days"])[0].passed


def test_conditions_between_columns() -> None:
    """A row breaks one where it is false; where it is unknown it does not."""
    frame = {"net": [1.0, 5.0, None], "gross": [2.0, 4.0, 1.0]}
    (found,) = check(frame, rows=[{"name": "net below gross", "keep": "net <= gross"}])

    assert (found.rule, found.n_broken, [row.row for row in found.rows]) == ("net below gross", 1, [1])
    assert found.rows[0].values == {"net": "5.0", "gross": "4.0"}


def test_a_condition_of_many_batches() -> None:
    """Names rows by their place in the whole table, and no more than can be read."""
    n = 150_000
    (found,) = check({"a": np.arange(n)}, rows=[{"name": "r", "keep": f"a < {n - 50}"}])

    assert (found.n_broken, len(found.rows), found.rows[0].row) == (50, MAX_ROWS, n - 50)


@pytest.mark.parametrize(
    "keep", ["a <=", "a + 1", "sum(a)", "1 = 1 ; drop table a", "no_such_function(a) > 1"]
)
def test_a_condition_that_is_none(keep: str) -> None:
    """Is a mistake in the configuration, not in the data."""
    with pytest.raises(ConfigInvalid, match="`r`"):
        check({"a": [1, 2]}, rows=[{"name": "r", "keep": keep}])


@pytest.mark.parametrize("rules", [{"pattern": "("}, {"min": "yesterday"}])
def test_a_rule_that_cannot_be_read(rules: dict[str, Any]) -> None:
    """Is a mistake in the configuration too."""
    values: Any = ["a"] if "pattern" in rules else [date(2026, 1, 1)]
    with pytest.raises(ConfigInvalid):
        check({"a": values}, columns={"a": rules})


def test_a_condition_on_a_column_that_is_not_there() -> None:
    """Is broken by the table."""
    (found,) = check({"a": [1]}, rows=[{"name": "r", "keep": "b > 1"}])

    assert (found.passed, found.found) == (False, "no column `b`")


@pytest.mark.parametrize(
    ("at", "passed"),
    [
        ([NOW - timedelta(hours=3), NOW - timedelta(hours=30)], True),
        ([(NOW - timedelta(hours=3)).replace(tzinfo=None)], True),
        ([NOW - timedelta(hours=25)], False),
        ([date(2026, 3, 1)], True),
        (["2026-02-27", "2026-03-01T10:00:00Z"], True),
        (["2026-02-27"], False),
        (["2026-03-01", "soon"], False),
        ([None], False),
        ([3], False),
    ],
)
def test_freshness(at: list[Any], passed: bool) -> None:
    """The latest time counts; without a zone it is one in UTC."""
    (found,) = check({"at": at}, fresh={"column": "at", "max_age_h": 24})

    assert found.passed is passed


def test_drift_against_another_version() -> None:
    """Has the distance with its measure; a column that the reference lacks breaks the rule."""
    reference = pl.DataFrame({"a": np.arange(100), "k": ["x", "y"] * 50})
    frame = pl.DataFrame({"a": np.arange(50, 150), "k": ["x", "y"] * 50, "new": [1] * 100})
    rules = {"columns": {name: {"max_drift": 0.2} for name in frame.columns}}
    found = {each.column: each for each in check(frame, against=reference, **rules)}

    assert (found["a"].passed, found["a"].found) == (False, "0.5 (kolmogorov-smirnov)")
    assert (found["k"].passed, found["k"].found) == (True, "0 (total-variation)")
    assert not found["new"].passed


def test_broken_rules_come_first() -> None:
    """Otherwise they keep their order."""
    found = check({"a": [1], "b": [1]}, columns={"a": {"min": 0}, "b": {"min": 2}})

    assert [(each.column, each.passed) for each in found] == [("b", False), ("a", True)]


def test_rules_are_read_from_the_file(tmp_path: Any) -> None:
    """Under `[data.checks.NAME]`; an unknown key is told."""
    (tmp_path / "noria.toml").write_text(
        '[data.checks.orders]\nkey = ["id"]\n[data.checks.orders.columns."unit price"]\nmin = 0\n'
    )
    section = load_settings(folder=tmp_path, environ={}).section("data", DataSection)

    assert section.checks["orders"].key == ("id",)
    assert section.checks["orders"].columns["unit price"].min == 0
    (tmp_path / "noria.toml").write_text("[data.checks.orders.columns.a]\nminimum = 0\n")
    with pytest.raises(ConfigInvalid, match="minimum"):
        load_settings(folder=tmp_path, environ={})


CELLS = st.tuples(
    st.one_of(st.none(), st.floats(-1e6, 1e6), st.just(NAN)),
    st.one_of(st.none(), st.integers(-(2**40), 2**40)),
    st.one_of(st.none(), st.sampled_from(["a", 'b"\\\n', "ñ"])),
    st.one_of(st.none(), st.booleans()),
    st.one_of(st.none(), st.dates(date(2000, 1, 1))),
)


@given(st.lists(CELLS, min_size=1, max_size=60))
def test_a_version_keeps_the_rules_that_it_suggests(rows: list[Any]) -> None:
    """Whatever it holds, and the text is TOML that the settings take."""
    schema = {"x": pl.Float64, "unit price": pl.Int64, "k.ñ": pl.String, "b": pl.Boolean, "d": pl.Date}
    table = FrameTable(pl.DataFrame(rows, schema=schema, orient="row"))
    profile = profile_of(table)
    assert profile is not None
    text = suggest_rules("orders", profile, against="orders@1")
    rules = msgspec.convert(tomllib.loads(text)["data"], DataSection).checks["orders"]

    found = check_table(table, rules, now=NOW, reference=table)
    assert [each for each in found if not each.passed] == []
    assert len(found) >= 5
