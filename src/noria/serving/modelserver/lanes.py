"""How a loaded version is run: at once, in a thread, or several requests together; and when it is too much."""

from __future__ import annotations

import asyncio
import itertools
import math
import os
import threading
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from noria.core.http_errors import TooManyRequests
from noria.registry.runtimes.port import LoadedModel
from noria.serving.modelserver.culprits import Culprit, find_culprit, n_tries

QUICK_S = {"onnxruntime": 0.005}
"""Engine → what may run in the event loop: handing it to a thread and back costs others as much."""

QUICK_ELSE_S = 0.0005
_READERS = frozenset({"onnxruntime"})
"""Engines that never write to their inputs."""

PART_S = 0.001
"""Rows that take less are not worth another core: to hand them over and wait for them costs a part of it."""

BATCHING_FROM_S = 0.0002
"""A row that takes less is not worth waiting for others."""

MAX_BATCH_ROWS = 512
MAX_WAITING = 1_000
MAX_WAIT_S = 2.0
"""A request that would wait longer is refused, once `_ALWAYS` others wait."""

GATHER_SHARE, _GATHER_PAUSE_S = 0.5, 0.002
"""Between two calls requests are waited for as long as they keep coming, and for half of what a call takes at most.

Clients that were answered ask again. Were those that waited begun with at once, they and the others would take turns
for ever, and each call would hold half of the rows that it could.
"""

CULPRIT_S = 0.2
"""Longest that may be spent on finding the value that a model raises on, by what its calls are known to take."""

_ALWAYS = 8
_WEIGHT = 0.1
_FARTHEST, _LEAST_S = 4, 0.0001
"""A call counts as at most so many times what calls took until now, and as this at least.

One that took very long was mostly held up by others on this machine. Taken at its word, it would send the requests
after it through threads, where they are held up the more. What has become slow is noticed within a few dozen calls.
"""
_MANY = 32
_REPEATS = 3

Arrays = Mapping[str, NDArray[Any]]
Outputs = dict[str, NDArray[Any]]


class Waiting(NamedTuple):
    """A request that waits for its turn."""

    inputs: Arrays
    n_rows: int
    done: asyncio.Future[Outputs]


@dataclass(slots=True)
class _Gathering:
    """What is waited for between two calls."""

    n_expected: int
    until: float
    last_at: float

    def arrived(self, now: float) -> None:
        """Take note of a request."""
        self.last_at = now

    @property
    def due(self) -> float:
        """When to begin, unless another comes before."""
        return min(self.until, self.last_at + _GATHER_PAUSE_S)


