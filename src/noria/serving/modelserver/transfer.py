"""Hand on what the spools of a folder hold, in a thread, and let go of it once the other side has it."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from noria.core.errors import Conflict, Corrupt, Failed, Invalid, NoriaError, NotFound
from noria.serving.modelserver.spool import disk_bytes, spool_folders
from noria.serving.modelserver.spool_reader import Batch, SpoolReader, adopt

Sink = Callable[[list[bytes]], None]
"""Takes records, and knows by an id of their own those that it has already. Raises when it could not."""

REFUSALS = (Invalid, NotFound, Conflict, Corrupt, Failed, msgspec.DecodeError)
"""What cannot get better by trying again: the record is given up, counted and logged. All else is tried again."""

Count = Callable[[bytes], int]
"""Tells as how many a record counts."""

Apart = Callable[[bytes], list[bytes]]
"""Gives the records that a record holds, of which the other side may refuse some; itself where it is one."""

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0
_MAX_RECORDS = 2_000
_BATCH_BYTES = 1 << 20
_LONGEST_GATHER_S = 0.5
_FEW_BYTES = 16 << 10
_NICE = 10
"""Handing on gives way to answering: it can wait, and a client cannot."""

_log = logging.getLogger("noria.serving.transfer")


class TransferStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How a transfer stands.

    Attributes
    ----------
    waiting_bytes
        On disk, not yet handed on.
    disk_bytes
        On disk, with what was handed on and not yet deleted.
    n_sent
        Records that the other side took since the start.
    n_refused
        Records that the other side will never take.
    n_damaged
        Records that the disk did not give back as they were written.
    last_failure
        Why the newest attempt failed; None when it did not.
    """

    waiting_bytes: int = 0
    disk_bytes: int = 0
    n_sent: int = 0
    n_refused: int = 0
    n_damaged: int = 0
    last_failure: str | None = None


