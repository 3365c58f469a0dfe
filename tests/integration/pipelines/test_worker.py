"""Workers as real processes against a real server: what they run, what they hold, and how they die."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from noria.core.config import load_settings
from noria.core.workspace import OverHttp, Workspace, open_workspace
from noria.pipelines.entities import PipelineRun
from noria.pipelines.job_entities import Job, JobStatus, NewJob
from noria.pipelines.jobs_entry import pipeline_job
from noria.pipelines.service import Jobs, PipelineRuns
from noria.pipelines.snapshots import take_snapshot
from noria.tracking.service import Runs
from support.processes import Processes, RunningProcess
from support.waiting import wait_until

PROJECT = "default"

WORK = """
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import helper
import noria
from noria import pipeline, step


def add(workspace, a, b):
    print("adding", a)
    print("to", b, file=sys.stderr)
    return helper.total(a, b)


def look(workspace):
    files = sorted(name for name in os.listdir() if name != "__pycache__")
    return {"environment": dict(os.environ), "folder": os.getcwd(), "path": sys.path[0], "files": files}


def ask(workspace):
    from noria.core.errors import NoriaError
    from noria.pipelines.job_entities import NewJob
    from noria.pipelines.service import Jobs

    answers = {}
    for name, call in {
        "submit": lambda: workspace.service(Jobs).submit("default", NewJob(entry="noria.x:y")),
        "elsewhere": lambda: workspace.service(Jobs).list("energy"),
    }.items():
        try:
            call()
            answers[name] = "done"
        except NoriaError as error:
            answers[name] = error.code
    with noria.run("from a job") as run:
        run.log({"n": 1.0})
    answers["run"] = run.id
    return answers


def fail(workspace):
    raise ValueError("no such thing")


def linger(workspace, note):
    hidden = subprocess.Popen(["sleep", "600"])
    Path(note).write_text(f"{os.getpid()} {hidden.pid}")
    time.sleep(600)


def linger_once(workspace, note):
    place = Path(note)
    if place.exists():
        return "second attempt"
    linger(workspace, note)


def wait_for(workspace, note, go):
    Path(note).write_text(str(os.getpid()))
    while not Path(go).exists():
        time.sleep(0.02)
    return "went on"


def crash(workspace):
    os.kill(os.getpid(), signal.SIGKILL)


@step
def double(n: int) -> int:
    return 2 * n


@pipeline
def study(n: int = 1) -> dict[str, int]:
    return {"doubled": double(n)}
"""


@dataclass(frozen=True, slots=True)
class Site:
    """A workspace folder, and the ways to start processes on it."""

    folder: Path
    processes: Processes
    command: tuple[str, ...]

    def start_server(self) -> RunningProcess:
        """Start a server and wait until it answers."""
        server = self.processes.start(
            [*self.command, "server", "--port", "0", "--workspace", self.folder], name="server"
        )
        server.wait_for_output("Noria answers at")
        return server

    def start_worker(self, *options: str, env: Mapping[str, str] | None = None) -> RunningProcess:
        """Start a worker and wait until it is there."""
        worker = self.processes.start(
            [*self.command, "worker", "--workspace", self.folder, *options], name="worker", env=env
        )
        worker.wait_for_output("worker.started")
        return worker

    def open(self) -> Workspace:
        """Open the workspace as the folder's owner does while the server runs."""
        opened = open_workspace(load_settings(workspace=str(self.folder)))
        assert isinstance(opened.backend, OverHttp)
        return opened


@dataclass(frozen=True, slots=True)
class Yard:
    """A running server, and a project whose functions can be submitted."""

    site: Site
    workspace: Workspace
    code: str

    @property
    def jobs(self) -> Jobs:
        """The service of jobs."""
        return self.workspace.service(Jobs)

    def submit(
        self,
        name: str,
        *,
        max_attempts: int = 1,
        timeout_s: float = 120.0,
        queue: str = "default",
        **args: Any,
    ) -> Job:
        """Submit a function of the project."""
        new = NewJob(
            entry=f"work:{name}",
            args=args,
            snapshot=self.code,
            max_attempts=max_attempts,
            timeout_s=timeout_s,
            queue=queue,
        )
        return self.jobs.submit(PROJECT, new)

    def ended(self, job: Job) -> Job:
        """Wait for a job's end."""
        wait_until(
            lambda: self.jobs.get(PROJECT, job.id).status.ended,
            90,
            lambda: f"not ended: {self.jobs.get(PROJECT, job.id)}",
        )
        return self.jobs.get(PROJECT, job.id)

    def result_of(self, name: str, **args: Any) -> Any:
        """Run a function and give what it returned."""
        return self.ended(self.submit(name, **args)).result


