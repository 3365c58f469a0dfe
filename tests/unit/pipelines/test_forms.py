"""Values of other libraries come back equal from forms that carry no code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import onnx
import pandas as pd
import pyarrow as pa
import pytest
import xgboost
from onnx import TensorProto, helper

from noria.core.clock import SystemClock
from noria.core.objects.local import LocalObjectStore
from noria.pipelines.storing import ValueStore

X = np.random.default_rng(3).random((60, 3))
Y = (X[:, 0] > 0.5).astype(int)


@pytest.fixture
def values(tmp_path: Path) -> ValueStore:
    """Give a value store on an empty object store."""
    return ValueStore(LocalObjectStore(tmp_path / "objects", SystemClock()))


FRAME = pd.DataFrame(
    {
        "n": np.arange(4, dtype="int8"),
        "x": [0.5, None, -0.0, 2.0],
        "name": ["a", None, "ñ", ""],
        "at": pd.to_datetime(["2024-01-01", None, "2024-01-03", "2024-01-04"], utc=True).as_unit("us"),
        "is": [True, False, True, True],
    }
)


@pytest.mark.parametrize(
    "frame",
    [FRAME, FRAME.iloc[:0], FRAME[["n"]].set_index(pd.Index(list("wxyz"), name="key")), FRAME.iloc[[2, 0]]],
    ids=["plain", "empty", "named index", "chosen rows"],
)
def test_pandas_frames_are_parquet(values: ValueStore, frame: pd.DataFrame) -> None:
    """Values, types, names and the index come back as they were."""
    stored = values.save(frame)
    loaded = values.load(stored)

    assert (stored.codec, stored.portable) == ("pandas", True)
    pd.testing.assert_frame_equal(loaded, frame, check_index_type="exact")
    assert list(loaded.dtypes) == list(frame.dtypes)


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({1: [1]}),
        pd.DataFrame([[1, 2]], columns=["a", "a"]),
        pd.DataFrame({"a": [object()]}),
        pd.DataFrame({"a": pd.Categorical(["u"])}),
        pd.DataFrame({"a": [1]}, index=pd.MultiIndex.from_tuples([(1, 2)])),
        pd.DataFrame({"a": [1]}, index=pd.date_range("2024", periods=1)),
    ],
    ids=["number as name", "same names", "objects", "categories", "levels", "frequency"],
)
def test_what_parquet_would_change_is_pickled(values: ValueStore, frame: pd.DataFrame) -> None:
    """A frame that would not come back as it was is kept in the form that only its writer reads."""
    assert not values.save(frame).portable


def test_arrow_tables_keep_everything(values: ValueStore) -> None:
    """Types that Parquet does not have, dictionaries and metadata come back."""
    table = pa.table(
        {"d": pa.array([1, None], pa.duration("ms")), "k": pa.array(["a", "b"]).dictionary_encode()}
    ).replace_schema_metadata({"who": "me"})
    stored = values.save(table)

    assert stored.codec == "arrow-table"
    assert values.load(stored).equals(table, check_metadata=True)


def test_models_are_kept_in_their_own_form(values: ValueStore) -> None:
    """Boosters predict as before, and a graph of ONNX is the same; none is pickled."""
    light: Any = lightgbm.train(
        {"objective": "binary", "verbose": -1, "num_threads": 1}, lightgbm.Dataset(X, Y), num_boost_round=5
    )
    light.best_iteration = 3
    extreme = xgboost.train({"objective": "binary:logistic", "nthread": 1}, xgboost.DMatrix(X, Y), 5)
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
    )
    model = helper.make_model(graph)
    stored = [values.save(value) for value in (light, extreme, model)]
    loaded = [values.load(one) for one in stored]

    assert [(one.codec, one.portable) for one in stored] == [
        ("lightgbm", True),
        ("xgboost", True),
        ("onnx", True),
    ]
    assert np.array_equal(loaded[0].predict(X), light.predict(X))
    assert loaded[0].best_iteration == 3
    assert np.array_equal(loaded[1].predict(xgboost.DMatrix(X)), extreme.predict(xgboost.DMatrix(X)))
    assert loaded[2] == model
    onnx.checker.check_model(loaded[2])
