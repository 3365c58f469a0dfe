"""The folder of a batch run on this machine: what was read of the input, and what was predicted so far."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from noria.core.config import Settings
from noria.core.errors import Locked

_LOCK = "lock"
_FOLDER = "batches"
_FORGOTTEN_S = 14 * 86_400.0


def stage_root(settings: Settings) -> Path:
    """Give where folders of runs are: in the workspace, or for a server in this user's cache."""
    if not settings.is_remote:
        return settings.folder / _FOLDER
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "noria" / _FOLDER


@contextmanager
def held_stage(root: Path, run_id: str) -> Iterator[Path]:
    """Give the folder of a run, which no other process has meanwhile.

    Raises
    ------
    Locked
        If another process is at the run.
    """
    folder = root / run_id
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / _LOCK).open("a+b") as lock:
        _hold(lock, run_id)
        yield folder


def clear_stage(folder: Path) -> None:
    """Delete the folder of a run that has ended well."""
    shutil.rmtree(folder, ignore_errors=True)


def forget_stages(root: Path) -> None:
    """Delete folders of runs that nobody went on with for two weeks."""
    before = time.time() - _FORGOTTEN_S
    for folder in root.glob("*") if root.is_dir() else ():
        newest = max((path.stat().st_mtime for path in (folder, *folder.glob("*"))), default=before)
        if newest < before:
            clear_stage(folder)


def drop_older(folder: Path, age_s: float) -> None:
    """Delete what is kept of a run if its input was read longer ago than that."""
    kept = [path for path in folder.iterdir() if path.name != _LOCK]
    if kept and min(path.stat().st_mtime for path in kept) < time.time() - age_s:
        for path in kept:
            path.unlink()


def _hold(lock: IO[bytes], run_id: str) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Locked(
            f"Another process is at the batch run `{run_id}`",
            hint="Wait for it, or end it: what it did is kept",
        ) from error
