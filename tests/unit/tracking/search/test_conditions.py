"""Clauses as ranges of indexes."""

import sqlite3

import pytest

from noria.tracking.search.attributes import STARTED, time_condition
from noria.tracking.search.conditions import Place, successor, text_condition
from noria.tracking.search.statement import Sql

PARAM = Place(table="run_params", run="run_pk", column="head", key=7)
LONG = "x" * 70


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("ab", "ac"),
        ("a\U0010ffff", "b"),
        ("\U0010ffff", None),
        ("\ud7ff", "\ue000"),
        ("é", "ê"),
    ],
)
def test_the_successor_follows_everything_that_begins_so(prefix: str, expected: str | None) -> None:
    """It is the least of them: in the order of code points, which is that of UTF-8's bytes."""
    assert successor(prefix) == expected


def test_patterns_with_a_fixed_beginning_are_ranges() -> None:
    """What stands before the first sign bounds the range; a pattern that ends there needs no further test."""
    prefix = text_condition(PARAM, "LIKE", "ab%", is_sqlite=True)
    assert prefix.ranges == (Sql("head >= ? and head < ?", ("ab", "ac")),)
    assert prefix.exact
    inner = text_condition(PARAM, "LIKE", "ab%c", is_sqlite=True)
    assert inner.ranges == prefix.ranges
    assert (inner.exact, inner.scans) == (False, True)


def test_capitals_cannot_be_ranges_where_they_do_not_count() -> None:
    """`ILIKE` knows only what stands before the first letter."""
    assert text_condition(PARAM, "ILIKE", "0.a%", is_sqlite=True).ranges == (
        Sql("head >= ? and head < ?", ("0.", "0/")),
    )


def test_patterns_without_signs_are_equal_texts() -> None:
    """`LIKE 'ab'` is `= 'ab'`."""
    assert text_condition(PARAM, "LIKE", "ab", is_sqlite=True) == text_condition(
        PARAM, "=", "ab", is_sqlite=True
    )


def test_long_texts_are_found_by_their_beginning_and_tested() -> None:
    """An index holds the first 64 characters."""
    found = text_condition(PARAM, "=", LONG, is_sqlite=True)
    assert found.ranges == (Sql("head >= ? and head <= ?", (LONG[:64], LONG[:64])),)
    assert not found.exact
    assert found.probe is not None
    assert LONG in found.probe.values


@pytest.mark.parametrize(
    ("comparator", "at_ms", "holds", "fails"),
    [
        (">", 1, [2_000], [1_000, 1_999]),
        (">", 0.5, [1_000], [0, 999]),
        (">=", 1, [1_000], [999]),
        (">=", 0.5, [1_000], [999]),
        ("<", 1, [999], [1_000]),
        ("<", 0.5, [0, 999], [1_000]),
        ("<=", 1, [1_999], [2_000]),
        ("=", 1, [1_000, 1_999], [999, 2_000]),
        ("!=", 1, [999, 2_000], [1_000, 1_999]),
    ],
)
def test_times_compare_by_whole_milliseconds(
    comparator: str, at_ms: float, holds: list[int], fails: list[int]
) -> None:
    """A moment in microseconds counts as the millisecond in which it lies."""
    test = time_condition(STARTED, comparator, at_ms).row
    assert test is not None
    with sqlite3.connect(":memory:") as database:
        query = f"select {test.text} from (select ? as started_at)"  # noqa: S608 - made by the code under test
        for micros in (*holds, *fails):
            (found,) = database.execute(query, (*test.values, micros)).fetchone()
            assert bool(found) is (micros in holds), micros
    database.close()
