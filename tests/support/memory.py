"""A group of processes whose memory the kernel bounds: it ends the largest of them when they want more."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from support.waiting import wait_until

_ROOT = Path("/sys/fs/cgroup")
_BOUNDS = {
    _ROOT / "memory": "memory.limit_in_bytes",
    _ROOT: "memory.max",
}  # of the first version, and the second


class NoBound(Exception):
    """Memory cannot be bounded here."""


@dataclass(frozen=True, slots=True)
class Bounded:
    """The group."""

    folder: Path

    def command(self, line: list[str]) -> list[str]:
        """Give a command that begins another one inside."""
        return ["sh", "-c", f'echo $$ > {self.folder}/cgroup.procs && exec "$0" "$@"', *line]

    def n_killed(self) -> int:
        """Count the processes that the kernel ended for want of memory."""
        for name in ("memory.oom_control", "memory.events"):
            file = self.folder / name
            lines = file.read_text().splitlines() if file.exists() else []
            found = [line.split()[1] for line in lines if line.startswith("oom_kill ")]
            if found:
                return int(found[0])
        return 0


@contextmanager
def bounded(limit_bytes: int) -> Iterator[Bounded]:
    """Make a group.

    Raises
    ------
    NoBound
        If this user or kernel does not let groups be made.
    """
    root = next((each for each in _BOUNDS if (each / "cgroup.procs").exists()), None)
    if root is None:
        raise NoBound("there are no control groups here")
    folder = root / f"noria-test-{os.getpid()}"
    try:
        folder.mkdir()
    except OSError as error:
        raise NoBound(f"no group can be made: {error}") from error
    try:
        bound = folder / _BOUNDS[root]
        if not bound.exists():
            raise NoBound("the group has no bound of memory")
        bound.write_text(str(limit_bytes))
        with suppress(OSError):
            (folder / "memory.swap.max").write_text("0")
        yield Bounded(folder)
    finally:
        wait_until(
            lambda: not (folder / "cgroup.procs").read_text().strip(), 30, "processes stay in the group"
        )
        folder.rmdir()
