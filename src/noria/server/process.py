"""What `noria server` runs: the workspace opened, its control loop, and the HTTP application, until told to stop."""

from __future__ import annotations

import asyncio
import ctypes
import functools
import gc
import importlib
import logging
import os
import signal
import threading
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass

import msgspec

from noria.access.authentication import authenticate, has_users
from noria.access.signing_in import PasswordDoor
from noria.core.clock import SystemClock
from noria.core.config import Settings
from noria.core.context import Context
from noria.core.control.lock import WorkspaceLock
from noria.core.direct import Direct, DirectLoop
from noria.core.errors import ConfigInvalid
from noria.core.events.sealer import Sealer
from noria.core.gate import hosts_for, is_loopback
from noria.core.key import ensure_key
from noria.core.listening import Listener, address_of, bind
from noria.core.objects.digests import hash_bytes
from noria.core.permissions import Principal, Role
from noria.core.web.rendering import compile_beside
from noria.core.workspace import make_folder, open_context
from noria.server.action_routes import action_routes
from noria.server.app import Application, Door, create_app
from noria.server.assembly import load_actions, load_adapters, load_control, load_pages, load_services
from noria.server.control import ControlKeeper
from noria.server.entities import ServerSection
from noria.server.live_routes import LiveStreams
from noria.server.page_routes import PageTable, page_routes
from noria.server.system_routes import system_routes
from noria.server.threads import Threads

CONTROL = Principal(name="control", role=Role.ADMIN, holds_key=True)
"""Who the event log names when the control loop acts."""

_M_ARENA_MAX, _M_MMAP_THRESHOLD = -8, -3
"""As `malloc.h` numbers them."""

PAGES_AFTER_S = 0.05
"""To import the pages takes a quarter of a second; programs, which need none, get their first answers before."""

CONTROL_AFTER_S = 0.1
"""So long after the pages: the import of the control loop's engine holds the interpreter for half a second."""

TEMPLATES_AFTER_S = 2.0
"""Compiling the templates of all pages takes most of a second, which the control loop's engine needs first."""

TEMPLATES_REST = 3.0
"""So much longer than it works does that thread wait: pages that are asked for meanwhile come first."""

REQUEST_GRACE_S = 1.0
DEADLINE_S = 5.0
"""A stopping server that has not ended by then is stuck in somebody's request, and ends all the same."""

_log = logging.getLogger("noria.server")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """What the command line says about a server; None leaves it to the settings."""

    host: str | None = None
    port: int | None = None


def run_server(
    settings: Settings, options: ServerOptions, *, announce: Callable[[str], None] = lambda _url: None
) -> None:
    """Serve a workspace folder until SIGTERM or SIGINT.

    Parameters
    ----------
    announce
        Called with the URL once the server answers.

    Raises
    ------
    Locked
        If the folder has a server already.
    PortInUse
        If another program listens on the port.
    ConfigInvalid
        If the workspace is no folder, or other machines could reach it and no user exists.
    Unavailable
        If the database or the bucket of the objects does not answer.
    """
    section = server_section(settings, options)
    with ExitStack() as stack:
        folder = settings.folder
        make_folder(folder)
        lock = WorkspaceLock(folder)
        lock.acquire()
        stack.callback(lock.release)
        listening = bind(section.host, section.port)
        stack.callback(listening.close)
        context = open_context(settings, SystemClock(), locked=True).acting_as(CONTROL)
        stack.callback(context.database.dispose)
        require_user(context, section.host)
        context.objects.has(
            hash_bytes(b"")
        )  # a bucket that is away is better told now than at the first upload
        threads = Threads(n_requests=section.n_threads, n_transfers=section.n_transfer_threads)
        stack.callback(threads.close)
        keeper = ControlKeeper(context, load_control)
        services = load_services()
        streams = LiveStreams(threads)
        app = create_app(
            lambda: context,
            services=services,
            door=make_door(context, section),
            section=section,
            threads=threads,
            pages=[
                *system_routes(services, threads=threads, control_state=keeper.state),
                streams.route(),
            ],
            adapters=load_adapters(),
            more_to_come=True,
        )
        url = address_of(listening)
        tell: list[Callable[[], object]] = [
            functools.partial(lock.publish, url),
            functools.partial(announce, url),
        ]
        # The engine of the control loop imports SQLAlchemy's ORM while requests are answered, and statements that are
        # made meanwhile look into the half of it that is there.
        importlib.import_module("sqlalchemy.orm")
        _keep_heaps_small()
        with asyncio.Runner(loop_factory=DirectLoop) as runner:
            direct = Direct(app.choose, threads.start)
            listener = Listener(app, listening, before_stop=streams.close, direct=direct)
            runner.run(_serve(listener, keeper, tell, functools.partial(_add_pages, app, threads)))
        Sealer(context.database, context.clock, folder).checkpoint(at_once=True)
    keeper.raise_failure()