@contextmanager
def opened_yard(site: Site, project: Path) -> Iterator[Yard]:
    """Start a server and take a snapshot of a project."""
    project.mkdir()
    (project / "work.py").write_text(WORK)
    (project / "helper.py").write_text("def total(*numbers):\n    return sum(numbers)\n")
    (project / "secret.env").write_text("PASSWORD=1")
    site.start_server()
    with site.open() as workspace:
        yield Yard(site, workspace, take_snapshot(workspace, project))


@pytest.fixture
def site(tmp_path: Path, processes: Processes, noria_command: tuple[str, ...]) -> Site:
    """Give a new workspace folder."""
    return Site(tmp_path / "workspace", processes, noria_command)


@pytest.fixture
def yard(site: Site, tmp_path: Path) -> Iterator[Yard]:
    """Give a server of the test's own, without a worker yet."""
    with opened_yard(site, tmp_path / "project") as made:
        yield made


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, noria_command: tuple[str, ...]) -> Iterator[Yard]:
    """Give a server with a worker that outlives what the tests do to their jobs."""
    folder = tmp_path_factory.mktemp("shared")
    (folder / "logs").mkdir()
    site = Site(folder / "workspace", Processes(folder / "logs"), noria_command)
    try:
        with opened_yard(site, folder / "project") as made:
            credentials = {"NORIA_OBJECTS": str(site.folder / "objects"), "AWS_SECRET_ACCESS_KEY": "secret"}
            site.start_worker("--capacity", "2", "--queue", "default", env=credentials)
            yield made
    finally:
        site.processes.end_all()


def pids_in(note: Path) -> list[int]:
    """Wait for the note that a job writes when it is in the middle of its work."""
    wait_until(lambda: note.exists() and note.read_text(), 60, "the job never began")
    return [int(pid) for pid in note.read_text().split()]


def is_alive(pid: int) -> bool:
    """Tell whether a process runs."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def end_lease(site: Site, job: Job) -> None:
    """Let the time of a job's lease be over, without waiting for it."""
    with sqlite3.connect(site.folder / "noria.db", timeout=30) as connection:
        connection.execute("update jobs set lease_until = 1 where id = ?", [job.id])
    connection.close()


def test_a_job_runs_users_code_and_tells_what_it_wrote(shared: Yard) -> None:
    """A function from a snapshot runs with its project's modules; result, output and errors come back."""
    done = shared.ended(shared.submit("add", a=2, b=3))
    failed = shared.ended(shared.submit("fail", max_attempts=3))
    lines = [(line.stream, line.text) for line in shared.jobs.logs(PROJECT, done.id).items]

    assert (done.status, done.result, done.attempt) == (JobStatus.SUCCEEDED, 5, 1)
    assert sorted(lines) == [("err", "to 3"), ("out", "adding 2")]
    assert (failed.status, failed.attempt) == (JobStatus.FAILED, 1)
    assert failed.error is not None
    assert failed.error.message == "ValueError: no such thing"
    assert 'raise ValueError("no such thing")' in failed.error.details["traceback"]


def test_a_jobs_process_holds_nothing_but_its_own_token(shared: Yard) -> None:
    """It sees neither the worker's credentials nor the rest of the project's folder, and may only what jobs may."""
    seen, asked = shared.result_of("look"), shared.result_of("ask")
    own = {name for name in seen["environment"] if name.startswith(("NORIA", "AWS"))}

    assert own == {"NORIA_WORKSPACE", "NORIA_TOKEN", "NORIA_PROJECT"}
    assert seen["folder"] == seen["path"]
    assert seen["files"] == ["helper.py", "work.py"]
    assert asked["submit"] == "forbidden"
    assert asked["elsewhere"] in ("forbidden", "not_found")
    assert shared.workspace.service(Runs).get(PROJECT, asked["run"]).metrics == {"n": 1.0}


