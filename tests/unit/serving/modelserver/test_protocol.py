"""Requests into arrays, and what is refused."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from noria.core.errors import Invalid, TooLarge
from noria.registry.entities import Signature, TensorSpec
from noria.registry.signatures import InputInvalid
from noria.serving.modelserver.protocol import (
    MAX_TEXT,
    array_of,
    datatype_of,
    read_inputs,
    read_request,
    tensor_of,
)


def _signature(
    datatype: str = "FP64", shape: list[int] | None = None, *, nullable: bool = False
) -> Signature:
    spec = TensorSpec(name="x", datatype=datatype, shape=shape or [-1, 2], nullable=nullable)
    return Signature(inputs=[spec], outputs=[])


def _read(signature: Signature, **tensor: Any) -> Any:
    body = msgspec.json.encode({"inputs": [{"name": "x", "datatype": "FP64", **tensor}]})
    return read_inputs(read_request(body), signature).arrays["x"]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)
tensors = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["x", "y"]),
        "shape": st.lists(st.integers(-2, 3), max_size=3) | values,
        "datatype": st.sampled_from(["FP64", "FP32", "INT64", "INT32", "BOOL", "BYTES", "FP16"]),
        "data": values,
    }
)


@given(
    st.fixed_dictionaries(
        {"inputs": st.lists(tensors, max_size=2) | values, "id": values, "parameters": values}
    )
)
def test_any_request_is_read_or_refused(request_: dict[str, Any]) -> None:
    """Whatever stands in it, the only errors are those that say what is wrong."""
    body = msgspec.json.encode(request_)
    for datatype in ("FP64", "INT32", "BYTES", "BOOL"):
        with contextlib.suppress(Invalid):
            found = read_inputs(read_request(body), _signature(datatype, [-1, 2]))
            assert all(len(array) == found.n_rows for array in found.arrays.values())


@given(st.binary(max_size=60))
def test_any_bytes_are_refused_as_input(body: bytes) -> None:
    """No bytes are a fault of the server."""
    with contextlib.suppress(Invalid):
        read_inputs(read_request(body), _signature())


@given(
    arrays.arrays(
        st.sampled_from([np.float64, np.float32, np.int64, np.int32, np.bool_]),
        arrays.array_shapes(min_dims=1, max_dims=3, max_side=4),
        elements={"allow_nan": False, "allow_infinity": False},
    )
)
def test_arrays_come_back_as_they_were(array: np.ndarray[Any, Any]) -> None:
    """Through the protocol, and through the record that the spool keeps."""
    tensor = tensor_of("x", array)
    signature = _signature(datatype_of(array.dtype), [-1, *array.shape[1:]])
    body = msgspec.json.encode({"inputs": [tensor]})

    read = read_inputs(read_request(body), signature).arrays["x"]
    back = array_of(msgspec.json.decode(msgspec.json.encode(tensor)))

    for found in (read, back):
        np.testing.assert_array_equal(found, array)
        assert found.dtype == array.dtype


def test_a_missing_number_is_nan_where_the_model_knows_missing_ones() -> None:
    """And refused by name where it does not."""
    found = _read(_signature(nullable=True), shape=[1, 2], data=[None, 1.5])

    np.testing.assert_array_equal(found, [[np.nan, 1.5]])
    with pytest.raises(InputInvalid, match="missing"):
        _read(_signature(), shape=[1, 2], data=[None, 1.5])


def test_whole_numbers_are_taken_for_decimal_ones() -> None:
    """Clients need not write `.0`; the other way round nothing is cut off."""
    whole = _read(_signature(), datatype="INT64", shape=[1, 2], data=[1, 2])

    assert whole.dtype == np.float64
    with pytest.raises(InputInvalid):
        _read(_signature("INT64"), shape=[1, 2], data=[1.5, 2.0])


def test_a_number_beyond_its_datatype_is_refused() -> None:
    """Too large for FP32 is not infinity, too large for INT32 is not another number."""
    with pytest.raises(InputInvalid, match="infinite"):
        _read(_signature("FP32"), datatype="FP32", shape=[1, 2], data=[1e300, 0])
    with pytest.raises(InputInvalid):
        _read(_signature("INT32"), datatype="INT32", shape=[1, 2], data=[2**31, 0])


def test_texts_have_a_size() -> None:
    """One long text among many would take its length for each."""
    data = ["a" * (MAX_TEXT // 2), "b", "c"]

    with pytest.raises(TooLarge):
        _read(_signature("BYTES", [-1]), datatype="BYTES", shape=[3], data=data)
    assert _read(_signature("BYTES", [-1]), datatype="BYTES", shape=[2], data=["ä", "bc"]).tolist() == [
        "ä",
        "bc",
    ]
