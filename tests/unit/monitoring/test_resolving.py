"""When an open alert is over by itself."""

from __future__ import annotations

from datetime import UTC, datetime

from noria.monitoring.alerts.resolving import over
from noria.monitoring.entities import (
    Alert,
    AlertKind,
    DriftReport,
    MonitorSection,
    QualityReport,
    ScoredRow,
    Window,
)

AT = datetime(2030, 1, 1, tzinfo=UTC)
SETTINGS = MonitorSection(drift_windows=2, tolerated_errors=0.02, quality_margin=0.02)


def opened(kind: AlertKind) -> Alert:
    return Alert(
        id="a",
        project="default",
        endpoint="digits",
        kind=kind,
        version=1,
        figures={},
        sentence="It fell",
        onset_position=50,
        last_position=100,
        opened_at=AT,
        closed_at=None,
        closed_why=None,
    )


def window(first: int, *, n_drifted: int | None = 0, n_errors: int = 0) -> Window:
    drift = None if n_drifted is None else DriftReport(n_columns=3, n_drifted=n_drifted, columns=[])
    return Window(
        index=first,
        version=1,
        first_position=first,
        last_position=first + 99,
        first_at=AT,
        last_at=AT,
        n_rows=100,
        n_errors=n_errors,
        drift=drift,
    )


def quality(scores: dict[int, float]) -> QualityReport:
    return QualityReport(
        n=len(scores),
        mean=0.9,
        low=0.8,
        high=1.0,
        recent=[ScoredRow(position, score) for position, score in scores.items()],
        reference=0.9,
        reference_n=100,
        evidence=0.0,
        threshold=8.0,
    )


def kinds(
    kind: AlertKind, windows: list[Window], report: QualityReport | None = None, *, version: int = 1
) -> list[AlertKind]:
    return [ended.kind for ended in over([opened(kind)], windows, report, SETTINGS, version=version)]


def test_windows_after_the_alert_have_to_be_calm_in_a_row() -> None:
    """Neither one calm window, nor one that could not be compared, nor one from before ends it."""
    calm = [window(101), window(201)]

    assert kinds(AlertKind.DRIFT, calm) == [AlertKind.DRIFT]
    assert kinds(AlertKind.ERRORS, calm) == [AlertKind.ERRORS]
    assert kinds(AlertKind.DRIFT, calm[:1]) == []
    assert kinds(AlertKind.DRIFT, [window(1), window(101)]) == []
    assert kinds(AlertKind.DRIFT, [window(101), window(201, n_drifted=1)]) == []
    assert kinds(AlertKind.DRIFT, [window(101, n_drifted=None), window(201)]) == []
    assert kinds(AlertKind.ERRORS, [window(101, n_errors=3), window(201)]) == []
    assert kinds(AlertKind.SERVER, calm) == []


def test_quality_is_back_when_answers_since_the_alert_surely_are_good() -> None:
    """What was right before the alert does not count."""
    good = {101 + number: 1.0 for number in range(60)}
    before = dict.fromkeys(range(60), 1.0)
    mixed = {101 + number: float(number % 5 > 0) for number in range(60)}

    assert kinds(AlertKind.QUALITY, [], quality(good)) == [AlertKind.QUALITY]
    assert kinds(AlertKind.QUALITY, [], quality(before)) == []
    assert kinds(AlertKind.QUALITY, [], quality(mixed)) == []
    assert kinds(AlertKind.QUALITY, [], None) == []
    assert kinds(AlertKind.QUALITY, [], quality(good), version=2) == []
    enough = {101 + number: 1.0 for number in range(200)}
    assert kinds(AlertKind.QUALITY, [], quality(enough), version=2) == [AlertKind.QUALITY]
