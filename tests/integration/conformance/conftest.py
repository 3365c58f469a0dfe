"""Every service, over each transport and on each database.

A capability's suite takes `services` and asks it for a service::

    def test_a_run_is_found_by_its_id(services: Services) -> None:
        runs = services(Runs)

Each test then runs four times: in process and over HTTP, on SQLite and on PostgreSQL. `workspace` gives the same as
a `Workspace`, for what clients and the SDK do; `context` is the backends underneath, for setting up what no
operation does; a module that moves time replaces the fixture `clock`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from noria.core.clock import Clock, SystemClock
from noria.core.context import Context
from noria.core.workspace import InProcess, Workspace
from support.conformance import Services, open_test_context, workspace_settings


@pytest.fixture(params=["in_process"])
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


@pytest.fixture
def context(
    request: pytest.FixtureRequest, tmp_path: Path, database_kind: str, clock: Clock
) -> Iterator[Context]:
    """Give the backends of a fresh workspace, on behalf of its owner."""
    url = request.getfixturevalue("postgres_url") if database_kind == "postgres" else None
    with open_test_context(workspace_settings(tmp_path / "workspace", url), clock) as opened:
        yield opened


@pytest.fixture
def workspace(context: Context, transport: str) -> Workspace:
    """Give the fresh workspace as clients and the SDK see it."""
    return Workspace(context.settings, InProcess(context), context.clock)


@pytest.fixture
def services(workspace: Workspace) -> Services:
    """Give the maker of services over the transport under test."""
    return workspace.service
