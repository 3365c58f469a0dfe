"""Foreign protocols on a real server, over a fresh workspace on each database."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from integration.conformance.conftest import (  # noqa: F401 - fixtures
    clock,
    context,
    database_kind,
    database_url,
    sqlite_template,
)
from noria.core.context import Context
from noria.core.trust import trust_for
from noria.interop.mlflow.adapter import ADAPTER
from support.live_server import KEY, LiveServer


@pytest.fixture(scope="session")
def mlflow_server() -> Iterator[LiveServer]:
    """Start a server with MLflow's addresses once for this test process."""
    live = LiveServer()
    live.adapt(ADAPTER)
    yield live
    live.close()


@pytest.fixture
def http(mlflow_server: LiveServer, context: Context) -> Iterator[httpx.Client]:  # noqa: F811 - the fixture
    """Give a client that speaks to the server as the owner of the fresh workspace."""
    headers = {"authorization": f"Bearer {KEY}"}
    with (
        mlflow_server.serving(context),
        httpx.Client(
            base_url=mlflow_server.url, headers=headers, timeout=60, verify=trust_for(mlflow_server.url)
        ) as client,
    ):
        yield client
