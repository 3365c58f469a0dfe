"""What is true of every request held against a signature."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from noria.registry.entities import Signature, TensorSpec
from noria.registry.signatures import InputInvalid, check_inputs, infer_signature

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=True, allow_infinity=True),
    st.text(max_size=4),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)
names = st.sampled_from(["a", "b", "c", "A", ""])
specs = st.builds(
    TensorSpec,
    name=st.sampled_from(["a", "b"]),
    datatype=st.sampled_from(["FP64", "FP32", "INT64", "INT32", "BOOL", "BYTES"]),
    shape=st.sampled_from([[-1], [-1, 2], [-1, 1, 2]]),
    nullable=st.booleans(),
)
signatures = st.lists(specs, min_size=1, max_size=2, unique_by=lambda spec: spec.name).map(
    lambda inputs: Signature(inputs=inputs, outputs=[])
)

KINDS = {"FP64": "f8", "FP32": "f4", "INT64": "i8", "INT32": "i4", "BOOL": "b1"}


@given(signature=signatures, inputs=st.dictionaries(names, values, max_size=3))
def test_any_request_fits_or_is_refused_by_name(signature: Signature, inputs: dict[str, Any]) -> None:
    """Whatever JSON a client sends, it gets arrays that fit, or an error that names a field; never a crash."""
    arrays = arrays_or_field(signature, inputs)
    if isinstance(arrays, str):
        return
    assert list(arrays) == [spec.name for spec in signature.inputs]
    assert len({len(array) for array in arrays.values()}) == 1
    for spec in signature.inputs:
        array = arrays[spec.name]
        assert list(array.shape[1:]) == spec.shape[1:]
        assert array.dtype.kind == "U" if spec.datatype == "BYTES" else array.dtype == KINDS[spec.datatype]
        if array.dtype.kind == "f":
            assert not np.isinf(array).any()
            assert spec.nullable or not np.isnan(array).any()


def arrays_or_field(signature: Signature, inputs: dict[str, Any]) -> dict[str, Any] | str:
    try:
        return check_inputs(signature, inputs)
    except InputInvalid as error:
        return str(error.details["field"])


finite = st.floats(allow_nan=False, allow_infinity=False)


@given(
    rows=st.lists(
        st.tuples(finite, st.integers(-(2**63), 2**63 - 1), st.text(max_size=5)), min_size=1, max_size=9
    ),
    gap=st.booleans(),
)
def test_training_data_fits_its_own_signature(rows: list[tuple[float, int, str]], gap: bool) -> None:
    """What a signature was inferred from passes it unchanged, as arrays and as the lists of a request."""
    size, count, kind = (np.array(column) for column in zip(*rows, strict=True))
    size = size.astype(float)
    if gap:
        size[0] = math.nan
    inputs = {"size": size, "count": count.astype(np.int64), "kind": np.array(kind, dtype=str)}
    signature = infer_signature(inputs, {})
    as_lists: dict[str, Any] = {name: array.tolist() for name, array in inputs.items()}
    as_lists["size"] = [None if math.isnan(value) else value for value in as_lists["size"]]

    for given_inputs in (inputs, as_lists):
        checked = check_inputs(signature, given_inputs)
        for name, array in inputs.items():
            np.testing.assert_array_equal(checked[name], array)
