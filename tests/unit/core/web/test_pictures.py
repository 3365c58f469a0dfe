"""The first picture of a chart: every point has its place, gaps stay gaps, and nothing is drawn of nothing."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.core.web.charts import Chart, Series, Shape
from noria.core.web.pictures import MAX_POINTS, SIZE, picture

NUMBERS = re.compile(r"-?\d+")
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def chart_of(series: Series, **given: object) -> Chart:
    return Chart(title="t", series=(series,), **given)  # type: ignore[arg-type]


def path_of(series: Series, **given: object) -> str:
    drawn = picture(chart_of(series, **given))
    assert drawn is not None
    return drawn.lines[0].path


def places(path: str) -> list[tuple[int, int]]:
    return [(int(x), int(y)) for x, y in re.findall(r"[ML](-?\d+),(-?\d+)", path)]


@given(st.lists(st.floats() | st.none(), max_size=2 * MAX_POINTS), st.sampled_from(Shape), st.booleans())
def test_whatever_the_values_every_place_is_in_the_picture(
    values: list[float | None], shape: Shape, is_log: bool
) -> None:
    """The largest doubles, NaN, gaps and single values too; without a place there is no picture."""
    series = Series(name="s", x=[float(at) for at in range(len(values))], y=values)
    drawn = picture(chart_of(series, shape=shape, log_y=is_log))
    known = [each for each in values if each is not None and math.isfinite(each) and (each > 0 or not is_log)]

    assert (drawn is None) == (not known)
    if drawn is not None:
        assert all(0 <= int(each) <= SIZE for each in NUMBERS.findall(drawn.lines[0].path.replace("h0", "")))
        assert len(places(drawn.lines[0].path)) <= MAX_POINTS


def test_a_gap_parts_the_line() -> None:
    """What is not finite is left out, and the line goes on behind it."""
    path = path_of(Series(name="s", x=[0.0, 1.0, 2.0, 3.0], y=[0.0, 1.0, math.nan, 0.0]))

    assert path == "M0,972h0L333,28M1000,972h0"


def test_logarithms_moments_and_names_have_their_places() -> None:
    """Powers of ten, hours and names stand at equal distances, and the ends tell what they were."""
    powers = picture(chart_of(Series(name="s", x=[1.0, 10.0, 100.0], y=[1, 10, 100]), log_x=True, log_y=True))
    hours = Series(name="s", x=[BEGIN + timedelta(hours=each) for each in (0, 1, 2)], y=[0.0, 1.0, 2.0])
    days = picture(chart_of(hours))
    names = picture(chart_of(Series(name="s", x=["a", "b", "c"], y=[0.0, 1.0, 2.0])))

    for drawn, ends in ((powers, (1.0, 100.0)), (days, (hours.x[0], hours.x[-1])), (names, ("a", "c"))):
        assert drawn is not None
        assert places(drawn.lines[0].path) == [(0, 972), (500, 500), (1000, 28)]
        assert (drawn.left, drawn.right) == ends


def test_bars_stand_on_nothing_and_beside_one_another() -> None:
    """A bar begins at 0 whatever the least value is; those of two series share the room of a name."""
    first, second = (Series(name=name, x=["a", "b"], y=[2.0, 4.0]) for name in "xy")
    drawn = picture(Chart(title="t", series=(first, second), shape=Shape.BARS))
    assert drawn is not None
    left, right = (re.findall(r"M(\d+),(\d+)V(\d+)H(\d+)", line.path) for line in drawn.lines)

    assert (drawn.low, drawn.high) == (0.0, 4.0)
    assert {foot for _, foot, _, _ in left} == {"972"}
    assert int(left[0][3]) <= int(right[0][0]) < int(right[0][3]) <= int(left[1][0])


def test_a_band_goes_there_and_back() -> None:
    """Along the upper ends and back along the lower ones, leaving gaps out."""
    series = Series(
        name="s", x=[0.0, 1.0, 2.0], y=[1.0, 1.0, 1.0], lower=[0.0, None, 0.0], upper=[2.0, 3.0, 2.0]
    )
    drawn = picture(chart_of(series))
    assert drawn is not None
    band = [pair.split(",") for pair in drawn.lines[0].band.strip("MZ").split("L")]

    assert [x for x, _ in band] == ["0", "1000", "1000", "0"]
    assert [int(y) for _, y in band] == [343, 343, 972, 972]


@pytest.mark.parametrize("values", [[], [math.nan], [None]])
def test_of_nothing_there_is_no_picture(values: list[float | None]) -> None:
    """A chart without a finite point has none."""
    assert picture(chart_of(Series(name="s", x=[0.0] * len(values), y=values))) is None


def test_the_same_value_everywhere_is_in_the_middle() -> None:
    """A level line is drawn half way up."""
    assert places(path_of(Series(name="s", x=[0.0, 1.0], y=[7.0, 7.0]))) == [(0, 500), (1000, 500)]
