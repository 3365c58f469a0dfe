"""Forecasts that are worse than repeating the last season make an alert; others do not."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from scipy import stats

from noria.monitoring.entities import Alert, AlertKind
from noria.monitoring.tasks.alerting import (
    FEWEST_BLOCKS,
    LEVEL,
    forecast_alert,
    forecasts_over,
    is_of_forecasts,
    judged_horizons,
)
from noria.monitoring.tasks.entities import Forecasting
from noria.monitoring.tasks.forecasting import BesideNaive, ForecastRow, beside_naive

SEASON = 24
TASK = Forecasting(time="hour", horizon="ahead", season=SEASON)


def rows_of(
    rng: np.random.Generator, n: int, error: dict[int, float], wander: float = 0.0
) -> list[ForecastRow]:
    """Give forecasts of a daily wave, whose errors at each horizon have a deviation; the naive one has that of 1.4."""
    hours = np.arange(n)
    actual = 10 * np.sin(2 * np.pi * hours / SEASON) + rng.normal(size=n)
    slow = wander * np.repeat(rng.normal(size=n // SEASON + 1), SEASON)[:n]
    return [
        ForecastRow(
            inputs={"hour": float(hour), "ahead": float(ahead)},
            outputs={"predictions": float(actual[hour] + slow[hour] + rng.normal(0, error[ahead]))},
            actual=float(actual[hour]),
        )
        for hour in hours.tolist()
        for ahead in error
    ]


def opened(figures: dict[str, float]) -> Alert:
    return Alert(
        id="a",
        project="p",
        endpoint="e",
        kind=AlertKind.QUALITY,
        version=1,
        figures=figures,
        sentence="",
        onset_position=1,
        last_position=2,
        opened_at=datetime(2030, 1, 1, tzinfo=UTC),
        closed_at=None,
        closed_why=None,
    )


def test_a_horizon_that_is_worse_than_the_last_season_is_told() -> None:
    """With its errors, the baseline's, and how sure that is; the good one is not."""
    found = beside_naive(TASK, rows_of(np.random.default_rng(1), 24 * 20, {1: 0.5, 12: 4.0}))
    verdicts = judged_horizons(found, margin=0.02)
    alert = forecast_alert(verdicts, season=SEASON, version=3, positions=(5, 90))

    assert [(each.horizon, each.is_worse) for each in verdicts] == [(1, False), (12, True)]
    assert alert is not None
    assert alert.sentence.startswith(
        "Forecasts 12 steps ahead are worse than repeating the last season of 24"
    )
    assert alert.figures["mae"] == pytest.approx(np.mean(found[1].own))
    assert alert.figures["naive_mae"] == pytest.approx(np.mean(found[1].naive))
    assert (alert.version, alert.onset_position, alert.last_position) == (3, 5, 90)


def test_an_alert_is_over_when_every_horizon_is_as_good_again() -> None:
    """And not before; alerts about quality by held-out rows are left alone."""
    rng = np.random.default_rng(2)
    bad = judged_horizons(beside_naive(TASK, rows_of(rng, 480, {1: 0.5, 12: 4.0})), margin=0.02)
    good = judged_horizons(beside_naive(TASK, rows_of(rng, 480, {1: 0.5, 12: 0.6})), margin=0.02)
    alert = forecast_alert(bad, season=SEASON, version=1, positions=(1, 2))
    assert alert is not None
    about_forecasts, other = opened(alert.figures), opened({"mean": 0.7})

    assert (is_of_forecasts(about_forecasts), is_of_forecasts(other)) == (True, False)
    assert forecasts_over([about_forecasts, other], bad) == []
    assert forecasts_over([about_forecasts, other], []) == []
    assert [each.kind for each in forecasts_over([about_forecasts, other], good)] == [AlertKind.QUALITY]
    assert forecast_alert(good, season=SEASON, version=1, positions=(1, 2)) is None


def test_few_blocks_are_not_judged() -> None:
    """Days are blocks: less than eight of them with both errors say nothing."""
    found = beside_naive(TASK, rows_of(np.random.default_rng(3), 24 * FEWEST_BLOCKS, {1: 9.0}))

    assert judged_horizons(found, margin=0.0) == []


def test_the_p_value_is_that_of_the_blocks() -> None:
    """By SciPy's one-sided t-test of the means of days of at least 25 rows."""
    rng = np.random.default_rng(4)
    own, naive = rng.exponential(size=30 * 12), rng.exponential(size=30 * 12)
    found = BesideNaive(horizon=2, own=own, naive=naive, seasons=np.repeat(np.arange(12), 30))
    (verdict,) = judged_horizons([found], margin=0.0)
    means = (own - naive).reshape(12, 30).mean(axis=1)

    assert verdict.p_value == pytest.approx(stats.ttest_1samp(means, 0, alternative="greater").pvalue)
    assert verdict.n_blocks == 12


def test_equal_forecasts_are_seldom_called_worse() -> None:
    """2,000 quiet looks at three horizons, with errors that hang together for a whole day."""
    rng = np.random.default_rng(5)
    n_false = 0
    for _ in range(2_000):
        slow = np.repeat(rng.normal(size=(3, 20)), 30, axis=1)
        found = [
            BesideNaive(
                horizon=h + 1,
                own=np.abs(slow[h] + rng.normal(size=600)),
                naive=np.abs(np.repeat(rng.normal(size=20), 30) + rng.normal(size=600)),
                seasons=np.repeat(np.arange(20), 30),
            )
            for h in range(3)
        ]
        n_false += any(each.p_value <= 0.05 for each in judged_horizons(found, margin=0.0))

    assert LEVEL < 0.05
    assert n_false / 2_000 <= 0.05 + 3 * (0.05 * 0.95 / 2_000) ** 0.5
