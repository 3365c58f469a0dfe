"""Predictions asked in every form that the model server takes, without a server."""

from __future__ import annotations

import contextlib
import struct
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.core.errors import Invalid
from noria.registry.entities import Signature, TensorSpec
from noria.registry.signatures import InputInvalid
from noria.serving.modelserver import fast
from noria.serving.modelserver.binary import bytes_of
from noria.serving.modelserver.invocations import InvocationsAsk
from noria.serving.modelserver.protocol import Answered, InferAsk
from noria.serving.modelserver.rows import RowsAsk
from noria.serving.modelserver.tensors import DTYPES

MATRIX = Signature(inputs=[TensorSpec(name="x", datatype="FP64", shape=[-1, 2])], outputs=[])
TABLE = Signature(
    inputs=[
        TensorSpec(name="age", datatype="FP64", shape=[-1], nullable=True),
        TensorSpec(name="visits", datatype="INT64", shape=[-1]),
        TensorSpec(name="city", datatype="BYTES", shape=[-1]),
        TensorSpec(name="member", datatype="BOOL", shape=[-1]),
    ],
    outputs=[],
)
ROWS: list[list[Any]] = [[41.5, 3, "León", True], [None, 4, "Ávila", False]]
NAMES = [spec.name for spec in TABLE.inputs]
RECORDS = [dict(zip(NAMES, row, strict=True)) for row in ROWS]
CSV = "age,visits,city,member\n41.5,3,León,true\n,4,Ávila,false\n".encode()


def _json(value: Any) -> bytes:
    return msgspec.json.encode(value)


def _answered(**outputs: Any) -> Answered:
    arrays = {name: np.asarray(value) for name, value in outputs.items()}
    return Answered(
        endpoint="live", version=2, identity="a" * 32, n_rows=len(arrays["predictions"]), outputs=arrays
    )


@pytest.mark.parametrize(
    "ask",
    [
        InvocationsAsk(_json({"dataframe_split": {"columns": NAMES, "data": ROWS}}), "application/json"),
        InvocationsAsk(
            _json({"dataframe_split": {"columns": NAMES[::-1], "data": [r[::-1] for r in ROWS]}}), None
        ),
        InvocationsAsk(_json({"dataframe_records": RECORDS}), "application/json; charset=utf-8"),
        InvocationsAsk(_json({"instances": RECORDS}), None),
        InvocationsAsk(_json({"instances": ROWS}), None),
        InvocationsAsk(_json({"inputs": {n: [row[i] for row in ROWS] for i, n in enumerate(NAMES)}}), None),
        InvocationsAsk(CSV, "text/csv"),
        RowsAsk(_json(ROWS)),
        RowsAsk(_json({"rows": RECORDS, "id": "7"})),
    ],
)
def test_a_table_is_the_same_in_every_form(ask: Any) -> None:
    """Whichever way the rows are written, the model sees the same arrays."""
    found = ask.inputs(TABLE)

    assert found.n_rows == 2
    np.testing.assert_array_equal(found.arrays["age"], [41.5, np.nan])
    assert found.arrays["visits"].tolist() == [3, 4]
    assert found.arrays["city"].tolist() == ["León", "Ávila"]
    assert found.arrays["member"].tolist() == [True, False]


@pytest.mark.parametrize(
    ("ask", "field"),
    [
        (InvocationsAsk(_json({"dataframe_records": [{"age": 1.0}]}), None), "visits"),
        (InvocationsAsk(_json({"dataframe_records": [{**RECORDS[0], "more": 1}]}), None), "more"),
        (InvocationsAsk(_json({"dataframe_records": [RECORDS[0], {"age": 1.0}]}), None), "visits"),
        (InvocationsAsk(_json({"instances": [[1.0, "two", "c", True]]}), None), "visits"),
        (InvocationsAsk(_json({"instances": [[True, 2, "c", True]]}), None), "age"),
        (InvocationsAsk(_json({"instances": [[1.0, 2, 3, True]]}), None), "city"),
        (InvocationsAsk(_json({"instances": [[1.0, 2]]}), None), "city"),
        (InvocationsAsk(b"age,visits,city,member\n1,x,c,true\n", "text/csv"), "visits"),
        (InvocationsAsk(b"age,visits,city,member\n1,2\n", "text/csv"), "city"),
        (RowsAsk(_json([{**RECORDS[0], "member": 1}])), "member"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_by_name(ask: Any, field: str) -> None:
    """Missing, extra and mistyped columns are named."""
    with pytest.raises(InputInvalid) as caught:
        ask.inputs(TABLE)
    assert caught.value.details["field"] == field


@pytest.mark.parametrize("datatype", [name for name in DTYPES if name != "BYTES"])
def test_every_datatype_comes_and_goes_as_bytes(datatype: str) -> None:
    """The binary form of a tensor is that of NumPy, the lowest byte first."""
    array = np.array([[0, 1], [1, 0]]).astype(DTYPES[datatype])
    taken = {"F": "FP64", "I": "INT64", "U": "INT64", "B": "BOOL"}[datatype[0]]
    signature = Signature(inputs=[TensorSpec(name="x", datatype=taken, shape=[-1, 2])], outputs=[])
    content = bytes_of(array)
    described = {
        "name": "x",
        "datatype": datatype,
        "shape": [2, 2],
        "parameters": {"binary_data_size": len(content)},
    }
    head = _json({"inputs": [described], "parameters": {"binary_data_output": True}})

    ask = InferAsk(head + content, len(head), None)
    np.testing.assert_array_equal(ask.inputs(signature).arrays["x"], array)
    body, headers = ask.reply(_answered(predictions=array[:, 0]))

    told = msgspec.json.decode(body[: int(dict(headers)["inference-header-content-length"])])
    output = told["outputs"][0]
    assert (output["datatype"], output["shape"]) == (datatype, [2])
    assert body[-output["parameters"]["binary_data_size"] :] == bytes_of(array[:, 0])


def test_texts_come_and_go_as_bytes() -> None:
    """Each behind its length."""
    content = b"".join(struct.pack("<I", len(t.encode())) + t.encode() for t in ("León", ""))
    signature = Signature(inputs=[TensorSpec(name="x", datatype="BYTES", shape=[-1])], outputs=[])
    head = _json(
        {
            "inputs": [
                {
                    "name": "x",
                    "datatype": "BYTES",
                    "shape": [2],
                    "parameters": {"binary_data_size": len(content)},
                }
            ]
        }
    )

    assert InferAsk(head + content, len(head), None).inputs(signature).arrays["x"].tolist() == [
        "León",
        "",
    ]
    assert bytes_of(np.array(["León", ""])) == content
    cut = head.replace(str(len(content)).encode(), str(len(content) - 1).encode())
    with pytest.raises(InputInvalid):
        InferAsk(cut + content[:-1], len(cut), None).inputs(signature)


numbers = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**70), 2**70), st.none(), st.text()
)


