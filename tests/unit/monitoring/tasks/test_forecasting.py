"""Reports of forecasts: by horizon, over time, with quantiles, and on what cannot be read."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from noria.core.errors import Invalid
from noria.monitoring.tasks.entities import Forecasting
from noria.monitoring.tasks.forecasting import ForecastRow, forecast_report

TASK = Forecasting(time="at", horizon="ahead", season=24, quantiles=[0.1, 0.9])
START = datetime(2030, 1, 1, tzinfo=UTC)


def _rows(n_days: int, *, as_text: bool = True, rng: np.random.Generator | None = None) -> list[ForecastRow]:
    """Give hourly forecasts of a day that repeats itself with noise of 1: good ones, worse by the horizon."""
    rng = rng or np.random.default_rng(0)
    made = []
    for hour in range(24 * n_days):
        at = START + timedelta(hours=hour)
        actual = 10 * np.sin(2 * np.pi * hour / 24) + rng.normal()
        for ahead in (1, 30):
            predicted = 10 * np.sin(2 * np.pi * hour / 24) + rng.normal(scale=0.1 * ahead)
            outputs: dict[str, Any] = {
                "predictions": predicted,
                "quantiles": [predicted - 1.2816, predicted + 1.2816],
            }
            inputs = {"at": at.isoformat() if as_text else at.timestamp(), "ahead": ahead}
            made.append(ForecastRow(inputs=inputs, outputs=outputs, actual=actual))
    return made


def test_horizons_are_told_apart_and_beside_the_naive_forecast() -> None:
    """One step ahead beats repeating yesterday; thirty ahead, three times as noisy as the series, does not."""
    found = forecast_report(TASK, _rows(30))
    near, far = found.horizons

    assert (near.horizon, far.horizon, near.errors.n) == (1, 30, 720)
    # Repeating yesterday differs by two noises of 1: mean |N(0, 2)| = 2 / sqrt(pi).
    assert near.errors.naive_mae == pytest.approx(2 / np.sqrt(np.pi), rel=0.1)
    assert near.errors.n_naive == 720 - 24
    assert far.errors.n_naive == 720 - 48
    assert near.errors.mae == pytest.approx(np.sqrt(1.01 * 2 / np.pi), rel=0.1)
    assert near.errors.relative_mae is not None
    assert near.errors.relative_mae < 1
    assert far.errors.relative_mae is not None
    assert far.errors.relative_mae > 1
    assert near.errors.mase is not None
    assert found.scale_from == "live"


def test_coverage_is_that_of_the_outermost_quantiles() -> None:
    """An interval that is right one step ahead holds eight values in ten, and far fewer thirty ahead."""
    near, far = forecast_report(TASK, _rows(30)).horizons

    assert near.errors.coverage is not None
    assert near.errors.coverage_low is not None
    assert near.errors.coverage_high is not None
    assert near.errors.coverage_low < 0.8 < near.errors.coverage_high
    assert far.errors.coverage is not None
    assert far.errors.coverage < 0.5
    assert len(near.errors.pinball) == 2
    assert min(near.errors.pinball) > 0


@pytest.mark.parametrize("as_text", [True, False])
def test_windows_are_of_whole_seasons_in_the_order_of_time(as_text: bool) -> None:
    """Rows in any order; the labels that have come are all in one window each."""
    rows = _rows(90, as_text=as_text)
    np.random.default_rng(1).shuffle(rows)
    found = forecast_report(TASK, rows)

    assert len(found.windows) == 30  # of three days
    assert sum(window.errors.n for window in found.windows) == found.n_labelled == len(rows)
    assert found.windows[0].start == (START.isoformat() if as_text else f"{START.timestamp():.12g}")
    assert [w.start for w in found.windows[1:]] == [w.end for w in found.windows[:-1]]


def test_a_worse_model_shows_in_its_window() -> None:
    """Answers that are off by 5 in the last days have a larger error there, and a bias."""
    rows = _rows(30)
    for index in range(len(rows) - 96, len(rows)):
        row = rows[index]
        rows[index] = ForecastRow(
            inputs=row.inputs, outputs={"predictions": row.outputs["predictions"] + 5}, actual=row.actual
        )
    windows = forecast_report(TASK, rows).windows

    assert windows[-1].errors.bias > 4
    assert windows[-1].errors.mae > 2 * windows[0].errors.mae
    assert windows[-1].errors.coverage is None


def test_the_scale_is_of_the_training_rows_where_they_hold_it() -> None:
    """Twenty pairs a season apart are enough; a sample with gaps is not used."""
    rows = _rows(10)
    training = [ForecastRow(inputs=row.inputs, outputs={}, actual=3 * (row.actual or 0)) for row in _rows(20)]

    assert forecast_report(TASK, rows, training).scale_from == "training"
    assert forecast_report(TASK, rows, training[:30]).scale_from == "live"


def test_series_are_not_mixed() -> None:
    """Two series of different height: yesterday of the other one is no naive forecast."""
    task = Forecasting(time="at", series="shop", season=1)
    rows = [
        ForecastRow(inputs={"at": i, "shop": shop}, outputs={"predictions": height}, actual=height + i % 2)
        for i in range(40)
        for shop, height in (("a", 0.0), ("b", 1000.0))
    ]
    found = forecast_report(task, rows).overall

    assert found is not None
    assert found.naive_mae == 1.0
    assert found.mae == 0.5


def test_labels_that_have_not_come_are_counted_and_nothing_else() -> None:
    """Without a value there is no error; without a row there is nothing."""
    rows = [ForecastRow(inputs=row.inputs, outputs=row.outputs, actual=None) for row in _rows(2)]

    assert forecast_report(TASK, rows).overall is None
    assert forecast_report(TASK, rows).n_rows == 96
    assert forecast_report(TASK, []).n_rows == 0


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"at": "soon", "ahead": 1}, "`at` is `soon`"),
        ({"at": None, "ahead": 1}, "`at` is `None`"),
        ({"at": 1.0, "ahead": 0}, "`ahead` is `0`"),
        ({"at": 1.0, "ahead": 1.5}, "`ahead` is `1.5`"),
        ({"ahead": 1}, "no input `at`"),
    ],
)
def test_what_cannot_be_read_is_named(inputs: dict[str, Any], said: str) -> None:
    """The input and the value."""
    with pytest.raises(Invalid, match=said):
        forecast_report(TASK, [ForecastRow(inputs=inputs, outputs={"predictions": 1.0}, actual=1.0)])


def test_odd_answers_are_left_out() -> None:
    """No answer, NaN, and quantiles of another length are not errors of anything."""
    odd: list[dict[str, Any]] = [
        {},
        {"predictions": None},
        {"predictions": float("nan")},
        {"predictions": 1.0, "quantiles": [1.0]},
    ]
    rows = [
        ForecastRow(inputs={"at": i, "ahead": 1}, outputs=outputs, actual=1.0)
        for i, outputs in enumerate(odd)
    ]
    found = forecast_report(TASK, rows)

    assert found.n_labelled == 1
    assert found.overall is not None
    assert (found.overall.mae, found.overall.coverage, found.overall.mase) == (0.0, None, None)
