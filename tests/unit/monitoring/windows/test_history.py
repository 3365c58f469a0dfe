"""What is usual at an hour of the week: against a slow way, and on simulated traffic with days and weeks."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

import numpy as np
import pytest

from noria.core.stats.counters import TableCounter
from noria.core.stats.profiles import profile_table
from noria.monitoring.entities import MonitorSection, Window
from noria.monitoring.windows.entities import HistoryPoint
from noria.monitoring.windows.history import FEWEST, hour_of, usual
from noria.monitoring.windows.judging import Judged, Part, judge
from support.windows import BEGIN

SETTINGS = MonitorSection()
N_ROWS = 150


class Traffic:
    """Hourly windows of a stream: nights and weekends are unlike the rest, and the reference is of all hours."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        rows = [self.rows(BEGIN + timedelta(hours=hour), 12) for hour in range(7 * 24)]
        self.reference = profile_table({"load": np.concatenate(rows), "noise": self.rng.normal(size=2016)})
        self.points: list[HistoryPoint] = []

    def rows(
        self, at: datetime, n: int = N_ROWS, shift: float = 0.0
    ) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        night = 2.0 if at.hour < 6 or at.hour >= 22 else 0.0
        weekend = -1.5 if at.weekday() >= 5 else 0.0
        return self.rng.normal(night + weekend + shift, size=n)

    def window(self, at: datetime, shift: float = 0.0) -> Judged:
        counter = TableCounter(self.reference)
        counter.update({"load": self.rows(at, shift=shift), "noise": self.rng.normal(size=N_ROWS)})
        window = Window(
            index=hour_of(at),
            version=1,
            first_position=1,
            last_position=N_ROWS,
            first_at=at,
            last_at=at,
            n_rows=N_ROWS,
            n_errors=0,
            drift=None,
        )
        found = judge(window, [Part(1, "", counter.counts, self.reference)], SETTINGS, lambda _: self.points)
        self.points += found.history
        return found

    def share_drifted(self, begin: int, n_hours: int, shift: float = 0.0) -> float:
        times = (BEGIN + timedelta(hours=hour) for hour in range(begin, begin + n_hours))
        return float(np.mean([self.window(at, shift).window.drifted for at in times]))


def test_days_and_weeks_are_learned_and_a_real_shift_is_still_seen() -> None:
    """Without history every night and weekend is drift; with six weeks of it nearly nothing is but what is new."""
    traffic = Traffic(1)
    first = traffic.share_drifted(0, FEWEST)
    traffic.share_drifted(FEWEST, 6 * 168 - FEWEST)
    learned = traffic.share_drifted(6 * 168, 2 * 168)
    n_known = len(traffic.points)
    shifted = traffic.share_drifted(8 * 168, 168, shift=1.5)

    assert first > 0.5
    assert learned <= 0.03  # 336 windows at a level of 0.01: more than ten would be a mistake
    assert shifted > 0.8
    assert len(traffic.points) - n_known < 0.2 * 168  # trouble is not learned as usual


def test_too_little_history_is_told() -> None:
    """How many windows there are, and how many are needed; nothing is forgiven before."""
    traffic = Traffic(2)
    traffic.share_drifted(24, 20)
    night = traffic.window(BEGIN + timedelta(hours=72))

    assert night.window.drifted
    assert night.window.season == (
        f"It is not known what is usual at this hour: there are 20 of {FEWEST} windows of history"
    )
    assert night.window.drift is not None
    assert night.window.drift.columns[0].usual_psi is None


def test_an_hour_that_was_never_seen_is_told() -> None:
    """However many windows of other hours there are."""
    points = [_point(24 * day + hour, 0.1) for day in range(20) for hour in range(8, 16)]
    found = usual(points, BEGIN + timedelta(days=21, hours=3), level=0.01)

    assert (found.is_known, found.words) == (
        False,
        "It is not known what is usual at this hour: there are 0 of 3 windows of this hour",
    )


def test_weekdays_are_told_apart_once_each_was_seen_three_times() -> None:
    """Before that, working days and weekends."""
    hours = range(2 * 7 * 24)
    two_weeks = usual([_point(hour, 0.1) for hour in hours], BEGIN + timedelta(days=14), level=0.01)
    hours = range(3 * 7 * 24)
    three_weeks = usual([_point(hour, 0.1) for hour in hours], BEGIN + timedelta(days=21), level=0.01)

    assert two_weeks.words == "10 windows of the same hour on working days or at weekends, of 336 in all"
    assert three_weeks.words == "3 windows of the same hour and weekday, of 504 in all"


@pytest.mark.parametrize("level", [0.01, 0.05])
def test_the_bounds_are_those_of_a_slow_way(level: float) -> None:
    """Residuals one by one, each from the mean of the others of its hour."""
    rng = np.random.default_rng(3)
    n = 4 * 168
    psi = rng.lognormal(-2, 0.5, size=(n, 2))
    points = [_point(hour, *psi[hour]) for hour in range(n)]
    found = usual(points, BEGIN + timedelta(weeks=4), level=level)
    logs = np.log(psi + 0.01)
    residuals = np.array(
        [
            logs[i] - np.mean([logs[j] for j in range(n) if j != i and (j - i) % 168 == 0], axis=0)
            for i in range(n)
        ]
    )
    scales = np.sqrt((residuals**2).mean(axis=0))
    worst = sorted((residuals / scales).max(axis=1))
    bound = worst[math.ceil((1 - level) * (n + 1)) - 1]
    expected = np.exp(logs[::168].mean(axis=0) + bound * scales) - 0.01

    assert [found.psi[""][name] for name in ("a", "b")] == pytest.approx(expected.tolist())


def test_windows_like_those_of_the_history_exceed_the_bounds_as_rarely_as_stated() -> None:
    """In any column: of 400 streams of 300 windows, the next exceeds a bound of level 0.05 in about 20."""
    rng = np.random.default_rng(4)
    n_over = 0
    for _ in range(400):
        psi = rng.lognormal(-2, 0.5, size=(13 * 24, 3))
        days = 24 * np.arange(13)  # midnights alone, on working days and weekends
        points = [
            _point(int(h), *psi[i]) for i, h in enumerate(np.concatenate([days + k for k in range(24)]))
        ]
        found = usual(points, BEGIN + timedelta(days=14), level=0.05).psi[""]
        after = rng.lognormal(-2, 0.5, size=3)
        n_over += any(value > found[name] for name, value in zip("abc", after, strict=True))

    assert n_over <= 34  # 20 expected; more than 34 in one of a thousand


def _point(hours: int, *psi: float) -> HistoryPoint:
    named = {name: float(value) for name, value in zip("abc", psi, strict=False)}
    return HistoryPoint(version=1, hour=hour_of(BEGIN) + hours, psi={"": named})
