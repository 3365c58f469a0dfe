"""What `noria up` runs: a light parent that starts the server, a worker and a model server, and keeps them up.

It loads none of what its children do. Each child holds the reading end of a pipe (`noria.core.lifeline`), so none
outlives the parent, however that ends.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from noria.core.control.lock import read_server_info
from noria.core.errors import Conflict, Failed, Locked
from noria.core.lifeline import Lifeline

UP_FILE = "up.json"
LOGS_FOLDER = "logs"

SERVER_PORT = 7777
MODEL_SERVER_PORT = 7778

_LOOK_EVERY_S = 0.05
_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 10.0
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 10.0
_STEADY_S = 20.0
"""A child that ran for so long is started again at once when it dies; one that dies sooner waits ever longer."""
_MAX_LOG_BYTES = 16 << 20
_SHOWN_LINES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A child to keep up.

    Attributes
    ----------
    name
        Of its log file.
    label
        What people read.
    arguments
        Of `noria`, without `--parent-fd`.
    url
        Where it answers, if it does.
    ready_path
        Answers 200 once it is ready.
    """

    name: str
    label: str
    arguments: Sequence[str]
    url: str | None = None
    ready_path: str | None = None


@dataclass(slots=True)
class _Child:
    program: Program
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    pause_s: float = _FIRST_PAUSE_S
    start_at: float = 0.0
    n_starts: int = 0


