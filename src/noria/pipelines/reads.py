"""What a step reads beside its arguments: files, listings of folders, environment variables.

Seen is what Python opens and lists, in every thread; files that a program is started with; and variables that are
asked for by name or all at once. What a library opens without Python, by a path that is put together at run time, is
not seen; a path that stands as text in the code or the arguments is part of the key anyway.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import FrameType
from typing import Any, Final

import blake3

from noria.core.errors import NoriaError
from noria.pipelines.cache_entities import ReadFile
from noria.pipelines.distributions import is_library
from noria.pipelines.environment import is_of_user, state_of_variable, watch_environment
from noria.pipelines.paths import digest_of_path

MISSING: Final = "missing"
"""In place of the digest of a file that was asked for and not there."""

CHANGED: Final = "changed"
"""In place of the digest of a file that the step itself changed after it had read it: nothing is like it."""

_READS: Final = os.O_RDONLY, os.O_RDWR
_SYSTEM: Final = ("/proc/", "/sys/", "/dev/", "/etc/", "/usr/", "/bin/", "/sbin/", f"{sys.prefix}/share/")
_PYTHON: Final = os.path.realpath(sys.executable)
_NOT_DATA: Final = ("__pycache__", ".noria")
_BETWEEN: Final = ("pathlib.py", "os.py", "glob.py", "<frozen os>", "<frozen genericpath>")
_IMPORTING: Final = ("importlib", "linecache.py", "tokenize.py", "inspect.py", "zipimport", "pkgutil.py")


class Reads:
    """What is read while a step runs.

    Parameters
    ----------
    ignored
        Files and folders that are told otherwise, or belong to Noria.
    root
        Of the project, whose files count even where it lies in one of these folders.
    """

    def __init__(self, ignored: Sequence[Path], root: Path | None = None) -> None:
        places = [os.path.realpath(place) for place in ignored]
        self._files = frozenset(places)
        self._folders = tuple(f"{place}{os.sep}" for place in places)
        inside = f"{os.path.realpath(root)}{os.sep}" if root else ""
        self._root = inside if inside and any(_is_below(inside, folder) for folder in self._folders) else None
        self._read: dict[str, tuple[int, int] | None] = {}
        self._listed: dict[str, str] = {}
        self._written: set[str] = set()
        self._variables: dict[str, str] = {}

    def opened(self, path: str, flags: int) -> None:
        """Take in that a file was opened."""
        place = os.path.realpath(path)
        if flags & (os.O_CREAT | os.O_TRUNC) or (flags & os.O_ACCMODE) not in _READS:
            self._written.add(place)
        elif place not in self._written and place not in self._read and self._is_data(place):
            self._read[place] = _state(place)

    def listed(self, path: str) -> None:
        """Take in that the names in a folder were asked for."""
        place = os.path.realpath(path)
        if place not in self._listed and self._is_data(f"{place}{os.sep}"):
            self._listed[place] = _digest_of_names(place)

    def renamed(self, source: str, target: str) -> None:
        """Take in that a file got another name: one that was written stays one that was written."""
        if os.path.realpath(source) in self._written:
            self._written.add(os.path.realpath(target))

    def asked(self, name: str) -> None:
        """Take in that an environment variable was asked for; `*` stands for all of them."""
        if name not in self._variables:
            self._variables[name] = state_of_variable(name)

    def found(self, root: Path) -> list[ReadFile]:
        """List what was read and belongs to nobody else."""
        files = [(place, _digest_of(place, state)) for place, state in sorted(self._read.items())]
        folders = [
            ReadFile(path=f"{_relative(place, root)}/", digest=digest)
            for place, digest in sorted(self._listed.items())
            if os.path.isdir(place)  # noqa: PTH112 - a temporary one is gone again
        ]
        variables = [
            ReadFile(path=f"${name}", digest=state) for name, state in sorted(self._variables.items())
        ]
        return [
            *(ReadFile(path=_relative(place, root), digest=digest) for place, digest in files if digest),
            *folders,
            *variables,
        ]

    def _is_data(self, path: str) -> bool:
        if path.endswith((".pyc", ".so")) or path in self._files:
            return False
        if path.startswith(self._folders) and not (self._root and path.startswith(self._root)):
            return False
        if path == _PYTHON:
            return False
        return not path.startswith(_SYSTEM) and not is_library(path)


_watching: ContextVar[Reads | None] = ContextVar("noria_watching", default=None)
_active: list[Reads] = []
_hook = threading.Lock()
_installed: list[bool] = []
_busy = threading.local()


@contextmanager
def watching_reads(ignored: Sequence[Path], root: Path | None = None) -> Iterator[Reads]:
    """Note what is read inside the block, in this thread and those that it starts."""
    _install()
    reads = Reads(ignored, root)
    token = _watching.set(reads)
    _active.append(reads)
    try:
        yield reads
    finally:
        _active.remove(reads)
        _watching.reset(token)


def still_as_read(read: Sequence[ReadFile], root: Path) -> str | None:
    """Name what is not as it was when it was read, or None."""
    for one in read:
        try:
            if _digest_now(one.path, root) != one.digest:
                return _named(one.path)
        except (NoriaError, OSError):
            return _named(one.path)
    return None


def _is_below(place: str, folder: str) -> bool:
    return place.startswith(folder) and place != folder


def _digest_now(path: str, root: Path) -> str:
    if path.startswith("$"):
        return state_of_variable(path.removeprefix("$"))
    if path.endswith("/"):
        return _digest_of_names(str(root / path))
    return digest_of_path(root / path) if (root / path).exists() else MISSING


def _named(path: str) -> str:
    if path == "$*":
        return "the environment, which it read as a whole,"
    if path.startswith("$"):
        return f"the variable `{path.removeprefix('$')}` of the environment"
    return (
        f"what lies in `{path}`, which it listed,"
        if path.endswith("/")
        else f"the file `{path}`, which it read,"
    )


def _digest_of(place: str, before: tuple[int, int] | None) -> str | None:
    """Give the digest of a file that was read; None for what is no file."""
    now = _state(place)
    if now is None:
        return MISSING if not os.path.exists(place) else None  # noqa: PTH110 - as below
    return CHANGED if before is not None and before != now else digest_of_path(Path(place))


def _state(place: str) -> tuple[int, int] | None:
    try:
        found = os.stat(place)  # noqa: PTH116 - called for each file that is opened
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size) if os.path.isfile(place) else None  # noqa: PTH113 - as above


def _digest_of_names(place: str) -> str:
    try:
        names = sorted(os.listdir(place))  # noqa: PTH208 - names are enough
    except OSError:
        return MISSING
    kept = [name for name in names if name not in _NOT_DATA]
    return blake3.blake3("\0".join(kept).encode("utf-8", "surrogateescape")).hexdigest()


def _install() -> None:
    with _hook:
        if not _installed:
            # An audit hook can never be removed; outside of a step it does nothing.
            sys.addaudithook(_audit)
            watch_environment(_asked)
            _installed.append(True)


def _watchers() -> Sequence[Reads]:
    """Give who is to be told: the step of this thread, or every one that runs if the thread has none."""
    own = _watching.get()
    return _active if own is None else (own,)


def _asked(name: str, frame: FrameType | None) -> None:
    if _active and is_of_user(name, frame):
        for reads in _watchers():
            reads.asked(name)


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if not _active or event not in _EVENTS or getattr(_busy, "inside", False):
        return
    _busy.inside = True
    try:
        _EVENTS[event](args)
    except (TypeError, ValueError, OSError):
        return  # a name that is no path on disk: nothing to note
    finally:
        _busy.inside = False


def _on_open(args: tuple[Any, ...]) -> None:
    if not isinstance(args[0], (str, bytes)):
        return
    path = os.fsdecode(args[0])
    if path.endswith(".py") and _is_importing(sys._getframe(2)):
        return
    for reads in _watchers():
        reads.opened(path, args[2] or 0)


def _on_listing(args: tuple[Any, ...]) -> None:
    if isinstance(args[0], int) or _is_importing(sys._getframe(2)):
        return
    for reads in _watchers():
        reads.listed(os.fsdecode(args[0] or "."))


def _on_rename(args: tuple[Any, ...]) -> None:
    for reads in _watchers():
        reads.renamed(os.fsdecode(args[0]), os.fsdecode(args[1]))


def _on_database(args: tuple[Any, ...]) -> None:
    path = os.fsdecode(args[0])
    for reads in _watchers() if os.path.isfile(path) else ():  # noqa: PTH113 - as above
        reads.opened(path, os.O_RDONLY)


def _on_program(args: tuple[Any, ...]) -> None:
    words, folder = args[1], os.fsdecode(args[2] or ".")
    named = [words] if isinstance(words, (str, bytes)) else list(words)
    for word in named:
        path = os.path.join(folder, os.fsdecode(word))  # noqa: PTH118 - as above
        for reads in _watchers() if os.path.isfile(path) else ():  # noqa: PTH113 - as above
            reads.opened(path, os.O_RDONLY)


def _is_importing(frame: FrameType | None) -> bool:
    """Tell whether Python itself asks, for a module or for a line of code to show."""
    while frame is not None and frame.f_code.co_filename.endswith(_BETWEEN):
        frame = frame.f_back
    name = frame.f_code.co_filename if frame is not None else ""
    return name.startswith("<frozen") or (is_library(name) and any(part in name for part in _IMPORTING))


_EVENTS: Final = {
    "open": _on_open,
    "os.listdir": _on_listing,
    "os.scandir": _on_listing,
    "os.rename": _on_rename,
    "sqlite3.connect": _on_database,
    "subprocess.Popen": _on_program,
}


def _relative(path: str, root: Path) -> str:
    place = Path(path)
    base = Path(os.path.realpath(root))
    text = place.relative_to(base).as_posix() if place.is_relative_to(base) else path
    return f"./{text}" if text.startswith("$") else text
