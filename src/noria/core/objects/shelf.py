"""Objects that lie in a file as they were written, so that other processes can map them into memory.

Large tables go from step to step this way: they are neither cut nor packed, written once, and read without a copy; and
so do small values, of which a run would else wait for the disk four times each. Of the contract at the top of `store`
one point is put off: an object outlives a loss of power only after `flush`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noria.core.objects.store import ObjectInfo

if TYPE_CHECKING:
    from noria.core.objects.local import LocalObjectStore


class Shelf:
    """Puts files into a store of this machine, and tells where they lie.

    Parameters
    ----------
    took_in
        Told of each object that is put.
    require
        Raises if the caller may not read an object.
    """

    def __init__(
        self,
        store: LocalObjectStore,
        *,
        took_in: Callable[[ObjectInfo], None] = lambda _: None,
        require: Callable[[str], Any] = lambda _: None,
    ) -> None:
        self._store = store
        self._took_in = took_in
        self._require = require

    def put_written(self, write: Callable[[Path], None]) -> ObjectInfo:
        """Store what `write` writes into the file that it is given.

        Raises
        ------
        StorageFull
            If there is no room; nothing of the object is left behind.
        """
        info = self._store.put_written(write)
        self._took_in(info)
        return info

    def put_bytes(self, data: bytes) -> ObjectInfo:
        """Store bytes in memory."""
        info = self._store.put_unflushed(data)
        self._took_in(info)
        return info

    def place_of(self, digest: str) -> Path | None:
        """Tell where an object lies as a file, unchecked; None if it is kept in another form or not at all."""
        self._require(digest)
        return self._store.place_of(digest)

    def flush(self, digests: Iterable[str]) -> None:
        """Have objects on disk for good."""
        self._store.flush(digests)

    def within(
        self, *, took_in: Callable[[ObjectInfo], None], require: Callable[[str], Any] | None = None
    ) -> Shelf:
        """Give the same shelf for somebody who wants to be told, or asked."""
        return Shelf(self._store, took_in=took_in, require=require or self._require)


def shelf_of(objects: object) -> Shelf | None:
    """Give the shelf of a store; None if it is not on this machine."""
    find: Callable[[], Shelf | None] | None = getattr(objects, "shelf", None)
    return find() if find is not None else None
