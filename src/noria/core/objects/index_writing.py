"""What is written to the index of a store's packs, in one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple

from noria.core.objects.packs import PackedChunk, PackedObject, parts_of

_LENDER: Final = "SELECT pack FROM chunks WHERE digest = ? AND length = ?"
_ROWS_AT_ONCE: Final = 256
"""Rows of one statement: to begin a statement for each takes longer than to write it."""


class Located(NamedTuple):
    """Where a chunk lies."""

    pack: bytes
    offset: int
    stored: int
    length: int
    codec: int


class NewPack(NamedTuple):
    """A pack that is being made known."""

    pack_id: bytes
    size_bytes: int
    chunks: Sequence[PackedChunk]
    objects: Sequence[PackedObject]


class Writing:
    """What can be written in one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._do = connection.execute
        self._do_many = connection.executemany

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Read rows."""
        return self._do(sql, values).fetchall()

    def run(self, sql: str, values: Sequence[object] = ()) -> int:
        """Change rows, and give their number."""
        return self._do(sql, values).rowcount

    def run_many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Change rows for each of many."""
        self._do_many(sql, rows)

    def add(self, packs: Sequence[NewPack], *, now_ns: int) -> set[bytes]:
        """Make packs known with their chunks and objects; give the objects of which a chunk is not there.

        Packs that lend a chunk to an object become young.
        """
        numbers = [self.add_pack(pack, now_ns) for pack in packs]
        here = {chunk.digest for pack in packs for chunk in pack.chunks}
        lenders: set[int] = set()
        complete, waiting = [], []
        for n, pack in zip(numbers, packs, strict=True):
            for item in pack.objects:
                if not item.recipe and item.digest in here:
                    complete.append((*item, n, now_ns))
                    continue
                found = self._packs_of(item, here)
                if found is None:
                    waiting.append((*item, n))
                else:
                    lenders |= found
                    complete.append((*item, n, now_ns))
        self._put("objects", sorted(complete))
        self._put("waiting", waiting)
        self._do_many("UPDATE packs SET put_at = ? WHERE n = ?", [(now_ns, n) for n in sorted(lenders)])
        return {row[0] for row in waiting}

    def take_waiting(self, *, now_ns: int) -> None:
        """Take in the objects that wait and are complete now."""
        rows = self.rows("SELECT digest, size_bytes, recipe, pack FROM waiting")
        complete = [
            (*row, now_ns) for row in rows if self._packs_of(PackedObject(*row[:3]), set()) is not None
        ]
        self._put("objects", complete)
        self._do_many("DELETE FROM waiting WHERE digest = ?", [row[:1] for row in complete])

    def add_pack(self, pack: NewPack, now_ns: int) -> int:
        """Make a pack and its chunks known, and give its number."""
        self._do("INSERT OR IGNORE INTO packs (id, size_bytes, put_at) VALUES (?, ?, ?)", (*pack[:2], now_ns))
        [(n,)] = self._do("SELECT n FROM packs WHERE id = ?", (pack.pack_id,)).fetchall()
        # In the order of the key: half the time.
        self._put("chunks", sorted((chunk[0], n, *chunk[1:]) for chunk in pack.chunks))
        return int(n)

    def _put(self, table: str, rows: Sequence[Sequence[object]]) -> None:
        """Write whole rows in the place of those with the same key."""
        for begin in range(0, len(rows), _ROWS_AT_ONCE):
            some = rows[begin : begin + _ROWS_AT_ONCE]
            places = ", ".join([f"({', '.join('?' * len(some[0]))})"] * len(some))
            sql = f"INSERT OR REPLACE INTO {table} VALUES {places}"  # noqa: S608 - no input
            self._do(sql, list(chain.from_iterable(some)))

    def _packs_of(self, item: PackedObject, here: set[bytes]) -> set[int] | None:
        """Give the packs in which the chunks of an object lie that are not among `here`; None if one is nowhere."""
        found = set()
        for digest, length in parts_of(item):
            if digest not in here:
                row = self._do(_LENDER, (digest, length)).fetchone()
                if row is None:
                    return None
                found.add(row[0])
        return found

    def renew(self, digests: Collection[bytes], *, now_ns: int) -> set[bytes]:
        """Make objects young, and give those that are not there."""
        return {
            digest
            for digest in digests
            if not self.run("UPDATE objects SET put_at = ? WHERE digest = ?", (now_ns, digest))
        }
