"""What an episode's code may not do in its process: open sockets, start programs, write outside its folder.

Two walls. Python tells an audit hook of what code is about to do; the hook refuses, and remembers, so that code which
swallows the refusal is found out too. On Linux, Landlock has the kernel refuse writes and TCP as well, whatever
library asks. Neither makes foreign code safe: it runs as the caller, who was shown its files and said yes.
"""

from __future__ import annotations

import contextlib
import os
import resource
import sys
from pathlib import Path
from typing import Any

from noria.decisions.walls import refuse_writes

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = frozenset(
    {
        *("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate"),
        *("os.chmod", "os.chown", "os.utime", "os.setxattr", "os.removexattr", "shutil.rmtree"),
    }
)
_PROGRAMS = frozenset({"subprocess.Popen", "os.exec", "os.posix_spawn", "os.spawn", "os.system", "pty.spawn"})
_ANYWHERE = frozenset({"/dev/null"})


class Confinement:
    """Remembers what was refused.

    Parameters
    ----------
    folder
        The only folder that may be written to.
    """

    def __init__(self, folder: Path) -> None:
        self._inside = str(folder.resolve()) + os.sep
        self.refused: list[str] = []

    def close(self, *, memory_bytes: int) -> None:
        """Shut the walls around this process, for good."""
        for limit, value in (
            (resource.RLIMIT_CORE, 0),
            (resource.RLIMIT_AS, memory_bytes),
            (resource.RLIMIT_FSIZE, 1 << 30),
        ):
            with contextlib.suppress(OSError, ValueError):
                resource.setrlimit(limit, (value, value))
        refuse_writes([self._inside])
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.__new__":
            self._refuse("opened a socket")
        elif event == "open":
            self._opened(arguments[0], arguments[2])
        elif event in _PROGRAMS:
            raise PermissionError("code of an episode may not start programs")
        elif event in _CHANGES:
            self._changed(event, arguments)

    def _opened(self, path: Any, flags: Any) -> None:
        if isinstance(flags, int) and flags & _WRITES and not isinstance(path, int):
            self._inside_or_refused(path)

    def _changed(self, event: str, arguments: tuple[Any, ...]) -> None:
        n_paths = 2 if event in ("os.rename", "os.link") else 1
        targets = arguments[1:2] if event == "os.symlink" else arguments[:n_paths]
        for path in targets:
            if not isinstance(path, int):
                self._inside_or_refused(path)

    def _inside_or_refused(self, path: Any) -> None:
        try:
            place = os.path.realpath(os.fsdecode(path))
        except TypeError:
            return
        if not (place + os.sep).startswith(self._inside) and place not in _ANYWHERE:
            self._refuse(f"wrote outside its folder, to `{place}`")

    def _refuse(self, what: str) -> None:
        self.refused.append(what)
        raise PermissionError(f"code of an episode {what}")
