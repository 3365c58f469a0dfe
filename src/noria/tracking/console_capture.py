"""Keep what Python writes to stdout and stderr while a run goes on.

`sys.stdout` and `sys.stderr` are replaced by objects that pass everything on and take a copy. What programs and
libraries write past Python, straight to the file descriptors, is not seen.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TextIO

from noria.tracking.redaction import LineRedactor, Redactor

MAX_BYTES = 4 << 20
"""Of longer output the beginning and the end are kept."""

_MAX_LINE_CHARS = 20_000
_STREAMS = ("stdout", "stderr")

Listener = Callable[[str, str], None]


class Tee:
    """Stands in the place of a stream: passes on what is written, and tells it to whoever listens."""

    def __init__(self, name: str, stream: TextIO) -> None:
        self._name = name
        self._stream = stream
        self.listeners: tuple[Listener, ...] = ()

    def write(self, text: str) -> int:
        """Write to the stream, and tell."""
        n_chars = self._stream.write(text)
        for listener in self.listeners:
            listener(self._name, text)
        return n_chars

    def writelines(self, lines: Iterable[str]) -> None:
        """Write several."""
        for line in lines:
            self.write(line)

    def __iter__(self) -> Any:
        return iter(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class Tees:
    """The streams of this process with everybody who listens; they are put back when nobody does."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tees: dict[str, Tee] = {}

    def listen(self, listener: Listener) -> None:
        """Tell `listener` (name of the stream, text) everything from now on."""
        with self._lock:
            for name in _STREAMS:
                self._tee(name).listeners += (listener,)

    def leave(self, listener: Listener) -> None:
        """Tell it nothing more."""
        with self._lock:
            for name, tee in list(self._tees.items()):
                tee.listeners = tuple(each for each in tee.listeners if each != listener)
                if not tee.listeners and getattr(sys, name) is tee:
                    setattr(sys, name, tee._stream)
                    del self._tees[name]

    def after_fork(self) -> None:
        """Listen to nothing in a process made by fork: its output is not the run's alone."""
        self._lock = threading.Lock()
        for tee in self._tees.values():
            tee.listeners = ()

    def _tee(self, name: str) -> Tee:
        current = getattr(sys, name)
        known = self._tees.get(name)
        if known is not None and current is known:
            return known
        # Somebody else has put a stream of his own in place since, which may pass on to ours.
        made = Tee(name, current)
        if known is not None:
            made.listeners, known.listeners = known.listeners, ()
        self._tees[name] = made
        setattr(sys, name, made)
        return made


class ConsoleLog:
    """A run's copy of the console: gathered in memory, written to a file line by line, without secrets.

    Parameters
    ----------
    path
        File that grows with the output; what is in it outlives the process.
    """

    def __init__(self, path: Path, redactor: Redactor) -> None:
        self._path = path
        self._heard: list[tuple[str, str]] = []
        self._partial = dict.fromkeys(_STREAMS, "")
        self._redactors = {name: LineRedactor(redactor) for name in _STREAMS}
        self._writing = threading.Lock()
        self.n_bytes = 0

    def hear(self, stream: str, text: str) -> None:
        """Take in what was written."""
        self._heard.append((stream, text))

    def write(self, *, ending: bool = False) -> None:
        """Write down whole lines; at the end the last one too, whole or not."""
        with self._writing:
            n_heard = len(self._heard)
            lines = [line for part in self._heard[:n_heard] for line in self._lines(*part)]
            del self._heard[:n_heard]
            if ending:
                lines += [line for name in _STREAMS for line in self._rest(name)]
            if lines:
                self._append("".join(f"{line}\n" for line in lines).encode(errors="replace"))

    def content(self) -> bytes:
        """Give what was written so far."""
        with self._writing, contextlib.suppress(FileNotFoundError):
            return self._path.read_bytes()
        return b""

    def _lines(self, name: str, text: str) -> list[str]:
        *whole, rest = (self._partial[name] + text).split("\n")
        self._partial[name] = _last_state(rest)[-_MAX_LINE_CHARS:]
        return self._redactors[name].lines(_last_state(line)[:_MAX_LINE_CHARS] for line in whole)

    def _rest(self, name: str) -> list[str]:
        rest, self._partial[name] = self._partial[name], ""
        return self._redactors[name].lines([rest]) if rest else []

    def _append(self, data: bytes) -> None:
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, data)
        finally:
            os.close(descriptor)
        self.n_bytes += len(data)
        if self.n_bytes > 2 * MAX_BYTES:
            self._shorten()

    def _shorten(self) -> None:
        content = self._path.read_bytes()
        head = content[: MAX_BYTES // 2].rpartition(b"\n")[0]
        tail = content[-MAX_BYTES // 2 :].partition(b"\n")[2]
        left_out = f"\n… {len(content) - len(head) - len(tail)} bytes are not kept …\n".encode()
        draft = self._path.with_suffix(".new")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(head + left_out + tail)
        draft.replace(self._path)
        self.n_bytes = len(head) + len(left_out) + len(tail)


def _last_state(line: str) -> str:
    """Give what a terminal shows in the end of a line that a progress bar wrote again and again."""
    return line.removesuffix("\r").rpartition("\r")[2]
