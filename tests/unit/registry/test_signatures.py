"""Signatures: inferred from training data, held against requests."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from noria.core.errors import Invalid
from noria.registry.entities import Signature, Task, TensorSpec
from noria.registry.signatures import (
    MAX_ROWS,
    InputInvalid,
    check_inputs,
    datatype_of,
    infer_signature,
    stack_rows,
    task_of,
)

SIGNATURE = Signature(
    inputs=[
        TensorSpec(name="pixels", datatype="FP64", shape=[-1, 2]),
        TensorSpec(name="count", datatype="INT64", shape=[-1]),
        TensorSpec(name="kind", datatype="BYTES", shape=[-1]),
        TensorSpec(name="flag", datatype="BOOL", shape=[-1]),
        TensorSpec(name="gap", datatype="FP32", shape=[-1], nullable=True),
    ],
    outputs=[],
)
GOOD: dict[str, Any] = {
    "pixels": [[0.5, 1], [2, 3]],
    "count": [1, 2],
    "kind": ["a", "ü"],
    "flag": [True, False],
    "gap": [1.5, None],
}


@pytest.mark.parametrize(
    ("array", "datatype"),
    [
        (np.zeros(2), "FP64"),
        (np.zeros(2, np.float32), "FP32"),
        (np.zeros(2, np.float16), "FP64"),
        (np.zeros(2, np.int32), "INT32"),
        (np.zeros(2, np.uint8), "INT64"),
        (np.zeros(2, bool), "BOOL"),
        (np.array(["a"]), "BYTES"),
        (np.array(["a", None], dtype=object), "BYTES"),
    ],
)
def test_types_have_the_protocols_names(array: np.ndarray[Any, Any], datatype: str) -> None:
    """Every type that models take has a name in the Open Inference Protocol."""
    assert datatype_of(array) == datatype


@pytest.mark.parametrize("dtype", ["datetime64[s]", "timedelta64[s]", "complex128"])
def test_types_without_a_name_are_refused(dtype: str) -> None:
    """Dates and complex numbers are named, with the mend."""
    with pytest.raises(Invalid, match=r"datetime64|timedelta64|complex128"):
        datatype_of(np.zeros(2, dtype))


def test_a_signature_is_inferred() -> None:
    """Names, types, shapes, and where values were missing."""
    inferred = infer_signature(
        {"images": np.zeros((3, 8, 8)), "age": np.array([1.0, np.nan, 3.0])},
        {"predictions": np.array([1, 2, 3])},
    )

    assert inferred == Signature(
        inputs=[
            TensorSpec(name="images", datatype="FP64", shape=[-1, 8, 8]),
            TensorSpec(name="age", datatype="FP64", shape=[-1], nullable=True),
        ],
        outputs=[TensorSpec(name="predictions", datatype="INT64", shape=[-1])],
    )


@pytest.mark.parametrize(
    ("target", "task"),
    [
        (np.array([0, 1]), Task.CLASSIFICATION),
        (np.array(["a"]), Task.CLASSIFICATION),
        (np.array([True]), Task.CLASSIFICATION),
        (np.array([0.5]), Task.REGRESSION),
    ],
)
def test_a_target_tells_the_task(target: np.ndarray[Any, Any], task: Task) -> None:
    """Decimal numbers are quantities, the rest are classes."""
    assert task_of(target) is task


def test_good_inputs_become_arrays_in_order() -> None:
    """Lists come back as arrays of the signature's types, in its order, missing values as NaN."""
    arrays = check_inputs(SIGNATURE, dict(reversed(GOOD.items())))

    assert list(arrays) == ["pixels", "count", "kind", "flag", "gap"]
    assert [array.dtype.kind for array in arrays.values()] == ["f", "i", "U", "b", "f"]
    assert arrays["gap"].dtype == np.float32
    np.testing.assert_array_equal(arrays["pixels"], [[0.5, 1.0], [2.0, 3.0]])
    np.testing.assert_array_equal(arrays["gap"], np.array([1.5, np.nan], np.float32))


