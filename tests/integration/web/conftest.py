"""A workspace with pages over real HTTP."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from noria.core.clock import SystemClock
from noria.core.context import Context
from support.conformance import migrated_file, open_test_context, workspace_settings
from support.live_server import LiveServer
from support.pages import Reader, reading


@pytest.fixture(scope="session")
def live_server() -> Iterator[LiveServer]:
    """Start a real server once for this test process."""
    server = LiveServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a migrated SQLite database to copy, since migrating takes longer than most tests."""
    return migrated_file(tmp_path_factory.mktemp("template"))


@pytest.fixture
def database_kind() -> str:
    """Name the database underneath; a test that wants both is parametrised with it."""
    return "sqlite"


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path, database_kind: str) -> str:
    """Give the URL of a fresh database."""
    if database_kind == "postgres":
        return str(request.getfixturevalue("migrated_postgres_url"))
    path = tmp_path / "noria.db"
    shutil.copyfile(request.getfixturevalue("migrated"), path)
    return f"sqlite:///{path}"


@pytest.fixture
def context(tmp_path: Path, database_url: str) -> Iterator[Context]:
    """Give the backends of a fresh workspace, on behalf of its owner."""
    with open_test_context(workspace_settings(tmp_path / "workspace", database_url), SystemClock()) as opened:
        yield opened


@pytest.fixture
def reader(live_server: LiveServer, context: Context) -> Iterator[Reader]:
    """Ask for the workspace's pages."""
    with reading(live_server, context) as made:
        yield made
