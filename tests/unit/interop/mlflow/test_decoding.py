"""Requests are read as protocol buffers in JSON allow, and refused in MLflow's words."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.interop.mlflow.decoding import Decoder
from noria.interop.mlflow.errors import MlflowError
from noria.interop.mlflow.wire import Int32, Int64, Message, WireEnum

SEE_DOCS = " See the API docs for more information about request parameters."


class Colour(WireEnum):
    RED = "RED", 1
    BLUE = "BLUE", 2


class Pair(Message):
    key: str = ""
    value: str = ""


class Sent(Message):
    run_id: str = ""
    run_uuid: str = ""
    metric_key: str = ""
    step: Int64 | None = None
    limit: Int32 | None = None
    value: float | str | None = None
    is_open: bool | None = None
    colour: Colour | None = None
    tags: list[Pair] = msgspec.field(default_factory=list)
    names: list[str] = msgspec.field(default_factory=list)


decoder = Decoder(Sent, ("run_id",))


def read(sent: Any) -> Sent:
    return decoder.read_body(sent if isinstance(sent, bytes) else json.dumps(sent).encode())


def refused(sent: Any) -> str:
    with pytest.raises(MlflowError) as caught:
        read(sent)
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"
    return caught.value.message


def test_what_fits_is_read_as_it_is() -> None:
    """A body in the plain form of its message gives its fields, and the rest their defaults."""
    found = read(
        {"run_id": "a", "step": 3, "value": 0.5, "tags": [{"key": "k", "value": "v"}], "unknown": {}}
    )
    assert found == Sent(run_id="a", step=3, value=0.5, tags=[Pair(key="k", value="v")])


@pytest.mark.parametrize(
    ("sent", "field", "expected"),
    [
        ({"step": "5"}, "step", 5),
        ({"step": "5.0"}, "step", 5),
        ({"step": 5.0}, "step", 5),
        ({"step": None}, "step", None),
        ({"value": "0.25", "step": "1"}, "value", 0.25),
        ({"value": 3}, "value", 3.0),
        ({"value": True, "step": "1"}, "value", 1.0),
        ({"colour": "BLUE"}, "colour", Colour.BLUE),
        ({"colour": 2}, "colour", Colour.BLUE),
        ({"colour": "2"}, "colour", Colour.BLUE),
        ({"colour": "GREEN"}, "colour", None),
        ({"metricKey": "m"}, "metric_key", "m"),
        ({"tags": None}, "tags", []),
        ({"is_open": True}, "is_open", True),
    ],
)
def test_other_spellings_of_a_value_mean_the_same(sent: dict[str, Any], field: str, expected: object) -> None:
    """Numbers as text, enums as numbers, names in camelCase and null are read like the plain form."""
    assert getattr(read({"run_id": "a", **sent}), field) == expected


@pytest.mark.parametrize(
    ("word", "value"), [("NaN", math.nan), ("Infinity", math.inf), ("-Infinity", -math.inf)]
)
def test_words_stand_for_doubles_that_json_has_not(word: str, value: float) -> None:
    """The words for NaN and infinities arrive as those doubles, also where the rest of the body is odd."""
    found = read({"run_id": "a", "value": word, "step": "1"}).value
    assert isinstance(found, float)
    assert found == value or (math.isnan(found) and math.isnan(value))


def test_run_uuid_stands_for_run_id() -> None:
    """A run may be named by the older of its two names, also beside a null."""
    assert read({"run_uuid": "a"}).run_id == "a"
    assert read({"run_id": None, "run_uuid": "a"}).run_id == "a"
    assert read({"run_id": "b", "run_uuid": "a"}).run_id == "b"


@pytest.mark.parametrize(
    "sent", [b"", b"{}", b"null", b"{not json", b"\xff\xfe", {"run_id": None}, {"run_id": ""}]
)
def test_a_missing_field_is_named(sent: object) -> None:
    """A body without a required field, or that is no JSON, is refused with the name of the field."""
    assert refused(sent) == f"Missing value for required parameter 'run_id'.{SEE_DOCS}"


@pytest.mark.parametrize(
    ("sent", "beginning"),
    [
        ({"run_id": 5}, "Invalid value 5 for parameter 'run_id' supplied:  Hint: Value was of type 'int'."),
        (
            {"run_id": ["x"]},
            "Invalid value [\"x\"] for parameter 'run_id' supplied:  Hint: Value was of type 'list'.",
        ),
        ({"run_id": "a", "step": "foo"}, "Invalid value \"foo\" for parameter 'step' supplied:  Hint:"),
        ({"run_id": "a", "step": 1.5}, "Invalid value 1.5 for parameter 'step' supplied:  Hint:"),
        ({"run_id": "a", "step": True}, "Invalid value true for parameter 'step' supplied:  Hint:"),
        (
            {"run_id": "a", "step": 2**63},
            "Invalid value 9223372036854775808 for parameter 'step' supplied:  Hint:",
        ),
        ({"run_id": "a", "limit": 2**31}, "Invalid value 2147483648 for parameter 'limit' supplied:  Hint:"),
        (
            {"run_id": "a", "step": "1", "value": "abc"},
            "Invalid value \"abc\" for parameter 'value' supplied:  Hint:",
        ),
        (
            {"run_id": "a", "step": 1, "is_open": "true"},
            "Invalid value \"true\" for parameter 'is_open' supplied:",
        ),
        (
            {"run_id": "a", "tags": "5"},
            "Invalid value \"5\" for parameter 'tags' supplied:  Hint: Value was of type 'str'",
        ),
        (
            {"run_id": "a", "tags": [{"key": 5}]},
            "Invalid value 5 for parameter 'tags[0].key' supplied:  Hint:",
        ),
        ({"run_id": "a", "tags": [None]}, "Invalid value null for parameter 'tags[0]' supplied:  Hint:"),
        ({"run_id": "a", "names": [1]}, "Invalid value [1] for parameter 'names' supplied:  Hint:"),
        ({"run_id": "a", "colour": 9}, "Invalid value 9 for parameter 'colour' supplied:  Hint:"),
        ({"run_id": "a", "colour": []}, "Invalid value [] for parameter 'colour' supplied:  Hint:"),
        ({"run_id": "\ud800"}, "Invalid value \"\\ud800\" for parameter 'run_id' supplied:  Hint:"),
        (b"[]", "The request must be a JSON object, not list."),
        (
            {"run_id": "a", "runId": "b"},
            "Request specifies both 'run_id' and 'runId'; provide only one of them.",
        ),
    ],
)
def test_a_wrong_value_is_named(sent: object, beginning: str) -> None:
    """A value of a wrong type or out of range is refused with its place, itself and its type."""
    assert refused(sent).startswith(beginning)


def test_json_within_json_is_read() -> None:
    """A body that is text holding JSON is read as that JSON, for old clients."""
    assert read(json.dumps(json.dumps({"run_id": "a"})).encode()).run_id == "a"


def test_a_query_has_the_fields_of_its_message() -> None:
    """A query gives lists by repeated names, numbers and truth values by text, and the first of what is repeated."""
    query = {"run_id": ["a", "b"], "step": ["7"], "names": ["x", "y"], "is_open": ["False"], "other": ["1"]}
    assert decoder.read_query(query) == Sent(run_id="a", step=7, names=["x", "y"], is_open=False)


def test_a_query_knows_no_other_truth_than_true_and_false() -> None:
    """A truth value that is neither word is refused."""
    with pytest.raises(MlflowError, match="Invalid boolean value: 1, must be 'true' or 'false'"):
        decoder.read_query({"run_id": ["a"], "is_open": ["1"]})


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(Sent.__struct_fields__), inner, max_size=4)
        ),
        max_leaves=12,
    )
)
def test_nothing_that_is_sent_breaks_the_reader(sent: object) -> None:
    """Whatever JSON arrives is read or refused; text is never taken for what it is not."""
    try:
        found = read(sent)
    except MlflowError as error:
        found = None
        status = error.status
    assert status == 400 if found is None else found.run_id
