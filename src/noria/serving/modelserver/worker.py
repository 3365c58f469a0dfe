"""One worker of a model server: `python -m noria.serving.modelserver.worker`, started by its parent."""

from __future__ import annotations

import asyncio
import ctypes
import functools
import gc
import logging
import os
import signal
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import msgspec
from granian.constants import Interfaces

from noria.core.clock import Clock, SystemClock
from noria.core.config import Settings, load_settings
from noria.core.gate import hosts_for
from noria.core.http_errors import TooManyRequests
from noria.core.key import read_key
from noria.core.lifeline import end_with_parent
from noria.core.listening import Listener
from noria.core.logs import configure_logging
from noria.core.memory import keep_freed_memory
from noria.serving.modelserver.answering import Answerer
from noria.serving.modelserver.app import ModelApp
from noria.serving.modelserver.arrivals import ArrivalLoop, Arrivals
from noria.serving.modelserver.board import Board, Page, Word
from noria.serving.modelserver.door import Door, Secrets
from noria.serving.modelserver.feedback import Feedback
from noria.serving.modelserver.follower import Follower, Identity
from noria.serving.modelserver.limits import Limiter
from noria.serving.modelserver.link import Link, lazy_link, managed_link
from noria.serving.modelserver.log_counts import counting
from noria.serving.modelserver.metrics import Metrics
from noria.serving.modelserver.outbox import Outbox
from noria.serving.modelserver.pinning import pin_thread
from noria.serving.modelserver.spans import Spans, Traced
from noria.serving.modelserver.standing import Crew, Mirrored, Queue
from noria.serving.modelserver.state import StateFolder, state_root
from noria.serving.modelserver.store import ModelStore
from noria.serving.modelserver.task import WorkerTask
from noria.serving.modelserver.watch import App, Watched
from noria.serving.plans import AppliedPlan, PlannedKey

LABEL_QUEUE_BYTES = 256 << 20

_REQUEST_GRACE_S = 2.0
_FOLLOWER_S = 2.0
_SPANS_S = 1.0
_DEADLINE_S = 8.0
_WAITING_THREADS = 4
_LOOK_EVERY_S = 0.01
_PR_SET_PDEATHSIG = 1
_GC_THRESHOLDS = (20_000, 20, 20)

_log = logging.getLogger("noria.serving")


def main() -> None:
    """Answer until the parent says to stop, or is gone."""
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=WorkerTask)
    _die_with_parent()
    keep_freed_memory()  # of a large request, for the next
    # An orphan holds the port that the next parent wants, and what it acknowledged is with the kernel.
    end_with_parent(task.parent_fd, end=lambda: os._exit(1))
    configure_logging()
    settings = load_settings(workspace=task.workspace, project=task.project)
    with ExitStack() as stack:
        _Worker(stack, settings, task, SystemClock()).run()


