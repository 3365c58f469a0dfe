"""The caller's side of the process that runs an episode's code: time limits, and what its ends mean."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from noria.core.errors import Failed
from noria.decisions.replay.episode import LIVE, REFERENCE, STREAM, EpisodeInvalid
from noria.decisions.replay.outputs import Predicted, texts
from noria.decisions.replay.wire import HEAD, frame_bytes, pack, to_frame, unpack

if TYPE_CHECKING:
    import polars as pl

KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "TZ", "SYSTEMROOT", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
CALL_TIMEOUT_S = 300.0
MEMORY_BYTES = 16 << 30
"""Address space, of which libraries of numbers reserve far more than they use."""

_LOOK_S = 0.2
_LEFT_OUT = (STREAM, REFERENCE, LIVE, "events.jsonl", "episode.toml")


class CodeRaised(Failed):
    """Code of an episode raised."""

    code = "episode_code_raised"


class Model:
    """A fitted model in the other process."""

    def __init__(self, number: int, classes: list[Any] | None) -> None:
        self.number = number
        self.classes = None if classes is None else texts(classes)


class Runner:
    """Runs an episode's code in a process of its own.

    Parameters
    ----------
    environ
        Of which only what is needed to start is handed on: no credentials.
    timeout_s
        For each call.
    """

    def __init__(
        self, folder: Path, *, environ: Mapping[str, str], timeout_s: float = CALL_TIMEOUT_S
    ) -> None:
        self._timeout_s = timeout_s
        self._scratch = tempfile.TemporaryDirectory(prefix="noria-replay-", ignore_cleanup_errors=True)
        self._place = Path(self._scratch.name).resolve()
        _copy(folder, self._place)
        self._process, self._request, self._answer = self._started(environ)

    def load(self, path: Path, *, needs: tuple[str, ...]) -> int:
        """Load a module of the episode; it is copied beside the pipeline now and did not exist before."""
        target = self._place / path.name
        if path.parent.name == LIVE:
            target = self._place / LIVE / path.name
            target.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, target)
        return int(self._call("load", path.name, path=str(target), needs=list(needs)))

    def features(self, module: int, raw: pl.DataFrame) -> pl.DataFrame:
        """Compute the features of raw rows."""
        return to_frame(self._call("features", "features", module=module, raw=frame_bytes(raw)))

    def fit(self, module: int, features: pl.DataFrame, target: pl.Series) -> Model:
        """Fit the model of a module."""
        found = self._call(
            "fit", "fit", module=module, features=frame_bytes(features), target=_column(target)
        )
        return Model(found["model"], found["classes"])

    def fit_own(self, name: str, features: pl.DataFrame, target: pl.Series) -> Model:
        """Fit one of our own candidates."""
        found = self._call("fit_own", name, name=name, features=frame_bytes(features), target=_column(target))
        return Model(found["model"], found["classes"])

    def train_on(self, model: Model, features: pl.DataFrame, target: pl.Series) -> Model:
        """Train a model on from where it stands; the model itself stays as it is.

        Raises
        ------
        CodeRaised
            If a model of its kind cannot be trained on, or not by these rows.
        """
        found = self._call(
            "train_on",
            "train_on",
            model=model.number,
            features=frame_bytes(features),
            target=_column(target),
        )
        return Model(found["model"], found["classes"])

    def predict(self, model: Model, features: pl.DataFrame, *, classifies: bool) -> Predicted:
        """Predict rows."""
        found = self._call("predict", "predict", model=model.number, features=frame_bytes(features))
        if not classifies:
            return Predicted(values=np.asarray(found["values"], dtype=np.float64))
        return Predicted.of_classes(texts(found["values"]), model.classes, found["scores"])

    def close(self) -> None:
        """End the process with everything that it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for descriptor in (self._request, self._answer):
            os.close(descriptor)
        self._scratch.cleanup()

    def _started(self, environ: Mapping[str, str]) -> tuple[subprocess.Popen[bytes], int, int]:
        request_read, request = os.pipe()
        answer, answer_write = os.pipe()
        kept = {name: environ[name] for name in KEPT_VARIABLES if name in environ}
        place = str(self._place)
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "noria.decisions.replay.child", str(request_read), str(answer_write)),
                *(place, str(MEMORY_BYTES)),
            ],
            cwd=place,
            env={
                **kept,
                **dict.fromkeys(("HOME", "TMPDIR", "XDG_CACHE_HOME", "MPLCONFIGDIR"), place),
                "PYTHONSAFEPATH": "1",
                "PYTHONDONTWRITEBYTECODE": "1",
                "PYTHONHASHSEED": "0",
                "LOKY_MAX_CPU_COUNT": str(os.cpu_count() or 1),
                "OMP_NUM_THREADS": "1",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(request_read, answer_write),
            start_new_session=True,
        )
        os.close(request_read)
        os.close(answer_write)
        os.set_blocking(request, False)
        return process, request, answer

    def _call(self, do: str, what: str, **values: Any) -> Any:
        answer = self._ask(pack({"do": do, "with": values}), what)
        if answer["refused"]:
            raise EpisodeInvalid(f"Code of the episode {answer['refused'][0]}")
        if "raised" in answer:
            raise CodeRaised(f"`{what}` raised {answer['raised']}")
        return answer["ok"]

    def _ask(self, message: bytes, what: str) -> dict[str, Any]:
        deadline = time.monotonic() + self._timeout_s
        unsent, received, wanted = memoryview(message), bytearray(), HEAD.size
        known = False
        while len(received) < wanted:
            if time.monotonic() > deadline:
                raise EpisodeInvalid(f"`{what}` did not end within {self._timeout_s:g} s")
            ready, writable, _ = select.select([self._answer], [self._request] if unsent else [], [], _LOOK_S)
            with contextlib.suppress(BlockingIOError, BrokenPipeError):
                if writable:
                    unsent = unsent[os.write(self._request, unsent) :]
            if ready:
                chunk = os.read(self._answer, min(1 << 20, wanted - len(received)))
                if not chunk:
                    raise EpisodeInvalid(f"The process of the episode's code died in `{what}`")
                received += chunk
            if not known and len(received) >= HEAD.size:
                wanted, known = HEAD.size + HEAD.unpack(received[: HEAD.size])[0], True
        return unpack(bytes(received[HEAD.size :]))


def _copy(folder: Path, place: Path) -> None:
    """Copy what lies beside the pipeline; recorded rows, deployments and events come by request only."""
    for path in folder.iterdir():
        if path.name in _LEFT_OUT or path.is_symlink():
            continue
        if path.is_dir():
            shutil.copytree(path, place / path.name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(path, place / path.name)


def _column(target: pl.Series) -> bytes:
    return frame_bytes(target.alias("target").to_frame())
