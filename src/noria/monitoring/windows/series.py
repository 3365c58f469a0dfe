"""What windows say of each version and segment, side by side. Pure: for commands and pages."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from noria.monitoring.entities import SegmentQuality, Window, WindowPart
from noria.monitoring.windows.quality import lacks


class PartSeries(msgspec.Struct, frozen=True, kw_only=True):
    """A version, or a segment of it, over the newest windows.

    Attributes
    ----------
    indexes
        Windows that had rows of it, oldest first.
    psi
        Largest of its inputs in each, in nats; None where there were too few rows.
    n_drifted
        Windows in which it drifted.
    n_rows
        In all of them.
    n_labels, quality, low, high
        Labelled answers, and the mean score of the newest with its 95 % interval; None before there is any.
    lacks
        What its quality lacks to be watched.
    """

    version: int
    segment: str
    n_rows: int
    n_drifted: int
    indexes: list[int]
    psi: list[float | None]
    n_labels: int = 0
    quality: float | None = None
    low: float | None = None
    high: float | None = None
    lacks: str | None = None


class PartSeriesList(msgspec.Struct, frozen=True, kw_only=True):
    """All rows of a version first, then its segments by name; the newest version first."""

    items: list[PartSeries]


def part_series(windows: Sequence[Window], qualities: Sequence[SegmentQuality] = ()) -> PartSeriesList:
    """Lay windows side by side, oldest first."""
    found: dict[tuple[int, str], list[tuple[int, WindowPart]]] = {}
    for window in windows:
        for part in window.parts:
            found.setdefault((part.version, part.segment), []).append((window.index, part))
    known = {(each.version, each.segment): each for each in qualities}
    order = sorted(found, key=lambda key: (-key[0], key[1]))
    return PartSeriesList(items=[_series(key, found[key], known.get(key)) for key in order])


def largest_psi(part: WindowPart) -> float | None:
    """Give the PSI of the input that moved most; None where nothing was compared."""
    return max((column.psi for column in part.drift.columns), default=None) if part.drift else None


def _series(
    key: tuple[int, str], parts: Sequence[tuple[int, WindowPart]], quality: SegmentQuality | None
) -> PartSeries:
    report = quality.report if quality is not None else None
    has_scores = report is not None and bool(report.recent)
    return PartSeries(
        version=key[0],
        segment=key[1],
        n_rows=sum(part.n_rows for _, part in parts),
        n_drifted=sum(part.drifted for _, part in parts),
        indexes=[index for index, _ in parts],
        psi=[largest_psi(part) for _, part in parts],
        n_labels=(report.n if report else 0) + (quality.n_learned if quality else 0),
        quality=report.mean if report and has_scores else None,
        low=report.low if report and has_scores else None,
        high=report.high if report and has_scores else None,
        lacks=lacks(quality) if quality is not None else None,
    )
