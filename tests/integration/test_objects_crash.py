"""Processes that work on one store are killed without warning; what they were told is kept, and the store verifies."""

from __future__ import annotations

import json
import random
import re
import sys
from pathlib import Path

import pytest

from noria.core.clock import SystemClock
from noria.core.objects.local import LocalObjectStore
from support.processes import Processes, RunningProcess
from support.waiting import wait_until

CHILD = Path(__file__).with_name("objects_crash_child.py")
DIGEST = re.compile(r"blake3:[0-9a-f]{64}")


def start(processes: Processes, *arguments: object) -> RunningProcess:
    return processes.start(
        [sys.executable, CHILD, *map(str, arguments)],
        name=f"{arguments[0]}",
        env={"PYTHONPATH": str(CHILD.parents[1])},
    )


def said(child: RunningProcess) -> list[str]:
    """Give the whole lines that a child has written so far."""
    return child.output().split("\n")[:-1]


def kill_after(child: RunningProcess, n_lines: int) -> list[str]:
    """Kill a child at whatever it does after so many lines, and give all that it came to say."""
    wait_until(lambda: len(said(child)) >= n_lines or not child.running, message=child.output)
    assert child.running, child.output()
    child.kill()
    return said(child)


@pytest.mark.parametrize(
    ("n_turns", "seed"), [(3, 20260301), pytest.param(20, 20260302, marks=pytest.mark.soak)]
)
@pytest.mark.timeout(1800)
def test_nothing_acknowledged_is_lost_when_processes_are_killed(
    processes: Processes, tmp_path: Path, n_turns: int, seed: int
) -> None:
    """Writers and collectors of one store die at random moments, and what a put had answered for is there."""
    root, chance = tmp_path / "store", random.Random(seed)
    acknowledged: set[str] = set()
    churned: list[str] = []
    n_removed = 0

    for turn in range(n_turns):
        putters = [start(processes, "put", root, 10 * turn + n) for n in range(2)]
        churner, collector = start(processes, "churn", root, turn), start(processes, "collect", root)
        for putter in putters:
            acknowledged.update(kill_after(putter, chance.randint(1, 25)))
        # Looking in the order of these two lets the collector run on beside the churner for a while.
        churned += kill_after(churner, chance.randint(20, 60))
        n_removed += sum(int(line.split()[-1]) for line in kill_after(collector, chance.randint(1, 10)))

    store = LocalObjectStore(root, SystemClock())
    assert all(DIGEST.fullmatch(digest) for digest in acknowledged)
    assert len(acknowledged) > 10
    assert store.missing(acknowledged) == set()
    assert list(store.verify()) == []
    assert [line for line in churned if line.startswith("LOST")] == []
    assert n_removed > 0


@pytest.mark.parametrize("stride", [5, pytest.param(1, marks=pytest.mark.soak)])
@pytest.mark.timeout(400)
def test_a_death_at_any_instant_leaves_a_store_that_verifies(processes: Processes, stride: int) -> None:
    """A deed that is killed before any of its calls to the system leaves all in order, and can be done again."""
    child = start(processes, "die", stride)

    assert child.wait(300) == 0, child.output()
    n_deaths = json.loads(child.output())
    assert set(n_deaths) == {
        "first put", "put", "put again", "put unflushed", "put file", "put over damage", "put tree",
        "collect", "checkout", "unpack",
    }  # fmt: skip
    # Fewer would mean that the driver no longer sees the calls.
    assert min(n_deaths.values()) * stride >= 5, n_deaths
    assert sum(n_deaths.values()) * stride >= 150, n_deaths
