"""A server answers programs before its pages are there: who asks for a page waits for it, and none goes missing."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from litestar.handlers import HTTPRouteHandler

from integration.conformance.conftest import (  # noqa: F401 - fixtures
    clock,
    context,
    database_kind,
    database_url,
    sqlite_template,
)
from noria.access.signing_in import PasswordDoor
from noria.core.context import Context
from noria.core.gate import hosts_for
from noria.core.permissions import Permission
from noria.server.app import Application, Door, create_app
from noria.server.entities import ServerSection
from noria.server.routes import PERMISSION
from noria.server.system_routes import system_routes
from noria.server.threads import Threads
from support.processes import Processes

SEE = Permission(name="later.read", public=True)
PATIENCE_S = 30.0

BROKEN = """
import sys
import noria.server.process as process
from noria.core.config import load_settings

def missing():
    raise ImportError("the pages of this server are broken")

process.load_pages = missing
process.run_server(
    load_settings(workspace=sys.argv[1]),
    process.ServerOptions(port=0),
    announce=lambda _url: print("answers", flush=True),
)
"""


@pytest.fixture
def threads() -> Iterator[Threads]:
    """Give threads for the application."""
    made = Threads(n_requests=2, n_transfers=2)
    yield made
    made.close()


@pytest.fixture
def app(context: Context, threads: Threads) -> Application:  # noqa: F811 - the fixture
    """Make an application whose pages are still to come."""
    door = Door(
        key="k",
        authenticate=lambda _context, _secret: None,
        sign_in=PasswordDoor().sign_in,
        is_open=lambda _context: True,
        hosts=hosts_for("127.0.0.1"),
    )
    return create_app(
        lambda: context,
        services=[],
        door=door,
        section=ServerSection(),
        threads=threads,
        pages=system_routes([], threads=threads, control_state=lambda: "absent"),
        more_to_come=True,
    )


def page(path: str, **options: object) -> HTTPRouteHandler:
    """Make a route that answers with nothing."""

    async def show() -> None:
        """Answer nothing."""

    return HTTPRouteHandler(path, http_method="GET", opt=options, status_code=204)(show)


@pytest.mark.alike
def test_programs_are_answered_and_pages_waited_for(app: Application) -> None:
    """Health at once; a page, and what turns out to be none, when the pages have come."""

    async def visit() -> list[int]:
        transport = httpx.ASGITransport(app=cast("Any", app))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            live = await asyncio.wait_for(client.get("/health/live"), PATIENCE_S)
            waiting = [asyncio.create_task(client.get(path)) for path in ("/late", "/nowhere")]
            described = await asyncio.wait_for(client.get("/api/v1/openapi.json"), PATIENCE_S)
            assert not any(each.done() for each in waiting)
            app.add([page("/late", **{PERMISSION: SEE})])
            late, nowhere = await asyncio.wait_for(asyncio.gather(*waiting), PATIENCE_S)
            again = await asyncio.wait_for(client.get("/late"), PATIENCE_S)
        return [each.status_code for each in (live, described, late, nowhere, again)]

    assert asyncio.run(visit()) == [200, 200, 204, 404, 204]


@pytest.mark.alike
def test_a_late_page_without_a_permission_is_refused(app: Application) -> None:
    """As one that is there from the start."""
    with pytest.raises(TypeError, match=r"/forgotten.* declares no permission"):
        app.add([page("/forgotten")])


def test_a_server_whose_pages_cannot_be_loaded_ends_and_says_why(
    processes: Processes, tmp_path: Path
) -> None:
    """It does not go on without them."""
    child = processes.start([sys.executable, "-c", BROKEN, str(tmp_path / "w")], name="broken")
    assert child.wait(120) != 0
    assert child.output().startswith("answers\n")
    assert "the pages of this server are broken" in child.output()
