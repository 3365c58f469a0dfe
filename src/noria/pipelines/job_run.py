"""One attempt of a job, from its claim to the word about its end; in a thread of its worker."""

from __future__ import annotations

import logging
import secrets
import shutil
import signal
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol, TypeVar

from noria.core.clock import Clock
from noria.core.errors import ErrorBody, Invalid, NoriaError, Unavailable
from noria.core.workspace import Workspace
from noria.pipelines.children import JobProcess, WarmProcesses
from noria.pipelines.job_child import Answer, Request
from noria.pipelines.job_entities import (
    MAX_LINES_AT_ONCE,
    Beat,
    ClaimedJob,
    JobStatus,
    LogLine,
    LogLines,
    Outcome,
)
from noria.pipelines.job_rows import LeaseLost
from noria.pipelines.jobs import Jobs
from noria.pipelines.jobs_entry import SNAPSHOT_FOLDER
from noria.pipelines.snapshots import open_snapshot

T = TypeVar("T")

BEAT_S = 1.0
LOG_EVERY_S = 0.5
RECONNECT_S = 0.5
_LOOK_S = 0.1
_MOST_PENDING_LINES = 20_000

log = logging.getLogger("noria.worker")


class JobServer(Protocol):
    """Where jobs come from."""

    @property
    def url(self) -> str:
        """Address of the server."""
        ...

    @property
    def jobs(self) -> Jobs:
        """The service of jobs."""
        ...

    def workspace_with(self, secret: str, project: str) -> Workspace:
        """Open the workspace as the holder of another secret."""
        ...


class Host(Protocol):
    """The worker that runs a job, as the job sees it."""

    @property
    def name(self) -> str:
        """Name of the worker."""
        ...

    @property
    def server(self) -> JobServer:
        """Whom it works for."""
        ...

    @property
    def environ(self) -> Mapping[str, str]:
        """Environment that processes inherit a few variables of."""
        ...

    @property
    def clock(self) -> Clock:
        """Time."""
        ...

    @property
    def folder(self) -> Path:
        """Where folders of jobs are made."""
        ...

    @property
    def warm(self) -> WarmProcesses:
        """Processes for Noria's own jobs."""
        ...

    @property
    def stopping(self) -> threading.Event:
        """Set when jobs shall be given back."""
        ...

    def note_unreachable(self, error: NoriaError) -> None:
        """Hear that the server did not answer."""
        ...


