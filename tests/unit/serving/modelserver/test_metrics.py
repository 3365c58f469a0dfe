"""What Prometheus reads of a model server."""

from __future__ import annotations

import os
import threading

import pytest
from prometheus_client.parser import text_string_to_metric_families

from noria.serving.modelserver.board import N_SLOTS, NOTE_BYTES, SLOT_BYTES, Board, Word
from noria.serving.modelserver.metrics import BUCKETS_S, Metrics, exposition


def _samples(board: Board) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(exposition(board).decode())
        for sample in family.samples
    }


def _of(endpoint: str, version: str, **more: str) -> tuple[tuple[str, str], ...]:
    named = {"project": "team", "endpoint": endpoint, "version": version, **more}
    return tuple(sorted(named.items()))


def test_all_workers_are_summed_and_the_text_is_what_prometheus_parses() -> None:
    """Counts of two pages, one of them of a dead worker, with names that need escaping."""
    odd = 'a "quoted"\\\nname'
    board = Board.create(4)
    for page, ready in zip(board.pages[1:3], (0, 1), strict=True):
        page.words[Word.READY] = ready
        metrics = Metrics(page)
        metrics.observe(("team", "digits"), 3, 200, 10, 0.002)
        metrics.observe(("team", "digits"), 3, 500, 0, 31.0)
        metrics.observe(("team", odd), None, 400, 0, BUCKETS_S[0])
        metrics.count(Word.N_CAPTURES_DROPPED, 2)

    found = _samples(board)

    assert found["noria_serving_requests_total", _of("digits", "3", status="200")] == 2
    assert found["noria_serving_requests_total", _of("digits", "3", status="500")] == 2
    assert found["noria_serving_requests_total", _of(odd, "", status="400")] == 2
    assert found["noria_serving_rows_total", _of("digits", "3")] == 20
    assert found["noria_serving_latency_seconds_bucket", _of("digits", "3", le="0.001")] == 0
    assert found["noria_serving_latency_seconds_bucket", _of("digits", "3", le="0.0025")] == 2
    assert found["noria_serving_latency_seconds_bucket", _of("digits", "3", le="30.0")] == 2
    assert found["noria_serving_latency_seconds_bucket", _of("digits", "3", le="+Inf")] == 4
    assert found["noria_serving_latency_seconds_bucket", _of(odd, "", le=str(BUCKETS_S[0]))] == 2
    assert found["noria_serving_latency_seconds_count", _of("digits", "3")] == 4
    assert found["noria_serving_latency_seconds_sum", _of("digits", "3")] == pytest.approx(62.004)
    assert found["noria_serving_captures_dropped_total", ()] == 4
    assert found["noria_serving_workers", ()] == 1


def test_no_count_is_lost_between_threads() -> None:
    """Threads that count at once lose nothing."""
    board = Board.create(2)
    metrics = Metrics(board.pages[0])

    def count() -> None:
        for _ in range(2000):
            metrics.observe(("team", "e"), 1, 200, 1, 0.01)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert _samples(board)["noria_serving_rows_total", _of("e", "1")] == 8000


def test_a_page_without_room_keeps_its_bounds() -> None:
    """More names than a page holds are no reason to fail."""
    board = Board.create(2)
    metrics = Metrics(board.pages[0])
    for version in range(N_SLOTS + 5):
        metrics.observe(("team", "e"), version, 200, 1, 0.01)
    metrics.observe(("team", "e" * SLOT_BYTES), 1, 200, 1, 0.01)

    found = _samples(board)
    counted = [value for (name, _), value in found.items() if name == "noria_serving_requests_total"]
    assert sum(counted) == N_SLOTS + 6
    assert found["noria_serving_requests_total", _of("", "", project="", status="0")] > 1


def test_the_next_worker_goes_on_with_the_counts() -> None:
    """What a dead worker counted and noted: the counts stay, the note of the process goes."""
    board = Board.create(2)
    Metrics(board.pages[0]).observe(("team", "e"), 1, 200, 1, 0.01)
    assert board.pages[0].write_note(b"alive")
    board.pages[0].clear()

    following = Board(os.dup(board.fd), 2)
    Metrics(following.pages[0]).observe(("team", "e"), 1, 200, 1, 0.01)

    assert _samples(board)["noria_serving_rows_total", _of("e", "1")] == 2
    assert len(board.pages[0].slots()) == 2
    assert following.pages[0].read_note() is None
    assert not following.pages[0].write_note(bytes(NOTE_BYTES))
    assert following.pages[0].write_note(b"back")
    assert board.pages[0].read_note() == b"back"
