"""`noria runs` and `noria experiments`, as a person and as a program use them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import noria
from noria.cli.main import main
from noria.core.config import load_settings
from noria.core.workspace import open_workspace, use_workspace
from noria.tracking.entities import RunStatus

Command = Callable[..., str]


@pytest.fixture
def ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Fill a workspace with two runs and give their ids."""
    monkeypatch.setenv("NORIA_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("hello")
    with open_workspace(load_settings()) as workspace, use_workspace(workspace):
        with noria.run("first", experiment="digits") as first:
            first.params({"lr": 0.1, "seed": 1})
            first.tag("team", "vision")
            first.record_input("dataset:digits@1", "")
            first.artifact(tmp_path / "notes.txt")
            for step in range(50):
                first.log({"loss": 1 / (step + 1), "odd": math.nan})
        second = noria.run("second", experiment="digits")
        second.params({"lr": 0.2, "seed": 1})
        second.end(RunStatus.FAILED)
    return [first.id, second.id]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Give a caller of the command line that checks the exit code and gives stdout."""

    def call(*arguments: str, code: int = 0) -> str:
        assert main(list(arguments)) == code
        captured = capsys.readouterr()
        return captured.out if code == 0 else captured.err

    return call


def test_runs_are_listed(ids: list[str], command: Command) -> None:
    """The newest run stands first; the JSON is the API's page."""
    page = json.loads(command("runs", "list", "--json"))
    text = command("runs", "list")

    assert [item["name"] for item in page["items"]] == ["second", "first"]
    assert page["next"] is None
    assert text.index(ids[1]) < text.index(ids[0])


def test_the_list_is_filtered_and_bounded(ids: list[str], command: Command) -> None:
    """Experiment, status and limit narrow the list."""

    def names(*arguments: str) -> list[str]:
        return [item["name"] for item in json.loads(command("runs", "list", "--json", *arguments))["items"]]

    assert names("--status", "failed") == ["second"]
    assert names("--experiment", "digits", "-n", "1") == ["second"]
    assert names("-e", "Default") == []


def test_a_run_is_shown_whole(ids: list[str], command: Command) -> None:
    """Params, the course of metrics, tags, lineage and artifacts are on the page; the JSON is the run."""
    text = command("runs", "show", ids[0])
    shown: dict[str, Any] = json.loads(command("runs", "show", ids[0], "--json"))

    for part in ("first", "digits", "lr", "0.1", "vision", "dataset:digits@1", "notes.txt", "█", "·"):
        assert part in text
    assert shown["id"] == ids[0]
    assert shown["not_finite"] == {"odd": "NaN"}


def test_runs_are_compared(ids: list[str], command: Command) -> None:
    """Only what differs is shown."""
    text = command("runs", "compare", *ids)
    compared = json.loads(command("runs", "compare", *ids, "--json"))

    assert "param lr" in text
    assert "seed" not in text
    assert compared["params"] == ["lr"]
    assert compared["metrics"] == ["loss", "odd"]


def test_experiments_are_listed(ids: list[str], command: Command) -> None:
    """Every experiment with its number."""
    page = json.loads(command("experiments", "list", "--json"))

    assert [(item["number"], item["name"]) for item in page["items"]] == [(1, "digits"), (0, "Default")]
    assert "digits" in command("experiments", "list")


def test_errors_name_the_value_and_the_mend(ids: list[str], command: Command) -> None:
    """A run that is not there is a failure; wrong use has a code of its own."""
    assert "`abc`" in command("runs", "show", "abc", code=1)
    assert "`digits`" in command("runs", "list", "-e", "digts", code=1)
    assert "finished" in command("runs", "list", "--status", "done", code=2)
    assert "1 runs were chosen" in command("runs", "compare", ids[0], code=2)
    error = json.loads(command("runs", "show", "abc", "--json", code=1))
    assert error["code"] == "run_not_found"
