"""The stream that tells open pages of a project to look again."""

from __future__ import annotations

from typing import Any

from litestar import Request
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp

from noria.access.permissions import READ_PROJECTS
from noria.core.database.engine import Database
from noria.core.events.log import EventLog
from noria.core.web.live import STREAM_HEADERS, Change, EventStream, Watch
from noria.core.web.urls import LIVE_PATH
from noria.server.answers import WITHOUT_BODY, Answer
from noria.server.routes import PERMISSION, context_of
from noria.server.threads import Threads

_READ_AT_ONCE = 200


class LiveStreams:
    """The streams of a server, which share one look at the log of its workspace."""

    def __init__(self, threads: Threads) -> None:
        self._threads = threads
        self._watches: dict[Database, Watch] = {}

    def route(self) -> HTTPRouteHandler:
        """Give the route that answers with a stream."""

        async def handle(request: Request[Any, Any, Any]) -> ASGIApp:
            return self._answer(context_of(request.scope).database, request.scope)

        return HTTPRouteHandler(
            LIVE_PATH.replace("{project}", "{project:str}"),
            http_method="GET",
            opt={PERMISSION: READ_PROJECTS},
        )(handle)

    def close(self) -> None:
        """End all streams: a server that stops must not wait for them."""
        for watch in self._watches.values():
            watch.close()

    def _answer(self, database: Database, scope: Any) -> ASGIApp:
        watch = self._watches.get(database)
        if watch is None:
            self._watches.clear()  # a server has one database; a test changes it
            watch = self._watches[database] = _watch(EventLog(database), self._threads)
        if WITHOUT_BODY in scope:
            return Answer(200, b"", list(STREAM_HEADERS))
        if watch.is_full:
            return Answer(204, b"")  # tells a browser not to try again
        return EventStream(watch, scope["path_params"]["project"])


def _watch(log: EventLog, threads: Threads) -> Watch:
    async def look(after: int) -> Change:
        return await threads.run(changes, log, after)

    return Watch(look)


def changes(log: EventLog, after: int) -> Change:
    """Look for what happened after a position; after -1, only where the newest event is."""
    newest = log.last_position()
    if after < 0 or newest <= after:
        return Change(position=newest, projects=frozenset())
    events = log.read(after, limit=_READ_AT_ONCE)
    projects = None if len(events) == _READ_AT_ONCE else frozenset(event.project for event in events)
    return Change(position=newest, projects=projects)
