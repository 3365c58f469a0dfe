"""The estimate of energy, against its formula and a processor's counters."""

from __future__ import annotations

from pathlib import Path

import pytest

from noria.tracking.energy import EnergyMeter, Use

START = Use(cpu_s=10.0, busy_s=100.0, memory_bytes=2e9, at_s=0.0)


def after(seconds: float, *, cpu_s: float, busy_s: float = 0.0, gpu_joules: float | None = None) -> Use:
    return Use(
        cpu_s=10.0 + cpu_s, busy_s=100.0 + busy_s, memory_bytes=2e9, at_s=seconds, gpu_joules=gpu_joules
    )


def package(folder: Path, microjoules: int, *, greatest: int = 10**12) -> Path:
    place = folder / "intel-rapl:0"
    place.mkdir(parents=True, exist_ok=True)
    (place / "energy_uj").write_text(f"{microjoules}\n")
    (place / "max_energy_range_uj").write_text(f"{greatest}\n")
    return place


def test_without_counters_processor_time_and_memory_count(tmp_path: Path) -> None:
    """E = t_cpu · P_core + m · t · P_memory: 3 s at 12 W, and 2 GB for 10 s at 0.5 W."""
    meter = EnergyMeter(START, core_watts=12.0, memory_watts=0.5, powercap=tmp_path)

    assert meter.source == "cpu_time"
    assert meter.advance(after(10.0, cpu_s=3.0)) == pytest.approx(3 * 12.0 + 2 * 10 * 0.5)
    assert meter.advance(after(20.0, cpu_s=3.0)) == pytest.approx(3 * 12.0 + 2 * 20 * 0.5)


def test_counters_are_shared_by_processor_time(tmp_path: Path) -> None:
    """A run that had a quarter of the busy time gets a quarter of the package's joules."""
    package(tmp_path, 5_000_000)
    meter = EnergyMeter(START, core_watts=12.0, memory_watts=0.0, powercap=tmp_path)
    package(tmp_path, 105_000_000)

    assert meter.source == "rapl"
    assert meter.advance(after(10.0, cpu_s=2.0, busy_s=8.0)) == pytest.approx(25.0)


def test_a_counter_that_begins_anew_loses_nothing(tmp_path: Path) -> None:
    """Its greatest value says how far it came."""
    package(tmp_path, 9_000_000, greatest=10_000_000)
    meter = EnergyMeter(START, core_watts=12.0, memory_watts=0.0, powercap=tmp_path)
    package(tmp_path, 3_000_000, greatest=10_000_000)

    assert meter.advance(after(1.0, cpu_s=1.0, busy_s=1.0)) == pytest.approx(4.0)


def test_parts_of_a_package_do_not_count_again(tmp_path: Path) -> None:
    """`intel-rapl:0:0` is within `intel-rapl:0`."""
    package(tmp_path, 0)
    inner = tmp_path / "intel-rapl:0:0"
    inner.mkdir()
    (inner / "energy_uj").write_text("0")
    meter = EnergyMeter(START, core_watts=12.0, memory_watts=0.0, powercap=tmp_path)
    package(tmp_path, 1_000_000)
    (inner / "energy_uj").write_text("1000000")

    assert meter.advance(after(1.0, cpu_s=1.0, busy_s=1.0)) == pytest.approx(1.0)


def test_counters_that_only_root_may_read_are_no_counters(tmp_path: Path) -> None:
    """Most systems hide them; then the estimate holds."""
    (package(tmp_path, 0) / "energy_uj").unlink()
    meter = EnergyMeter(START, core_watts=12.0, memory_watts=0.0, powercap=tmp_path)

    assert meter.source == "cpu_time"
    assert meter.advance(after(1.0, cpu_s=1.0)) == pytest.approx(12.0)


def test_gpus_count_as_a_whole(tmp_path: Path) -> None:
    """From the second look on; one that falls silent costs only its part."""
    meter = EnergyMeter(START, core_watts=0.0, memory_watts=0.0, powercap=tmp_path)

    assert meter.advance(after(1.0, cpu_s=0.0, gpu_joules=100.0)) == 0.0
    assert meter.advance(after(2.0, cpu_s=0.0, gpu_joules=130.0)) == pytest.approx(30.0)
    assert meter.advance(after(3.0, cpu_s=0.0)) == pytest.approx(30.0)