class Lane:
    """Runs one loaded version. Belongs to one event loop, but for `measure` and `run`.

    Parameters
    ----------
    n_cores
        Among which the rows of one request are shared out, if the model allows it and nothing else is at work; None
        takes those of the machine.

    Attributes
    ----------
    batches
        Whether requests that come while others are at work are predicted together.
    """

    def __init__(self, model: LoadedModel, n_cores: int | None = None) -> None:
        self._model = model
        self._n_cores = n_cores or os.cpu_count() or 1
        self._goes_apart: bool = getattr(model, "goes_apart", False)
        self._limit_s = QUICK_S.get(getattr(model, "engine", "native"), QUICK_ELSE_S)
        self._only_reads = getattr(model, "engine", "native") in _READERS
        self._base_s = math.inf
        self._row_s = 0.0
        self.batches = False
        self._waiting: deque[Waiting] = deque()
        self._n_at_work = 0
        self._gathering: _Gathering | None = None
        self._known: Arrays | None = None
        self._blaming = threading.Lock()

    def measure(self, inputs: Arrays, n_rows: int) -> None:
        """Run some rows for warmth, and note how long one takes and how long many take.

        Parameters
        ----------
        inputs
            Rows that the model is known to answer.
        """
        few = {name: array[:1] for name, array in inputs.items()}
        many = {name: np.resize(array, (_MANY, *array.shape[1:])) for name, array in inputs.items()}
        self.run(few, 1)
        self._known = few
        one_s = min(self._timed(few, 1) for _ in range(_REPEATS))
        many_s = min(self._timed(many, _MANY) for _ in range(_REPEATS if one_s < 0.1 else 1))
        self._row_s = max(0.0, many_s - one_s) / (_MANY - 1)
        self._base_s = max(0.0, one_s - self._row_s)
        self.batches = one_s >= BATCHING_FROM_S and many_s < one_s * _MANY / 2 and n_rows > 0

    def is_quick(self, n_rows: int) -> bool:
        """Tell whether rows can be predicted in the event loop."""
        return self._base_s + self._row_s * n_rows <= self._limit_s and self._n_parts(n_rows) == 1

    def rows_within(self, seconds: float) -> int:
        """Tell how many rows take about so long in one call: at least 1, and at most what goes together at all.

        What a call takes beside its rows is left out: more rows do not add to it, and it grows while others have the
        processors.
        """
        if not 0 < self._row_s < math.inf:
            return MAX_BATCH_ROWS
        return max(1, min(MAX_BATCH_ROWS, int(seconds / self._row_s)))

    def run(self, inputs: Arrays, n_rows: int) -> Outputs:
        """Predict, from any thread.

        Raises
        ------
        ValueError
            If the model gives another number of rows. It may raise whatever it likes besides.
        """
        began = time.perf_counter()
        outputs = self._model.predict(inputs if self._only_reads else writable(inputs))
        for name, array in outputs.items():
            shape = array.shape
            if not shape or shape[0] != n_rows:
                raise ValueError(f"the output `{name}` has the shape {list(shape)} for {n_rows} rows")
        if self._base_s < math.inf:
            taken_s = time.perf_counter() - began - self._row_s * n_rows
            farthest_s = max(_FARTHEST * self._base_s, _LEAST_S)
            self._base_s += _WEIGHT * (min(max(0.0, taken_s), farthest_s) - self._base_s)
        return outputs

    def culprit(self, inputs: Arrays, n_rows: int) -> Culprit | None:
        """Find the value that the model raises on, from any thread.

        None where no row is known that it answers, where that would take too long, and while another looks: requests
        that fail must not keep the cores from those that do not.
        """
        if self._known is None or n_tries(inputs, n_rows) * (self._base_s + self._row_s * n_rows) > CULPRIT_S:
            return None
        if not self._blaming.acquire(blocking=False):
            return None
        try:
            return find_culprit(self._raises, inputs, n_rows, self._known)
        finally:
            self._blaming.release()

    def _raises(self, inputs: Arrays) -> bool:
        try:
            self._model.predict(inputs if self._only_reads else writable(inputs))
        except Exception:  # noqa: BLE001 - whether it raises is the question
            return True
        return False

    async def predict(self, inputs: Arrays, n_rows: int, threads: Executor) -> Outputs:
        """Predict in a thread, with others where that pays.

        Raises
        ------
        TooManyRequests
            If it would wait too long; `details` has when to come again.
        """
        self._admit(n_rows)
        loop = asyncio.get_running_loop()
        n_parts = self._n_parts(n_rows)
        if n_parts > 1:
            return await self._in_parts(inputs, n_rows, n_parts, threads)
        if not self.batches:
            self._n_at_work += 1
            try:
                return await loop.run_in_executor(threads, self.run, inputs, n_rows)
            finally:
                self._n_at_work -= 1
        done: asyncio.Future[Outputs] = loop.create_future()
        self._waiting.append(Waiting(inputs, n_rows, done))
        if self._gathering is not None:
            self._gathering.arrived(loop.time())
            if len(self._waiting) >= self._gathering.n_expected:
                self._start(loop, threads)
        elif not self._n_at_work:
            self._start(loop, threads)
        return await done

    def _n_parts(self, n_rows: int) -> int:
        """Tell among how many cores rows are shared out; 1 where they take too little, or all are at work."""
        # What a call takes beside its rows is not shared: each part takes it anew.
        rows_s = self._row_s * n_rows
        if not PART_S <= rows_s / 2 < math.inf or self.batches or not self._goes_apart:
            return 1
        return max(1, min(self._n_cores - self._n_at_work, int(rows_s / PART_S), n_rows))

    async def _in_parts(self, inputs: Arrays, n_rows: int, n_parts: int, threads: Executor) -> Outputs:
        """Predict the rows of one request on several cores."""
        loop = asyncio.get_running_loop()
        ends = [n_rows * part // n_parts for part in range(n_parts + 1)]
        pieces = [
            ({name: array[start:end] for name, array in inputs.items()}, end - start)
            for start, end in itertools.pairwise(ends)
        ]
        here = self._base_s + self._row_s * pieces[0][1] <= self._limit_s
        self._n_at_work += n_parts
        try:
            handed = pieces[1:] if here else pieces
            running = [loop.run_in_executor(threads, self.run, *piece) for piece in handed]
            found = [self._tried(*pieces[0])] if here else []
            found += await asyncio.gather(*running, return_exceptions=True)
        finally:
            self._n_at_work -= n_parts
        parts = []
        for part in found:
            if isinstance(part, BaseException):
                raise part
            parts.append(part)
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _tried(self, inputs: Arrays, n_rows: int) -> Outputs | BaseException:
        try:
            return self.run(inputs, n_rows)
        except Exception as error:  # noqa: BLE001 - told when the other parts have ended
            return error

    def _admit(self, n_rows: int) -> None:
        n_ahead = len(self._waiting) + self._n_at_work
        if n_ahead < _ALWAYS:
            return
        rows_ahead = n_rows + sum(each.n_rows for each in self._waiting)
        n_calls = rows_ahead / MAX_BATCH_ROWS if self.batches else n_ahead
        base_s = self._base_s if self._base_s < math.inf else 0.0
        wait_s = n_calls * base_s + rows_ahead * self._row_s
        if n_ahead >= MAX_WAITING or wait_s > MAX_WAIT_S:
            raise TooManyRequests(
                f"{n_ahead} requests wait for this model, which takes about {wait_s:.1f} s for them",
                hint="Wait as long as `Retry-After` says",
                details={"retry_after_s": max(1, math.ceil(wait_s))},
            )

    def _gather(self, loop: asyncio.AbstractEventLoop, threads: Executor, n_answered: int) -> None:
        """Begin with those that wait when the ones that were answered have come again, or none comes any more."""
        now = loop.time()
        base_s = self._base_s if self._base_s < math.inf else 0.0
        self._gathering = _Gathering(
            n_expected=len(self._waiting) + n_answered, until=now + GATHER_SHARE * base_s, last_at=now
        )
        self._look(loop, threads, self._gathering)

    def _look(self, loop: asyncio.AbstractEventLoop, threads: Executor, gathering: _Gathering) -> None:
        if gathering is not self._gathering:
            return
        due = gathering.due
        if loop.time() < due:
            loop.call_at(due, self._look, loop, threads, gathering)
        elif self._waiting:
            self._start(loop, threads)
        else:
            self._gathering = None

    def _start(self, loop: asyncio.AbstractEventLoop, threads: Executor) -> None:
        self._gathering = None
        batch = [self._waiting.popleft()]
        n_rows = batch[0].n_rows
        while self._waiting and n_rows + self._waiting[0].n_rows <= MAX_BATCH_ROWS:
            batch.append(self._waiting.popleft())
            n_rows += batch[-1].n_rows
        self._n_at_work = len(batch)
        running = loop.run_in_executor(threads, self._together, batch)
        running.add_done_callback(lambda found: self._finish(loop, threads, batch, found))

    def _finish(
        self,
        loop: asyncio.AbstractEventLoop,
        threads: Executor,
        batch: list[Waiting],
        found: asyncio.Future[list[Outputs | Exception]],
    ) -> None:
        self._n_at_work = 0
        try:
            results = found.result()
        except (RuntimeError, asyncio.CancelledError) as error:  # the threads end, and with them the process
            results = [RuntimeError(f"the model could not be run: {error!r}")] * len(batch)
        for each, result in zip(batch, results, strict=True):
            if each.done.done():
                continue
            if isinstance(result, Exception):
                each.done.set_exception(result)
            else:
                each.done.set_result(result)
        if self._waiting or len(batch) > 1:
            self._gather(loop, threads, len(batch))

    def _together(self, batch: list[Waiting]) -> list[Outputs | Exception]:
        """Predict requests in one call; each alone if that fails, so that one cannot fail the others."""
        if len(batch) > 1:
            try:
                return list(self._split(batch))
            except Exception:  # noqa: BLE001, S110 - whose fault it is shows when each runs alone
                pass
        results: list[Outputs | Exception] = []
        for each in batch:
            try:
                results.append(self.run(each.inputs, each.n_rows))
            except Exception as error:  # noqa: BLE001 - the model's own errors belong to its request
                results.append(error)
        return results

    def _split(self, batch: list[Waiting]) -> list[Outputs]:
        names = batch[0].inputs
        inputs = {name: np.concatenate([each.inputs[name] for each in batch]) for name in names}
        outputs = self.run(inputs, sum(each.n_rows for each in batch))
        ends = np.cumsum([each.n_rows for each in batch]).tolist()
        return [
            {name: array[end - each.n_rows : end] for name, array in outputs.items()}
            for each, end in zip(batch, ends, strict=True)
        ]

    def _timed(self, inputs: Arrays, n_rows: int) -> float:
        began = time.perf_counter()
        self.run(inputs, n_rows)
        return time.perf_counter() - began


def writable(inputs: Arrays) -> Arrays:
    """Copy what lies in the body of a request: people's models may write to what they are given."""
    if all(array.flags.writeable for array in inputs.values()):
        return inputs
    return {name: array if array.flags.writeable else array.copy() for name, array in inputs.items()}
