"""Run attempts in processes of this machine: each alone, ended when its time is over, with what it writes passed on."""

from __future__ import annotations

import contextlib
import math
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import IO, Any, Protocol

from noria.core.errors import ErrorBody
from noria.pipelines.entities import Resources
from noria.pipelines.executors.attempt import Made
from noria.pipelines.executors.work import (
    HEAD_BYTES,
    OWN_FOLDERS,
    Outcome,
    Setup,
    Work,
    body_bytes,
    from_body,
    to_frame,
)
from noria.pipelines.failures import StepFailed, StepKilled, StepTimedOut

_READ_BYTES = 1 << 20
_END_WAIT_S = 10.0

Said = Callable[[str, str], None]
"""Called with the stream (`out`, `err`) and the text that a step wrote."""


class Listener(Protocol):
    """Is told how an attempt goes, from another thread."""

    def begun(self, number: int) -> None:
        """Take in that an attempt began."""
        ...

    def ended(self, number: int, outcome: Outcome) -> None:
        """Take in how it ended."""
        ...


class Hands(Protocol):
    """Where attempts run."""

    def begin(self, setup: Setup, listener: Listener) -> None:
        """Get ready; attempts can come from then on."""
        ...

    def submit(self, work: Work) -> None:
        """Take an attempt, to run when there is room; does not wait."""
        ...

    def drop_waiting(self) -> list[int]:
        """Forget the attempts that have not begun, and give their numbers."""
        ...

    def close(self) -> None:
        """Stop what runs, and let go of everything."""
        ...


@dataclass(slots=True)
class _Child:
    """A process that runs attempts."""

    process: subprocess.Popen[bytes]
    request_fd: int
    answer_fd: int
    work: Work | None = None
    began: float | None = None
    is_late: bool = False
    received: bytearray = field(default_factory=bytearray)

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)


