"""Figures over predictions."""

from __future__ import annotations

import pytest

from noria.serving.counts import Judged, count_labels, merge
from noria.serving.predictions import VersionStats, bucket_upper_us, latency_bucket, prediction_ids


@pytest.mark.parametrize("latency_us", [0, 1, 3, 999, 12_345, 10_000_000])
def test_a_latency_lies_below_the_end_of_its_bucket(latency_us: int) -> None:
    """The approximation is from above, by less than a fifth."""
    end = bucket_upper_us(latency_bucket(latency_us))

    assert max(1, latency_us) <= end <= max(1, latency_us) * 1.2


def test_quantiles_are_read_from_buckets() -> None:
    """Nine fast requests and a slow one: the median is fast, the last percent slow."""
    stats = VersionStats(
        version=1, n_requests=10, latency_buckets={latency_bucket(1000): 9, latency_bucket(90_000): 1}
    )

    assert stats.latency_quantile_ms(0.5) == pytest.approx(1.0, rel=0.2)
    assert stats.latency_quantile_ms(0.99) == pytest.approx(90.0, rel=0.2)
    assert VersionStats(version=1).latency_quantile_ms(0.5) is None


@pytest.mark.parametrize(
    ("task", "predicted", "truth", "n_judged", "n_correct", "abs_error_sum"),
    [
        ("classification", 7, 7, 1, 1, 0.0),
        ("classification", "cat", "dog", 1, 0, 0.0),
        ("classification", 7, 7.0, 1, 1, 0.0),
        ("regression", 7.5, 5, 0, 0, 2.5),
        ("classification", None, 7, 0, 0, 0.0),
    ],
)
def test_a_label_is_counted_by_the_task(
    task: str, predicted: object, truth: object, n_judged: int, n_correct: int, abs_error_sum: float
) -> None:
    """Classes are right or wrong, numbers are off by something, and a failed request is only counted."""
    stats = count_labels(task, [Judged(1, 1, {"predictions": predicted}, truth)])[0].stats

    assert (stats.n_labelled, stats.n_judged, stats.n_correct) == (1, n_judged, n_correct)
    assert stats.abs_error_sum == abs_error_sum


def test_figures_add_up() -> None:
    """Adding is by field, and by bucket."""
    first = VersionStats(version=1, n_requests=2, latency_buckets={4: 2})
    second = VersionStats(version=1, n_requests=3, latency_buckets={4: 1, 9: 2})

    assert merge(first, second) == VersionStats(version=1, n_requests=5, latency_buckets={4: 3, 9: 2})


def test_rows_of_a_request_have_ids_of_their_own() -> None:
    """A request of one row has one id, the request's."""
    assert prediction_ids("a", 1) == ["a"]
    assert prediction_ids("a", 3) == ["a-0", "a-1", "a-2"]
