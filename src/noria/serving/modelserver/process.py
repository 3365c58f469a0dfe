"""What `noria serve` runs: the model server put together, until it is told to stop."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import uvloop
from granian.constants import Interfaces

from noria.core.clock import Clock, SystemClock
from noria.core.config import Settings
from noria.core.errors import ConfigInvalid
from noria.core.gate import hosts_for, is_loopback
from noria.core.ids import new_id
from noria.core.key import read_key
from noria.core.listening import Listener, address_of, bind
from noria.serving.modelserver.answering import Answerer
from noria.serving.modelserver.app import ModelApp
from noria.serving.modelserver.door import Door, Secrets
from noria.serving.modelserver.feedback import Feedback, hand_on_labels, hand_on_requests
from noria.serving.modelserver.follower import Follower, Identity
from noria.serving.modelserver.link import Link
from noria.serving.modelserver.pinning import pin_thread
from noria.serving.modelserver.state import StateFolder, state_root
from noria.serving.modelserver.store import ModelStore
from noria.serving.modelserver.transfer import Transfer

LABEL_QUEUE_BYTES = 256 << 20

_REQUEST_GRACE_S = 2.0
_HAND_ON_S = 2.0
_DEADLINE_S = 8.0
_WAITING_THREADS = 4
_MIN_TOKEN_LENGTH = 20

_log = logging.getLogger("noria.serving")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """How a model server listens and what it keeps.

    Attributes
    ----------
    only
        Serve this endpoint (project, name) alone; None for all of the workspace.
    token
        What every request must carry; needed when other machines can reach `host`.
    spool_bytes
        Most that answered requests may take on this disk before they are handed on.
    """

    host: str = "127.0.0.1"
    port: int = 0
    allowed_hosts: tuple[str, ...] = ()
    only: tuple[str, str] | None = None
    token: str | None = field(default=None, repr=False)
    spool_bytes: int = 1 << 30


def run_model_server(
    settings: Settings,
    link: Link,
    options: ServeOptions,
    *,
    announce: Callable[[str], None] = lambda _url: None,
    clock: Clock | None = None,
) -> None:
    """Serve models until SIGTERM or SIGINT.

    Parameters
    ----------
    link
        The way to the control server, or to the workspace opened in this process.
    announce
        Called with the URL once the server answers.

    Raises
    ------
    PortInUse
        If another program listens on the port.
    ConfigInvalid
        If other machines could reach the server and no token is asked of them.
    """
    _require_token(options)
    ticking = clock or SystemClock()
    with ExitStack() as stack:
        listening = bind(options.host, options.port)
        stack.callback(listening.close)
        state = StateFolder(state_root(settings))
        stack.callback(state.release)
        url = address_of(listening)
        app = _assemble(stack, settings, link, options, state, url, ticking)
        listener = Listener(app, listening, interface=Interfaces.RSGI)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(listener, functools.partial(announce, url)))


def read_token(path: Path) -> str:
    """Read the token that every request must carry.

    Raises
    ------
    ConfigInvalid
        If the file cannot be read, can be read by others, or holds too short a token.
    """
    try:
        mode = path.stat().st_mode
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigInvalid(f"The token file `{path}` cannot be read: {error}") from error
    if mode & 0o077:
        raise ConfigInvalid(f"The token file `{path}` can be read by others", hint=f"chmod 600 {path}")
    if len(token) < _MIN_TOKEN_LENGTH:
        raise ConfigInvalid(
            f"The token in `{path}` is too short to be safe",
            hint=f"Use at least {_MIN_TOKEN_LENGTH} characters",
        )
    return token


def _require_token(options: ServeOptions) -> None:
    if not is_loopback(options.host) and options.token is None:
        raise ConfigInvalid(
            f"Other machines could reach `{options.host}`, and nothing would be asked of them",
            hint="Give a token with `--token-file FILE`, or leave out `--host`",
        )


def _assemble(
    stack: ExitStack,
    settings: Settings,
    link: Link,
    options: ServeOptions,
    state: StateFolder,
    url: str,
    clock: Clock,
) -> ModelApp:
    requests = Transfer(
        state.requests, functools.partial(hand_on_requests, link), max_bytes=options.spool_bytes
    )
    labels = Transfer(
        state.labels,
        functools.partial(hand_on_labels, link, requests),
        max_bytes=LABEL_QUEUE_BYTES,
        durable=True,
    )
    follower = Follower(
        link=link,
        store=ModelStore(state.models),
        plans_file=state.plans,
        identity=Identity(server=new_id(), url=url, home=settings.project, only=options.only),
        clock=clock,
        n_dropped=lambda: requests.status().n_dropped,
    )
    # Ended in the reverse order: goodbye first, then labels, which need their predictions handed on before them.
    for transfer in (requests, labels):
        transfer.start()
        stack.callback(transfer.stop, _HAND_ON_S)
    follower.start()
    stack.callback(follower.stop, _HAND_ON_S)
    computing = ThreadPoolExecutor(
        max(2, os.cpu_count() or 2), thread_name_prefix="noria-predict", initializer=pin_thread
    )
    waiting = ThreadPoolExecutor(_WAITING_THREADS, thread_name_prefix="noria-feedback")
    stack.callback(computing.shutdown, wait=False, cancel_futures=True)
    stack.callback(waiting.shutdown, wait=False, cancel_futures=True)
    return ModelApp(
        follower=follower,
        answerer=Answerer(keep=requests.append, clock=clock),
        feedback=Feedback(link=link, captures=requests, queue=labels),
        door=Door(
            hosts=hosts_for(options.host, options.allowed_hosts),
            secrets=Secrets(key=_key(settings), token=options.token),
            link=link,
            clock=clock,
        ),
        transfers={"requests": requests, "labels": labels},
        computing=computing,
        waiting=waiting,
    )


def _key(settings: Settings) -> str | None:
    return None if settings.is_remote else read_key(settings.folder)


async def _serve(listener: Listener, announce: Callable[[], None]) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _on_signal, stopping)
    announce()
    await listener.run(stopping, grace_s=_REQUEST_GRACE_S)


def _on_signal(stopping: asyncio.Event) -> None:
    if stopping.is_set():
        os._exit(1)  # asked twice: whoever asks does not want to wait
    _log.info("model_server.stopping")
    stopping.set()
    deadline = threading.Timer(_DEADLINE_S, os._exit, args=(1,))
    deadline.daemon = True
    deadline.start()
