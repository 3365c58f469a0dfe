"""Take what a run logs to disk within moments, and from there to the service.

Callers append to memory and go on. One thread of the process writes what has gathered to the segment of the run, and
what is written outlives the process; another one, of the run, sends what the segment holds, and tries again for as long
as the service does not answer. Neither ever raises into the code that logs: what is refused is raised by `flush` and
`close`.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

from noria.core.clock import Clock
from noria.core.errors import Conflict, NoriaError, StorageFull
from noria.tracking.buffer import PointBuffer
from noria.tracking.frames import Ended, Points, Record, merged
from noria.tracking.limits import MAX_ENTRIES, MAX_POINTS
from noria.tracking.segments import Segment
from noria.tracking.sender import Sender
from noria.tracking.ticker import shared_ticker

WRITE_INTERVAL_S = 0.04
"""Less than the tenth of a second that is promised, since a busy interpreter wakes threads late."""
SEND_INTERVAL_S = 0.25
GIVE_UP_S = 30.0
MAX_WAITING_BYTES = 256 << 20
"""When points can neither be written nor sent, the calls that log refuse beyond this, rather than fill the memory."""
_APPEND_BYTES = 4 << 20
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 10.0

_log = logging.getLogger(__name__)

Line = tuple[Segment, Sender]


class Outbox:
    """Gathers what one run logs, writes it down and sends it. Thread-safe, and of use in processes made by fork.

    Parameters
    ----------
    line
        Segment and sender, held by this process.
    line_of_child
        Opens others in a process that was made by fork.
    buffer
        Of metric points.

    Attributes
    ----------
    quiet
        True while nothing new was announced; who adds to the buffer then calls `wake`.
    before_write
        Called before each writing, to add what gathered elsewhere.
    """

    def __init__(
        self, line: Line, buffer: PointBuffer, clock: Clock, *, line_of_child: Callable[[], Line]
    ) -> None:
        self.quiet = True
        self.buffer = buffer
        self.before_write: Callable[[], None] = _nothing
        self._line: Line | None = line
        self._line_of_child = line_of_child
        self._clock = clock
        self._ticker = shared_ticker()
        self._will_send = False
        self._is_child = False
        self._has_farewell = False
        self._closed = False
        self._n_raised = 0
        self._records: list[Record] = []
        self._make_locks()
        _outboxes.add(self)

    def _make_locks(self) -> None:
        self._opening = threading.Lock()
        self._writing = threading.RLock()  # one writes at a time, in order
        self._written = threading.Event()
        self._stop = threading.Event()
        self._sending: threading.Thread | None = None
        self._trouble: NoriaError | None = None
        self._pause_s = WRITE_INTERVAL_S

    @property
    def segment(self) -> Segment:
        """The segment that is written to."""
        return self._held_line()[0]

    @property
    def sender(self) -> Sender:
        """The sender of that segment."""
        return self._held_line()[1]

    def add(self, record: Record) -> None:
        """Add something that was logged besides points."""
        self._records.append(record)
        if self.quiet:
            self.wake()

    def wake(self) -> None:
        """Have what was added written soon.

        Raises
        ------
        Conflict
            If the outbox is closed.
        NoriaError
            Why too much waits in memory already.
        """
        if self._closed:
            raise Conflict(
                "The run has ended, and nothing more can be logged to it", hint="noria.run(resume=…)"
            )
        if self._trouble is not None:  # then the next try is on its way
            if self.buffer.n_bytes > MAX_WAITING_BYTES:
                raise self._trouble
            return
        with self._opening:
            if not self.quiet:
                return
            self.quiet = False
        if self._is_child and not self._has_farewell:
            self._has_farewell = True
            _at_end_of_child(self)
        self._ticker.call_later(WRITE_INTERVAL_S, self._tick)

    def write(self) -> None:
        """Write down all that was added so far.

        Raises
        ------
        NoriaError
            If that is not possible, and the service does not take it from memory either; it stays in memory then.
        """
        with self._writing:
            self.before_write()
            while self._write_some():
                pass

    def _write_some(self) -> bool:
        """Write down a part; False when nothing waited."""
        n_records = len(self._records)
        pieces = self.buffer.waiting(MAX_POINTS, _APPEND_BYTES)
        if not n_records and not pieces:
            return False
        points = [Points(rows.keys, data) for rows, data in pieces]
        self._append([*merged(self._records[:n_records], max_entries=MAX_ENTRIES), *points])
        del self._records[:n_records]
        self.buffer.forget(pieces)
        return True

    def flush(self, *, give_up_s: float = GIVE_UP_S) -> None:
        """Write and send all that was added so far.

        Raises
        ------
        NoriaError
            What the service refused, now or earlier; `Unavailable` if it did not answer for `give_up_s` seconds, and
            what was not sent keeps waiting.
        """
        self.write()
        self._send(give_up_s)
        self._raise_refused()

    def close(self, ended: Ended | None, *, give_up_s: float) -> NoriaError | None:
        """Write and send all with the end of the run behind it, and let go of the segment. A second call does nothing.

        Returns
        -------
        NoriaError or None
            Why not all of it could be sent; it is in the spool then, for whoever sends it later.

        Raises
        ------
        NoriaError
            What the service refused; all else was sent then. Or why nothing could be written.
        """
        with self._writing:
            if self._closed:
                return None
            self._closed = True
            self.quiet = True  # so that whoever adds something is told
            self.before_write = _nothing
        self._join()
        if self._line is None and not self._records and not self.buffer.n_bytes:
            return None  # a child that logged nothing
        segment, sender = self._held_line()
        try:
            self.write()
            if ended is not None and not self._is_child:
                self._append([ended])
            left = self._sent_or_left(give_up_s)
        except BaseException:
            segment.release()
            raise
        if left is None and sender.run_refused is None:
            segment.remove()
        else:
            segment.release()
        self._raise_refused()
        return left

    def _sent_or_left(self, give_up_s: float) -> NoriaError | None:
        try:
            self._send(give_up_s)
        except NoriaError as error:
            return error
        return None

    def _send(self, give_up_s: float) -> None:
        _, sender = self._held_line()
        deadline = self._clock.monotonic() + give_up_s
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                sender.send()
            except NoriaError as error:
                if not error.retryable or self._clock.monotonic() + pause_s > deadline:
                    raise
            else:
                return
            self._clock.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    def _raise_refused(self) -> None:
        _, sender = self._held_line()
        new = sender.refusals[self._n_raised :]
        self._n_raised += len(new)
        if new:
            error = new[0].to_error()
            for other in new[1:]:
                error.add_note(other.error.message)
            raise error

    def _append(self, records: list[Record]) -> None:
        segment, sender = self._held_line()
        try:
            segment.append(records)
        except StorageFull as full:
            self._append_despite(full, records, segment, sender)

    def _append_despite(
        self, full: StorageFull, records: list[Record], segment: Segment, sender: Sender
    ) -> None:
        """Make room by sending what the segment holds; if that is not enough, send without writing."""
        try:
            sender.send()
            try:
                segment.append(records)
            except StorageFull:
                sender.send_directly(records)
        except NoriaError as away:
            raise full from away

    def _held_line(self) -> Line:
        with self._opening:
            if self._line is None:
                self._line = self._line_of_child()
            return self._line

    def _tick(self) -> None:
        with self._writing:
            if self._closed:
                return
            self.quiet = True
            if not self._write_quietly():
                self._pause_s = min(self._pause_s * 2, _LONGEST_PAUSE_S)
                self._ticker.call_later(self._pause_s, self._tick)
                return
        self._pause_s = WRITE_INTERVAL_S
        if self._sending is not None:
            self._written.set()
        elif not self._will_send:
            self._will_send = True
            self._ticker.call_later(SEND_INTERVAL_S, self._start_sending)

    def _write_quietly(self) -> bool:
        try:
            self.write()
        except Exception as error:  # noqa: BLE001 - the run must live on; `flush` and `close` meet the same
            if self._trouble is None:
                _log.warning("run.not_written", extra={"error": str(error)})
            self._trouble = error if isinstance(error, NoriaError) else NoriaError(f"{error!r}")
            return False
        self._trouble = None
        return True

    def _start_sending(self) -> None:
        with self._writing:
            if not self._closed:
                self._written.set()
                self._sending = threading.Thread(target=self._send_on, name="noria-send", daemon=True)
                self._sending.start()

    def _send_on(self) -> None:
        pause_s = 0.0
        while True:
            self._written.wait()
            if self._stop.wait(pause_s):
                return
            self._written.clear()
            pause_s = (
                SEND_INTERVAL_S if self._send_quietly() else min(max(pause_s, 0.1) * 2, _LONGEST_PAUSE_S)
            )

    def _send_quietly(self) -> bool:
        try:
            self._held_line()[1].send()
        except Exception as error:  # noqa: BLE001 - as above
            _log.info("run.not_sent", extra={"error": str(error)})
            self._written.set()
            return False
        return True

    def _join(self) -> None:
        self._stop.set()
        self._written.set()
        if self._sending is not None:
            self._sending.join()

    def _after_fork_in_child(self) -> None:
        """Begin anew: what waits in memory is the parent's to write."""
        self._is_child = True
        self.before_write = _nothing
        self._line = None
        self._n_raised = 0
        self._records = []
        self.buffer.empty()
        self.quiet = True
        self._will_send = False
        self._has_farewell = False
        self._make_locks()


def _nothing() -> None:
    pass


_outboxes: weakref.WeakSet[Outbox] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for outbox in list(_outboxes):
        outbox._after_fork_in_child()


def _at_end_of_child(outbox: Outbox) -> None:
    # A child of multiprocessing ends without the calls of `atexit`, but not without these.
    process: Any = sys.modules.get("multiprocessing.process")
    if process is not None and process.parent_process() is not None:
        util: Any = sys.modules["multiprocessing.util"]
        util.Finalize(None, outbox.close, args=(None,), kwargs={"give_up_s": 2.0}, exitpriority=10)


os.register_at_fork(after_in_child=_after_fork_in_child)
