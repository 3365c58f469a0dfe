"""What dead processes and unreachable servers left in the spool is sent, once, and everything else is told."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

import noria
from noria.core.config import Settings, load_settings
from noria.core.errors import Unavailable
from noria.core.ids import new_id
from noria.core.workspace import Workspace, open_workspace
from noria.tracking.active import RunNotSent
from noria.tracking.client import RunOffline
from noria.tracking.entities import LogBatch, RunStatus
from noria.tracking.service import Runs
from noria.tracking.spool import segments_in, spool_folder
from noria.tracking.sync import sync
from support.flaky import FlakyBackend, flaky
from support.processes import Processes, RunningProcess
from support.waiting import wait_until

Command = Callable[..., tuple[int, Any]]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    config = tmp_path / "noria.toml"
    config.write_text("[tracking]\npatience_s = 0.3\n")
    return load_settings(workspace=str(tmp_path / "workspace"), folder=tmp_path, environ={})


@pytest.fixture
def workspace(settings: Settings) -> Iterator[Workspace]:
    with open_workspace(settings) as opened:
        yield opened


@pytest.fixture
def runs(workspace: Workspace) -> Runs:
    return workspace.service(Runs)


@pytest.fixture
def command(settings: Settings, capfd: pytest.CaptureFixture[str]) -> Command:
    def call(*options: str) -> tuple[int, Any]:
        from noria.cli.main import main

        code = main(["runs", "sync", "--json", "--workspace", settings.workspace, *options])
        return code, json.loads(capfd.readouterr().out)

    return call


def start(processes: Processes, settings: Settings, script: str) -> RunningProcess:
    path = processes.folder / f"script{len(processes.started)}.py"
    path.write_text(dedent(script))
    return processes.start(
        [sys.executable, path], name=path.name, env={"NORIA_WORKSPACE": settings.workspace}
    )


def away(workspace: Workspace) -> tuple[Workspace, FlakyBackend]:
    """Give the workspace behind a service that does not answer."""
    switched, service = flaky(workspace)
    service.error = Unavailable("gone")
    return switched, service


def test_a_run_without_a_service_loses_nothing(
    workspace: Workspace, runs: Runs, tmp_path: Path, command: Command
) -> None:
    """It starts, logs everything there is, ends, and is all there after `noria runs sync`."""
    switched, _ = away(workspace)
    (tmp_path / "big.bin").write_bytes(b"x" * 300_000)
    with pytest.warns(RunOffline, match="gone"):
        run = noria.run("offline", experiment="e", params={"a": 1}, workspace=switched)
    run.__enter__()
    run.log({"loss": 0.5}, step=3)
    run.tag("t", "x")
    run.text("note", "hello")
    run.artifact(tmp_path / "big.bin")
    inner = noria.run("inside", workspace=switched, capture=False)
    inner.log({"a": 1})
    with pytest.warns(RunNotSent):
        inner.end()
    with pytest.warns(RunNotSent, match="noria runs sync"):
        run.__exit__(None, None, None)
    assert runs.list("default").items == []
    code, report = command()
    kept = runs.get("default", run.id)

    assert code == 0
    assert [sent["run_id"] for sent in report["sent"]] == [run.id, inner.id]
    assert report["sent"][0] | {"n_artifacts": 2} == report["sent"][0] | {
        "n_points": 1,
        "ended": True,
        "n_artifacts": 2,
    }
    assert (kept.status, kept.params, kept.metrics["loss"]) == (RunStatus.FINISHED, {"a": "1"}, 0.5)
    assert (kept.name, kept.experiment, kept.tags["t"]) == ("offline", "e", "x")
    assert runs.artifact("default", run.id, "note.txt").read() == b"hello"
    assert runs.artifact("default", run.id, "big.bin").read() == b"x" * 300_000
    assert runs.get("default", inner.id).parent == run.id
    assert command() == (0, {"sent": [], "left": [], "refused": []})
    assert list(spool_folder(workspace.settings).iterdir()) == []


def test_the_service_may_come_back_while_the_run_goes_on(workspace: Workspace, runs: Runs) -> None:
    """Then the run is sent by itself."""
    switched, service = away(workspace)
    with pytest.warns(RunOffline):
        run = noria.run("later", workspace=switched, capture=False)
    with run:
        run.log({"a": 1})
        wait_until(lambda: service.n_failed >= 2)
        service.error = None
        wait_until(lambda: runs.list("default").items and runs.list("default").items[0].metrics == {"a": 1.0})

    assert runs.get("default", run.id).status is RunStatus.FINISHED


def test_the_next_workspace_that_is_opened_sends_what_was_left(
    workspace: Workspace, runs: Runs, settings: Settings
) -> None:
    """Nobody has to know the command."""
    switched, _ = away(workspace)
    with pytest.warns(RunOffline):
        run = noria.run(workspace=switched, capture=False)
    run.log({"a": 1})
    with pytest.warns(RunNotSent):
        run.end()
    with open_workspace(settings):
        wait_until(lambda: segments_in(spool_folder(settings)) == [])

    assert runs.get("default", run.id).metrics == {"a": 1.0}


def test_what_is_refused_is_told_until_it_is_discarded(
    workspace: Workspace, runs: Runs, command: Command
) -> None:
    """The rest of the run is sent; what was refused is shown with its reason and its content."""
    with noria.run(workspace=workspace, capture=False) as known:
        pass
    switched, service = flaky(workspace)
    run = noria.run(resume=known.id, workspace=switched, capture=False)
    service.error = Unavailable("gone")
    runs.log("default", known.id, LogBatch(params={"lr": "theirs"}))
    run.params({"lr": "ours", "depth": 3})
    with pytest.warns(RunNotSent):
        run.end()
    for options, is_told in (((), True), ((), True), (("--discard-refused",), True), ((), False)):
        code, report = command(*options)
        assert (code == 1, bool(report["refused"])) == (is_told, is_told)
        if is_told:
            (refused,) = report["refused"]
            assert (refused["run_id"], refused["what"]) == (known.id, "param `lr`")
            assert (refused["error"]["code"], refused["record"]) == (
                "param_changed",
                ["params", {"lr": "ours"}],
            )

    assert runs.get("default", known.id).params == {"lr": "theirs", "depth": "3"}


def test_a_run_that_was_deleted_is_refused_whole(workspace: Workspace, runs: Runs, command: Command) -> None:
    """It stays in the spool until somebody discards it."""
    with noria.run(workspace=workspace, capture=False) as known:
        pass
    switched, service = flaky(workspace)
    run = noria.run(resume=known.id, workspace=switched, capture=False)
    service.error = Unavailable("gone")
    run.log({"a": 1})
    with pytest.warns(RunNotSent):
        run.end()
    runs.delete("default", known.id)
    code, report = command()
    assert (code, len(report["refused"])) == (1, 1)
    assert "deleted" in report["refused"][0]["error"]["message"]
    command("--discard-refused")

    assert command() == (0, {"sent": [], "left": [], "refused": []})


def test_an_unreachable_service_leaves_everything(settings: Settings, workspace: Workspace) -> None:
    """The reason is told for each run, and nothing is moved."""
    switched, _ = away(workspace)
    with pytest.warns(RunOffline):
        run = noria.run(workspace=switched, capture=False)
    run.log({"a": 1})
    with pytest.warns(RunNotSent):
        run.end()
    before = [path.read_bytes() for path in segments_in(spool_folder(settings))]
    report = sync(switched)

    assert [(left.run_id, left.reason and left.reason.message) for left in report.left] == [(run._id, "gone")]
    assert not report.is_clean
    assert [path.read_bytes() for path in segments_in(spool_folder(settings))] == before


def test_a_killed_process_loses_nothing_but_its_last_moments(
    processes: Processes, settings: Settings, workspace: Workspace, runs: Runs, command: Command
) -> None:
    """Points, console and end are sent for it: the run was killed when it last wrote."""
    child = start(
        processes,
        settings,
        """
        import threading, noria
        run = noria.run("killed")
        print("the console", flush=True)
        for step in range(1000):
            run.log({"a": step}, step=step)
        threading.Event().wait(0.5)
        print("logged", flush=True)
        threading.Event().wait()
        """,
    )
    child.wait_for_output("logged")
    code, report = command()
    assert (code, report["sent"], report["left"][0]["process"]) == (0, [], child.pid)
    child.kill()
    code, report = command()
    (kept,) = runs.list("default").items

    assert code == 0
    assert (kept.status, kept.metrics["a"]) == (RunStatus.KILLED, 999.0)
    assert len(runs.points("default", kept.id, "a").points.steps) == 1000
    assert b"the console" in runs.artifact("default", kept.id, "noria/console.log").read()
    assert report["sent"][0]["ended"]
    assert command() == (0, {"sent": [], "left": [], "refused": []})


def test_a_terminated_program_ends_as_one_that_was_killed(
    processes: Processes, settings: Settings, runs: Runs, command: Command
) -> None:
    """A job that a scheduler stops leaves its run to the next process."""
    child = start(
        processes,
        settings,
        """
        import threading, noria
        noria.run("stopped").log({"a": 1})
        threading.Event().wait(0.5)
        print("logged", flush=True)
        threading.Event().wait()
        """,
    )
    child.wait_for_output("logged")
    assert child.stop() == -signal.SIGTERM
    command()
    (kept,) = runs.list("default").items

    assert (kept.status, kept.metrics["a"]) == (RunStatus.KILLED, 1.0)


def test_foreign_files_are_left_where_they_are(
    settings: Settings, workspace: Workspace, command: Command
) -> None:
    """What is no spool is told, and never deleted."""
    path = spool_folder(settings) / f"{new_id()}-{new_id()}.spool"
    path.write_bytes(b"something else")
    code, report = command()

    assert (code, report["left"][0]["reason"]["code"]) == (1, "corrupt")
    assert path.read_bytes() == b"something else"


def test_the_table_says_the_same(
    settings: Settings, workspace: Workspace, capfd: pytest.CaptureFixture[str]
) -> None:
    """People read what programs read; nothing to do is said in words."""
    from noria.cli.main import main

    switched, _ = away(workspace)
    with pytest.warns(RunOffline):
        run = noria.run(workspace=switched, capture=False)
    run.log({"a": 1})
    with pytest.warns(RunNotSent):
        run.end()
    capfd.readouterr()
    arguments = ["runs", "sync", "--workspace", settings.workspace]
    assert main(arguments) == 0
    assert run.id in capfd.readouterr().out
    assert main(arguments) == 0
    assert "Nothing was left" in capfd.readouterr().err
