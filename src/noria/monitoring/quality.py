"""Scores of labelled answers, and what the detector makes of them. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from noria.monitoring import sentences
from noria.monitoring.detector import DropDetector
from noria.monitoring.entities import AlertKind, DropReport, NewAlert, QualityReport, ScoredRow, Window
from noria.monitoring.label_windows import DropRule, LabelWindows, find_drop, take_in_windows
from noria.monitoring.sentences import BELOW_HELD_OUT, Drop

KEPT = 200
"""How many of the newest scored rows a report keeps."""

_FEWEST_IN_SENTENCE = 20


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """How well a version did on held-out rows when it was registered.

    Attributes
    ----------
    score
        Mean score, 0 to 1.
    n
        Rows it was measured on.
    error_bound
        Regression: the absolute error that counts as wholly wrong (score 0).
    """

    score: float
    n: int
    error_bound: float | None = None


def score(task: str, predicted: Any, actual: Any, baseline: Baseline) -> float:
    """Score one answer between 0 (wrong) and 1 (right).

    A class is right or wrong. A number scores 1 - min(1, |error| / error_bound). No answer (a model that answered NaN,
    which is null in JSON) is wrong.
    """
    if predicted is None:
        return 0.0
    if task == "classification":
        return float(predicted == actual)
    error = abs(float(predicted) - float(actual))
    return 1.0 - min(1.0, error / (baseline.error_bound or 1.0))


def start_detector(baseline: Baseline, *, margin: float, labels_per_false_alarm: int) -> DropDetector:
    """Watch for a mean score below the baseline's by more than `margin`."""
    floor = min(max(baseline.score - margin, 0.01), 0.99)
    return DropDetector(floor=floor, false_alarm_rate=1.0 / labels_per_false_alarm)


def take_in(
    detector: DropDetector,
    previous: QualityReport | None,
    rows: Sequence[ScoredRow],
    baseline: Baseline,
    rule: DropRule = DropRule(),  # noqa: B008 - frozen
) -> tuple[DropDetector, QualityReport]:
    """Take in newly labelled rows, oldest first."""
    moved = detector.update(row.score for row in rows)
    recent = [*(previous.recent if previous else []), *rows][-KEPT:]
    mean, low, high = mean_with_interval([row.score for row in recent])
    before = LabelWindows(whole=previous.windows, open=previous.open_window) if previous else LabelWindows()
    labels, filled = take_in_windows(before, rows, size=rule.size)
    drops = (find_drop(state, rule, reference=baseline.score, reference_n=baseline.n) for state in filled)
    report = QualityReport(
        n=(previous.n if previous else 0) + len(rows),
        mean=mean,
        low=low,
        high=high,
        recent=recent,
        reference=baseline.score,
        reference_n=baseline.n,
        evidence=moved.log_evidence,
        threshold=-math.log(moved.false_alarm_rate),
        windows=labels.whole,
        open_window=labels.open,
        drop=(previous.drop if previous else None)
        or next((drop for drop in drops if drop is not None), None),
    )
    return moved, report


def begun_anew(report: QualityReport) -> QualityReport:
    """Forget what led to an alert that is closed, and keep the newest rows."""
    return msgspec.structs.replace(report, windows=[], open_window=None, drop=None)


def error_alert(window: Window, *, tolerated: float) -> NewAlert | None:
    """Raise an alert when surely more than `tolerated` of a window's requests failed.

    Surely: the lower end of the 99 % Clopper-Pearson interval is above it.
    """
    from noria.core.stats.intervals import clopper_pearson

    share = clopper_pearson(window.n_errors, window.n_rows, alpha=0.01)
    if share.lower <= tolerated:
        return None
    return NewAlert(
        kind=AlertKind.ERRORS,
        version=window.version,
        figures={
            "share": share.estimate,
            "low": share.lower,
            "high": share.upper,
            "n": float(window.n_rows),
            "tolerated": tolerated,
        },
        sentence=sentences.ERRORS
        % {
            "failed": window.n_errors,
            "all": window.n_rows,
            "share": f"{share.estimate:.1%}",
            "low": f"{share.lower:.1%}",
            "high": f"{share.upper:.1%}",
            "tolerated": f"{tolerated:.1%}",
        },
        onset_position=window.first_position,
        last_position=window.last_position,
        since=window.first_at,
    )


def quality_alert(
    detector: DropDetector,
    report: QualityReport,
    *,
    version: int,
    measure: str,
    last_position: int,
    said: Drop = BELOW_HELD_OUT,
) -> NewAlert | None:
    """Raise an alert when the detector alarmed, or whole windows of labels showed a drop.

    Parameters
    ----------
    measure
        What quality is called, in small letters.
    said
        What is said of a drop.
    """
    if not detector.alarmed:
        return (
            None
            if report.drop is None
            else _window_alert(report, report.drop, version, measure, last_position, said)
        )
    # The detector stops at its alarm; the rows that came after it are since the onset too.
    n_since = detector.n_since_onset + report.n - detector.n
    since = report.recent[-max(n_since, _FEWEST_IN_SENTENCE) :]
    mean, low, high = mean_with_interval([row.score for row in since])
    return NewAlert(
        kind=AlertKind.QUALITY,
        version=version,
        figures={
            "mean": mean,
            "low": low,
            "high": high,
            "n": float(len(since)),
            "reference": report.reference,
            "reference_n": float(report.reference_n),
            "evidence": report.evidence,
        },
        sentence=said.newest
        % {
            **_beside(report, measure, version, said),
            "mean": f"{mean:.3f}",
            "n": len(since),
            "low": f"{low:.3f}",
            "high": f"{high:.3f}",
            "rate": round(math.exp(report.threshold)),
        },
        onset_position=since[0].position,
        last_position=last_position,
    )


def _window_alert(
    report: QualityReport, drop: DropReport, version: int, measure: str, last_position: int, said: Drop
) -> NewAlert:
    return NewAlert(
        kind=AlertKind.QUALITY,
        version=version,
        figures={
            "mean": drop.mean,
            "n": float(drop.n),
            "p_value": drop.p_value,
            "reference": report.reference,
            "reference_n": float(report.reference_n),
            "evidence": report.evidence,
        },
        sentence=said.windows
        % {
            **_beside(report, measure, version, said),
            "mean": f"{drop.mean:.3f}",
            "n": drop.n,
            "p": f"{drop.p_value:.2g}",
        },
        onset_position=drop.first_position,
        last_position=max(last_position, drop.last_position),
    )


def _beside(report: QualityReport, measure: str, version: int, said: Drop) -> dict[str, object]:
    return {
        "measure": measure.capitalize() if said.begins else measure,
        "version": version,
        "reference": f"{report.reference:.3f}",
        "reference_n": report.reference_n,
    }


def mean_with_interval(scores: Sequence[float]) -> tuple[float, float, float]:
    """Give mean and 95 % interval: Wilson's for scores of 0 and 1, Student's otherwise; 0 to 1 when there are none."""
    from noria.core.stats.intervals import mean_interval, wilson

    if not scores:
        return 0.0, 0.0, 1.0
    mean = math.fsum(scores) / len(scores)
    if set(scores) <= {0.0, 1.0}:
        interval = wilson(round(math.fsum(scores)), len(scores))
    elif len(scores) > 1:
        interval = mean_interval(scores)
    else:
        return mean, 0.0, 1.0
    return mean, max(0.0, interval.lower), min(1.0, interval.upper)
