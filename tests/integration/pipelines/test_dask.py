"""A cluster of Dask: what a step asks for is counted, and packages that are installed there are run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pytest

from noria.core.workspace import Workspace, open_workspace
from noria.pipelines.executors.choice import ExecutorChoice
from noria.pipelines.failures import StepFailed
from noria.pipelines.runner import run_pipeline
from support.conformance import workspace_settings
from support.processes import Processes
from support.project import UserProject, user_project

FLOW = """
    import subprocess
    import time
    import noria

    def cards() -> str:  # a variable that is named here would have to be the same where the run began
        return subprocess.check_output(["printenv", "CUDA_VISIBLE_DEVICES"], text=True).strip()

    @noria.step(cache=False, resources=noria.Resources(gpus=1))
    def trained(n: int, note: str) -> str:
        with open(note, "a") as out:
            out.write(f"begin {n}\\n")
        time.sleep(0.3)
        with open(note, "a") as out:
            out.write(f"end {n}\\n")
        return cards()

    @noria.step(cache=False, resources=noria.Resources(gpus=2))
    def large() -> str:
        return cards()

    @noria.step
    def tripled(n: int) -> int:
        return 3 * n

    @noria.pipeline
    def plain(n: int) -> int:
        return tripled(n)

    @noria.pipeline
    def many(note: str) -> list[str]:
        return [trained(n, note) for n in range(4)]

    @noria.pipeline
    def too_large() -> str:
        return large()
"""


@pytest.fixture
def project(tmp_path: Path) -> Iterator[UserProject]:
    """Give a project whose steps ask for graphics cards."""
    with user_project(tmp_path / "project") as made:
        made.write("noria.toml", "")
        made.write("flow.py", dedent(FLOW))
        yield made


@pytest.fixture
def workspace(tmp_path: Path, project: UserProject) -> Iterator[Workspace]:
    """Give a fresh workspace of the project."""
    settings = replace(workspace_settings(tmp_path / "workspace"), project_root=project.root)
    with open_workspace(settings, send_left=False) as opened:
        yield opened


def cluster(processes: Processes, port: int, *cards: str, **environment: str) -> ExecutorChoice:
    """Start a scheduler and a worker of two threads for each; `cards` are what they declare."""
    dask, door = [sys.executable, "-m", "dask"], f"127.0.0.1:{port}"
    scheduler = processes.start([*dask, "scheduler", "--port", str(port), "--no-dashboard"], name="scheduler")
    scheduler.wait_for_output("Scheduler at")
    for number, declared in enumerate(cards):
        more = ["--resources", f"GPU={declared}"] if declared else []
        line = [*dask, "worker", door, "--nthreads", "2", "--no-dashboard", "--nworkers", "1", *more]
        place = {"CUDA_VISIBLE_DEVICES": f"of worker {number}", **environment}
        processes.start(line, name=f"worker-{number}", env=place).wait_for_output("Registered to")
    return ExecutorChoice(on=f"dask://{door}")


def test_cards_are_given_to_one_step_at_a_time_where_they_are(
    processes: Processes, free_port: int, workspace: Workspace, project: UserProject, tmp_path: Path
) -> None:
    """Of two workers of two threads one has a card: all steps that ask for it run there, one after the other."""
    note = tmp_path / "note"
    choice = cluster(processes, free_port, "", "1")
    found = run_pipeline(workspace, project.load("flow").many, {"note": str(note)}, executor=choice)
    marks = [line.split() for line in note.read_text().splitlines()]

    assert [output.value for output in found.outputs.values()] == [["of worker 1"] * 4]
    assert [what for what, _ in marks] == ["begin", "end"] * 4
    assert all(marks[at][1] == marks[at + 1][1] for at in range(0, 8, 2))


def test_cards_that_nobody_has_are_told(
    processes: Processes, free_port: int, workspace: Workspace, project: UserProject
) -> None:
    """The message says how a worker declares them."""
    choice = cluster(processes, free_port, "")
    with pytest.raises(StepFailed, match="asks for 2 graphics cards, and no worker of") as caught:
        run_pipeline(workspace, project.load("flow").too_large, {}, executor=choice)

    assert '--resources "GPU=2"' in (caught.value.hint or "")


def test_more_cards_than_any_worker_has_are_told(
    processes: Processes, free_port: int, workspace: Workspace, project: UserProject
) -> None:
    """Nothing waits for ever for a worker that there is not."""
    choice = cluster(processes, free_port, "1", "1")
    with pytest.raises(
        StepFailed, match=r"asks for 2 graphics cards, and no worker of .* declares more than 1"
    ):
        run_pipeline(workspace, project.load("flow").too_large, {}, executor=choice)


def test_a_pipeline_of_an_installed_package_runs_where_it_is_installed(
    processes: Processes, free_port: int, tmp_path: Path, project: UserProject
) -> None:
    """Its code does not travel: it is found there, or the step says that it is not."""
    choice = cluster(processes, free_port, "", PYTHONPATH=str(project.root))
    with open_workspace(workspace_settings(tmp_path / "workspace"), send_left=False) as elsewhere:
        found = run_pipeline(elsewhere, project.load("flow").plain, {"n": 5}, executor=choice)

    assert [output.value for output in found.outputs.values()] == [15]


def test_a_package_that_is_not_installed_there_is_told(
    processes: Processes, free_port: int, tmp_path: Path, project: UserProject
) -> None:
    """The step fails by name, and its process is none that ended without a word."""
    choice = cluster(processes, free_port, "")
    with (
        open_workspace(workspace_settings(tmp_path / "workspace"), send_left=False) as elsewhere,
        pytest.raises(StepFailed, match="No module named 'flow'"),
    ):
        run_pipeline(elsewhere, project.load("flow").plain, {"n": 5}, executor=choice)
