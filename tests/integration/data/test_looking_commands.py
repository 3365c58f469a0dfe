"""`noria data profile`, `diff` and `check` on the command line, and what a failed check blocks."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from noria.cli.main import main

Command = Callable[..., tuple[int, str, str]]

RULES = """
[data.checks.orders]
key = ["id"]

[data.checks.orders.columns.amount]
min = 0

[[data.checks.orders.rows]]
name = "paid ones have a price"
keep = "NOT paid OR amount > 0"
"""
GOOD = "id,amount,paid\n" + "".join(f"{i},{i * 2.5},{'true' if i % 2 else 'false'}\n" for i in range(40))
BAD = GOOD.replace("7,17.5,true", "7,-1.0,true")
FLOW = """
from noria import dataset, pipeline, step

@step
def total(ref: str) -> float:
    return float(dataset(ref).polars()["amount"].sum())

@pipeline
def study(ref: str) -> dict[str, float]:
    return {"total": total(ref)}
"""


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Give a caller of `noria data`, for exit code and what was said, in a project with rules and two versions."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".noria").mkdir()
    Path("noria.toml").write_text(RULES)
    Path("flow.py").write_text(FLOW)

    def call(*arguments: str) -> tuple[int, str, str]:
        code = main(["data", *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    for content in (GOOD, BAD):
        Path("orders.csv").write_text(content)
        assert call("add", "orders.csv", "--name", "orders")[0] == 0
    return call


def test_a_profile_in_the_terminal(command: Command) -> None:
    """Columns with their distribution as blocks, keys, correlations and leaks; the same as JSON."""
    code, out, err = command("profile", "orders@1", "--target", "amount")
    found = json.loads(command("profile", "orders@1", "--json")[1])

    assert code == 0
    assert "40 rows, 3 columns" in err
    assert "██" in out
    assert "Likely keys: `id`" in out
    assert "Strongest correlations" in out
    assert found["n_rows"] == 40
    assert (found["columns"]["amount"]["maximum"], found["keys"]) == (97.5, [["id"]])


def test_a_diff_of_tables(command: Command) -> None:
    """Files, rows by key with their cells, and distributions; `--files-only` looks into nothing."""
    _, out, _ = command("diff", "orders@1", "orders@2")
    found = json.loads(command("diff", "orders", "--json")[1])
    bag = json.loads(command("diff", "orders", "--key", "", "--json")[1])
    files = json.loads(command("diff", "orders", "--files-only", "--json")[1])

    assert "Rows by `id`: 40 before, 40 after; 0 added, 0 removed, 1 changed" in out
    assert "kolmogorov-smirnov" in out
    assert found["changed"] == ["orders.csv"]
    assert found["table"]["rows"]["changed"] == [
        {"key": {"id": "7"}, "cells": [{"column": "amount", "before": "17.5", "after": "-1.0"}]}
    ]
    assert (bag["table"]["rows"]["n_added"], bag["table"]["rows"]["n_removed"]) == (1, 1)
    assert files["table"] is None
    assert command("diff", "orders", "--key", "paid")[0] == 2


def test_a_check_names_rows_and_fails(command: Command) -> None:
    """Exit code 0 for a version that keeps its rules, 1 for one that does not; the rows are told."""
    good, bad = command("check", "orders@1"), command("check", "orders@2")
    code, out, _ = command("check", "orders", "--json")
    report = json.loads(out)

    assert (good[0], bad[0], code) == (0, 1, 1)
    assert "orders@1 keeps 3 of 3 rules" in good[2]
    assert "paid ones have a price" in bad[1]
    assert not report["passed"]
    assert [each["rule"] for each in report["report"]["results"] if not each["passed"]] == [
        "min",
        "paid ones have a price",
    ]
    assert report["report"]["results"][0]["rows"] == [
        {"row": 7, "key": {"id": "7"}, "values": {"amount": "-1.0"}}
    ]


def test_suggested_rules_are_rules(command: Command) -> None:
    """The version keeps them, and the one that broke the old ones breaks them too."""
    text = command("check", "orders@1", "--suggest")[1]
    Path("noria.toml").write_text(text)

    assert command("check", "orders@1")[0] == 0
    assert command("check", "orders@2", "--dry-run")[0] == 1


def test_without_rules(command: Command) -> None:
    """A check is refused with the mend."""
    Path("noria.toml").write_text("")
    code, _, err = command("check", "orders")

    assert code == 2
    assert "--suggest" in err


def test_a_failed_check_blocks_steps_that_read_the_version(
    command: Command, noria_command: tuple[str, ...], tmp_path: Path
) -> None:
    """One that would read it, and one whose result of it was kept; another version goes on."""

    def study(ref: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*noria_command, "run", "flow:study", "-p", f"ref={ref}", "--explain"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    before = study("orders@2")
    command("check", "orders@2")
    blocked, other = study("orders@2"), study("orders@1")

    assert (before.returncode, other.returncode) == (0, 0)
    assert blocked.returncode == 1
    assert "`orders@2` failed its check: `amount: min`" in blocked.stderr
    assert "failed its check since" in blocked.stderr
