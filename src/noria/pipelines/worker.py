"""`noria worker`: takes jobs from a server, runs each in a process of its own, and reports.

A worker needs nothing but the server's address and a secret: it holds no credentials of the database or the object
store. Noria's own jobs run in a warm process that is kept; a job with code runs in a fresh one, out of the folder
where its snapshot was opened. A job's process knows the server's address and a token that opens only what the job may
do. When a worker dies, its jobs' processes die with it, and the jobs go back to the queue when their leases are over.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import signal
import socket
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from noria.core.clock import Clock, SystemClock
from noria.core.config import Settings
from noria.core.errors import ErrorBody, Invalid, NoriaError, Unavailable
from noria.core.key import read_key
from noria.core.remote import HttpTransport, remote_service
from noria.core.workspace import OverHttp, Workspace
from noria.pipelines.children import JobProcess
from noria.pipelines.job_child import Answer, Request
from noria.pipelines.job_entities import (
    MAX_LINES_AT_ONCE,
    Beat,
    ClaimedJob,
    JobStatus,
    LogLine,
    LogLines,
    Outcome,
    WorkerInfo,
)
from noria.pipelines.job_rows import LeaseLost
from noria.pipelines.jobs import Jobs
from noria.pipelines.jobs_entry import SNAPSHOT_FOLDER
from noria.pipelines.snapshots import open_snapshot

T = TypeVar("T")

POLL_S = 0.2
BEAT_S = 1.0
LOG_EVERY_S = 0.5
_LOOK_S = 0.1
_RECONNECT_S = 0.5
_MOST_PENDING_LINES = 20_000
_JOBS_PER_WARM_PROCESS = 100

log = logging.getLogger("noria.worker")


class Server:
    """The server that a worker works for, found again when it was restarted.

    Parameters
    ----------
    settings
        Name a server, or a folder whose server is waited for.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._transport: HttpTransport | None = None

    @property
    def url(self) -> str:
        """Address of the server.

        Raises
        ------
        Unavailable
            If no server runs on the workspace's folder now.
        """
        if self._settings.is_remote:
            return self._settings.workspace
        from noria.core.control.lock import read_server_info

        found = read_server_info(self._settings.folder)
        if found is None:
            raise Unavailable(
                f"No server runs on the workspace `{self._settings.folder}`", hint="Start it with `noria up`"
            )
        return found.url

    @property
    def jobs(self) -> Jobs:
        """The service of jobs."""
        return remote_service(Jobs, self._connected())

    def workspace_with(self, secret: str, project: str) -> Workspace:
        """Open the workspace as the holder of another secret."""
        settings = Settings(
            workspace=self.url, database_url="", objects_url="", project=project, token=secret
        )
        return Workspace(settings, OverHttp(HttpTransport(self.url, secret=secret)), self._clock)

    def close(self) -> None:
        """Let go of connections."""
        if self._transport is not None:
            self._transport.close()

    def _connected(self) -> HttpTransport:
        url = self.url
        if self._transport is None or self._transport.base_url != url:
            self.close()
            self._transport = HttpTransport(url, secret=self._secret())
        return self._transport

    def _secret(self) -> str | None:
        if self._settings.is_remote:
            return self._settings.token
        return self._settings.token or read_key(self._settings.folder)


