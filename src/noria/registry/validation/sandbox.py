"""A model in a process of its own, which may hang, die or eat memory without harm to whoever tries it."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import msgspec
import psutil
from numpy.typing import NDArray

from noria.core.errors import Corrupt
from noria.pipelines.children import KEPT_VARIABLES
from noria.registry.entities import ServableVersion
from noria.registry.validation.port import Arrays, OwnAnswer, SubjectGone, SubjectRaised
from noria.registry.validation.wire import HEAD_BYTES, length_of, pack, to_arrays, unpack
from noria.registry.validation.words import ATE, DIED, HUNG, NOT_LOADED

_LOOK_S = 0.05
_LOAD_FACTOR = 4
_REPEAT_S = 5.0
_TAIL_BYTES = 400


class Sandbox:
    """Loads the files of a version in another process, and passes calls to it.

    After `SubjectGone` the next call begins in a new process.

    Parameters
    ----------
    call_timeout_s
        A call that takes longer is ended with the process; loading may take four times as long.
    memory_mb
        Resident memory beyond which the process is ended; None for no bound.
    environ
        Of which the process inherits what has nothing to do with credentials.
    """

    def __init__(
        self,
        folder: Path,
        version: ServableVersion,
        *,
        call_timeout_s: float,
        memory_mb: float | None,
        environ: Mapping[str, str],
    ) -> None:
        self._folder = folder
        self._version = msgspec.json.encode(version)
        self._timeout_s = call_timeout_s
        self._memory_mb = memory_mb
        self._environ = {name: environ[name] for name in KEPT_VARIABLES if name in environ}
        self._process: _Process | None = None
        self._n_started = 0
        self._peak_mb = 0.0
        self.engine = ""

    def predict(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Predict rows."""
        return _arrays(self._call("predict", inputs=dict(inputs)))

    def features(self, inputs: Arrays) -> NDArray[Any]:
        """Give what the last step of the model sees."""
        return _arrays(self._call("features", inputs=dict(inputs)))["features"]

    def timed(self, inputs: Arrays, calls: int) -> list[float]:
        """Predict rows again and again, for some seconds at most, and give the seconds of each call."""
        found = self._call("timed", inputs=dict(inputs), calls=calls, most_s=_REPEAT_S)
        return [float(each) for each in found]

    def growth_mb(self, inputs: Arrays, calls: int) -> float:
        """Predict rows again and again, for some seconds at most, and give by how much the process has grown."""
        return float(self._call("growth", inputs=dict(inputs), calls=calls, most_s=_REPEAT_S))

    def peak_mb(self) -> float:
        """Give the largest resident memory of the processes so far."""
        self._peak_mb = max(self._peak_mb, float(self._call("peak")))
        return self._peak_mb

    def restart(self) -> None:
        """Load the model anew, in another process, whose hashes of texts are salted otherwise."""
        self.peak_mb()
        self.close()
        self._started()

    def own(self, source: str, name: str, folder: str | None, data: Arrays, target: Any) -> list[OwnAnswer]:
        """Run the checks of an own suite beside the model."""
        found = self._call("own", source=source, name=name, folder=folder, data=dict(data), target=target)
        try:
            return msgspec.convert(found, list[OwnAnswer])
        except msgspec.ValidationError as error:
            raise SubjectRaised(f"the suite gave no answers: {error}") from error

    def close(self) -> None:
        """End the process with everything that it started."""
        if self._process is not None:
            self._process.end()
            self._process = None

    def _call(self, do: str, **values: Any) -> Any:
        process = self._process or self._started()
        return self._ask(process, {"do": do, "with": values}, self._timeout_s)

    def _started(self) -> _Process:
        self._n_started += 1
        environ = {
            **self._environ,
            "PYTHONSAFEPATH": "1",
            "PYTHONHASHSEED": str(self._n_started),
            # A file that is edited within a second and keeps its size would be taken for its byte code.
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        self._process = process = _Process(environ)
        load = {"do": "load", "with": {"folder": str(self._folder), "version": self._version}}
        try:
            self.engine = str(self._ask(process, load, _LOAD_FACTOR * self._timeout_s)["engine"])
        except SubjectRaised as error:
            self.close()
            raise SubjectGone(NOT_LOADED, error=str(error)) from error
        return process

    def _ask(self, process: _Process, message: dict[str, Any], timeout_s: float) -> Any:
        try:
            answer = process.ask(message, timeout_s, self._memory_mb)
        except SubjectGone:
            self.close()
            raise
        if "raised" in answer:
            raise SubjectRaised(str(answer["raised"]))
        return answer.get("ok")


class _Process:
    """One process, its pipes and what it wrote."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._wrote: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._folder = tempfile.TemporaryDirectory(prefix="noria-validate-", ignore_cleanup_errors=True)
        request_read, self._request = os.pipe()
        self._answer, answer_write = os.pipe()
        command = [
            *(sys.executable, "-m", "noria.registry.validation.sandbox_child"),
            *(str(request_read), str(answer_write)),
        ]
        self._process = subprocess.Popen(
            command,
            cwd=self._folder.name,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._wrote,
            pass_fds=(request_read, answer_write),
            process_group=0,
        )
        os.close(request_read)
        os.close(answer_write)
        os.set_blocking(self._request, False)

    def ask(self, message: dict[str, Any], timeout_s: float, memory_mb: float | None) -> dict[str, Any]:
        """Send a message and wait for its answer, the process being watched.

        Raises
        ------
        SubjectGone
            If it hung, died, took too much, or wrote something else.
        """
        deadline = time.monotonic() + timeout_s
        unsent, received, wanted = memoryview(pack(message)), bytearray(), HEAD_BYTES
        known = False
        while len(received) < wanted:
            self._look(deadline, timeout_s, memory_mb)
            ready, writable, _ = select.select([self._answer], [self._request] if unsent else [], [], _LOOK_S)
            with contextlib.suppress(BlockingIOError, BrokenPipeError):
                if writable:
                    unsent = unsent[os.write(self._request, unsent) :]
            if ready:
                chunk = os.read(self._answer, min(1 << 20, wanted - len(received)))
                if not chunk:
                    raise SubjectGone(DIED, how=self._how())
                received += chunk
            if not known and len(received) == HEAD_BYTES:
                wanted, known = HEAD_BYTES + self._length(received), True
        try:
            return unpack(bytes(received[HEAD_BYTES:]))
        except Corrupt as error:
            raise SubjectGone(DIED, how=error.message) from error

    def end(self) -> None:
        """End it with everything that it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for descriptor in (self._request, self._answer):
            os.close(descriptor)
        self._wrote.close()
        self._folder.cleanup()

    def _look(self, deadline: float, timeout_s: float, memory_mb: float | None) -> None:
        if time.monotonic() > deadline:
            raise SubjectGone(HUNG, seconds=f"{timeout_s:g}")
        if memory_mb is not None and self._resident_mb() > memory_mb:
            raise SubjectGone(ATE, mb=f"{memory_mb:g}")

    def _resident_mb(self) -> float:
        try:
            return float(psutil.Process(self._process.pid).memory_info().rss) / 1e6
        except psutil.Error:  # it is gone, which the pipe tells
            return 0.0

    def _length(self, head: bytearray) -> int:
        try:
            return length_of(bytes(head))
        except Corrupt as error:
            raise SubjectGone(DIED, how=error.message) from error

    def _how(self) -> str:
        code = self._process.wait()
        end = self._wrote.seek(0, os.SEEK_END)
        self._wrote.seek(max(0, end - _TAIL_BYTES))
        lines = self._wrote.read().decode(errors="replace").strip().splitlines()
        ended = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return f"{ended}; {lines[-1]}" if lines else ended


def _arrays(found: Any) -> dict[str, NDArray[Any]]:
    try:
        return to_arrays(found)
    except Corrupt as error:
        raise SubjectRaised(error.message) from error
