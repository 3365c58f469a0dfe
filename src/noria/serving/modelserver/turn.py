"""Requests that were answered in one turn of the event loop, kept together before their answers are given.

Under load a turn answers many. To keep them in one go takes a fraction of what it takes for each by itself; an answer
waits for the others of its turn alone.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Generator
from typing import Any

from noria.serving.modelserver.recorder import Alike, Arrays, Common, Recorder, key_of
from noria.serving.modelserver.spool import Record

Keep = Callable[[Record, int], bool]
"""Keeps a record of so many requests, or drops and counts it when there is no room."""


class Turn:
    """The requests of one turn. Used by the thread of the event loop.

    Parameters
    ----------
    at_us
        When they were answered, in microseconds since 1970.
    """

    def __init__(self, keep: Keep, recorder: Recorder, at_us: int) -> None:
        self.is_kept = False
        self._keep = keep
        self._recorder = recorder
        self._at_us = at_us
        self._found: dict[tuple[Any, ...], Alike] = {}
        self._failures: dict[str, Exception] = {}

    def add(self, common: Common, identity: str, latency_us: int, inputs: Arrays, outputs: Arrays) -> None:
        """Take a request of one row."""
        key = key_of(common, 0, 1, inputs, outputs)
        alike = self._found.get(key)
        if alike is None:
            alike = self._found[key] = Alike(common, self._at_us, key, inputs, outputs)
        alike.ids.append(identity)
        alike.latencies_us.append(latency_us)
        alike.arrays += inputs.values()
        alike.arrays += outputs.values()

    def keep(self) -> None:
        """Keep all that were taken, unless another did; what fails, fails alone."""
        if self.is_kept:
            return
        self.is_kept = True
        for alike in self._found.values():
            try:
                record = self._recorder.encode_alike(alike) if len(alike.ids) > 1 else None
            except Exception:  # noqa: BLE001 - whose fault it is shows when each is written by itself
                record = None
            if record is not None:
                self._keep(record, len(alike.ids))
                continue
            for place, identity in enumerate(alike.ids):
                try:
                    self._keep(self._recorder.encode(alike.request(place)), 1)
                except Exception as error:  # noqa: BLE001 - what a model gives may raise when it is read
                    self._failures[identity] = error

    def check(self, identity: str) -> None:
        """Raise what kept a request from being kept."""
        if self._failures and identity in self._failures:
            raise self._failures[identity]


@types.coroutine
def next_turn() -> Generator[None]:
    """Let everything else run that the event loop has to run now."""
    yield
