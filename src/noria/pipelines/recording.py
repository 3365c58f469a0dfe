"""What a step tells while it runs (lineage, metrics, files it reads), kept so that a reused step can tell it again."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from noria.core.errors import NoriaError
from noria.core.lineage import Recorder
from noria.pipelines.distributions import is_library
from noria.pipelines.entities import Followed, Logged, ReadFile
from noria.pipelines.paths import digest_of_path
from noria.tracking.entities import Link

MOST_LOGGED = 10_000
"""Points that a step may log and still be reused: more would make its cache entry heavier than its outputs."""

MOST_FILES_READ = 10_000

_READS = os.O_RDONLY, os.O_RDWR
_SYSTEM = ("/proc/", "/sys/", "/dev/", "/etc/", "/usr/share/", "/usr/lib/", f"{sys.prefix}/share/")


class StepNotes:
    """What one execution of a step told."""

    def __init__(self, run: Recorder) -> None:
        self._run = run
        self.inputs: dict[str, Link] = {}
        self.made: dict[str, Link] = {}
        self.followed: dict[str, Followed] = {}
        self.metrics: list[tuple[str, str, int]] = []
        self.params: dict[str, str] = {}
        self.tags: dict[str, str | None] = {}

    @property
    def inputs_read(self) -> Sequence[str]:
        """References of what the whole run read so far."""
        return self._run.inputs_read

    def record_input(self, ref: str, digest: str) -> None:
        """Note what was read, here and in the run."""
        self.inputs[ref] = Link(ref=ref, digest=digest)
        self._run.record_input(ref, digest)

    def record_output(self, ref: str, digest: str) -> None:
        """Note what was made, here and in the run."""
        self.made[ref] = Link(ref=ref, digest=digest)
        self._run.record_output(ref, digest)

    def follow(self, name: str, ref: str) -> None:
        """Note where a name led whose target moves."""
        self.followed[name] = Followed(name=name, ref=ref)

    @property
    def logged(self) -> Logged:
        """What was logged."""
        return Logged(metrics=self.metrics, params=self.params, tags=self.tags)


class FilesRead:
    """Files that Python code opens for reading, and those that it wrote before."""

    def __init__(self, ignored: Sequence[Path]) -> None:
        places = [os.path.realpath(place) for place in ignored]
        self._files = frozenset(places)
        self._folders = tuple(f"{place}{os.sep}" for place in places)
        self._read: set[str] = set()
        self._written: set[str] = set()

    def opened(self, path: str, flags: int) -> None:
        """Take in that a file was opened."""
        place = os.path.realpath(path)
        if flags & (os.O_CREAT | os.O_TRUNC) or (flags & os.O_ACCMODE) not in _READS:
            self._written.add(place)
        elif place not in self._written:
            self._read.add(place)

    def renamed(self, source: str, target: str) -> None:
        """Take in that a file got another name: one that was written stays one that was written."""
        if os.path.realpath(source) in self._written:
            self._written.add(os.path.realpath(target))

    def found(self, root: Path) -> list[ReadFile]:
        """List the regular files read that belong to nobody else, with digests."""
        kept = sorted(path for path in self._read if self._is_data(path))
        return [
            ReadFile(path=_relative(path, root), digest=digest_of_path(Path(path)))
            for path in kept
            if os.path.isfile(path)  # noqa: PTH113 - it may be gone again
        ]

    def _is_data(self, path: str) -> bool:
        if path.endswith((".py", ".pyc", ".so")) or path in self._files or path.startswith(self._folders):
            return False
        return not path.startswith(_SYSTEM) and not is_library(path)


_watching: ContextVar[FilesRead | None] = ContextVar("noria_watching", default=None)
_hook = threading.Lock()
_installed: list[bool] = []


@contextmanager
def watching_files(ignored: Sequence[Path]) -> Iterator[FilesRead]:
    """Note the files that Python opens inside the block, in this thread.

    What a library opens without Python (Polars reading a path) is not seen here; a path that stands as text in the
    step's code or arguments is part of its key anyway.
    """
    _install()
    files = FilesRead(ignored)
    token = _watching.set(files)
    try:
        yield files
    finally:
        _watching.reset(token)


def still_as_read(files: Sequence[ReadFile], root: Path) -> str | None:
    """Give the first file that is not as it was, or None."""
    for file in files:
        try:
            if digest_of_path(root / file.path) != file.digest:
                return file.path
        except (NoriaError, OSError):
            return file.path
    return None


def _install() -> None:
    with _hook:
        if not _installed:
            # An audit hook can never be removed; outside of a step it does nothing.
            sys.addaudithook(_audit)
            _installed.append(True)


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if event not in ("open", "os.rename"):
        return
    files = _watching.get()
    if files is None:
        return
    try:
        if event == "open" and isinstance(args[0], (str, bytes)):
            files.opened(os.fsdecode(args[0]), args[2])
        elif event == "os.rename":
            files.renamed(os.fsdecode(args[0]), os.fsdecode(args[1]))
    except (TypeError, ValueError, OSError):
        return  # a name that is no path on disk: nothing to note


def _relative(path: str, root: Path) -> str:
    place = Path(path)
    base = Path(os.path.realpath(root))
    return place.relative_to(base).as_posix() if place.is_relative_to(base) else path
