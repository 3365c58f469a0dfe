"""What NVML tells of the GPUs, through a module in its place: there is no card in a test machine."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from noria.tracking.gpus import Gpus

MODULE = """
    from types import SimpleNamespace

    class NVMLError(Exception):
        pass

    closed = []
    def nvmlInit(): pass
    def nvmlShutdown(): closed.append(True)
    def nvmlDeviceGetCount(): return 2
    def nvmlDeviceGetHandleByIndex(number): return number
    def nvmlDeviceGetUtilizationRates(handle): return SimpleNamespace(gpu=40 + handle)
    def nvmlDeviceGetMemoryInfo(handle): return SimpleNamespace(used=256 << 20, total=1 << 30)
    def nvmlDeviceGetPowerUsage(handle):
        if handle == 1:
            raise NVMLError("Not Supported")
        return 75_500
    def nvmlDeviceGetTotalEnergyConsumption(handle):
        if handle == 1:
            raise NVMLError("Not Supported")
        return 12_000
"""


@pytest.fixture
def nvml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path = tmp_path / "pynvml.py"
    path.write_text(dedent(MODULE))
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("pynvml", None)
    yield path
    sys.modules.pop("pynvml", None)


def test_what_the_cards_tell_is_sampled(nvml: Path) -> None:
    """Use, memory and power by card; what a card does not tell is left out, and the others still are."""
    gpus = Gpus()

    assert gpus.sample() == {
        "system/gpu_0_utilization_percentage": 40.0,
        "system/gpu_0_memory_usage_megabytes": 256.0,
        "system/gpu_0_memory_usage_percentage": 25.0,
        "system/gpu_0_power_usage_watts": 75.5,
        "system/gpu_1_utilization_percentage": 41.0,
        "system/gpu_1_memory_usage_megabytes": 256.0,
        "system/gpu_1_memory_usage_percentage": 25.0,
    }
    assert gpus.energy_joules() == 12.0
    gpus.close()
    assert sys.modules["pynvml"].closed == [True]


def test_without_a_driver_there_are_no_cards(nvml: Path) -> None:
    """The module may be there, and no card."""
    nvml.write_text("def nvmlInit(): raise RuntimeError('Driver Not Loaded')")
    gpus = Gpus()

    assert (gpus.sample(), gpus.energy_joules()) == ({}, None)
    gpus.close()


def test_without_the_module_there_are_no_cards() -> None:
    """Most machines have neither."""
    gpus = Gpus()

    assert (gpus.sample(), gpus.energy_joules()) == ({}, None)
