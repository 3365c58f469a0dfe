"""Every service, over each transport and on each database.

A capability's suite takes `services` and asks it for a service::

    def test_a_run_is_found_by_its_id(services: Services) -> None:
        runs = services(Runs)

Each test then runs four times: in process and over HTTP, on SQLite and on PostgreSQL. `workspace` gives the same as
a `Workspace`, for what clients and the SDK do; `context` is the backends underneath, for setting up what no
operation does; a module that moves time replaces the fixture `clock`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from noria.core.clock import Clock, SystemClock
from noria.core.context import Context
from noria.core.workspace import InProcess, Workspace
from noria.server.assembly import load_services
from support.conformance import (
    Services,
    migrated_file,
    open_test_context,
    workspace_settings,
)
from support.live_server import LiveBackend, LiveServer


@pytest.fixture(scope="session")
def live_server() -> Iterator[LiveServer]:
    """Start a real server once for this test process."""
    server = LiveServer()
    server.offer(*load_services())
    yield server
    server.close()


@pytest.fixture(params=["in_process", "http"])
def transport(request: pytest.FixtureRequest) -> str:
    """Name the way by which services are called."""
    return str(request.param)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_kind(request: pytest.FixtureRequest) -> str:
    """Name the database underneath."""
    return str(request.param)


@pytest.fixture
def clock() -> Clock:
    """Give the clock of the workspace."""
    return SystemClock()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a migrated SQLite database to copy."""
    return migrated_file(tmp_path_factory.mktemp("template"))


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path, database_kind: str) -> Iterator[str]:
    """Give the URL of a fresh, migrated database."""
    if database_kind == "sqlite":
        path = tmp_path / "noria.db"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    yield request.getfixturevalue("migrated_postgres_url")


@pytest.fixture
def context(tmp_path: Path, database_url: str, clock: Clock) -> Iterator[Context]:
    """Give the backends of a fresh workspace, on behalf of its owner."""
    with open_test_context(workspace_settings(tmp_path / "workspace", database_url), clock) as opened:
        yield opened


@pytest.fixture
def workspace(request: pytest.FixtureRequest, context: Context, transport: str) -> Iterator[Workspace]:
    """Give the fresh workspace as clients and the SDK see it."""
    if transport == "in_process":
        yield Workspace(context.settings, InProcess(context), context.clock)
        return
    server: LiveServer = request.getfixturevalue("live_server")
    with server.serving(context) as connections:
        yield Workspace(context.settings, LiveBackend(server, connections), context.clock)


@pytest.fixture
def services(workspace: Workspace) -> Services:
    """Give the maker of services over the transport under test."""
    return workspace.service
