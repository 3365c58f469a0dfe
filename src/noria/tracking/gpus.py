"""NVIDIA's GPUs as NVML tells of them, when its Python binding is installed and answers."""

from __future__ import annotations

import importlib
import logging
from typing import Any

_MODULE = "pynvml"
_MEBIBYTE = 1 << 20

_log = logging.getLogger(__name__)


class Gpus:
    """The GPUs of this machine; without NVML there are none. Used by one thread."""

    def __init__(self) -> None:
        self._nvml: Any = None
        self._handles: list[Any] = []
        try:
            self._nvml = importlib.import_module(_MODULE)
            self._nvml.nvmlInit()
            self._handles = [
                self._nvml.nvmlDeviceGetHandleByIndex(number)
                for number in range(self._nvml.nvmlDeviceGetCount())
            ]
        except Exception as error:  # noqa: BLE001 - a foreign library; without it a run is as good
            _log.debug("run.no_gpu", extra={"error": str(error)})

    def sample(self) -> dict[str, float]:
        """Give use, memory and power of each GPU; what a GPU does not tell is left out."""
        values: dict[str, float] = {}
        for number, handle in enumerate(self._handles):
            prefix = f"system/gpu_{number}"
            use = self._ask("nvmlDeviceGetUtilizationRates", handle)
            memory = self._ask("nvmlDeviceGetMemoryInfo", handle)
            milliwatts = self._ask("nvmlDeviceGetPowerUsage", handle)
            if use is not None:
                values[f"{prefix}_utilization_percentage"] = float(use.gpu)
            if memory is not None:
                values[f"{prefix}_memory_usage_megabytes"] = memory.used / _MEBIBYTE
                values[f"{prefix}_memory_usage_percentage"] = 100.0 * memory.used / max(memory.total, 1)
            if milliwatts is not None:
                values[f"{prefix}_power_usage_watts"] = milliwatts / 1000
        return values

    def energy_joules(self) -> float | None:
        """Give the energy that all GPUs used since their driver was loaded; None when they do not tell."""
        told = [self._ask("nvmlDeviceGetTotalEnergyConsumption", handle) for handle in self._handles]
        counted = [millijoules / 1000 for millijoules in told if millijoules is not None]
        return sum(counted) if counted else None

    def close(self) -> None:
        """Let go of NVML."""
        if self._handles:
            self._ask("nvmlShutdown")
            self._handles = []

    def _ask(self, name: str, *arguments: Any) -> Any:
        try:
            return getattr(self._nvml, name)(*arguments)
        except Exception as error:  # noqa: BLE001 - older cards and drivers refuse one or the other question
            _log.debug("run.gpu_is_silent", extra={"question": name, "error": str(error)})
            return None
