"""Removal of what nothing refers to from among the objects of a local store that are files of their own.

Why it cannot remove what was just acknowledged: a put sets the modification time of its object to now while it holds
the lock shared, on the new file just before the rename, or on the file that is already there. The collector fixes
its cutoff (now minus grace) first, asks who is live afterwards and without a lock, then takes the lock alone and looks
at the time of each object again before it removes it.

- If the put came first, the collector sees a time past the cutoff and leaves the object.
- If the removal came first, the put finds no object and writes it.
- If the put came before the cutoff, its reference was committed within the grace period, hence before the collector
  asked who is live.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from noria.core.objects.digests import Digest
from noria.core.objects.disk import storage_errors
from noria.core.objects.layout import Layout, listing
from noria.core.objects.store import Collected

TEMPORARY_LIFE_S = 86_400.0
"""Age at which a temporary file that no living process writes is a leftover."""

_BATCH = 100  # objects per question to `is_live`, and removed at most while puts wait


class Collector:
    """One collection.

    Parameters
    ----------
    now_ns
        Nanoseconds since 1970 by the clock that puts are stamped with.
    """

    def __init__(self, layout: Layout, *, now_ns: int, grace_s: float, dry_run: bool) -> None:
        self._layout = layout
        self.cutoff_ns = now_ns - round(grace_s * 1e9)
        self._temporary_cutoff_ns = now_ns - round(TEMPORARY_LIFE_S * 1e9)
        self._dry_run = dry_run

    def run(self, is_live: Callable[[list[str]], set[str]]) -> Collected:
        """Go through all objects once, and sweep leftovers."""
        sizes: list[int] = []
        n_live = n_young = 0
        for batch in self._batches():
            old = [digest for digest in batch if self._size_if_old(digest) is not None]
            live = is_live(old) if old else set()
            dead = [digest for digest in old if digest not in live]
            removed = self._remove(dead)
            sizes += removed
            n_live += len(old) - len(dead)
            n_young += len(batch) - len(old) + len(dead) - len(removed)
        return Collected(
            n_removed=len(sizes),
            removed_bytes=sum(sizes),
            n_live=n_live,
            n_young=n_young,
            n_temporary=self._sweep(),
            dry_run=self._dry_run,
        )

    def _batches(self) -> Iterator[list[Digest]]:
        batch: list[Digest] = []
        for _, digest in self._layout.everything():
            if digest is not None:
                batch.append(digest)
            if len(batch) == _BATCH:
                yield batch
                batch = []
        yield batch

    def _size_if_old(self, digest: Digest) -> int | None:
        status = self._layout.status(digest)
        return status.st_size if status and status.st_mtime_ns < self.cutoff_ns else None

    def _remove(self, digests: list[Digest]) -> list[int]:
        """Remove what is still old, and give the sizes of what went."""
        if not digests:
            return []
        sizes = []
        with storage_errors(self._layout.root), self._layout.lock.exclusive():
            for digest in digests:
                size_bytes = self._size_if_old(digest)
                if size_bytes is None:
                    continue
                if not self._dry_run:
                    self._layout.path(digest).unlink(missing_ok=True)
                sizes.append(size_bytes)
        return sizes

    def _sweep(self) -> int:
        with storage_errors(self._layout.root):
            leftovers = [path for path in listing(self._layout.temporary) if self._is_leftover(path)]
            for path in [] if self._dry_run else leftovers:
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)
        return len(leftovers)

    def _is_leftover(self, path: Path) -> bool:
        try:
            if path.lstat().st_mtime_ns >= self._temporary_cutoff_ns:
                return False
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:  # gone meanwhile, or another user's
            return False
        try:
            # Its writer holds this lock while it lives, be it stopped for days.
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        else:
            return True
        finally:
            os.close(fd)
