"""The bytes of arrays in what is captured: what they are, and the values that are read from them.

Numbers are little-endian, one array after the other; texts are a length and a list in msgpack. Python's `struct` reads
them, so that the server needs no NumPy.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Any, NamedTuple

import msgspec

from noria.core.errors import Corrupt

TEXTS = "O"
"""Type of a tensor of texts."""

_CODES = {
    "b1": "?", "i1": "b", "i2": "h", "i4": "i", "i8": "q", "u1": "B", "u2": "H", "u4": "I", "u8": "Q",
    "f2": "e", "f4": "f", "f8": "d",
}  # fmt: skip

TEXT_HEAD = struct.Struct("<I")
"""Before texts: how many bytes they are."""

Dimension = Annotated[int, msgspec.Meta(ge=0, le=1 << 31)]

_encoder = msgspec.msgpack.Encoder()
_texts = msgspec.msgpack.Decoder(list[str])

Named = list[tuple[str, list[Any]]]


class TensorForm(msgspec.Struct, frozen=True, array_like=True):
    """A tensor of a layout: its name, the type as NumPy writes it without byte order, and the shape of one row."""

    name: str
    dtype: str
    shape: list[Dimension] = []


class Layout(msgspec.Struct, frozen=True, array_like=True):
    """What the data of entries hold, in this order; numbers little-endian, texts as a length and a list in msgpack."""

    inputs: list[TensorForm]
    outputs: list[TensorForm]


def tensor_form(name: str, dtype: str, shape: Sequence[int]) -> TensorForm | None:
    """Describe an array by its type as NumPy writes it; None where its bytes cannot be kept.

    Examples
    --------
    >>> tensor_form("x", "<f8", (3,))
    TensorForm(name='x', dtype='f8', shape=[3])
    """
    if dtype[1:2] in ("O", "U", "S"):
        return TensorForm(name, TEXTS, list(shape))
    known = dtype[0] in "<|" and dtype[1:] in _CODES
    return TensorForm(name, dtype[1:], list(shape)) if known else None


def packed_texts(texts: list[str]) -> bytes:
    """Give the bytes of a tensor of texts."""
    data = _encoder.encode(texts)
    return TEXT_HEAD.pack(len(data)) + data


def texts_at(data: bytes, offset: int) -> tuple[list[str], int]:
    """Give the texts that `packed_texts` put there, and the place behind them.

    Raises
    ------
    Corrupt
        If there are none.
    """
    try:
        (length,) = TEXT_HEAD.unpack_from(data, offset)
        start = offset + TEXT_HEAD.size
        return _texts.decode(data[start : start + length]), start + length
    except (struct.error, msgspec.DecodeError) as error:
        raise corrupt(str(error)) from error


class LayoutReader:
    """Reads data of one layout.

    Attributes
    ----------
    forms
        Of the inputs, then of the outputs.
    n_inputs
        How many of them are inputs.
    row_bytes
        Of all of them together; None where one is of texts.
    """

    def __init__(self, layout: Layout) -> None:
        self.n_inputs = len(layout.inputs)
        self.forms = [Form.of(form) for form in (*layout.inputs, *layout.outputs)]
        sizes = [form.row_bytes for form in self.forms]
        self.row_bytes = None if None in sizes else sum(size or 0 for size in sizes)

    def columns(self, data: bytes, n_rows: int) -> tuple[Named, Named]:
        """Give the values of inputs and outputs, row by row."""
        offset, found = 0, []
        for form in self.forms:
            column, offset = form.read(data, offset, n_rows)
            found.append((form.name, column))
        if offset != len(data):
            raise corrupt("the data are not as long as they should be")
        return found[: self.n_inputs], found[self.n_inputs :]

    def parts(self, data: bytes, n_rows: int) -> list[tuple[bytes | list[str], int]]:
        """Give the bytes or texts of each tensor, and how many of them a row has."""
        offset = 0
        found: list[tuple[bytes | list[str], int]] = []
        for form in self.forms:
            if form.row_bytes is None:
                texts, offset = form.texts(data, offset, n_rows)
                found.append((texts, form.n_values))
            else:
                end = offset + form.row_bytes * n_rows
                found.append((data[offset:end], form.row_bytes))
                offset = end
        return found


class Form(NamedTuple):
    """How a tensor is read.

    Attributes
    ----------
    code
        Type of a value as `struct` and NumPy write it without byte order; None of texts.
    shape
        Of one row.
    n_values, row_bytes
        Of one row; None bytes of texts.
    """

    name: str
    code: str | None
    shape: tuple[int, ...]
    n_values: int
    row_bytes: int | None

    @classmethod
    def of(cls, form: TensorForm) -> Form:
        """Make it of what a layout says.

        Raises
        ------
        Corrupt
            If the type is none.
        """
        n_values = math.prod(form.shape)
        shape = tuple(form.shape)
        if form.dtype == TEXTS:
            return cls(form.name, None, shape, n_values, None)
        code = _CODES.get(form.dtype)
        if code is None:
            raise corrupt(f"`{form.dtype[:20]}` is no type of a tensor")
        return cls(form.name, code, shape, n_values, n_values * struct.calcsize(f"<{code}"))

    def read(self, data: bytes, offset: int, n_rows: int) -> tuple[list[Any], int]:
        """Give the values of each row, and the place behind them."""
        if self.code is None:
            texts, end = self.texts(data, offset, n_rows)
            return _nested(texts, self.shape, n_rows), end
        n_values = self.n_values * n_rows
        try:
            values: Sequence[Any] = struct.unpack_from(f"<{n_values}{self.code}", data, offset)
        except struct.error as error:
            raise corrupt(str(error)) from error
        if self.code in "efd" and not math.isfinite(sum(values)):
            values = [value if math.isfinite(value) else None for value in values]
        return _nested(values, self.shape, n_rows), offset + (self.row_bytes or 0) * n_rows

    def texts(self, data: bytes, offset: int, n_rows: int) -> tuple[list[str], int]:
        """Give the texts of all rows, and the place behind them."""
        texts, end = texts_at(data, offset)
        if len(texts) != self.n_values * n_rows:
            raise corrupt(f"`{self.name[:100]}` has not as many texts as it should")
        return texts, end


def _nested(values: Sequence[Any], shape: tuple[int, ...], n: int) -> list[Any]:
    if not shape:
        return list(values)
    size = math.prod(shape)
    if len(shape) == 1:
        return (
            [list(values[start : start + size]) for start in range(0, n * size, size)] if size else [[]] * n
        )
    return [_nested(values[start * size : (start + 1) * size], shape[1:], shape[0]) for start in range(n)]


@lru_cache(maxsize=256)
def reader_of(layout: bytes) -> LayoutReader:
    """Give what reads data of a packed layout.

    Raises
    ------
    Corrupt
        If it is none.
    """
    try:
        return LayoutReader(msgspec.msgpack.decode(layout, type=Layout))
    except msgspec.DecodeError as error:
        raise corrupt(str(error)) from error


def corrupt(reason: str) -> Corrupt:
    """Make the error of captured bytes that cannot be read."""
    return Corrupt(
        f"Packed requests cannot be read: {reason}",
        hint="Send what the model server made; where they are stored, restore the database from a copy",
    )
