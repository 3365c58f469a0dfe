"""A real server on a free port, in a thread of the test process, whose workspace and services a test chooses."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from noria.access.authentication import SECRET_PREFIX, authenticate
from noria.access.signing_in import PasswordDoor
from noria.core.adapters import Adapter
from noria.core.context import Context
from noria.core.direct import Chosen, Direct, DirectLoop
from noria.core.gate import hosts_for
from noria.core.listening import Listener, address_of, bind
from noria.core.operations import Service
from noria.core.permissions import Principal
from noria.core.remote import HttpTransport, remote_service
from noria.core.web.actions import AnyAction
from noria.core.web.pages import Page
from noria.server.action_routes import action_routes
from noria.server.app import Door, create_app
from noria.server.entities import ServerSection
from noria.server.live_routes import LiveStreams
from noria.server.page_routes import PageTable, page_routes
from noria.server.system_routes import system_routes
from noria.server.threads import Threads

S = TypeVar("S", bound=Service)

KEY = "the-key-of-the-live-test-server-0123456789a"


class LiveServer:
    """Serves the context of the test that runs, and the services that were asked for so far.

    It is started once for a test process: a test takes it with `serving`.

    Attributes
    ----------
    tokens
        Who has which token besides the key, until the test ends.
    is_open
        Whether somebody without a credential is let in as a visitor, until the test ends.
    """

    def __init__(self, section: ServerSection | None = None) -> None:
        self._section = section or ServerSection()
        self._socket = bind("127.0.0.1", 0)
        self.url = address_of(self._socket)
        self.tokens: dict[str, Principal] = {}
        self.is_open = True
        self._threads = Threads(n_requests=4, n_transfers=2)
        self._streams = LiveStreams(self._threads)
        self._services: list[type[Service]] = []
        self._pages: list[Page] = []
        self._actions: list[AnyAction] = []
        self._adapters: list[Adapter] = []
        self._passwords = PasswordDoor()
        self._app = self._build()
        self._context: Context | None = None
        self._loop = DirectLoop()
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="live-server", daemon=True)
        self._thread.start()

    @contextmanager
    def serving(self, context: Context) -> Iterator[HttpTransport]:
        """Serve a test's workspace for the length of the block; gives connections that hold the key."""
        self._context = context
        transport = HttpTransport(self.url, secret=KEY)
        try:
            yield transport
        finally:
            transport.close()
            self._context = None
            self.tokens.clear()
            self.is_open = True

    def offer(self, *classes: type[Service]) -> None:
        """Have routes for services."""
        new = [cls for cls in classes if cls not in self._services]
        if new:
            self._services += new
            self._app = self._build()

    def show(self, pages: Sequence[Page], actions: Sequence[AnyAction] = ()) -> None:
        """Have routes for web pages, and for what they do."""
        if self._pages != [*pages] or self._actions != [*actions]:
            self._pages = [*pages]
            self._actions = [*actions]
            self._app = self._build()

    def adapt(self, *adapters: Adapter) -> None:
        """Have the addresses of foreign protocols."""
        new = [adapter for adapter in adapters if adapter not in self._adapters]
        if new:
            self._adapters += new
            self._app = self._build()

    @contextmanager
    def holding_the_loop(self) -> Iterator[None]:
        """Keep the event loop from doing anything for the length of the block."""
        held, go_on = threading.Event(), threading.Event()

        def hold() -> None:
            held.set()
            go_on.wait(30)

        self._loop.call_soon_threadsafe(hold)
        assert held.wait(30)
        try:
            yield
        finally:
            go_on.set()

    def close(self) -> None:
        """Stop, and free the port."""
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(10)
        self._threads.close()

    def _authenticate(self, context: Context, secret: str) -> Principal | None:
        known = self.tokens.get(secret)
        if known is not None or not secret.startswith(SECRET_PREFIX):
            return known
        with context.database.read() as connection:
            return authenticate(connection, context.clock, secret)

    def _build(self) -> Any:
        door = Door(
            key=KEY,
            authenticate=self._authenticate,
            sign_in=self._passwords.sign_in,
            is_open=lambda _context: self.is_open,
            hosts=hosts_for("127.0.0.1", self._section.allowed_hosts),
        )
        table = PageTable(self._pages)
        return create_app(
            self._current_context,
            services=self._services,
            door=door,
            section=self._section,
            threads=self._threads,
            pages=[
                *system_routes(self._services, threads=self._threads, control_state=lambda: "absent"),
                *page_routes(table, threads=self._threads),
                self._streams.route(),
                *action_routes(self._actions, table, threads=self._threads),
            ],
            adapters=self._adapters,
        )

    def _current_context(self) -> Context:
        assert self._context is not None, "a request came when no test was using the live server"
        return self._context

    def _choose(self, scope: Any) -> Chosen | None:
        chosen: Chosen | None = self._app.choose(scope)
        return chosen

    def _run(self) -> None:
        async def delegate(scope: Any, receive: Any, send: Any) -> None:
            await self._app(scope, receive, send)

        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            direct = Direct(self._choose, self._threads.start)
            listener = Listener(delegate, self._socket, before_stop=self._streams.close, direct=direct)
            runner.run(listener.run(self._stopping, grace_s=2.0))


class LiveBackend:
    """Gives a workspace services that go through the live server, which learns each class when it is asked for."""

    def __init__(self, server: LiveServer, transport: HttpTransport) -> None:
        self._server = server
        self._transport = transport

    def service(self, cls: type[S]) -> S:
        """Make a client."""
        self._server.offer(cls)
        return remote_service(cls, self._transport)

    def close(self) -> None:
        """Leave the transport to whoever opened it."""
