"""Charts, made on the server: few points, a figure for the browser's library, and the table behind it. Pure.

A figure names no colour. The script that draws it takes the colours from the stylesheet's tokens, and gives each
series a dash and a marker of its own as well, so that a chart can be read in every theme and without colours.
"""

from __future__ import annotations

import base64
import enum
import math
import sys
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from noria.core.web.formats import clipped

MAX_POINTS = 1000
"""Points of a series that are drawn: about one for each pixel of a wide chart."""

MAX_ROWS = 60
"""Rows of the table behind a chart, for each series."""

_NAME = 60

X = float | str | datetime
Value = float | None


class Shape(enum.StrEnum):
    """How points are drawn."""

    LINES = "lines"
    POINTS = "points"
    BARS = "bars"


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Points that belong together, in the order of `x`.

    Attributes
    ----------
    name
        In the legend.
    x
        Numbers, names or moments, all of one kind.
    y
        One for each `x`; None and what is not finite leave a gap.
    lower, upper
        Ends of an interval round each point, drawn as a band; None where there is none.
    n_points
        How many points there were before some were left out; None when all are here, 0 for what is made of another
        series, whose points do not count.
    is_faint
        Whether it is drawn lightly, as the ground of another.
    """

    name: str
    x: Sequence[X]
    y: Sequence[Value]
    lower: Sequence[Value] | None = None
    upper: Sequence[Value] | None = None
    n_points: int | None = None
    is_faint: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A chart.

    Attributes
    ----------
    title
        A user's name, or words that are translated already.
    series
        Drawn in this order; the table has them all.
    x_name, y_name
        Of the axes; translated already.
    shape
        How the points are drawn.
    log_x, log_y
        Whether an axis is logarithmic.
    y_range
        Ends of the upright axis; None to fit the points.
    marks
        Places on the level axis to draw an upright line at, with its words.
    """

    title: str
    series: tuple[Series, ...]
    x_name: str = ""
    y_name: str = ""
    shape: Shape = Shape.LINES
    log_x: bool = False
    log_y: bool = False
    y_range: tuple[float, float] | None = None
    marks: tuple[tuple[X, str], ...] = ()


def thin(series: Series, max_points: int = MAX_POINTS) -> Series:
    """Leave out points where there are too many, but neither the ends nor any peak.

    Points are parted into stretches of equal count, and of each its least and its greatest are kept, as are the first
    and the last of all.

    Parameters
    ----------
    max_points
        At least 4.

    Examples
    --------
    >>> long = Series(name="s", x=list(range(100)), y=[float(step == 70) for step in range(100)])
    >>> thin(long, 6).x, thin(long, 6).n_points
    ([0, 1, 50, 70, 99], 100)
    """
    if len(series.x) <= max_points:
        return series
    kept = _kept(series.y, max_points)
    return Series(
        name=series.name,
        x=[series.x[i] for i in kept],
        y=[series.y[i] for i in kept],
        lower=None if series.lower is None else [series.lower[i] for i in kept],
        upper=None if series.upper is None else [series.upper[i] for i in kept],
        n_points=_n_points(series),
        is_faint=series.is_faint,
    )


def _n_points(series: Series) -> int:
    return len(series.x) if series.n_points is None else series.n_points


def _kept(values: Sequence[Value], max_points: int) -> list[int]:
    last = len(values) - 1
    n_stretches = (max_points - 2) // 2
    kept = [0]
    for stretch in range(n_stretches):
        begin = 1 + stretch * (last - 1) // n_stretches
        end = 1 + (stretch + 1) * (last - 1) // n_stretches
        kept += _extremes(values, range(begin, end))
    return [*kept, last]


def _extremes(values: Sequence[Value], places: range) -> list[int]:
    stretch = values[places.start : places.stop]
    known = stretch if _all_finite(stretch) else [value for value in stretch if _finite(value) is not None]
    if not known:
        return list(places[:1])
    least, greatest = stretch.index(min(known)), stretch.index(max(known))  # type: ignore[type-var]
    return sorted({places.start + least, places.start + greatest})


def _all_finite(values: Sequence[Value] | Sequence[X]) -> bool:
    """Tell whether all are finite numbers, at the speed of a sum: any that is not would show in it."""
    try:
        return math.isfinite(sum(values))  # type: ignore[arg-type]
    except TypeError:
        return False


def figure(chart: Chart, *, decimal_comma: bool = False) -> dict[str, Any]:
    """Give a chart in Plotly's form, without colours: a dictionary of `data` and `layout` that JSON can hold.

    Parameters
    ----------
    decimal_comma
        Whether numbers are written with a decimal comma.
    """
    thinned = [thin(series) for series in chart.series]
    data: list[dict[str, Any]] = []
    for index, series in enumerate(thinned):
        data += _band(series, index)
        data.append(_trace(series, index, chart.shape))
    return {"data": data, "layout": _layout(chart, thinned, decimal_comma)}


def packed(made: dict[str, Any]) -> dict[str, Any]:
    """Give a figure whose numbers are packed, as the library reads them too: base64 of doubles, NaN for a gap.

    Pages hold thousands of points, and quotes and commas would have to be escaped in them.
    """
    data = [{**trace, "x": _packed(trace["x"]), "y": _packed(trace["y"])} for trace in made["data"]]
    return {**made, "data": data}


