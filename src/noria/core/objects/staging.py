"""A folder in which a tree is put together before its files get the places that they are to have.

It lies in the target, under a name that says which tree it holds, and nobody takes it for data (`sources.IGNORE_OWN`).
What is in it has its final name already but cannot be reached by it, so that a file needs neither a draft nor a change
of name; at the end the folders of the tree are moved out as they are. A process that is killed leaves it behind, and
the next checkout of the same tree goes on in it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from typing import Final

from noria.core.objects.disk import storage_errors
from noria.core.objects.sources import TEMPORARY_PREFIX
from noria.core.objects.targets import TargetBlocked

_PREFIX: Final = f"{TEMPORARY_PREFIX}tree-"
_SUFFIX: Final = ".tmp"
_DIGITS: Final = 32
_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Stage:
    """The stage of a tree, held by this process alone.

    Attributes
    ----------
    path
        Where it lies.
    """

    def __init__(self, target: Path, path: Path, fd: int) -> None:
        self.path = path
        self._target = target
        self._fd = fd

    def publish(self) -> set[str]:
        """Move what is in it into the target, remove it, and give the names of what was moved.

        Raises
        ------
        TargetBlocked
            If something of such a name came to the target meanwhile; what could be moved until then is.
        """
        with storage_errors(self._target):
            target_fd = os.open(self._target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                names = _names_in(self._fd)
                for name in sorted(names):
                    if os.access(name, os.F_OK, dir_fd=target_fd, follow_symlinks=False):
                        why = "something of this name came there meanwhile"
                        raise TargetBlocked(self._target, name, why)
                    os.rename(name, name, src_dir_fd=self._fd, dst_dir_fd=target_fd)
                return names
            finally:
                os.close(target_fd)
                self.remove()

    def remove(self) -> None:
        """Remove the stage with what is in it."""
        try:
            self.path.rmdir()
        except OSError:
            import shutil  # something is left in it, as is rarely so

            shutil.rmtree(self.path, ignore_errors=True)
        self.close()

    def close(self) -> None:
        """Let go of the stage, and leave it to the next checkout of the tree."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def begin_stage(target: Path, digest: str) -> Stage | None:
    """Begin to put a tree together, or go on where a process was killed; stages of other trees so left are removed.

    None if the target holds anything already, or another process is at it: files are written one by one then.
    """
    name = f"{_PREFIX}{digest[-_DIGITS:]}{_SUFFIX}"
    with storage_errors(target):
        try:
            target.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise TargetBlocked(target, ".", "it is not a folder, or lies below a file") from error
        found = _names_in(target)
        stages = [each for each in found if each.startswith(_PREFIX) and each.endswith(_SUFFIX)]
        is_free = len(stages) == len(found)
        for each in stages:
            if (each != name or not is_free) and (left := _held(target, target / each)) is not None:
                left.remove()
        if not is_free:
            return None
        place = target / name
        with contextlib.suppress(FileExistsError):
            place.mkdir()
        return _held(target, place)


def _held(target: Path, place: Path) -> Stage | None:
    """Take hold of a stage; None if another process has it, or had it and is done."""
    try:
        fd = os.open(place, _FLAGS)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if place.stat().st_ino == os.fstat(fd).st_ino:
            return Stage(target, place, fd)
    except OSError:
        pass
    os.close(fd)
    return None


def _names_in(folder: Path | int) -> set[str]:
    with os.scandir(folder) as listing:
        return {entry.name for entry in listing}
