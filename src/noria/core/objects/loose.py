"""Objects that are files of their own: single puts of up to a megabyte, and everything in stores of earlier versions.

A put writes to `tmp/`, flushes, then renames into place and flushes the folder: a name below `objects/` always stands
for all of its bytes. Objects are never hard-linked into users' folders, where an edit would reach them.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Final

from noria.core.objects.digests import CHUNK_BYTES, Digest
from noria.core.objects.disk import fsync_folder, storage_errors
from noria.core.objects.drafts import Draft, draft
from noria.core.objects.layout import Layout
from noria.core.objects.store import ObjectNotFound

_FLUSHED_AT_ONCE: Final = 16


class LooseObjects:
    """The objects that are files of their own.

    Parameters
    ----------
    now_ns
        Tells the time by the store's clock.
    """

    def __init__(self, layout: Layout, now_ns: Callable[[], int]) -> None:
        self._layout = layout
        self._now_ns = now_ns
        self._flushed: set[Path] = set()  # folders of objects whose own name this instance has flushed

    def put(self, digest: Digest, data: bytes) -> None:
        """Write an object, in place of what is there."""
        path = self._layout.path(digest)
        with draft(self._layout) as written, storage_errors(self._layout.root):
            written.write(data)
            path.parent.mkdir(exist_ok=True)
            written.flush()
            with self._layout.lock.shared():
                os.utime(written.fd, ns=(self._now_ns(),) * 2)
                written.path.replace(path)
            self._flush_name(path)

    def take_over(self, digest: Digest, written: Draft) -> None:
        """Give a draft the name of its object, in place of what is there, without waiting for the disk."""
        path = self._layout.path(digest)
        with storage_errors(self._layout.root):
            path.parent.mkdir(exist_ok=True)
            os.fchmod(written.fd, 0o444)
            with self._layout.lock.shared():
                os.utime(written.fd, ns=(self._now_ns(),) * 2)
                written.path.replace(path)

    def flush(self, digests: Collection[Digest]) -> None:
        """Have the bytes and the names of objects on disk; those that are not there any more are passed over."""
        from concurrent.futures import ThreadPoolExecutor

        # Several at a time: the file system writes its journal once for all that wait for it together.
        with ThreadPoolExecutor(_FLUSHED_AT_ONCE) as pool:
            for _ in pool.map(self._flush_bytes, digests):
                pass
        with storage_errors(self._layout.root):
            for folder in sorted({self._layout.path(digest).parent for digest in digests}):
                fsync_folder(folder)
            fsync_folder(self._layout.objects)
            fsync_folder(self._layout.root)

    def _flush_bytes(self, digest: Digest) -> None:
        with (
            contextlib.suppress(ObjectNotFound),
            self._reading(digest) as fd,
            storage_errors(self._layout.root),
        ):
            os.fsync(fd)

    def renew(self, digest: Digest, *, flushed: bool = True) -> bool | None:
        """Make an object young, and tell whether its bytes are right; None if there is none."""
        path = self._layout.path(digest)
        with storage_errors(self._layout.root):
            try:
                with self._layout.lock.shared():
                    os.utime(path, ns=(self._now_ns(),) * 2, follow_symlinks=False)
                if flushed:
                    # Whoever renamed it into place may not have come to flush its name yet.
                    self._flush_name(path)
            except FileNotFoundError:
                return None
        return self._layout.check(digest) is None

    def drop(self, digest: Digest) -> None:
        """Remove a damaged object of which there is another copy."""
        with storage_errors(self._layout.root):
            self._layout.path(digest).unlink(missing_ok=True)

    def folders(self) -> set[str]:
        """Give the first two digits of all objects that are there."""
        with storage_errors(self._layout.root):
            try:
                return {folder.name for folder in self._layout.objects.iterdir()}
            except FileNotFoundError:
                return set()

    def read(self, digest: str, start: int, end: int | None) -> Iterator[bytes]:
        """Give the bytes from `start` to `end` or to the end, unchecked.

        Raises
        ------
        ObjectNotFound
            If it was collected meanwhile.
        """
        with self._reading(digest) as fd:
            while chunk := self._read(
                fd, start, CHUNK_BYTES if end is None else min(CHUNK_BYTES, end - start)
            ):
                start += len(chunk)
                yield chunk

    @contextlib.contextmanager
    def _reading(self, digest: str) -> Iterator[int]:
        with storage_errors(self._layout.root):
            try:
                fd = os.open(self._layout.path(digest), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            except FileNotFoundError as error:
                raise ObjectNotFound(digest, where=str(self._layout.root)) from error
        try:
            yield fd
        finally:
            os.close(fd)

    def _read(self, fd: int, offset: int, n_bytes: int) -> bytes:
        with storage_errors(self._layout.root):
            return os.pread(fd, n_bytes, offset)

    def _flush_name(self, path: Path) -> None:
        """Have the name of an object on disk, with those of the folders above it when they may be new."""
        fsync_folder(path.parent)
        if path.parent not in self._flushed:
            # After the object's own flushes, which mostly took these names along, this costs next to nothing.
            fsync_folder(self._layout.objects)
            fsync_folder(self._layout.root)
            self._flushed.add(path.parent)
