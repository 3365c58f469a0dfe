"""The first picture of a chart: every point has its place, gaps stay gaps, and nothing is drawn of nothing."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.core.web.charts import Chart, Series, Shape
from noria.core.web.pictures import MAX_POINTS, N_TICKS, SIZE, picture

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

    assert [tick.value for tick in drawn.ticks] == [4.0, 3.0, 2.0, 1.0, 0.0]
    assert {foot for _, foot, _, _ in left} == {"972"}
    assert int(left[0][3]) <= int(right[0][0]) < int(right[0][3]) <= int(left[1][0])


@given(st.floats(), st.floats(), st.booleans())
def test_ticks_are_round_and_stand_where_their_values_would(low: float, high: float, is_log: bool) -> None:
    """A line through the ticks' own values goes through their places; there are few, from the top down."""
    drawn = picture(chart_of(Series(name="s", x=[0.0, 1.0], y=[low, high]), log_y=is_log))
    if drawn is None:
        return
    values = [tick.value for tick in drawn.ticks]

    assert len(values) <= N_TICKS + 2
    assert values == sorted(set(values), reverse=True)
    assert all(0 <= tick.place <= SIZE for tick in drawn.ticks)
    assert [tick.place for tick in drawn.ticks] == sorted(tick.place for tick in drawn.ticks)


@pytest.mark.parametrize(
    ("values", "is_log", "expected"),
    [
        ([0.0, 1.0], False, [1.0, 0.5, 0.0]),
        ([0.1, 0.4], False, [0.4, 0.3, 0.2, 0.1]),
        ([-3.0, 17.0], False, [15.0, 10.0, 5.0, 0.0]),
        ([1e-6, 1e2], True, [1e2, 1.0, 1e-2, 1e-4, 1e-6]),
    ],
)
def test_ticks_are_few_round_values(values: list[float], is_log: bool, expected: list[float]) -> None:
    """Ones, twos and fives with the decimals of their distance; powers of ten on a logarithmic axis."""
    drawn = picture(chart_of(Series(name="s", x=[0.0, 1.0], y=values), log_y=is_log))
    assert drawn is not None

    assert [tick.value for tick in drawn.ticks] == pytest.approx(expected)


def test_marks_within_the_picture_are_drawn_and_a_lone_point_is_large() -> None:
    """A mark has its place on the level axis; one outside is left out, and a point that stands alone is a dot."""
    series = Series(name="s", x=[0.0, 10.0], y=[1.0, 2.0])
    drawn = picture(chart_of(series, marks=((5.0, "here"), (99.0, "away"))))
    alone = picture(chart_of(Series(name="s", x=[3.0, 4.0], y=[1.0, None])))
    assert drawn is not None
    assert alone is not None

    assert drawn.marks == (500,)
    assert (drawn.lines[0].is_dot, alone.lines[0].is_dot) == (False, True)


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
