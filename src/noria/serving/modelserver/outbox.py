"""A worker's end of what is handed on: it writes to a spool of its own, and its owner takes it from there."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from noria.serving.modelserver.board import Page, Word
from noria.serving.modelserver.spool import (
    Claim,
    Place,
    Record,
    Spool,
    claim,
    disk_bytes,
    segments_of,
    spool_folders,
)
from noria.serving.modelserver.spool_reader import Mark, read_mark, written_bytes

_LOOK_EVERY_S = 0.005
_TRY_AGAIN_S = 1.0
_START = Mark(Place(0, 0), 0)

_log = logging.getLogger("noria.serving.outbox")


class Outbox:
    """Keeps records until they are handed on. Thread-safe.

    Parameters
    ----------
    root
        Folder of all spools of this kind; they share `max_bytes`.
    own
        How the name of this worker's spool begins.
    page
        Where it is counted what was dropped.
    dropped
        Under which number.
    wake
        Tells the owner that somebody waits.
    """

    def __init__(
        self,
        root: Path,
        *,
        own: str,
        max_bytes: int,
        page: Page,
        dropped: Word,
        kept: Word | None = None,
        wake: Callable[[], None],
        durable: bool = False,
    ) -> None:
        self._root = root
        self._own = own
        self._max_bytes = max_bytes
        self._words = page.words
        self._dropped = dropped
        self._kept = kept
        self._kept_at = 0 if kept is None else int(kept)
        self._wake = wake
        self._durable = durable
        self._lock = threading.Lock()
        self._opened: tuple[Claim, Spool] | None = None
        self._tried_at = float("-inf")
        self._is_full = False
        self._spool()

    def append(self, record: Record, n: int = 1) -> bool:
        """Keep a record: when this returns True it outlives this process. False when it was dropped.

        Parameters
        ----------
        n
            As how many it counts.
        """
        spool = self._spool() if self._opened is None else self._opened[1]
        done = spool is not None and spool.append(record)
        if done and not self._is_full and self._kept is None:
            return True
        with self._lock:
            if done and not self._is_full:
                self._words[self._kept_at] += n
            else:
                self._count(n, done=done)
        return done

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything that was appended until now, by any worker, was handed on.

        Returns
        -------
        bool
            False when an attempt failed, or time ran out.
        """
        waiting = {folder: (_end(folder), _mark(folder).n_failures) for folder in spool_folders(self._root)}
        waiting = {folder: each for folder, each in waiting.items() if _is_behind(folder, each[0])}
        deadline = time.monotonic() + timeout_s
        while waiting:
            self._wake()
            time.sleep(_LOOK_EVERY_S)
            if any(
                _mark(folder).n_failures != each[1] for folder, each in waiting.items() if folder.exists()
            ):
                return False
            waiting = {folder: each for folder, each in waiting.items() if _is_behind(folder, each[0])}
            if time.monotonic() > deadline:
                return not waiting
        return True

    def disk_bytes(self) -> int:
        """Bytes on disk, of all workers."""
        return disk_bytes(self._root)

    def close(self) -> None:
        """Leave what is in it to the owner."""
        if self._opened is not None:
            held, spool = self._opened
            spool.close()
            held.release()

    def _count(self, n: int, *, done: bool) -> None:
        if done and self._kept is not None:
            self._words[self._kept] += n
        if not done:
            self._words[self._dropped] += n
        if done == self._is_full:
            self._is_full = not done
            self._words[Word.DISK_FULL] = int(self._is_full)

    def _spool(self) -> Spool | None:
        """Open the spool; on a disk without room for a folder that is tried again now and then."""
        with self._lock:
            now = time.monotonic()
            if self._opened is None and now - self._tried_at >= _TRY_AGAIN_S:
                self._tried_at = now
                try:
                    held = claim(self._root, prefix=self._own)
                    self._opened = (held, self._make(held.folder))
                except OSError as error:
                    _log.warning(
                        "spool.not_opened", extra={"reason": error.strerror, "root": str(self._root)}
                    )
            return None if self._opened is None else self._opened[1]

    def _make(self, folder: Path) -> Spool:
        return Spool(folder, max_bytes=self._max_bytes, durable=self._durable, among=self._root)


def _mark(folder: Path) -> Mark:
    return read_mark(folder) or _START


def _end(folder: Path) -> Place:
    """Give the place behind the last record."""
    for number in reversed(segments_of(folder)):
        if n_bytes := written_bytes(folder, number):
            return Place(number, n_bytes)
    return Place(0, 0)


def _is_behind(folder: Path, end: Place) -> bool:
    """Tell whether something before `end` waits; a spool that is gone, or a segment, was read."""
    return _mark(folder).place < end and any(number <= end.segment for number in segments_of(folder))
