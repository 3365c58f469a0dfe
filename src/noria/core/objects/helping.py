"""A process that helps this one with what two threads of one Python cannot do at the same time.

It is a fork, made before this process has other threads or open databases, neither of which would survive it whole;
so the function that it runs must not touch a database that was opened before. Requests and answers go through pipes.
It ends with the process that made it: it finds the pipe closed, and leaves nothing half done that a killed process
would not leave.
"""

from __future__ import annotations

import contextlib
import itertools
import mmap
import os
import pickle
import select
import struct
import sys
import threading
from collections.abc import Callable
from typing import Any, Final, Self

from noria.core.errors import Failed

AHEAD: Final = 3
"""Most requests that wait for their answers."""

_PIPE_BYTES: Final = 1024 * 1024
_USUAL_PIPE_BYTES: Final = 64 * 1024
_SET_PIPE_SIZE: Final = 1031  # F_SETPIPE_SZ, which older versions of `fcntl` do not name
_HEAD: Final = struct.Struct("<Q")
_SLOT_BYTES: Final = 2 * 1024 * 1024
_N_SLOTS: Final = AHEAD + 1


class Helper:
    """Answers requests in a process of its own, in their order. For one thread.

    Parameters
    ----------
    answer
        Gives the answer to a request; both must be such that `pickle` can carry them. What it raises is raised by
        `take`. Bytes that the answer wraps in `pickle.PickleBuffer` come back as bytes, through memory that both
        processes share: through the pipe they would be copied four times.
    """

    def __init__(self, answer: Callable[[Any], Any]) -> None:
        request_read, self._request_write = os.pipe()
        self._answer_read, answer_write = os.pipe()
        self.n_asked = 0
        self._n_taken = 0
        self._shared = mmap.mmap(-1, _N_SLOTS * _SLOT_BYTES)
        sys.stdout.flush()
        sys.stderr.flush()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._request_write)
            os.close(self._answer_read)
            _serve_and_end(answer, request_read, answer_write, self._shared)
        os.close(request_read)
        os.close(answer_write)
        _enlarge(self._answer_read)
        # All requests that wait fit into the pipe, so that asking never waits.
        self._max_request_bytes = _enlarge(self._request_write) // (AHEAD + 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Wait until it has ended; what it is at comes to its end, and no more."""
        os.close(self._request_write)
        os.close(self._answer_read)
        os.waitpid(self._pid, 0)
        self._shared.close()

    def ask(self, request: object) -> bool:
        """Ask for something, unless enough is asked for, or the request is too long; tell whether it was."""
        if self.n_asked >= AHEAD:
            return False
        data = pickle.dumps(request, pickle.HIGHEST_PROTOCOL)
        if len(data) > self._max_request_bytes:
            return False
        with contextlib.suppress(BrokenPipeError):  # `take` says so
            _write(self._request_write, data)
        self.n_asked += 1
        return True

    @property
    def is_ready(self) -> bool:
        """Whether an answer can be taken without waiting until it begins to come."""
        return self.n_asked > 0 and bool(select.select([self._answer_read], [], [], 0)[0])

    def take(self) -> Any:
        """Wait for the answer to the oldest request, and give it.

        Raises
        ------
        Failed
            If the process ended before, killed by somebody.
        """
        data = _read(self._answer_read)
        self.n_asked -= 1
        if data is None:
            raise Failed("The process that helped this one was killed", hint="Try again")
        # From our own child, by a pipe and memory that nobody else has.
        lengths, packed = pickle.loads(data)  # noqa: S301
        found = pickle.loads(packed, buffers=self._shared_bytes(lengths))  # noqa: S301
        if isinstance(found, BaseException):
            raise found
        return found

    def _shared_bytes(self, lengths: list[int]) -> list[bytes]:
        """Copy what an answer left in its slot, which is written to again when `_N_SLOTS` more were taken."""
        end = self._n_taken % _N_SLOTS * _SLOT_BYTES
        self._n_taken += 1
        found = []
        for length in lengths:
            begin, end = end, end + length
            found.append(self._shared[begin:end])
        return found


def helper(answer: Callable[[Any], Any]) -> contextlib.AbstractContextManager[Helper | None]:
    """Start a helper; None where it could not help: with a single processor, or where this process has threads."""
    if not hasattr(os, "fork") or (os.cpu_count() or 1) < 2 or threading.active_count() > 1:
        return contextlib.nullcontext()
    return Helper(answer)


def _serve_and_end(answer: Callable[[Any], Any], requests: int, answers: int, shared: mmap.mmap) -> None:
    """Answer until nobody asks any more, and end without anything that only the parent is to do at its end."""
    slots = itertools.cycle(range(0, _N_SLOTS * _SLOT_BYTES, _SLOT_BYTES))
    try:
        while (data := _read(requests)) is not None:
            try:
                found = answer(pickle.loads(data))  # noqa: S301 - from our own parent
            except Exception as error:  # noqa: BLE001 - raised where it can be told
                found = error
            _write(answers, _packed(found, shared, next(slots)))
    finally:
        os._exit(0)


def _packed(found: object, shared: mmap.mmap, begin: int) -> bytes:
    """Put what an answer wraps into its slot, and give the rest of it; all of it if there is more than fits."""
    buffers: list[pickle.PickleBuffer] = []
    packed = pickle.dumps(found, pickle.HIGHEST_PROTOCOL, buffer_callback=buffers.append)
    views = [buffer.raw() for buffer in buffers]
    if sum(map(len, views)) > _SLOT_BYTES:
        packed, views = pickle.dumps(found, pickle.HIGHEST_PROTOCOL), []
    for view in views:
        shared[begin : begin + len(view)] = view
        begin += len(view)
    return pickle.dumps(([len(view) for view in views], packed), pickle.HIGHEST_PROTOCOL)


def _write(fd: int, data: bytes) -> None:
    for part in (_HEAD.pack(len(data)), data):
        view = memoryview(part)
        while view:
            view = view[os.write(fd, view) :]


def _read(fd: int) -> bytes | None:
    head = _read_exactly(fd, _HEAD.size)
    return None if head is None else _read_exactly(fd, _HEAD.unpack(head)[0])


def _read_exactly(fd: int, length: int) -> bytes | None:
    """Read so many bytes; None if they end before."""
    parts = []
    while length:
        part = os.read(fd, min(length, _PIPE_BYTES))
        if not part:
            return None
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def _enlarge(fd: int) -> int:
    """Let a pipe hold more, where the system can, and tell how much it holds."""
    import fcntl

    with contextlib.suppress(OSError):
        return fcntl.fcntl(fd, _SET_PIPE_SIZE, _PIPE_BYTES)
    return _USUAL_PIPE_BYTES
