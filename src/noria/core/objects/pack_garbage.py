"""Removal of what nothing refers to from packs.

Objects go first: one that is old and not live is forgotten, in a transaction that looks at its age again. Then packs:
one of which nothing is needed goes, and one of which less than half is needed is written anew without the rest.
Many small packs are written into one.

Why no chunk goes that somebody just counted on: an object is made known in a transaction that finds each of its
chunks in the index and makes the packs young in which they lie. A pack is taken away with the lock held alone, in a
transaction that looks at its age again. If the put came first, the pack is young and stays. If the removal came
first, the put does not find the chunk, and writes it.

A process that dies between the transaction and the removal of the file leaves a pack that the index does not know.
It is read in again when the index is opened next, and goes a grace period later.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from noria.core.objects.chunks import Encoded
from noria.core.objects.disk import fsync_folder, storage_errors
from noria.core.objects.drafts import draft
from noria.core.objects.index import Index
from noria.core.objects.index_writing import Located, NewPack, Writing
from noria.core.objects.layout import Layout
from noria.core.objects.packed import OpenPacks, PackedReader, text
from noria.core.objects.packs import PACK_BYTES, PackedObject, PackWriter, pack_path, parts_of

_BATCH: Final = 1000  # objects per question to `is_live`
_PACKS_AT_ONCE: Final = 32  # removed while puts wait
_SMALL_BYTES: Final = PACK_BYTES // 16
_MANY_SMALL: Final = 16
_NEEDED_SHARE: Final = 0.5
_ALL: Final = "SELECT digest, offset, stored, length, codec FROM chunks WHERE pack = ? ORDER BY offset"
_NEEDED: Final = (
    "SELECT digest, offset, stored, length, codec FROM chunks WHERE pack = ?"
    " AND digest IN (SELECT digest FROM temp.needed) ORDER BY offset"
)


class PacksCollected(NamedTuple):
    """What a collection found among the objects in packs."""

    sizes: list[int]
    n_live: int
    n_young: int


class _Pack(NamedTuple):
    n: int
    pack_id: bytes
    size_bytes: int
    needed_bytes: int
    n_needed: int


class PackCollector:
    """One collection of packs; `cutoff_ns` is the time since which a put keeps things."""

    def __init__(
        self,
        layout: Layout,
        index: Index,
        reader: PackedReader,
        now_ns: Callable[[], int],
        *,
        cutoff_ns: int,
        dry_run: bool,
    ) -> None:
        self._layout = layout
        self._index = index
        self._reader = reader
        self._now_ns = now_ns
        self._cutoff_ns = cutoff_ns
        self._dry_run = dry_run

    def run(self, is_live: Callable[[list[str]], set[str]]) -> PacksCollected:
        """Go through all objects once, then through the packs."""
        if not self._index.exists():
            return PacksCollected([], 0, 0)
        sizes: list[int] = []
        n_live = 0
        for batch in self._old_objects():
            live = is_live([text(digest) for digest, _ in batch])
            dead = [digest for digest, _ in batch if text(digest) not in live]
            sizes += self._forget(dead)
            n_live += len(batch) - len(dead)
        n_left = len(self._index.rows("SELECT 1 FROM objects"))
        if not self._dry_run:
            self._sweep()
        return PacksCollected(sizes, n_live, n_left - n_live - (len(sizes) if self._dry_run else 0))

    def renew(self, pack_id: bytes) -> bool:
        """Write a pack anew whose list of contents is damaged, with all its chunks; false if one of those is, too."""
        rows = self._index.rows("SELECT n, size_bytes FROM packs WHERE id = ?", (pack_id,))
        for n, size_bytes in rows:
            pack = _Pack(n, pack_id, size_bytes, 0, 0)
            with draft(self._layout) as written:
                writer = PackWriter(written)
                if not self._copy(pack, writer, _ALL):
                    return False
                self._replace([pack], self._sealed(writer), all_of_it=True)
        return bool(rows)

    def _old_objects(self) -> Iterator[list[tuple[bytes, int]]]:
        after = b""
        while True:
            rows = self._index.rows(
                "SELECT digest, size_bytes FROM objects WHERE put_at < ? AND digest > ? ORDER BY digest LIMIT ?",
                (self._cutoff_ns, after, _BATCH),
            )
            if not rows:
                return
            yield rows
            after = rows[-1][0]

    def _forget(self, digests: Sequence[bytes]) -> list[int]:
        """Remove what is still old from the index, and give the sizes of what went."""
        sizes: list[int] = []
        if not digests:
            return sizes
        with self._index.locked(), self._index.writing() as writing:
            for digest in digests:
                values = (digest, self._cutoff_ns)
                sql = "SELECT size_bytes FROM objects WHERE digest = ? AND put_at < ?"
                sizes += [row[0] for row in writing.rows(sql, values)]
                if not self._dry_run:
                    writing.run("DELETE FROM objects WHERE digest = ? AND put_at < ?", values)
        return sizes

    def _sweep(self) -> None:
        packs = self._old_packs()
        dead = [pack for pack in packs if not pack.n_needed]
        for begin in range(0, len(dead), _PACKS_AT_ONCE):
            self._replace(dead[begin : begin + _PACKS_AT_ONCE], None)
        small = [pack for pack in packs if pack.n_needed and pack.size_bytes < _SMALL_BYTES]
        merged = set(small if len(small) >= _MANY_SMALL else [])
        sparse = [
            pack for pack in packs if pack.n_needed and pack.needed_bytes < _NEEDED_SHARE * pack.size_bytes
        ]
        for group in _fitting(sorted(merged.union(sparse))):
            if len(group) > 1 or group[0] in sparse:
                self._rewrite(group)

    def _old_packs(self) -> list[_Pack]:
        """List the packs that are old, with how much of them is needed: chunks of objects, and objects' recipes."""
        with self._index.looking() as writing:
            writing.run("CREATE TEMP TABLE IF NOT EXISTS needed (digest BLOB PRIMARY KEY) WITHOUT ROWID")
            writing.run("DELETE FROM needed")
            writing.run("INSERT INTO needed SELECT digest FROM objects WHERE recipe = x''")
            rows = writing.rows("SELECT digest, size_bytes, recipe FROM objects WHERE recipe <> x''")
            for row in rows:
                parts = parts_of(PackedObject(*row))
                writing.run_many(
                    "INSERT OR IGNORE INTO needed VALUES (?)", ((digest,) for digest, _ in parts)
                )
            return [
                _Pack(*row)
                for row in writing.rows(
                    "SELECT p.n, p.id, p.size_bytes,"
                    " (SELECT coalesce(sum(c.stored), 0) FROM chunks c JOIN needed USING (digest) WHERE c.pack = p.n),"
                    " (SELECT count(*) FROM chunks c JOIN needed USING (digest) WHERE c.pack = p.n)"
                    " + (SELECT count(*) FROM objects o WHERE o.pack = p.n)"
                    " FROM packs p WHERE p.put_at < ? ORDER BY p.n",
                    (self._cutoff_ns,),
                )
            ]

    def _rewrite(self, packs: list[_Pack]) -> None:
        """Write what is needed of some packs into a new one, and take them away."""
        with draft(self._layout) as written:
            writer = PackWriter(written)
            if not all(self._copy(pack, writer, _NEEDED) for pack in packs):
                return  # damaged: what is whole in it can be read where it is
            self._replace(packs, self._sealed(writer))

    def _sealed(self, writer: PackWriter) -> tuple[NewPack, PackWriter]:
        with storage_errors(self._layout.root):
            pack_id = writer.seal()
        return NewPack(pack_id, writer.size_bytes, writer.chunks, writer.objects), writer

    def _copy(self, pack: _Pack, writer: PackWriter, which: str) -> bool:
        """Copy chunks of a pack as they are; false if one is damaged."""
        chunks = self._index.rows(which, (pack.n,))
        with OpenPacks(self._layout) as packs, storage_errors(self._layout.root):
            for digest, *rest in chunks:
                place = Located(pack.pack_id, *rest)
                if self._reader.stored_chunk(packs, digest, place) is None:
                    return False
                stored = os.pread(packs.fd(pack.pack_id), place.stored, place.offset)
                writer.add(digest, place.length, Encoded(place.codec, stored))
        rows = self._index.rows("SELECT digest, size_bytes, recipe FROM objects WHERE pack = ?", (pack.n,))
        writer.objects += [PackedObject(*row) for row in rows]
        return True

    def _replace(
        self, packs: list[_Pack], by: tuple[NewPack, PackWriter] | None, *, all_of_it: bool = False
    ) -> None:
        """Take packs away that are still old, or whose every chunk is in the one that takes their place.

        If one takes their place, they go together or not at all.
        """
        with self._index.locked(alone=True):
            with self._index.writing() as writing:
                old = packs if all_of_it else [pack for pack in packs if self._is_old(writing, pack)]
                if by is not None and len(old) < len(packs):
                    return
                if by is not None:
                    with storage_errors(self._layout.root):
                        self._rename(*by)
                    if by[0].pack_id in {pack.pack_id for pack in packs}:
                        return  # the very same, in place of itself
                n_new = writing.add_pack(by[0], self._now_ns()) if by is not None else 0
                for pack in old:
                    writing.run("UPDATE objects SET pack = ? WHERE pack = ?", (n_new, pack.n))
                    writing.run("DELETE FROM chunks WHERE pack = ?", (pack.n,))
                    writing.run("DELETE FROM waiting WHERE pack = ?", (pack.n,))
                    writing.run("DELETE FROM packs WHERE n = ?", (pack.n,))
            with storage_errors(self._layout.root):
                for pack in old:
                    pack_path(self._layout.packs, pack.pack_id).unlink(missing_ok=True)

    def _rename(self, new: NewPack, writer: PackWriter) -> None:
        path = pack_path(self._layout.packs, new.pack_id)
        path.parent.mkdir(exist_ok=True)
        writer.draft.path.replace(path)
        fsync_folder(path.parent)
        fsync_folder(self._layout.packs)

    def _is_old(self, writing: Writing, pack: _Pack) -> bool:
        sql = "SELECT 1 FROM packs WHERE n = ? AND put_at < ?"
        return bool(writing.rows(sql, (pack.n, self._cutoff_ns)))


def _fitting(packs: list[_Pack]) -> Iterator[list[_Pack]]:
    """Part packs into groups whose needed bytes fit into one."""
    group: list[_Pack] = []
    for pack in packs:
        if group and sum(one.needed_bytes for one in group) + pack.needed_bytes > PACK_BYTES:
            yield group
            group = []
        group.append(pack)
    if group:
        yield group
