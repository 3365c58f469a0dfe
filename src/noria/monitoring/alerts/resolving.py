"""When an open alert is over by itself: the newest figures no longer bear it out. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from noria.monitoring import sentences
from noria.monitoring.entities import (
    Alert,
    AlertKind,
    AlertOver,
    MonitorSection,
    QualityReport,
    SegmentQuality,
    Window,
)
from noria.monitoring.quality import KEPT, mean_with_interval
from noria.monitoring.windows.rule_alerts import keeps_rules

FEWEST_LABELS = 50
"""Fewer labels since an alert do not end it."""

FEWEST_OF_ANOTHER = KEPT
"""Of a version that took the place of the one in trouble: whoever put it there says first how that went."""


def over(
    opened: Sequence[Alert],
    windows: Sequence[Window],
    quality: QualityReport | None,
    settings: MonitorSection,
    *,
    version: int,
    segments: Sequence[SegmentQuality] = (),
) -> list[AlertOver]:
    """Give the open alerts that are over.

    Parameters
    ----------
    version
        That answers most requests, and that `quality` is of.
    windows
        The newest ones, oldest first; as many as make an alert about drift have to be calm in a row, two at least.
    segments
        Quality where it is followed apart; an alert about a segment is over by the labels of that segment.
    """
    calm = max(2, settings.drift_windows)
    found = []
    for alert in opened:
        since = [window for window in windows if window.first_position > alert.last_position][-calm:]
        fewest = FEWEST_LABELS if alert.version == version else FEWEST_OF_ANOTHER
        why = (
            _quality_back(alert, _of_segment(alert, quality, segments), settings, fewest)
            if alert.kind is AlertKind.QUALITY
            else _calm(alert, since if len(since) == calm else [], settings)
        )
        if why is not None:
            found.append(AlertOver(kind=alert.kind, why=why))
    return found


def _calm(alert: Alert, calm: Sequence[Window], settings: MonitorSection) -> str | None:
    if not calm:
        return None
    if alert.kind is AlertKind.DRIFT and all(window.drift and not window.drifted for window in calm):
        return sentences.CALM % {"windows": len(calm)}
    if alert.kind is AlertKind.RULES and all(keeps_rules(window) for window in calm):
        return sentences.RULES_KEPT % {"windows": len(calm)}
    if alert.kind is AlertKind.ERRORS and all(
        window.n_errors <= settings.tolerated_errors * window.n_rows for window in calm
    ):
        return sentences.FEW_ERRORS % {"share": f"{settings.tolerated_errors:.1%}", "windows": len(calm)}
    return None


def _of_segment(
    alert: Alert, quality: QualityReport | None, segments: Sequence[SegmentQuality]
) -> QualityReport | None:
    if alert.segment is None:
        return quality
    mine = (each for each in segments if (each.version, each.segment) == (alert.version, alert.segment))
    return next((each.report for each in mine), None)


def _quality_back(
    alert: Alert, quality: QualityReport | None, settings: MonitorSection, fewest: int
) -> str | None:
    """Only what was answered after the alert counts; the lower end of its interval has to be good enough."""
    if quality is None:
        return None
    since = [row.score for row in quality.recent if row.position > alert.last_position]
    if len(since) < fewest:
        return None
    mean, low, high = mean_with_interval(since)
    if low < quality.reference - settings.quality_margin:
        return None
    interval = {"low": f"{low:.3f}", "high": f"{high:.3f}"}
    return sentences.QUALITY_BACK % {"n": len(since), "mean": f"{mean:.3f}", **interval}
