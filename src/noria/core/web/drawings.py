"""The geometry of the small drawings in pages: wheels, shares, intervals. Pure; templates write the SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WHEEL_SIZE = 200.0
_CENTRE = WHEEL_SIZE / 2
_RIM = 74.0
_BUCKET = 17.0
_PADDLES = 36


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A place in a drawing, in its own units, y downwards."""

    x: float
    y: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A straight line."""

    start: Point
    end: Point


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelDrawing:
    """A water wheel whose buckets are the stations of a model.

    Attributes
    ----------
    size
        Side of the square that holds it.
    buckets
        Centres of the buckets, clockwise from the top.
    arcs
        SVG paths along the rim, each from the edge of a bucket to that of the next.
    spokes, paddles
        Lines of the ornament.
    """

    size: float
    buckets: tuple[Point, ...]
    arcs: tuple[str, ...]
    spokes: tuple[Line, ...]
    paddles: tuple[Line, ...]


def draw_wheel(n_buckets: int) -> WheelDrawing:
    """Lay out a wheel with so many buckets."""
    turn = math.tau / n_buckets
    gap = 2 * math.asin((_BUCKET + 4) / (2 * _RIM))
    angles = [index * turn for index in range(n_buckets)]
    paddles = [index * math.tau / _PADDLES for index in range(_PADDLES)]
    return WheelDrawing(
        size=WHEEL_SIZE,
        buckets=tuple(_at(angle, _RIM) for angle in angles),
        arcs=tuple(_arc(angle + gap, angle + turn - gap) for angle in angles),
        spokes=tuple(Line(start=_at(angle, 30), end=_at(angle, _RIM - _BUCKET - 3)) for angle in angles),
        paddles=tuple(
            Line(start=_at(angle, _RIM + 3), end=_at(angle, _RIM + 9))
            for angle in paddles
            if min(abs(math.remainder(angle - bucket, math.tau)) for bucket in angles) > gap / 2
        ),
    )


def _at(angle: float, radius: float) -> Point:
    x, y = _CENTRE + radius * math.sin(angle), _CENTRE - radius * math.cos(angle)
    return Point(x=round(x, 2), y=round(y, 2))


def _arc(start: float, end: float) -> str:
    a, b = _at(start, _RIM), _at(end, _RIM)
    return f"M {a.x} {a.y} A {_RIM:g} {_RIM:g} 0 0 1 {b.x} {b.y}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A value with its interval, placed on a scale; all in per cent of the width, 0 to 100."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """A straight scale over which several intervals are compared.

    Attributes
    ----------
    first, last
        Values at its ends.
    """

    first: float
    last: float

    def place(self, value: float) -> float:
        """Give where a value lies, in per cent of the width; beyond the ends, at the end."""
        share = (value - self.first) / (self.last - self.first)
        return round(100 * min(1.0, max(0.0, share)), 2)

    def interval(self, value: float, low: float | None, high: float | None) -> Interval:
        """Place a value with its interval, which is the value itself where there is none."""
        return Interval(
            value=self.place(value),
            low=self.place(value if low is None else low),
            high=self.place(value if high is None else high),
        )


def scale_over(values: Sequence[float]) -> Scale:
    """Give a scale that shows all values with a margin, 0 to 1 for none."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return Scale(first=0.0, last=1.0)
    first, last = min(finite), max(finite)
    margin = 0.06 * (last - first) or max(abs(last), 1.0) * 0.1
    return Scale(first=first - margin, last=last + margin)
