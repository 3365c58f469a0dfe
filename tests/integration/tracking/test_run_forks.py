"""Processes made by fork log to the run of their parent, and nothing of anybody is lost or told twice."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from noria.core.config import load_settings
from noria.core.workspace import Workspace, open_workspace
from noria.tracking.entities import RunStatus
from noria.tracking.service import Runs
from noria.tracking.spool import segments_in, spool_folder
from noria.tracking.sync import sync
from support.processes import Processes, RunningProcess
from support.waiting import wait_until


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "workspace"


@pytest.fixture
def workspace(folder: Path) -> Iterator[Workspace]:
    settings = load_settings(workspace=str(folder), environ={})
    with open_workspace(settings) as opened:
        yield opened


def start(processes: Processes, folder: Path, script: str) -> RunningProcess:
    path = processes.folder / f"script{len(processes.started)}.py"
    path.write_text(dedent(script))
    return processes.start([sys.executable, path], name=path.name, env={"NORIA_WORKSPACE": str(folder)})


def test_a_fork_logs_its_own_points_once(processes: Processes, folder: Path, workspace: Workspace) -> None:
    """What waits in memory at the fork is written by the parent alone; the child's end does not end the run."""
    child = start(
        processes,
        folder,
        """
        import os, noria
        with noria.run("forks") as run:
            for step in range(100):
                run.log({"parent": step}, step=step)
            pid = os.fork()
            if pid == 0:
                for step in range(50):
                    run.log({"child": step}, step=step)
                run.param("from", "child")
                run.end("failed")
                os._exit(0)
            os.waitpid(pid, 0)
            for step in range(100, 200):
                run.log({"parent": step}, step=step)
        """,
    )
    assert child.wait() == 0, child.output()
    runs = workspace.service(Runs)
    (kept,) = runs.list("default").items

    assert (kept.status, kept.params) == (RunStatus.FINISHED, {"from": "child"})
    assert runs.points("default", kept.id, "parent").points.steps == list(range(200))
    assert runs.points("default", kept.id, "child").points.steps == list(range(50))
    assert segments_in(spool_folder(workspace.settings)) == []


def test_workers_of_multiprocessing_lose_nothing(
    processes: Processes, folder: Path, workspace: Workspace
) -> None:
    """They end without the interpreter's usual farewell; what they logged last is kept all the same."""
    child = start(
        processes,
        folder,
        """
        import multiprocessing, noria

        def work(number):
            noria.active_run().log({f"m{number}": 1.0}, step=number)
            return number

        if __name__ == "__main__":
            context = multiprocessing.get_context("fork")
            with noria.run("workers") as run:
                workers = [context.Process(target=work, args=(number,)) for number in range(4)]
                for worker in workers:
                    worker.start()
                for worker in workers:
                    worker.join()
                    assert worker.exitcode == 0
        """,
    )
    assert child.wait() == 0, child.output()
    runs = workspace.service(Runs)
    (kept,) = runs.list("default").items

    assert {key: value for key, value in kept.metrics.items() if key.startswith("m")} == dict.fromkeys(
        ["m0", "m1", "m2", "m3"], 1.0
    )
    assert segments_in(spool_folder(workspace.settings)) == []


def test_a_worker_that_is_killed_leaves_its_points_to_the_parent(
    processes: Processes, folder: Path, workspace: Workspace
) -> None:
    """The parent sends them when it ends."""
    child = start(
        processes,
        folder,
        """
        import os, signal, threading, noria
        with noria.run("parent") as run:
            reading, writing = os.pipe()
            pid = os.fork()
            if pid == 0:
                run.log({"child": 1.0}, step=7)
                threading.Event().wait(0.3)
                os.write(writing, b"x")
                threading.Event().wait()
            os.read(reading, 1)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        """,
    )
    assert child.wait() == 0, child.output()
    runs = workspace.service(Runs)
    (kept,) = runs.list("default").items

    assert (kept.status, kept.metrics["child"]) == (RunStatus.FINISHED, 1.0)
    assert segments_in(spool_folder(workspace.settings)) == []


def test_a_child_that_outlives_its_parent_goes_on(
    processes: Processes, folder: Path, workspace: Workspace
) -> None:
    """The parent dies without a word; the child's points arrive, and the run is ended as killed by a later sync."""
    child = start(
        processes,
        folder,
        """
        import os, signal, threading, noria
        run = noria.run("orphan")
        run.log({"parent": 1.0})
        run.flush()
        pid = os.fork()
        if pid == 0:
            run.log({"child": 1.0})
            threading.Event().wait(1.0)
            run.end()
            print("done", flush=True)
            os._exit(0)
        threading.Event().wait(0.3)
        os.kill(os.getpid(), signal.SIGKILL)
        """,
    )
    child.wait()
    wait_until(lambda: "done" in child.output())
    sync(workspace)
    (kept,) = workspace.service(Runs).list("default").items

    assert (kept.status, kept.metrics) == (RunStatus.KILLED, {"parent": 1.0, "child": 1.0})
