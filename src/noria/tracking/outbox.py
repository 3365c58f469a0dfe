"""What a run has logged and not yet sent, and the thread that sends it.

Callers append to memory and go on; a background thread sends what has gathered, ten times a second. A server that
does not answer is tried again; a server that refuses is reported by the next call of the run.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from noria.core.clock import Clock
from noria.core.errors import NoriaError
from noria.tracking.entities import Link, LogBatch, MetricPoint
from noria.tracking.limits import MAX_ENTRIES

K = TypeVar("K")
V = TypeVar("V")
Point = tuple[str, float, int, datetime]

SEND_INTERVAL_S = 0.1
POINTS_PER_BATCH = 5_000
MAX_WAITING_POINTS = 1_000_000
"""When more points wait than this, the caller itself sends (and so waits), rather than filling the memory."""
GIVE_UP_S = 30.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 5.0

_log = logging.getLogger(__name__)


class Outbox:
    """Gathers what one run logs and sends it in batches.

    Thread-safe.

    Parameters
    ----------
    send
        Delivers a batch; a retryable error means that the same batch is sent again.
    """

    def __init__(self, send: Callable[[LogBatch], None], clock: Clock) -> None:
        self._send = send
        self._clock = clock
        self._points: list[Point] = []
        self._params: dict[str, str] = {}
        self._tags: dict[str, str | None] = {}
        self._links: dict[str, dict[Link, None]] = {"inputs": {}, "outputs": {}}
        self._lock = threading.Lock()  # held for appending and taking, never while sending
        self._sending = threading.Lock()  # one batch at a time, in order
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._error: Exception | None = None

    def points(self, points: list[Point]) -> None:
        """Add metric points."""
        with self._lock:
            self._points += points
            waiting = len(self._points)
        self._notify()
        if waiting > MAX_WAITING_POINTS:
            self.flush()

    def param(self, key: str, value: str) -> None:
        """Add a param."""
        with self._lock:
            self._params[key] = value
        self._notify()

    def tag(self, key: str, value: str | None) -> None:
        """Set or remove a tag."""
        with self._lock:
            self._tags[key] = value
        self._notify()

    def link(self, direction: str, link: Link) -> None:
        """Add one of the `inputs` or `outputs`."""
        with self._lock:
            self._links[direction][link] = None
        self._notify()

    def flush(self, *, give_up_s: float = GIVE_UP_S) -> None:
        """Send all that waits.

        Raises
        ------
        NoriaError
            What the service refused something with, now or earlier in the background; `Unavailable` if it did not
            answer for `give_up_s` seconds, and what was not sent keeps waiting.
        """
        deadline = self._clock.monotonic() + give_up_s
        pause_s = _FIRST_PAUSE_S
        while (failure := self._send_waiting()) is not None:
            if self._clock.monotonic() + pause_s > deadline:
                raise failure
            self._clock.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
        self.raise_pending()

    def raise_pending(self) -> None:
        """Raise what the background thread met, once."""
        error, self._error = self._error, None
        if error is not None:
            raise error

    def close(self) -> None:
        """Stop the thread and send what waits; raises as `flush`."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self.flush()

    def _notify(self) -> None:
        if not self._wake.is_set():
            self._wake.set()
            self._start()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None and not self._stop.is_set():
                self._thread = threading.Thread(target=self._run, name="noria-outbox", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        pause_s = SEND_INTERVAL_S
        while not self._stop.is_set():
            self._wake.wait()
            self._stop.wait(pause_s)
            self._wake.clear()
            if self._send_waiting() is None:
                pause_s = SEND_INTERVAL_S
            else:
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
                self._wake.set()

    def _send_waiting(self) -> NoriaError | None:
        """Send all that waits; give the error of a service that does not answer, and keep what it did not get."""
        with self._sending:
            while batch := self._take():
                try:
                    self._send(batch)
                except NoriaError as error:
                    if error.retryable:
                        self._put_back(batch)
                        return error
                    self._send_parts(batch, error)
                except Exception as error:  # noqa: BLE001 - the thread must live on; the run's next call raises it
                    self._error = self._error or error
        return None

    def _send_parts(self, batch: LogBatch, error: NoriaError) -> None:
        """Save from a refused batch what is not to blame, and keep the error for the run's next call."""
        _log.warning("run.log_refused", extra={"error": error.message})
        self._error = self._error or error
        parts = _parts(batch)
        for part in parts if len(parts) > 1 else []:
            try:
                self._send(part)
            except NoriaError as refused:
                _log.warning("run.log_refused", extra={"error": refused.message})

    def _take(self) -> LogBatch | None:
        with self._lock:
            points, self._points = self._points[:POINTS_PER_BATCH], self._points[POINTS_PER_BATCH:]
            params = _take_some(self._params)
            tags = _take_some(self._tags)
            inputs = list(_take_some(self._links["inputs"]))
            outputs = list(_take_some(self._links["outputs"]))
        if not (points or params or tags or inputs or outputs):
            return None
        metrics = [MetricPoint(key=key, value=value, step=step, at=at) for key, value, step, at in points]
        return LogBatch(metrics=metrics, params=params, tags=tags, inputs=inputs, outputs=outputs)

    def _put_back(self, batch: LogBatch) -> None:
        with self._lock:
            self._points[:0] = [(p.key, p.value, p.step, p.at) for p in batch.metrics]
            self._params = {**batch.params, **self._params}
            self._tags = {**batch.tags, **self._tags}
            for direction, links in (("inputs", batch.inputs), ("outputs", batch.outputs)):
                self._links[direction] = {**dict.fromkeys(links), **self._links[direction]}


def _take_some(entries: dict[K, V]) -> dict[K, V]:
    """Move out of `entries` as many as one batch may have."""
    return {key: entries.pop(key) for key in list(entries)[:MAX_ENTRIES]}


def _parts(batch: LogBatch) -> list[LogBatch]:
    """Cut a batch into one of metrics, one of links, and one for each param and tag."""
    parts = [
        LogBatch(metrics=batch.metrics),
        LogBatch(inputs=batch.inputs, outputs=batch.outputs),
        *(LogBatch(params={key: value}) for key, value in batch.params.items()),
        *(LogBatch(tags={key: value}) for key, value in batch.tags.items()),
    ]
    return [part for part in parts if part != LogBatch()]
