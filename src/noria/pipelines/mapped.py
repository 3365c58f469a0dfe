"""Stored forms of large tables and arrays that other processes map into memory instead of reading them.

A Polars frame of `LARGE_BYTES` or more is kept as an Arrow IPC file without compression, an array as `.npy`; both are
written once and mapped by whoever takes them, so that a second copy is made only of the parts that are changed. Polars
itself reads Arrow files into memory of its own; it maps them where PyArrow is installed (`noria[tables]`).
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

LARGE_BYTES: Final = 32 * 1024 * 1024
"""Below, the usual forms are as fast, and smaller."""

_MAPPABLE: Final = frozenset(
    {
        *("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float32", "Float64"),
        *("Boolean", "String", "Binary", "Date", "Datetime", "Duration", "Time"),
    }
)
"""Types of columns that Arrow and Polars have in the same form."""


class MappedForm(msgspec.Struct, frozen=True, kw_only=True):
    """A form of values that are kept in files.

    Attributes
    ----------
    codec
        The codec of `codecs` that reads the same bytes out of memory.
    write, map
        From value to file and back. What is mapped may be changed without changing the file.
    """

    codec: str
    takes: Callable[[Any], bool]
    write: Callable[[Any, Path], None]
    map: Callable[[Path], Any]


def mapped_form_of(value: Any) -> MappedForm | None:
    """Give the form in which a large value is kept; None for one that is small, or has none."""
    return next((form for form in _FORMS if form.takes(value)), None)


def mapped_form(codec: str) -> MappedForm | None:
    """Give the form of a codec."""
    return next((form for form in _FORMS if form.codec == codec), None)


def _takes_frame(value: Any) -> bool:
    polars = sys.modules.get("polars")
    if polars is None or type(value) is not polars.DataFrame or value.estimated_size() < LARGE_BYTES:
        return False
    return all(str(kind.base_type()) in _MAPPABLE for kind in value.dtypes)


def _write_frame(frame: Any, path: Path) -> None:
    frame.write_ipc(path, compression="uncompressed")


def _map_frame(path: Path) -> Any:
    import polars as pl

    if importlib.util.find_spec("pyarrow") is None:
        return pl.read_ipc(path)
    import pyarrow as pa

    return pl.from_arrow(pa.ipc.open_file(pa.memory_map(str(path))).read_all())


def _takes_array(value: Any) -> bool:
    numpy = sys.modules.get("numpy")
    if numpy is None or type(value) is not numpy.ndarray or value.nbytes < LARGE_BYTES:
        return False
    return not value.dtype.hasobject and value.dtype.kind != "T"


def _write_array(array: Any, path: Path) -> None:
    import numpy as np

    with path.open("wb") as file:
        np.save(file, array, allow_pickle=False)


def _map_array(path: Path) -> Any:
    import numpy as np

    # Pages that are written to become the process's own.
    return np.asarray(np.load(path, mmap_mode="c", allow_pickle=False))


_FORMS: Final = (
    MappedForm(codec="arrow", takes=_takes_frame, write=_write_frame, map=_map_frame),
    MappedForm(codec="npy", takes=_takes_array, write=_write_array, map=_map_array),
)
