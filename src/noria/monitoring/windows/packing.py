"""Counters as bytes, with the name of the layout that they were counted in."""

from __future__ import annotations

import zlib

import msgspec

from noria.core.errors import Corrupt
from noria.core.stats.counters import TableCounts


class PackedCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Counters and their layout; counters of different layouts cannot be added."""

    layout: str
    counts: TableCounts


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(PackedCounts)


def pack_counts(counts: PackedCounts) -> bytes:
    """Give counters as bytes: some kilobytes for a wide table, whatever the number of rows."""
    return zlib.compress(_encoder.encode(counts), 1)


def unpack_counts(body: bytes) -> PackedCounts:
    """Read what `pack_counts` gave.

    Raises
    ------
    Corrupt
        If it is something else.
    """
    try:
        return _decoder.decode(zlib.decompress(body))
    except (zlib.error, msgspec.DecodeError) as error:
        raise Corrupt(
            f"The counters of a window cannot be read: {error}", hint="Restore the database from a copy"
        ) from error