class Worker:
    """Runs jobs until it is told to stop.

    Parameters
    ----------
    environ
        Environment that jobs' processes inherit a few variables of.
    projects
        Only jobs of these projects; None for all.
    """

    def __init__(
        self,
        server: Server,
        *,
        environ: Mapping[str, str],
        projects: list[str] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._server = server
        self._environ = environ
        self._clock = clock or SystemClock()
        self.name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._info = WorkerInfo(name=self.name, projects=projects)
        self._stopping = threading.Event()
        self._folder = Path(tempfile.mkdtemp(prefix="noria-worker-"))
        self._lines: deque[LogLine] = deque(maxlen=_MOST_PENDING_LINES)
        self._warm: JobProcess | None = None
        self._n_warm_jobs = 0
        self._reachable = True

    def stop(self) -> None:
        """Take no more jobs, and give the one in hand back."""
        self._stopping.set()

    def run(self) -> None:
        """Take and run jobs until `stop`."""
        log.info("worker.started", extra={"worker": self.name})
        try:
            self._warm_process()
            while not self._stopping.is_set():
                if not self._take_one():
                    self._stopping.wait(POLL_S if self._reachable else _RECONNECT_S)
        finally:
            self._close()

    def _take_one(self) -> bool:
        """Claim a job and run it; False when there was none."""
        try:
            claimed = self._server.jobs.claim(self._info).claimed
        except Unavailable as error:
            self._note_unreachable(error)
            return False
        self._reachable = True
        if claimed is None:
            return False
        self._run(claimed)
        return True

    def _note_unreachable(self, error: NoriaError) -> None:
        if self._reachable:
            log.warning("worker.waiting", extra={"because": error.message})
        self._reachable = False

    def _run(self, claimed: ClaimedJob) -> None:
        job = claimed.job
        log.info("job.began", extra={"job": job.id, "entry": job.entry, "attempt": job.attempt})
        self._lines.clear()
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        try:
            outcome = self._run_in(claimed, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        if outcome is None:
            log.warning("job.dropped", extra={"job": job.id})
            return
        with suppress(LeaseLost):
            self._persist(lambda: self._send_lines(claimed))
            self._persist(lambda: self._finish(claimed, outcome))
        log.info("job.ended", extra={"job": job.id, "status": str(outcome.status)})

    def _run_in(self, claimed: ClaimedJob, folder: Path) -> Outcome | None:
        try:
            request = self._prepare(claimed, folder)
        except NoriaError as error:
            return self._outcome(claimed, Answer(error=error.to_body(), retry=error.retryable))
        process = self._process_for(claimed, request.folder)
        try:
            process.send(request)
            outcome = _Watch(self, claimed, process).outcome()
        except OSError as error:
            lost = ErrorBody(code="process_lost", message=f"The process of the job is gone: {error}")
            outcome = self._outcome(claimed, Answer(error=lost, retry=True))
        finally:
            self._put_away(process)
        return outcome

    def _prepare(self, claimed: ClaimedJob, folder: Path) -> Request:
        job = claimed.job
        place = folder
        if job.snapshot is not None:
            with self._server.workspace_with(claimed.token, job.project) as workspace:
                place = open_snapshot(workspace, job.snapshot, folder / SNAPSHOT_FOLDER)
        return Request(
            entry=job.entry,
            args=job.args,
            folder=str(place),
            with_code=job.snapshot is not None,
            workspace=self._server.url,
            token=claimed.token,
            project=job.project,
            nonce=secrets.token_hex(16),
        )

    def _process_for(self, claimed: ClaimedJob, folder: str) -> JobProcess:
        if claimed.job.snapshot is None:
            return self._warm_process()
        return JobProcess(self._said, environ=self._environ, folder=folder, warm=False)

    def _warm_process(self) -> JobProcess:
        if self._warm is None or not self._warm.alive:
            self._warm = JobProcess(self._said, environ=self._environ, folder=str(self._folder), warm=True)
            self._n_warm_jobs = 0
        return self._warm

    def _put_away(self, process: JobProcess) -> None:
        if process is self._warm:
            self._n_warm_jobs += 1
            if process.alive and self._n_warm_jobs < _JOBS_PER_WARM_PROCESS:
                return
            self._warm = None
        process.end()

    def _said(self, stream: str, text: str) -> None:
        self._lines.append(LogLine(at=self._clock.now(), stream=stream, text=text))

    def _send_lines(self, claimed: ClaimedJob) -> None:
        job = claimed.job
        while self._lines:
            part = [self._lines.popleft() for _ in range(min(len(self._lines), MAX_LINES_AT_ONCE))]
            lines = LogLines(worker=self.name, attempt=job.attempt, lines=part)
            try:
                self._server.jobs.log(job.project, job.id, lines)
            except Unavailable:
                self._lines.extendleft(reversed(part))
                raise

    def _finish(self, claimed: ClaimedJob, outcome: Outcome) -> None:
        job = claimed.job
        try:
            self._server.jobs.finish(job.project, job.id, outcome)
        except Invalid as error:  # a result that the server does not take, such as one that is too large
            failed = self._outcome(claimed, Answer(error=error.to_body()))
            self._server.jobs.finish(job.project, job.id, failed)

    def _outcome(self, claimed: ClaimedJob, answer: Answer, *, cancelled: bool = False) -> Outcome:
        status = JobStatus.SUCCEEDED if answer.error is None else JobStatus.FAILED
        return Outcome(
            worker=self.name,
            attempt=claimed.job.attempt,
            status=JobStatus.CANCELLED if cancelled else status,
            result=answer.result,
            error=answer.error,
            retry=answer.retry,
        )

    def _persist(self, call: Callable[[], T]) -> T | None:
        """Call until the server answers; give up when this worker stops."""
        while True:
            try:
                return call()
            except Unavailable as error:
                self._note_unreachable(error)
                if self._stopping.wait(_RECONNECT_S):
                    return None

    def _close(self) -> None:
        if self._warm is not None:
            self._warm.end()
        self._server.close()
        shutil.rmtree(self._folder, ignore_errors=True)
        log.info("worker.stopped", extra={"worker": self.name})


class _Watch:
    """Looks after one job while its process runs it."""

    def __init__(self, worker: Worker, claimed: ClaimedJob, process: JobProcess) -> None:
        self._worker = worker
        self._claimed = claimed
        self._process = process
        self._clock = worker._clock
        self._began = self._clock.monotonic()
        self._beat_at = self._logged_at = self._began

    def outcome(self) -> Outcome | None:
        """Wait for the job's end; None if the job is not ours any more."""
        while True:
            answer = self._process.answer(_LOOK_S)
            if answer is not None:
                return self._worker._outcome(self._claimed, answer)
            if not self._process.alive:
                return self._died()
            if self._worker._stopping.is_set():
                return self._ended("worker_stopped", "The worker was stopped", retry=True)
            if self._clock.monotonic() - self._began > self._claimed.job.timeout_s:
                limit = f"The job took longer than its {self._claimed.job.timeout_s:g} s"
                return self._ended("timeout", limit, retry=False)
            try:
                if self._is_cancelled():
                    return self._ended("cancelled", "The job was cancelled", cancelled=True)
            except LeaseLost:
                self._process.end()
                return None

    def _is_cancelled(self) -> bool:
        """Send what is due: lines and signs of life; tell whether the job shall end."""
        now = self._clock.monotonic()
        try:
            if now - self._logged_at > LOG_EVERY_S:
                self._logged_at = now
                self._worker._send_lines(self._claimed)
            if now - self._beat_at > BEAT_S:
                self._beat_at = now
                return self._heartbeat()
        except Unavailable as error:
            self._worker._note_unreachable(error)
        return False

    def _heartbeat(self) -> bool:
        job = self._claimed.job
        beat = Beat(worker=self._worker.name, attempt=job.attempt)
        return self._worker._server.jobs.heartbeat(job.project, job.id, beat).cancel

    def _died(self) -> Outcome:
        code = self._process.exit_code or 0
        how = f"was ended by {_signal_name(-code)}" if code < 0 else f"ended with exit code {code}"
        hint = "It may have needed more memory than there is" if code == -signal.SIGKILL else None
        error = ErrorBody(code="process_lost", message=f"The process of the job {how}", hint=hint)
        return self._worker._outcome(self._claimed, Answer(error=error, retry=True))

    def _ended(self, code: str, message: str, *, retry: bool = False, cancelled: bool = False) -> Outcome:
        self._process.end()
        answer = Answer(error=ErrorBody(code=code, message=message), retry=retry)
        return self._worker._outcome(self._claimed, answer, cancelled=cancelled)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
