"""What was predicted, without reading all that was captured of requests."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from noria.serving.packing import Entry, Unpacked, values_of
from noria.serving.tensor_data import TEXT_HEAD, TEXTS, Form, Layout, TensorForm

PREDICTIONS = "predictions"
"""Name of the output that labels are compared with."""

MAX_REQUESTS = 200
"""So many requests of what is captured at once are looked into, evenly spread; the rest is like them."""


_FLOATS = ("e", "f", "d")


class _Place(NamedTuple):
    """The tensors in front of the predictions, and a layout of the predictions alone; no code where they are texts.

    Attributes
    ----------
    one, one_at
        Reads the prediction of a single row, and how far behind the beginning of its data; None where texts are before
        it or it is one.
    """

    before: tuple[int | None, ...]
    code: str | None
    is_text: bool
    row_bytes: int
    layout: bytes
    one: struct.Struct | None
    one_at: int


def first_predictions(unpacked: Unpacked, indexes: Sequence[int]) -> list[Any]:
    """Give the predictions for the first row of some requests; requests that predict no single value are left out.

    Parameters
    ----------
    indexes
        Of entries that begin a request.
    """
    stride = max(1, -(-len(indexes) // MAX_REQUESTS))
    found = [_first(unpacked.entry(index)) for index in indexes[::stride]]
    return [value for value in found if isinstance(value, (str, int, float))]


def predictions_of(unpacked: Unpacked, index: int) -> list[Any]:
    """Give what a request predicted, row by row; None where a row has no such output, or a number that is not finite.

    Parameters
    ----------
    index
        Of the entry.
    """
    layout = unpacked.layout_places[index]
    place = None if layout < 0 else _place(unpacked.layouts[layout])
    if place is None or place.one is None:
        return [outputs.get(PREDICTIONS) for _, outputs in values_of(unpacked.entry(index))]
    n_rows = unpacked.n_rows[index]
    start = unpacked.ends[index - 1] if index else 0
    if n_rows == 1:  # as nearly all are
        values = place.one.unpack_from(unpacked.data, start + place.one_at)
    else:
        values = struct.unpack_from(f"<{n_rows}{place.code}", unpacked.data, start + n_rows * place.one_at)
    if place.code in _FLOATS:
        return [value if math.isfinite(value) else None for value in values]
    return list(values)


def _first(entry: Entry) -> Any:
    if not entry.layout:
        return values_of(entry)[0][1].get(PREDICTIONS)
    place = _place(entry.layout)
    if place is None:
        return None
    start = 0
    for row_bytes in place.before:
        start += _text_bytes(entry.data, start) if row_bytes is None else row_bytes * entry.n_rows
    n_rows = entry.n_rows if place.is_text else 1
    size = _text_bytes(entry.data, start) if place.is_text else place.row_bytes
    alone = entry._replace(n_rows=n_rows, layout=place.layout, data=entry.data[start : start + size])
    return values_of(alone)[0][1][PREDICTIONS]


def _text_bytes(data: bytes, start: int) -> int:
    length: int = TEXT_HEAD.unpack_from(data, start)[0]
    return TEXT_HEAD.size + length


@lru_cache(maxsize=256)
def _place(layout: bytes) -> _Place | None:
    known = msgspec.msgpack.decode(layout, type=Layout)
    names = [form.name for form in known.outputs]
    if PREDICTIONS not in names:
        return None
    at = names.index(PREDICTIONS)
    form = known.outputs[at]
    if form.shape:
        return None
    before = tuple(_row_bytes(each) for each in (*known.inputs, *known.outputs[:at]))
    alone = msgspec.msgpack.encode(Layout(inputs=[], outputs=[form]))
    code = Form.of(form).code
    one = None if code is None or None in before else struct.Struct(f"<{code}")
    one_at = sum(size or 0 for size in before)
    return _Place(before, code, form.dtype == TEXTS, _row_bytes(form) or 0, alone, one, one_at)


def _row_bytes(form: TensorForm) -> int | None:
    """Give the bytes of a row, whose type ends with the bytes of a value; None where rows are texts."""
    return None if form.dtype == TEXTS else int(form.dtype[1:]) * math.prod(form.shape)