@given(
    st.lists(st.lists(numbers, min_size=1, max_size=3), max_size=3),
    st.booleans(),
    st.sampled_from([[1, 2], [2, 2], [3, 2]]),
)
def test_the_short_way_reads_what_the_long_way_reads(
    rows: list[list[Any]], nested: bool, shape: list[int]
) -> None:
    """A request has one meaning, whatever its size and whichever decoder takes it."""
    data = rows if nested else [value for row in rows for value in row]
    body = _json({"inputs": [{"name": "x", "shape": shape, "datatype": "FP64", "data": data}]})
    long = _outcome(body, numbers=False)

    # Spaces between values mean nothing, and make it a large request.
    assert _outcome(body, numbers=True) == long
    assert _outcome(body[:-1] + b" " * fast._LARGE_BYTES + b"}", numbers=True) == long


def _outcome(body: bytes, *, numbers: bool) -> Any:
    try:
        taken = fast.Numbers.of(MATRIX) if numbers else None
        return InferAsk(body, None, taken).inputs(MATRIX).arrays["x"].tolist()
    except InputInvalid as error:
        return error.details["field"]
    except Invalid:
        return "refused"


@given(st.binary(max_size=80), st.integers(0, 90), st.sampled_from(["text/csv", "application/json", None]))
def test_any_bytes_are_read_or_refused(body: bytes, n_head: int, kind: str | None) -> None:
    """No bytes are a fault of the server, in no form."""
    for make in (
        lambda: InferAsk(body, n_head, fast.Numbers.of(MATRIX)),
        lambda: InvocationsAsk(body, kind),
        lambda: RowsAsk(body),
    ):
        for signature in (MATRIX, TABLE):
            with contextlib.suppress(Invalid):
                make().inputs(signature)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["age", "city", "b"]), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(
    st.sampled_from(["dataframe_split", "dataframe_records", "instances", "inputs", "rows"]), values, values
)
def test_any_json_is_read_or_refused(form: str, value: Any, columns: Any) -> None:
    """Whatever stands in it, the only errors are those that say what is wrong."""
    content = {"columns": columns, "data": value} if form == "dataframe_split" else value
    body = _json({form: content})
    for signature in (MATRIX, TABLE):
        with contextlib.suppress(Invalid):
            (RowsAsk(body) if form == "rows" else InvocationsAsk(body, None)).inputs(signature)


@pytest.mark.parametrize("ask", [lambda body: InvocationsAsk(body, None), RowsAsk])
def test_what_json_cannot_write_is_refused_with_what_to_send(ask: Any) -> None:
    """A program that writes NaN into JSON is told to send null, and another mistake is not called one of numbers."""
    refused = []
    for body in (b'{"instances": [[1.0, NaN]]}', b'{"instances": [[1.0, "NaN"]'):
        with pytest.raises(Invalid, match="not JSON") as caught:
            ask(body)
        refused.append(caught.value.hint)

    assert "send `null`" in (refused[0] or "")
    assert refused[1] is None


def test_answers_have_the_form_of_the_request() -> None:
    """MLflow's clients get predictions alone, rows get all outputs and their ids."""
    answered = _answered(predictions=[1, 0], probabilities=[[0.25, 0.75], [0.5, np.nan]])

    assert InvocationsAsk(_json({"inputs": [[1, 2]]}), None).reply(answered).body == b'{"predictions":[1,0]}'
    told = msgspec.json.decode(RowsAsk(_json([[1, 2]])).reply(answered).body)
    assert told["probabilities"] == [[0.25, 0.75], [0.5, None]]
    assert told["ids"] == [f"{'a' * 32}-0", f"{'a' * 32}-1"]
