"""Curves of the machine and of this process, held against what the process did."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import numpy as np
import pytest

from noria.core.clock import SystemClock
from noria.tracking.settings import Capture, TrackingSection
from noria.tracking.system_metrics import ENERGY, Machine, Processes, SystemCurves
from support.waiting import wait_until


def burn(cpu_s: float) -> None:
    started = time.process_time()
    while time.process_time() - started < cpu_s:
        pass


def test_processor_time_and_memory_of_this_process_are_told() -> None:
    """The system's own counts are the second opinion."""
    processes = Processes()
    before, memory_before = processes.use()
    ballast = np.ones(8 << 20)  # 64 MiB
    burn(0.2)
    after, memory_after = processes.use()

    assert 0.15 <= after - before <= 2.0
    assert after == pytest.approx(sum(os.times()[:2]), abs=0.5)
    assert memory_after - memory_before >= 0.9 * ballast.nbytes


def test_children_count_also_after_their_end() -> None:
    """Workers that come and go used what they used."""
    processes = Processes()
    before, _ = processes.use()
    script = (
        "import sys, time\nwhile time.process_time() < 0.3: pass\nprint('x', flush=True)\nsys.stdin.read()"
    )
    child = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    during, _ = processes.use()
    child.communicate()
    after, _ = processes.use()

    assert during - before >= 0.25
    assert after >= during


def test_a_sample_has_all_curves_in_their_units() -> None:
    """Percentages and megabytes that a machine can have."""
    machine = Machine(SystemClock())
    burn(0.1)
    values = machine.sample(machine.use())
    machine.close()

    assert 0 < values["system/cpu_utilization_percentage"] <= 100
    assert 0 < values["system/system_memory_usage_percentage"] <= 100
    assert values["system/process_cpu_percentage"] > 0
    assert 1 < values["system/process_memory_megabytes"] < values["system/system_memory_usage_megabytes"] * 2


def test_curves_are_sampled_until_the_end() -> None:
    """Short runs have a first and a last sample; the energy only grows."""
    samples: list[dict[str, float]] = []
    curves = SystemCurves(
        lambda values: samples.append(dict(values)), Capture(), TrackingSection(), SystemClock()
    )
    wait_until(lambda: samples)
    burn(0.05)
    curves.stop()

    assert len(samples) >= 2
    assert samples[-1][ENERGY] > samples[0][ENERGY] > 0
    assert curves.energy_source in ("cpu_time", "rapl")


def test_the_shortest_runs_pay_for_nothing() -> None:
    """One that ends within moments starts no thread and gets no sample."""
    samples: list[dict[str, float]] = []
    curves = SystemCurves(
        lambda values: samples.append(dict(values)), Capture(), TrackingSection(), SystemClock()
    )
    curves.stop()

    assert samples == []
    assert curves.energy_source is None


def test_each_has_a_switch() -> None:
    """Energy without curves, for those who want only that."""
    samples: list[dict[str, float]] = []
    curves = SystemCurves(
        lambda values: samples.append(dict(values)), Capture(system=False), TrackingSection(), SystemClock()
    )
    wait_until(lambda: samples)
    curves.stop()

    assert set(samples[0]) == {ENERGY}
