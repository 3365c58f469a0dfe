"""Captured rows as arrays say what the same rows say one by one."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest

from noria.monitoring.windows.layout import PREDICTIONS, Layout
from noria.serving.captured_blocks import Block, blocks_of_page, blocks_of_rows
from noria.serving.chunks import Chunk, Wanted
from noria.serving.packed_reading import PackedChunk, PackedPage
from noria.serving.packing import Entry, Packed, Unpacked, pack
from noria.serving.predictions import CapturedRow
from noria.serving.tensor_data import Layout as TensorLayout
from noria.serving.tensor_data import TensorForm, packed_texts
from support.windows import layout_of

NUMBERS = TensorLayout(
    inputs=[TensorForm("x", "f8", [2]), TensorForm("n", "i4")],
    outputs=[TensorForm("predictions", "i8"), TensorForm("sure", "f4", [3])],
)
TEXTS = TensorLayout(
    inputs=[TensorForm("x", "f8"), TensorForm("region", "O")],
    outputs=[TensorForm("predictions", "i8")],
)
NONE = float("nan"), float("inf"), -float("inf")


def numbers(rng: np.random.Generator, n: int) -> bytes:
    """Give the bytes of `n` rows of `NUMBERS`, some of them not finite."""
    x = rng.normal(size=(n, 2))
    x[rng.random((n, 2)) < 0.3] = rng.choice(NONE)
    parts = [x, rng.integers(-9, 9, n).astype("<i4"), rng.integers(0, 3, n), rng.random((n, 3)).astype("<f4")]
    return b"".join(part.tobytes() for part in parts)


def texts(rng: np.random.Generator, n: int) -> bytes:
    regions = rng.choice(["north", "", "süd", "elsewhere"], n).tolist()
    x = rng.choice([0.5, -1.0, *NONE], n)
    return x.tobytes() + packed_texts(regions) + struct.pack(f"<{n}q", *rng.integers(0, 2, n).tolist())


def entries(rng: np.random.Generator, n: int) -> list[Entry]:
    """Give requests of every kind: of numbers and texts, of JSON, of several rows, of shadows, and failed ones."""
    made = []
    for number in range(n):
        kind = rng.choice(["numbers", "texts", "json"])
        n_rows = 1 if kind == "json" else int(rng.choice([1, 1, 4]))
        data = b'{"inputs": {"x": [1, null], "other": "a"}, "outputs": {"predictions": 1}}'
        if kind != "json":
            data = numbers(rng, n_rows) if kind == "numbers" else texts(rng, n_rows)
        layout = {"numbers": NUMBERS, "texts": TEXTS, "json": None}[kind]
        made.append(
            Entry(
                id=f"r{number}",
                version=int(rng.integers(1, 3)),
                revision=0,
                at_us=1_900_000_000_000_000 + number,
                latency_us=5,
                row=0,
                n_rows=n_rows,
                n_whole=n_rows,
                layout=b"" if layout is None else msgspec.msgpack.encode(layout),
                data=data,
                error="it broke" if rng.random() < 0.2 else None,
                role=int(rng.choice([0, 0, 0, 1])),
            )
        )
    return made


def page_of(
    made: Sequence[Entry], *, first: int = 1, after: int = 0, positions: Sequence[int] = ()
) -> PackedPage:
    packed = pack(made, positions)
    item = PackedChunk(first_position=first, heads=packed.heads, data=packed.data)
    return PackedPage(items=[item], after=after, next=0, more=False)


def by_one(page: PackedPage) -> list[CapturedRow]:
    (item,) = page.items
    chunk = Chunk(Unpacked(Packed(heads=item.heads, data=item.data), item.first_position))
    return [CapturedRow(position=p, prediction=made) for p, made in chunk.behind(page.after, Wanted())]


def told(blocks: Sequence[Block]) -> dict[int, Any]:
    """Position → everything that blocks say of a row."""
    return {
        position: (block.version, at_us, failed, *values)
        for block in blocks
        for position, at_us, failed, values in zip(
            block.positions.tolist(), block.at_us.tolist(), block.failed.tolist(), block.values(), strict=True
        )
    }


@pytest.mark.parametrize("seed", range(20))
def test_blocks_hold_what_is_read_row_by_row(seed: int) -> None:
    """Every answer behind the cursor once, with its values; no shadow."""
    rng = np.random.default_rng(seed)
    page = page_of(entries(rng, 40), first=7, after=int(rng.integers(0, 30)))

    blocks = blocks_of_page(page)

    assert told(blocks) == told(blocks_of_rows(by_one(page)))
    assert sum(map(len, blocks)) == len(by_one(page))
    assert all((np.diff(block.positions) > 0).all() for block in blocks)


def test_rows_that_do_not_follow_one_another_keep_their_positions() -> None:
    """As in a chunk that was put together of several."""
    made = [each for each in entries(np.random.default_rng(3), 30) if each.n_rows == 1][:3]
    page = page_of(made, positions=[5, 9, 40])

    assert told(blocks_of_page(page)) == told(blocks_of_rows(by_one(page)))


def test_a_page_behind_its_last_row_is_empty() -> None:
    """No block is without rows."""
    assert blocks_of_page(page_of(entries(np.random.default_rng(0), 5), after=1000)) == []


def same(first: dict[str, Any], second: dict[str, Any]) -> bool:
    return first.keys() == second.keys() and all(
        np.array_equal(first[name], second[name], equal_nan=first[name].dtype.kind == "f") for name in first
    )


@pytest.mark.parametrize("seed", range(10))
def test_columns_of_arrays_are_those_of_the_rows(seed: int) -> None:
    """Numbers, texts and predicted classes; also where arrays are of another shape or name than the model takes."""
    rng = np.random.default_rng(seed)
    layout: Layout = layout_of()
    some = [each for each in entries(rng, 60) if each.role == 0]
    for block in blocks_of_page(page_of(some)):
        columns = layout.columns(block)
        one_by_one = Block(
            version=block.version,
            positions=block.positions,
            at_us=block.at_us,
            failed=block.failed,
            rows=block.values(),
        )

        assert same(columns, layout.columns(one_by_one))
        assert columns[PREDICTIONS].shape == (len(block),)
        assert all(value is None for value in columns[PREDICTIONS][block.failed])
