"""Schedules of a real server that is killed: each interval has one run and one job, and people are told all of it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from noria.core.config import load_settings
from noria.core.control.lock import read_server_info
from noria.core.errors import ErrorBody
from noria.core.workspace import Workspace, open_workspace
from noria.pipelines.job_entities import JobStatus, Outcome, WorkerInfo
from noria.pipelines.jobs import Jobs
from noria.pipelines.schedules.entities import NewSchedules, RunState, ScheduleRun, ScheduleSection
from noria.pipelines.schedules.service import Schedules
from noria.pipelines.schedules.signing import signed_headers
from support.postbox import Postbox, postbox
from support.processes import Processes, RunningProcess
from support.waiting import wait_until

PROJECT = "default"
SECOND = timedelta(seconds=1)
TOML = """
[workspace]
url = ".noria"

[outbound]
allow = ["127.0.0.1"]

[mail]
host = "127.0.0.1"
port = {port}
security = "none"

[[schedules]]
name = "pulse"
run = "noria.x:y"
every_s = 1
catchup = 1000
overlap = "allow"
notify = ["mailto:ana@example.org"]

[[schedules]]
name = "called"
run = "noria.x:y"
on = {{ webhook = true }}
"""


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Postbox]:
    """Give the box of a mail server that the project's settings name."""
    with postbox() as (box, port):
        (tmp_path / "noria.toml").write_text(TOML.format(port=port))
        yield box


@pytest.fixture
def start(
    processes: Processes, noria_command: tuple[str, ...], tmp_path: Path
) -> Callable[[], RunningProcess]:
    """Give what starts the server of the project and waits until it answers."""

    def begin() -> RunningProcess:
        child = processes.start([*noria_command, "server", "--port", "0"], name="server", cwd=tmp_path)
        child.wait_for_output("Noria answers at ")
        return child

    return begin


def opened(folder: Path) -> Workspace:
    return open_workspace(load_settings(environ={}, folder=folder))


def runs(workspace: Workspace, name: str = "pulse") -> list[ScheduleRun]:
    """Give the runs of a schedule, oldest first."""
    return workspace.service(Schedules).history(PROJECT, name, limit=1000).items[::-1]


def work(workspace: Workspace, *, fails: bool = False) -> int:
    """End every job that is there, as a worker does; give how many there were."""
    jobs, n_jobs = workspace.service(Jobs), 0
    while (claimed := jobs.claim(WorkerInfo(name="w")).claimed) is not None:
        n_jobs += 1
        error = ErrorBody(code="failed", message="no rows") if fails else None
        status = JobStatus.FAILED if fails else JobStatus.SUCCEEDED
        outcome = Outcome(worker="w", attempt=claimed.job.attempt, status=status, error=error)
        jobs.finish(PROJECT, claimed.job.id, outcome)
    return n_jobs


@pytest.mark.parametrize("n_turns", [1, pytest.param(15, marks=pytest.mark.soak)])
def test_a_server_that_is_killed_runs_each_interval_once(
    box: Postbox, start: Callable[[], RunningProcess], tmp_path: Path, n_turns: int
) -> None:
    """Killed at any moment and started again, it leaves no interval out and begins none twice."""
    chance = random.Random(20260301)
    server = start()
    with opened(tmp_path) as workspace:
        specs = workspace.settings.entries("schedules", ScheduleSection)
        workspace.service(Schedules).apply(PROJECT, NewSchedules(schedules=specs))
        wait_until(lambda: work(workspace, fails=True), message="nothing ran")
    wait_until(lambda: box.mails, message="nobody was told of the failure")
    for turn in range(n_turns):
        with opened(tmp_path) as workspace:
            so_far = len(runs(workspace))
            goal = so_far + chance.randint(1, 3)
            if turn % 2:
                work(workspace)
            wait_until(lambda: len(runs(workspace)) >= goal, message="no more runs")  # noqa: B023
        server.kill()
        server = start()
    with opened(tmp_path) as workspace:
        now = datetime.now(UTC) - SECOND

        def is_settled() -> bool:
            work(workspace)
            found = [
                run for run in runs(workspace) if run.interval_start and run.interval_start < now - SECOND
            ]
            return all(run.state in (RunState.SUCCEEDED, RunState.FAILED) for run in found) and any(
                run.interval_end and run.interval_end >= now for run in runs(workspace)
            )

        wait_until(is_settled, message=lambda: f"not settled: {runs(workspace)[-20:]}")
        wait_until(lambda: len(box.mails) == 2, message="nobody was told of the recovery")
        found = runs(workspace)
        keys = [job.key for job in workspace.service(Jobs).list(PROJECT, limit=1000).items]
        _call_twice(workspace, tmp_path)

    starts = [run.interval_start for run in found]
    first = starts[0]
    assert first is not None
    assert starts == [first + n * SECOND for n in range(len(starts))]
    assert {run.attempt for run in found} == {1}
    assert len(keys) == len(set(keys))
    assert {f"schedule:{run.id}:1" for run in found if run.job_id} <= set(keys)
    assert "failed: no rows" in box.mails[0]["Subject"]
    assert "succeeds again" in box.mails[1]["Subject"]


def _call_twice(workspace: Workspace, folder: Path) -> None:
    """Make a signed call over HTTP, once more, and one that is not signed."""
    info = read_server_info(folder / ".noria")
    assert info is not None
    hook = workspace.service(Schedules).hook(PROJECT, "called")
    headers = signed_headers(hook.secret, id_="build-7", now=datetime.now(UTC), body=b"{}")
    answers = [httpx.post(f"{info.url}{hook.path}", content=b"{}", headers=headers) for _ in range(2)]
    unsigned = httpx.post(
        f"{info.url}{hook.path}", content=b"{}", headers={"content-type": "application/json"}
    )
    unknown = httpx.post(f"{info.url}/hooks/default/nope", content=b"{}", headers=headers)

    assert [answer.status_code for answer in answers] == [202, 202]
    assert [unsigned.status_code, unknown.status_code] == [401, 401]
    assert unsigned.json() == unknown.json()
    assert len(runs(workspace, "called")) == 1
