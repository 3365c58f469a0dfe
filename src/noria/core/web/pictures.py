"""The first picture of a chart: lines that the server draws, for as long as the chart library is not there. Pure.

The library takes longer to load than all the rest of a page, so a page shows its charts without it and lets it come
afterwards. A picture is a square of `SIZE` units that the page stretches over whatever room there is; the words beside
it are placed by shares of that room, so that they are not stretched.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from noria.core.web.charts import Chart, Series, Shape, Value, X, thin

SIZE = 1000
"""Side of the square that the paths are in, y downwards."""

MAX_POINTS = 500
"""Points of a series that a picture shows: one for every few pixels, since it is looked at for a moment."""

N_TICKS = 5
"""About how many round values stand beside a picture."""

N_COLOURS = 8
_MARGIN = 0.03
_BAR = 0.8
_MAX_POWER = 308.0

Place = tuple[float, float]
Scale = Callable[[float], float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureLine:
    """One series.

    Attributes
    ----------
    path
        SVG path; empty if nothing of the series can be seen.
    band
        SVG path round its interval; empty if it has none.
    colour
        Number of the series' colour, from 1.
    is_dot
        Whether all that can be seen of it is one point, which is to be drawn large enough.
    """

    path: str
    band: str
    colour: int
    is_faint: bool
    is_dot: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A round value on the upright axis, and how far down it stands: 0 at the top, `SIZE` at the bottom."""

    value: float
    place: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A chart as paths in a square of `SIZE`.

    Attributes
    ----------
    left, right
        What the ends of the level axis stand for.
    ticks
        Of the upright axis, from the top.
    marks
        Places of the upright lines that mark something, from the left.
    shape
        How the paths are to be drawn: bars are filled, points are short strokes with round ends.
    """

    lines: tuple[PictureLine, ...]
    left: X
    right: X
    ticks: tuple[Tick, ...]
    marks: tuple[int, ...]
    shape: Shape


def picture(chart: Chart) -> Picture | None:
    """Draw a chart; None if none of its points has a place.

    Examples
    --------
    >>> drawn = picture(Chart(title="t", series=(Series(name="s", x=[0.0, 1.0, 2.0], y=[1.0, None, 3.0]),)))
    >>> drawn.lines[0].path, drawn.left, drawn.right
    ('M0,972h0M1000,28h0', 0.0, 2.0)
    """
    series = [thin(each, MAX_POINTS) for each in chart.series]
    across = _Across(series, is_log=chart.log_x, has_room=chart.shape is Shape.BARS)
    heights = [y for each in series for y in _heights(each) if math.isfinite(y)]
    if heights and chart.shape is Shape.BARS and not chart.log_y:
        heights.append(0.0)
    upright = _Upright(heights, is_log=chart.log_y, given=chart.y_range)
    if across.is_empty or upright.is_empty:
        return None
    paths = [
        _path(each, chart.shape, across, upright, index, len(series)) for index, each in enumerate(series)
    ]
    lines = tuple(
        PictureLine(
            path=path,
            band=_band(each, across, upright),
            colour=index % N_COLOURS + 1,
            is_faint=each.is_faint,
            is_dot=path.count("M") == 1 and "L" not in path,
        )
        for index, (each, path) in enumerate(zip(series, paths, strict=True))
    )
    marks = [place for x, _ in chart.marks if (place := across(x)) is not None and 0 <= place <= SIZE]
    return Picture(
        lines=lines,
        left=across.first,
        right=across.last,
        ticks=upright.ticks(),
        marks=tuple(round(place) for place in sorted(marks)),
        shape=chart.shape,
    )


class _Across:
    """Places on the level axis: numbers and moments to scale, names at equal distances."""

    def __init__(self, series: Sequence[Series], *, is_log: bool, has_room: bool) -> None:
        self._log = is_log
        values = [x for each in series for x in each.x]
        self._names: dict[X, int] | None = None
        if any(isinstance(x, str) for x in values):
            self._names = {x: at for at, x in enumerate(dict.fromkeys(values))}
        known = {at: x for x in values if (at := self._at(x)) is not None}
        self.is_empty = not known
        if self.is_empty:
            return
        least, greatest = min(known), max(known)
        self.first, self.last = known[least], known[greatest]
        self.step = (greatest - least) / max(len(known) - 1, 1) or 1.0
        room = self.step / 2 if has_room or least == greatest else 0.0
        self._begin, self._span = least - room, greatest - least + 2 * room

    def __call__(self, x: X, shift: float = 0.0) -> float | None:
        """Give the place of a value, moved by a share of the distance of two values."""
        at = self._at(x)
        return None if at is None else SIZE * (at + shift * self.step - self._begin) / self._span

    def _at(self, x: X) -> float | None:
        if self._names is not None:
            return float(self._names[x])
        number = x.timestamp() if isinstance(x, datetime) else float(x)
        return _scaled(number, is_log=self._log)


class _Upright:
    """Places on the upright axis, with some room at both ends."""

    def __init__(self, values: Sequence[float], *, is_log: bool, given: tuple[float, float] | None) -> None:
        self._log = is_log
        known = [at for y in values if (at := _scaled(y, is_log=is_log)) is not None]
        self.is_empty = not known
        if self.is_empty:
            return
        least, greatest = min(known), max(known)
        if given is not None and not is_log:
            least, greatest = given
        # Halved first: the distance of two large values could overflow.
        span = greatest / 2 - least / 2
        self._middle = least / 2 + greatest / 2
        self._half = span * (1 + 2 * _MARGIN) if span > 0 else abs(self._middle) or 1.0

    def __call__(self, y: Value) -> float | None:
        """Give the place of a value; None for a gap."""
        at = None if y is None else _scaled(y, is_log=self._log)
        return None if at is None else SIZE * (0.5 - (at / 2 - self._middle / 2) / self._half)

    def ticks(self) -> tuple[Tick, ...]:
        """Give round values that can be seen, from the top: 1, 2 or 5 times a power of ten apart."""
        least, greatest = self._middle - self._half, self._middle + self._half
        if not math.isfinite(greatest - least):
            return ()
        step = _round_step((greatest - least) / N_TICKS)
        if self._log:
            step = max(1.0, math.ceil(step))
        if not step:
            return ()
        made = []
        for number in range(math.ceil(least / step), math.floor(greatest / step) + 1):
            # The decimals of the step alone: 3 times 0.1 is not 0.3.
            at = round(number * step, max(0, -math.floor(math.log10(step))))
            if self._log and at > _MAX_POWER:
                break
            value = 10.0**at if self._log else at
            place = self(value)
            if place is not None and 0 <= place <= SIZE:
                made.append(Tick(value=value, place=round(place)))
        return tuple(reversed(made))


def _round_step(least: float) -> float:
    """Give the smallest of 1, 2 and 5 times a power of ten that is not below a value; 0 where that is too small."""
    if not least > 1e-300:
        return 0.0
    power = 10.0 ** math.floor(math.log10(least))
    return next(times * power for times in (1, 2, 5, 10) if times * power >= least)


def _scaled(value: float, *, is_log: bool) -> float | None:
    if not math.isfinite(value) or (is_log and value <= 0):
        return None
    return math.log10(value) if is_log else value


def _heights(series: Series) -> Iterator[float]:
    for values in (series.y, series.lower, series.upper):
        yield from (value for value in values or () if value is not None)


def _path(series: Series, shape: Shape, across: _Across, upright: _Upright, index: int, n_series: int) -> str:
    if shape is Shape.BARS:
        return _bars(series, across, upright, index, n_series)
    made: list[str] = []
    is_down = False
    for x, y in zip(series.x, series.y, strict=True):
        place = across(x), upright(y)
        if place[0] is None or place[1] is None:
            is_down = False
            continue
        is_joined = is_down and shape is Shape.LINES
        # A stroke of no length has round ends: so a point that stands alone can be seen.
        made.append(f"{'L' if is_joined else 'M'}{place[0]:.0f},{place[1]:.0f}{'' if is_joined else 'h0'}")
        is_down = True
    return "".join(made)


def _bars(series: Series, across: _Across, upright: _Upright, index: int, n_series: int) -> str:
    width = _BAR / n_series
    left = index * width - _BAR / 2
    ground = upright(0.0)
    foot = SIZE if ground is None else ground
    made: list[str] = []
    for x, y in zip(series.x, series.y, strict=True):
        begin, end, top = across(x, left), across(x, left + width), upright(y)
        if begin is not None and end is not None and top is not None:
            made.append(f"M{begin:.0f},{foot:.0f}V{top:.0f}H{end:.0f}V{foot:.0f}Z")
    return "".join(made)


def _band(series: Series, across: _Across, upright: _Upright) -> str:
    if series.lower is None or series.upper is None:
        return ""
    there: list[Place] = []
    back: list[Place] = []
    for x, low, high in zip(series.x, series.lower, series.upper, strict=True):
        at, bottom, top = across(x), upright(low), upright(high)
        if at is not None and bottom is not None and top is not None:
            there.append((at, top))
            back.append((at, bottom))
    outline = [*there, *reversed(back)]
    return f"M{'L'.join(f'{x:.0f},{y:.0f}' for x, y in outline)}Z" if outline else ""