def test_a_worker_runs_as_many_jobs_at_once_as_it_may(shared: Yard, tmp_path: Path) -> None:
    """Two jobs that wait for one another both end, and a job of a queue that it does not serve stays in it."""
    left, right = str(tmp_path / "left"), str(tmp_path / "right")
    elsewhere = shared.submit("add", a=1, b=1, queue="gpu")
    both = [shared.submit("wait_for", note=left, go=right), shared.submit("wait_for", note=right, go=left)]

    assert [shared.ended(job).result for job in both] == ["went on"] * 2
    assert shared.jobs.get(PROJECT, elsewhere.id).status is JobStatus.QUEUED
    shared.jobs.cancel(PROJECT, elsewhere.id)


def test_routine_work_does_not_wait_for_long_jobs(shared: Yard, tmp_path: Path) -> None:
    """While every place is taken, what the house gives itself is done all the same."""
    notes = [tmp_path / "one", tmp_path / "two"]
    long = [shared.submit("linger", note=str(note)) for note in notes]
    for note in notes:
        pids_in(note)
    waiting = shared.submit("add", a=1, b=1)
    new = NewJob(entry="noria.pipelines.jobs_entry:run_pipeline_job", args={"target": "a:b"}, routine=True)
    routine = shared.ended(shared.jobs.submit(PROJECT, new))
    still = shared.jobs.get(PROJECT, waiting.id).status
    for job in long:
        shared.jobs.cancel(PROJECT, job.id)

    assert routine.status is JobStatus.FAILED  # it got as far as to be told that something is missing
    assert still is JobStatus.QUEUED
    assert shared.ended(waiting).result == 2


def test_a_pipeline_runs_as_a_job(shared: Yard) -> None:
    """A pipeline that runs in a worker is recorded with the snapshot that it ran from, and reused by the next one."""

    def run_once() -> tuple[Any, PipelineRun]:
        job = shared.jobs.submit(PROJECT, pipeline_job("work:study", {"n": 21}, snapshot=shared.code))
        result: Any = shared.ended(job).result
        return result, shared.workspace.service(PipelineRuns).get(PROJECT, result["run_id"])

    (first, first_run), (_, second_run) = run_once(), run_once()

    assert first["outputs"]["doubled"]["value"] == 42
    assert (first_run.pipeline, first_run.snapshot) == ("work:study", shared.code)
    assert (first_run.n_steps, first_run.n_reused) == (1, 0)
    assert second_run.n_reused == 1


def test_norias_own_jobs_share_a_warm_process(shared: Yard) -> None:
    """Jobs without code run in one process that is kept; foreign code without a snapshot is refused there."""
    worker = psutil.Process(shared.site.processes.started[-1].pid)
    new = pipeline_job("work:study", {}, snapshot=None)
    first = shared.ended(shared.jobs.submit(PROJECT, new))
    children = worker.children()
    second = shared.ended(shared.jobs.submit(PROJECT, new))

    assert [job.error.code for job in (first, second) if job.error is not None] == ["forbidden"] * 2
    assert len(children) == 1
    assert worker.children() == children


def test_a_cancelled_job_is_ended_with_all_that_it_started(shared: Yard, tmp_path: Path) -> None:
    """Cancelling kills the job's process and its children; the worker goes on with the next job."""
    job = shared.submit("linger", note=str(tmp_path / "note"))
    pids = pids_in(tmp_path / "note")
    shared.jobs.cancel(PROJECT, job.id)
    cancelled = shared.ended(job)

    assert cancelled.status is JobStatus.CANCELLED
    wait_until(lambda: not any(map(is_alive, pids)), 10, "a process lives on")
    assert shared.result_of("add", a=1, b=1) == 2


def test_a_job_over_its_time_is_ended(shared: Yard, tmp_path: Path) -> None:
    """After its limit a job fails, says so, and is not tried again; nothing of it lives on."""
    note = tmp_path / "note"
    job = shared.ended(shared.submit("linger", note=str(note), timeout_s=8.0, max_attempts=3))

    assert (job.status, job.attempt) == (JobStatus.FAILED, 1)
    assert job.error is not None
    assert job.error.code == "timeout"
    wait_until(lambda: not any(map(is_alive, pids_in(note))), 10, "a process lives on")


