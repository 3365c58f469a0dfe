"""Stored forms of what other libraries make: tables of pandas and Arrow, models of ONNX, LightGBM and XGBoost.

A library is never imported to ask whether a value is its own: who made the value has imported it.
"""

from __future__ import annotations

import importlib.util
import io
import json
import sys
from collections.abc import Callable
from typing import Any, Final

import msgspec


class Codec(msgspec.Struct, frozen=True, kw_only=True):
    """A stored form of some values.

    Attributes
    ----------
    name
        Kept with every stored value; never changes its meaning.
    takes
        Whether it can store a value so that decoding gives an equal one.
    encode, decode
        From value to bytes and back. Decoding must not run code that the bytes choose.
    """

    name: str
    takes: Callable[[Any], bool]
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]


def _is_pandas(value: Any) -> bool:
    """Tell whether a frame comes back equal from Parquet: plain names, and types of columns that both have."""
    pandas = sys.modules.get("pandas")
    if pandas is None or type(value) is not pandas.DataFrame or value.attrs or not value.columns.is_unique:
        return False
    if importlib.util.find_spec("pyarrow") is None or value.columns.nlevels > 1 or value.index.nlevels > 1:
        return False
    names = [*value.columns, *([] if value.index.name is None else [value.index.name])]
    if (
        value.columns.name is not None
        or not all(type(name) is str for name in names)
        or len(set(names)) < len(names)
    ):
        return False
    if getattr(value.index, "freq", None) is not None:
        return False
    return all(map(_is_of_parquet, [*value.dtypes, value.index.dtype])) and _keeps_types(value)


def _is_of_parquet(dtype: Any) -> bool:
    kind, text = getattr(dtype, "kind", "O"), str(dtype)
    return (
        text == "str"
        or (kind in "biuf" and text != "float16")
        or text.startswith(("datetime64[ns", "datetime64[us"))
    )


def _keeps_types(frame: Any) -> bool:
    import pyarrow as pa

    empty = pa.Table.from_pandas(frame.iloc[:0]).to_pandas()
    return list(empty.dtypes) == list(frame.dtypes) and empty.index.dtype == frame.index.dtype


def _encode_pandas(frame: Any) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    target = io.BytesIO()
    pq.write_table(pa.Table.from_pandas(frame), target, compression="zstd")
    return target.getvalue()


def _decode_pandas(data: bytes) -> Any:
    import pyarrow.parquet as pq

    return pq.read_table(io.BytesIO(data)).to_pandas()


def _is_arrow(value: Any) -> bool:
    arrow = sys.modules.get("pyarrow")
    return arrow is not None and type(value) is arrow.Table


def _encode_arrow(table: Any) -> bytes:
    import pyarrow as pa

    target = io.BytesIO()
    with pa.ipc.new_file(target, table.schema) as file:
        file.write_table(table)
    return target.getvalue()


def _decode_arrow(data: bytes) -> Any:
    import pyarrow as pa

    return pa.ipc.open_file(pa.py_buffer(data)).read_all()


def _is_onnx(value: Any) -> bool:
    onnx = sys.modules.get("onnx")
    return onnx is not None and type(value) is onnx.ModelProto


def _encode_onnx(model: Any) -> bytes:
    return bytes(model.SerializeToString(deterministic=True))


def _decode_onnx(data: bytes) -> Any:
    import onnx

    return onnx.ModelProto.FromString(data)


def _is_lightgbm(value: Any) -> bool:
    lightgbm = sys.modules.get("lightgbm")
    return lightgbm is not None and type(value) is lightgbm.Booster


def _encode_lightgbm(booster: Any) -> bytes:
    kept = {
        "model": booster.model_to_string(num_iteration=-1),
        "best_iteration": booster.best_iteration,
        "best_score": booster.best_score,
    }
    return json.dumps(kept).encode()


def _decode_lightgbm(data: bytes) -> Any:
    import lightgbm

    kept = json.loads(data)
    booster = lightgbm.Booster(model_str=kept["model"])
    booster.best_iteration, booster.best_score = kept["best_iteration"], kept["best_score"]
    return booster


def _is_xgboost(value: Any) -> bool:
    xgboost = sys.modules.get("xgboost")
    return xgboost is not None and type(value) is xgboost.Booster


def _decode_xgboost(data: bytes) -> Any:
    import xgboost

    booster = xgboost.Booster()
    booster.load_model(bytearray(data))
    return booster


LIBRARY_CODECS: Final = (
    Codec(name="pandas", takes=_is_pandas, encode=_encode_pandas, decode=_decode_pandas),
    Codec(name="arrow-table", takes=_is_arrow, encode=_encode_arrow, decode=_decode_arrow),
    Codec(
        name="onnx",
        takes=_is_onnx,
        encode=lambda model: model.SerializeToString(deterministic=True),
        decode=_decode_onnx,
    ),
    Codec(name="lightgbm", takes=_is_lightgbm, encode=_encode_lightgbm, decode=_decode_lightgbm),
    Codec(
        name="xgboost",
        takes=_is_xgboost,
        encode=lambda booster: bytes(booster.save_raw(raw_format="ubj")),
        decode=_decode_xgboost,
    ),
)
