"""The charts of what a monitor saw at an endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Final

from noria.core.web.charts import Chart, Series, Shape
from noria.core.web.languages import mark, translations
from noria.core.web.pages import Visit
from noria.core.web.retelling import Sentence
from noria.monitoring.delays.entities import DelayReport
from noria.monitoring.entities import Alert, Monitor, QualityReport, Window
from noria.monitoring.estimated.entities import EstimatedMetric, EstimatePoint
from noria.monitoring.estimated.page_words import METRIC_WORDS
from noria.monitoring.estimated.service import Estimates
from noria.monitoring.lack_sentences import retelling
from noria.monitoring.service import Monitors
from noria.monitoring.windows.series import part_series
from noria.server.endpoint_views import RulesPart
from noria.serving.entities import Endpoint
from noria.serving.service import ServiceLogs
from noria.serving.service_logs import WINDOW

_WINDOWS: Final = 100
_RUNNING: Final = 40
_PARTS: Final = 8
_ESTIMATES: Final = 200
_FEWEST_ANSWERS: Final = 2

QUALITY_WORDS = mark("Quality over the newest labels")
RUNNING_WORDS = mark("mean of 40 labels")
REFERENCE_WORDS = mark("reference")
ONSET_WORDS = mark("onset")
ROW_WORDS = mark("captured row")
SCORE_WORDS = mark("score")
SHIFT_WORDS = mark("Largest shift of an input, by window")
PSI_WORDS = mark("PSI in nats")
PREDICTIONS_WORDS = mark("predictions")
PARTS_WORDS = mark("Largest shift of an input, by version and segment")
DRIFTED_WORDS = mark("Inputs that drifted, by window")
INPUTS_WORDS = mark("inputs")
FAILED_WORDS = mark("Requests that failed, by window")
SHARE_WORDS = mark("share")
WINDOW_WORDS = mark("window")
BY_ANSWER_WORDS = mark("Quality by when it was answered")
SO_FAR_WORDS = mark("mean of the labels so far")
EXPECTED_WORDS = mark("share of the labels expected by now")
ANSWERED_WORDS = mark("answered until (UTC)")
LOGGED_WORDS = mark("What model servers logged, by five minutes")
ERRORS_WORDS = mark("errors")
WARNINGS_WORDS = mark("warnings")
LINES_WORDS = mark("lines")
LOG_TIME_WORDS = mark("time (UTC)")
ESTIMATE_WORDS = mark("estimate without labels")
LABELLED_WORDS = mark("labels that came")
HELD_OUT_WORDS = mark("held-out rows")
TIME_WORDS = mark("last answer (UTC)")
_ESTIMATED_WORDS: Final = {
    "accuracy": mark("Estimated accuracy"),
    "mae": mark("Estimated mean absolute error"),
    "roc_auc": mark("Estimated ROC AUC"),
    "f1": mark("Estimated F1"),
}
"""Titles; the first one that there are estimates of is drawn."""


def monitor_charts(
    visit: Visit, monitor: Monitor, alerts: Sequence[Alert], *, since: datetime
) -> tuple[Chart, ...]:
    """Give charts of the quality of recent labels, of past estimates, and of what the newest windows had.

    Parameters
    ----------
    since
        When the endpoint was made: a namesake before it is not shown.
    """
    past = visit.context.service(Estimates).past(monitor.project, monitor.endpoint, limit=_ESTIMATES).items
    estimates = [point for point in reversed(past) if point.last_at >= since]
    windows = visit.context.service(Monitors).windows(monitor.project, monitor.endpoint, limit=_WINDOWS)
    series = list(reversed(windows.items))
    charts = [_quality_chart(visit, monitor.quality, alerts)] if monitor.quality else []
    return (*charts, *_estimate_charts(visit, estimates), *_window_charts(visit, series))


def _quality_chart(visit: Visit, report: QualityReport, alerts: Sequence[Alert]) -> Chart:
    say = translations(visit.language).gettext
    places = [row.position for row in report.recent]
    scores = [row.score for row in report.recent]
    means = [_mean(scores[max(0, i + 1 - _RUNNING) : i + 1]) for i in range(len(scores))]
    ends = [float(place) for place in (places[:1] + places[-1:])]
    return Chart(
        title=say(QUALITY_WORDS),
        series=(
            Series(name=say(RUNNING_WORDS), x=[float(place) for place in places], y=means),
            Series(
                name=say(REFERENCE_WORDS), x=ends, y=[report.reference] * len(ends), n_points=0, is_faint=True
            ),
        ),
        x_name=say(ROW_WORDS),
        y_name=say(SCORE_WORDS),
        marks=tuple(
            (float(alert.onset_position), say(ONSET_WORDS))
            for alert in alerts
            if alert.closed_at is None and places and places[0] <= alert.onset_position <= places[-1]
        ),
    )


def _estimate_charts(visit: Visit, points: Sequence[EstimatePoint]) -> list[Chart]:
    """Draw past estimates with their intervals, and what labels said of the same answers where they came."""
    shown = next((name for name in _ESTIMATED_WORDS if any(_metric(point, name) for point in points)), None)
    if shown is None:
        return []
    known = [(point, metric) for point in points if (metric := _metric(point, shown)) is not None]
    at = [point.last_at for point, _ in known]
    measured = [
        (point.last_at, metric)
        for point, _ in known
        for metric in (point.labelled.metrics if point.labelled else ())
        if metric.name == shown
    ]
    say = translations(visit.language).gettext
    of_labels = Series(
        name=say(LABELLED_WORDS),
        x=[moment for moment, _ in measured],
        y=[metric.value for _, metric in measured],
    )
    estimated = Series(
        name=say(ESTIMATE_WORDS),
        x=at,
        y=[metric.value for _, metric in known],
        lower=[metric.low for _, metric in known],
        upper=[metric.high for _, metric in known],
    )
    held_out = Series(
        name=say(HELD_OUT_WORDS), x=at, y=[metric.reference for _, metric in known], n_points=0, is_faint=True
    )
    changes = [now for (before, _), (now, _) in pairwise(known) if before.version != now.version]
    return [
        Chart(
            title=say(_ESTIMATED_WORDS[shown]),
            series=(estimated, *([of_labels] if measured else []), held_out),
            x_name=say(TIME_WORDS),
            y_name=say(METRIC_WORDS[shown]),
            marks=tuple((point.last_at, f"v{point.version}") for point in changes),
        )
    ]


def _metric(point: EstimatePoint, name: str) -> EstimatedMetric | None:
    return next((metric for metric in point.metrics if metric.name == name), None)


def _window_charts(visit: Visit, windows: Sequence[Window]) -> list[Chart]:
    tested = [(float(window.index), drift) for window in windows if (drift := window.drift) is not None]
    at = [index for index, _ in tested]
    charts = []
    if tested:
        shifts = [max((column.psi for column in drift.columns), default=0.0) for _, drift in tested]
        drifted = [float(drift.n_drifted) for _, drift in tested]
        charts.append(
            _window_chart(visit, SHIFT_WORDS, PSI_WORDS, at, shifts, more=_predictions(visit, windows))
        )
        charts += _part_charts(visit, windows)
        charts.append(_window_chart(visit, DRIFTED_WORDS, INPUTS_WORDS, at, drifted, Shape.BARS))
    if any(window.n_errors for window in windows):
        shares = [window.n_errors / max(1, window.n_rows) for window in windows]
        at = [float(window.index) for window in windows]
        charts.append(_window_chart(visit, FAILED_WORDS, SHARE_WORDS, at, shares))
    return charts


def _window_chart(
    visit: Visit,
    title: str,
    of: str,
    at: Sequence[float],
    values: Sequence[float],
    shape: Shape = Shape.LINES,
    more: tuple[Series, ...] = (),
) -> Chart:
    say = translations(visit.language).gettext
    highest = max([*values, *(value or 0.0 for series in more for value in series.y)])
    return Chart(
        title=say(title),
        series=(Series(name=say(INPUTS_WORDS if more else of), x=at, y=values), *more),
        x_name=say(WINDOW_WORDS),
        y_name=say(of),
        shape=shape,
        y_range=_from_zero(highest),
    )


def _from_zero(highest: float) -> tuple[float, float]:
    """Give an axis for what cannot be negative, so that windows that are all alike are not drawn as if they moved."""
    return 0.0, 1.15 * highest or 1.0


def _predictions(visit: Visit, windows: Sequence[Window]) -> tuple[Series, ...]:
    told = [
        (float(window.index), found.psi) for window in windows if (found := window.predictions) is not None
    ]
    if not told:
        return ()
    name = translations(visit.language).gettext(PREDICTIONS_WORDS)
    return (Series(name=name, x=[at for at, _ in told], y=[psi for _, psi in told]),)


def _part_charts(visit: Visit, windows: Sequence[Window]) -> list[Chart]:
    """Draw versions and segments side by side: those that moved most, where there is more than one."""
    parts = part_series(windows).items
    if len(parts) < 2:
        return []
    say = translations(visit.language).gettext
    most = sorted(parts, key=lambda part: -max((psi or 0.0 for psi in part.psi), default=0.0))[:_PARTS]
    highest = max((psi or 0.0 for part in most for psi in part.psi), default=0.0)
    return [
        Chart(
            title=say(PARTS_WORDS),
            series=tuple(
                Series(
                    name=f"v{part.version} {part.segment}".strip(),
                    x=[float(index) for index in part.indexes],
                    y=part.psi,
                )
                for part in most
            ),
            x_name=say(WINDOW_WORDS),
            y_name=say(PSI_WORDS),
            y_range=_from_zero(highest),
        )
    ]


def label_charts(visit: Visit, report: DelayReport | None) -> tuple[Chart, ...]:
    """Draw the quality of answers by when they were given, and how much of their labels is expected by now."""
    scored = [each for each in report.answers if each.mean is not None] if report else []
    if report is None or len(scored) < _FEWEST_ANSWERS:
        return ()
    say = translations(visit.language).gettext
    at = [each.ends_at for each in scored]
    quality = Series(
        name=say(SO_FAR_WORDS),
        x=at,
        y=[each.mean for each in scored],
        lower=[each.low for each in scored],
        upper=[each.high for each in scored],
    )
    known = [each for each in scored if each.expected is not None]
    expected = Series(
        name=say(EXPECTED_WORDS),
        x=[each.ends_at for each in known],
        y=[each.expected for each in known],
        is_faint=True,
    )
    return (
        Chart(
            title=say(BY_ANSWER_WORDS),
            series=(quality, *([expected] if known else [])),
            x_name=say(ANSWERED_WORDS),
            y_name=say(SCORE_WORDS),
            y_range=(0.0, 1.0),
        ),
    )


def log_charts(visit: Visit, endpoint: Endpoint) -> tuple[Chart, ...]:
    """Draw what the model servers logged in the last day; nothing where that was nothing."""
    found = visit.context.service(ServiceLogs).list(endpoint.project, endpoint.name).items[::-1]
    windows = [window for window in found if window.starts_at >= endpoint.created_at - WINDOW]
    if not any(window.n_errors or window.n_warnings for window in windows):
        return ()
    say = translations(visit.language).gettext
    at = [window.starts_at for window in windows]
    errors = [float(window.n_errors) for window in windows]
    warnings = [float(window.n_warnings) for window in windows]
    return (
        Chart(
            title=say(LOGGED_WORDS),
            series=(
                Series(name=say(ERRORS_WORDS), x=at, y=errors),
                Series(name=say(WARNINGS_WORDS), x=at, y=warnings, is_faint=True),
            ),
            x_name=say(LOG_TIME_WORDS),
            y_name=say(LINES_WORDS),
            y_range=_from_zero(max(*errors, *warnings)),
        ),
    )


def rules_part(visit: Visit, monitor: Monitor) -> RulesPart | None:
    """Give how the newest window keeps the rules of the training data."""
    found = visit.context.service(Monitors).windows(monitor.project, monitor.endpoint, limit=1).items
    if not found or not found[0].n_rules:
        return None
    window = found[0]
    broken = sorted(window.rules, key=lambda rule: (not rule.surely, -(rule.low or 0.0)))
    return RulesPart(
        window=window.index,
        n_kept=window.n_rules - len(broken),
        n_rules=window.n_rules,
        broken=tuple(broken),
    )


def newest_lacks(visit: Visit, monitor: Monitor) -> tuple[Sentence, ...]:
    """Give what the newest window could not be looked at by."""
    found = visit.context.service(Monitors).windows(monitor.project, monitor.endpoint, limit=1).items
    said = (*found[0].lacks, *([found[0].season] if found[0].season else [])) if found else ()
    return tuple(retelling.find(each) for each in said)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
