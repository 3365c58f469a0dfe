"""Start a model server, ask it with wrk, and tell requests per second, latency, CPU and memory of all its processes."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

PROGRAMS = Path(__file__).parent / "programs"
_START_S = 120.0
_UNITS_S = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What is sent: a file, its headers, and the connections it is sent on.

    Attributes
    ----------
    is_lines
        Whether each line of the file is a body of its own, sent in turn.
    """

    file: Path
    headers: dict[str, str]
    n_connections: int
    is_lines: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a server did while it was asked.

    Attributes
    ----------
    n
        Answers.
    per_s
        Answers per second.
    cpu_ms
        CPU milliseconds of all its processes for each answer.
    """

    n: int
    per_s: float
    cpu_ms: float
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server to measure.

    Attributes
    ----------
    url
        Where predictions are asked for; `{port}` stands for the port.
    bodies
        By case.
    answers
        Reads the classes out of an answer's headers and body.
    """

    name: str
    command: list[str]
    url: str
    bodies: dict[str, Body]
    answers: Callable[[dict[str, str], bytes], list[int]]
    environment: dict[str, str] = field(default_factory=dict)
    cwd: Path | None = None


class Running:
    """A server that answers."""

    def __init__(self, server: Server, process: subprocess.Popen[bytes], url: str, start_s: float) -> None:
        self._server = server
        self._process = psutil.Process(process.pid)
        self.url = url
        self.start_s = start_s

    def predicted(self, case: str) -> list[int]:
        """Ask once, and give the classes of the answer."""
        return self._server.answers(*_ask(self.url, self._server.bodies[case]))

    def measure(self, case: str, seconds: int, *, pause_ms: int = 0) -> Taken:
        """Ask for some seconds, as fast as it answers, or with so long a pause on average before each request."""
        body = self._server.bodies[case]
        environment = {
            **os.environ,
            "BODY_FILE": str(body.file),
            "PAUSE_MS": str(pause_ms),
            "HEADERS": "|".join(f"{name}={value}" for name, value in body.headers.items()),
        }
        command = ["wrk", "-t1", f"-c{body.n_connections}", f"-d{seconds}s", "--latency", "--timeout", "20s"]
        before_s = sum(self.cpu_s().values())
        told = subprocess.run(
            [*command, "-s", str(PROGRAMS / ("post_lines.lua" if body.is_lines else "post.lua")), self.url],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        used_s = sum(self.cpu_s().values()) - before_s
        if "Non-2xx" in told or "Socket errors" in told:
            raise SystemExit(f"{self._server.name} did not answer all requests:\n{told}")
        n = int(_found(r"(\d+) requests in", told))
        return Taken(
            n=n,
            per_s=float(_found(r"Requests/sec:\s+([\d.]+)", told)),
            cpu_ms=used_s / max(n, 1) * 1e3,
            p50_ms=_milliseconds(_found(r"(?m)^\s+50%\s+(\S+)", told)),
            p99_ms=_milliseconds(_found(r"(?m)^\s+99%\s+(\S+)", told)),
        )

    def memory_mb(self) -> float:
        """Give what all its processes hold; pages that they share count once."""
        total = 0
        for process in self._all():
            try:
                total += process.memory_full_info().pss
            except psutil.NoSuchProcess:
                continue
        return total / 2**20

    def cpu_s(self) -> dict[str, float]:
        """Give the CPU seconds of the process that was started, `parent`, and of all below it, `workers`."""
        found = {"parent": 0.0, "workers": 0.0}
        for process in self._all():
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            found["parent" if process == self._process else "workers"] += times.user + times.system
        return found

    def _all(self) -> list[psutil.Process]:
        return [self._process, *self._process.children(recursive=True)]


@contextmanager
def running(server: Server, log: Path) -> Iterator[Running]:
    """Start a server, wait for its first answer, and end it afterwards with all its processes."""
    if shutil.which("wrk") is None:
        raise SystemExit("`wrk` is not installed: apt-get install wrk")
    port = _free_port()
    command = [part.format(port=port) for part in server.command]
    environment = {**os.environ, **{k: v.format(port=port) for k, v in server.environment.items()}}
    url = server.url.format(port=port)
    began = time.perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=environment, cwd=server.cwd, stdout=output, stderr=output, process_group=0
        )
        try:
            _wait_for(server, url, process, log)
            yield Running(server, process, url, time.perf_counter() - began)
        finally:
            _end(process)


def _wait_for(server: Server, url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    body = next(iter(server.bodies.values()))
    deadline = time.monotonic() + _START_S
    while True:
        try:
            _ask(url, body)
            return
        except OSError as error:
            if isinstance(error, urllib.error.HTTPError) and error.code < 500:
                raise SystemExit(
                    f"{server.name} refuses the request: {error.read().decode()[:1000]}"
                ) from error
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(
                    f"{server.name} does not answer: {error}\n{log.read_text()[-3000:]}"
                ) from error
            time.sleep(0.02)


def _ask(url: str, body: Body) -> tuple[dict[str, str], bytes]:
    content = body.file.read_bytes()
    first = content.splitlines()[0] if body.is_lines else content
    request = urllib.request.Request(url, first, body.headers)  # noqa: S310 - our own server
    with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
        return {name.lower(): value for name, value in answer.headers.items()}, answer.read()


def _end(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(10)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    if match is None:
        raise SystemExit(f"wrk did not tell `{pattern}`:\n{text}")
    return match[1]


def _milliseconds(text: str) -> float:
    match = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text)
    return float("nan") if match is None else float(match[1]) * _UNITS_S[match[2]] * 1e3
