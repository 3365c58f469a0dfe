"""Open a workspace and get its services, in process or from a server, without telling the two apart.

A folder without a running server is opened in process. A folder whose server runs is reached over HTTP with the
workspace key, so that there is one writer of rollouts and monitors. An `http(s)://` workspace is reached by token.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

from noria.core.clock import Clock, SystemClock
from noria.core.config import Settings, load_settings
from noria.core.errors import ConfigInvalid
from noria.core.key import ensure_key, read_key
from noria.core.leftovers import send_leftovers
from noria.core.operations import Service
from noria.core.permissions import LOCAL_OWNER

if TYPE_CHECKING:
    from noria.core.context import Context
    from noria.core.objects.project import ProjectStore
    from noria.core.remote import HttpTransport

S = TypeVar("S", bound=Service)

_MIGRATION_PATIENCE_S = 30.0  # another process may be migrating; a running server keeps the lock for good


class Backend(Protocol):
    """Where a workspace's services come from."""

    def service(self, cls: type[S]) -> S:
        """Make a service of this class."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


class InProcess:
    """Services that work on the database and object store themselves."""

    def __init__(self, context: Context) -> None:
        self.context = context

    def service(self, cls: type[S]) -> S:
        """Make a service on the backends."""
        return cls(self.context)

    def close(self) -> None:
        """Close the database."""
        self.context.database.dispose()


class OverHttp:
    """Services that call a server."""

    def __init__(self, transport: HttpTransport) -> None:
        self.transport = transport

    def service(self, cls: type[S]) -> S:
        """Make a client with the same methods."""
        from noria.core.remote import remote_service

        return remote_service(cls, self.transport)

    def close(self) -> None:
        """Close connections."""
        self.transport.close()


class Workspace:
    """A place where things are kept.

    Attributes
    ----------
    settings
        What it was opened with.
    backend
        `InProcess` or `OverHttp`.
    clock
        Time, passed in.
    """

    def __init__(self, settings: Settings, backend: Backend, clock: Clock) -> None:
        self.settings = settings
        self.backend = backend
        self.clock = clock

    @property
    def project(self) -> str:
        """Name of the project worked in."""
        return self.settings.project

    def service(self, cls: type[S]) -> S:
        """Give a service of the class, in process or remote.

        Parameters
        ----------
        cls
            A capability's service class, as `noria.tracking.service.Runs`.
        """
        return self.backend.service(cls)

    def objects(
        self,
        project: str | None = None,
        *,
        like: Mapping[str, str] | None = None,
        here: Mapping[str, Path] | None = None,
    ) -> ProjectStore:
        """Give the objects that a project holds, with the same port as the object store itself.

        Parameters
        ----------
        like, here
            As those of `ProjectStore`.
        """
        from noria.core.objects.project import ProjectStore
        from noria.core.objects.service import Objects

        return ProjectStore(self.service(Objects), project or self.project, like=like, here=here)

    def close(self) -> None:
        """Let go of connections."""
        self.backend.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_workspace(
    settings: Settings | None = None, *, clock: Clock | None = None, send_left: bool = True
) -> Workspace:
    """Open the workspace that the settings name.

    Parameters
    ----------
    settings
        From `load_settings()` when left out.
    send_left
        Whether what runs of dead processes left in the spool is sent in the background.

    Raises
    ------
    ConfigInvalid
        If the folder cannot be made, or the settings are wrong.
    DatabaseFromTheFuture
        If a newer Noria wrote the database.
    Locked
        If the schema must be migrated while a server of another version runs.
    """
    chosen = settings or load_settings()
    workspace = _opened(chosen, clock or SystemClock())
    if send_left:
        send_leftovers(workspace)
    return workspace


def _opened(chosen: Settings, ticking: Clock) -> Workspace:
    if chosen.is_remote:
        return Workspace(chosen, _over_http(chosen.workspace, chosen.token), ticking)
    from noria.core.control.lock import read_server_info

    folder = chosen.folder
    server = read_server_info(folder)
    if server is not None:
        return Workspace(chosen, _over_http(server.url, chosen.token or read_key(folder)), ticking)
    return Workspace(chosen, InProcess(open_context(chosen, ticking)), ticking)


def open_context(settings: Settings, clock: Clock, *, locked: bool = False) -> Context:
    """Open a workspace's backends in this process, migrated, on behalf of the folder's owner.

    Parameters
    ----------
    locked
        True when the caller holds the workspace lock already (the server).
    """
    from noria.core.context import Context
    from noria.core.database.engine import Database
    from noria.core.database.migrate import migrate
    from noria.core.objects.opening import open_objects

    folder = settings.folder
    make_folder(folder)
    ensure_key(folder)
    objects = open_objects(settings.objects_url, clock, spool=folder / "tmp")
    database = Database(settings.database_url)
    try:
        if locked:
            migrate(database, now=clock.now())
        else:
            migrate(database, now=clock.now(), exclusive=functools.partial(_holding_lock, folder))
    except BaseException:
        database.dispose()
        raise
    return Context(
        settings=settings,
        database=database,
        objects=objects,
        clock=clock,
        principal=LOCAL_OWNER,
    )


@contextmanager
def _holding_lock(folder: Path) -> Iterator[None]:
    from noria.core.control.lock import WorkspaceLock

    lock = WorkspaceLock(folder)
    lock.acquire(timeout_s=_MIGRATION_PATIENCE_S)
    try:
        yield
    finally:
        lock.release()


def make_folder(folder: Path) -> None:
    """Make the folder of a workspace, for its owner alone.

    Raises
    ------
    ConfigInvalid
        If that is not possible.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigInvalid(
            f"The workspace folder `{folder}` cannot be made: {error.strerror}",
            hint="Name another folder with `--workspace` or `NORIA_WORKSPACE`",
        ) from error


def _over_http(url: str, secret: str | None) -> OverHttp:
    from noria.core.remote import HttpTransport

    return OverHttp(HttpTransport(url, secret=secret))


_chosen: ContextVar[Workspace | None] = ContextVar("noria_workspace", default=None)


@functools.cache
def _default_workspace() -> Workspace:
    return open_workspace()


def current_workspace() -> Workspace:
    """Give the workspace of `use_workspace`, else the one that settings name, opened once for the process."""
    return _chosen.get() or _default_workspace()


@contextmanager
def use_workspace(workspace: Workspace) -> Iterator[Workspace]:
    """Make the SDK's calls inside the block work on `workspace`."""
    token = _chosen.set(workspace)
    try:
        yield workspace
    finally:
        _chosen.reset(token)
