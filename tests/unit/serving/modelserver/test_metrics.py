"""What Prometheus reads of a model server."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from noria.core.errors import Corrupt
from noria.serving.modelserver.board import PAGE_BYTES, SLOT_BYTES, Page, Word, page_path
from noria.serving.modelserver.metrics import BUCKETS_S, Metrics, exposition


def _samples(folder: Path) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(exposition(folder).decode())
        for sample in family.samples
    }


def _of(endpoint: str, version: str, **more: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted({"endpoint": endpoint, "version": version, **more}.items()))


def test_all_workers_are_summed_and_the_text_is_what_prometheus_parses(tmp_path: Path) -> None:
    """Counts of two pages, one of them of a dead worker, with names that need escaping."""
    odd = 'a "quoted"\\\nname'
    for name, pid in (("1", 0), ("2", 7)):
        page = Page.create(page_path(tmp_path, name))
        page.words[Word.PID] = pid
        metrics = Metrics(page)
        metrics.observe("digits", 3, 200, 10, 0.002)
        metrics.observe("digits", 3, 500, 0, 31.0)
        metrics.observe(odd, None, 400, 0, BUCKETS_S[0])
        metrics.count(Word.N_CAPTURES_DROPPED, 2)
        page.close()

    found = _samples(tmp_path)

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


def test_no_count_is_lost_between_threads(tmp_path: Path) -> None:
    """Threads that count at once lose nothing."""
    metrics = Metrics(Page.create(page_path(tmp_path, "1")))

    def count() -> None:
        for _ in range(2000):
            metrics.observe("e", 1, 200, 1, 0.01)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert _samples(tmp_path)["noria_serving_rows_total", _of("e", "1")] == 8000


def test_a_page_without_room_keeps_its_bounds(tmp_path: Path) -> None:
    """More names than a page holds are no reason to fail."""
    metrics = Metrics(Page.create(page_path(tmp_path, "1")))
    for version in range(PAGE_BYTES // SLOT_BYTES + 5):
        metrics.observe("e", version, 200, 1, 0.01)
    metrics.observe("e" * SLOT_BYTES, 1, 200, 1, 0.01)

    assert page_path(tmp_path, "1").stat().st_size == PAGE_BYTES
    found = _samples(tmp_path)
    counted = [value for (name, _), value in found.items() if name == "noria_serving_requests_total"]
    assert sum(counted) == PAGE_BYTES // SLOT_BYTES + 6
    assert found["noria_serving_requests_total", _of("", "", status="0")] > 1


def test_a_file_that_is_no_page_is_refused(tmp_path: Path) -> None:
    """Whatever lies there is not taken for counts."""
    for content in (b"", bytes(PAGE_BYTES)):
        page_path(tmp_path, "1").write_bytes(content)
        with pytest.raises(Corrupt):
            Page(page_path(tmp_path, "1"))
