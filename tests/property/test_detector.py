"""What holds of the detector of drops for any stream of scores."""

from __future__ import annotations

import itertools

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from noria.monitoring.detector import DropDetector

SCORES = st.lists(st.floats(min_value=0, max_value=1), max_size=60)
FLOORS = st.floats(min_value=0.01, max_value=0.99)
RATES = st.sampled_from([0.2, 0.01, 1e-6])


@given(SCORES, FLOORS, RATES, st.lists(st.integers(min_value=0, max_value=60), max_size=6))
def test_any_split_of_the_stream_gives_the_same_state(
    scores: list[float], floor: float, rate: float, cuts: list[int]
) -> None:
    """Labels come in batches of any size; a state that was stored in between is the same state."""
    at_once = DropDetector(floor=floor, false_alarm_rate=rate).update(scores)
    in_parts = DropDetector(floor=floor, false_alarm_rate=rate)
    places = [0, *sorted(min(cut, len(scores)) for cut in cuts), len(scores)]
    for begin, end in itertools.pairwise(places):
        stored = msgspec.json.encode(in_parts.update(scores[begin:end]))
        in_parts = msgspec.json.decode(stored, type=DropDetector)

    assert in_parts == at_once


@given(SCORES.filter(bool), FLOORS, st.data())
def test_a_worse_answer_is_never_less_evidence(
    scores: list[float], floor: float, data: st.DataObject
) -> None:
    """Lowering any score, whenever it came, raises the evidence or leaves it."""
    index = data.draw(st.integers(min_value=0, max_value=len(scores) - 1))
    worse = [*scores]
    worse[index] = data.draw(st.floats(min_value=0, max_value=scores[index]))
    start = DropDetector(floor=floor, false_alarm_rate=1e-300)

    assert start.update(worse).log_evidence >= start.update(scores).log_evidence - 1e-9


@given(SCORES.filter(bool), FLOORS, RATES, st.data())
def test_a_worse_answer_never_delays_an_alarm(
    scores: list[float], floor: float, rate: float, data: st.DataObject
) -> None:
    """What alarmed still alarms, no later."""
    worse = [data.draw(st.floats(min_value=0, max_value=score)) for score in scores]
    start = DropDetector(floor=floor, false_alarm_rate=rate)
    before, after = start.update(scores), start.update(worse)

    assert after.alarmed or not before.alarmed
    if before.alarmed:
        assert after.n <= before.n


@given(FLOORS, RATES, st.integers(min_value=0, max_value=300))
def test_right_answers_never_alarm(floor: float, rate: float, n: int) -> None:
    """Perfect quality is no drop, however high the floor."""
    assert not DropDetector(floor=floor, false_alarm_rate=rate).update([1.0] * n).alarmed


@given(SCORES, FLOORS)
def test_it_counts_back_no_further_than_it_has_seen(scores: list[float], floor: float) -> None:
    """The estimated onset lies within the stream."""
    detector = DropDetector(floor=floor, false_alarm_rate=0.01).update(scores)

    assert 0 <= detector.n_since_onset <= detector.n <= len(scores)
