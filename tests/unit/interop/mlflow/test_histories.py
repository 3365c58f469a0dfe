"""Histories of metrics in MLflow's orders, pages and samples."""

from __future__ import annotations

import base64
import math
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.interop.mlflow.errors import MlflowError
from noria.interop.mlflow.histories import at_steps, by_time, evenly, offset_of, token_of, wire_points
from noria.tracking.point_entities import PointColumns

moments = st.integers(0, 5).map(lambda ms: 1000 * ms + ms)
points = st.tuples(st.floats(allow_infinity=True, allow_nan=True), moments, st.integers(-3, 3))


def columns_of(points: list[tuple[float, int, int]]) -> PointColumns:
    """Give points of value, microseconds and step as columns."""
    values, at, steps = (list(column) for column in zip(*points, strict=True)) if points else ([], [], [])
    return PointColumns(steps=steps, at=at, values=values)


@given(st.lists(points, max_size=30))
def test_time_comes_before_step_and_value_and_nan_last(given_points: list[tuple[float, int, int]]) -> None:
    """Every two neighbours are in order, whatever came in."""
    found = by_time(columns_of(given_points))
    keys = [(at, step, math.isnan(value), 0.0 if math.isnan(value) else value) for at, step, value in found]
    assert keys == sorted(keys)
    expected = [(at // 1000, step, value) for value, at, step in given_points]
    assert sorted(map(repr, found)) == sorted(map(repr, expected))


@given(st.integers(0, 300), st.integers(1, 60))
def test_a_sample_is_the_first_of_equal_parts_and_the_last_point(n: int, limit: int) -> None:
    """As SQL's `ntile` parts them: a second opinion that counts the parts one by one."""
    found = list(evenly(range(n), limit))
    size, larger = divmod(n, limit)
    starts, begin = [], 0
    for part in range(min(limit, n)):
        starts.append(begin)
        begin += size + (part < larger)
    assert found == ([*starts[:-1], n - 1] if n > limit else list(range(n)))


@given(
    st.lists(st.integers(-9, 9), max_size=30).map(sorted),
    st.none() | st.integers(-10, 10),
    st.none() | st.integers(-10, 10),
)
def test_steps_are_cut_at_both_ends(steps: list[int], first: int | None, last: int | None) -> None:
    """Both ends belong to what is given, and of a step all its points do."""
    columns = PointColumns(steps=steps, at=[7000] * len(steps), values=[0.5] * len(steps))
    expected = [
        (7, step, 0.5)
        for step in steps
        if (first is None or first <= step) and (last is None or step <= last)
    ]
    assert at_steps(columns, first, last, 1000) == expected


@given(st.lists(points, max_size=10))
def test_what_travels_is_a_finite_number_or_a_word(given_points: list[tuple[float, int, int]]) -> None:
    """The same double, or the nearest that is finite; only NaN is a word."""
    sent_points = wire_points("m", [(at, step, value) for value, at, step in given_points], "r")
    for (value, at, step), sent in zip(given_points, sent_points, strict=True):
        assert (sent.key, sent.timestamp, sent.step, sent.run_id) == ("m", at, step, "r")
        if isinstance(sent.value, str):
            assert sent.value == "NaN"
            assert math.isnan(value)
        elif math.isinf(value):
            assert sent.value == math.copysign(sys.float_info.max, value)
        else:
            assert sent.value == value


@given(st.integers(0, 10**9))
def test_a_token_says_where_a_page_begins(offset: int) -> None:
    """And no token is the beginning."""
    assert offset_of(token_of(offset)) == offset
    assert offset_of("") == 0


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "é",
        "\u202e",
        "bm90IGpzb24=",
        "/w==",
        "e30=",
        "eyJvZmZzZXQiOiAtMX0=",
        "eyJvZmZzZXQiOiAieCJ9",
        "NQ==",
        base64.b64encode(b"[" * 5_000).decode(),
    ],
)
def test_other_tokens_are_refused(token: str) -> None:
    """No base64, not even ASCII, no JSON or one without an end, no offset, a negative one, one that is no number."""
    with pytest.raises(MlflowError, match="Invalid page token") as caught:
        offset_of(token)
    assert caught.value.status == 400
