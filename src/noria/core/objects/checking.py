"""Finding what is wrong with packs and what lies in them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from noria.core.objects.disk import storage_errors
from noria.core.objects.index import Index
from noria.core.objects.index_writing import Located
from noria.core.objects.layout import Layout, listing
from noria.core.objects.packed import OpenPacks, PackedReader, text
from noria.core.objects.packs import PackDamaged, PackedObject, pack_path, parts_of, read_footer
from noria.core.objects.store import Problem, ProblemKind

_PAGE: Final = 1000


class PackChecker:
    """Looks through all packs of a store."""

    def __init__(self, layout: Layout, index: Index, reader: PackedReader) -> None:
        self._layout = layout
        self._index = index
        self._reader = reader

    def run(self, *, quick: bool) -> Iterator[Problem]:
        """Give what is wrong, pack by pack, then object by object.

        Parameters
        ----------
        quick
            Look whether each pack is there with its size and list of contents; leave the chunks unread.
        """
        if not self._index.exists():
            return
        bad: dict[bytes, str] = {}
        rows = self._index.rows("SELECT n, id, size_bytes FROM packs ORDER BY n")
        for n, pack_id, size_bytes in rows:
            path = pack_path(self._layout.packs, pack_id)
            why = self._wrong_with(path, pack_id, size_bytes)
            if why and path.exists() and self._is_known(n):
                yield Problem(kind=ProblemKind.CORRUPT, name=str(path), message=why)
            if not path.exists():  # told of by the objects that it held, if it held any that are needed
                bad.update((digest, f"`{path}`, which is lost") for digest, _ in self._chunks(n, pack_id))
            elif not quick:
                bad.update((digest, f"`{path}`") for digest in self._damaged(n, pack_id))
        yield from self._strangers({row[1] for row in rows})
        yield from self._hurt(bad)

    def _wrong_with(self, path: Path, pack_id: bytes, size_bytes: int) -> str | None:
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return f"The pack `{path}` is lost"
        except OSError as error:
            return f"The pack `{path}` cannot be read: {error.strerror}"
        try:
            if os.fstat(fd).st_size != size_bytes:
                return f"The pack `{path}` has {os.fstat(fd).st_size} bytes in place of {size_bytes}"
            read_footer(fd, place=str(path), expected=pack_id)
        except PackDamaged as error:
            return error.message
        finally:
            os.close(fd)
        return None

    def _is_known(self, n: object) -> bool:
        return bool(
            self._index.rows("SELECT 1 FROM packs WHERE n = ?", (n,))
        )  # or collected since it was listed

    def _chunks(self, n: object, pack_id: bytes) -> list[tuple[bytes, Located]]:
        sql = "SELECT digest, offset, stored, length, codec FROM chunks WHERE pack = ? ORDER BY offset"
        return [(row[0], Located(pack_id, *row[1:])) for row in self._index.rows(sql, (n,))]

    def _damaged(self, n: object, pack_id: bytes) -> list[bytes]:
        """List the chunks of a pack that do not have their bytes."""
        with OpenPacks(self._layout) as packs:
            found = [
                digest
                for digest, place in self._chunks(n, pack_id)
                if self._reader.stored_chunk(packs, digest, place) is None
            ]
        return found if self._is_known(n) else []

    def _strangers(self, known: set[object]) -> Iterator[Problem]:
        """Give what lies among the packs and is none, or none that can be read."""
        with storage_errors(self._layout.root):
            for folder in listing(self._layout.packs):
                for path in listing(folder) if folder.is_dir() and not folder.is_symlink() else [folder]:
                    pack_id = _id_of(path)
                    if pack_id is None or path != pack_path(self._layout.packs, pack_id):
                        message = f"`{path}` is not a pack; nothing here reads it"
                        yield Problem(kind=ProblemKind.FOREIGN, name=str(path), message=message)
                    elif pack_id not in known and not self._index.rows(
                        "SELECT 1 FROM packs WHERE id = ?", (pack_id,)
                    ):
                        yield from self._unknown(path, pack_id)

    def _unknown(self, path: Path, pack_id: bytes) -> Iterator[Problem]:
        """Tell of a pack that the index does not know, unless it is about to, or about to be removed."""
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            read_footer(fd, place=str(path), expected=pack_id)
        except PackDamaged as error:
            yield Problem(kind=ProblemKind.CORRUPT, name=str(path), message=error.message)
        finally:
            os.close(fd)

    def _hurt(self, bad: dict[bytes, str]) -> Iterator[Problem]:
        """Give the objects that need damaged chunks, or chunks that are nowhere."""
        after = b""
        sql = "SELECT digest, size_bytes, recipe FROM objects WHERE digest > ? ORDER BY digest LIMIT ?"
        while rows := self._index.rows(sql, (after, _PAGE)):
            items = [PackedObject(*row) for row in rows]
            for item in items:
                digests = [digest for digest, _ in parts_of(item)]
                culprit = next((bad[digest] for digest in digests if digest in bad), None)
                if culprit is None and self._lacks(item, digests):
                    culprit = "a pack that nobody knows"
                if culprit is not None:
                    message = f"The bytes of `{text(item.digest)}` are damaged in {culprit}"
                    yield Problem(kind=ProblemKind.CORRUPT, name=text(item.digest), message=message)
            after = items[-1].digest

    def _lacks(self, item: PackedObject, digests: list[bytes]) -> bool:
        """Tell whether a chunk is nowhere, though the object still is there."""
        places = self._index.locate(digests)
        gone = any(digest not in places for digest in digests)
        return gone and bool(self._index.present([item.digest]))


def _id_of(path: Path) -> bytes | None:
    try:
        return bytes.fromhex(path.stem)
    except ValueError:
        return None
