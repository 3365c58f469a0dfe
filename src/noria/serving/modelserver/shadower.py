"""The process that predicts shadows: `python -m noria.serving.modelserver.shadower`, started by the model server.

It is not one that answers, so what it computes costs callers nothing but the processor that they leave over. Where they
leave none it predicts a few hundred rows a second, and what is left waits for a calmer time in a bounded spool; what
does not fit there was dropped and counted by whoever put it there.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
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
from noria.core.priority import held_up_s, only_when_idle
from noria.serving.modelserver.again import KeptRequests, read_again
from noria.serving.modelserver.board import Board, Page, Word
from noria.serving.modelserver.follower import Follower, Identity
from noria.serving.modelserver.lanes import Outputs
from noria.serving.modelserver.link import lazy_link, managed_link
from noria.serving.modelserver.log_counts import counting
from noria.serving.modelserver.mirror import SHADOW, shadow_plan
from noria.serving.modelserver.outbox import Outbox
from noria.serving.modelserver.pace import Pace, Spare, own_group
from noria.serving.modelserver.pinning import pin_thread
from noria.serving.modelserver.recorder import CapturedRequest, Recorder
from noria.serving.modelserver.records import origin_of
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

_BATCH_S = 0.1
"""As many requests are predicted together as take about so long: what they need is taken from others in one piece."""

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
    pace
        Lets it rest behind each call.
    settle
        Called once by the thread that predicts, before it does.
    """

    def __init__(
        self,
        *,
        follower: Follower,
        keep: Outbox,
        page: Page,
        home: str,
        clock: Clock,
        pace: Pace,
        settle: Callable[[], object] = lambda: None,
    ) -> None:
        self._follower = follower
        self._keep = keep
        self._words = page.words
        self._home = home
        self._clock = clock
        self._pace = pace
        self._settle = settle
        self._recorder = Recorder()
        self._note = ShadowNote(page)
        self._waits_since: dict[tuple[tuple[str, str], int], float] = {}
        self._is_settled = False

    def take(self, records: list[bytes]) -> None:
        """Predict what was answered.

        Raises
        ------
        Unavailable
            If a version is not loaded yet; nothing was predicted then.
        """
        if not self._is_settled:
            self._settle()
            self._is_settled = True
        groups = [(key, list(group)) for key, group in groupby(records, _plan_of)]
        work = [(key, group, asked) for key, group in groups if (asked := self._asked(key))]
        for key, group, asked in work:
            requests = [found for record in group if (found := read_again(record)) is not None]
            for version, share in asked:
                left = [some for each in requests if (some := self._left(version, share, each)) is not None]
                for batch in batches(left, version.lane.rows_within(_BATCH_S)):
                    if not self._asked(key):  # the plan has changed while this waited for its turn
                        break
                    self._predict(version, batch)
                    self._pace.rest(sum(each.n_rows for each in batch))
        self._note.forget()

    def _asked(self, key: _Plan | None) -> list[tuple[LoadedVersion, float]]:
        """Give the versions that are to be asked about what was answered under a plan, and the share of each."""
        if key is None:
            return []
        place, revision = key
        known = self._follower.plan(*place)
        if known is None or known[1] < revision:
            self._wait(place, revision)
            return []
        plan, followed = known
        self._waits_since.pop((place, revision), None)
        route = self._follower.routes.get(address_name(*place, self._home))
        if route is None or followed != revision or route.revision != revision:
            return []  # Its versions cannot be loaded, or the plan has changed since.
        return [
            (route.versions[shadow.version], shadow.weight)
            for shadow in plan.versions
            if shadow.version in route.versions
        ]

    def _wait(self, place: tuple[str, str], revision: int) -> None:
        now = self._clock.monotonic()
        since = self._waits_since.setdefault((place, revision), now)
        if now - since < PATIENCE_S:
            raise Unavailable(f"The shadows of the endpoint `{place[1]}` are not loaded yet")

    def _left(self, version: LoadedVersion, share: float, requests: KeptRequests) -> KeptRequests | None:
        """Give the requests that a version is asked about: it did not answer them, nor did a process hang at them."""
        number, endpoint = version.entity.version, requests.place[1]
        if requests.version == number:
            return None
        places = [
            place
            for place, identity in enumerate(requests.ids)
            if falls_under(share, SHADOW, endpoint, identity) and (number, identity) not in self._note.passed
        ]
        return requests.chosen(places) if places else None

    def _predict(self, version: LoadedVersion, batch: list[KeptRequests]) -> None:
        inputs = {name: np.concatenate([some.inputs[name] for some in batch]) for name in batch[0].inputs}
        ids = [identity for some in batch for identity in some.ids]
        self._note.begin(version.entity.version, ids)
        began = _at_work_s()
        try:
            outputs = version.lane.run(inputs, sum(some.n_rows for some in batch))
        except Exception as error:  # noqa: BLE001 - whatever a model raises is what is to be known of it
            if len(ids) > 1:
                for one in _one_by_one(batch):
                    self._predict(version, [one])
                return
            text = f"{type(error).__name__}: {error}"[:_ERROR_LENGTH]
            self._record(version, batch[0], {}, text, _micros(began))
        else:
            # Each request has its part of the time that all of them took.
            took_us = _micros(began) // len(ids)
            for some, found in zip(batch, _split(outputs, batch), strict=True):
                self._record_all(version, some, found, took_us)
        self._note.end()
        self._words[Word.N_SHADOWS] += len(ids)

    def _record_all(
        self, version: LoadedVersion, requests: KeptRequests, outputs: Outputs, took_us: int
    ) -> None:
        """Keep what was predicted: in one record, as the answers were kept, where that can be done."""
        common = (*requests.place, version.entity.version, requests.revision)
        ids, at_us = requests.ids, requests.at_us
        if len(ids) > 1:
            record = self._recorder.encode_rows(common, at_us, ids, took_us, outputs, _SHADOW)
            if record is not None:
                self._keep.append(record, len(ids))
                return
        ones = _one_by_one([requests])
        for one, found in zip(ones, _split(outputs, ones), strict=True):
            self._record(version, one, found, None, took_us)

    def _record(
        self, version: LoadedVersion, request: KeptRequests, outputs: Outputs, error: str | None, took_us: int
    ) -> None:
        common = (*request.place, version.entity.version, request.revision)
        record = CapturedRequest(
            common, request.ids[0], request.at_us, took_us, request.n_rows, {}, outputs, error, _SHADOW
        )
        self._keep.append(self._recorder.encode(record))


