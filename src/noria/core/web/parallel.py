"""Parallel coordinates: an upright axis for each parameter or metric, a line for each run. Pure; an SVG shows them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from noria.core.web.formats import clipped

Value = float | str | None

LEVELS = 5
"""Steps of colour and thickness by where a line ends on the last axis."""

_HEIGHT = 360.0
_TOP = 44.0
_BOTTOM = _HEIGHT - 20.0
_MARGIN = 90.0
_STEP = 150.0
_WIDTH = 1200.0
_NAME = 18
_CATEGORY_TICKS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A label on an axis; `shift` is how far from it, sideways."""

    y: float
    text: Value
    shift: float
    anchor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """An axis of the plot."""

    name: str
    short_name: str
    x: float
    anchor: str
    ticks: tuple[Tick, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A run: its path, and its level by where it ends, 0 to 4."""

    name: str
    path: str
    level: int
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ParallelPlot:
    """The whole plot, in the units of its own SVG."""

    width: float
    height: float
    top: float
    bottom: float
    axes: tuple[Axis, ...]
    lines: tuple[Line, ...]


def parallel_plot(names: Sequence[str], runs: Sequence[tuple[str, Sequence[Value]]]) -> ParallelPlot:
    """Lay out parallel coordinates.

    Parameters
    ----------
    names
        Of the axes; the last is the one by which lines are coloured.
    runs
        The name of each run and its value on each axis; None leaves a gap. An axis on which any value is text is one
        of categories.
    """
    scales = [_Scale([values[index] for _, values in runs]) for index in range(len(names))]
    step = max(_STEP, (_WIDTH - 2 * _MARGIN) / max(len(names) - 1, 1))
    places = [round(_MARGIN + index * step, 1) for index in range(len(names))]
    axes = tuple(
        Axis(
            name=name,
            short_name=clipped(name, _NAME),
            x=x,
            anchor="middle",
            ticks=scale.ticks(is_last=index == len(names) - 1),
        )
        for index, (name, x, scale) in enumerate(zip(names, places, scales, strict=True))
    )
    return ParallelPlot(
        width=round(2 * _MARGIN + max(len(names) - 1, 0) * step, 1),
        height=_HEIGHT,
        top=_TOP,
        bottom=_BOTTOM,
        axes=axes,
        lines=tuple(_line(name, tuple(values), scales, places) for name, values in runs),
    )


def _line(name: str, values: tuple[Value, ...], scales: Sequence[_Scale], places: Sequence[float]) -> Line:
    path, pen = [], "M"
    end = None
    for value, scale, x in zip(values, scales, places, strict=True):
        share = end = scale.share(value)
        if share is None:
            pen = "M"
        else:
            path.append(f"{pen}{x:g} {_height(share):g}")
            pen = "L"
    level = 0 if end is None else min(LEVELS - 1, int(end * LEVELS))
    return Line(name=name, path=" ".join(path), level=level, values=values)


def _height(share: float) -> float:
    return round(_BOTTOM - share * (_BOTTOM - _TOP), 1)


class _Scale:
    """Places the values of one axis: categories evenly, numbers by their size."""

    def __init__(self, values: Sequence[Value]) -> None:
        known = [value for value in values if value is not None]
        self.is_category = any(isinstance(value, str) for value in known)
        numbers = [value for value in known if not isinstance(value, str) and math.isfinite(value)]
        self.categories = sorted({str(value) for value in known}) if self.is_category else []
        self.low = min(numbers, default=0.0)
        self.high = max(numbers, default=1.0)

    def share(self, value: Value) -> float | None:
        """Give where a value lies, from 0 at the bottom to 1 at the top."""
        if value is None:
            return None
        if self.is_category:
            last = len(self.categories) - 1
            return self.categories.index(str(value)) / last if last else 0.5
        if isinstance(value, str) or not math.isfinite(value):
            return None
        return (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5

    def ticks(self, *, is_last: bool) -> tuple[Tick, ...]:
        """Give the labels: the ends and the middle of numbers, and categories as far as there is room."""
        shift, anchor = (8.0, "start") if is_last else (-8.0, "end")
        shown: list[Value] = list(self.categories[:_CATEGORY_TICKS])
        if not self.is_category:
            middle = (self.low + self.high) / 2
            shown = [self.low, middle, self.high] if self.high > self.low else [self.low]
        return tuple(
            Tick(
                y=_height(self.share(value) or 0.0),
                text=clipped(value, _NAME) if isinstance(value, str) else value,
                shift=shift,
                anchor=anchor,
            )
            for value in shown
        )
