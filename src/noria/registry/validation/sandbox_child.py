"""The process in which a model is tried: it loads the model and answers calls, one after the other.

Started as `python -m noria.registry.validation.sandbox_child REQUEST_FD ANSWER_FD`. The end of the requests means that
the validation is over or gone, and then this process ends at once, whatever the model is doing.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import queue
import resource
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import psutil

from noria.registry.entities import ServableVersion
from noria.registry.runtimes.port import LoadedModel, load_model
from noria.registry.validation.own import run_suite
from noria.registry.validation.wire import HEAD_BYTES, length_of, pack, to_arrays, unpack, write_all

_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)
_ERROR_CHARS = 500
_WARM_CALLS = 20
_MOST_BYTES_WRITTEN = 1 << 28


def main(arguments: list[str]) -> None:
    """Serve calls until they end."""
    request_fd, answer_fd = int(arguments[0]), int(arguments[1])
    _bind_life()
    calls: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_read_calls, args=(request_fd, calls), daemon=True).start()
    server = _Server()
    while True:
        call = calls.get()
        write_all(answer_fd, pack(server.answer(call)))


class _Server:
    """Holds the model, and answers."""

    def __init__(self) -> None:
        self._model: LoadedModel | None = None
        self._process = psutil.Process()

    def answer(self, call: dict[str, Any]) -> dict[str, Any]:
        try:
            return {"ok": getattr(self, f"_{call['do']}")(**call["with"])}
        except BaseException as error:  # noqa: BLE001 - whatever a model raises is what the validation is for
            return {"raised": f"{type(error).__name__}: {error}"[:_ERROR_CHARS]}

    def _load(self, folder: str, version: bytes) -> dict[str, Any]:
        decoded = msgspec.json.decode(version, type=ServableVersion)
        # What answers in production is what is tried.
        self._model = load_model(Path(folder), decoded, fast=True)
        return {"engine": str(getattr(self._model, "engine", "native"))}

    def _predict(self, inputs: dict[str, Any]) -> dict[str, Any]:
        return dict(self._loaded.predict(to_arrays(inputs)))

    def _features(self, inputs: dict[str, Any]) -> dict[str, Any]:
        return {"features": self._loaded.features(to_arrays(inputs))}

    def _timed(self, inputs: dict[str, Any], calls: int, most_s: float) -> list[float]:
        arrays, began = to_arrays(inputs), time.perf_counter()
        took: list[float] = []
        self._loaded.predict(arrays)
        while len(took) < calls and (not took or time.perf_counter() - began < most_s):
            at = time.perf_counter()
            self._loaded.predict(arrays)
            took.append(time.perf_counter() - at)
        return took

    def _growth(self, inputs: dict[str, Any], calls: int, most_s: float) -> float:
        arrays = to_arrays(inputs)
        for _ in range(_WARM_CALLS):
            self._loaded.predict(arrays)
        gc.collect()
        before, began = self._process.memory_info().rss, time.perf_counter()
        for _ in range(calls):
            self._loaded.predict(arrays)
            if time.perf_counter() - began > most_s:
                break
        gc.collect()
        return (self._process.memory_info().rss - before) / 1e6

    def _peak(self) -> float:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6

    def _own(
        self, source: str, name: str, folder: str | None, data: dict[str, Any], target: Any
    ) -> list[dict[str, Any]]:
        rows = to_arrays(data)
        labels = None if target is None else to_arrays({"y": target})["y"]
        return run_suite(source, name, folder, self._loaded, rows, labels)

    @property
    def _loaded(self) -> LoadedModel:
        if self._model is None:
            raise RuntimeError("no model is loaded")
        return self._model


def _read_calls(descriptor: int, calls: queue.SimpleQueue[dict[str, Any]]) -> None:
    with os.fdopen(descriptor, "rb") as source:
        while len(head := source.read(HEAD_BYTES)) == HEAD_BYTES:
            calls.put(unpack(source.read(length_of(head))))
    os.killpg(0, signal.SIGKILL)


def _bind_life() -> None:
    """End with the parent even while the model holds the interpreter, be the first to go when memory is short."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (_MOST_BYTES_WRITTEN, _MOST_BYTES_WRITTEN))


if __name__ == "__main__":
    main(sys.argv[1:])
