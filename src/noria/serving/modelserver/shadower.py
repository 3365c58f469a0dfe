"""The process that predicts shadows: `python -m noria.serving.modelserver.shadower`, started by the model server.

It is not one that answers, so what it computes costs callers nothing but the processor that they leave over. What it
is to predict lies in a bounded spool; what does not fit there was dropped and counted by whoever put it there.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from noria.core.clock import Clock, SystemClock
from noria.core.config import load_settings
from noria.core.errors import Unavailable
from noria.core.lifeline import end_with_parent
from noria.core.logs import configure_logging
from noria.serving.modelserver.again import KeptRequest, read_again
from noria.serving.modelserver.board import Board, Page, Word
from noria.serving.modelserver.follower import Follower, Identity
from noria.serving.modelserver.lanes import Outputs
from noria.serving.modelserver.link import lazy_link, managed_link
from noria.serving.modelserver.log_counts import counting
from noria.serving.modelserver.mirror import SHADOW, shadow_plan
from noria.serving.modelserver.outbox import Outbox
from noria.serving.modelserver.pinning import pin_thread
from noria.serving.modelserver.recorder import CapturedRequest, Recorder
from noria.serving.modelserver.routes import LoadedVersion, address_name, falls_under
from noria.serving.modelserver.shadow_note import ShadowNote
from noria.serving.modelserver.state import StateFolder, state_root
from noria.serving.modelserver.store import ModelStore
from noria.serving.modelserver.task import WorkerTask
from noria.serving.modelserver.transfer import Transfer
from noria.serving.predictions import ROLES, CaptureRole

PATIENCE_S = 60.0
"""What waits longer for its plan or its model is given up."""

_NICE = 15
_NICE_WHILE_LOADING = 5
"""Who gives way more would hardly come to its first prediction beside a busy server."""

_BATCH_S = 1.0
"""As many requests are predicted together as take about so long: one call must not look like one that hangs."""

_LOOK_EVERY_S = 0.1
_STOP_S = 2.0
_ERROR_LENGTH = 500
_SHADOW = ROLES.index(CaptureRole.SHADOW)

_log = logging.getLogger("noria.serving.shadows")


class Shadows:
    """Predicts what was answered, by the versions that are to be asked too. Used by one thread.

    Parameters
    ----------
    follower
        Of plans as `shadow_plan` gives them.
    keep
        Takes the records of what was predicted.
    home
        The model server's own project.
    """

    def __init__(self, *, follower: Follower, keep: Outbox, page: Page, home: str, clock: Clock) -> None:
        self._follower = follower
        self._keep = keep
        self._words = page.words
        self._home = home
        self._clock = clock
        self._recorder = Recorder()
        self._note = ShadowNote(page)
        self._waits_since: dict[tuple[tuple[str, str], int], float] = {}
        self._is_pinned = False

    def take(self, records: list[bytes]) -> None:
        """Predict what was answered.

        Raises
        ------
        Unavailable
            If a version is not loaded yet; nothing was predicted then.
        """
        if not self._is_pinned:
            pin_thread()  # the thread that comes first is the one that comes always
            self._is_pinned = True
        requests = [request for record in records if (request := read_again(record)) is not None]
        groups = [(key, list(group)) for key, group in groupby(requests, lambda r: (r.place, r.revision))]
        work = [(version, some) for key, group in groups for version, some in self._asked(*key, group)]
        for version, some in work:
            number = version.entity.version
            left = [request for request in some if (number, request.id) not in self._note.passed]
            for batch in batches(left, version.lane.rows_within(_BATCH_S)):
                self._predict(version, batch)
        self._note.forget()

    def _asked(
        self, place: tuple[str, str], revision: int, requests: list[KeptRequest]
    ) -> Iterator[tuple[LoadedVersion, list[KeptRequest]]]:
        """Give the versions that are to be asked about requests of one endpoint and revision."""
        known = self._follower.plan(*place)
        if known is None or known[1] < revision:
            self._wait(place, revision)
            return
        plan, followed = known
        self._waits_since.pop((place, revision), None)
        route = self._follower.routes.get(address_name(*place, self._home))
        if route is None or followed != revision or route.revision != revision:
            return  # Its versions cannot be loaded, or the plan has changed since.
        for shadow in plan.versions:
            if shadow.version in route.versions:
                chosen = [r for r in requests if r.version != shadow.version]
                yield (
                    route.versions[shadow.version],
                    [r for r in chosen if falls_under(shadow.weight, SHADOW, place[1], r.id)],
                )

    def _wait(self, place: tuple[str, str], revision: int) -> None:
        now = self._clock.monotonic()
        since = self._waits_since.setdefault((place, revision), now)
        if now - since < PATIENCE_S:
            raise Unavailable(f"The shadows of the endpoint `{place[1]}` are not loaded yet")

    def _predict(self, version: LoadedVersion, batch: list[KeptRequest]) -> None:
        inputs = {
            name: np.concatenate([request.inputs[name] for request in batch]) for name in batch[0].inputs
        }
        self._note.begin(version.entity.version, [request.id for request in batch])
        began = time.perf_counter()
        try:
            outputs = version.lane.run(inputs, sum(request.n_rows for request in batch))
        except Exception as error:  # noqa: BLE001 - whatever a model raises is what is to be known of it
            if len(batch) > 1:
                for request in batch:
                    self._predict(version, [request])
                return
            text = f"{type(error).__name__}: {error}"[:_ERROR_LENGTH]
            self._record(version, batch[0], {}, text, _micros(began))
        else:
            # Each request has its part of the time that all of them took.
            took_us = _micros(began) // len(batch)
            for request, found in zip(batch, _split(outputs, batch), strict=True):
                self._record(version, request, found, None, took_us)
        self._note.end()
        self._words[Word.N_SHADOWS] += len(batch)

    def _record(
        self, version: LoadedVersion, request: KeptRequest, outputs: Outputs, error: str | None, took_us: int
    ) -> None:
        common = (*request.place, version.entity.version, request.revision)
        record = CapturedRequest(
            common, request.id, request.at_us, took_us, request.n_rows, {}, outputs, error, _SHADOW
        )
        self._keep.append(self._recorder.encode(record))


def batches(requests: Sequence[KeptRequest], max_rows: int) -> Iterator[list[KeptRequest]]:
    """Put requests together that one call can predict: of the same arrays but for their rows, and not too many rows."""
    for _, alike in groupby(requests, _form):
        batch: list[KeptRequest] = []
        n_rows = 0
        for request in alike:
            n_rows += request.n_rows
            if batch and n_rows > max_rows:
                yield batch
                batch, n_rows = [], request.n_rows
            batch.append(request)
        yield batch


def _form(request: KeptRequest) -> list[tuple[str, tuple[int, ...], np.dtype[Any]]]:
    return [(name, array.shape[1:], array.dtype) for name, array in request.inputs.items()]


def _split(outputs: Outputs, batch: list[KeptRequest]) -> Iterator[Outputs]:
    start = 0
    for request in batch:
        yield {name: array[start : start + request.n_rows] for name, array in outputs.items()}
        start += request.n_rows


def _micros(began: float) -> int:
    return round((time.perf_counter() - began) * 1e6)


def main() -> None:
    """Predict until the parent says to stop, or is gone."""
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=WorkerTask)
    end_with_parent(task.parent_fd, end=lambda: os._exit(1))
    give_way(_NICE_WHILE_LOADING)
    configure_logging()
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    with ExitStack() as stack:
        _run(stack, task, SystemClock(), stopping)


def _run(stack: ExitStack, task: WorkerTask, clock: Clock, stopping: threading.Event) -> None:
    settings = load_settings(workspace=task.workspace, project=task.project)
    page = Board(task.board_fd, task.n_pages).pages[task.page]
    stack.enter_context(counting(page))
    state = StateFolder(state_root(settings))
    stack.callback(state.release)
    follower = Follower(
        link=managed_link(settings, clock) if task.managed else lazy_link(settings, clock),
        store=ModelStore(state.models),
        plans_file=state.plans,
        identity=Identity(home=settings.project, only=task.options.only),
        tell=lambda _applied: None,
        view=shadow_plan,
    )
    follower.start()
    stack.callback(follower.stop, _STOP_S)
    keep = Outbox(
        state.requests,
        own=task.own,
        max_bytes=task.options.spool_bytes,
        page=page,
        dropped=Word.N_SHADOWS_DROPPED,
        wake=lambda: _wake(task.wake_fd),
    )
    stack.callback(keep.close)
    shadows = Shadows(follower=follower, keep=keep, page=page, home=settings.project, clock=clock)
    transfer = Transfer(state.shadows, shadows.take, own=task.own)
    transfer.start()
    stack.callback(transfer.stop, _STOP_S)
    while not follower.has_looked and not stopping.wait(_LOOK_EVERY_S):
        pass
    give_way(_NICE)
    stopping.wait()


def give_way(nice: int) -> None:
    """Let others have the processor first: those of this session, and other sessions where Linux weighs them as one."""
    os.setpriority(os.PRIO_PROCESS, 0, nice)
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text(f"{nice}\n")


def _wake(descriptor: int) -> None:
    with suppress(BlockingIOError):  # a full pipe wakes as well
        os.write(descriptor, b"1")


if __name__ == "__main__":
    main()