BAD: dict[str, tuple[dict[str, Any], str, str]] = {
    "missing": ({"count": ...}, "count", "is missing"),
    "extra": ({"pixel": [1]}, "pixel", "no input `pixel`"),
    "text for numbers": ({"pixels": [["1", "2"], ["3", "4"]]}, "pixels", "holds text"),
    "truth for numbers": ({"pixels": [[True, False], [True, True]]}, "pixels", "truth values"),
    "decimals for whole": ({"count": [0.5, 1.0]}, "count", "decimal numbers"),
    "numbers for text": ({"kind": [1, 2]}, "kind", "whole numbers"),
    "null for text": ({"kind": ["a", None]}, "kind", "mixed values"),
    "numbers for truth": ({"flag": [0, 1]}, "flag", "whole numbers"),
    "null for truth": ({"flag": [None, True]}, "flag", "mixed values"),
    "mixture": ({"pixels": [["a", 1], [2, 3]]}, "pixels", "holds"),
    "object": ({"pixels": {"a": 1}}, "pixels", "mixed values"),
    "nothing": ({"pixels": None}, "pixels", "shape"),
    "one number": ({"pixels": 1.0}, "pixels", "shape"),
    "no rows": ({"pixels": []}, "pixels", "shape"),
    "ragged": ({"pixels": [[1.0], [1.0, 2.0]]}, "pixels", "differ in length"),
    "flat": ({"pixels": [1.0, 2.0]}, "pixels", "shape"),
    "deep": ({"pixels": [[[1.0, 2.0]], [[1.0, 2.0]]]}, "pixels", "shape"),
    "wide": ({"pixels": [[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]}, "pixels", "shape"),
    "too deep": ({"pixels": eval("[" * 90 + "1" + "]" * 90)}, "pixels", "input `pixels`"),  # noqa: S307
    "other number of rows": ({"count": [1, 2, 3]}, "pixels", "different numbers of rows"),
    "nan": ({"pixels": [[1.0, 2.0], [float("nan"), 1.0]]}, "pixels", r"missing \(NaN\) in row 1"),
    "null": ({"pixels": [[1.0, 2.0], [None, 1.0]]}, "pixels", r"missing \(NaN\) in row 1"),
    "infinite": ({"pixels": [[1.0, 2.0], [3.0, float("inf")]]}, "pixels", "infinite in row 1"),
    "infinite where missing is fine": ({"gap": [float("-inf"), 1.0]}, "gap", "infinite in row 0"),
    "too large for 32 bits": ({"gap": [1e300, 1.0]}, "gap", "infinite in row 0"),
    "beyond any float": ({"pixels": [[10**400, 1], [1, 1]]}, "pixels", "beyond FP64"),
    "beyond 64 bits": ({"count": [10**30, 1]}, "count", "beyond INT64"),
    "unsigned beyond 64 bits": ({"count": np.array([2**63, 1], np.uint64)}, "count", "beyond INT64"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_fit_is_named(case: str) -> None:
    """Each way of being wrong is an error that names the input and says what is wrong with it."""
    change, field, message = BAD[case]
    inputs = {name: value for name, value in {**GOOD, **change}.items() if value is not ...}

    with pytest.raises(InputInvalid, match=message) as caught:
        check_inputs(SIGNATURE, inputs)
    assert caught.value.details["field"] == field
    assert f"`{field}`" in caught.value.message or "rows" in caught.value.message


def test_a_misspelt_input_suggests_the_near_one() -> None:
    """The hint is the name that was probably meant."""
    with pytest.raises(InputInvalid) as caught:
        check_inputs(SIGNATURE, {**GOOD, "pixel": [1]})

    assert caught.value.hint == "Did you mean `pixels`?"


def test_rows_are_bounded() -> None:
    """One row more than the limit is refused, the limit is not."""
    narrow = Signature(inputs=[TensorSpec(name="x", datatype="FP64", shape=[-1])], outputs=[])

    assert len(check_inputs(narrow, {"x": np.zeros(MAX_ROWS)})["x"]) == MAX_ROWS
    with pytest.raises(InputInvalid, match=f"{MAX_ROWS + 1} rows"):
        check_inputs(narrow, {"x": np.zeros(MAX_ROWS + 1)})


def test_live_rows_are_stacked_as_they_are() -> None:
    """What does not fit becomes missing, so that a monitor can count it."""
    stacked = stack_rows(
        SIGNATURE,
        [
            {"pixels": [1, 2], "count": 3, "kind": "a", "flag": True, "gap": None},
            {"pixels": [1], "count": "many", "kind": "b"},
        ],
    )

    np.testing.assert_array_equal(stacked["pixels"], [[1.0, 2.0], [np.nan, np.nan]])
    np.testing.assert_array_equal(stacked["count"], [3.0, np.nan])
    assert stacked["kind"].tolist() == ["a", "b"]
    assert stack_rows(SIGNATURE, [])["pixels"].shape == (0, 2)


@pytest.mark.parametrize("kind", [np.float64, np.float32])
@pytest.mark.parametrize("layout", ["rows", "columns", "anywhere"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, None])
def test_one_number_among_many_is_found(kind: Any, layout: str, bad: float | None) -> None:
    """However an array lies in memory, and also where numbers are too large to be added up."""
    rows = np.full((100, 3), np.finfo(kind).max, kind)
    if bad is not None:
        rows[70, 1] = bad
    if layout == "columns":
        rows = np.asfortranarray(rows)
    elif layout == "anywhere":
        rows = np.frombuffer(b"?" + rows.tobytes(), kind, offset=1).reshape(100, 3)
    datatype = "FP64" if kind is np.float64 else "FP32"
    signature = Signature(
        inputs=[TensorSpec(name="x", datatype=datatype, shape=[-1, 3], nullable=False)], outputs=[]
    )

    if bad is None:
        found = check_inputs(signature, {"x": rows}, copied=False)["x"]
        assert found.tobytes() == rows.tobytes()
    else:
        with pytest.raises(InputInvalid, match="in row 70"):
            check_inputs(signature, {"x": rows}, copied=False)
