"""Keep the workers of a model server up: what dies, hangs or grows without end is replaced, the others go on.

Each worker has a listening socket, which its parent bound and keeps: connections to a worker that died wait in its
queue for the one that takes its place. The system spreads connections among the sockets; on one socket for all,
whoever wakes first would take them all.

Only the main thread may start workers: on Linux they ask to be killed when the thread that started them ends, so that
none outlives a parent that was killed and keeps its port.
"""

from __future__ import annotations

import logging
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil

from noria.core.errors import Failed
from noria.serving.modelserver.board import Board, Page, Word

START_TIMEOUT_S = 120.0
"""How long a worker may take until its first sign of life."""

_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 10.0
_STEADY_S = 20.0
_DRAIN_S = 10.0
_MEMORY_SHARE = 0.8
_WEIGH_EVERY_S = 1.0

_log = logging.getLogger("noria.serving.workers")


class WorkerState(msgspec.Struct, frozen=True, kw_only=True):
    """A worker as its parent sees it."""

    pid: int
    ready: bool
    uptime_s: float
    n_in_flight: int
    memory_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When a worker is replaced.

    Attributes
    ----------
    hung_after_s
        A request at work, or a loop without a sign of life, for so long.
    memory_bytes
        Resident memory beyond this.
    """

    hung_after_s: float = 60.0
    memory_bytes: int

    @classmethod
    def of(cls, *, n_workers: int, hung_after_s: float, memory_bytes: int | None) -> Limits:
        """Give limits; the memory of this machine, but for a fifth, is shared out when no other bound is given."""
        shared = int(_MEMORY_SHARE * machine_memory_bytes() / n_workers)
        return cls(hung_after_s=hung_after_s, memory_bytes=memory_bytes or shared)


@dataclass(slots=True)
class _Worker:
    process: subprocess.Popen[bytes]
    page: Page
    place: int
    started_at: float
    memory_bytes: int = 0
    weighed_at: float = 0.0
    kill_at: float | None = None


class Workers:
    """The workers of one model server. Used by the main thread.

    Parameters
    ----------
    n
        How many there are to be.
    board
        Has a page for each, and as many more for those that replace them; page 0 is the parent's, the last one has the
        rates of keys, and the one before it is of the process that predicts shadows.
    spawn
        Starts a process that writes the page of this number, and listens in this place (from 0 to `n` - 1).
    """

    def __init__(
        self, *, n: int, board: Board, spawn: Callable[[int, int], subprocess.Popen[bytes]], limits: Limits
    ) -> None:
        self._n = n
        self._board = board
        self._spawn = spawn
        self._limits = limits
        self._serving: list[_Worker] = []
        self._leaving: list[_Worker] = []
        self._pause_s = 0.0
        self._start_at = 0.0
        self._was_up = False

    @staticmethod
    def n_pages(n: int) -> int:
        """Give how many pages the board of so many workers has."""
        return 1 + 2 * n + 2

    @property
    def is_up(self) -> bool:
        """Whether one answers."""
        return any(worker.page.words[Word.LISTENS] for worker in self._serving)

    @property
    def states(self) -> list[WorkerState]:
        """How the workers are."""
        now = time.monotonic()
        return [
            WorkerState(
                pid=worker.process.pid,
                ready=bool(worker.page.words[Word.READY]),
                uptime_s=round(now - worker.started_at, 1),
                n_in_flight=int(worker.page.words[Word.N_IN_FLIGHT]),
                memory_bytes=worker.memory_bytes,
            )
            for worker in list(self._serving)
        ]

    @property
    def pages(self) -> Sequence[Page]:
        """Pages of the workers that answer."""
        return [worker.page for worker in list(self._serving)]

    def look(self) -> None:
        """Bury the dead, tell the sick to go, and start what lacks.

        Raises
        ------
        Failed
            If a worker ended before any ever answered.
        """
        now = time.monotonic()
        for worker in list(self._serving):
            self._look_at(worker, now)
        for worker in list(self._leaving):
            self._usher_out(worker, now)
        self._was_up = self._was_up or self.is_up
        while len(self._serving) < self._n and now >= self._start_at:
            if not self._start(now):
                break

    def stop(self, timeout_s: float) -> None:
        """Let all finish what they have at hand; after `timeout_s` they are killed."""
        everyone = [*self._serving, *self._leaving]
        for worker in everyone:
            worker.process.terminate()
        deadline = time.monotonic() + timeout_s
        for worker in everyone:
            try:
                worker.process.wait(max(0.05, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
            worker.page.clear()
        self._serving, self._leaving = [], []

    def _start(self, now: float) -> bool:
        taken = {id(worker.page) for worker in (*self._serving, *self._leaving)}
        pages = list(enumerate(self._board.pages))[1:-2]
        free = [n for n, page in pages if id(page) not in taken]
        if not free:
            return False  # As many leave as may be; there is a page when the first of them has gone.
        page = self._board.pages[free[0]]
        page.clear()
        place = min(set(range(self._n)) - {worker.place for worker in self._serving})
        try:
            process = self._spawn(free[0], place)
        except OSError as error:
            # Too many processes, or too little memory for one more: those that live go on.
            _log.error("worker.not_started", extra={"reason": str(error)})
            self._pause_s = min(max(2 * self._pause_s, _FIRST_PAUSE_S), _LONGEST_PAUSE_S)
            self._start_at = now + self._pause_s
            return False
        self._serving.append(_Worker(process, page, place, now))
        return True

    def _look_at(self, worker: _Worker, now: float) -> None:
        code = worker.process.poll()
        if code is not None:
            self._bury(worker, code, now)
            return
        reason = self._silence(worker, now)
        drain_s = 0.0 if reason else _DRAIN_S  # A loop that hangs finishes nothing.
        reason = reason or self._complaint(worker, now)
        if reason is not None:
            _log.warning("worker.replaced", extra={"pid": worker.process.pid, "reason": reason})
            self._board.pages[0].words[Word.N_REPLACED] += 1
            self._serving.remove(worker)
            self._leaving.append(worker)
            worker.page.words[Word.READY] = 0
            worker.process.terminate()
            worker.kill_at = now + drain_s
            self._hold_back(worker, now)

    def _bury(self, worker: _Worker, code: int, now: float) -> None:
        self._serving.remove(worker)
        worker.page.clear()
        if not self._was_up:
            raise Failed(
                f"A worker ended before it answered ({describe(code)})", hint="See what it wrote above"
            )
        _log.warning("worker.ended", extra={"pid": worker.process.pid, "reason": describe(code)})
        self._board.pages[0].words[Word.N_REPLACED] += 1
        self._hold_back(worker, now)

    def _hold_back(self, worker: _Worker, now: float) -> None:
        """Start the next at once when this one lived for long, and ever later when they die young."""
        steady = now - worker.started_at >= _STEADY_S
        self._pause_s = 0.0 if steady else min(max(2 * self._pause_s, _FIRST_PAUSE_S), _LONGEST_PAUSE_S)
        self._start_at = now + self._pause_s

    def _silence(self, worker: _Worker, now: float) -> str | None:
        beat_ns = int(worker.page.words[Word.BEAT_NS])
        if not beat_ns and now - worker.started_at > START_TIMEOUT_S:
            return f"no sign of life for {START_TIMEOUT_S:g} s"
        if beat_ns and time.monotonic_ns() - beat_ns > self._limits.hung_after_s * 1e9:
            return f"no sign of life for {self._limits.hung_after_s:g} s"
        return None

    def _complaint(self, worker: _Worker, now: float) -> str | None:
        oldest_ns = int(worker.page.words[Word.OLDEST_NS])
        if oldest_ns and time.monotonic_ns() - oldest_ns > self._limits.hung_after_s * 1e9:
            return f"a request takes longer than {self._limits.hung_after_s:g} s"
        if now - worker.weighed_at >= _WEIGH_EVERY_S:
            worker.memory_bytes, worker.weighed_at = _resident_bytes(worker.process.pid), now
        if worker.memory_bytes > self._limits.memory_bytes:
            return f"{worker.memory_bytes >> 20} MB of memory, of {self._limits.memory_bytes >> 20} MB"
        return None

    def _usher_out(self, worker: _Worker, now: float) -> None:
        if worker.process.poll() is None:
            if worker.kill_at is not None and now >= worker.kill_at:
                worker.process.kill()
                worker.kill_at = None
            return
        worker.page.clear()
        self._leaving.remove(worker)


def describe(code: int) -> str:
    """Say how a process ended.

    Examples
    --------
    >>> describe(1), describe(-9)
    ('exit code 1', 'killed by SIGKILL')
    """
    return f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"


def machine_memory_bytes() -> int:
    """Give the memory that this process and its children may use, a container's bound included."""
    total = int(psutil.virtual_memory().total)
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            total = min(total, int(Path(path).read_text()))
        except (OSError, ValueError):
            continue
    return total


def _resident_bytes(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0
