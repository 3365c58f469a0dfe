"""Runs logged by real processes: ended by their exit, killed, and many at once."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from noria.core.config import load_settings
from noria.core.workspace import Workspace, open_workspace
from noria.tracking.client import ERROR_TAG, run
from noria.tracking.entities import RunStatus
from noria.tracking.service import Runs
from support.processes import Processes, RunningProcess
from support.waiting import wait_until


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "workspace"


@pytest.fixture
def workspace(folder: Path) -> Iterator[Workspace]:
    with open_workspace(load_settings(workspace=str(folder), environ={})) as opened:
        yield opened


def start(processes: Processes, folder: Path, script: str, *arguments: str) -> RunningProcess:
    path = processes.folder / f"script{len(processes.started)}.py"
    path.write_text(dedent(script))
    command = [sys.executable, str(path), *arguments]
    return processes.start(command, name=path.name, env={"NORIA_WORKSPACE": str(folder)})


def test_a_program_that_forgets_to_end_its_run_ends_it(
    processes: Processes, folder: Path, workspace: Workspace
) -> None:
    """What was logged last is there, and the run is finished, when the program just ends."""
    child = start(
        processes,
        folder,
        """
        import noria
        run = noria.run("forgotten")
        run.log({"a": 1})
        run.tag("t", "x")
        """,
    )
    assert child.wait() == 0, child.output()
    (kept,) = workspace.service(Runs).list("default").items

    assert (kept.status, kept.metrics, kept.tags) == (RunStatus.FINISHED, {"a": 1.0}, {"t": "x"})


def test_a_program_that_raises_fails_its_run(
    processes: Processes, folder: Path, workspace: Workspace
) -> None:
    """An error that ends the program outside any block fails the run."""
    child = start(processes, folder, 'import noria\nnoria.run().log({"a": 1})\nraise ValueError("no")')
    assert child.wait() == 1
    (kept,) = workspace.service(Runs).list("default").items

    assert (kept.status, kept.metrics) == (RunStatus.FAILED, {"a": 1.0})


def test_a_killed_program_loses_only_what_it_logged_last(
    processes: Processes, folder: Path, workspace: Workspace
) -> None:
    """After `kill -9` the run can go on in another process, after all that was on disk."""
    child = start(
        processes,
        folder,
        """
        import itertools, noria
        with noria.run("killed") as run:
            for step in itertools.count():
                run.log({"a": step})
                if step == 1000:
                    run.flush()
                    print("flushed", flush=True)
        """,
    )
    child.wait_for_output("flushed")
    child.kill()
    runs = workspace.service(Runs)
    (kept,) = runs.list("default").items
    assert kept.status is RunStatus.RUNNING
    assert kept.metrics["a"] >= 1000
    with run(resume="killed", workspace=workspace, capture=False) as again:
        again.log({"a": -1.0})
    history = runs.points("default", kept.id, "a").points

    assert again.id == kept.id
    assert runs.get("default", kept.id).status is RunStatus.FINISHED
    assert history.steps == list(range(len(history.steps)))
    assert history.values == [*map(float, range(len(history.steps) - 1)), -1.0]


def test_points_are_sent_while_the_program_computes(
    processes: Processes, folder: Path, workspace: Workspace
) -> None:
    """Others see a run's metrics while it goes on, without a flush."""
    child = start(
        processes,
        folder,
        """
        import threading, noria
        with noria.run("long") as run:
            run.log({"a": 7})
            print("logged", flush=True)
            threading.Event().wait()
        """,
    )
    child.wait_for_output("logged")
    runs = workspace.service(Runs)

    wait_until(lambda: runs.list("default").items[0].metrics == {"a": 7.0})
    assert child.running


@pytest.mark.slow
def test_eight_processes_log_to_one_folder_at_once(
    processes: Processes, folder: Path, workspace: Workspace
) -> None:
    """Nobody is told that the database is locked, and every point of every run is kept."""
    script = """
        import sys, noria
        for number in range(5):
            with noria.run(f"{sys.argv[1]}-{number}", experiment=f"e{number}") as run:
                run.params({"worker": sys.argv[1], "number": number})
                for step in range(100):
                    run.log({"a": step, f"of{sys.argv[1]}": step})
        """
    children = [start(processes, folder, script, str(worker)) for worker in range(8)]
    for child in children:
        assert child.wait(120) == 0, child.output()
    runs = workspace.service(Runs)
    kept = runs.list("default", limit=100).items

    assert len(kept) == 40
    assert all(r.status is RunStatus.FINISHED and ERROR_TAG not in r.tags for r in kept)
    assert all(r.metrics == {"a": 99.0, f"of{r.params['worker']}": 99.0} for r in kept)
    assert {r.experiment for r in kept} == {f"e{number}" for number in range(5)}
