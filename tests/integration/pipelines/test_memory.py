"""A step that wants more memory than there is: the kernel ends its process, and the run says so."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.memory import Bounded, NoBound, bounded

LIMIT_BYTES = 600_000_000
FLOW = """
from noria import pipeline, step


@step(cache=False)
def modest(n: int) -> int:
    return n


@step(cache=False)
def hungry(n: int, n_bytes: int) -> int:
    return len(bytearray(b"x") * n_bytes)


@pipeline
def study(n_bytes: int) -> int:
    return hungry(modest(1), n_bytes)
"""


@pytest.fixture
def group() -> Iterator[Bounded]:
    """Give a group of processes that have 600 MB between them."""
    try:
        with bounded(LIMIT_BYTES) as made:
            yield made
    except NoBound as reason:
        pytest.skip(str(reason))


def test_a_step_that_the_kernel_ends_for_memory_is_told(
    group: Bounded, noria_command: tuple[str, ...], tmp_path: Path
) -> None:
    """The run fails at that step with the likely reason, keeps the step before, and ends well with less to do."""
    (tmp_path / "flow.py").write_text(FLOW)
    (tmp_path / "noria.toml").write_text("")
    line = [*noria_command, "run", "flow.py:study", "--workers", "1", "--json", "--workspace", "w"]

    def run(n_bytes: int) -> subprocess.CompletedProcess[str]:
        command = group.command([*line, "-p", f"n_bytes={n_bytes}"])
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=200)

    large, small = run(2 * LIMIT_BYTES), run(1000)

    assert group.n_killed() == 1
    assert large.returncode == 1
    assert "The process of the step `hungry` was killed by the operating system" in large.stderr
    assert "out of memory" in large.stderr
    assert small.returncode == 0, small.stderr
    assert json.loads(small.stdout)["outputs"]["output"]["value"] == 1000