def test_jobs_are_followed_from_the_command_line(shared: Yard, tmp_path: Path) -> None:
    """`noria jobs` lists and shows jobs, prints what they write, and cancels them."""
    note = tmp_path / "note"
    done, running = shared.ended(shared.submit("add", a=2, b=3)), shared.submit("linger", note=str(note))
    pids_in(note)

    def noria(*arguments: str) -> str:
        command = [*shared.site.command, "jobs", *arguments, "--workspace", str(shared.site.folder)]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout

    listed = json.loads(noria("list", "--status", "running", "--json"))
    shown = json.loads(noria("show", done.id, "--json"))
    cancelled = json.loads(noria("cancel", running.id, "--json"))

    assert [item["id"] for item in listed["items"]] == [running.id]
    assert (shown["status"], shown["result"]) == ("succeeded", 5)
    assert set(noria("logs", done.id, "--follow").splitlines()) == {"adding 2", "to 3"}
    assert cancelled["cancel_requested"]
    assert shared.ended(running).status is JobStatus.CANCELLED
    assert "cancelled" in noria("show", running.id)


def test_a_process_that_is_killed_is_tried_again(shared: Yard) -> None:
    """A job whose process the system kills is tried as often as it may be, and then says which signal it was."""
    job = shared.ended(shared.submit("crash", max_attempts=2))

    assert (job.status, job.attempt) == (JobStatus.FAILED, 2)
    assert job.error is not None
    assert "SIGKILL" in job.error.message
    assert "memory" in (job.error.hint or "")


def test_a_killed_worker_takes_its_job_along_and_another_does_it(yard: Yard, tmp_path: Path) -> None:
    """After `kill -9` of the worker its job's processes end at once, and the job runs again elsewhere."""
    worker = yard.site.start_worker()
    job = yard.submit("linger_once", note=str(tmp_path / "note"), max_attempts=2)
    pids = pids_in(tmp_path / "note")
    worker.kill()
    wait_until(lambda: not any(map(is_alive, pids)), 10, "the job outlived its worker")
    before = yard.jobs.get(PROJECT, job.id)
    end_lease(yard.site, job)
    yard.site.start_worker()
    done = yard.ended(job)

    assert before.status is JobStatus.RUNNING
    assert (done.status, done.attempt, done.result) == (JobStatus.SUCCEEDED, 2, "second attempt")


def test_a_stopped_worker_gives_its_job_back_at_once(yard: Yard, tmp_path: Path) -> None:
    """A worker that is asked to end gives back what it runs, without waiting for a lease."""
    worker = yard.site.start_worker()
    job = yard.submit("linger_once", note=str(tmp_path / "note"), max_attempts=2)
    pids_in(tmp_path / "note")
    code = worker.stop()
    back = yard.jobs.get(PROJECT, job.id)

    assert code == 0
    assert (back.status, back.attempt) == (JobStatus.QUEUED, 1)
    assert back.error is not None
    assert back.error.code == "worker_stopped"


def test_a_worker_outlives_its_server(yard: Yard, tmp_path: Path) -> None:
    """A job that runs while the server is killed and started again is reported to the new one."""
    note, go = tmp_path / "note", tmp_path / "go"
    (server,) = yard.site.processes.started
    yard.site.start_worker()
    job = yard.submit("wait_for", note=str(note), go=str(go))
    pids_in(note)
    server.kill()
    yard.site.start_server()
    go.touch()
    with yard.site.open() as workspace:
        done = Yard(yard.site, workspace, yard.code).ended(job)

    assert (done.status, done.result, done.attempt) == (JobStatus.SUCCEEDED, "went on", 1)


def test_a_worker_ends_with_its_parent(site: Site) -> None:
    """A worker that was given its parent's pipe ends when the parent is gone, also while it waits for a server."""
    # `sleep` holds the only writing end of the worker's standard input: when it ends, the worker's parent is gone.
    line = f"sleep 600 | {' '.join(site.command)} worker --workspace {site.folder} --parent-fd 0"
    shell = site.processes.start(["sh", "-c", line], name="shell")
    shell.wait_for_output("worker.started")
    sleeper = next(child for child in psutil.Process(shell.pid).children() if child.name() == "sleep")
    sleeper.kill()

    assert shell.wait(30) == 0
    assert "worker.stopped" in shell.output()
