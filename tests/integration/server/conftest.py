"""A live server over a fresh workspace on SQLite."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from noria.core.clock import SystemClock
from noria.core.context import Context
from noria.core.remote import HttpTransport
from noria.core.trust import trust_for
from noria.server.entities import ServerSection
from support.conformance import migrated_file, open_test_context, workspace_settings
from support.echo import Echo
from support.live_server import KEY, LiveServer

SECTION = ServerSection(
    body_limit_bytes=100_000,
    upload_limit_bytes=1_000_000,
    idle_upload_s=0.3,
    allowed_hosts=("noria.example",),
)
"""Limits small enough to be passed in a test."""


@pytest.fixture(scope="session")
def small_server() -> Iterator[LiveServer]:
    """Start a real server with small limits once for this test process."""
    server = LiveServer(SECTION)
    server.offer(Echo)
    yield server
    server.close()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a migrated SQLite database to copy."""
    return migrated_file(tmp_path_factory.mktemp("template"))


@pytest.fixture
def context(tmp_path: Path, sqlite_template: Path) -> Iterator[Context]:
    """Give the backends of a fresh workspace."""
    shutil.copyfile(sqlite_template, tmp_path / "noria.db")
    settings = workspace_settings(tmp_path / "workspace", f"sqlite:///{tmp_path / 'noria.db'}")
    with open_test_context(settings, SystemClock()) as opened:
        yield opened


@pytest.fixture
def transport(small_server: LiveServer, context: Context) -> Iterator[HttpTransport]:
    """Give connections of the workspace's owner."""
    with small_server.serving(context) as connections:
        yield connections


@pytest.fixture
def stranger(small_server: LiveServer, transport: HttpTransport) -> Iterator[httpx.Client]:
    """Give a plain HTTP client without a credential."""
    with httpx.Client(
        base_url=small_server.url, verify=trust_for(small_server.url), trust_env=False
    ) as client:
        yield client


@pytest.fixture
def owner(small_server: LiveServer, transport: HttpTransport) -> Iterator[httpx.Client]:
    """Give a plain HTTP client with the workspace key."""
    headers = {"authorization": f"Bearer {KEY}"}
    with httpx.Client(
        base_url=small_server.url, verify=trust_for(small_server.url), trust_env=False, headers=headers
    ) as client:
        yield client
