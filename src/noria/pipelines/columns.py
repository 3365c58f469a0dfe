"""Fingerprints of arrays and tables: by their values, since how equal ones lie in memory differs."""

from __future__ import annotations

import sys
from typing import Any, Protocol


class Parts(Protocol):
    """Takes in the parts of a value, one after the other."""

    def add(self, value: Any) -> None:
        """Take in a value."""
        ...

    def write(self, tag: str, payload: bytes | memoryview = b"") -> None:
        """Take in a part: its kind, its length and its bytes."""
        ...

    def items(self, value: object, tag: str, items: Any, n_items: int) -> None:
        """Take in a container."""
        ...


def add_columns(parts: Parts, value: Any) -> bool:
    """Take in an array, a number of NumPy, or a table of Polars, pandas or Arrow; false for anything else."""
    kind = type(value)
    library = kind.__module__.partition(".")[0]
    adder = _ADDERS.get(library)
    module = sys.modules.get(library)
    return adder is not None and module is not None and adder(parts, value, module)


def _add_numpy(parts: Parts, value: Any, numpy: Any) -> bool:
    if type(value) is numpy.ndarray:
        add_array(parts, value)
    elif isinstance(value, numpy.generic) and not _points_elsewhere(value.dtype):
        parts.write("number", value.dtype.str.encode())
        parts.write("bytes", value.tobytes())
    else:
        return False
    return True


def _add_polars(parts: Parts, value: Any, polars: Any) -> bool:
    if not isinstance(value, (polars.DataFrame, polars.Series)):
        return False
    columns = value.get_columns() if isinstance(value, polars.DataFrame) else [value]
    parts.write(type(value).__name__, str((len(columns), len(value))).encode())
    for column in columns:
        _add_column(parts, column)
    return True


def _add_column(parts: Parts, column: Any) -> None:
    kind = column.dtype
    parts.write("column", f"{column.name}\0{kind!r}".encode())
    if (kind.is_numeric() or kind.is_temporal()) and not kind.is_decimal():
        add_array(parts, column.is_null().to_numpy())
        add_array(parts, column.to_physical().fill_null(0).to_numpy())
    else:
        parts.add(column.to_list())


def _add_pandas(parts: Parts, value: Any, pandas: Any) -> bool:
    if type(value) not in (pandas.DataFrame, pandas.Series):
        return False
    frame = (
        value if type(value) is pandas.DataFrame else value.to_frame("" if value.name is None else value.name)
    )
    names = list(value.columns.names) if frame is value else [value.name]
    parts.write(type(value).__name__, str(frame.shape).encode())
    parts.add([list(frame.columns), names, list(frame.index.names), dict(value.attrs)])
    for series in [frame.index, *(frame.iloc[:, place] for place in range(frame.shape[1]))]:
        parts.write("dtype", f"{type(series).__name__} {series.dtype!r}".encode())
        array = series.to_numpy()
        if str(series.dtype) == "category":
            parts.add([list(series.dtype.categories), bool(series.dtype.ordered)])
        if type(array) is sys.modules["numpy"].ndarray:
            add_array(parts, array)
        else:
            parts.add(list(array))
    return True


def _add_arrow(parts: Parts, value: Any, arrow: Any) -> bool:
    if not isinstance(value, (arrow.Table, arrow.RecordBatch, arrow.ChunkedArray, arrow.Array)):
        return False
    table = value
    if isinstance(value, (arrow.ChunkedArray, arrow.Array)):
        table = arrow.table({"": value})
    elif isinstance(value, arrow.RecordBatch):
        table = arrow.Table.from_batches([value])
    parts.write(type(value).__name__, str(table.shape).encode())
    # Written out in one piece, a slice and a copy of it are the same bytes.
    sink = arrow.BufferOutputStream()
    with arrow.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table.combine_chunks())
    parts.write("arrow", memoryview(sink.getvalue()))
    return True


def add_array(parts: Parts, value: Any) -> None:
    """Take in an array of NumPy."""
    if _points_elsewhere(value.dtype):
        parts.write("objects", repr((value.shape, value.dtype.descr)).encode())
        parts.items(value, "items", value.ravel().tolist(), value.size)
        return
    parts.write("array", repr((value.shape, value.dtype.descr)).encode())
    contiguous = value if value.flags.c_contiguous else value.copy(order="C")
    # Dates and structures have no buffer of their own, but their bytes do.
    parts.write("bytes", memoryview(contiguous.reshape(-1).view("u1")) if value.size else b"")


def _points_elsewhere(dtype: Any) -> bool:
    """Tell whether an array's own bytes are pointers: objects, and strings of variable length."""
    return bool(dtype.hasobject) or dtype.kind == "T"


_ADDERS = {"numpy": _add_numpy, "polars": _add_polars, "pandas": _add_pandas, "pyarrow": _add_arrow}
