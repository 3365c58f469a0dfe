"""Packed requests come back as they were, small where that can be had."""

from __future__ import annotations

import random

import pytest

from noria.serving.packing import Entry, Unpacked, pack


def entry(number: int, data: bytes) -> Entry:
    return Entry(f"{number:032x}", 1, 1, 1_000_000 + number, 50, 0, 1, 1, b"", data)


@pytest.mark.parametrize(
    ("data", "most"),
    [
        (b'{"inputs":{"x":1.5},"outputs":{"predictions":0}}' * 5_000, 0.05),
        (random.Random(3).randbytes(240_000), 1.01),
        (random.Random(3).randbytes(5_000) * 40, 0.3),
        (b"short", 20.0),
    ],
    ids=["alike", "noise", "noise again and again", "short"],
)
def test_data_come_back_and_take_no_more_than_they_must(data: bytes, most: float) -> None:
    """What compresses does; what does not takes hardly more than itself, and what repeats itself far away is found."""
    packed = pack([entry(number, data) for number in range(3)])

    assert [each.data for each in Unpacked(packed).entries()] == [data] * 3
    assert len(packed.data) <= most * 3 * len(data)
