"""Count requests, rows and latencies, and show them to Prometheus over all workers of a model server."""

from __future__ import annotations

import json
import threading
from bisect import bisect_left
from collections.abc import Iterable
from typing import TYPE_CHECKING

from noria.serving.modelserver.board import Board, Page, Word

if TYPE_CHECKING:
    from prometheus_client.core import Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

BUCKETS_S = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0
)  # fmt: skip
"""Upper bounds of the latency histogram, in seconds; one more holds what took longer."""

_BUCKETS_NS = tuple(round(bound * 1e9) for bound in BUCKETS_S)
_ROWS, _SUM_NS, _BUCKETS = 0, 1, 2
_N_WORDS = _BUCKETS + len(BUCKETS_S) + 1

_OTHERS = ("", "", None, 0)

_HEAD = (
    (Word.N_CAPTURES, "captures", "Answered requests that were kept."),
    (Word.N_CAPTURES_DROPPED, "captures_dropped", "Answered requests that could not be kept, for want of room."),
    (Word.N_LABELS_DROPPED, "labels_dropped", "Labels that could not be kept, for want of room."),
    (Word.N_LIMITED, "requests_limited", "Requests that came faster than their key allows."),
    (Word.N_REPLACED, "workers_replaced", "Workers that died, hung or grew too large."),
    (Word.N_SHADOWS, "shadows", "Requests that a shadow predicted too."),
    (Word.N_SHADOWS_DROPPED, "shadows_dropped", "Requests that no shadow predicted, for want of time."),
    (Word.N_SPANS_DROPPED, "spans_dropped", "Spans that the collector did not take in time."),
)  # fmt: skip


class Metrics:
    """The counters of one worker. Thread-safe.

    Parameters
    ----------
    page
        Of this worker.
    """

    def __init__(self, page: Page) -> None:
        self._page = page
        self._words = page.words
        self._lock = threading.Lock()
        # A worker goes on with the counts of the one whose page it has.
        self._slots: dict[tuple[str, str, int | None, int], int] = {
            tuple(json.loads(name)): slot for name, slot in page.slots()
        }
        # What has no room of its own is counted together, under no name.
        self._others = self._slots.get(_OTHERS) or page.add_slot(json.dumps(_OTHERS).encode()) or 0

    def observe(
        self, place: tuple[str, str], version: int | None, status: int, n_rows: int, latency_s: float
    ) -> None:
        """Count an answered request.

        Parameters
        ----------
        place
            Project and endpoint of a route that exists: callers must not be able to make up new ones.
        version
            That answered; None when none did.
        status
            Of HTTP.
        n_rows
            Rows that were predicted.
        latency_s
            From the request's body to its answer, in seconds.
        """
        taken_ns = int(latency_s * 1e9)
        key = (*place, version, status)
        with self._lock:
            slot = self._slots.get(key)
            if slot is None:
                slot = self._page.add_slot(json.dumps(key).encode()) or self._others
                self._slots[key] = slot
            words = self._words
            words[slot + _ROWS] += n_rows
            words[slot + _SUM_NS] += taken_ns
            words[slot + _BUCKETS + bisect_left(_BUCKETS_NS, taken_ns)] += 1

    def count(self, word: Word, by: int = 1) -> None:
        """Count something of the whole worker."""
        with self._lock:
            self._words[word] += by


def exposition(board: Board) -> bytes:
    """Give the text that Prometheus reads: the sum of all pages, dead workers' too."""
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Pages(board))
    return generate_latest(registry)


class _Pages:
    """What the client library of Prometheus collects from."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def collect(self) -> Iterable[Metric]:
        yield from _of_requests(_summed(self._board.of_processes))
        yield from _of_workers(self._board.of_processes)


def _summed(pages: list[Page]) -> dict[tuple[str, ...], list[int]]:
    found: dict[tuple[str, ...], list[int]] = {}
    for page in pages:
        for name, slot in page.slots():
            project, endpoint, version, status = json.loads(name)
            key = (str(project), str(endpoint), "" if version is None else str(version), str(status))
            counts = page.words[slot : slot + _N_WORDS].tolist()
            if not any(counts):
                continue
            known = found.get(key)
            found[key] = counts if known is None else [a + b for a, b in zip(known, counts, strict=True)]
    return found


def _of_requests(counts: dict[tuple[str, ...], list[int]]) -> Iterable[Metric]:
    from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

    by_status = ["project", "endpoint", "version", "status"]
    requests = CounterMetricFamily(
        "noria_serving_requests", "Requests for predictions, by HTTP status.", labels=by_status
    )
    rows = CounterMetricFamily("noria_serving_rows", "Rows that were predicted.", labels=by_status[:3])
    latency = HistogramMetricFamily(
        "noria_serving_latency_seconds", "From a request's body to its answer.", labels=by_status[:3]
    )
    merged: dict[tuple[str, ...], list[int]] = {}
    for labels, found in sorted(counts.items()):
        requests.add_metric(list(labels), sum(found[_BUCKETS:]))
        known = merged.setdefault(labels[:3], [0] * _N_WORDS)
        merged[labels[:3]] = [a + b for a, b in zip(known, found, strict=True)]
    for labels, found in merged.items():
        rows.add_metric(list(labels), found[_ROWS])
        latency.add_metric(list(labels), _cumulative(found[_BUCKETS:]), found[_SUM_NS] / 1e9)
    return (requests, rows, latency)


def _cumulative(counts: list[int]) -> list[tuple[str, float]]:
    total = 0
    found: list[tuple[str, float]] = []
    for bound, count in zip((*map(str, BUCKETS_S), "+Inf"), counts, strict=True):
        total += count
        found.append((bound, total))
    return found


def _of_workers(pages: list[Page]) -> Iterable[Metric]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    for word, name, text in _HEAD:
        counted = sum(page.words[word] for page in pages)
        yield CounterMetricFamily(f"noria_serving_{name}", text, value=counted)
    lines = CounterMetricFamily(
        "noria_serving_log_lines", "Warnings and errors that its processes logged.", labels=["level"]
    )
    for level, word in (("warning", Word.N_LOG_WARNINGS), ("error", Word.N_LOG_ERRORS)):
        lines.add_metric([level], sum(page.words[word] for page in pages))
    yield lines
    alive = [page for page in pages if page.words[Word.READY]]
    yield GaugeMetricFamily("noria_serving_workers", "Processes that answer.", value=len(alive))
    in_flight = sum(page.words[Word.N_IN_FLIGHT] for page in alive)
    yield GaugeMetricFamily("noria_serving_requests_in_flight", "Requests at work.", value=in_flight)
