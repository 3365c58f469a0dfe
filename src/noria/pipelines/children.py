"""A worker's side of the processes in which jobs run: start them, hand them a job, read what they write, end them."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import IO

import msgspec

from noria.pipelines.job_child import Answer, Request

KEPT_VARIABLES = (
    *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH"),
    *("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"),
)
"""What a job's process inherits of the worker's environment: no credential of the worker or of anybody else."""

_TERM_GRACE_S = 2.0
_DRAIN_S = 5.0
_JOBS_PER_PROCESS = 1_000
"""To start another costs seconds of CPU, and an endpoint with traffic is looked at every two seconds."""

Said = Callable[[str, str], None]
"""Called with the stream (`out`, `err`) and a line."""


class JobProcess:
    """A process that runs jobs, one at a time.

    Parameters
    ----------
    said
        Is given each line that the process writes, from threads of its own.
    warm
        Whether it loads Noria's own libraries at once, to be kept for several jobs.
    """

    def __init__(self, said: Said, *, environ: Mapping[str, str], folder: str, warm: bool) -> None:
        self._said = said
        self._nonce = os.urandom(16).hex()
        self._drained = {"out": threading.Event(), "err": threading.Event()}
        request_read, self._request_write = os.pipe()
        self._answer_read, answer_write = os.pipe()
        self._received = b""
        command = [sys.executable, "-m", "noria.pipelines.job_child", str(request_read), str(answer_write)]
        self._process = subprocess.Popen(
            [*command, "--warm"] if warm else command,
            cwd=folder,
            env={**_narrow(environ), "PYTHONUNBUFFERED": "1", "PYTHONSAFEPATH": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=(request_read, answer_write),
            start_new_session=True,
        )
        os.close(request_read)
        os.close(answer_write)
        for stream, source in (("out", self._process.stdout), ("err", self._process.stderr)):
            threading.Thread(target=self._read, args=(stream, source), daemon=True).start()

    @property
    def alive(self) -> bool:
        """Whether it can be handed a job."""
        return self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """Exit code, negative for a signal; None while it runs."""
        return self._process.poll()

    def tell(self, said: Said) -> None:
        """Give the lines to somebody else from now on."""
        self._said = said

    def send(self, request: Request) -> None:
        """Hand over a job."""
        self._nonce = request.nonce
        for drained in self._drained.values():
            drained.clear()
        data = msgspec.json.encode(request) + b"\n"
        while data:
            data = data[os.write(self._request_write, data) :]

    def answer(self, timeout_s: float) -> Answer | None:
        """Wait for the answer to the job in hand; None if it did not come in time, or the process died."""
        deadline = time.monotonic() + timeout_s
        while b"\n" not in self._received:
            left_s = deadline - time.monotonic()
            ready, _, _ = select.select([self._answer_read], [], [], max(0.0, left_s))
            chunk = os.read(self._answer_read, 1 << 16) if ready else b""
            if not chunk:
                if ready:
                    time.sleep(min(0.01, max(0.0, left_s)))  # the pipe's end: the process is about to be gone
                return None
            self._received += chunk
        line, _, self._received = self._received.partition(b"\n")
        self._drain()
        return msgspec.json.decode(line, type=Answer)

    def end(self) -> None:
        """End it with everything that it started: with a word first, then without."""
        if self.alive:
            self._signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_TERM_GRACE_S)
        self._signal(signal.SIGKILL)
        self._process.wait()
        self.close()

    def close(self) -> None:
        """Let go of its pipes, which ends it too."""
        for name in ("_request_write", "_answer_read"):
            descriptor = getattr(self, name)
            if descriptor >= 0:
                os.close(descriptor)
                setattr(self, name, -1)

    def _signal(self, number: int) -> None:
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            return

    def _drain(self) -> None:
        """Wait until everything was read that the job wrote before it ended."""
        deadline = time.monotonic() + _DRAIN_S
        for drained in self._drained.values():
            drained.wait(max(0.0, deadline - time.monotonic()))

    def _read(self, stream: str, source: IO[bytes]) -> None:
        with source:
            for line in source:
                text = line.decode("utf-8", "replace").rstrip("\r\n")
                if text == self._nonce:
                    self._drained[stream].set()
                elif text:
                    self._said(stream, text)
        self._drained[stream].set()


class WarmProcesses:
    """Processes for Noria's own jobs, which have loaded its libraries and are kept from job to job. Thread-safe.

    Parameters
    ----------
    folder
        Where they work.
    """

    def __init__(self, *, environ: Mapping[str, str], folder: str) -> None:
        self._environ = environ
        self._folder = folder
        self._idle: list[JobProcess] = []
        self._n_jobs: dict[JobProcess, int] = {}
        self._lock = threading.Lock()

    def prepare(self) -> None:
        """Have one ready before the first job comes."""
        self.give_back(self._start(lambda _stream, _text: None))

    def take(self, said: Said) -> JobProcess:
        """Give one that waits, or a new one, whose lines `said` is given from now on."""
        with self._lock:
            while self._idle:
                found = self._idle.pop()
                if found.alive:
                    found.tell(said)
                    return found
                self._n_jobs.pop(found, None)
                found.end()
        return self._start(said)

    def give_back(self, process: JobProcess) -> None:
        """Keep one for the next job, unless it is gone or had many."""
        with self._lock:
            n_jobs = self._n_jobs[process] = self._n_jobs.get(process, -1) + 1
            if process.alive and n_jobs < _JOBS_PER_PROCESS:
                self._idle.append(process)
                return
            del self._n_jobs[process]
        process.end()

    def end(self) -> None:
        """End those that wait."""
        with self._lock:
            for process in self._idle:
                process.end()
            self._idle.clear()

    def _start(self, said: Said) -> JobProcess:
        return JobProcess(said, environ=self._environ, folder=self._folder, warm=True)


def _narrow(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: environ[name] for name in KEPT_VARIABLES if name in environ}
