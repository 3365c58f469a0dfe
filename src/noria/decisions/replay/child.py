"""The process that runs an episode's code: it loads modules, computes features, fits and predicts on request.

Started as `python -m noria.decisions.replay.child REQUEST_FD ANSWER_FD FOLDER MEMORY_BYTES`. It holds models by
number and sees only the rows that each request brings.
"""

from __future__ import annotations

import contextlib
import copy
import ctypes
import importlib.util
import os
import signal
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from noria.decisions.replay.confinement import Confinement
from noria.decisions.replay.wire import HEAD, frame_bytes, pack, to_frame, unpack, write_all

_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)
_ERROR_CHARS = 500


def main(arguments: list[str]) -> None:
    """Serve calls until they end."""
    request_fd, answer_fd, memory_bytes = int(arguments[0]), int(arguments[1]), int(arguments[3])
    folder = Path(arguments[2])
    _prepare()
    confinement = Confinement(folder)
    server = _Server()
    sys.path.insert(0, str(folder))
    confinement.close(memory_bytes=memory_bytes)
    with os.fdopen(request_fd, "rb") as source:
        while len(head := source.read(HEAD.size)) == HEAD.size:
            call = unpack(source.read(HEAD.unpack(head)[0]))
            answer = server.answer(call)
            write_all(answer_fd, pack({**answer, "refused": confinement.refused}))


def _prepare() -> None:
    import sklearn.ensemble
    import sklearn.linear_model
    import sklearn.pipeline
    import sklearn.preprocessing

    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL)
    warnings.simplefilter("ignore")
    np.random.seed(0)
    del sklearn


class _Server:
    """Holds modules and models, and answers."""

    def __init__(self) -> None:
        self._modules: list[Any] = []
        self._models: list[Any] = []

    def answer(self, call: dict[str, Any]) -> dict[str, Any]:
        try:
            return {"ok": getattr(self, f"_{call['do']}")(**call["with"])}
        except BaseException as error:  # noqa: BLE001 - whatever an episode's code raises is told
            return {"raised": f"{type(error).__name__}: {error}"[:_ERROR_CHARS]}

    def _load(self, path: str, needs: list[str]) -> int:
        spec = importlib.util.spec_from_file_location(f"episode_{len(self._modules)}", path)
        if spec is None or spec.loader is None:
            raise ImportError(f"{path} is no Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[module.__name__] = module
        spec.loader.exec_module(module)
        for name in needs:
            if not callable(getattr(module, name, None)):
                raise AttributeError(f"it defines no function `{name}`")
        self._modules.append(module)
        return len(self._modules) - 1

    def _features(self, module: int, raw: bytes) -> bytes:
        rows = to_frame(raw)
        found = self._modules[module].features(rows.clone())
        if isinstance(found, pl.LazyFrame):
            found = found.collect()
        if not isinstance(found, pl.DataFrame):
            raise TypeError(f"`features` gave a {type(found).__name__}, not a polars.DataFrame")
        if found.height != rows.height:
            raise ValueError(f"`features` gave {found.height} rows for {rows.height}")
        return frame_bytes(found)

    def _fit(self, module: int, features: bytes, target: bytes) -> dict[str, Any]:
        model = self._modules[module].fit(to_frame(features), to_frame(target).to_series(0))
        if not callable(getattr(model, "predict", None)):
            raise TypeError(f"`fit` gave a {type(model).__name__}, which cannot predict")
        return self._held(model)

    def _fit_own(self, name: str, features: bytes, target: bytes) -> dict[str, Any]:
        from noria.decisions.replay.candidates import fit_candidate

        return self._held(fit_candidate(name, to_frame(features), to_frame(target).to_series(0)))

    def _train_on(self, model: int, features: bytes, target: bytes) -> dict[str, Any]:
        from noria.decisions.continuing import continued

        grown = copy.deepcopy(self._models[model])
        return self._held(continued(grown, to_frame(features), to_frame(target).to_series(0).to_numpy()))

    def _held(self, model: Any) -> dict[str, Any]:
        self._models.append(model)
        classes = getattr(model, "classes_", None)
        return {
            "model": len(self._models) - 1,
            "classes": None if classes is None or _nested(classes) else np.asarray(classes).tolist(),
        }

    def _predict(self, model: int, features: bytes) -> dict[str, Any]:
        held, rows = self._models[model], to_frame(features)
        values = np.asarray(_asked(held.predict, rows)).reshape(rows.height, -1)[:, 0]
        return {"values": values.tolist(), "scores": self._scores(held, rows)}

    def _scores(self, held: Any, rows: pl.DataFrame) -> dict[str, Any] | None:
        for name in ("predict_proba", "decision_function"):
            method = getattr(held, name, None)
            if callable(method):
                with contextlib.suppress(Exception):
                    found = np.asarray(_asked(method, rows), dtype=np.float64).reshape(rows.height, -1)
                    return {"kind": name, "width": found.shape[1], "data": found.tobytes()}
        return None


def _nested(classes: Any) -> bool:
    return np.asarray(classes, dtype=object).ndim != 1


def _asked(method: Any, rows: pl.DataFrame) -> Any:
    """Ask with the frame; an estimator that knows arrays only gets an array."""
    try:
        return method(rows)
    except (TypeError, AttributeError, KeyError, IndexError):
        return method(rows.to_numpy())


if __name__ == "__main__":
    main(sys.argv[1:])
