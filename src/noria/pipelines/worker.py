"""`noria worker`: takes jobs from a server, runs each in a process of its own, and reports.

A worker needs nothing but the server's address and a secret: it holds no credentials of the database or the object
store. Noria's own jobs run in warm processes that are kept; a job with code runs in a fresh one, out of the folder
where its snapshot was opened. A job's process knows the server's address and a token that opens only what the job may
do. When a worker dies, its jobs' processes die with it, and the jobs go back to the queue when their leases are over.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import socket
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path

from msgspec import structs

from noria.core.clock import Clock, SystemClock
from noria.core.config import Settings
from noria.core.errors import NoriaError, Unavailable
from noria.core.key import read_key
from noria.core.remote import HttpTransport, remote_service
from noria.core.workspace import OverHttp, Workspace
from noria.pipelines.children import WarmProcesses
from noria.pipelines.job_entities import ClaimedJob, WorkerInfo
from noria.pipelines.job_run import RECONNECT_S, JobRun
from noria.pipelines.jobs import Jobs

POLL_S = 0.2
BUSY_POLL_S = 0.5
"""How often a worker whose places are taken asks for routine work."""


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
        self._connecting = threading.Lock()

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
        with self._connecting:
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
    projects, queues
        Only jobs of these; None for all.
    capacity
        How many jobs it runs at once, each in a process of its own. Beside them there is one place for routine work,
        so that an endpoint is looked at while others train for hours.
    """

    def __init__(
        self,
        server: Server,
        *,
        environ: Mapping[str, str],
        projects: list[str] | None = None,
        queues: list[str] | None = None,
        capacity: int = 1,
        clock: Clock | None = None,
    ) -> None:
        self.server = server
        self.environ = environ
        self.clock = clock or SystemClock()
        self.name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self.stopping = threading.Event()
        self.folder = Path(tempfile.mkdtemp(prefix="noria-worker-"))
        self.warm = WarmProcesses(environ=environ, folder=str(self.folder))
        self._info = WorkerInfo(name=self.name, projects=projects, queues=queues)
        self._places = threading.Semaphore(capacity)
        self._routine_place = threading.Semaphore(1)
        self._ended = threading.Event()
        self._running: set[threading.Thread] = set()
        self._reachable = True
        self._pause_s = POLL_S

    def stop(self) -> None:
        """Take no more jobs, and give those in hand back."""
        self.stopping.set()
        self._ended.set()

    def run(self) -> None:
        """Take and run jobs until `stop`."""
        log.info("worker.started", extra={"worker": self.name})
        try:
            self.warm.prepare()
            while not self.stopping.is_set():
                self._ended.clear()
                if not self._take_one():
                    self._ended.wait(self._pause_s if self._reachable else RECONNECT_S)
        finally:
            self._close()

    def note_unreachable(self, error: NoriaError) -> None:
        """Say once that the server does not answer."""
        if self._reachable:
            log.warning("worker.waiting", extra={"because": error.message})
        self._reachable = False

    def _take_one(self) -> bool:
        """Claim a job and begin it in a thread of its own; False when there is no place or no job."""
        routine = not self._places.acquire(blocking=False)
        place = self._routine_place if routine else self._places
        self._pause_s = BUSY_POLL_S if routine else POLL_S
        if routine and not place.acquire(blocking=False):
            return False
        claimed = self._claim(routine=routine)
        if claimed is None:
            place.release()
            return False
        name = f"noria-job-{claimed.job.id}"
        thread = threading.Thread(target=self._run, args=(claimed, place), name=name)
        self._running.add(thread)
        thread.start()
        return True

    def _claim(self, *, routine: bool) -> ClaimedJob | None:
        try:
            claimed = self.server.jobs.claim(structs.replace(self._info, routine=routine)).claimed
        except Unavailable as error:
            self.note_unreachable(error)
            return None
        self._reachable = True
        return claimed

    def _run(self, claimed: ClaimedJob, place: threading.Semaphore) -> None:
        try:
            JobRun(self, claimed).run()
        except Exception:
            log.exception("job.lost", extra={"job": claimed.job.id})
        finally:
            self._running.discard(threading.current_thread())
            place.release()
            self._ended.set()

    def _close(self) -> None:
        self.stopping.set()
        for thread in list(self._running):
            thread.join()
        self.warm.end()
        self.server.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        log.info("worker.stopped", extra={"worker": self.name})
