"""The model server's way to the control server, which may be away, come back, and come back elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from noria.core.clock import Clock
from noria.core.config import Settings
from noria.core.control.lock import read_server_info
from noria.core.errors import Unavailable
from noria.core.key import read_key
from noria.core.operations import Service
from noria.core.remote import HttpTransport
from noria.core.workspace import OverHttp, Workspace, open_workspace

S = TypeVar("S", bound=Service)


class Link:
    """Opens the workspace when it is needed, and again when it moved. Thread-safe.

    Parameters
    ----------
    open_
        Gives a workspace, the same one while it is good; raises `Unavailable` when there is none now.
    """

    def __init__(self, open_: Callable[[], Workspace]) -> None:
        self._open = open_
        self._lock = threading.Lock()

    def workspace(self) -> Workspace:
        """Give the workspace.

        Raises
        ------
        Unavailable
            If the control server is away.
        """
        with self._lock:
            return self._open()

    def service(self, cls: type[S]) -> S:
        """Give a service of the workspace, as `workspace` does."""
        return self.workspace().service(cls)


def own_link(workspace: Workspace) -> Link:
    """Give the link of a model server that opened the workspace itself."""
    return Link(lambda: workspace)


def lazy_link(settings: Settings, clock: Clock) -> Link:
    """Give the link of a worker that opens the workspace itself, when it first needs it."""
    opened: list[Workspace] = []

    def open_once() -> Workspace:
        if not opened:
            opened.append(open_workspace(settings, clock=clock, send_left=False))
        return opened[0]

    return Link(open_once)


class _Managed:
    """Follows the server of a workspace folder to wherever it answers."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._url: str | None = None
        self._workspace: Workspace | None = None

    def __call__(self) -> Workspace:
        info = read_server_info(self._settings.folder)
        if info is None:
            raise Unavailable(
                f"No server runs on the workspace `{self._settings.folder}`", hint="Start it with `noria up`"
            )
        if self._workspace is None or info.url != self._url:
            secret = self._settings.token or read_key(self._settings.folder)
            transport = HttpTransport(info.url, secret=secret, clock=self._clock)
            self._workspace = Workspace(self._settings, OverHttp(transport), self._clock)
            self._url = info.url
        return self._workspace


def managed_link(settings: Settings, clock: Clock) -> Link:
    """Give the link of a model server that stands beside a control server, on one folder or far away."""
    if settings.is_remote:
        return own_link(open_workspace(settings, clock=clock))
    return Link(_Managed(settings, clock))
