"""Errors of forecasts against closed forms, brute force and scikit-learn, on real series."""

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, mean_pinball_loss

from noria.core.errors import Invalid
from noria.core.stats.forecasts import mase, naive_scale, pinball, rmsse, seasonal_naive

# Monthly airline passengers of 1949 and 1950 (Box and Jenkins).
PASSENGERS = np.array(
    [
        112,
        118,
        132,
        129,
        121,
        135,
        148,
        148,
        136,
        119,
        104,
        118,
        115,
        126,
        141,
        135,
        125,
        149,
        170,
        170,
        158,
        133,
        114,
        140.0,
    ]
)
ONE = np.zeros(24, dtype=np.int64)


def test_the_naive_forecast_uses_nothing_that_was_not_known() -> None:
    """Whatever the horizon, the value it repeats is at or before the origin, and of the same season and series."""
    rng = np.random.default_rng(0)
    n, season = 400, 7
    places, horizons = rng.integers(0, 120, size=n), rng.integers(1, 30, size=n)
    series = rng.integers(0, 3, size=n)
    values = (series * 1000 + places).astype(np.float64)
    found = seasonal_naive(places, horizons, values, series, season=season)

    there = {(s, p) for s, p in zip(series.tolist(), places.tolist(), strict=True)}
    for place, ahead, of, value in zip(places, horizons, series, found, strict=True):
        source = max(p for p in range(-60, place - ahead + 1) if (place - p) % season == 0)
        if (of, source) in there:
            assert value == of * 1000.0 + source
        else:
            assert np.isnan(value)


def test_scaled_errors_are_those_of_the_papers() -> None:
    """MASE and RMSSE of a series by the formulas written out, and 1 for the naive forecast itself."""
    steps = np.arange(24)
    scale = naive_scale(steps, PASSENGERS, ONE, season=12)
    assert scale is not None
    by_hand = np.abs(PASSENGERS[12:] - PASSENGERS[:12])
    errors = np.linspace(-20, 20, 9)

    assert scale.n == 12
    assert mase(errors, scale) == pytest.approx(np.mean(np.abs(errors)) / by_hand.mean())
    assert rmsse(errors, scale) == pytest.approx(np.sqrt(np.mean(errors**2) / np.mean(by_hand**2)))
    assert mase(PASSENGERS[12:] - PASSENGERS[:12], scale) == pytest.approx(1.0)


def test_a_value_that_many_forecasts_share_counts_once_in_the_scale() -> None:
    """Rows of several horizons repeat the same actual value."""
    steps = np.arange(24)
    often = np.repeat(steps, 1 + steps % 3)
    twice = naive_scale(often, PASSENGERS[often], np.zeros(len(often), dtype=np.int64), season=12)

    assert twice == naive_scale(steps, PASSENGERS, ONE, season=12)


def test_pinball_loss_is_that_of_scikit_learn() -> None:
    """For three levels; the median's is half the absolute error."""
    rng = np.random.default_rng(1)
    values, quantiles, levels = rng.normal(size=200), rng.normal(size=(200, 3)), [0.1, 0.5, 0.95]
    found = pinball(values, quantiles, levels)

    for column, level in enumerate(levels):
        assert found[column] == pytest.approx(mean_pinball_loss(values, quantiles[:, column], alpha=level))
    assert found[1] == pytest.approx(mean_absolute_error(values, quantiles[:, 1]) / 2)


def test_a_series_without_a_season_or_change_has_no_scale() -> None:
    """No pair, only constants, and nothing known."""
    assert naive_scale(np.arange(5), PASSENGERS[:5], ONE[:5], season=12) is None
    assert naive_scale(np.arange(24), np.ones(24), ONE, season=12) is None
    assert naive_scale(np.arange(24), np.full(24, np.nan), ONE, season=12) is None


def test_bad_input_is_refused() -> None:
    """Seasons and horizons below 1, lengths that differ, levels outside (0, 1)."""
    with pytest.raises(Invalid, match="not `0`"):
        seasonal_naive(np.arange(24), ONE + 1, PASSENGERS, ONE, season=0)
    with pytest.raises(Invalid, match="1 step ahead"):
        seasonal_naive(np.arange(24), ONE, PASSENGERS, ONE, season=1)
    with pytest.raises(Invalid, match="different lengths"):
        seasonal_naive(np.arange(23), ONE, PASSENGERS, ONE, season=1)
    with pytest.raises(Invalid, match=r"level `1\.0`"):
        pinball(PASSENGERS, PASSENGERS[:, np.newaxis], [1.0])
    with pytest.raises(Invalid, match="2 levels"):
        pinball(PASSENGERS, PASSENGERS[:, np.newaxis], [0.1, 0.9])
