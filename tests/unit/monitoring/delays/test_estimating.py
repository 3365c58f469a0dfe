"""The distribution of the time that labels take, from labels that came so far."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.monitoring.delays.entities import AnswerBucket
from noria.monitoring.delays.estimating import (
    FEWEST_LABELS,
    LAST_BIN,
    bin_of,
    delay_curve,
    upper_edge_s,
)

NOW = datetime(2030, 1, 1, tzinfo=UTC)
HOUR = 3600.0
DAY = 24 * HOUR


def bucket(age_s: float, delays_s: Sequence[float], n_rows: int = 0) -> AnswerBucket:
    """Give answers of one minute, the youngest of which are so old, with the delays of their labels."""
    ends_at = NOW - timedelta(seconds=age_s)
    counts: dict[int, int] = {}
    for delay_s in delays_s:
        counts[bin_of(delay_s)] = counts.get(bin_of(delay_s), 0) + 1
    return AnswerBucket(
        starts_at=ends_at - timedelta(minutes=1),
        ends_at=ends_at,
        n_rows=n_rows or len(delays_s),
        delays=counts,
    )


def seen(
    generator: np.random.Generator, *, mean_s: float, days: int, per_hour: int, busier: int = 1
) -> list[AnswerBucket]:
    """Give answers of some days, hour by hour, with the exponential delays of those labels that have come by now.

    In the last day there are `busier` times as many.
    """
    found = []
    for hour in range(days * 24, 0, -1):
        age_s, n = hour * HOUR, per_hour * (busier if hour <= 24 else 1)
        delays_s = generator.exponential(mean_s, n)
        found.append(bucket(age_s, delays_s[delays_s < age_s].tolist(), n))
    return found


@given(st.integers(0, LAST_BIN))
def test_bins_meet_at_their_edges(place: int) -> None:
    """What is just below an edge is in the bin, what is at it in the next."""
    edge_s = upper_edge_s(place)

    assert bin_of(edge_s * (1 - 1e-9)) == place
    assert bin_of(edge_s * (1 + 1e-9)) == min(LAST_BIN, place + 1)


@given(st.lists(st.floats(1, 5 * DAY), min_size=FEWEST_LABELS, max_size=200))
def test_of_old_answers_it_is_the_share_itself(delays_s: list[float]) -> None:
    """Where all answers are older than any delay, nothing is hidden: the estimate is the empirical distribution."""
    curve = delay_curve([bucket(100 * DAY, delays_s)], NOW)

    for place, share in enumerate(curve.shares):
        within = sum(delay_s < upper_edge_s(place) * (1 - 1e-12) for delay_s in delays_s)
        assert share == pytest.approx(within / len(delays_s), abs=1e-9)
    assert curve.horizon_s == pytest.approx(upper_edge_s(len(curve.shares) - 1))


@given(
    st.lists(
        st.tuples(st.floats(120, 5 * DAY), st.lists(st.floats(1, 4 * DAY), min_size=15, max_size=30)),
        min_size=1,
        max_size=6,
    )
)
def test_it_is_the_product_of_chances_in_reverse_time(given_buckets: list[tuple[float, list[float]]]) -> None:
    """Beside the formula written out for each label, by brute force."""
    labels = [
        (age_s, delay_s) for age_s, delays_s in given_buckets for delay_s in delays_s if delay_s < age_s
    ]
    buckets = [bucket(a, [d for d in delays if d < a]) for a, delays in given_buckets]
    curve = delay_curve(buckets, NOW)

    for place in range(len(curve.shares)):
        wanted = 1.0
        for later in range(place + 1, len(curve.shares)):
            old = [bin_of(delay_s) for age_s, delay_s in labels if age_s >= upper_edge_s(later)]
            if later in old:
                wanted *= 1 - old.count(later) / sum(each <= later for each in old)
        assert curve.shares[place] == pytest.approx(wanted, abs=1e-9)


def test_slow_labels_of_young_answers_are_missed_by_counting_and_not_by_the_estimate() -> None:
    """Delays of a day and a half on average, and more answers of late: counting alone finds labels far too quick."""
    buckets = seen(np.random.default_rng(1), mean_s=1.5 * DAY, days=12, per_hour=40, busier=10)
    curve = delay_curve(buckets, NOW)
    total = sum(each.n_labels for each in buckets)
    within = sum(n for each in buckets for place, n in each.delays.items() if upper_edge_s(place) <= DAY)
    # Of those that come within the longest delay that could be seen.
    true = math.expm1(-1 / 1.5) / math.expm1(-curve.horizon_s / (1.5 * DAY))

    assert curve.is_settled
    assert curve.share(DAY) == pytest.approx(true, abs=0.02)
    assert within / total > true + 0.07
    assert curve.quantile_s(0.5) == pytest.approx(1.5 * DAY * math.log(2), rel=0.06)


def test_its_intervals_hold_the_truth() -> None:
    """In about 95 of 100 of 300 streams, at an edge in the middle of the distribution."""
    generator = np.random.default_rng(7)
    place = bin_of(DAY)
    held = 0
    for _ in range(300):
        curve = delay_curve(seen(generator, mean_s=DAY, days=8, per_hour=6), NOW)
        low, high = curve.interval(place)
        true = -math.expm1(-upper_edge_s(place) / DAY) / -math.expm1(-curve.horizon_s / DAY)
        held += low <= true <= high

    assert 0.91 <= held / 300 <= 0.985


def test_labels_that_still_come_are_not_taken_for_all() -> None:
    """Answers of a day whose labels take three on average: how many will come cannot be known yet."""
    young = seen(np.random.default_rng(2), mean_s=3 * DAY, days=1, per_hour=60)
    few = [bucket(DAY, [60.0] * (FEWEST_LABELS - 1))]

    assert not delay_curve(young, NOW).is_settled
    assert delay_curve(few, NOW).shares == ()
    assert delay_curve([], NOW).horizon_s == 0.0


def test_labels_before_their_answers_and_at_once_are_quick() -> None:
    """Clocks of servers differ; nothing is lost by it."""
    curve = delay_curve([bucket(DAY, [-500.0] * 60 + [0.0] * 60)], NOW)

    assert curve.share(60) == 1.0
    assert curve.share(30) == pytest.approx(0.5)
    assert curve.share(-1) == 0.0
    assert curve.is_settled
