"""`noria run` and its neighbours as a person meets them: output, exit codes, errors, and a run that is killed."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from noria.cli.main import main
from noria.core.config import load_settings
from noria.core.workspace import open_workspace
from noria.pipelines.service import PipelineRuns
from support.processes import Processes
from support.project import user_project
from support.waiting import wait_until

FLOW = """
from pathlib import Path
import time
from noria import pipeline, step


@step
def start(n: int) -> int:
    print("starting")
    return n


@step
def slow(n: int, note: str) -> int:
    Path(note).write_text("here")
    while Path(note).read_text() == "here":
        time.sleep(0.01)
    return n + 1


@step
def divide(n: int, by: int) -> float:
    return n / by


@pipeline
def study(n: int = 1, by: int = 2) -> dict[str, float]:
    return {"half": divide(start(n), by)}


@pipeline
def waiting(note: str) -> int:
    return slow(start(3), note)


def plain() -> int:
    return 1
"""

Noria = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a project's folder with a workspace in it."""
    made = tmp_path / "project"
    (made / "jobs").mkdir(parents=True)
    (made / ".noria").mkdir()
    (made / "flow.py").write_text(FLOW)
    (made / "jobs" / "helper.py").write_text("BASE = 5\n")
    (made / "jobs" / "nightly.py").write_text(
        "from helper import BASE\nfrom noria import pipeline\n\n\n@pipeline\ndef night():\n    return BASE\n"
    )
    (made / "broken.py").write_text("import does_not_exist\n")
    return made


@pytest.fixture
def noria(folder: Path, noria_command: tuple[str, ...]) -> Noria:
    """Run the command in the project's folder."""

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*noria_command, *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=120
        )

    return call


def test_a_run_prints_outputs_and_tells_of_its_steps(noria: Noria) -> None:
    """Values go to stdout; steps, reasons and the run's id go to stderr; the second run reuses."""
    first = noria("run", "flow:study", "-p", "n=5")
    second = noria("run", "flow.py:study", "-p", "n=5", "--explain")
    third = noria("run", "flow:study", "-p", "n=6", "--explain")

    assert (first.returncode, first.stdout) == (0, "starting\nhalf  2.5\n")
    assert "2 steps, 0 reused" in first.stderr
    assert second.stdout == "half  2.5\n"
    assert "unchanged since run" in second.stderr
    assert "2 steps, 2 reused" in second.stderr
    assert "parameter `n` was 5, is 6" in third.stderr


def test_json_is_all_that_goes_to_stdout(noria: Noria) -> None:
    """With `--json` stdout is one JSON object, whatever the steps print, and the lists are JSON too."""
    done = noria("run", "flow:study", "--json")
    answer: dict[str, Any] = json.loads(done.stdout)
    listed = json.loads(noria("pipelines", "history", "--json").stdout)
    shown = json.loads(noria("pipelines", "show", answer["run_id"], "--json").stdout)

    assert answer["outputs"]["half"]["value"] == 0.5
    assert [step["status"] for step in answer["steps"]] == ["finished", "finished"]
    assert [item["run_id"] for item in listed["items"]] == [answer["run_id"]]
    assert shown["run"]["pipeline"] == "flow:study"
    assert len(shown["steps"]) == 2
    assert "divide" in noria("pipelines", "show", answer["run_id"]).stdout


def test_a_file_finds_the_modules_beside_it(noria: Noria) -> None:
    """A pipeline named by its file imports what lies in the same folder."""
    assert noria("run", "jobs/nightly.py:night").stdout == "output  5\n"


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["flow:stduy"], 1, "Did you mean `study`?"),
        (["flwo:study"], 1, "Did you mean `flow`?"),
        (["nowhere/flow.py:study"], 1, "There is no file `"),
        (["flow"], 1, "does not name a pipeline"),
        (["flow:start"], 2, "is a step, not a pipeline"),
        (["flow:plain"], 2, "is a `function`, not a pipeline"),
        (["broken:study"], 1, "failed at broken.py:1: ModuleNotFoundError"),
        (["flow:study", "-p", "m=1"], 2, "Its parameters: `n`, `by`"),
        (["flow:study", "-p", "n=x"], 2, "The parameter `n` is `x`, which is not an `int`"),
        (["flow:study", "-p", "n"], 2, "Write `-p n=VALUE`"),
        (["flow:waiting"], 2, "needs the parameter `note` (str)"),
    ],
)
def test_a_wrong_name_or_parameter_is_told(
    folder: Path,
    arguments: list[str],
    code: int,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What cannot be run is said with the mend, and nothing is recorded."""
    monkeypatch.chdir(folder)
    with user_project(folder):
        monkeypatch.setattr(sys, "path", list(sys.path))
        given = main(["run", *arguments])
    written = capsys.readouterr()

    assert (given, written.out) == (code, "")
    assert told in written.err
    assert "Traceback" not in written.err
    with open_workspace(load_settings(folder=folder)) as workspace:
        assert workspace.service(PipelineRuns).list("default").items == []


def test_a_step_that_raises_ends_the_command(noria: Noria) -> None:
    """The error names step and line below the user's own traceback; the exit code is 1; the run is kept as failed."""
    done = noria("run", "flow:study", "-p", "by=0")
    listed = json.loads(noria("pipelines", "history", "--json").stdout)["items"]

    assert done.returncode == 1
    assert "error: The step `divide` failed at flow.py:23: ZeroDivisionError: division by zero" in done.stderr
    assert "return n / by" in done.stderr
    assert [item["status"] for item in listed] == ["failed"]


def test_a_killed_run_is_seen_and_its_finished_steps_are_reused(
    noria: Noria, folder: Path, processes: Processes, noria_command: tuple[str, ...], tmp_path: Path
) -> None:
    """After `kill -9` in the middle the run is marked killed once its lease is over, and the next run goes on."""
    note = tmp_path / "note"
    running = processes.start([*noria_command, "run", "flow:waiting", "-p", f"note={note}"], cwd=folder)
    wait_until(lambda: note.exists() and note.read_text() == "here", 60, "the step never began")
    running.kill()
    with sqlite3.connect(folder / ".noria" / "noria.db", timeout=30) as connection:
        connection.execute("update pipeline_runs set lease_until = 1")
    connection.close()
    listed = json.loads(noria("pipelines", "history", "--json").stdout)["items"]
    note.unlink()
    again = processes.start(
        [*noria_command, "run", "flow:waiting", "-p", f"note={note}", "--explain"], cwd=folder
    )
    wait_until(lambda: note.exists() and note.read_text() == "here", 60, "the step never began again")
    note.write_text("go on")

    assert [item["status"] for item in listed] == ["killed"]
    assert again.wait() == 0
    assert "reused" in again.output().splitlines()[0]
    assert "output  4" in again.output()
