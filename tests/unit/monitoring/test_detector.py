"""The detector of drops against a second implementation, its false alarms, and its speed."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from scipy.special import logsumexp

from noria.core.errors import Invalid
from noria.monitoring.detector import DROPS, DropDetector


def brute_force(scores: list[float], floor: float) -> tuple[float, list[float], list[int]]:
    """Give evidence, wealth and start of each bettor from the definition: the best start of all, tried one by one."""
    wealth, since = [], []
    for drop in DROPS:
        mean = max(floor - drop, floor / 4)
        stake = min((floor - mean) / (floor * (1 - floor)), 0.9 / (1 - floor))
        gains = [math.log(1 + stake * (floor - score)) for score in scores]
        sums = [math.fsum(gains[start:]) for start in range(len(gains))]
        best = max(range(len(sums)), key=sums.__getitem__)
        wealth.append(sums[best])
        since.append(len(scores) - best)
    return float(logsumexp(wealth) - math.log(len(DROPS))), wealth, since


def bernoulli(rng: np.random.Generator, mean: float, n: int) -> list[float]:
    return [float(value) for value in rng.random(n) < mean]


@pytest.mark.parametrize("floor", [0.05, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("seed", range(3))
def test_it_does_what_its_definition_says(floor: float, seed: int) -> None:
    """After every score, for right and wrong answers and for scores in between."""
    rng = np.random.default_rng(seed)
    scores = [*bernoulli(rng, floor, 30), *rng.random(30).tolist()]
    detector = DropDetector(floor=floor, false_alarm_rate=1e-300)
    for n, score in enumerate(scores, 1):
        detector = detector.update([score])
        evidence, wealth, since = brute_force(scores[:n], floor)

        assert detector.log_wealth == pytest.approx(wealth, rel=1e-9, abs=1e-12)
        assert detector.log_evidence == pytest.approx(evidence, rel=1e-9, abs=1e-12)
        assert detector.n == n
        assert list(detector.n_since) == since


def test_without_a_drop_alarms_are_as_rare_as_promised() -> None:
    """At the floor itself, the worst case, the mean number of labels before a false alarm is above 1 / rate."""
    rng = np.random.default_rng(20260102)
    lengths = []
    for floor in (0.6, 0.9):
        for _ in range(60):
            detector = DropDetector(floor=floor, false_alarm_rate=1 / 50)
            lengths.append(detector.update(bernoulli(rng, floor, 3_000)).n)

    assert np.mean(lengths) > 50


def test_above_the_floor_it_stays_quiet() -> None:
    """A model a little better than the floor raises no alarm in twenty thousand labels."""
    rng = np.random.default_rng(7)
    detector = DropDetector(floor=0.9, false_alarm_rate=1 / 5_000).update(bernoulli(rng, 0.95, 20_000))

    assert not detector.alarmed
    assert detector.n == 20_000


@pytest.mark.parametrize(("mean", "at_most"), [(0.85, 700), (0.7, 120), (0.5, 50)])
def test_a_drop_is_found_the_sooner_the_larger_it_is(mean: float, at_most: int) -> None:
    """From 0.95 to each of these, with one false alarm in 5,000 labels tolerated; median of 15 runs."""
    rng = np.random.default_rng(11)
    taken = []
    for _ in range(15):
        detector = DropDetector(floor=0.93, false_alarm_rate=1 / 5_000).update(bernoulli(rng, 0.95, 200))
        assert not detector.alarmed
        taken.append(detector.update(bernoulli(rng, mean, 3_000)).n - 200)

    assert np.median(taken) <= at_most


def test_the_onset_is_estimated() -> None:
    """After 300 good answers and a sharp drop, the wealthiest bettor began near the drop."""
    rng = np.random.default_rng(3)
    detector = DropDetector(floor=0.9, false_alarm_rate=1e-6)
    detector = detector.update([*bernoulli(rng, 0.97, 300), *bernoulli(rng, 0.5, 500)])

    assert detector.alarmed
    assert abs((detector.n - detector.n_since_onset) - 300) <= 15


def test_an_alarm_stays() -> None:
    """What comes after it changes nothing; the state can be kept and read back."""
    alarmed = DropDetector(floor=0.9, false_alarm_rate=0.01).update([0.0] * 50)
    later = alarmed.update([1.0] * 1000)
    restored = msgspec.json.decode(msgspec.json.encode(alarmed), type=DropDetector)

    assert alarmed.alarmed
    assert alarmed.n < 50
    assert later == alarmed == restored


@pytest.mark.parametrize("score", [-0.1, 1.1, math.nan, math.inf])
def test_a_score_that_is_none_is_refused(score: float) -> None:
    """The promise holds for scores between 0 and 1."""
    with pytest.raises(Invalid, match="is not between 0 and 1"):
        DropDetector(floor=0.9, false_alarm_rate=0.01).update([score])


@pytest.mark.parametrize("value", [0.0, 1.0, -1.0, 2.0, math.nan])
def test_parameters_outside_their_ranges_are_refused(value: float) -> None:
    """Both by name."""
    with pytest.raises(Invalid, match="floor"):
        DropDetector(floor=value, false_alarm_rate=0.01)
    with pytest.raises(Invalid, match="false alarm rate"):
        DropDetector(floor=0.5, false_alarm_rate=value)
