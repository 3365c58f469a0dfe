"""Numbers, times and values in the reader's form."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from noria.core.web.formats import Formats, clipped
from noria.core.web.languages import Language

ENGLISH, SPANISH = Formats(Language.ENGLISH), Formats(Language.SPANISH)
NOW = datetime(2026, 11, 21, 12, 30, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "english", "spanish"),
    [
        (0.97222, "0.972", "0,972"),
        (12345, "12,345", "12.345"),
        (1234.5678, "1,230", "1.230"),
        (1.0, "1", "1"),
        (-0.0, "0", "0"),
        (1e-12, "1.00e-12", "1.00e-12"),
        (float("nan"), "nan", "nan"),
        (float("-inf"), "-inf", "-inf"),
        (None, "–", "–"),
    ],
)
def test_numbers_have_three_digits_that_count(value: float | None, english: str, spanish: str) -> None:
    """Numbers are rounded to three significant digits, whole ones are shown in full, with the reader's separators."""
    assert (ENGLISH.number(value), SPANISH.number(value)) == (english, spanish)


def test_shares_and_sizes() -> None:
    """Shares are per cent, sizes have the largest unit that leaves a number above one."""
    assert ENGLISH.percent(0.8713) == "87.1\N{NO-BREAK SPACE}%"
    assert SPANISH.percent(1.0) == "100\N{NO-BREAK SPACE}%"
    assert SPANISH.percent(float("nan")) == "–"
    assert [ENGLISH.size(n) for n in (0, 1023, 1024, 610_304, 3 << 40)] == [
        "0 B",
        "1,023 B",
        "1 KiB",
        "596 KiB",
        "3 TiB",
    ]


def test_times() -> None:
    """Moments are in UTC and say so, ages are never in the future, lengths have one unit."""
    assert ENGLISH.moment(NOW) == "21 Nov 2026, 12:30 UTC"
    assert SPANISH.ago(NOW - timedelta(minutes=3), NOW) == "hace 3 minutos"
    assert ENGLISH.ago(NOW + timedelta(seconds=9), NOW) == "1 second ago"
    assert (ENGLISH.duration(0.04), ENGLISH.duration(3.21), ENGLISH.duration(75)) == ("0 s", "3.2 s", "1 min")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (True, "sí"),
        ([0.5, "a", None], "0,5, a, –"),
        ({"n": 3, "of": [1, 2]}, "n: 3; of: 1, 2"),
        (list(range(20)), "0, 1, 2, 3, 4, 5, 6, 7 …"),
    ],
)
def test_json_values_are_told_in_short(value: Any, shown: str) -> None:
    """Lists and objects become one line, the long ones cut."""
    assert SPANISH.value(value) == shown


def test_long_texts_are_cut() -> None:
    """No value makes a page endless."""
    assert len(ENGLISH.value("x" * 10_000)) == 240
    assert clipped("abcdef", 4) == "abc…"


@pytest.mark.parametrize(
    ("seconds", "english", "spanish"),
    [
        (None, "–", "–"),
        (0.25, "0.2 s", "0,2 s"),
        (42.4, "42 s", "42 s"),
        (59.7, "60 s", "60 s"),
        (61, "1 min 01 s", "1 min 01 s"),
        (3_900, "1 h 05 min", "1 h 05 min"),
        (180_000, "2 d 2 h", "2 d 2 h"),
    ],
)
def test_lengths_of_time_in_long_tables(seconds: float | None, english: str, spanish: str) -> None:
    """Two units at most, with the decimal sign of the language."""
    assert Formats(Language.ENGLISH).brief_duration(seconds) == english
    assert Formats(Language.SPANISH).brief_duration(seconds) == spanish
