"""Lines that take a column in another unit back: by relations, by steps, by known units."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.decisions.stages.scales import Estimates, Line, goes_along, lines

RNG = np.random.default_rng(4)


def skewed(n: int) -> np.ndarray:
    return RNG.gamma(2.0, 3.0, n)


def told(n: int, noise: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Draw what other columns say about values, and the values."""
    said = skewed(n)
    return said, said + RNG.normal(0, noise, n)


def test_relations_tell_a_line_while_a_season_moves_the_quantiles() -> None:
    """Rows of another season have other quantiles; what the other columns say of each row tells the line."""
    said_then, then = told(1_500)
    said, now = told(900)
    low = np.argsort(said)[:250]
    said, now = said[low], now[low]
    changed = 2.3 * now + 40

    found = lines(then, changed, Estimates(then=said_then, actual=then, now=said))
    blind = lines(then, changed)

    assert found[0].slope == pytest.approx(2.3, rel=0.1)
    assert np.abs(found[0].back(changed) - now).mean() < 0.1 * then.std()
    assert np.abs(blind[0].back(changed) - now).mean() > 0.4 * then.std()


@given(
    slope=st.sampled_from([-3.1, -0.5, 0.3, 1.7, 2.2, 9.0]),
    offset=st.floats(-500, 500),
    step=st.sampled_from([0.25, 1.0, 5.0]),
)
def test_steps_tell_it_without_error(slope: float, offset: float, step: float) -> None:
    """Values that come in steps are given back as they were, to the last bit."""
    rng = np.random.default_rng(7)
    then = step * rng.binomial(30, 0.3, 2_000).astype(np.float64)
    now = step * rng.binomial(30, 0.3, 200).astype(np.float64)
    near = Estimates(then=then + rng.normal(0, step, 2_000), actual=then, now=now + rng.normal(0, step, 200))

    line = lines(then, slope * now + offset, near)[0]

    assert line.slope == pytest.approx(slope, rel=1e-6)
    assert line.back(slope * now + offset).tolist() == now.tolist()


def test_a_known_unit_takes_the_place_of_what_is_nearly_it() -> None:
    """Kilometres that became miles, and degrees that became others."""
    then, now = skewed(3_000), skewed(1_500)
    celsius, today = RNG.normal(15, 8, 3_000), RNG.normal(15, 8, 400)

    miles = lines(then, now / 1.609_344)
    fahrenheit = lines(celsius, 1.8 * today + 32)

    assert any(line.slope == 1 / 1.609_344 and line.offset == 0 for line in miles)
    assert any((line.slope, line.offset) == (1.8, 32.0) for line in fahrenheit)


def test_shuffled_values_have_no_line_by_relations() -> None:
    """Values of other rows follow no estimate, and quantiles that stayed tell no change."""
    said_then, then = told(2_000)
    said, now = told(2_000)

    assert lines(then, RNG.permutation(now), Estimates(then=said_then, actual=then, now=said)) == []


@pytest.mark.parametrize("values", [np.full(50, 3.0), np.full(50, np.nan), np.arange(5.0), np.empty(0)])
def test_what_does_not_vary_has_no_line(values: np.ndarray) -> None:
    """Nothing to fit: no line, and no error."""
    assert lines(skewed(100), values) == []
    assert lines(values, skewed(100)) == []


def test_values_off_the_steps_stay_as_they_are() -> None:
    """Only rounding is taken off."""
    line = Line(slope=2.0, offset=0.0, points=np.array([0.0, 1.0, 2.0]))

    assert line.back(np.array([2.0000001, 3.0, 9.0])).tolist() == [1.0, 1.5, 4.5]


def test_a_relation_that_became_weaker_is_no_change_of_units() -> None:
    """A column in another unit goes with its estimates as ever; one with other rows' values does not."""
    rng = np.random.default_rng(8)
    truth = rng.normal(size=900)
    column = truth + rng.normal(0, 0.2, 900)
    known = Estimates(then=truth[:600], actual=column[:600], now=truth[600:])

    assert goes_along(column[600:] * 1000 + 3, known)
    assert not goes_along(rng.permutation(column[600:]) * 0.5 + 0.5 * column[600:], known)
    assert goes_along(column[600:], None)


def test_values_just_before_tell_a_unit_that_a_year_of_seasons_does_not() -> None:
    """A winter week in Fahrenheit has the quantiles of no training year; it lies where the week before lay."""
    rng = np.random.default_rng(11)
    year = 12 - 9 * np.cos(np.linspace(0, 2 * np.pi, 8_000)) + rng.normal(0, 3, 8_000)
    before, week = (rng.normal(3.0 + warmer, 3, 168) for warmer in (0.0, 0.8))
    changed = 1.8 * week + 32

    found = lines(year, changed, lately=before)

    assert (found[0].slope, found[0].offset) == (1.8, 32.0)
    assert lines(year, week + 0.5, lately=before)[:1] != [Line(slope=1.8, offset=32.0)]
    assert (lines(year, changed)[0].slope, lines(year, changed)[0].offset) != (1.8, 32.0)
