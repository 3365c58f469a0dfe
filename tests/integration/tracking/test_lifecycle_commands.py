"""Deleting, restoring, renaming and freeing space from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import noria
from noria.cli.main import main
from noria.core.config import load_settings
from noria.core.workspace import open_workspace, use_workspace

Command = Callable[..., str]


@pytest.fixture
def ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Fill a workspace with two runs of one experiment and give their ids."""
    monkeypatch.setenv("NORIA_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.chdir(tmp_path)
    found = []
    with open_workspace(load_settings()) as workspace, use_workspace(workspace):
        for name in ("first", "second"):
            with noria.run(name, experiment="digits") as run:
                run.log({"loss": 0.5})
            found.append(run.id)
    return found


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Give a caller of the command line that checks the exit code and gives what it prints."""

    def call(*arguments: str, code: int = 0) -> str:
        assert main(list(arguments)) == code
        captured = capsys.readouterr()
        return captured.out + captured.err

    return call


def listed(command: Command, *arguments: str) -> list[Any]:
    return [item["name"] for item in json.loads(command(*arguments, "--json"))["items"]]


def test_runs_are_deleted_and_restored(ids: list[str], command: Command) -> None:
    """A deleted run is left out of the list, is found among the deleted, and comes back."""
    assert f"noria runs restore {ids[0]}" in command("runs", "delete", ids[0])
    assert listed(command, "runs", "list") == ["second"]
    assert listed(command, "runs", "list", "--deleted") == ["first"]
    assert "`first`" in command("runs", "restore", ids[0])
    assert listed(command, "runs", "list") == ["second", "first"]
    assert "has no run" in command("runs", "delete", "0" * 32, code=1)


def test_an_experiment_is_renamed_deleted_and_restored(ids: list[str], command: Command) -> None:
    """Its runs go and come with it, and `show` counts them."""
    assert "`numbers`" in command("experiments", "rename", "digits", "numbers")
    assert "noria experiments restore 'numbers'" in command("experiments", "delete", "numbers")
    assert listed(command, "experiments", "list") == ["Default"]
    assert listed(command, "experiments", "list", "--deleted") == ["numbers"]
    assert listed(command, "runs", "list") == []
    shown = command("experiments", "show", "numbers")
    assert [line.split()[-1] for line in shown.splitlines() if "runs" in line] == ["0", "2"]
    command("experiments", "restore", "numbers")
    assert len(listed(command, "runs", "list")) == 2
    assert json.loads(command("experiments", "show", "numbers", "--json"))["deleted_at"] is None


def test_gc_frees_what_was_deleted(ids: list[str], command: Command) -> None:
    """First it only counts; within the grace period it removes nothing; then the run is gone for good."""
    command("runs", "delete", ids[0])
    assert json.loads(command("gc", "--json"))["rows"]["runs"] == 0
    would = json.loads(command("gc", "--older-than", "0s", "--dry-run", "--json"))
    assert (would["dry_run"], would["rows"]["runs"]) == (True, 1)
    assert listed(command, "runs", "list", "--deleted") == ["first"]
    assert json.loads(command("gc", "--older-than", "900000000d", "--json"))["rows"]["runs"] == 0
    text = command("gc", "--older-than", "0s")
    assert "runs removed" in text
    assert listed(command, "runs", "list", "--deleted") == []
    assert "has no run" in command("runs", "restore", ids[0], code=1)


def test_a_time_that_is_none_is_refused(ids: list[str], command: Command) -> None:
    """The message names what was given and shows how to write it."""
    for text in ("soon", "-3d", "5 years", "9" * 400 + "w"):
        assert "`30d`" in command("gc", f"--older-than={text}", code=2)


def test_gc_shrinks_the_database(tmp_path: Path, ids: list[str], command: Command) -> None:
    """When much of the database's file is free, the disk gets it back."""
    from noria.tracking.entities import LogBatch
    from noria.tracking.service import Runs

    with open_workspace(load_settings()) as workspace:
        runs = workspace.service(Runs)
        for begin in range(0, 5_000, 500):
            params = {f"p{i}": "x" * 5_000 for i in range(begin, begin + 500)}
            runs.log("default", ids[0], LogBatch(params=params))
    file = tmp_path / "workspace" / "noria.db"
    with open_workspace(load_settings()):
        pass
    command("runs", "delete", ids[0])
    freed = json.loads(command("gc", "--older-than", "0s", "--json"))["database_bytes"]

    assert freed > 16 << 20
    assert file.stat().st_size < 4 << 20
