"""Captured answers as arrays: what counts traffic reads thousands of rows at once, and makes no objects of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noria.core.database.schema import to_micros
from noria.serving.packed_reading import PackedPage
from noria.serving.packing import Packed, Unpacked, values_of
from noria.serving.predictions import CapturedRow
from noria.serving.tensor_data import reader_of

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Tensors = dict[str, NDArray[Any]]
Values = tuple[dict[str, Any], dict[str, Any]]
"""Inputs and outputs of one row, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Rows that one version answered, alike in what was kept of them.

    Attributes
    ----------
    positions, at_us
        Place and time (microseconds since 1970) of each row, shape (n_rows,).
    failed
        Whether the model raised, shape (n_rows,).
    inputs, outputs
        By name, shape (n_rows, ...): numbers as they came, those that are not finite as NaN; texts as objects. Empty
        where `rows` has the values.
    rows
        Values that came one by one, as JSON.
    """

    version: int
    positions: Ints
    at_us: Ints
    failed: Bools
    inputs: Tensors = field(default_factory=dict)
    outputs: Tensors = field(default_factory=dict)
    rows: list[Values] | None = None

    def __len__(self) -> int:
        return len(self.positions)

    def values(self) -> list[Values]:
        """Give inputs and outputs row by row, as `values_of` does; what is not finite is None."""
        if self.rows is not None:
            return self.rows
        inputs, outputs = (
            {name: _values(array) for name, array in tensors.items()}
            for tensors in (self.inputs, self.outputs)
        )
        return [
            ({n: c[row] for n, c in inputs.items()}, {n: c[row] for n, c in outputs.items()})
            for row in range(len(self))
        ]


def blocks_of_page(page: PackedPage) -> list[Block]:
    """Give the answers of a page behind its `after`; what a shadow or the first of a cascade predicted is left out."""
    found = []
    for item in page.items:
        unpacked = Unpacked(Packed(heads=item.heads, data=item.data), item.first_position)
        found += [block for block in (_behind(each, page.after) for each in _blocks(unpacked)) if len(block)]
    return found


def blocks_of_rows(rows: Iterable[CapturedRow]) -> list[Block]:
    """Give rows that were read one by one as blocks, by version."""
    by_version: dict[int, list[CapturedRow]] = {}
    for row in rows:
        by_version.setdefault(row.prediction.version, []).append(row)
    return [
        Block(
            version=version,
            positions=np.array([row.position for row in some], dtype=np.int64),
            at_us=np.array([to_micros(row.prediction.at) for row in some], dtype=np.int64),
            failed=np.array([row.prediction.error is not None for row in some], dtype=bool),
            rows=[(row.prediction.inputs, row.prediction.outputs) for row in some],
        )
        for version, some in by_version.items()
    ]


def _blocks(unpacked: Unpacked) -> Iterator[Block]:
    """Part a chunk's answers by what is alike in them; entries keep their order in each part."""
    at_us, positions = (np.array(column, dtype=np.int64) for column in (unpacked.at_us, unpacked.positions))
    errors = list(unpacked.errors)
    for (place, version, n_rows), indexes in _alike(unpacked).items():
        inside = np.repeat(indexes, n_rows)
        values: dict[str, Any]
        if place < 0:
            values = {"rows": [row for index in indexes for row in values_of(unpacked.entry(index))]}
        else:
            values = _tensors(unpacked, unpacked.layouts[place], indexes, n_rows)
        yield Block(
            version=version,
            positions=positions[inside] + np.tile(np.arange(n_rows), len(indexes)),
            at_us=at_us[inside],
            failed=np.isin(inside, errors) if errors else np.zeros(len(inside), dtype=bool),
            **values,
        )


def _alike(unpacked: Unpacked) -> Mapping[tuple[int, ...], Sequence[int]]:
    """Give the answers by layout, version and rows."""
    columns = (unpacked.layout_places, unpacked.versions, unpacked.n_rows)
    first = tuple(column[0] for column in columns)
    is_one = (column.count(key) == len(unpacked) for column, key in zip(columns, first, strict=True))
    if not any(unpacked.roles) and all(is_one):
        return {first: range(len(unpacked))}  # as they are while one version answers single rows
    found: dict[tuple[int, ...], list[int]] = {}
    for index, (key, role) in enumerate(zip(zip(*columns, strict=True), unpacked.roles, strict=True)):
        if not role:
            found.setdefault(key, []).append(index)
    return found


def _tensors(unpacked: Unpacked, layout: bytes, indexes: Sequence[int], n_rows: int) -> dict[str, Tensors]:
    reader = reader_of(layout)
    parts: Sequence[Sequence[Any]]
    if reader.row_bytes is None:
        entries = (unpacked.entry(index) for index in indexes)
        parts = list(zip(*([p for p, _ in reader.parts(e.data, n_rows)] for e in entries), strict=True))
    else:
        parts = _sliced(unpacked, indexes, [(form.row_bytes or 0) * n_rows for form in reader.forms])
    found = [
        (form.name, _array(form.code, some, (len(indexes) * n_rows, *form.shape)))
        for form, some in zip(reader.forms, parts, strict=True)
    ]
    return {"inputs": dict(found[: reader.n_inputs]), "outputs": dict(found[reader.n_inputs :])}


def _sliced(unpacked: Unpacked, indexes: Sequence[int], sizes: Sequence[int]) -> list[list[bytes]]:
    """Give the bytes of each tensor in all of some entries of one length."""
    data = np.frombuffer(unpacked.data, dtype=np.uint8)
    width = sum(sizes)
    starts = np.array(unpacked.ends, dtype=np.int64)[indexes] - width
    follow = bool((np.diff(starts) == width).all())
    first = int(starts[0])
    whole = (
        data[first : first + width * len(indexes)].reshape(len(indexes), width)
        if follow
        else data[starts[:, np.newaxis] + np.arange(width)]
    )
    ends = np.cumsum(sizes)
    return [[whole[:, end - size : end].tobytes()] for end, size in zip(ends, sizes, strict=True)]


def _array(code: str | None, parts: Sequence[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    if code is None:
        texts = np.empty(int(np.prod(shape)), dtype=object)
        texts[:] = [text for part in parts for text in part]
        return texts.reshape(shape)
    array = np.frombuffer(b"".join(parts), dtype=np.dtype(f"<{code}")).reshape(shape)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        return np.where(np.isfinite(array), array, np.nan)
    return array


def _behind(block: Block, after: int) -> Block:
    kept = block.positions > after
    if kept.all():
        return block
    return Block(
        version=block.version,
        positions=block.positions[kept],
        at_us=block.at_us[kept],
        failed=block.failed[kept],
        inputs={name: array[kept] for name, array in block.inputs.items()},
        outputs={name: array[kept] for name, array in block.outputs.items()},
        rows=None
        if block.rows is None
        else [row for row, is_kept in zip(block.rows, kept.tolist(), strict=True) if is_kept],
    )


def _values(array: NDArray[Any]) -> list[Any]:
    if array.dtype.kind == "f":
        known = array.astype(object)
        known[np.isnan(array)] = None
        return list(known.tolist())
    return list(array.tolist())
