"""JSON in and out."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import msgspec
import pytest

from noria.core.errors import Invalid
from noria.core.serialisation import convert, from_json, to_builtins, to_canonical_json, to_json


class Point(msgspec.Struct, frozen=True, kw_only=True):
    x: float
    at: datetime | None = None


def test_a_struct_comes_back_as_itself() -> None:
    """Instants keep their microseconds and their zone."""
    point = Point(x=0.1, at=datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC))

    assert from_json(to_json(point), Point) == point
    assert convert(to_builtins(point), Point, strict=False) == point


def test_what_json_has_no_word_for_becomes_null() -> None:
    """NaN and infinities."""
    assert to_json([math.nan, math.inf, -math.inf]) == b"[null,null,null]"


def test_equal_values_have_equal_canonical_bytes() -> None:
    """However their keys are ordered, at any depth."""
    assert to_canonical_json({"b": {"y": 1, "x": 2}, "a": 3}) == b'{"a":3,"b":{"x":2,"y":1}}'


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (b'{"x": "a"}', "$.x"),
        (b"{}", "`x`"),
        (b"[1]", "object"),
        (b'{"x": 1', "truncated"),
        (b"\xff", "malformed"),
        (b"", "truncated"),
    ],
)
def test_what_does_not_fit_is_refused_by_field(text: bytes, named: str) -> None:
    """The message says what was decoded and what is wrong with it."""
    with pytest.raises(Invalid, match="The point does not have the right form") as caught:
        from_json(text, Point, what="point")

    assert named in caught.value.message


def test_values_of_the_wrong_type_are_refused() -> None:
    """Strictly unless told otherwise."""
    with pytest.raises(Invalid, match=r"\$\.x"):
        convert({"x": "1.5"}, Point)

    assert convert({"x": "1.5"}, Point, strict=False) == Point(x=1.5)
