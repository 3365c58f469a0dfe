"""Where segments lie: in the folder of a workspace, or in the user's own for a server."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from noria.core.config import Settings
from noria.core.errors import Unavailable
from noria.tracking.segments import SUFFIX
from noria.tracking.settings import TrackingSection


def spool_folder(settings: Settings) -> Path:
    """Give the folder of the spool of a workspace: in the workspace, or the user's own for a server.

    The folder is made, for its owner alone.

    Raises
    ------
    Unavailable
        If that is not possible.
    """
    chosen = settings.section("tracking", TrackingSection).spool
    if chosen:
        return _private(settings.project_root / Path(chosen).expanduser() / _name_of(settings.workspace))
    if not settings.is_remote:
        return _private(settings.folder / "spool")
    own = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    try:
        return _private(own / "noria" / "spool" / _name_of(settings.workspace))
    except Unavailable:
        # Containers often run as a user without a home.
        shared = Path(tempfile.gettempdir()) / f"noria-{os.geteuid()}"
        _own(_private(shared))
        return _private(shared / "spool" / _name_of(settings.workspace))


def _name_of(workspace: str) -> str:
    host = urlsplit(workspace).hostname if "://" in workspace else Path(workspace).name
    return f"{host}-{hashlib.sha256(workspace.encode()).hexdigest()[:12]}"


def _private(folder: Path) -> Path:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(
            f"The folder `{folder}`, where logged points wait, cannot be made: {error.strerror}",
            hint='Name another one in `noria.toml`: `[tracking]` `spool = "/path"`',
        ) from error
    return folder


def _own(folder: Path) -> None:
    found = folder.lstat()
    if found.st_uid != os.geteuid() or found.st_mode & 0o077 or folder.is_symlink():
        raise Unavailable(
            f"The folder `{folder}` can be used by others, and logged points would wait in it",
            hint='Name another one in `noria.toml`: `[tracking]` `spool = "/path"`',
        )


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
