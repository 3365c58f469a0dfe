"""Live traffic: one request an image, at a steady rate; true labels arrive late for a part of it."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import noria
from noria.examples.digits.incidents import Change, Inputs, Make, Relabel, pixels
from noria.examples.digits.roles import Part

LABEL_DELAY_S = 1.5
_FEEDBACK_EVERY_S = 0.3


@dataclass(slots=True)
class Counts:
    """What the client saw. The server's own counts play no part in it."""

    n_sent: int = 0
    n_failed: int = 0
    n_labels: int = 0
    n_labels_failed: int = 0
    by_version: dict[int, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Request:
    """What the model takes of an image, each input of shape (1, ...); its digit when the true label will be told."""

    inputs: Inputs
    digit: int | None


def labelled(part: Part, make: Make = pixels, relabel: Relabel | None = None) -> Iterator[Request]:
    """Send each image of a part once, and tell its digit."""
    digits = (int(digit) if relabel is None else relabel(int(digit)) for digit in part.y)
    return (Request(make(image[None, :]), digit) for image, digit in zip(part.x, digits, strict=True))


def endless(part: Part, make: Make = pixels) -> Iterator[Request]:
    """Send the images of a part over and over, without telling what they are."""
    return (Request(make(image[None, :]), None) for image in itertools.cycle(part.x))


def changed(requests: Iterator[Request], change: Change) -> Iterator[Request]:
    """Send requests with changed inputs."""
    told, changing = itertools.tee(requests)
    inputs = change(request.inputs for request in changing)
    return (Request(found, request.digit) for request, found in zip(told, inputs, strict=False))


def mixed(first: Iterator[Request], second: Iterator[Request], *, share: float) -> Iterator[Request]:
    """Take `share` of the requests from `first` while it lasts, the rest from `second`, evenly spread."""
    owed = 0.0
    for request in second:
        owed += share / (1.0 - share)
        while owed >= 1.0:
            owed -= 1.0
            found = next(first, None)
            if found is not None:
                yield found
        yield request


class Traffic:
    """Sends requests in a thread of its own until it is stopped.

    Parameters
    ----------
    endpoint
        Where to.
    rate
        Requests per second.
    """

    def __init__(self, endpoint: Any, *, rate: float) -> None:
        self._endpoint = endpoint
        self._period_s = 1.0 / rate
        self._requests: Iterator[Request] = iter(())
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._due: list[tuple[float, str, int]] = []
        self.counts = Counts()
        self._threads = [
            threading.Thread(target=self._guarded, args=(work,), name=f"traffic-{work.__name__}", daemon=True)
            for work in (self._send_all, self._label_all)
        ]

    def start(self, requests: Iterator[Request]) -> None:
        """Begin to send."""
        self.turn_to(requests)
        for thread in self._threads:
            thread.start()

    def turn_to(self, requests: Iterator[Request]) -> None:
        """Send these from now on."""
        with self._lock:
            self._requests = requests

    def stop(self) -> None:
        """End after the request under way, and tell the labels that are still due."""
        self._stopping.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout=30.0)

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            self._note_failure(f"traffic stopped: {error!r}")
            self.counts.n_failed += 1
            raise

    def _send_all(self) -> None:
        due = time.monotonic()
        while not self._stopping.is_set():
            with self._lock:
                request = next(self._requests, None)
            if request is not None:
                self._send(request)
            due += self._period_s
            self._stopping.wait(max(0.0, due - time.monotonic()))

    def _send(self, request: Request) -> None:
        self.counts.n_sent += 1
        try:
            answer = self._endpoint.predict(request.inputs)
        except noria.NoriaError as error:
            self.counts.n_failed += 1
            self._note_failure(error.message)
            return
        self.counts.by_version[answer.version] = self.counts.by_version.get(answer.version, 0) + 1
        if request.digit is not None:
            when = time.monotonic() + LABEL_DELAY_S
            with self._lock:
                heapq.heappush(self._due, (when, answer.prediction_ids[0], request.digit))

    def _label_all(self) -> None:
        while not self._stopping.wait(_FEEDBACK_EVERY_S):
            self._tell(before=time.monotonic())
        self._tell(before=float("inf"))

    def _tell(self, *, before: float) -> None:
        with self._lock:
            ready = {}
            while self._due and self._due[0][0] <= before:
                _, prediction_id, digit = heapq.heappop(self._due)
                ready[prediction_id] = digit
        if not ready:
            return
        try:
            self._endpoint.feedback(ready)
            self.counts.n_labels += len(ready)
        except noria.NoriaError as error:
            self.counts.n_labels_failed += len(ready)
            self._note_failure(error.message)

    def _note_failure(self, text: str) -> None:
        if len(self.counts.failures) < 20:
            self.counts.failures.append(text)
