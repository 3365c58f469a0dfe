"""Answers and their labels in buckets of bounded number."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.monitoring.delays.buckets import MOST, LabelledAnswer, counted, minute_of, minutes_of
from noria.monitoring.delays.entities import LabelDelays
from noria.monitoring.delays.reporting import EARLY, delay_report, expected_since

START = datetime(2030, 1, 1, tzinfo=UTC)

answered = st.lists(
    st.tuples(st.integers(0, 500_000), st.one_of(st.none(), st.integers(-10, 90_000))), max_size=60
)


def label(at_s: int, delay_s: int, score: float | None = 1.0) -> LabelledAnswer:
    """Give the label of an answer."""
    at = START + timedelta(seconds=at_s)
    return LabelledAnswer(at, at + timedelta(seconds=delay_s), score)


@given(answered, st.integers(1, 5), st.integers(0, 1000))
def test_nothing_is_lost_or_counted_twice(
    answers: list[tuple[int, int | None]], n_looks: int, seed: int
) -> None:
    """In whatever order and in however many looks answers and labels come, and buckets never overlap."""
    random.Random(seed).shuffle(answers)
    state, now = LabelDelays(), START + timedelta(days=8)
    for look in range(n_looks):
        some = answers[look::n_looks]
        rows = minutes_of([round((START.timestamp() + at_s) * 1e6) for at_s, _ in some], now)
        labels = [label(at_s, delay_s, 0.5) for at_s, delay_s in some if delay_s is not None]
        state = counted(state, version=1, answers=rows, labels=labels, now=now)

    wanted = [delay_s for _, delay_s in answers if delay_s is not None]
    assert sum(bucket.n_rows for bucket in state.buckets) == len(answers)
    assert sum(bucket.n_labels for bucket in state.buckets) == len(wanted)
    assert sum(bucket.total for bucket in state.buckets) == pytest.approx(0.5 * len(wanted))
    assert len(state.buckets) <= MOST
    assert all(before.ends_at <= after.starts_at for before, after in pairwise(state.buckets))
    for at_s, _ in answers:
        at = START + timedelta(seconds=at_s)
        assert any(bucket.starts_at <= at < bucket.ends_at for bucket in state.buckets)


def test_new_answers_are_told_apart_finer_than_old_ones() -> None:
    """Of thirty days the newest bucket is minutes long, and none spans more than a part of its age."""
    state, now = LabelDelays(), START
    for day in range(30):
        now = START + timedelta(days=day + 1)
        rows = {START + timedelta(days=day, minutes=minute): 1 for minute in range(0, 24 * 60, 5)}
        state = counted(state, version=1, answers=rows, labels=[], now=now)
    spans = [
        (each.ends_at - each.starts_at) / max(now - each.ends_at, timedelta(minutes=1))
        for each in state.buckets
    ]

    assert sum(each.n_rows for each in state.buckets) == 30 * 24 * 12
    assert len(state.buckets) == MOST
    assert state.buckets[-1].ends_at - state.buckets[-1].starts_at <= timedelta(minutes=6)
    assert max(spans[:-3]) < 0.6


def test_scores_begin_anew_with_another_version_and_delays_do_not() -> None:
    """Whoever labels takes as long whichever version answers."""
    now = START + timedelta(days=1)
    first = counted(LabelDelays(), version=1, answers={}, labels=[label(0, 90)], now=now)
    second = counted(first, version=2, answers={}, labels=[label(0, 90, None)], now=now)

    assert (first.buckets[0].n_scored, second.buckets[0].n_scored) == (1, 0)
    assert second.buckets[0].n_labels == 2


def test_early_answers_are_known_to_be_incomplete() -> None:
    """Each label takes two hours: of the last two hours' answers none is expected, of older ones all are."""
    now = START + timedelta(hours=48)
    rows = {START + timedelta(minutes=10 * i): 10 for i in range(6 * 48)}
    labels = [label(600 * i, 7000 + 10 * (i % 20), float(i % 4 > 0)) for i in range(6 * 46) for _ in range(3)]
    state = counted(LabelDelays(), version=1, answers=rows, labels=labels, now=now)
    found = delay_report(state, now)
    early = [each for each in found.answers if each.is_early]

    assert found.lacks is None
    assert found.median_s == pytest.approx(7100, rel=0.1)
    assert found.label_share == pytest.approx(0.3, abs=0.02)
    assert {each.starts_at >= now - timedelta(hours=4) for each in early} == {True}
    assert early[-1].expected == 0.0
    assert found.answers[0].expected == 1.0
    assert found.n_early == sum(each.n_rows for each in early)
    assert found.early_expected is not None
    assert found.early_expected < EARLY
    assert found.answers[0].mean == pytest.approx(0.75, abs=0.1)
    assert expected_since(state, now - timedelta(hours=1), now) == pytest.approx(0.0, abs=0.05)
    assert expected_since(state, START, now) == pytest.approx(46 / 48, abs=0.03)


def test_what_is_not_known_is_said() -> None:
    """Too few labels, and labels that still come of the oldest answers."""
    now = START + timedelta(hours=2)
    few = counted(LabelDelays(), version=1, answers={START: 9}, labels=[label(0, 90)], now=now)
    slow = counted(
        LabelDelays(), version=1, answers={START: 500}, labels=[label(0, 36 * i) for i in range(190)], now=now
    )

    assert delay_report(few, now).lacks == (
        "1 labels have come; 50 of answers that are old enough are needed"
    )
    assert "how many will come is not known yet" in (delay_report(slow, now).lacks or "")
    assert delay_report(slow, now).answers[0].is_early
    assert delay_report(slow, now).label_share is None
    assert expected_since(slow, START, now) is None
    assert minute_of(START + timedelta(seconds=59)) == START
