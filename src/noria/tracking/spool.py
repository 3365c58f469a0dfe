"""Where segments lie: in the folder of a workspace, or in the user's own for a server."""

from __future__ import annotations

import os
from pathlib import Path

from noria.core.config import Settings
from noria.core.errors import Unavailable
from noria.core.leftovers import spool_places
from noria.tracking.segments import SUFFIX

_HINT = 'Name another one in `noria.toml`: `[tracking]` `spool = "/path"`'


def spool_folder(settings: Settings) -> Path:
    """Give the folder of the spool of a workspace, made for its owner alone.

    Raises
    ------
    Unavailable
        If it cannot be made, or others can use it.
    """
    *places, last = spool_places(settings)
    for place in places:
        try:
            return _private(place)
        except Unavailable:
            continue
    return _private(last)


def _private(folder: Path) -> Path:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
    except OSError as error:
        raise Unavailable(
            f"The folder `{folder}`, where logged points wait, cannot be made: {error.strerror}", hint=_HINT
        ) from error
    if found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise Unavailable(f"Others can write to the folder `{folder}`, where logged points wait", hint=_HINT)
    return folder


def segments_in(folder: Path, run_id: str = "") -> list[Path]:
    """List the segments of a run, or of all, oldest run first: a run inside another comes after it."""
    try:
        with os.scandir(folder) as listing:
            names = [e.name for e in listing if e.name.startswith(run_id) and e.name.endswith(SUFFIX)]
    except FileNotFoundError:
        return []
    return [folder / name for name in sorted(names) if not name.startswith(".")]


def has_segments(folder: Path) -> bool:
    """Tell whether anything may wait."""
    try:
        with os.scandir(folder) as listing:
            return any(entry.name.endswith(SUFFIX) for entry in listing)
    except OSError:
        return False
