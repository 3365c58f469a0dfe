"""Shadows take what a machine has to spare, and little else."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import psutil

from noria.core.clock import Clock

ROWS_PER_S = 500.0
"""So many rows a second are predicted for shadows while no processor is to spare, about.

To predict them takes nothing from others (`only_when_idle`), but what was predicted is handed on and counted by
processes that are as urgent as those that answer: 40 µs a row, so about 2 % of a processor.
"""

SPARE = 1.0
"""Processors that nobody uses, from which on there is no need to rest."""

_LOOK_EVERY_S = 0.5
_GROUPS = Path("/sys/fs/cgroup")
_OWN_GROUP = Path("/proc/self/cgroup")


class Pace:
    """Lets a thread rest as long as its machine has no processor to spare.

    Parameters
    ----------
    wait
        Waits for so many seconds, and tells whether to wait no more.
    spare
        Gives how many processors were to spare since it was asked before.
    """

    def __init__(self, clock: Clock, wait: Callable[[float], bool], spare: Callable[[], float]) -> None:
        self._clock = clock
        self._wait = wait
        self._read = spare
        self._spare = 0.0
        self._looked_at = float("-inf")
        self._due = 0.0

    def rest(self, n_rows: int) -> None:
        """Rest behind the prediction of some rows."""
        now = self._clock.monotonic()
        self._due = max(self._due, now) + n_rows / ROWS_PER_S
        while now < self._due:
            if self._is_to_spare(now):
                self._due = now
            elif self._wait(min(self._due - now, _LOOK_EVERY_S)):
                return
            else:
                now = self._clock.monotonic()

    def _is_to_spare(self, now: float) -> bool:
        if now - self._looked_at >= _LOOK_EVERY_S:
            self._looked_at = now
            self._spare = self._read()
        return self._spare >= SPARE


class Spare:
    """Tells how many processors nobody uses but this process, on average since it was asked before.

    Parameters
    ----------
    group
        Folder of the control group of this process; None where there is none.
    idle_s
        Gives for how many seconds processors did nothing, in all, since the machine began.
    """

    def __init__(
        self, clock: Clock, group: Path | None = None, idle_s: Callable[[], float] | None = None
    ) -> None:
        self._clock = clock
        self._group = group
        self._idle_s = _idle_s if idle_s is None else idle_s
        self._before: tuple[float, float, float, float] | None = None

    def __call__(self) -> float:
        """Give how many; 0 when it was never asked before."""
        now = self._clock.monotonic(), self._idle_s(), time.process_time(), self._used_s()
        before, self._before = self._before, now
        if before is None or now[0] <= before[0]:
            return 0.0
        idle, own, used = ((now[at] - before[at]) / (now[0] - before[0]) for at in (1, 2, 3))
        allowed = self._allowed()
        return own + (idle if allowed is None else min(idle, allowed - used))

    def _allowed(self) -> float | None:
        """Give how many processors the group may use; None for all."""
        if self._group is None:
            return None
        quota, period = (self._group / "cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)

    def _used_s(self) -> float:
        if self._group is None:
            return 0.0
        lines = (self._group / "cpu.stat").read_text().splitlines()
        return next(int(line.split()[1]) / 1e6 for line in lines if line.startswith("usage_usec "))


def _idle_s() -> float:
    times = psutil.cpu_times()
    # Linux counts the time of an idle processor that waits for a disk apart.
    return float(times.idle + getattr(times, "iowait", 0.0))


def own_group(listed: Path = _OWN_GROUP, groups: Path = _GROUPS) -> Path | None:
    """Give the folder of the control group (version 2) of this process; None where it has no bound on processors.

    Containers see their own group as the root of all.
    """
    try:
        lines = listed.read_text().splitlines()
    except OSError:
        return None
    name = next((line.removeprefix("0::") for line in lines if line.startswith("0::")), None)
    folder = None if name is None else groups / name.lstrip("/")
    return folder if folder is not None and (folder / "cpu.max").exists() else None
