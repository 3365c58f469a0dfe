"""What a conformance suite stands on: a fresh workspace, and services that reach it by one transport."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

from noria.core.clock import Clock, SystemClock
from noria.core.config import Settings
from noria.core.context import Context
from noria.core.operations import Service
from noria.core.workspace import open_context
from support.postgres import PostgresServer

S = TypeVar("S", bound=Service)


class Services(Protocol):
    """Makes a service of any class over the transport under test."""

    def __call__(self, cls: type[S]) -> S:
        """Make a service."""
        ...


def workspace_settings(folder: Path, database_url: str | None = None) -> Settings:
    """Give the settings of a workspace in `folder`, on SQLite unless a URL is given."""
    return Settings(
        workspace=str(folder),
        database_url=database_url or f"sqlite:///{folder / 'noria.db'}",
        objects_url=str(folder / "objects"),
        project_root=folder,
    )


def migrated_file(folder: Path) -> Path:
    """Make a migrated SQLite database for tests to copy, since migrating takes longer than most tests."""
    with open_test_context(workspace_settings(folder), SystemClock()):
        pass
    return folder / "noria.db"


@contextmanager
def migrated_postgres(server: PostgresServer, folder: Path) -> Iterator[str]:
    """Make a migrated PostgreSQL database for tests to copy, and give its name."""
    with server.fresh_database() as url:
        with open_test_context(workspace_settings(folder, url), SystemClock()):
            pass
        yield url.rpartition("/")[2]


@contextmanager
def open_test_context(settings: Settings, clock: Clock) -> Iterator[Context]:
    """Open a workspace in this process, migrated, and close it afterwards."""
    context = open_context(settings, clock)
    try:
        yield context
    finally:
        context.database.dispose()
