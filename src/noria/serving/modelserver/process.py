"""What `noria serve` runs: the parent of the workers, which hands on what they keep and reports what they serve."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec

from noria.core.clock import Clock, SystemClock
from noria.core.config import Settings
from noria.core.ids import new_id
from noria.core.lifeline import Lifeline
from noria.core.memory import keep_freed_memory
from noria.serving.modelserver.board import Board, Word
from noria.serving.modelserver.joint import n_requests
from noria.serving.modelserver.link import Link
from noria.serving.modelserver.log_counts import counting
from noria.serving.modelserver.mirror import Mirror, ShadowKeeper
from noria.serving.modelserver.options import ServeOptions
from noria.serving.modelserver.records import apart
from noria.serving.modelserver.reporting import Reporter
from noria.serving.modelserver.standing import Standing
from noria.serving.modelserver.state import labels_root, requests_root, shadows_root, state_root
from noria.serving.modelserver.task import WorkerTask
from noria.serving.modelserver.transfer import Transfer
from noria.serving.modelserver.workers import Limits, Workers

_LOOK_EVERY_S = 0.1
_DRAIN_S = 8.0
_HAND_ON_S = 2.0
_BIND_PATIENCE_S = 2.0
_TELL_EVERY_S = 0.5

_log = logging.getLogger("noria.serving")


@dataclass(frozen=True, slots=True)
class _Hands:
    """What hands on what the workers keep."""

    requests: Transfer
    labels: Transfer
    reporter: Reporter
    mirror: Mirror


def run_model_server(
    settings: Settings,
    open_link: Callable[[], Link],
    options: ServeOptions,
    *,
    managed: bool,
    announce: Callable[[str], None] = lambda _url: None,
    clock: Clock | None = None,
) -> None:
    """Serve models until SIGTERM or SIGINT.

    Parameters
    ----------
    open_link
        Gives the way to the control server, or to the workspace opened in this process; called while workers start.
    managed
        Whether workers look for a control server, rather than open the workspace themselves.
    announce
        Called with the URL once the server answers.

    Raises
    ------
    PortInUse
        If another program listens on the port.
    ConfigInvalid
        If other machines could reach the server and no token is asked of them.
    Failed
        If workers end before they ever answered.
    """
    options.check()
    keep_freed_memory()  # of what is handed on
    with ExitStack() as stack:
        parent = _Parent(stack, settings, options, managed=managed, clock=clock or SystemClock())
        parent.run(open_link, announce)


class _Parent:
    """The parent of the workers."""

    def __init__(
        self, stack: ExitStack, settings: Settings, options: ServeOptions, *, managed: bool, clock: Clock
    ) -> None:
        from noria.core.listening import address_of

        self._stack = stack
        self._settings = settings
        self._options = options
        self._managed = managed
        self._clock = clock
        self._id = new_id()
        self._listening = _bind(options)
        stack.callback(self._close)
        self._url = address_of(self._listening[0])
        self._lifeline = Lifeline()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        os.set_blocking(self._wake_read, False)
        self._board = Board.create(Workers.n_pages(options.n_workers))
        stack.enter_context(counting(self._board.pages[0]))
        self._workers = Workers(
            n=options.n_workers,
            board=self._board,
            spawn=self._spawn,
            limits=Limits.of(
                n_workers=options.n_workers,
                hung_after_s=options.hung_after_s,
                memory_bytes=options.worker_memory_bytes,
            ),
        )
        self._shadows = ShadowKeeper(
            self._spawn_shadows,
            page=self._board.pages[-2],
            dropped=self._drop_shadows,
            hung_after_s=options.hung_after_s,
        )
        self._hands: _Hands | None = None
        self._n_signals = 0
        self._told_at = float("-inf")

    def run(self, open_link: Callable[[], Link], announce: Callable[[str], None]) -> None:
        with _handling(self._on_signal):
            try:
                self._workers.look()
                self._hands = self._start_hands(open_link())
                while not self._workers.is_up and not self._n_signals:
                    self._step()
                if not self._n_signals:
                    announce(self._url)
                while not self._n_signals:
                    self._step()
            finally:
                self._end()

    def _step(self) -> None:
        self._workers.look()
        if self._hands is not None:
            self._shadows.look(wanted=self._hands.mirror.wanted)
        readable, _, _ = select.select([self._wake_read], [], [], _LOOK_EVERY_S)
        if readable:
            os.read(self._wake_read, 4096)
            if self._hands is not None:
                self._hands.labels.wake()
                self._hands.requests.wake()
        self._tell()

    def _tell(self) -> None:
        """Let every worker know how all stand, for whoever asks it."""
        now = time.monotonic()
        if self._hands is None or now - self._told_at < _TELL_EVERY_S:
            return
        self._told_at = now
        standing = Standing(
            requests=self._hands.requests.status(),
            labels=self._hands.labels.status(),
            workers=self._workers.states,
        )
        self._board.pages[0].write_note(msgspec.json.encode(standing))

    def _end(self) -> None:
        """End the workers first, so that all they answered is handed on; say goodbye last."""
        self._close()
        self._shadows.stop(_HAND_ON_S)
        self._workers.stop(_DRAIN_S)
        self._lifeline.close()
        if self._hands is not None:
            self._hands.labels.stop(_HAND_ON_S)
            self._hands.requests.stop(_HAND_ON_S)
            self._hands.reporter.stop(_HAND_ON_S)
            self._hands.mirror.close()

    def _close(self) -> None:
        for listening in self._listening:
            listening.close()

    def _start_hands(self, link: Link) -> _Hands:
        from noria.serving.modelserver.feedback import hand_on_labels, hand_on_requests

        root = state_root(self._settings)
        page = self._board.pages[0]
        mirror = Mirror(link, shadows_root(root), own=self._id, page=page, only=self._options.only)

        def hand_on(records: list[bytes]) -> None:
            hand_on_requests(link, records)
            mirror.take(records)

        requests = Transfer(
            requests_root(root),
            hand_on,
            own=self._id,
            max_bytes=self._options.spool_bytes,
            count=n_requests,
            apart=apart,
        )
        labels = Transfer(labels_root(root), functools.partial(hand_on_labels, link, requests), own=self._id)
        reporter = Reporter(
            link=link,
            board=self._board,
            waiting_bytes=lambda: requests.status().waiting_bytes,
            server=self._id,
            url=self._url,
            clock=self._clock,
        )
        requests.start()
        labels.start()
        reporter.start()
        return _Hands(requests, labels, reporter, mirror)

    def _spawn(self, page: int, place: int) -> subprocess.Popen[bytes]:
        return self._start_program("worker", page, self._listening[place].fileno())

    def _spawn_shadows(self) -> subprocess.Popen[bytes]:
        return self._start_program("shadower", len(self._board.pages) - 2, None)

    def _drop_shadows(self, n: int) -> None:
        # The thread that hands on counts on the same page: not on one word with it.
        self._board.pages[-2].words[Word.N_SHADOWS_DROPPED] += n

    def _start_program(self, name: str, page: int, listen_fd: int | None) -> subprocess.Popen[bytes]:
        fds = [self._board.fd, self._lifeline.child_fd, self._wake_write]
        task = WorkerTask(
            workspace=self._settings.workspace,
            project=self._settings.project,
            managed=self._managed,
            options=self._options,
            url=self._url,
            own=self._id,
            page=page,
            n_pages=len(self._board.pages),
            listen_fd=listen_fd,
            board_fd=fds[0],
            parent_fd=fds[1],
            wake_fd=fds[2],
        )
        process = subprocess.Popen(
            [sys.executable, "-m", f"noria.serving.modelserver.{name}"],
            stdin=subprocess.PIPE,
            pass_fds=fds if listen_fd is None else [*fds, listen_fd],
            # Ctrl-C in the terminal reaches the parent alone, which ends its workers in order.
            start_new_session=True,
        )
        assert process.stdin is not None  # noqa: S101 - as asked for
        # Not on the command line, which everybody on this machine can read.
        with contextlib.suppress(BrokenPipeError), process.stdin as pipe:
            pipe.write(msgspec.json.encode(task))  # one that died already is buried at the next look
        return process

    def _on_signal(self, *_: Any) -> None:
        self._n_signals += 1
        if self._n_signals > 1:
            os._exit(1)  # asked twice: whoever asks does not want to wait
        _log.info("model_server.stopping")


def _bind(options: ServeOptions) -> list[socket.socket]:
    """Take the port; the workers of a parent that was killed a moment ago may still be letting go of it."""
    from noria.core.listening import PortInUse, bind_shared

    deadline = time.monotonic() + _BIND_PATIENCE_S
    while True:
        try:
            return bind_shared(options.host, options.port, options.n_workers)
        except PortInUse:
            if time.monotonic() > deadline:
                raise
            time.sleep(_LOOK_EVERY_S)


@contextmanager
def _handling(handler: Callable[..., None]) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, each in before.items():
            signal.signal(number, each)
