"""The profile of a version as a page shows it: figures of each column, and its distribution as a small drawing. Pure.

A profile is whatever the client sent, so every column is read with care: one that is not in the form that
`noria.core.stats.profiles` makes is shown by its name alone.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from noria.core.web.formats import clipped

WIDTH: Final = 120.0
HEIGHT: Final = 28.0
MAX_BARS: Final = 40

_NARROWEST: Final = 0.02
"""Share of the width that the bar of a single value has."""

_CATEGORIES: Final = 12
_NAMED: Final = 3
_MEDIAN: Final = 4


class _Category(msgspec.Struct, frozen=True):
    label: str = ""
    n: int = 0


class _Column(msgspec.Struct, frozen=True):
    kind: str = ""
    type: str = ""
    n_rows: int = 0
    n_missing: int = 0
    n_distinct: int | None = None
    n_distinct_capped: bool = False
    n_unique: int | None = None
    first: str | None = None
    last: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    mean: float | None = None
    std: float | None = None
    quantiles: list[float] = []
    edges: list[float] = []
    counts: list[int] = []
    top: list[_Category] = []
    n_other: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A bar of a drawing, in its own units, y downwards."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnRow:
    """A column of the data.

    Attributes
    ----------
    kind
        `numeric`, `categorical`, or empty where it is not known.
    type
        Type in the table; empty where it is not known.
    missing
        Share of rows without a value; None where there are no rows.
    n_distinct, is_capped
        Distinct values; when capped there are more.
    minimum, median, maximum, mean, std
        Of a numeric column that holds no times.
    first, last
        Earliest and latest of a column of times.
    top
        Its most frequent categories, each with its share of the rows.
    bars
        Its distribution: density over the values, or rows by category, the most frequent first.
    """

    name: str
    kind: str = ""
    type: str = ""
    missing: float | None = None
    n_distinct: int | None = None
    is_capped: bool = False
    minimum: float | None = None
    median: float | None = None
    maximum: float | None = None
    mean: float | None = None
    std: float | None = None
    first: str | None = None
    last: str | None = None
    top: tuple[tuple[str, float], ...] = ()
    bars: tuple[Bar, ...] = ()


def column_rows(profile: Mapping[str, Any], start: int, limit: int) -> tuple[tuple[ColumnRow, ...], int]:
    """Give some of the columns of a profile, from the one at `start` on, and how many it has."""
    columns = profile.get("columns")
    if not isinstance(columns, Mapping):
        return (), 0
    shown = itertools.islice(columns.items(), start, start + limit)
    return tuple(_row(str(name), column) for name, column in shown), len(columns)


def _row(name: str, given: Any) -> ColumnRow:
    try:
        column = msgspec.convert(given, _Column)
    except msgspec.ValidationError:
        return ColumnRow(name=name)
    n_rows = max(column.n_rows, 0)
    return ColumnRow(
        name=name,
        kind=column.kind if column.kind in ("numeric", "categorical") else "",
        missing=column.n_missing / n_rows if n_rows else None,
        type=clipped(column.type, 60),
        n_distinct=column.n_distinct if column.n_unique is None else column.n_unique,
        is_capped=column.n_distinct_capped and column.n_unique is None,
        **_figures(column),
        top=tuple((clipped(each.label, 60), each.n / n_rows) for each in column.top[:_NAMED] if n_rows),
        bars=_bars(column),
    )


def _figures(column: _Column) -> dict[str, Any]:
    """Give the figures of a column; of times the first and the last, since their mean is none that people read."""
    if column.first is not None:
        return {"first": clipped(column.first, 40), "last": clipped(column.last or "", 40)}
    return {
        "minimum": column.minimum,
        "median": column.quantiles[_MEDIAN] if len(column.quantiles) > _MEDIAN else None,
        "maximum": column.maximum,
        "mean": column.mean,
        "std": column.std,
    }


def _bars(column: _Column) -> tuple[Bar, ...]:
    if column.kind == "categorical":
        counts = [each.n for each in column.top[:_CATEGORIES]]
        ends = [index / max(len(counts), 1) for index in range(len(counts) + 1)]
        return _drawn(ends, [float(count) for count in counts])
    if column.minimum is None or column.maximum is None or len(column.counts) != len(column.edges) + 1:
        return ()
    return density_bars(column.edges, column.counts, column.minimum, column.maximum)


def density_bars(
    edges: Sequence[float], counts: Sequence[int], minimum: float, maximum: float
) -> tuple[Bar, ...]:
    """Draw bins as bars whose areas are in proportion to their rows.

    Parameters
    ----------
    edges, counts
        Inner ends of the bins, and rows in each: one count more than edges.

    Examples
    --------
    >>> [(bar.width, bar.height) for bar in density_bars([1.0], [1, 1], 0.0, 3.0)]
    [(40.0, 28.0), (80.0, 14.0)]
    """
    span = maximum - minimum
    if not math.isfinite(span) or len(counts) > MAX_BARS:
        return ()
    if span <= 0:
        return _drawn([0.45, 0.55], [1.0])
    ends = [0.0, *(min(1.0, max(0.0, (edge - minimum) / span)) for edge in edges), 1.0]
    if any(later < earlier for earlier, later in itertools.pairwise(ends)):
        return ()
    widths = [max(later - earlier, _NARROWEST) for earlier, later in itertools.pairwise(ends)]
    return _drawn(ends, [count / width for count, width in zip(counts, widths, strict=True)])


def _drawn(ends: Sequence[float], heights: Sequence[float]) -> tuple[Bar, ...]:
    highest = max(heights, default=0.0)
    if highest <= 0:
        return ()
    found = []
    for (left, right), value in zip(itertools.pairwise(ends), heights, strict=True):
        width, height = max(right - left, _NARROWEST) * WIDTH, HEIGHT * value / highest
        x = min(left * WIDTH, WIDTH - width)
        if value > 0:
            found.append(
                Bar(
                    x=round(x, 2), y=round(HEIGHT - height, 2), width=round(width, 2), height=round(height, 2)
                )
            )
    return tuple(found)