_Plan = tuple[tuple[str, str], int]
"""Project and endpoint, and the revision under which it answered."""


def _plan_of(record: bytes) -> _Plan | None:
    """Tell under which plan a record was answered; None when it is no answer."""
    origin = origin_of(record)
    if origin is None or origin.role:
        return None
    return (origin.project, origin.endpoint), origin.revision


def batches(requests: Sequence[KeptRequests], max_rows: int) -> Iterator[list[KeptRequests]]:
    """Put requests together that one call can predict: of the same arrays but for their rows, and not too many rows."""
    for _, alike in groupby(requests, _form):
        batch: list[KeptRequests] = []
        n_rows = 0
        for some in (part for each in alike for part in each.parts(max_rows)):
            n_rows += some.n_rows
            if batch and n_rows > max_rows:
                yield batch
                batch, n_rows = [], some.n_rows
            batch.append(some)
        yield batch


def _form(requests: KeptRequests) -> list[tuple[str, tuple[int, ...], np.dtype[Any]]]:
    return [(name, array.shape[1:], array.dtype) for name, array in requests.inputs.items()]


def _one_by_one(batch: list[KeptRequests]) -> list[KeptRequests]:
    return [one for some in batch for one in some.parts(some.rows_each)]


def _split(outputs: Outputs, batch: list[KeptRequests]) -> Iterator[Outputs]:
    start = 0
    for some in batch:
        yield {name: array[start : start + some.n_rows] for name, array in outputs.items()}
        start += some.n_rows


def _at_work_s() -> float:
    """Give seconds that stand still while others have the processors: shadows give way, and answers do not."""
    return time.perf_counter() - held_up_s()


def _micros(began: float) -> int:
    return max(0, round((_at_work_s() - began) * 1e6))


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
    pace = Pace(clock, stopping.wait, Spare(clock, own_group()))
    shadows = Shadows(
        follower=follower,
        keep=keep,
        page=page,
        home=settings.project,
        clock=clock,
        pace=pace,
        settle=_give_way_for_good,
    )
    transfer = Transfer(state.shadows, shadows.take, own=task.own)
    transfer.start()
    stack.callback(transfer.stop, _STOP_S)
    while not follower.has_looked and not stopping.wait(_LOOK_EVERY_S):
        pass
    give_way(_NICE)
    stopping.wait()


def _give_way_for_good() -> None:
    pin_thread()  # before it gives way: what this imports takes long with what others leave over
    only_when_idle()


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
