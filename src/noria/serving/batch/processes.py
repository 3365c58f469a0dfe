"""Chunks made by several processes; one that dies is replaced, and its chunk made again."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from bisect import insort
from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Self

import msgspec

from noria.core.errors import Failed, Invalid, error_from_body
from noria.serving.batch.child import Made, ModelPlace
from noria.serving.batch.entities import MAX_WORKERS
from noria.serving.modelserver.pinning import pin_libraries

if TYPE_CHECKING:
    from noria.serving.batch.chunks import Work

DEATHS = 3
"""A chunk at which so many processes died is not tried again."""

_GRACE_S = 5.0
_AT_ONCE = 2
"""Chunks that a process has: one is written, and one predicted."""

_LOADING = -1

Told = Callable[[int], None]
"""Told how many rows were made since it was told last."""


def check_workers(workers: int) -> None:
    """Refuse a number of processes that no run has.

    Raises
    ------
    Invalid
        If it is none, or more than 64.
    """
    if not 1 <= workers <= MAX_WORKERS:
        raise Invalid(f"`workers` cannot be {workers}", hint=f"Give 1 to {MAX_WORKERS}")


class Crew:
    """The processes of one run, which begin to load their libraries when it is made.

    Parameters
    ----------
    n_workers
        How many at most.
    """

    def __init__(self, n_workers: int, environ: Mapping[str, str]) -> None:
        self._n_workers = n_workers
        self._environ = _pinned(environ)
        self._idle = [_Member(self._environ) for _ in range(n_workers)]
        self._members: dict[int, _Member] = {}
        self._done: list[_Member] = []
        self._deaths: Counter[int] = Counter()
        self._engine: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for member in (*self._idle, *self._members.values(), *self._done):
            member.end(now=True)

    def prepare(self, model: ModelPlace) -> None:
        """Have the model loaded that `make` will ask for."""
        for member in self._idle:
            member.load(model)

    def make(self, model: ModelPlace, work: Work, chunks: Collection[int], told: Told) -> str | None:
        """Have chunks made, and give what computes the predictions.

        Raises
        ------
        Failed
            If processes die again and again at one chunk.
        NoriaError
            What a process raised.
        """
        waiting = sorted(chunks)
        while waiting or self._members:
            while waiting and len(self._members) < min(self._n_workers, len(waiting) + self._n_busy()):
                member = self._idle.pop() if self._idle else _Member(self._environ)
                member.begin(model, work)
                self._members[member.answers] = member
            ready, _, _ = select.select(list(self._members), [], [])
            for descriptor in ready:
                self._hear(work, self._members[descriptor], waiting, told)
        return self._engine

    def _n_busy(self) -> int:
        return sum(bool(member.chunks) for member in self._members.values())

    def _hear(self, work: Work, member: _Member, waiting: list[int], told: Told) -> None:
        for made in member.hear():
            if made is None:
                del self._members[member.answers]
                self._bury(work, member, waiting)
                return
            if made.error is not None:
                raise error_from_body(made.error)
            if made.engine is not None:
                self._engine = made.engine
            else:
                member.chunks.popleft()
                told(made.n_rows)
        self._feed(member, waiting)

    def _feed(self, member: _Member, waiting: list[int]) -> None:
        """Hand out a chunk, and one for the time in which that is written; let go of a process that is done."""
        while waiting and len(member.chunks) < _AT_ONCE:
            at_work = {chunk for other in self._members.values() for chunk in other.chunks}
            place = place_of_next(waiting, member.last, at_work)
            if member.chunks and not self._goes_ahead(member, waiting, place):
                break
            member.give(waiting.pop(place))
        if not member.chunks:
            del self._members[member.answers]
            member.let_go()
            self._done.append(member)

    def _goes_ahead(self, member: _Member, waiting: list[int], place: int) -> bool:
        """Tell whether a chunk is handed out before the last one is kept.

        Not one of the last, for which others are free sooner, and none at which a process died: whoever dies at two is
        to tell at which.
        """
        suspects = (waiting[place], *member.chunks)
        return len(waiting) >= len(self._members) and not any(self._deaths[chunk] for chunk in suspects)

    def _bury(self, work: Work, member: _Member, waiting: list[int]) -> None:
        how = member.end()
        for chunk in member.chunks or (_LOADING,):
            self._deaths[chunk] += 1
            if self._deaths[chunk] >= DEATHS:
                doing = "loaded the model"
                if chunk != _LOADING:
                    start, stop = work.bounds(chunk)
                    doing = f"predicted the rows {start} to {stop - 1}"
                raise Failed(
                    f"{DEATHS} processes died while they {doing}; the last one {how}",
                    hint="Did they need more memory than there is? Fewer `--workers` or `--chunk-rows` need less",
                )
        for chunk in member.chunks:
            insort(waiting, chunk)


def place_of_next(waiting: Sequence[int], last: int | None, at_work: Collection[int]) -> int:
    """Tell which of the waiting chunks a process makes next: the one behind its last, whose rows it may have read.

    Else it begins the longest row of chunks, in the middle where another process is about to go on with it.

    Examples
    --------
    >>> place_of_next([1, 2, 3, 4, 5], None, {0}), place_of_next([1, 2, 4, 5], 3, {0}), place_of_next([2, 7, 8], 5, {0})
    (2, 2, 1)
    """
    if last is not None and last + 1 in waiting:
        return waiting.index(last + 1)
    begins = [at for at in range(len(waiting)) if not at or waiting[at - 1] + 1 != waiting[at]]
    ends = [*begins[1:], len(waiting)]
    begin, end = max(zip(begins, ends, strict=True), key=lambda each: each[1] - each[0])
    return (begin + end) // 2 if waiting[begin] - 1 in at_work else begin


class _Member:
    """One process.

    Attributes
    ----------
    answers
        Descriptor that its answers come from.
    chunks
        That it was given and has not kept yet, in their order; `last` is the newest that it was given.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        request_read, self._requests = os.pipe()
        self.answers, answer_write = os.pipe()
        self.chunks: deque[int] = deque()
        self.last: int | None = None
        self._is_loading = False
        self._received = b""
        command = [sys.executable, "-m", "noria.serving.batch.child", str(request_read), str(answer_write)]
        self._process = subprocess.Popen(
            command, env=environ, stdin=subprocess.DEVNULL, pass_fds=(request_read, answer_write)
        )
        os.close(request_read)
        os.close(answer_write)

    def load(self, model: ModelPlace) -> None:
        """Tell it which model to load."""
        self._is_loading = True
        self._send(msgspec.json.encode(model))

    def begin(self, model: ModelPlace, work: Work) -> None:
        """Tell it what it works at, by the model that it was told to load, if it was."""
        if not self._is_loading:
            self.load(model)
        self._send(msgspec.json.encode(work))

    def give(self, chunk: int) -> None:
        """Hand it a chunk."""
        self.chunks.append(chunk)
        self.last = chunk
        self._send(str(chunk).encode())

    def hear(self) -> list[Made | None]:
        """Read the answers that are there, one at least, or are about to be; the last is None when it is gone."""
        while b"\n" not in self._received:
            found = os.read(self.answers, 1 << 16)
            if not found:
                return [None]
            self._received += found
        *lines, self._received = self._received.split(b"\n")
        return [msgspec.json.decode(line, type=Made) for line in lines]

    def let_go(self) -> None:
        """Have it end while nobody waits for it: all that it made is on the disk, and its memory is given back."""
        self._process.kill()

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