def _packed(values: list[Any]) -> Any:
    try:
        doubles = array("d", [math.nan if value is None else value for value in values])
    except TypeError:  # names or moments
        return values
    if sys.byteorder == "big":
        doubles.byteswap()
    return {"dtype": "f8", "bdata": base64.b64encode(doubles.tobytes()).decode()}


def _trace(series: Series, index: int, shape: Shape) -> dict[str, Any]:
    trace: dict[str, Any] = {
        "name": _unmarked(series.name),
        "x": list(series.x) if _all_finite(series.x) else [_plain_x(x) for x in series.x],
        "y": list(series.y) if _all_finite(series.y) else [_finite(y) for y in series.y],
        "type": "bar" if shape is Shape.BARS else "scatter",
        "meta": index,
        **({"opacity": 0.4} if series.is_faint else {}),
    }
    if shape is not Shape.BARS:
        few = len(series.x) <= 40
        trace["mode"] = "markers" if shape is Shape.POINTS else "lines+markers" if few else "lines"
    return trace


def _band(series: Series, index: int) -> list[dict[str, Any]]:
    """Give an interval as an outline that is filled: forwards along the upper ends, backwards along the lower."""
    if series.lower is None or series.upper is None:
        return []
    whole = [
        (_plain_x(x), low, high)
        for x, low, high in zip(series.x, map(_finite, series.lower), map(_finite, series.upper), strict=True)
        if low is not None and high is not None
    ]
    xs = [x for x, _, _ in whole]
    return [
        {
            "name": _unmarked(series.name),
            "x": [*xs, *reversed(xs)],
            "y": [*(high for _, _, high in whole), *(low for _, low, _ in reversed(whole))],
            "type": "scatter",
            "mode": "lines",
            "fill": "toself",
            "hoverinfo": "skip",
            "showlegend": False,
            "meta": index,
        }
    ]


def _layout(chart: Chart, thinned: Sequence[Series], decimal_comma: bool) -> dict[str, Any]:
    x_axis: dict[str, Any] = {"title": {"text": _unmarked(chart.x_name)}}
    y_axis: dict[str, Any] = {"title": {"text": _unmarked(chart.y_name)}}
    if chart.log_x:
        x_axis["type"] = "log"
    elif any(isinstance(series.x[0], datetime) for series in thinned if series.x):
        x_axis |= {"type": "date", "tickformat": "%H:%M\n%Y-%m-%d"}
    elif any(isinstance(series.x[0], str) for series in thinned if series.x):
        x_axis["type"] = "category"
    if chart.log_y:
        y_axis["type"] = "log"
    elif chart.y_range is not None:
        y_axis["range"] = list(chart.y_range)
    return {
        "xaxis": x_axis,
        "yaxis": y_axis,
        "showlegend": len(thinned) > 1,
        "separators": ",." if decimal_comma else ".,",
        "shapes": [
            {"type": "line", "x0": _plain_x(x), "x1": _plain_x(x), "y0": 0, "y1": 1, "yref": "paper"}
            for x, _ in chart.marks
        ],
        "annotations": [
            {"x": _plain_x(x), "y": 1, "yref": "paper", "text": _unmarked(text), "showarrow": False}
            for x, text in chart.marks
        ],
    }


def _unmarked(text: str) -> str:
    """Keep a user's text from being read as markup, of which Plotly knows some: no tag begins with a gap."""
    return clipped(text, _NAME).replace("<", "<\N{ZERO WIDTH SPACE}")


def _plain_x(x: X) -> float | str | None:
    if isinstance(x, datetime):
        return x.isoformat()
    return _unmarked(x) if isinstance(x, str) else _finite(x)


def _finite(value: Value) -> Value:
    return value if value is not None and math.isfinite(value) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class PointTable:
    """The table behind a chart.

    Attributes
    ----------
    names
        Of the series.
    rows
        An `x`, and the value of each series there; None where it has none.
    has_interval
        Whether each value is a triple of itself, the lower and the upper end.
    n_points
        How many points there were.
    n_shown
        How many of them are in the table.
    """

    names: tuple[str, ...]
    rows: tuple[tuple[X, tuple[tuple[Value, Value, Value] | None, ...]], ...]
    has_interval: bool
    n_points: int
    n_shown: int


def point_table(chart: Chart, max_rows: int = MAX_ROWS) -> PointTable:
    """Give the table behind a chart: the points of each series that matter most, one row for each `x`."""
    few = [thin(series, max_rows) for series in chart.series]
    by_x: dict[X, list[tuple[Value, Value, Value] | None]] = {}
    for index, series in enumerate(few):
        lower = series.lower or [None] * len(series.x)
        upper = series.upper or [None] * len(series.x)
        for x, y, low, high in zip(series.x, series.y, lower, upper, strict=True):
            by_x.setdefault(x, [None] * len(few))[index] = (y, low, high)
    ordered = list(by_x) if _has_names(few) else sorted(by_x, key=_order)
    return PointTable(
        names=tuple(series.name for series in few),
        rows=tuple((x, tuple(by_x[x])) for x in ordered),
        has_interval=any(series.lower is not None for series in few),
        n_points=sum(map(_n_points, few)),
        n_shown=sum(len(series.x) for series in few if series.n_points != 0),
    )


def _has_names(series: Sequence[Series]) -> bool:
    return any(isinstance(x, str) for each in series for x in each.x[:1])


def _order(x: X) -> float:
    return x.timestamp() if isinstance(x, datetime) else float(x)
