"""Chunks made by several processes; one that dies is replaced, and its chunk made again."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping
from typing import Self

import msgspec

from noria.core.errors import Failed, error_from_body
from noria.serving.batch.child import Made
from noria.serving.batch.chunks import Work
from noria.serving.modelserver.pinning import pin_libraries

DEATHS = 3
"""A chunk at which so many processes died is not tried again."""

_GRACE_S = 5.0

Told = Callable[[int], None]
"""Told how many rows were made since it was told last."""


def make_in_processes(
    work: Work, chunks: Collection[int], n_workers: int, told: Told, environ: Mapping[str, str]
) -> str:
    """Make chunks in processes of their own, and give what computes the predictions.

    Raises
    ------
    Failed
        If processes die again and again at one chunk.
    NoriaError
        What a process raised.
    """
    with _Crew(work, environ) as crew:
        return crew.make(deque(chunks), n_workers, told)


class _Crew:
    """The processes of one run."""

    def __init__(self, work: Work, environ: Mapping[str, str]) -> None:
        self._work = work
        self._environ = _pinned(environ)
        self._members: dict[int, _Member] = {}
        self._deaths: Counter[int] = Counter()
        self._engine = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for member in self._members.values():
            member.end(now=True)

    def make(self, waiting: deque[int], n_workers: int, told: Told) -> str:
        """Have chunks made until none waits and nobody is at one."""
        while waiting or self._members:
            while waiting and len(self._members) < min(n_workers, len(waiting) + self._n_busy()):
                member = _Member(self._work, self._environ)
                self._members[member.answers] = member
            ready, _, _ = select.select(list(self._members), [], [])
            for descriptor in ready:
                self._hear(self._members[descriptor], waiting, told)
        return self._engine

    def _n_busy(self) -> int:
        return sum(member.chunk is not None for member in self._members.values())

    def _hear(self, member: _Member, waiting: deque[int], told: Told) -> None:
        made = member.hear()
        if made is None:
            del self._members[member.answers]
            self._bury(member, waiting)
            return
        if made.error is not None:
            raise error_from_body(made.error)
        if made.engine is not None:
            self._engine = made.engine
        else:
            told(made.n_rows)
        if waiting:
            member.give(waiting.popleft())
        else:
            del self._members[member.answers]
            member.end()

    def _bury(self, member: _Member, waiting: deque[int]) -> None:
        how = member.end()
        chunk = -1 if member.chunk is None else member.chunk
        self._deaths[chunk] += 1
        if self._deaths[chunk] >= DEATHS:
            doing = "loaded the model"
            if chunk >= 0:
                start, stop = self._work.bounds(chunk)
                doing = f"predicted the rows {start} to {stop - 1}"
            raise Failed(
                f"{DEATHS} processes died while they {doing}; the last one {how}",
                hint="Did they need more memory than there is? Fewer `--workers` or `--chunk-rows` need less",
            )
        if chunk >= 0:
            waiting.appendleft(chunk)


class _Member:
    """One process."""

    def __init__(self, work: Work, environ: Mapping[str, str]) -> None:
        request_read, self._requests = os.pipe()
        self.answers, answer_write = os.pipe()
        self.chunk: int | None = None
        self._received = b""
        command = [sys.executable, "-m", "noria.serving.batch.child", str(request_read), str(answer_write)]
        self._process = subprocess.Popen(
            command, env=environ, stdin=subprocess.DEVNULL, pass_fds=(request_read, answer_write)
        )
        os.close(request_read)
        os.close(answer_write)
        self._send(msgspec.json.encode(work))

    def give(self, chunk: int) -> None:
        """Hand it a chunk."""
        self.chunk = chunk
        self._send(str(chunk).encode())

    def hear(self) -> Made | None:
        """Read an answer, which is there or about to be; None when the process is gone."""
        while b"\n" not in self._received:
            found = os.read(self.answers, 1 << 16)
            if not found:
                return None
            self._received += found
        line, _, self._received = self._received.partition(b"\n")
        return msgspec.json.decode(line, type=Made)

    def end(self, *, now: bool = False) -> str:
        """Let it end, without its doing if it must be or when it shall be `now`, and say how it did."""
        os.close(self._requests)
        os.close(self.answers)
        if now:
            self._process.kill()
        try:
            code = self._process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"

    def _send(self, line: bytes) -> None:
        with contextlib.suppress(BrokenPipeError):  # it is gone, which its answers tell
            data = line + b"\n"
            while data:
                data = data[os.write(self._requests, data) :]


def _pinned(environ: Mapping[str, str]) -> dict[str, str]:
    """Give each process one core: there are as many processes as shall compute at once."""
    found = {**environ, "PYTHONSAFEPATH": "1", "POLARS_MAX_THREADS": "1"}
    pin_libraries(found)
    return found
