"""Points packed into bytes."""

from __future__ import annotations

import math
import random
import zlib

import pytest

from noria.core.errors import Corrupt
from noria.tracking.chunks import (
    MIN_OUTLINED,
    OUTLINE_HEAD_BYTES,
    OUTLINE_POINT_BYTES,
    Columns,
    columns_of,
    ordered,
    outline,
    outline_of,
    pack,
    points_of,
    unpack,
)
from noria.tracking.limits import MAX_STEP


def regular(n_points: int) -> Columns:
    return Columns(
        list(range(n_points)), [10 * step for step in range(n_points)], [step / 4 for step in range(n_points)]
    )


@pytest.mark.parametrize(
    "columns",
    [
        regular(1),
        regular(2),
        regular(1_000),
        Columns([5], [-3], [math.inf]),
        Columns([-MAX_STEP, MAX_STEP], [0, 0], [-0.0, 5e-324]),
        Columns([0, 7, 8], [3, 2, 1], [1.5, -math.inf, 1e308]),
        Columns([3, 3, 3], [1, 1, 2], [0.0, 1.0, 0.0]),
        Columns([0, 10, 20], [1, 2, 3], [0.1, 0.2, 0.3]),
    ],
)
def test_packed_columns_come_back_bit_for_bit(columns: Columns) -> None:
    """Steps with or without a stride, times in any order, the extremes of 64 bits."""
    chunk = pack(columns)

    assert repr(unpack(chunk.data)) == repr(columns)
    assert (chunk.first_step, chunk.last_step) == (columns.steps[0], columns.steps[-1])
    assert chunk.n_points == len(columns.steps)


def test_nan_comes_back() -> None:
    """NaN is a value as any other."""
    packed = pack(Columns([0, 1], [0, 0], [math.nan, 1.0]))

    assert repr(unpack(packed.data).values) == "[nan, 1.0]"


def test_the_digest_tells_content_apart() -> None:
    """The same points have the same digest; another value, step or time has another."""
    columns = regular(100)
    others = [
        columns._replace(values=[*columns.values[:-1], 0.5]),
        columns._replace(at=[*columns.at[:-1], 0]),
        columns._replace(steps=[*columns.steps[:-1], 200]),
        regular(99),
    ]

    assert pack(columns).digest == pack(regular(100)).digest
    assert len({pack(each).digest for each in (columns, *others)}) == 5


def test_points_are_put_in_order_once() -> None:
    """By step, then time, then NaN last, then value; what is there twice counts once."""
    points = [(2, 0, 0, 1.0), (1, 5, 1, 0.0), (1, 5, 0, 9.0), (1, 4, 0, 3.0), (2, 0, 0, 1.0), (1, 5, 1, 0.0)]
    random.Random(0).shuffle(points)
    kept = points_of(ordered(columns_of(points)))

    assert kept == [(1, 4, 0, 3.0), (1, 5, 0, 9.0), (1, 5, 1, 0.0), (2, 0, 0, 1.0)]


def test_curves_take_little_room() -> None:
    """A thousand steps of a noisy loss, a few milliseconds apart, take less than half of their 24 bytes a point."""
    rnd = random.Random(1)
    n_points = 1_000
    at = [1_700_000_000_000_000 + 7_000 * step + rnd.randrange(500) for step in range(n_points)]
    values = [2.3 * 0.99**step + rnd.gauss(0, 0.01) for step in range(n_points)]
    chunk = pack(Columns(list(range(n_points)), at, values))

    assert len(chunk.data) < 12 * n_points


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x02abc",
        b"\x02\xff\xff\xff\xff",
        b"\x02\0\0\0\0",
        b"\x03" + pack(regular(9)).data[1:],
        b"\x01not deflated",
        b"\x01" + zlib.compress(b"s123"),
        pack(regular(9)).data[:-3],
        pack(regular(MIN_OUTLINED)).data[:-3],
    ],
)
def test_damaged_bytes_are_corrupt(data: bytes) -> None:
    """What is no packed points says so, and does not come back as points."""
    with pytest.raises(Corrupt):
        unpack(data)


@pytest.mark.parametrize("n_points", [MIN_OUTLINED, 10_000])
def test_a_long_chunk_begins_with_its_outline(n_points: int) -> None:
    """Ends and extremes of the blocks are read of its beginning alone, whose length the number of points tells."""
    columns = regular(n_points)._replace(values=[math.sin(step) for step in range(n_points)])
    columns.values[5] = math.nan
    chunk = pack(columns)
    made = outline_of(columns)
    n_bytes = OUTLINE_HEAD_BYTES + OUTLINE_POINT_BYTES * len(made.steps)

    assert repr(outline(chunk.data[:n_bytes])) == repr(made)
    assert repr(unpack(chunk.data)) == repr(columns)
    assert made.steps[:2] == [0, n_points - 1]
    with pytest.raises(Corrupt):
        outline(chunk.data[: n_bytes - 1])


def test_a_short_chunk_has_no_outline() -> None:
    """It is unpacked as quickly, and is what releases before outlines wrote, whose digest did not change either."""
    chunk = pack(regular(MIN_OUTLINED - 1))

    assert chunk.data[:1] == b"\x01"
    assert outline(chunk.data) is None
