"""The model server's own folder: models, plans and what waits to be handed on."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from urllib.parse import quote

from noria.core.config import WORKSPACE_FOLDER, Settings

_FOLDER = "serving"


class StateFolder:
    """A folder that this process holds, by a lock that dies with it.

    The first free one of `0`, `1`, … under the root: a server that is started again finds the models of the one
    before, and two at once do not meet. What was answered and not handed on lies in folders that all share, where a
    living server takes over what a dead one left.

    Parameters
    ----------
    root
        Made if it does not exist.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        number = 0
        while (descriptor := _try_hold(root / f"{number}.lock")) is None:
            number += 1
        self._descriptor = descriptor
        self._folder = root / str(number)
        self._folder.mkdir(mode=0o700, exist_ok=True)

    @property
    def models(self) -> Path:
        """Fetched model versions, by digest."""
        return self._folder / "models"

    @property
    def plans(self) -> Path:
        """The newest plans."""
        return self._folder / "plans.json"

    @property
    def requests(self) -> Path:
        """Spools of answered requests."""
        return requests_root(self._root)

    @property
    def shadows(self) -> Path:
        """Spools of answered requests that shadows are to predict."""
        return shadows_root(self._root)

    @property
    def labels(self) -> Path:
        """Spools of labels."""
        return labels_root(self._root)

    def release(self) -> None:
        """Let another process have it."""
        os.close(self._descriptor)


def state_root(settings: Settings) -> Path:
    """Give where model servers of a workspace keep their state on this machine."""
    if settings.is_remote:
        return Path.home() / WORKSPACE_FOLDER / _FOLDER / quote(settings.workspace, safe="")
    return settings.folder / _FOLDER


def requests_root(root: Path) -> Path:
    """Give the folder of the spools of answered requests."""
    return root / "requests"


def shadows_root(root: Path) -> Path:
    """Give the folder of the spools of answered requests that shadows are to predict."""
    return root / "shadows"


def labels_root(root: Path) -> Path:
    """Give the folder of the spools of labels."""
    return root / "labels"


def _try_hold(path: Path) -> int | None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
