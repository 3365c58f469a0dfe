"""Captured rows as they are kept, for readers that count them: the server sends bytes on and unpacks none."""

from __future__ import annotations

from typing import Final

import msgspec
import sqlalchemy as sa

from noria.serving.tables import capture_chunks

MAX_ROWS: Final = 20_000
"""Most rows of one page, to the chunk that passes it."""

_PAGE_BYTES: Final = 8 << 20
"""A page that is longer ends with the chunk that passes this."""

_CHUNKS_AT_ONCE: Final = 50


class PackedChunk(msgspec.Struct, frozen=True, kw_only=True):
    """Requests packed by `packing`.

    Attributes
    ----------
    first_position
        Of its first row.
    """

    first_position: int
    heads: bytes
    data: bytes


class PackedPage(msgspec.Struct, frozen=True, kw_only=True):
    """Chunks in the order of their capture.

    Attributes
    ----------
    after
        Rows up to this position are in the first chunk, and were read before.
    next
        Cursor for the rows that follow (`after`); equal to the `after` that was asked with when the page is empty.
    more
        Whether chunks follow already.
    """

    items: list[PackedChunk]
    after: int
    next: int
    more: bool


def packed_behind(connection: sa.Connection, endpoint_pk: int, after: int, n_rows: int) -> PackedPage:
    """Give whole chunks behind a position: at least one where there is any, and those that `n_rows` need."""
    c = capture_chunks.c
    sizes = (
        sa.select(c.last_position, c.n_rows, (sa.func.length(c.heads) + sa.func.length(c.data)).label("size"))
        .where(c.endpoint_pk == endpoint_pk, c.last_position > after)
        .order_by(c.last_position)
        .limit(_CHUNKS_AT_ONCE)
    )
    last, rows, size, more = after, 0, 0, False
    for found in connection.execute(sizes):
        if rows >= min(n_rows, MAX_ROWS) or size >= _PAGE_BYTES:
            more = True
            break
        last, rows, size = found.last_position, rows + found.n_rows, size + found.size
    query = (
        sa.select(c.first_position, c.heads, c.data)
        .where(c.endpoint_pk == endpoint_pk, c.last_position > after, c.last_position <= last)
        .order_by(c.last_position)
    )
    items = [
        PackedChunk(first_position=row.first_position, heads=row.heads, data=row.data)
        for row in connection.execute(query)
    ]
    return PackedPage(items=items, after=after, next=last, more=more or len(items) == _CHUNKS_AT_ONCE)
