"""The commands of the Makefile, as far as a test can run them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.processes import Processes

ROOT = Path(__file__).resolve().parents[2]
ELSEWHERE = {"tracking/bench_mlflow.py"}
"""Benchmarks whose test is a peer's, in `tests/peers`."""

QUICK = {"bench_tracking.py", "data/bench_objects.py", "tracking/bench_store.py"}
"""Those that end in a few seconds stand for the rest, which takes minutes and is in `make e2e`."""

BENCHMARKS = [
    pytest.param(name, marks=pytest.mark.smoke if name in QUICK else pytest.mark.e2e)
    for name in sorted(
        str(path.relative_to(ROOT / "benchmarks")) for path in (ROOT / "benchmarks").rglob("bench_*.py")
    )
    if name not in ELSEWHERE
]


def run(*command: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False
    )


def test_make_alone_lists_every_target_with_its_purpose() -> None:
    """`make` prints one line for each target that a person is meant to call."""
    shown = run("make")
    listed = dict(re.findall(r"^make ([a-z0-9-]+) +(\S.*)$", shown.stdout, re.MULTILINE))

    assert shown.returncode == 0
    every_day = {"help", "demo", "test", "check", "bench", "clean"}
    assert set(listed) == every_day | {"e2e", "peers", "soak", "docs", "reference", "prepared", "rankings"}


def test_an_old_python_is_refused_with_the_mend(tmp_path: Path) -> None:
    """A Python older than 3.11 builds no environment, and the message names the variable to set."""
    old = tmp_path / "python3.9"
    old.write_text('#!/bin/sh\nif [ "$1" = -V ]; then echo "Python 3.9.2"; fi\nexit 1\n')
    old.chmod(0o755)
    refused = run(ROOT / "tools" / "make_venv.sh", old, tmp_path / "venv")

    assert refused.returncode == 1
    assert f"error: Noria needs Python 3.11 or newer, and `{old}` is Python 3.9.2" in refused.stderr
    assert "hint: name a newer one: make PYTHON=python3.12" in refused.stderr
    assert not (tmp_path / "venv").exists()


def test_a_missing_python_is_refused_with_the_mend(tmp_path: Path) -> None:
    """An interpreter that is not there is named, with the variable to set."""
    refused = run(ROOT / "tools" / "make_venv.sh", "python9.9", tmp_path / "venv")

    assert refused.returncode == 1
    assert "error: there is no `python9.9` on PATH" in refused.stderr
    assert "hint: name a Python 3.11 or newer: make PYTHON=" in refused.stderr


@pytest.mark.e2e
def test_a_standing_environment_is_kept(tmp_path: Path) -> None:
    """Building an environment again keeps the one that works, and mends one that does not."""
    build = (ROOT / "tools" / "make_venv.sh", sys.executable, tmp_path / "venv")
    first = run(*build)
    (tmp_path / "venv" / "kept").touch()
    second = run(*build)
    kept = (tmp_path / "venv" / "kept").exists()
    (tmp_path / "venv" / "bin" / "python").unlink()
    third = run(*build)

    assert [first.returncode, second.returncode, third.returncode] == [0, 0, 0], third.stderr
    assert kept
    assert (tmp_path / "venv" / "bin" / "python").exists()
    assert not (tmp_path / "venv" / "kept").exists()


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_runs_at_its_smallest_size(name: str, processes: Processes) -> None:
    """Each benchmark ends well with `--smoke` and prints figures."""
    if (
        (name.startswith("serving/") or name == "monitoring/bench_endpoint.py")
        and shutil.which("wrk") is None
        and os.environ.get("TEST_SERVICES") != "required"
    ):
        pytest.skip("it needs `wrk`: apt-get install wrk")
    program = processes.start(
        [sys.executable, ROOT / "benchmarks" / name, "--smoke"], name=name.replace("/", "-")
    )

    assert program.wait(120) == 0
    assert re.search(r"\d", program.output())


def test_a_link_to_nowhere_is_found(tmp_path: Path) -> None:
    """The check of the documents names the file and the link that leads to no file or to no heading."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "guide.md").write_text("# The guide\n\n[up](../README.md) [gone](lost.md)\n")
    (tmp_path / "README.md").write_text(
        "[good](docs/guide.md#the-guide) [bad](docs/guide.md#other) [out](https://example.org/x)\n"
        "```\n[not a link](nowhere.md)\n```\n"
    )
    checked = run(sys.executable, ROOT / "tools" / "check_links.py", tmp_path)

    assert checked.returncode == 1
    assert checked.stdout.splitlines() == [
        "README.md: docs/guide.md#other",
        "docs/guide.md: lost.md",
        "2 documents, 2 broken links",
    ]
