"""Real child processes with captured output, all of them ended with the test."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from support.waiting import wait_until

MARK = "TEST_PROCESS_MARK"
"""Environment variable that every descendant inherits, by which it is found even in a session of its own."""


@dataclass(frozen=True, slots=True)
class RunningProcess:
    """A started child; its output (both streams) goes to the file `log`."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        """The child's process id, which is also the id of its group."""
        return self.process.pid

    @property
    def running(self) -> bool:
        """Whether the child has not ended yet."""
        return self.process.poll() is None

    def output(self) -> str:
        """Give all that the child has written so far."""
        return self.log.read_text(errors="replace")

    def wait_for_output(self, text: str, timeout_s: float = 60.0) -> str:
        """Wait until `text` appears in the output, and give the first line that holds it."""
        wait_until(
            lambda: text in self.output() or not self.running,
            timeout_s,
            lambda: f"`{self.name}` did not write `{text}`; its output:\n{self.output()}",
        )
        for line in self.output().splitlines():
            if text in line:
                return line
        code = self.process.returncode
        raise AssertionError(f"`{self.name}` ended ({code}) before it wrote `{text}`:\n{self.output()}")

    def wait(self, timeout_s: float = 60.0) -> int:
        """Wait for the child to end by itself and give its exit code."""
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            text = f"`{self.name}` did not end in {timeout_s:g} s; its output:\n{self.output()}"
            raise AssertionError(text) from error

    def stop(self, timeout_s: float = 30.0) -> int:
        """Ask the child to end (SIGTERM) and give its exit code."""
        self.process.terminate()
        return self.wait(timeout_s)

    def kill(self) -> int:
        """End the child alone, without warning (SIGKILL), as a crash would; its own children live on."""
        self.process.kill()
        return self.wait()


@dataclass(slots=True)
class Processes:
    """Starts children for one test and ends all of them, with all their descendants."""

    folder: Path
    mark: str = field(default_factory=lambda: secrets.token_hex(8))
    started: list[RunningProcess] = field(default_factory=list)

    def start(
        self,
        command: Sequence[str | Path],
        *,
        name: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> RunningProcess:
        """Start a child in a process group of its own.

        Parameters
        ----------
        name
            What reports call it; the program's file name if not given.
        env
            Variables set on top of the test's own environment.
        """
        argv = [str(part) for part in command]
        name = name or Path(argv[0]).name
        log = self.folder / f"{len(self.started):02d}-{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                argv,
                cwd=cwd or self.folder,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **(env or {}), MARK: self.mark},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        child = RunningProcess(name, process, log)
        self.started.append(child)
        return child

    def end_all(self) -> None:
        """Kill every child and whatever they started, wherever it moved to, and collect them."""
        for child in self.started:
            _kill_group(child.pid)
        for survivor in self._marked():
            survivor.kill()
        for child in self.started:
            child.wait()

    def survivors(self) -> list[int]:
        """List the processes that children started and that still run."""
        own = {child.pid for child in self.started}
        return [process.pid for process in self._marked() if process.pid not in own]

    def _marked(self) -> list[psutil.Process]:
        return [process for process in psutil.process_iter() if _mark_of(process) == self.mark]


def _kill_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


def _mark_of(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(MARK)
    except (psutil.Error, OSError):
        return None
