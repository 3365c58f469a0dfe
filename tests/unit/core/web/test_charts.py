"""Charts: few points that hide no peak, a figure that JSON can hold, and a table that says the same."""

from __future__ import annotations

import base64
import json
import math
import random
import struct
from datetime import UTC, datetime, timedelta

import pytest

from noria.core.web.charts import MAX_POINTS, Chart, Series, Shape, figure, packed, point_table, thin
from noria.core.web.languages import Language
from noria.core.web.parallel import parallel_plot
from noria.core.web.rendering import environment

HOSTILE = '<a href="javascript:alert(1)">x</a><script>alert(1)</script>'


def series(values: list[float | None], name: str = "s") -> Series:
    """Give a series over 0, 1, 2 …"""
    return Series(name=name, x=list(range(len(values))), y=values)


@pytest.mark.parametrize("seed", range(20))
def test_thinning_keeps_ends_and_extremes(seed: int) -> None:
    """Whatever the values, the first, the last, the least and the greatest are among those that are kept, in order."""
    rng = random.Random(seed)
    values: list[float | None] = [
        rng.choice([None, math.nan, math.inf]) if rng.random() < 0.2 else rng.gauss(0, 1)
        for _ in range(rng.randint(5, 3000))
    ]
    values[0] = values[-1] = 0.0
    limit = rng.randint(4, 400)
    kept = thin(series(values), limit)
    finite = [value for value in values if value is not None and math.isfinite(value)]
    shown = [value for value in kept.y if value is not None and math.isfinite(value)]

    assert len(kept.x) <= max(limit, 4)
    assert (kept.x[0], kept.x[-1]) == (0, len(values) - 1)
    assert list(kept.x) == sorted(kept.x, key=float)  # type: ignore[arg-type]
    assert (min(shown), max(shown)) == (min(finite), max(finite))


def test_a_million_points_become_few() -> None:
    """A long history is drawn by as many points as a screen has room for, and says how many it had."""
    long = series([math.sin(i / 1000) for i in range(1_000_000)])
    drawn = figure(Chart(title="t", series=(long,)))["data"][0]
    behind = point_table(Chart(title="t", series=(long,)))

    assert len(drawn["x"]) <= MAX_POINTS
    assert behind.n_points == 1_000_000
    assert behind.n_shown == len(behind.rows) <= 60


def test_a_figure_is_plain_json() -> None:
    """Gaps are null, moments are text, and nothing is left that JSON has no form for."""
    began = datetime(2026, 1, 1, tzinfo=UTC)
    chart = Chart(
        title="t",
        series=(
            Series(name="a", x=[began, began + timedelta(hours=1)], y=[math.nan, None]),
            Series(name="b", x=[began], y=[math.inf], lower=[0.0], upper=[None]),
        ),
        log_y=True,
        marks=((began, "mark"),),
    )
    made = json.loads(json.dumps(figure(chart), allow_nan=False))

    assert made["data"][0]["y"] == [None, None]
    assert made["data"][0]["x"][0] == "2026-01-01T00:00:00+00:00"
    assert made["layout"]["xaxis"]["type"] == "date"
    assert made["layout"]["yaxis"]["type"] == "log"


def test_packed_numbers_are_the_same() -> None:
    """What the page holds are the figure's own numbers, bit for bit, with NaN where there is a gap."""
    values = [0.1, None, -1e300, 3.0]
    made = figure(Chart(title="t", series=(Series(name="a", x=["p", "q", "r", "s"], y=values),)))
    (trace,) = packed(made)["data"]
    doubles = struct.unpack("<4d", base64.b64decode(trace["y"]["bdata"]))

    assert trace["x"] == ["p", "q", "r", "s"]
    assert math.isnan(doubles[1])
    assert [doubles[0], doubles[2], doubles[3]] == [0.1, -1e300, 3.0]


def test_an_interval_is_drawn_as_a_band() -> None:
    """The outline goes forwards along the upper ends and back along the lower ones."""
    banded = Series(name="a", x=[1, 2, 3], y=[5, 6, 7], lower=[4, None, 6], upper=[6, 7, 8])
    band, line = figure(Chart(title="t", series=(banded,)))["data"]

    assert (band["x"], band["y"]) == ([1, 3, 3, 1], [6, 8, 6, 4])
    assert line["y"] == [5, 6, 7]


def test_texts_of_users_are_no_markup() -> None:
    """The library reads some tags in names; a user's are shown as they were written."""
    chart = Chart(
        title=HOSTILE,
        series=(Series(name=HOSTILE, x=[HOSTILE, "b"], y=[1, 2]), series([1.0], HOSTILE)),
        x_name=HOSTILE,
        y_name=HOSTILE,
        shape=Shape.BARS,
        marks=(("b", HOSTILE),),
    )
    text = json.dumps(figure(chart), ensure_ascii=False)
    shown = (
        environment(Language.ENGLISH)
        .from_string('{% from "noria.core.web/_chart.html" import chart %}{{ chart(c) }}')
        .render(c=chart)
    )

    assert "<a" not in text
    assert "<script" not in text
    assert "<script" not in shown
    assert "<a " not in shown


def test_the_table_has_what_the_chart_has() -> None:
    """Series over different places share the rows, in the order of the axis."""
    one = Series(name="a", x=[3, 1], y=[30, 10])
    other = Series(name="b", x=[1, 2], y=[0.1, 0.2])
    behind = point_table(Chart(title="t", series=(one, other)))

    assert behind.names == ("a", "b")
    assert [x for x, _ in behind.rows] == [1, 2, 3]
    assert [[cell and cell[0] for cell in cells] for _, cells in behind.rows] == [
        [10, 0.1],
        [None, 0.2],
        [30, None],
    ]


def test_an_empty_chart_says_so() -> None:
    """A metric without points is no empty frame."""
    shown = (
        environment(Language.SPANISH)
        .from_string('{% from "noria.core.web/_chart.html" import chart %}{{ chart(c) }}')
        .render(c=Chart(title="loss", series=()))
    )

    assert "Aún no hay puntos" in shown
    assert "data-figure" not in shown


def test_parallel_lines_go_through_their_values() -> None:
    """Numbers lie by size, categories evenly, a missing value breaks the line, and the last axis gives the level."""
    plot = parallel_plot(
        ["rate", "optimizer", "score"],
        [
            ("a", (0.0, "adam", 1.0)),
            ("b", (1.0, "sgd", 0.0)),
            ("c", (0.5, None, math.nan)),
            ("d", (None, "adam", 0.5)),
        ],
    )
    a, b, c, d = plot.lines

    assert (a.level, b.level, c.level, d.level) == (4, 0, 0, 2)
    assert a.path.split()[1].endswith(f"{plot.bottom:g}") or a.path.startswith("M90")
    assert c.path.count("M") == 1
    assert c.path.count("L") == 0
    assert d.path.startswith("M")
    assert [tick.text for tick in plot.axes[1].ticks] == ["adam", "sgd"]
    assert [tick.text for tick in plot.axes[0].ticks] == [0.0, 0.5, 1.0]


def test_a_parallel_plot_of_nothing_is_empty() -> None:
    """No runs, or no axes, give a plot without lines."""
    assert parallel_plot([], []).axes == ()
    assert parallel_plot(["a"], []).lines == ()
    assert [tick.text for tick in parallel_plot(["a"], [("r", (2.0,))]).axes[0].ticks] == [2.0]
