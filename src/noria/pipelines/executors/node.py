"""A worker of a cluster: runs attempts in processes of its own machine, one for each attempt at a time.

An attempt is run as `--workers` runs it: what stops it, what it writes and what is told of its end is the same.
"""

from __future__ import annotations

import atexit
import contextlib
import queue
import shutil
import tempfile
import threading
from collections import deque

import msgspec

from noria._version import __version__
from noria.core.errors import ErrorBody
from noria.pipelines.executors.attempt import Made
from noria.pipelines.executors.processes import ProcessHands
from noria.pipelines.executors.work import OWN_FOLDERS, Outcome, Setup, Work


class Errand(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt on its way to a cluster.

    Attributes
    ----------
    version
        Of Noria.
    session
        Made anew by each process that sends attempts.
    """

    version: str
    session: str
    setup: Setup
    work: Work


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt on its way back.

    Attributes
    ----------
    said
        What the step wrote: stream and text.
    """

    outcome: Outcome
    said: list[tuple[str, str]] = []


class _Room:
    """A process with a working folder of its own, empty but for the project's code."""

    def __init__(self, session: str, setup: Setup) -> None:
        self.session = session
        self.number: int | None = None
        self._folder = tempfile.mkdtemp(prefix=OWN_FOLDERS[1])
        self._said: list[tuple[str, str]] = []
        self._outcomes: queue.SimpleQueue[Outcome | None] = queue.SimpleQueue()
        self._hands = ProcessHands(1, said=self._hear, folder=self._folder)
        self._hands.begin(setup, self)

    def run(self, work: Work) -> Report | None:
        """Make an attempt; None when this room was closed meanwhile."""
        self._said = []
        self._hands.submit(work)
        outcome = self._outcomes.get()
        return None if outcome is None else Report(outcome=outcome, said=self._said)

    def begun(self, number: int) -> None:
        """Do nothing: the outcome says how long it took."""

    def ended(self, _number: int, outcome: Outcome) -> None:
        """Take in how the attempt ended."""
        self._outcomes.put(outcome)

    def close(self) -> None:
        """Stop what runs, and remove the folder."""
        self._hands.close()
        self._outcomes.put(None)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _hear(self, stream: str, text: str) -> None:
        self._said.append((stream, text))


class Node:
    """The rooms of this process: those in use, and the last ones, kept for the next attempt of the same run."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._busy: list[_Room] = []
        self._idle: list[_Room] = []
        self._over: deque[str] = deque(maxlen=1000)

    def run(self, session: str, setup: Setup, work: Work) -> Report | None:
        """Make an attempt; None when the session is over."""
        room = self._enter(session, setup)
        if room is None:
            return None
        room.number = work.number
        try:
            report = room.run(work)
        except BaseException:
            room.close()
            raise
        finally:
            with self._lock:
                self._busy.remove(room)
        with self._lock:
            if report is not None:
                self._idle.append(room)
        return report

    def running(self, session: str) -> list[int]:
        """List the calls of a session that are being executed."""
        with self._lock:
            return [room.number for room in self._busy if room.session == session and room.number is not None]

    def end(self, session: str) -> None:
        """Stop everything of a session, and take nothing of it any more."""
        with self._lock:
            self._over.append(session)
            rooms = [room for room in (*self._busy, *self._idle) if room.session == session]
            self._idle = [room for room in self._idle if room.session != session]
        for room in rooms:
            room.close()

    def close(self) -> None:
        """Stop everything."""
        for session in {room.session for room in (*self._busy, *self._idle)}:
            self.end(session)

    def _enter(self, session: str, setup: Setup) -> _Room | None:
        with self._lock:
            if session in self._over:
                return None
            # A run that ended without a word leaves rooms behind: they go when another one comes.
            others = [room for room in self._idle if room.session != session]
            own = [room for room in self._idle if room.session == session]
            room = own.pop() if own else None
            self._idle = own
        for other in others:
            other.close()
        room = room or _Room(session, setup)
        with self._lock:
            self._busy.append(room)
        return room


_node = Node()  # of this worker process; a cluster calls functions, not objects
atexit.register(_node.close)


def run_errand(frame: bytes) -> bytes:
    """Make an attempt here, and give its report; no bytes when the run was ended meanwhile."""
    with contextlib.suppress(msgspec.DecodeError):
        errand = msgspec.msgpack.decode(frame, type=Errand)
        if errand.version == __version__:
            report = _node.run(errand.session, errand.setup, errand.work)
            return b"" if report is None else msgspec.msgpack.encode(report)
    refused = ErrorBody(
        code="step_failed",
        message=f"The worker of the cluster has another Noria than the run: {__version__}",
        hint="Install the same version on all machines",
    )
    return msgspec.msgpack.encode(Report(outcome=Outcome(made=Made(), error=refused)))


def running_of(session: str) -> list[int]:
    """List the calls of a session that are being executed by this worker."""
    return _node.running(session)


def end_run(session: str) -> None:
    """Stop everything of a session on this worker."""
    _node.end(session)