class Transfer:
    """The thread that empties the spools under `root`, of the living and of the dead.

    Parameters
    ----------
    root
        Folder that all processes of one kind share. Whoever reads a spool holds a lock of it, so two transfers on one
        folder do not meet.
    own
        How the names of the spools begin that this transfer is to empty while they are written; others are taken over
        when their writer is gone.
    poll_s
        How soon after an append it is handed on. Where much comes, longer: a large batch costs less for each record.
    max_bytes
        Bound of all spools; an eighth of it is gathered at most.
    count, apart
        Of records that hold others; each is one by default.
    """

    def __init__(
        self,
        root: Path,
        sink: Sink,
        *,
        own: str = "",
        poll_s: float = 0.1,
        max_bytes: int = 1 << 30,
        count: Count = lambda _: 1,
        apart: Apart = lambda record: [record],
    ) -> None:
        self._root = root
        self._sink = sink
        self._own = own
        self._count = count
        self._apart = apart
        self._poll_s = poll_s
        self._batch_bytes = min(_BATCH_BYTES, max_bytes // 8)
        self._n_bytes = 0
        self._readers: dict[str, SpoolReader] = {}
        self._changed = threading.Condition()
        self._wake = threading.Event()
        self._stopping = False
        self._n_begun = self._n_ended = 0
        self._n_sent = self._n_refused = self._n_damaged = self._n_failures = 0
        self._last_failure: str | None = None
        self._thread = threading.Thread(target=self._run, name=f"noria-transfer-{root.name}", daemon=True)

    def start(self) -> None:
        """Begin to hand on."""
        self._thread.start()

    def wake(self) -> None:
        """Look at once: somebody waits."""
        self._wake.set()

    def flush(self, timeout_s: float) -> bool:
        """Hand on everything that was appended until now, by any process.

        Returns
        -------
        bool
            False when an attempt failed, or time ran out.
        """
        with self._changed:
            # The round that runs may have passed by what was just appended.
            target, n_failures = self._n_begun + 1, self._n_failures
            self._wake.set()
            self._changed.wait_for(
                lambda: self._n_ended >= target or self._stopping or self._n_failures != n_failures, timeout_s
            )
            return self._n_ended >= target and self._n_failures == n_failures

    def stop(self, timeout_s: float) -> None:
        """Hand on what can be within `timeout_s`, and end; the rest stays for the next process."""
        if self._thread.is_alive():
            self.flush(timeout_s)
        with self._changed:
            self._stopping = True
            self._wake.set()
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        if self._thread.is_alive():
            return  # The process is about to end, and its locks with it.
        for reader in self._readers.values():
            reader.close()

    def status(self) -> TransferStatus:
        """Tell how far it is."""
        return TransferStatus(
            waiting_bytes=sum(reader.waiting_bytes for reader in list(self._readers.values())),
            disk_bytes=disk_bytes(self._root),
            n_sent=self._n_sent,
            n_refused=self._n_refused,
            n_damaged=self._n_damaged,
            last_failure=self._last_failure,
        )

    def _run(self) -> None:
        _give_way()
        pause_s, gathered_s, looked_at = 0.0, self._poll_s, time.monotonic()
        while not self._stopping:
            self._wake.wait(pause_s or self._gather_s(gathered_s))
            now = time.monotonic()
            gathered_s, looked_at = now - looked_at, now
            with self._changed:
                self._wake.clear()
                self._n_begun += 1
            self._n_bytes = 0
            try:
                self._adopt()
                for name in list(self._readers):
                    self._empty(name)
            except Exception as error:  # noqa: BLE001 - whatever it is, the records are kept and tried again
                pause_s = min(max(2 * pause_s, _FIRST_PAUSE_S), _LONGEST_PAUSE_S)
                self._note_failure(error)
            else:
                pause_s = 0.0
                self._last_failure = None
            with self._changed:
                self._n_ended = self._n_begun
                self._changed.notify_all()

    def _gather_s(self, gathered_s: float) -> float:
        """Tell how long to wait for a batch, when what was last handed on came in so many seconds."""
        if self._n_bytes < _FEW_BYTES:
            return self._poll_s
        fills_in_s = gathered_s * self._batch_bytes / self._n_bytes
        return min(max(self._poll_s, fills_in_s), _LONGEST_GATHER_S)

    def _adopt(self) -> None:
        for folder in spool_folders(self._root):
            if folder.name in self._readers:
                continue
            reader = adopt(folder)
            if reader is None:
                continue
            if folder.name.startswith(self._own) or reader.is_abandoned():
                self._readers[folder.name] = reader
            else:
                reader.close()

    def _empty(self, name: str) -> None:
        reader = self._readers[name]
        abandoned = reader.is_abandoned()
        # What comes in meanwhile waits for the next round: a call for each record would cost more than the records.
        left_bytes = reader.waiting_bytes
        try:
            while not self._stopping and (batch := self._next(reader)) is not None:
                if batch.records:
                    self._send(batch.records)
                reader.acknowledge(batch.end)
                n_bytes = sum(map(len, batch.records))
                self._n_bytes += n_bytes
                left_bytes -= n_bytes
                if left_bytes <= 0:
                    break
        except Exception:
            reader.note_failure()
            raise
        if abandoned and reader.is_empty():
            reader.close()
            self._n_damaged += reader.n_damaged
            del self._readers[name]

    def _next(self, reader: SpoolReader) -> Batch | None:
        return reader.read(max_records=_MAX_RECORDS, max_bytes=self._batch_bytes)

    def _send(self, records: list[bytes]) -> None:
        try:
            self._sink(records)
        except REFUSALS as error:
            if len(records) == 1 and self._count(records[0]) > 1:
                records = self._apart(records[0])
            if len(records) > 1:
                middle = len(records) // 2
                self._send(records[:middle])
                self._send(records[middle:])
                return
            self._n_refused += 1
            _log.warning("transfer.refused", extra={"reason": str(error)})
        else:
            self._n_sent += sum(map(self._count, records))

    def _note_failure(self, error: Exception) -> None:
        reason = error.message if isinstance(error, NoriaError) else repr(error)
        if reason != self._last_failure:
            _log.warning("transfer.failed", extra={"reason": reason})
        with self._changed:
            self._last_failure = reason
            self._n_failures += 1


def _give_way() -> None:
    if sys.platform == "linux":  # where a thread has a priority of its own
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
