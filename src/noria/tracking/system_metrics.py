"""Curves of processor, memory and GPU while a run goes on, with an estimate of its energy."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from noria.core.clock import Clock
from noria.tracking.energy import EnergyMeter, Use
from noria.tracking.gpus import Gpus
from noria.tracking.settings import Capture, TrackingSection
from noria.tracking.ticker import shared_ticker

if TYPE_CHECKING:
    import psutil

PREFIX = "system/"
ENERGY = "system/energy_joules"

_MEBIBYTE = 1 << 20
_SETTLING_S = 0.1
"""Nothing is looked at before, so that the shortest runs do not pay for it."""
_FIRST_SAMPLES_S = (0.5, 2.0)
"""After so many seconds the first samples are taken, so that short runs have a curve too."""
LEAST_RUN_S = 0.5
"""A shorter run gets no sample at its end either."""

Log = Callable[[Mapping[str, float]], None]


class Processes:
    """What a process and its children use. Used by one thread."""

    def __init__(self) -> None:
        import psutil

        self._own = psutil.Process()
        self._ended_s = 0.0
        self._last: dict[int, float] = {}

    def use(self) -> tuple[float, float]:
        """Give processor seconds used so far, those of children that have ended included, and bytes of memory held.

        Of a child that ended between two looks, what it used since the first of them is not known.
        """
        seconds: dict[int, float] = {}
        memory_bytes = 0
        for process in self._family():
            with _gone_ignored(), process.oneshot():
                times = process.cpu_times()
                seconds[process.pid] = times.user + times.system
                memory_bytes += process.memory_info().rss
        self._ended_s += sum(used for pid, used in self._last.items() if pid not in seconds)
        self._last = seconds
        return sum(seconds.values()) + self._ended_s, float(memory_bytes)

    def _family(self) -> list[psutil.Process]:
        with _gone_ignored():
            return [self._own, *self._own.children(recursive=True)]
        return [self._own]


@contextlib.contextmanager
def _gone_ignored() -> Iterator[None]:
    import psutil

    with contextlib.suppress(psutil.Error):
        yield


class Machine:
    """Looks at this machine and the processes of a run. Used by one thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._processes = Processes()
        self._gpus = Gpus()
        self._last = self.use()
        self._idle_s = self._machine_times()[1]

    def use(self) -> Use:
        """Give what the run's processes used up to now."""
        cpu_s, memory_bytes = self._processes.use()
        busy_s, _ = self._machine_times()
        return Use(
            cpu_s=cpu_s,
            busy_s=busy_s,
            memory_bytes=memory_bytes,
            at_s=self._clock.monotonic(),
            gpu_joules=self._gpus.energy_joules(),
        )

    def sample(self, now: Use) -> dict[str, float]:
        """Give the values of the curves since the last sample."""
        import psutil

        last, self._last = self._last, now
        before, self._idle_s = self._idle_s, self._machine_times()[1]
        seconds = max(now.at_s - last.at_s, 1e-9)
        busy_s, idle_s = now.busy_s - last.busy_s, self._idle_s - before
        memory = psutil.virtual_memory()
        return {
            "system/cpu_utilization_percentage": 100.0 * busy_s / max(busy_s + idle_s, 1e-9),
            "system/system_memory_usage_megabytes": memory.used / _MEBIBYTE,
            "system/system_memory_usage_percentage": float(memory.percent),
            "system/process_cpu_percentage": 100.0 * max(now.cpu_s - last.cpu_s, 0.0) / seconds,
            "system/process_memory_megabytes": now.memory_bytes / _MEBIBYTE,
            **self._gpus.sample(),
        }

    def close(self) -> None:
        """Let go of the GPUs."""
        self._gpus.close()

    def _machine_times(self) -> tuple[float, float]:
        import psutil

        times = psutil.cpu_times()
        idle_s = times.idle + getattr(times, "iowait", 0.0)
        # Linux counts the time of guests in `user` and `nice` too.
        twice_s = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
        return sum(times) - idle_s - twice_s, idle_s


class SystemCurves:
    """Samples in a thread of its own for as long as a run goes on.

    Parameters
    ----------
    log
        Takes the values of one sample.

    Attributes
    ----------
    energy_source
        Where the processor's energy comes from; None before the first look.
    """

    def __init__(self, log: Log, capture: Capture, section: TrackingSection, clock: Clock) -> None:
        self._log = log
        self._capture = capture
        self._section = section
        self._clock = clock
        self._started_s = clock.monotonic()
        self._cpu_s = time.process_time()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.energy_source: str | None = None
        shared_ticker().call_later(_SETTLING_S, self._start)

    def stop(self) -> None:
        """Take a last sample and end."""
        with self._lock:
            self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _start(self) -> None:
        with self._lock:
            if not self._stop.is_set():
                self._thread = threading.Thread(target=self._run, name="noria-system", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        with contextlib.suppress(Exception):  # the curves are of use, and never worth a run
            self._sample_on(Machine(self._clock))

    def _sample_on(self, machine: Machine) -> None:
        meter = self._meter(machine.use())
        self.energy_source = meter.source
        for pause_s in self._pauses():
            ending = self._stop.wait(pause_s)
            if ending and self._clock.monotonic() - self._started_s < LEAST_RUN_S:
                break
            self._take(machine, meter)
            if ending:
                break
        machine.close()

    def _meter(self, now: Use) -> EnergyMeter:
        core_watts = self._section.core_watts
        meter = EnergyMeter(now, core_watts=core_watts, memory_watts=self._section.memory_watts)
        # What was used before the first look is estimated.
        meter.joules = max(now.cpu_s - self._cpu_s, 0.0) * core_watts
        return meter

    def _take(self, machine: Machine, meter: EnergyMeter) -> None:
        now = machine.use()
        values = machine.sample(now) if self._capture.system else {}
        if self._capture.energy:
            values[ENERGY] = meter.advance(now)
        self._log(values)

    def _pauses(self) -> Iterator[float]:
        reached_s = _SETTLING_S
        for at_s in _FIRST_SAMPLES_S:
            yield at_s - reached_s
            reached_s = at_s
        while True:
            yield self._section.system_interval_s
