"""Large objects that are like others: which parts of them another place holds already.

An object is cut where its content says so, as in the store (`noria.core.objects.chunks`). Chunks that a base object has
as well are copied from there; what lies between them travels as parts, which are objects by themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
from blake3 import blake3

from noria.core.errors import Invalid, TooLarge
from noria.core.objects.chunks import Bytes, cut
from noria.core.objects.digests import ALGORITHM

LIKE_BYTES: Final = 4 * 1024 * 1024
"""A file above this size is compared with what lay in its place before."""

PART_BYTES: Final = 16 * 1024 * 1024
"""What travels by itself at most, and is not sent again when the connection breaks later."""

MOST_PIECES: Final = 20_000
MOST_COMPARED_BYTES: Final = 16 * 1024**3
"""A larger object is not cut for somebody who asks for its chunks."""

_GROWTH: Final = 4
_SPARE_BYTES: Final = 64 * 1024 * 1024


class Chunk(NamedTuple):
    """A chunk of an object, and where it lies."""

    digest: str
    start: int
    length: int


class Piece(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Some bytes of an object that the project holds."""

    digest: str
    start: int
    length: int


class Assembly(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An object as pieces of others, one after the other.

    Attributes
    ----------
    digest
        What the whole must have.
    pieces
        At most 20,000.
    """

    digest: str
    pieces: list[Piece]


class ChunkList(msgspec.Struct, frozen=True, kw_only=True):
    """The chunks of an object in their order: digest and length in bytes of each."""

    items: list[tuple[str, int]]

    def placed(self) -> list[Chunk]:
        """Give them with their places."""
        found, start = [], 0
        for digest, length in self.items:
            found.append(Chunk(digest, start, length))
            start += length
        return found


class Gap(NamedTuple):
    """Some bytes of an object that nobody there holds."""

    start: int
    length: int


def list_chunks(blocks: Iterable[Bytes]) -> ChunkList:
    """Cut the bytes of an object."""
    cuts = (chunk for some in cut(blocks) for chunk in some)
    return ChunkList(items=[(f"{ALGORITHM}:{blake3(chunk).hexdigest()}", len(chunk)) for chunk in cuts])


def plan(wanted: Sequence[Chunk], base: str, held: Sequence[Chunk]) -> list[Piece | Gap]:
    """Tell how to put an object together: pieces of the base, and gaps of at most `PART_BYTES` between them.

    Parameters
    ----------
    wanted
        All chunks of the object, in their order.
    base
        Digest of the object whose chunks are `held`.

    Examples
    --------
    >>> plan([Chunk("a", 0, 4), Chunk("x", 4, 2), Chunk("b", 6, 4)], "old", [Chunk("a", 0, 4), Chunk("b", 4, 4)])
    [Piece(digest='old', start=0, length=4), Gap(start=4, length=2), Piece(digest='old', start=4, length=4)]
    """
    places: Mapping[str, Chunk] = {chunk.digest: chunk for chunk in reversed(held)}
    found: list[Piece | Gap] = []
    for chunk in wanted:
        there = places.get(chunk.digest)
        last = found[-1] if found else None
        if there is None:
            if isinstance(last, Gap) and last.length + chunk.length <= PART_BYTES:
                found[-1] = Gap(last.start, last.length + chunk.length)
            else:
                found.append(Gap(chunk.start, chunk.length))
        elif isinstance(last, Piece) and last.start + last.length == there.start:
            found[-1] = Piece(digest=base, start=last.start, length=last.length + there.length)
        else:
            found.append(Piece(digest=base, start=there.start, length=there.length))
    return found


def slices(size_bytes: int) -> list[Piece | Gap]:
    """Tell how an object travels of which nothing is there: in parts of `PART_BYTES`."""
    return [Gap(start, min(PART_BYTES, size_bytes - start)) for start in range(0, size_bytes, PART_BYTES)]


def check_assembly(assembly: Assembly, sizes: Mapping[str, int]) -> None:
    """Refuse what no object is put together of.

    Parameters
    ----------
    sizes
        Of the objects that the project holds, by digest.

    Raises
    ------
    Invalid
        If a piece lies outside its object.
    TooLarge
        If there are more pieces than may be, or the whole would be many times as large as what it is made of.
    """
    if len(assembly.pieces) > MOST_PIECES:
        raise TooLarge(f"There are {len(assembly.pieces)} pieces; the limit is {MOST_PIECES}")
    for piece in assembly.pieces:
        if piece.start < 0 or piece.length <= 0 or piece.start + piece.length > sizes[piece.digest]:
            raise Invalid(
                f"The {piece.length} bytes at {piece.start} are not within the {sizes[piece.digest]} bytes of "
                f"`{piece.digest}`"
            )
    total = sum(piece.length for piece in assembly.pieces)
    if total > _GROWTH * sum(sizes.values()) + _SPARE_BYTES:
        raise TooLarge(
            f"The whole has {total} bytes, many times the {sum(sizes.values())} that it is put together of",
            hint="Upload it as it is",
        )
