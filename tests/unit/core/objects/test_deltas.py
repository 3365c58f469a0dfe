"""How an object is put together of what another place holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.core.errors import TooLarge
from noria.core.objects.deltas import (
    PART_BYTES,
    Assembly,
    Chunk,
    Gap,
    Piece,
    check_assembly,
    plan,
    slices,
)

LETTERS = st.lists(st.sampled_from("abcdef"), max_size=30)


def chunks(letters: list[str]) -> list[Chunk]:
    """Chunks whose lengths are those of what stands for them."""
    found, start = [], 0
    for letter in letters:
        length = ord(letter) - ord("a") + 1
        found.append(Chunk(letter, start, length))
        start += length
    return found


def text(letters: list[str]) -> str:
    return "".join(letter * (ord(letter) - ord("a") + 1) for letter in letters)


@given(LETTERS, LETTERS)
def test_a_plan_gives_the_whole(wanted: list[str], held: list[str]) -> None:
    """Whatever is held, the pieces and gaps make the object; nothing that is held travels."""
    whole, base = text(wanted), text(held)
    found = plan(chunks(wanted), "base", chunks(held))
    made = "".join(
        (whole if isinstance(each, Gap) else base)[each.start : each.start + each.length] for each in found
    )
    sent = sum(each.length for each in found if isinstance(each, Gap))

    assert made == whole
    assert sent == len(text([letter for letter in wanted if letter not in held]))


def test_parts_are_bounded() -> None:
    """Many chunks that are new go in several parts, and a file as a whole too."""
    new = [Chunk(str(n), n * 500_000, 500_000) for n in range(100)]
    found = plan(new, "base", [])

    assert max(gap.length for gap in found) <= PART_BYTES
    assert sum(gap.length for gap in found) == sum(gap.length for gap in slices(50_000_000)) == 50_000_000
    assert max(gap.length for gap in slices(50_000_000)) == PART_BYTES


def test_little_is_not_made_into_much() -> None:
    """A request of a few bytes cannot ask for terabytes to be put together."""
    pieces = [Piece(digest="a", start=0, length=1 << 30)] * 5
    with pytest.raises(TooLarge, match="many times"):
        check_assembly(Assembly(digest="b", pieces=pieces), {"a": 1 << 30})
