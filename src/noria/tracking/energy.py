"""An estimate of the energy that a run uses.

Processors of Intel and AMD count the energy of each package (RAPL). Where these counters can be read, the run is given
the share of it that its processes had of the machine's busy processor time. Elsewhere the estimate is

    E = t_cpu · P_core + ∫ m(t) dt · P_memory

with the processor time t_cpu of the run's processes, the power P_core of a busy core, the memory m that they hold,
and the power P_memory of a gigabyte; memory is added in both cases, as RAPL's packages leave it out. The energy of
GPUs is what NVML counts for the cards as a whole, whoever used them. Cooling and power supply are left out (a power
usage effectiveness of 1).

References
----------
Lannelongue, L., Grealey, J. & Inouye, M. (2021). Green Algorithms: quantifying the carbon footprint of computation.
Advanced Science 8, 2100707. The formula, and 0.3725 W for a gigabyte of memory.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

POWERCAP = Path("/sys/class/powercap")
_GIGABYTE = 1e9


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """What the processes of a run used up to now.

    Attributes
    ----------
    cpu_s
        Processor seconds of the run's processes.
    busy_s
        Processor seconds of the whole machine.
    memory_bytes
        Memory that the processes hold at this moment.
    at_s
        Monotonic seconds.
    gpu_joules
        What the GPUs counted, from any beginning; None without any.
    """

    cpu_s: float
    busy_s: float
    memory_bytes: float
    at_s: float
    gpu_joules: float | None = None


class EnergyMeter:
    """Adds up the energy of a run from one look at its processes to the next.

    Parameters
    ----------
    core_watts, memory_watts
        Power of a busy core, and of a gigabyte of memory.
    start
        Use at the beginning.
    powercap
        Folder where Linux shows the counters of packages.
    """

    def __init__(
        self, start: Use, *, core_watts: float, memory_watts: float, powercap: Path = POWERCAP
    ) -> None:
        self._core_watts = core_watts
        self._memory_watts = memory_watts
        self._counters = [_Counter(folder) for folder in _packages(powercap)]
        self._counters = [counter for counter in self._counters if counter.advance() is not None]
        self._last = start
        self.joules = 0.0

    @property
    def source(self) -> str:
        """Where the processor's part comes from: `rapl`, or the estimate `cpu_time`."""
        return "rapl" if self._counters else "cpu_time"

    def advance(self, now: Use) -> float:
        """Take in the use up to now, and give the joules since the beginning."""
        last, self._last = self._last, now
        seconds = max(now.at_s - last.at_s, 0.0)
        cpu_s = max(now.cpu_s - last.cpu_s, 0.0)
        memory_bytes = (last.memory_bytes + now.memory_bytes) / 2
        self.joules += memory_bytes / _GIGABYTE * self._memory_watts * seconds
        self.joules += self._processor_joules(cpu_s, max(now.busy_s - last.busy_s, 0.0))
        if now.gpu_joules is not None and last.gpu_joules is not None:
            self.joules += max(now.gpu_joules - last.gpu_joules, 0.0)
        return self.joules

    def _processor_joules(self, cpu_s: float, busy_s: float) -> float:
        counted = [counter.advance() for counter in self._counters]
        if not counted or None in counted:
            return cpu_s * self._core_watts
        share = min(cpu_s / busy_s, 1.0) if busy_s > 0 else 0.0
        return share * sum(joules for joules in counted if joules is not None)


class _Counter:
    """The counter of one package, which begins anew at its greatest value."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._last: int | None = None

    def advance(self) -> float | None:
        """Give the joules since the last call, 0 at the first; None when the counter cannot be read."""
        now = _number(self._folder / "energy_uj")
        last, self._last = self._last, now
        if now is None:
            return None
        if last is None:
            return 0.0
        span = _number(self._folder / "max_energy_range_uj") or 0
        return (now - last if now >= last else now - last + span) / 1e6


def _packages(powercap: Path) -> Iterable[Path]:
    # `intel-rapl:0` is a package (on AMD too); `intel-rapl:0:1` is a part of it.
    return sorted(path for path in powercap.glob("intel-rapl:*") if path.name.count(":") == 1)


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
