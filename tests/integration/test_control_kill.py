"""The control loop in a real process that is killed again and again."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
import sqlalchemy as sa

from noria.core.control.engine import SCHEMA
from noria.core.control.loop import control_url
from support.processes import Processes, RunningProcess
from support.waiting import wait_until

CHILD = Path(__file__).with_name("control_child.py")
N_KILLS = 9
N_STEPS = 5


@pytest.mark.slow
def test_kills_at_random_instants_lose_and_repeat_nothing(
    database_url: str, tmp_path: Path, processes: Processes
) -> None:
    """After kills at random instants each workflow has taken its steps in order, with each effect and interval once."""
    url = control_url(tmp_path, database_url)
    supervisor = processes.start([sys.executable, CHILD, url, tmp_path], name="control loop")
    instants = random.Random(7)
    for round_ in range(1, N_KILLS + 1):
        pid = _started(supervisor, round_)
        # The instant of the kill, not a wait for anything: during the start, or while workflows run.
        if round_ % 3 == 0:
            time.sleep(instants.uniform(0.0, 0.2))
        else:
            supervisor.wait_for_output(f"submitted {round_}")
            time.sleep(instants.uniform(0.0, 2.0))
        os.kill(pid, signal.SIGKILL)
    pid = _started(supervisor, N_KILLS + 1)
    wait_until((tmp_path / f"finished {N_KILLS + 1}").exists, 60, supervisor.output)
    os.kill(pid, signal.SIGTERM)
    code = supervisor.wait()

    steps = [str(number) for number in range(N_STEPS)]
    for number in range(N_KILLS + 1):
        attempts = [line.split() for line in _lines(tmp_path / f"w{number}.attempts")]
        assert _lines(tmp_path / f"w{number}.effects") == steps
        assert all(earlier <= later for earlier, later in pairwise(step for step, _ in attempts)), attempts
        assert max(Counter(map(tuple, attempts)).values()) == 1, attempts

    beats = [tuple(line.split()) for line in _lines(tmp_path / "beats.attempts")]
    intervals = Counter(interval for interval, _ in beats)
    # At a kill at most the tick that ran was not on record; no other interval was ever ticked twice.
    assert len(beats) == len(set(beats))
    assert sum(intervals.values()) - len(intervals) <= N_KILLS
    assert sorted(intervals) == sorted(set(_lines(tmp_path / "beats.effects")))
    assert _ticks(url) >= set(intervals)
    # Nothing but the child's own lines: the engine is silent.
    told = {line.split()[0] for line in supervisor.output().splitlines()}
    assert (code, told) == (0, {"starting", "submitted", "stopped"})


def _started(supervisor: RunningProcess, round_: int) -> int:
    return int(supervisor.wait_for_output(f"starting {round_} ").split()[2])


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def _ticks(url: str) -> set[str]:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    try:
        with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.text(f"set local search_path to {SCHEMA}"))
            rows = connection.execute(
                sa.text("select workflow_uuid from workflow_status where name = 'beat'")
            )
            return {identity.removeprefix("beat:") for (identity,) in rows}
    finally:
        engine.dispose()
