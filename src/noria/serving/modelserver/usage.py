"""What a model server and its workers use of their machine."""

from __future__ import annotations

from dataclasses import dataclass

import psutil

from noria.core.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What a process and its children use.

    Attributes
    ----------
    memory_bytes
        Resident memory of all of them together; what they share counts for each.
    cpu_s
        Processor time since the start, of children that have ended too.
    n_processors
        How many processors they kept busy since the reading before, on average.
    """

    memory_bytes: int
    cpu_s: float
    n_processors: float


class Usage:
    """Reads what a process and its children use.

    Parameters
    ----------
    pid
        Of the process; this one when left out.
    """

    def __init__(self, clock: Clock, pid: int | None = None) -> None:
        self._clock = clock
        self._process = psutil.Process(pid)
        self._cpu_s, self._at = 0.0, clock.monotonic()

    def read(self) -> Used:
        """Read it now."""
        memory_bytes, cpu_s = 0, 0.0
        # Children first: one that ends in between is then counted among those that have ended.
        for each in (*self._process.children(recursive=True), self._process):
            try:
                times = each.cpu_times()
                cpu_s += times.user + times.system + times.children_user + times.children_system
                memory_bytes += each.memory_info().rss
            except psutil.Error:  # it has ended, or is not ours to look at
                continue
        now = self._clock.monotonic()
        # One that was lost sight of must not make the time run backwards.
        cpu_s = max(cpu_s, self._cpu_s)
        n_processors = (cpu_s - self._cpu_s) / (now - self._at) if now > self._at else 0.0
        self._cpu_s, self._at = cpu_s, now
        return Used(memory_bytes=memory_bytes, cpu_s=cpu_s, n_processors=n_processors)