class ProcessHands:
    """Processes that stay between attempts; each is started by the first attempt that finds all others busy.

    So a run that finds all its results again starts none, and a line of steps starts one.

    Parameters
    ----------
    n_processes
        How many attempts run at once.
    said
        Is given what the steps write.
    environ, folder
        Of the processes; those of this one when left out.
    """

    def __init__(
        self,
        n_processes: int,
        *,
        said: Said | None = None,
        environ: Mapping[str, str] | None = None,
        folder: str | None = None,
    ) -> None:
        self._setup: bytes | None = None
        self._n_processes = n_processes
        self._said = said or pass_on
        self._scratch = tempfile.mkdtemp(prefix=OWN_FOLDERS[0])
        self._environ = {**(os.environ if environ is None else environ), "TMPDIR": self._scratch}
        self._folder = folder
        self._memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        self._waiting: deque[Work] = deque()
        self._children: list[_Child] = []
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe()
        self._selector.register(self._wake_read, selectors.EVENT_READ, self._woken)
        self._lock = threading.Lock()
        self._closing = False
        self._thread = threading.Thread(target=self._serve, name="noria-steps", daemon=True)

    def begin(self, setup: Setup, listener: Listener) -> None:
        """Take in where the processes are to work; attempts can come from then on.

        Parameters
        ----------
        listener
            Is told how attempts go, from a thread of this object.
        """
        self._setup = to_frame(setup)
        self._listener = listener
        self._thread.start()

    def submit(self, work: Work) -> None:
        """Take an attempt, to run when there is room."""
        with self._lock:
            self._waiting.append(work)
        self._wake()

    def drop_waiting(self) -> list[int]:
        """Forget the attempts that have not begun, and give their numbers."""
        with self._lock:
            dropped = [work.number for work in self._waiting]
            self._waiting.clear()
        return dropped

    def close(self) -> None:
        """Stop what runs, with everything that it started. A second call does nothing."""
        if self._closing:
            return
        self._closing = True
        if self._setup is not None:
            self._wake()
            self._thread.join()
        for child in self._children:
            child.kill()
        for child in self._children:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.process.wait(_END_WAIT_S)
            self._forget(child)
        for descriptor in (self._wake_read, self._wake_write):
            os.close(descriptor)
        self._selector.close()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _wake(self) -> None:
        os.write(self._wake_write, b"w")

    def _woken(self) -> None:
        os.read(self._wake_read, _READ_BYTES)

    def _serve(self) -> None:
        while not self._closing:
            for key, _ in self._selector.select(self._patience_s()):
                key.data()
            self._end_late_ones()
            self._hand_out()

    def _patience_s(self) -> float | None:
        ends = [end for child in self._children if (end := _deadline(child)) is not None]
        return max(0.0, min(ends) - time.monotonic()) if ends else None

    def _end_late_ones(self) -> None:
        now = time.monotonic()
        for child in self._children:
            end = _deadline(child)
            if end is not None and end <= now:
                child.is_late = True
                child.kill()

    def _hand_out(self) -> None:
        """Give the attempts that wait to the processes that are free, in their order, as far as they fit."""
        while True:
            with self._lock:
                if not self._waiting or not self._fits(self._waiting[0].resources):
                    return
                work = self._waiting.popleft()
            refused = self._refused(work)
            if refused is not None:
                self._listener.ended(work.number, Outcome(made=Made(), error=refused))
                continue
            idle = next((child for child in self._children if child.work is None), None)
            child = idle or self._start_child()
            child.work, child.began, child.is_late = work, None, False
            _write(child, to_frame(work))

    def _fits(self, wanted: Resources) -> bool:
        running = [child.work.resources for child in self._children if child.work is not None]
        if not running:
            return True
        n_slots = sum(self._slots(each) for each in running) + self._slots(wanted)
        n_bytes = sum(each.memory_bytes or 0 for each in (*running, wanted))
        return n_slots <= self._n_processes and n_bytes <= self._memory_bytes

    def _slots(self, resources: Resources) -> int:
        return min(self._n_processes, max(1, math.ceil(resources.cpus)))

    def _refused(self, work: Work) -> ErrorBody | None:
        wanted = work.resources.memory_bytes or 0
        if wanted <= self._memory_bytes:
            return None
        return StepFailed(
            f"The step `{work.step}` asks for {wanted} bytes of memory, and this machine has {self._memory_bytes}",
            hint="Run it on a cluster (`--on dask://…`), or ask for less in `resources`",
            details={"step": work.step},
        ).to_body()

    def _start_child(self) -> _Child:
        request_read, request_write = os.pipe()
        answer_read, answer_write = os.pipe()
        process = subprocess.Popen(
            [
                *(sys.executable, "-P", "-m", "noria.pipelines.executors.child"),
                *(str(request_read), str(answer_write)),
            ],
            cwd=self._folder,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=(request_read, answer_write),
            start_new_session=True,
        )
        os.close(request_read)
        os.close(answer_write)
        child = _Child(process, request_write, answer_read)
        self._selector.register(answer_read, selectors.EVENT_READ, lambda: self._answered(child))
        for name, stream in (("out", process.stdout), ("err", process.stderr)):
            if stream is not None:
                os.set_blocking(stream.fileno(), False)
                self._selector.register(stream, selectors.EVENT_READ, self._reader(name, stream))
        self._children.append(child)
        assert self._setup is not None  # noqa: S101 - attempts come after `begin`
        _write(child, self._setup)
        return child

    def _answered(self, child: _Child) -> None:
        data = os.read(child.answer_fd, _READ_BYTES)
        if not data:
            self._died(child)
            return
        child.received += data
        while len(child.received) >= HEAD_BYTES:
            end = HEAD_BYTES + body_bytes(bytes(child.received[:HEAD_BYTES]))
            if len(child.received) < end:
                return
            body = child.received[HEAD_BYTES:end]
            del child.received[:end]
            self._take(child, body)

    def _take(self, child: _Child, body: bytearray) -> None:
        if child.work is None:
            return
        if not body:
            child.began = time.monotonic()
            self._listener.begun(child.work.number)
            return
        self._drain(child)
        number, child.work = child.work.number, None
        self._listener.ended(number, from_body(body, Outcome))

    def _died(self, child: _Child) -> None:
        exit_code = child.process.wait()
        self._drain(child)
        self._forget(child)
        self._children.remove(child)
        if child.work is None:
            return
        work, child.work = child.work, None
        if child.is_late and work.timeout_s is not None:
            failure: StepFailed = StepTimedOut(work.step, work.timeout_s)
        else:
            failure = StepKilled(work.step, exit_code)
        ran_s = 0.0 if child.began is None else time.monotonic() - child.began
        self._listener.ended(work.number, Outcome(made=Made(), error=failure.to_body(), ran_s=ran_s))

    def _drain(self, child: _Child) -> None:
        """Pass on what was written before the answer."""
        for name, stream in (("out", child.process.stdout), ("err", child.process.stderr)):
            if stream is not None and not stream.closed:
                while self._read(name, stream):
                    pass

    def _reader(self, name: str, stream: IO[bytes]) -> Callable[[], None]:
        def read() -> None:
            if not stream.closed and self._read(name, stream) is None:
                self._selector.unregister(stream)
                stream.close()

        return read

    def _read(self, name: str, stream: IO[bytes]) -> bool | None:
        """Pass on what a stream has; None at its end."""
        try:
            data = os.read(stream.fileno(), _READ_BYTES)
        except BlockingIOError:
            return False
        if data:
            self._said(name, data.decode("utf-8", "replace"))
        return True if data else None

    def _forget(self, child: _Child) -> None:
        self._selector.unregister(child.answer_fd)
        for stream in (child.process.stdout, child.process.stderr):
            if stream is not None and not stream.closed:
                self._selector.unregister(stream)
                stream.close()
        for descriptor in (child.request_fd, child.answer_fd):
            os.close(descriptor)


def _deadline(child: _Child) -> float | None:
    """Give when an attempt is to be ended, by the machine's monotonic clock."""
    if child.work is None or child.work.timeout_s is None or child.began is None or child.is_late:
        return None
    return child.began + child.work.timeout_s


def _write(child: _Child, frame: bytes) -> None:
    view = memoryview(frame)
    # A process that just died is noticed by the end of its answers.
    with contextlib.suppress(BrokenPipeError):
        while view:
            view = view[os.write(child.request_fd, view) :]


def pass_on(stream: str, text: str) -> None:
    """Write what a step wrote to the same stream of this process."""
    target: Any = sys.stdout if stream == "out" else sys.stderr
    target.write(text)
    target.flush()
