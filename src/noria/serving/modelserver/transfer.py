"""Hand on what a spool holds, in a thread of its own, and let go of it once the other side has it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from noria.core.errors import Conflict, Corrupt, Failed, Invalid, NoriaError, NotFound
from noria.serving.modelserver.spool import Claim, Place, Spool, claim, claim_abandoned

Sink = Callable[[list[bytes]], None]
"""Takes records, and knows by an id of their own those that it has already. Raises when it could not."""

REFUSALS = (Invalid, NotFound, Conflict, Corrupt, Failed, msgspec.DecodeError)
"""What cannot get better by trying again: the record is given up, counted and logged. All else is tried again."""

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0
_TAKEOVER_EVERY_S = 10.0

_log = logging.getLogger("noria.serving.transfer")


class TransferStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How a transfer stands.

    Attributes
    ----------
    waiting_bytes
        On disk, not yet handed on.
    n_sent
        Records that the other side took since the start.
    n_dropped
        Records for which there was no room.
    n_refused
        Records that the other side will never take.
    n_damaged
        Records that the disk did not give back as they were written.
    last_failure
        Why the newest attempt failed; None when it did not.
    """

    waiting_bytes: int
    n_sent: int
    n_dropped: int
    n_refused: int
    n_damaged: int
    last_failure: str | None


class Transfer:
    """A spool under `root` and the thread that empties it, together with what dead processes left there.

    Parameters
    ----------
    root
        Folder that all processes of one kind share.
    poll_s
        How soon after an append it is handed on.
    """

    def __init__(
        self,
        root: Path,
        sink: Sink,
        *,
        max_bytes: int = 1 << 30,
        segment_bytes: int = 4 << 20,
        durable: bool = False,
        poll_s: float = 0.1,
    ) -> None:
        self._root = root
        self._sink = sink
        self._poll_s = poll_s
        self._claim = claim(root)
        self._spool = Spool(
            self._claim.folder, max_bytes=max_bytes, segment_bytes=segment_bytes, durable=durable
        )
        self._changed = threading.Condition()
        self._wake = threading.Event()
        self._stopping = False
        self._inherited: list[tuple[Claim, Spool]] | None = None
        self._looked_at = 0.0
        self._n_sent = self._n_refused = self._n_damaged = self._n_failures = 0
        self._last_failure: str | None = None
        self._thread = threading.Thread(target=self._run, name=f"noria-transfer-{root.name}", daemon=True)

    def start(self) -> None:
        """Begin to hand on."""
        self._thread.start()

    def append(self, payload: bytes) -> bool:
        """Keep a record; False when there is no room and it was dropped."""
        return self._spool.append(payload)

    def flush(self, timeout_s: float) -> bool:
        """Hand on everything that was appended until now, by this process and by dead ones.

        Returns
        -------
        bool
            False when an attempt failed, or time ran out.
        """
        target = self._spool.end
        deadline = time.monotonic() + timeout_s
        with self._changed:
            n_failures = self._n_failures
            self._wake.set()
            while not self._is_done(target):
                left_s = deadline - time.monotonic()
                if left_s <= 0 or self._stopping or self._n_failures != n_failures:
                    return False
                self._changed.wait(left_s)
            return True

    def stop(self, timeout_s: float) -> None:
        """Hand on what can be within `timeout_s`, and end; the rest stays for the next process."""
        done = self._thread.is_alive() and self.flush(timeout_s)
        with self._changed:
            self._stopping = True
            self._wake.set()
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        if self._thread.is_alive():
            return  # The process is about to end, and its locks with it.
        for claimed, _ in self._inherited or []:
            claimed.release()
        done = done and self._spool.is_empty
        self._spool.close()
        if done:
            self._claim.remove()
        else:
            self._claim.release()

    def status(self) -> TransferStatus:
        """Tell how far it is."""
        inherited = self._inherited or []
        return TransferStatus(
            waiting_bytes=self._spool.waiting_bytes + sum(spool.waiting_bytes for _, spool in inherited),
            n_sent=self._n_sent,
            n_dropped=self._spool.n_dropped,
            n_refused=self._n_refused,
            n_damaged=self._n_damaged + self._spool.n_damaged,
            last_failure=self._last_failure,
        )

    def _is_done(self, target: Place) -> bool:
        return self._inherited == [] and self._spool.acknowledged >= target

    def _run(self) -> None:
        pause_s = 0.0
        while not self._stopping:
            self._wake.wait(pause_s or self._poll_s)
            self._wake.clear()
            try:
                self._take_over()
                self._hand_on()
            except Exception as error:  # noqa: BLE001 - whatever it is, the records are kept and tried again
                pause_s = min(max(2 * pause_s, _FIRST_PAUSE_S), _LONGEST_PAUSE_S)
                self._note_failure(error)
            else:
                pause_s = 0.0
                self._last_failure = None
            with self._changed:
                self._changed.notify_all()

    def _take_over(self) -> None:
        if self._inherited is not None and time.monotonic() - self._looked_at < _TAKEOVER_EVERY_S:
            return
        found = [(claimed, Spool(claimed.folder)) for claimed in claim_abandoned(self._root)]
        if found:
            _log.info("transfer.taken_over", extra={"n_folders": len(found)})
        self._inherited = [*(self._inherited or []), *found]
        self._looked_at = time.monotonic()

    def _hand_on(self) -> None:
        while self._inherited:
            claimed, spool = self._inherited[0]
            self._empty(spool)
            if not spool.is_empty:
                return
            self._n_damaged += spool.n_damaged
            spool.close()
            claimed.remove()
            self._inherited = self._inherited[1:]
        self._empty(self._spool)

    def _empty(self, spool: Spool) -> None:
        # What comes in meanwhile waits for the next round: a call for each record would cost more than the records.
        end = spool.end
        while not self._stopping and spool.acknowledged < end and (batch := spool.read()) is not None:
            if batch.records:
                self._send(batch.records)
            spool.acknowledge(batch.end)
            with self._changed:
                self._changed.notify_all()

    def _send(self, records: list[bytes]) -> None:
        try:
            self._sink(records)
        except REFUSALS as error:
            if len(records) > 1:
                middle = len(records) // 2
                self._send(records[:middle])
                self._send(records[middle:])
                return
            self._n_refused += 1
            _log.warning("transfer.refused", extra={"reason": str(error)})
        else:
            self._n_sent += len(records)

    def _note_failure(self, error: Exception) -> None:
        reason = error.message if isinstance(error, NoriaError) else repr(error)
        if reason != self._last_failure:
            _log.warning("transfer.failed", extra={"reason": reason})
        with self._changed:
            self._last_failure = reason
            self._n_failures += 1
