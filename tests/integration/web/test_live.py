"""The stream of live pages over real HTTP: it tells of changes in its project, to who may read it."""

from __future__ import annotations

import threading

import httpx
import pytest

from noria.access.projects import NewProject, Projects
from noria.core.context import Context
from noria.core.events.sealer import Sealer
from noria.core.permissions import Principal, Role
from noria.tracking.entities import NewRun, RunEnd, RunStatus
from noria.tracking.service import Runs
from support.pages import Reader
from support.wheel import PROJECT

PATH = f"/projects/{PROJECT}/live"
BOTH = pytest.mark.parametrize(
    "database_kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
)


def change(context: Context) -> None:
    """Let something happen in the project, and give it its position, which PostgreSQL's control loop does."""
    run = context.service(Runs).create(PROJECT, NewRun(name="r", experiment="e"))
    context.service(Runs).finish(PROJECT, run.id, RunEnd(status=RunStatus.FINISHED))
    Sealer(context.database, context.clock, context.settings.folder).tick()


@BOTH
def test_a_stream_tells_of_a_change(reader: Reader, context: Context) -> None:
    """A page that listens is told within moments that a run ended."""
    ended = threading.Event()

    def go_on() -> None:
        while not ended.wait(0.5):  # the first look only learns where the log stands
            change(context)

    writer = threading.Thread(target=go_on)
    with httpx.stream("GET", reader.server.url + PATH, timeout=30) as answer:
        writer.start()
        try:
            lines = iter(answer.iter_lines())
            told = next(line for line in lines if line == "event: changed")
        finally:
            ended.set()
            writer.join()

    assert told
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-store"


def test_only_who_may_read_a_project_is_told_of_it(reader: Reader, context: Context) -> None:
    """A stranger and a reader of other projects are refused, and headers alone may be asked for."""
    context.service(Projects).create(NewProject(name="other"))
    reader.server.tokens["t"] = Principal(name="ana", project_roles={"other": Role.VIEWER}, holds_key=True)
    head = reader.client.head(reader.server.url + PATH)
    reader.server.is_open = False
    stranger = reader.client.get(reader.server.url + PATH, headers={"accept": "text/event-stream"})
    neighbour = reader.get(PATH, token="t")

    assert (head.status_code, head.content) == (200, b"")
    assert stranger.status_code == 401
    assert neighbour.status_code == 403
