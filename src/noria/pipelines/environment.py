"""Environment variables that a step asks for, by whatever name it puts together at run time."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, Final

import blake3

from noria.pipelines.distributions import is_library

UNSET: Final = "unset"
"""In place of the digest of a variable that is not set."""

_OWN: Final = str(Path(__file__).parent.parent) + os.sep
_BETWEEN: Final = ("os.py", "<frozen os>", "_collections_abc.py", "<frozen _collections_abc>", "posixpath.py")
_FROZEN: Final = ("<frozen posixpath>", "<frozen ntpath>", "ntpath.py")

# What libraries ask for on their own, and what differs from person to person without changing results.
_OF_LIBRARIES: Final = frozenset(
    {
        *(
            "HOME",
            "USER",
            "LOGNAME",
            "USERNAME",
            "PATH",
            "PWD",
            "SHELL",
            "TERM",
            "COLUMNS",
            "LINES",
            "COLORTERM",
        ),
        *(
            "TMPDIR",
            "TEMP",
            "TMP",
            "DISPLAY",
            "WAYLAND_DISPLAY",
            "VIRTUAL_ENV",
            "LANG",
            "LANGUAGE",
            "TZ",
            "CI",
        ),
        *("NO_COLOR", "FORCE_COLOR", "PAGER", "EDITOR", "BROWSER", "SSH_CONNECTION", "*"),
    }
)
_PREFIXES: Final = ("PYTHON", "LC_", "XDG_", "NORIA_", "PYTEST", "COV_", "_")

Asked = Callable[[str, FrameType | None], None]


class _Watched(dict[Any, Any]):
    """The variables as `os.environ` keeps them, which tells who asks for which."""

    asked: Asked

    def __getitem__(self, key: Any) -> Any:
        self.asked(os.fsdecode(key), sys._getframe(1))
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        if isinstance(key, (str, bytes)):
            self.asked(os.fsdecode(key), sys._getframe(1))
        return super().__contains__(key)

    def __iter__(self) -> Iterator[Any]:
        self.asked("*", sys._getframe(1))
        return super().__iter__()


def watch_environment(asked: Asked) -> None:
    """Be told of every variable that is asked for from now on, with the frame that asks."""
    kept = getattr(os.environ, "_data", None)
    if type(kept) is not dict:
        return
    watched = _Watched(kept)
    watched.asked = asked
    for view in (os.environ, getattr(os, "environb", None)):
        if view is not None:
            vars(view)["_data"] = watched


def is_of_user(name: str, frame: FrameType | None) -> bool:
    """Tell whether a question counts: asked by the project's code, or by a library for what may change results."""
    while frame is not None and frame.f_code.co_filename.endswith((*_BETWEEN, *_FROZEN)):
        frame = frame.f_back
    file = frame.f_code.co_filename if frame is not None else ""
    if file.startswith(_OWN):
        return False
    of_library = file.startswith("<frozen") or is_library(os.path.realpath(file))
    return not of_library or (name not in _OF_LIBRARIES and not name.startswith(_PREFIXES))


def state_of_variable(name: str) -> str:
    """Give what stands for the value of a variable, or of all of them: a digest, since it may be a secret."""
    kept = getattr(os.environ, "_data", {})
    if name == "*":
        every = sorted((os.fsdecode(key), os.fsdecode(value)) for key, value in dict.items(kept))
        return blake3.blake3(repr(every).encode("utf-8", "surrogatepass")).hexdigest()
    value = dict.get(kept, os.environ.encodekey(name))
    return UNSET if value is None else blake3.blake3(os.fsencode(value)).hexdigest()