def server_section(settings: Settings, options: ServerOptions) -> ServerSection:
    """Give the settings of the server, with what the command line says on top."""
    section = settings.section("server", ServerSection)
    changes = {"host": options.host, "port": options.port}
    return msgspec.structs.replace(section, **{k: v for k, v in changes.items() if v is not None})


def make_door(context: Context, section: ServerSection) -> Door:
    """Decide who is let in: on loopback everybody until a user exists, then who has a credential."""
    loopback = is_loopback(section.host)
    return Door(
        key=ensure_key(context.settings.folder),
        authenticate=_authenticate,
        sign_in=PasswordDoor().sign_in,
        is_open=lambda asked: loopback and not has_users(asked.database),
        hosts=hosts_for(section.host, section.allowed_hosts),
    )


def require_user(context: Context, host: str) -> None:
    """Refuse to be reached from other machines as long as nobody could sign in.

    Raises
    ------
    ConfigInvalid
        If `host` is not loopback and there is no user.
    """
    if is_loopback(host) or has_users(context.database):
        return
    raise ConfigInvalid(
        f"Other machines could reach `{host}`, and this workspace has no user who would have to sign in",
        hint="Make one with `noria users create NAME --role admin`, or leave out `--host`",
    )


def _authenticate(context: Context, secret: str) -> Principal | None:
    with context.database.read() as connection:
        return authenticate(connection, context.clock, secret)


def _settle_memory() -> None:
    """Tell the garbage collector that what is loaded by now stays.

    Answers make objects by the hundred thousand, none of them in a cycle. The collector would walk over all modules
    again and again while one of them is made, for several times the cost of the answer; with its usual thresholds
    even more often.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    gc.enable()


def _keep_heaps_small() -> None:
    """Have glibc give the memory of large answers back, where glibc it is.

    By itself it makes a heap for each thread, and takes large blocks from these once a large one was freed: after
    some answers of megabytes each heap is mostly holes.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 2)
        mallopt(_M_MMAP_THRESHOLD, 1 << 20)


async def _serve(
    listener: Listener,
    keeper: ControlKeeper,
    started: list[Callable[[], object]],
    add_pages: Callable[[], Awaitable[list[str]]],
) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    stop = functools.partial(loop.call_soon_threadsafe, stopping.set)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _on_signal, stopping)
    completing = loop.create_task(_complete(keeper, add_pages, stop))
    completing.add_done_callback(functools.partial(_stop_if_failed, stopping))
    for tell in started:
        tell()
    await listener.run(stopping, grace_s=REQUEST_GRACE_S)
    completing.cancel()
    await asyncio.to_thread(keeper.stop)
    if completing.done() and not completing.cancelled():
        completing.result()  # raises what kept the pages from being there


def _stop_if_failed(stopping: asyncio.Event, completing: asyncio.Task[None]) -> None:
    if not completing.cancelled() and completing.exception() is not None:
        stopping.set()


async def _complete(
    keeper: ControlKeeper, add_pages: Callable[[], Awaitable[list[str]]], stop: Callable[[], object]
) -> None:
    """Bring what the first answers did not need: the pages, then the control loop, then the templates."""
    await asyncio.sleep(PAGES_AFTER_S)
    templates = await add_pages()
    await asyncio.sleep(CONTROL_AFTER_S)
    _settle_memory()
    keeper.start(on_failure=stop)
    await asyncio.sleep(TEMPLATES_AFTER_S)
    _compile_templates(templates)


async def _add_pages(app: Application, threads: Threads) -> list[str]:
    """Import all pages and actions, add their routes, and give the templates of the pages."""
    pages, actions = await asyncio.to_thread(lambda: (load_pages(), load_actions()))
    table = PageTable(pages)
    app.add([*page_routes(table, threads=threads), *action_routes(actions, table, threads=threads)])
    return [page.template for page in table.pages]


def _compile_templates(templates: list[str]) -> None:
    """Compile the pages' templates beside the answers, so that the first reader of a page need not wait for it."""
    compiling = functools.partial(compile_beside, templates, rests=TEMPLATES_REST)
    threading.Thread(target=compiling, name="templates", daemon=True).start()


def _on_signal(stopping: asyncio.Event) -> None:
    if stopping.is_set():
        os._exit(1)  # asked twice: whoever asks does not want to wait
    _log.info("server.stopping")
    stopping.set()
    deadline = threading.Timer(DEADLINE_S, os._exit, args=(1,))
    deadline.daemon = True
    deadline.start()