@dataclass(slots=True)
class Supervisor:
    """Starts programs all at once, since each waits for what it needs, and starts again what dies.

    Parameters
    ----------
    folder
        Of the workspace: `up.json` and the logs go there.
    environ
        Of the children.
    on_ready
        Called once, when all are.
    tell
        Called with a line for whatever happens later.
    """

    folder: Path
    programs: Sequence[Program]
    environ: Mapping[str, str]
    on_ready: Callable[[], None]
    tell: Callable[[str], None]
    _children: list[_Child] = field(default_factory=list)
    _lifeline: Lifeline = field(default_factory=Lifeline)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _is_ready: bool = False

    def run(self) -> None:
        """Keep the programs up until SIGTERM or SIGINT.

        Raises
        ------
        Failed
            If one of them ends before it is ready for the first time; its log is named.
        """
        self._children = [_Child(program) for program in self.programs]
        (self.folder / LOGS_FOLDER).mkdir(mode=0o700, parents=True, exist_ok=True)
        before = {
            number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            for child in self._children:
                self._start(child)
            for child in self._children:
                self._await_ready(child)
            if not self._stopping.is_set():
                self._write_state(ready=True)
                self.on_ready()
            while not self._stopping.wait(_LOOK_EVERY_S):
                self._look_after()
        finally:
            self._end_all()
            (self.folder / UP_FILE).unlink(missing_ok=True)
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, _number: int, _frame: object) -> None:
        self._stopping.set()

    def _start(self, child: _Child) -> None:
        if self._stopping.is_set():
            return
        fd = str(self._lifeline.child_fd)
        command = [sys.executable, "-m", "noria.cli", *child.program.arguments, "--parent-fd", fd]
        with _open_log(self.log_of(child.program)) as log:
            child.process = subprocess.Popen(
                command,
                env=dict(self.environ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[self._lifeline.child_fd],
                # Ctrl-C in the terminal reaches the parent alone, which ends its children in order.
                start_new_session=True,
            )
        child.started_at = time.monotonic()
        child.n_starts += 1
        self._write_state()

    def log_of(self, program: Program) -> Path:
        """Give where a program's output goes."""
        return self.folder / LOGS_FOLDER / f"{program.name}.log"

    def _await_ready(self, child: _Child) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self._stopping.wait(_LOOK_EVERY_S):
            process = child.process
            if process is None or process.poll() is not None:
                raise _not_started(child.program, self.log_of(child.program))
            if is_ready(child.program):
                return
            if time.monotonic() > deadline:
                raise Failed(
                    f"`noria {child.program.name}` was not ready within {_START_TIMEOUT_S:g} s",
                    hint=f"See `{self.log_of(child.program)}`",
                )

    def _look_after(self) -> None:
        now = time.monotonic()
        for child in self._children:
            if child.process is not None and child.process.poll() is not None:
                self._note_end(child, child.process.returncode, now)
            if child.process is None and now >= child.start_at:
                self._start(child)

    def _note_end(self, child: _Child, code: int, now: float) -> None:
        steady = now - child.started_at >= _STEADY_S
        child.pause_s = _FIRST_PAUSE_S if steady else min(2 * child.pause_s, _LONGEST_PAUSE_S)
        child.process = None
        child.start_at = now + child.pause_s
        self.tell(
            f"`noria {child.program.name}` ended ({describe_end(code)}); it is started again in {child.pause_s:.1f} s, "
            f"see `{self.log_of(child.program)}`"
        )

    def _end_all(self) -> None:
        """End the children in the reverse order of their start, so that each can still reach those before it."""
        deadline = time.monotonic() + _STOP_TIMEOUT_S
        for child in reversed(self._children):
            if child.process is not None and child.process.poll() is None:
                child.process.terminate()
                _wait(child.process, max(0.1, deadline - time.monotonic()))
        for child in self._children:
            if child.process is not None and child.process.poll() is None:
                child.process.kill()
                child.process.wait()
        self._lifeline.close()

    def _write_state(self, *, ready: bool | None = None) -> None:
        self._is_ready = self._is_ready if ready is None else ready
        state = {
            "pid": os.getpid(),
            "ready": self._is_ready,
            "children": {
                child.program.name: {
                    "pid": child.process.pid if child.process else None,
                    "url": child.program.url,
                    "log": str(self.log_of(child.program)),
                    "n_starts": child.n_starts,
                }
                for child in self._children
            },
        }
        _write_privately(self.folder / UP_FILE, json.dumps(state).encode())


def plan_programs(
    folder: Path, *, port: int | None, serve_port: int | None, serve_workers: int = 1
) -> list[Program]:
    """Give what `noria up` starts, each on a port that is free.

    Parameters
    ----------
    serve_workers
        Processes of the model server that answer.

    Raises
    ------
    Conflict
        If a port that was asked for is in use.
    """
    server_port = choose_port(port, SERVER_PORT, "--port")
    model_port = choose_port(serve_port, MODEL_SERVER_PORT, "--serve-port", taken=[server_port])
    place = ["--workspace", str(folder)]
    return [
        Program(
            name="server",
            label="Noria",
            arguments=["server", *place, "--port", str(server_port)],
            url=f"http://127.0.0.1:{server_port}",
            ready_path="/health/ready",
        ),
        Program(name="worker", label="Worker", arguments=["worker", *place]),
        Program(
            name="serve",
            label="Model server",
            arguments=[
                *("serve", "--managed", *place),
                *("--port", str(model_port), "--workers", str(serve_workers)),
            ],
            url=f"http://127.0.0.1:{model_port}",
            ready_path="/v2/health/ready",
        ),
    ]


def refuse_second(folder: Path) -> None:
    """Refuse to start on a folder that has a running server.

    Raises
    ------
    Locked
        With the address of the one that runs.
    """
    running = read_server_info(folder)
    if running is not None:
        raise Locked(
            f"The workspace `{folder}` has a server already, which answers at {running.url}",
            hint=f"Use that one, or end it: `kill {running.pid}`",
            details={"url": running.url, "pid": running.pid},
        )


def is_ready(program: Program) -> bool:
    """Tell whether a program answers that it is ready; one that does not answer at all is ready when it runs."""
    if program.url is None or program.ready_path is None:
        return True
    parts = urlsplit(program.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=2.0)
    try:
        connection.request("GET", program.ready_path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def choose_port(given: int | None, preferred: int, option: str, taken: Sequence[int] = ()) -> int:
    """Give the port that was asked for if it is free; else the preferred one, or any that is free.

    Raises
    ------
    Conflict
        If the one that was asked for is in use.
    """
    if given:
        if not _is_free(given):
            raise Conflict(
                f"Another program listens on port {given}",
                hint=f"End it, choose another with `{option}`, or leave `{option}` out for any free port",
                details={"port": given},
            )
        return given
    if preferred not in taken and _is_free(preferred):
        return preferred
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def describe_end(code: int) -> str:
    """Say how a process ended.

    Examples
    --------
    >>> describe_end(1), describe_end(-9)
    ('exit code 1', 'killed by SIGKILL')
    """
    return f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"


def _not_started(program: Program, log: Path) -> Failed:
    said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-_SHOWN_LINES:]
    return Failed(
        "\n  ".join([f"`noria {program.name}` ended before it was ready:", *(said or ["it said nothing"])]),
        hint=f"See `{log}`",
    )


def _wait(process: subprocess.Popen[bytes], timeout_s: float) -> None:
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            return False
        return True


def _open_log(path: Path) -> BinaryIO:
    if path.exists() and path.stat().st_size > _MAX_LOG_BYTES:
        path.replace(path.with_suffix(".log.1"))
    return path.open("ab")


def _write_privately(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, content)
    finally:
        os.close(descriptor)
    draft.replace(path)
