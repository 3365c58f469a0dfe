"""Histories of metrics in MLflow's orders, pages and samples."""

from __future__ import annotations

import math
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.interop.mlflow.errors import MlflowError
from noria.interop.mlflow.histories import Point, by_time, evenly, offset_of, token_of, wired

points = st.tuples(st.floats(allow_infinity=True, allow_nan=True), st.integers(0, 5), st.integers(-3, 3))


@given(st.lists(points, max_size=30))
def test_time_comes_before_step_and_value_and_nan_last(given_points: list[Point]) -> None:
    """Every two neighbours are in order, whatever came in."""
    found = by_time(given_points)
    keys = [(at, step, math.isnan(value), 0.0 if math.isnan(value) else value) for value, at, step in found]
    assert keys == sorted(keys)
    assert sorted(map(repr, found)) == sorted(map(repr, given_points))


@given(st.integers(0, 300), st.integers(1, 60))
def test_a_sample_is_the_first_of_equal_parts_and_the_last_point(n: int, limit: int) -> None:
    """As SQL's `ntile` parts them: a second opinion that counts the parts one by one."""
    line = [(0.0, 0, step) for step in range(n)]
    found = [step for _, _, step in evenly(line, limit)]
    size, larger = divmod(n, limit)
    starts, begin = [], 0
    for part in range(min(limit, n)):
        starts.append(begin)
        begin += size + (part < larger)
    assert found == ([*starts[:-1], n - 1] if n > limit else list(range(n)))


@given(st.lists(points, max_size=10))
def test_what_travels_is_a_finite_number_or_a_word(given_points: list[Point]) -> None:
    """The same double, or the nearest that is finite; only NaN is a word."""
    for (value, at, step), (sent, sent_at, sent_step) in zip(given_points, wired(given_points), strict=True):
        assert (at, step) == (sent_at, sent_step)
        if isinstance(sent, str):
            assert sent == "NaN"
            assert math.isnan(value)
        elif math.isinf(value):
            assert sent == math.copysign(sys.float_info.max, value)
        else:
            assert sent == value


@given(st.integers(0, 10**9))
def test_a_token_says_where_a_page_begins(offset: int) -> None:
    """And no token is the beginning."""
    assert offset_of(token_of(offset)) == offset
    assert offset_of("") == 0


@pytest.mark.parametrize(
    "token", ["x", "bm90IGpzb24=", "e30=", "eyJvZmZzZXQiOiAtMX0=", "eyJvZmZzZXQiOiAieCJ9", "NQ=="]
)
def test_other_tokens_are_refused(token: str) -> None:
    """No base64, no JSON, no offset, a negative one, one that is no number."""
    with pytest.raises(MlflowError, match="Invalid page token") as caught:
        offset_of(token)
    assert caught.value.status == 400
