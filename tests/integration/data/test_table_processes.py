"""Processes that write one table: none loses rows to another, and one that is killed leaves nothing half-done."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import pytest

from noria.core.config import load_settings
from noria.core.workspace import open_workspace
from noria.data.client import dataset
from support.processes import Processes, RunningProcess
from support.waiting import wait_until

CHILD = Path(__file__).with_name("table_child.py")


def start(processes: Processes, *arguments: object) -> RunningProcess:
    return processes.start([sys.executable, CHILD, *map(str, arguments)], name=f"{arguments[0]}")


def said(child: RunningProcess) -> list[tuple[int, int]]:
    """Give the versions and batches that a child was told are kept."""
    lines = child.output().split("\n")[:-1]
    return [(int(version), int(batch)) for version, batch in (line.split() for line in lines)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give the folder of a migrated workspace."""
    with open_workspace(load_settings(workspace=str(tmp_path / "ws")), send_left=False):
        pass
    return tmp_path / "ws"


@pytest.mark.timeout(120)
def test_appends_of_several_processes_are_all_there(processes: Processes, folder: Path) -> None:
    """Each append is one version of its own, and its three rows stand together, once."""
    writers = [start(processes, "write", folder, writer, 5) for writer in range(3)]
    assert [writer.wait(100) for writer in writers] == [0, 0, 0], [w.output() for w in writers]
    versions = [version for writer in writers for version, _ in said(writer)]

    with open_workspace(load_settings(workspace=str(folder)), send_left=False) as workspace:
        rows = dataset("t", workspace=workspace).polars().rows()
        assert sorted(versions) == list(range(1, 16))
        assert [row[2] for row in rows] == [0, 1, 2] * 15
        assert Counter(row[:2] for row in rows) == {(w, n): 3 for w in range(3) for n in range(5)}
        assert [v.n_rows for v in dataset("t", workspace=workspace).log()] == list(range(45, 0, -3))


def kill_writers(processes: Processes, folder: Path, n_rounds: int) -> None:
    acknowledged: set[tuple[int, int]] = set()
    for turn in range(n_rounds):
        writers = [start(processes, "write", folder, 10 * turn + n, 0) for n in range(2)]
        wait_until(lambda w=writers: all(len(said(child)) >= 2 for child in w), 60)  # type: ignore[misc]
        for n, writer in enumerate(writers):
            writer.kill()
            acknowledged |= {(10 * turn + n, batch) for _, batch in said(writer)}

    with open_workspace(load_settings(workspace=str(folder)), send_left=False) as workspace:
        handle = dataset("t", workspace=workspace)
        found = Counter(row[:2] for row in handle.polars().rows())
        assert set(found.values()) == {3}
        assert set(found) >= acknowledged
        # A version may be there that its dead writer was not told of; each is whole.
        assert handle.current.n_rows == 3 * handle.current.version == 3 * len(found)


@pytest.mark.timeout(120)
def test_nothing_acknowledged_is_lost_when_writers_are_killed(processes: Processes, folder: Path) -> None:
    """Writers die at random moments; what an append gave a version for is there, and nothing is there in parts."""
    kill_writers(processes, folder, 1)


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_nothing_acknowledged_is_lost_in_many_rounds(processes: Processes, folder: Path) -> None:
    """The same, again and again on one table."""
    kill_writers(processes, folder, 15)


def die(processes: Processes, stride: int) -> list[int]:
    child = start(processes, "die", stride)
    assert child.wait(800) == 0, child.output()
    reached: list[int] = json.loads(child.output())
    return reached


@pytest.mark.timeout(120)
def test_a_death_between_commit_and_version_changes_nothing(processes: Processes) -> None:
    """Whatever a change was doing when it died, the table is as before or as after it, and goes on from there."""
    reached = die(processes, 90)

    assert reached == sorted(reached)
    assert reached[-1] == 3
    # Fewer would mean that the driver no longer sees the calls.
    assert len(reached) >= 5, reached


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_death_at_very_many_instants_changes_nothing(processes: Processes) -> None:
    """The same at every third instant."""
    reached = die(processes, 3)

    assert reached == sorted(reached)
    assert set(reached) == {0, 1, 2, 3}
    assert len(reached) >= 100, reached
