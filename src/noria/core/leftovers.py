"""What processes left behind for others to send: found without importing what sends it."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from noria.core.config import Settings

if TYPE_CHECKING:
    from noria.core.workspace import Workspace

_SENDER: Final = "noria.tracking.sync:begin_in_background"
_FOLDER: Final = "spool"


def spool_places(settings: Settings) -> list[Path]:
    """Give the folders in which what was logged may wait, the first choice first.

    That is the one that `[tracking]` names, or one in the workspace; for a server one in the user's own state folder,
    or a private one among temporary files where the user has no home, as in many containers.
    """
    chosen = getattr(settings.sections.get("tracking"), "spool", None)
    if isinstance(chosen, str):
        return [settings.project_root / Path(chosen).expanduser() / _name_of(settings.workspace)]
    if not settings.is_remote:
        return [settings.folder / _FOLDER]
    return [folder.parent / _FOLDER / folder.name for folder in state_places(settings)]


def state_places(settings: Settings) -> list[Path]:
    """Give the folders for what this user's commands remember of a workspace, the first choice first.

    That is the workspace itself; for a server one in the user's own state folder, or a private one among temporary
    files where the user has no home.
    """
    if not settings.is_remote:
        return [settings.folder]
    name = _name_of(settings.workspace)
    own = Path(os.environ.get("XDG_STATE_HOME") or Path("~/.local/state").expanduser())
    import tempfile

    shared = Path(tempfile.gettempdir()) / f"noria-{os.geteuid()}"
    return [own / "noria" / name, shared / name]


def has_leftovers(settings: Settings) -> bool:
    """Tell whether earlier processes left something to send."""
    return any(map(_has_entries, spool_places(settings)))


def send_leftovers(workspace: Workspace) -> None:
    """Have sent in the background what earlier processes left, if there is anything."""
    if not has_leftovers(workspace.settings):
        return
    module, _, function = _SENDER.partition(":")
    getattr(importlib.import_module(module), function)(workspace)


def _has_entries(folder: Path) -> bool:
    try:
        with os.scandir(folder) as listing:
            return next(listing, None) is not None
    except OSError:
        return False


def _name_of(workspace: str) -> str:
    import hashlib

    host = urlsplit(workspace).hostname if "://" in workspace else Path(workspace).name
    return f"{host}-{hashlib.sha256(workspace.encode()).hexdigest()[:12]}"