class _Worker:
    """A model server's worker put together."""

    def __init__(self, stack: ExitStack, settings: Settings, task: WorkerTask, clock: Clock) -> None:
        self._stack = stack
        self._task = task
        self._board = Board(task.board_fd, task.n_pages)
        self._page = self._board.pages[task.page]
        stack.enter_context(counting(self._page))
        self._limiter = Limiter(self._board, time.monotonic_ns)
        self._metrics = Metrics(self._page)
        state = StateFolder(state_root(settings))
        stack.callback(state.release)
        link = managed_link(settings, clock) if task.managed else lazy_link(settings, clock)
        self._follower = Follower(
            link=link,
            store=ModelStore(state.models),
            plans_file=state.plans,
            identity=Identity(home=settings.project, only=task.options.only),
            tell=_Teller(self._page),
        )
        self._follower.start()
        stack.callback(self._follower.stop, _FOLLOWER_S)
        self._requests = self._outbox(state, labels=False)
        self._labels = self._outbox(state, labels=True)
        door = Door(
            hosts=hosts_for(task.options.host, task.options.allowed_hosts),
            secrets=Secrets(key=_key(settings), token=task.options.token),
            link=link,
            clock=clock,
            routes=lambda: self._follower.routes,
            limit=self._limit,
        )
        self._models = self._model_app(link, door, clock)
        self._app = Watched(self._traced(self._models, task.options.spans_to), self._page, self._board, door)

    def run(self) -> None:
        # What was imported stays: looking through it again and again for garbage takes a part of every request.
        gc.freeze()
        gc.set_threshold(*_GC_THRESHOLDS)
        assert self._task.listen_fd is not None  # noqa: S101 - workers listen
        listening = socket.socket(fileno=self._task.listen_fd)
        listener = Listener(self._app, listening, interface=Interfaces.RSGI)
        with asyncio.Runner(loop_factory=ArrivalLoop) as runner:
            loop = runner.get_loop()
            if isinstance(loop, ArrivalLoop) and self._task.options.spans_to is None:
                Arrivals(self._models, self._app, loop)
            runner.run(self._serve(listener))

    async def _serve(self, listener: Listener) -> None:
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, _on_signal, stopping)
        beating = asyncio.create_task(self._app.beat(lambda: self._follower.is_ready))
        # Until then requests wait in the socket's queue, or are answered by others.
        while not self._follower.has_looked and not stopping.is_set():
            await asyncio.sleep(_LOOK_EVERY_S)
        self._page.words[Word.LISTENS] = 1
        await listener.run(stopping, grace_s=_REQUEST_GRACE_S)
        beating.cancel()
        with suppress(asyncio.CancelledError):
            await beating

    def _model_app(self, link: Link, door: Door, clock: Clock) -> ModelApp:
        computing = ThreadPoolExecutor(
            max(2, os.cpu_count() or 2), thread_name_prefix="noria-predict", initializer=pin_thread
        )
        waiting = ThreadPoolExecutor(_WAITING_THREADS, thread_name_prefix="noria-feedback")
        self._stack.callback(computing.shutdown, wait=False, cancel_futures=True)
        self._stack.callback(waiting.shutdown, wait=False, cancel_futures=True)
        return ModelApp(
            follower=self._follower,
            answerer=Answerer(keep=self._requests.append, clock=clock),
            observe=self._metrics.observe,
            feedback=Feedback(link=link, captures=self._requests, queue=self._labels),
            door=door,
            transfers={
                "requests": Queue(self._board, self._requests, "requests", Word.N_CAPTURES_DROPPED),
                "labels": Queue(self._board, self._labels, "labels", Word.N_LABELS_DROPPED),
                "workers": Crew(self._board),
                "shadows": Mirrored(self._board),
            },
            computing=computing,
            waiting=waiting,
        )

    def _traced(self, app: App, collector: str | None) -> App:
        if collector is None:
            return app
        spans = Spans(collector, dropped=functools.partial(self._metrics.count, Word.N_SPANS_DROPPED))
        spans.start()
        self._stack.callback(spans.stop, _SPANS_S)
        return Traced(app, spans)

    def _outbox(self, state: StateFolder, *, labels: bool) -> Outbox:
        made = Outbox(
            state.labels if labels else state.requests,
            own=self._task.own,
            max_bytes=LABEL_QUEUE_BYTES if labels else self._task.options.spool_bytes,
            page=self._page,
            kept=None if labels else Word.N_CAPTURES,
            dropped=Word.N_LABELS_DROPPED if labels else Word.N_CAPTURES_DROPPED,
            wake=self._wake,
            durable=labels,
        )
        self._stack.callback(made.close)
        return made

    def _limit(self, key: PlannedKey) -> None:
        try:
            self._limiter.take(key)
        except TooManyRequests:
            self._metrics.count(Word.N_LIMITED)
            raise

    def _wake(self) -> None:
        with suppress(BlockingIOError):  # a full pipe wakes as well
            os.write(self._task.wake_fd, b"1")


class _Teller:
    """Tells the parent what was made of the plans."""

    def __init__(self, page: Page) -> None:
        self._page = page

    def __call__(self, applied: list[AppliedPlan]) -> None:
        if not self._page.write_note(msgspec.json.encode(applied)):
            _log.error("worker.note_too_long", extra={"n_endpoints": len(applied)})


def _key(settings: Settings) -> str | None:
    return None if settings.is_remote else read_key(settings.folder)


def _on_signal(stopping: asyncio.Event) -> None:
    if stopping.is_set():
        os._exit(1)  # asked twice: whoever asks does not want to wait
    _log.info("worker.stopping")
    stopping.set()
    deadline = threading.Timer(_DEADLINE_S, os._exit, args=(1,))
    deadline.daemon = True
    deadline.start()


def _die_with_parent() -> None:
    """Ask the kernel to kill this process with its parent: a model that hangs cannot keep the port then."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    main()
