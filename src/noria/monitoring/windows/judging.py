"""Judge a window from its counters: every version and segment at once. Pure, but for the history it may ask for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

from msgspec.structs import replace

from noria.core.stats.counters import TableCounts
from noria.core.stats.profiles import TableProfile
from noria.monitoring.drift import FEWEST_ROWS, Comparison, compare_all, compare_column, judged, report_of
from noria.monitoring.entities import ColumnDrift, MonitorSection, Window, WindowPart
from noria.monitoring.windows.entities import HistoryPoint
from noria.monitoring.windows.history import Usual, hour_of, usual
from noria.monitoring.windows.layout import PREDICTIONS
from noria.monitoring.windows.vectors import Vector, compare_vector

_SHOWN_OF_PART = 3


class Part(NamedTuple):
    """The rows of a window that one version answered in one segment; `reference` is empty where there is none."""

    version: int
    segment: str
    counts: TableCounts
    reference: TableProfile
    vectors: Sequence[Vector] = ()


@dataclass(slots=True)
class Judged:
    """A window with its verdict, and what of it becomes history."""

    window: Window
    history: list[HistoryPoint] = field(default_factory=list)


History = Callable[[int], list[HistoryPoint]]
"""Gives the history of a version."""


def judge(window: Window, parts: Sequence[Part], settings: MonitorSection, history: History) -> Judged:
    """Give `judge_all` of one window."""
    return judge_all([(window, parts)], settings, history)[0]


def judge_all(
    windows: Sequence[tuple[Window, Sequence[Part]]], settings: MonitorSection, history: History
) -> list[Judged]:
    """Compare every part of windows with its reference, with false discoveries under control in each window.

    Parameters
    ----------
    windows
        Each with its parts.
    history
        Asked for only where something is far from the reference, and once for each version.

    Notes
    -----
    All columns of all parts of a window are adjusted together, so `drift_level` bounds the share of false discoveries
    in it, and the chance of any in a quiet one. Over time at most that share of quiet windows has a false discovery; an
    alert needs several in a row in the same part.
    """
    compared = iter(_compared([part for _, parts in windows for part in parts]))
    history = cache(history)
    return [
        _judge(window, parts, [next(compared) for _ in parts], settings, history) for window, parts in windows
    ]


def _judge(
    window: Window,
    parts: Sequence[Part],
    compared: Sequence[dict[str, Comparison]],
    settings: MonitorSection,
    history: History,
) -> Judged:
    level, least_psi = settings.drift_level, settings.drift_psi
    columns = judged(compared, level=level, least_psi=least_psi)
    season: Usual | None = None
    if any(column.drifted for of in columns for column in of):
        season = usual(history(window.version), window.starts_at or window.first_at, level=level)
        bounds = [
            season.psi.get(part.segment, {}) if part.version == window.version else {} for part in parts
        ]
        columns = judged(compared, level=level, least_psi=least_psi, usual=bounds)
    told = [_part(part, of) for part, of in zip(parts, columns, strict=True)]
    whole = next((p for p in told if p.version == window.version and not p.segment), None)
    found = replace(
        window,
        drift=whole.drift if whole else None,
        predictions=whole.predictions if whole else None,
        parts=[_shortened(part) for part in told],
        season=season.words if season else None,
        lacks=[*window.lacks, *_too_few(parts, told, window.version)],
    )
    return Judged(found, _history(found, parts, compared, learned=season is not None and season.is_known))


def _compared(parts: Sequence[Part]) -> list[dict[str, Comparison]]:
    found = compare_all([(part.reference, part.counts) for part in parts])
    for part, columns in zip(parts, found, strict=True):
        column = part.counts.columns.get(PREDICTIONS)
        if PREDICTIONS in columns and column is not None and column.n_missing:
            # What was not answered is told of as an error.
            profile = part.reference.columns[PREDICTIONS]
            columns[PREDICTIONS] = compare_column(profile, column, with_missing=False)
        for vector in part.vectors:
            whole = compare_vector(vector, part.counts)
            if whole is not None:
                columns[vector.name] = whole
    return found


def _part(part: Part, columns: Sequence[ColumnDrift]) -> WindowPart:
    predictions = next((column for column in columns if column.name == PREDICTIONS), None)
    return WindowPart(
        version=part.version,
        segment=part.segment,
        n_rows=part.counts.n_rows,
        drift=report_of([column for column in columns if column is not predictions]),
        predictions=predictions,
    )


def _shortened(part: WindowPart) -> WindowPart:
    if part.drift is None:
        return part
    return replace(part, drift=replace(part.drift, columns=part.drift.columns[:_SHOWN_OF_PART]))


def _too_few(parts: Sequence[Part], told: Sequence[WindowPart], version: int) -> list[str]:
    """Say why the rows of the version that answered most were not compared, where it has a reference."""
    for part, found in zip(parts, told, strict=True):
        if part.version != version or part.segment or found.drift is not None:
            continue
        if part.counts.n_rows < FEWEST_ROWS:
            return [f"{part.counts.n_rows} rows; a comparison needs {FEWEST_ROWS}"]
        if any(name != PREDICTIONS for name in part.reference.columns):
            return [
                "Every input is one and the same value here and in the reference: there is nothing to compare"
            ]
    return []


def _history(
    window: Window, parts: Sequence[Part], compared: Sequence[dict[str, Comparison]], *, learned: bool
) -> list[HistoryPoint]:
    """Remember how far the window was, unless it was more than usual: trouble is not learned as usual."""
    if learned and window.drifted:
        return []
    psi = {
        part.segment: {name: round(found.psi, 4) for name, found in of.items()}
        for part, of in zip(parts, compared, strict=True)
        if part.version == window.version and of
    }
    if not psi:
        return []
    return [HistoryPoint(version=window.version, hour=hour_of(window.starts_at or window.first_at), psi=psi)]
