"""Tell on this machine whether the process of a run is still there: it holds a lock that dies with it."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from noria.core.config import Settings
from noria.core.errors import Unavailable
from noria.tracking.spool import spool_folder


@contextmanager
def holding(settings: Settings, run_id: str) -> Iterator[None]:
    """Hold the lock of a run inside the block; without a place for it, go on without."""
    try:
        path = _path(settings, run_id)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except (OSError, Unavailable):
        yield
        return
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(descriptor)


def is_gone(settings: Settings, run_id: str) -> bool:
    """Tell whether the process of a run was on this machine and has died."""
    try:
        descriptor = os.open(_path(settings, run_id), os.O_RDWR | os.O_CLOEXEC)
    except (OSError, Unavailable):
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def _path(settings: Settings, run_id: str) -> Path:
    return spool_folder(settings) / f"{run_id}.pipeline"
