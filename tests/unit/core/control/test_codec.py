from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.core.control.codec import as_noria_error, decode, encode, require_json
from noria.core.errors import Corrupt, Failed, Invalid, NotFound

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


@given(VALUES)
def test_json_reads_back_as_itself(value: Any) -> None:
    """Whatever is JSON comes back equal and of the same type, and its record is JSON for the standard library too."""
    text = encode(value)

    assert repr(decode(text)) == repr(value)
    assert json.loads(text).get("value") == value


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ((1, 2), "`$` is a `tuple`"),
        ({"a": [1, {"b": {3}}]}, r"`$.a[1].b` is a `set`"),
        ({"a": float("nan")}, "`$.a` is `nan`"),
        ([float("-inf")], "`$[0]` is `-inf`"),
        ({1: "a"}, "a key of `$` is a `int`"),
        (datetime(2030, 1, 1, tzinfo=UTC), "`$` is a `datetime`"),
        (b"bytes", "`$` is a `bytes`"),
        (2**63, "`$` is an integer beyond 64 bits"),
        (["\ud800"], "`$[0]` is a text that is not Unicode"),
        ({"e": ValueError("no")}, "`$.e` is a `ValueError`"),
    ],
)
def test_what_is_not_json_is_refused_with_its_place(value: Any, fault: str) -> None:
    """A value that JSON cannot carry is refused, and the message has the path to it and its type."""
    with pytest.raises(Invalid) as caught:
        require_json(value, "The answer of step `measure`")

    assert caught.value.message == f"The answer of step `measure` cannot be recorded: {fault}"


def test_no_value_is_taken_for_an_error() -> None:
    """A value that looks like the record of an error comes back as a value."""
    impostor = {"error": {"code": "not_found", "message": "no"}}

    assert decode(encode(impostor)) == impostor


def test_the_engines_call_is_carried() -> None:
    """The arguments of a workflow, which the engine gives as a tuple, come back as a list."""
    assert decode(encode({"args": ("a", 1), "kwargs": {}})) == {"args": ["a", 1], "kwargs": {}}


def test_our_errors_come_back_as_themselves() -> None:
    """An error of Noria's comes back with its class, message, hint and details."""
    error = decode(
        encode(NotFound("There is no model `digits`", hint="noria models", details={"name": "digits"}))
    )

    assert type(error) is NotFound
    assert (error.message, error.hint, error.details) == (
        "There is no model `digits`",
        "noria models",
        {"name": "digits"},
    )


def test_other_errors_come_back_as_failed() -> None:
    """Any other exception comes back as `Failed` that names its type, and never as an object of its class."""
    error = decode(encode(KeyError("digits")))

    assert type(error) is Failed
    assert error.message == "KeyError: 'digits'"
    assert error.details == {"type": "KeyError"}


def test_an_error_is_told_even_if_its_parts_are_not_json() -> None:
    """Details that are not JSON are dropped and text that is not Unicode is escaped; the rest of the error stays."""
    error = as_noria_error(
        Invalid("Bad \udcff", details={"size": 3, "when": datetime(2030, 1, 1, tzinfo=UTC)})
    )

    assert decode(encode(error)).message == "Bad \\udcff"
    assert error.details == {"size": 3}


@pytest.mark.parametrize("text", ["gASVBQAAAAAAAACMAWGULg==", "{}x", '{"other": 1}', '{"error": 3}', ""])
def test_a_foreign_record_is_corrupt(text: str) -> None:
    """A record that this form did not write, a pickle among them, is refused."""
    with pytest.raises(Corrupt, match=r"^A record of the control loop cannot be read: "):
        decode(text)