class JobRun:
    """Runs one claimed job."""

    def __init__(self, host: Host, claimed: ClaimedJob) -> None:
        self._host = host
        self._claimed = claimed
        self._lines: deque[LogLine] = deque(maxlen=_MOST_PENDING_LINES)
        self._began = self._beat_at = self._logged_at = host.clock.monotonic()

    def run(self) -> None:
        """Run it to its end, and tell the server; drop it where it is not ours any more."""
        job = self._claimed.job
        log.info("job.began", extra={"job": job.id, "entry": job.entry, "attempt": job.attempt})
        folder = Path(tempfile.mkdtemp(dir=self._host.folder))
        try:
            outcome = self._run_in(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        if outcome is None:
            log.warning("job.dropped", extra={"job": job.id})
            return
        with suppress(LeaseLost):
            self._persist(self._send_lines)
            self._persist(lambda: self._finish(outcome))
        log.info("job.ended", extra={"job": job.id, "status": str(outcome.status)})

    def _run_in(self, folder: Path) -> Outcome | None:
        try:
            request = self._prepare(folder)
        except NoriaError as error:
            return self._outcome(Answer(error=error.to_body(), retry=error.retryable))
        process = self._process(request.folder)
        try:
            process.send(request)
            outcome = self._watch(process)
        except OSError as error:
            lost = ErrorBody(code="process_lost", message=f"The process of the job is gone: {error}")
            outcome = self._outcome(Answer(error=lost, retry=True))
        finally:
            self._put_away(process)
        return outcome

    def _prepare(self, folder: Path) -> Request:
        job, server = self._claimed.job, self._host.server
        place = folder
        if job.snapshot is not None:
            with server.workspace_with(self._claimed.token, job.project) as workspace:
                place = open_snapshot(workspace, job.snapshot, folder / SNAPSHOT_FOLDER)
        return Request(
            entry=job.entry,
            args=job.args,
            folder=str(place),
            with_code=job.snapshot is not None,
            workspace=server.url,
            token=self._claimed.token,
            project=job.project,
            nonce=secrets.token_hex(16),
        )

    def _process(self, folder: str) -> JobProcess:
        if self._claimed.job.snapshot is None:
            return self._host.warm.take(self._said)
        return JobProcess(self._said, environ=self._host.environ, folder=folder, warm=False)

    def _put_away(self, process: JobProcess) -> None:
        if self._claimed.job.snapshot is None:
            self._host.warm.give_back(process)
        else:
            process.end()

    def _said(self, stream: str, text: str) -> None:
        self._lines.append(LogLine(at=self._host.clock.now(), stream=stream, text=text))

    def _watch(self, process: JobProcess) -> Outcome | None:
        """Wait for the job's end; None if the job is not ours any more."""
        timeout_s = self._claimed.job.timeout_s
        while True:
            answer = process.answer(_LOOK_S)
            if answer is not None:
                return self._outcome(answer)
            if not process.alive:
                return self._died(process)
            if self._host.stopping.is_set():
                return self._ended(process, "worker_stopped", "The worker was stopped", retry=True)
            if self._host.clock.monotonic() - self._began > timeout_s:
                return self._ended(process, "timeout", f"The job took longer than its {timeout_s:g} s")
            try:
                if self._is_cancelled():
                    return self._ended(process, "cancelled", "The job was cancelled", cancelled=True)
            except LeaseLost:
                process.end()
                return None

    def _is_cancelled(self) -> bool:
        """Send what is due: lines and signs of life; tell whether the job shall end."""
        now = self._host.clock.monotonic()
        try:
            if now - self._logged_at > LOG_EVERY_S:
                self._logged_at = now
                self._send_lines()
            if now - self._beat_at > BEAT_S:
                self._beat_at = now
                job = self._claimed.job
                beat = Beat(worker=self._host.name, attempt=job.attempt)
                return self._host.server.jobs.heartbeat(job.project, job.id, beat).cancel
        except Unavailable as error:
            self._host.note_unreachable(error)
        return False

    def _send_lines(self) -> None:
        job = self._claimed.job
        while self._lines:
            part = [self._lines.popleft() for _ in range(min(len(self._lines), MAX_LINES_AT_ONCE))]
            lines = LogLines(worker=self._host.name, attempt=job.attempt, lines=part)
            try:
                self._host.server.jobs.log(job.project, job.id, lines)
            except Unavailable:
                self._lines.extendleft(reversed(part))
                raise

    def _finish(self, outcome: Outcome) -> None:
        job, jobs = self._claimed.job, self._host.server.jobs
        try:
            jobs.finish(job.project, job.id, outcome)
        except Invalid as error:  # a result that the server does not take, such as one that is too large
            jobs.finish(job.project, job.id, self._outcome(Answer(error=error.to_body())))

    def _persist(self, call: Callable[[], T]) -> T | None:
        """Call until the server answers; give up when the worker stops."""
        while True:
            try:
                return call()
            except Unavailable as error:
                self._host.note_unreachable(error)
                if self._host.stopping.wait(RECONNECT_S):
                    return None

    def _died(self, process: JobProcess) -> Outcome:
        code = process.exit_code or 0
        how = f"was ended by {_signal_name(-code)}" if code < 0 else f"ended with exit code {code}"
        hint = "It may have needed more memory than there is" if code == -signal.SIGKILL else None
        error = ErrorBody(code="process_lost", message=f"The process of the job {how}", hint=hint)
        return self._outcome(Answer(error=error, retry=True))

    def _ended(
        self, process: JobProcess, code: str, message: str, *, retry: bool = False, cancelled: bool = False
    ) -> Outcome:
        process.end()
        answer = Answer(error=ErrorBody(code=code, message=message), retry=retry)
        return self._outcome(answer, cancelled=cancelled)

    def _outcome(self, answer: Answer, *, cancelled: bool = False) -> Outcome:
        status = JobStatus.SUCCEEDED if answer.error is None else JobStatus.FAILED
        return Outcome(
            worker=self._host.name,
            attempt=self._claimed.job.attempt,
            status=JobStatus.CANCELLED if cancelled else status,
            result=answer.result,
            error=answer.error,
            retry=answer.retry,
        )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
