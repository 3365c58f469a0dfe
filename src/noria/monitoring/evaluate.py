"""One look at an endpoint, run by a worker: read what is new, compare, report."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from noria.core.errors import NotFound
from noria.core.priority import giving_way
from noria.core.serialisation import convert
from noria.core.workspace import Workspace
from noria.data.quality.settings import DatasetRules
from noria.monitoring.alerts.resolving import over
from noria.monitoring.delays.entities import LabelDelays
from noria.monitoring.delays.looking import Delays
from noria.monitoring.delays.reporting import expected_since
from noria.monitoring.entities import (
    Alert,
    AlertOver,
    Look,
    Monitor,
    MonitorSection,
    NewAlert,
    QualityReport,
    SegmentQuality,
    Window,
)
from noria.monitoring.label_windows import DropRule
from noria.monitoring.quality import begun_anew, error_alert, quality_alert, start_detector, take_in
from noria.monitoring.reference import Reference, load_reference
from noria.monitoring.service import LookOutdated, Monitors
from noria.monitoring.tasks.alerting import (
    HorizonVerdict,
    forecast_alert,
    forecasts_over,
    is_of_forecasts,
)
from noria.monitoring.tasks.entities import Forecasting
from noria.monitoring.tasks.live import forecast_verdicts, forecasts
from noria.monitoring.windows.alerting import drift_alert
from noria.monitoring.windows.entities import HistoryPoint, WindowCounts
from noria.monitoring.windows.folding import Folded, Folding
from noria.monitoring.windows.labelled import follow_all, parted_labels, scored
from noria.monitoring.windows.layout import Layout, laid_out
from noria.monitoring.windows.quality import segment_alert
from noria.monitoring.windows.rule_alerts import rules_alert
from noria.monitoring.windows.ruling import Ruling
from noria.registry.rules import NotServable
from noria.serving.captured_blocks import blocks_of_page
from noria.serving.captures import Captures
from noria.serving.endpoints import Endpoints
from noria.serving.packed_reading import MAX_ROWS
from noria.serving.predictions import CapturedRow, CaptureOrder, CapturePage

if TYPE_CHECKING:
    from noria.monitoring.detector import DropDetector

_READ_AT_ONCE = 1000
_WINDOWS_AT_ONCE = 100
_LOOKS_AT_ONCE = 20
"""Bounds of what is kept at once, and of one job: what is left over is taken by the next."""


def look(
    workspace: Workspace,
    project: str,
    endpoint: str,
    settings: dict[str, Any],
    checks: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Take a look at an endpoint and report it to its monitor.

    Parameters
    ----------
    settings
        A `MonitorSection` as JSON values: those of the server that asked for the look.
    checks
        Rules by data set, as JSON values of `DatasetRules`; none when left out.

    Returns
    -------
    dict
        How many windows, labels and alerts there were; `outdated` when another look was faster.
    """
    rules = convert(checks or {}, dict[str, DatasetRules])
    section = MonitorSection(**settings)
    return giving_way(lambda: _looked(workspace, project, endpoint, section, rules))


def _looked(
    workspace: Workspace,
    project: str,
    endpoint: str,
    settings: MonitorSection,
    checks: dict[str, DatasetRules],
) -> dict[str, Any]:
    """Take a look, and others right away while there is more than one of them takes."""
    n_windows = n_alerts = 0
    for _ in range(_LOOKS_AT_ONCE):
        found = _Look(workspace, project, endpoint, settings, checks).take()
        try:
            workspace.service(Monitors).record(project, endpoint, found)
        except LookOutdated:
            return {"outdated": True}
        n_windows, n_alerts = n_windows + len(found.windows), n_alerts + len(found.alerts)
        if len(found.windows) < _WINDOWS_AT_ONCE:
            break
    return {"windows": n_windows, "alerts": n_alerts, "outdated": False}


class _Look:
    def __init__(
        self,
        workspace: Workspace,
        project: str,
        endpoint: str,
        settings: MonitorSection,
        checks: dict[str, DatasetRules],
    ) -> None:
        self._workspace = workspace
        self._project = project
        self._endpoint = workspace.service(Endpoints).get(project, endpoint)
        self._captures = workspace.service(Captures)
        self._settings = settings
        self._monitor: Monitor = workspace.service(Monitors).get(project, endpoint)
        self._references: dict[int, Reference | None] = {}
        self._layouts: dict[int, Layout | None] = {}
        self._stored = _Stored(workspace, project, endpoint)
        self._monitor_last = self._stored.newest()
        self._delays = Delays(workspace.clock.now())
        self._ruling = Ruling(
            workspace, project, endpoint, checks, self._reference, settings.tolerated_broken
        )

    def take(self) -> Look:
        folded, position = self._fold()
        now = self._workspace.clock.now()
        judged = [self._ruling.held(window, now=now) for window in folded.windows]
        windows = [window for window in judged if window.index > self._monitor_last]
        version = self._endpoint.version
        labelled = self._labelled()
        detector, quality = self._quality(version, labelled.items)
        segments = self._segments(version, labelled.items)
        beside = _Forecasts(self._captures, self._project, self._endpoint.name, self._settings)
        beside.judge(self._reference(version), labelled)
        delays = self._label_delays(version, labelled.items)
        ended = self._over(windows, quality, segments, beside)
        alerts = [
            self._quality_alert(version, detector, quality, position, delays)
            or self._segment_alert(version, segments, position)
            or beside.alert(),
            *(error_alert(window, tolerated=self._settings.tolerated_errors) for window in windows[-1:]),
            self._drift_alert(windows),
            self._rules_alert(windows),
        ]
        over_now = {each.kind for each in ended}
        return Look(
            from_position=self._monitor.position,
            from_label_position=self._monitor.label_position,
            position=position,
            label_position=labelled.next,
            version=version,
            windows=judged,
            detector=detector,
            quality=quality,
            cutting=folded.cutting,
            counts=folded.counts,
            history=folded.history,
            segments=segments,
            delays=delays,
            # A detector that alarmed goes on alarming until the alert is closed.
            alerts=[alert for alert in alerts if alert is not None and alert.kind not in over_now],
            over=ended,
        )

    def _over(
        self,
        windows: list[Window],
        quality: QualityReport | None,
        segments: list[SegmentQuality],
        beside: _Forecasts,
    ) -> list[AlertOver]:
        monitors = self._workspace.service(Monitors)
        opened = monitors.alerts(self._project, endpoint=self._endpoint.name, open_only=True).items
        if not opened:
            return []
        newest = self._newest(windows, max(2, self._settings.drift_windows))
        others = [alert for alert in opened if not is_of_forecasts(alert)]
        version = self._endpoint.version
        ended = over(others, newest, quality, self._settings, version=version, segments=segments)
        return [*ended, *beside.over(opened)]

    def _newest(self, windows: list[Window], n: int) -> list[Window]:
        """Give the newest windows, those of this look included, oldest first."""
        if len(windows) >= n:
            return windows[-n:]
        older = self._workspace.service(Monitors).windows(self._project, self._endpoint.name, limit=n)
        return [*reversed(older.items), *windows][-n:]

    def _reference(self, version: int) -> Reference | None:
        """Read what a version is compared with, once in a look; None if the version or its files are gone."""
        if version not in self._references:
            try:
                found = load_reference(self._workspace, self._project, self._endpoint.model, version)
            except (NotFound, NotServable):
                found = None
            self._references[version] = found
        return self._references[version]

    def _fold(self) -> tuple[Folded, int]:
        """Count what was captured since, and judge the windows that are over."""
        monitor, settings = self._monitor, self._settings
        folding = Folding(
            settings,
            monitor.cutting,
            next_index=monitor.n_windows + 1,
            now=self._workspace.clock.now(),
            layouts=self._layout,
            stored=self._stored,
        )
        position = monitor.position
        while folding.n_over < _WINDOWS_AT_ONCE:
            page = self._captures.chunks(
                self._project, self._endpoint.name, after=position, n_rows=self._n_at_once(folding.n_over)
            )
            blocks = blocks_of_page(page)
            folding.take(blocks)
            self._delays.take(blocks)
            position = page.next
            if not page.more:
                break
        return folding.result(), position

    def _n_at_once(self, n_over: int) -> int:
        # Not more than the windows hold that a look takes: it ends when it has found enough of them.
        by_count = self._settings.window_s is None
        return (
            min(MAX_ROWS, self._settings.window_rows * (_WINDOWS_AT_ONCE - n_over)) if by_count else MAX_ROWS
        )

    def _layout(self, version: int) -> Layout | None:
        if version not in self._layouts:
            reference = self._reference(version)
            columns = self._settings.segments.get(self._endpoint.name, [])
            self._layouts[version] = (
                None
                if reference is None
                else laid_out(
                    reference,
                    self._endpoint.model,
                    segment_columns=columns,
                    segment_values=self._settings.segment_values,
                )
            )
        return self._layouts[version]

    def _labelled(self) -> CapturePage:
        return self._captures.read(
            self._project,
            self._endpoint.name,
            after=self._monitor.label_position,
            limit=_READ_AT_ONCE,
            order=CaptureOrder.LABELLED,
        )

    def _quality(
        self, version: int, labelled: list[CapturedRow]
    ) -> tuple[DropDetector | None, QualityReport | None]:
        same = version == self._monitor.version and self._knows_endpoint()
        detector = self._monitor.detector if same else None
        quality = self._monitor.quality if same else None
        reference = self._reference(version)
        if reference is None or reference.baseline is None:
            return None, None
        baseline = reference.baseline
        if detector is None:
            detector = start_detector(
                baseline,
                margin=self._settings.quality_margin,
                labels_per_false_alarm=self._settings.labels_per_false_alarm,
            )
            quality = begun_anew(quality) if quality is not None else None
        rows = scored(reference.task, baseline, version, labelled)
        if rows:
            detector, quality = take_in(detector, quality, rows, baseline, drop_rule(self._settings))
        return detector, quality

    def _label_delays(self, version: int, labelled: list[CapturedRow]) -> LabelDelays | None:
        """Take in how long the labels took."""
        before = LabelDelays()
        if self._knows_endpoint():
            before = self._workspace.service(Monitors).label_delays(self._project, self._endpoint.name)
        reference, scores = self._reference(version), []
        if reference is not None and reference.baseline is not None:
            scores = scored(reference.task, reference.baseline, version, labelled)
        return self._delays.result(before, version, labelled, scores)

    def _segments(self, version: int, labelled: list[CapturedRow]) -> list[SegmentQuality]:
        """Follow the quality of segments, and of versions beside the one that answers most."""
        if not labelled:
            return []
        known = self._workspace.service(Monitors).segments(self._project, self._endpoint.name).items
        if not self._knows_endpoint():
            known = []
        parted = parted_labels(labelled, version, self._reference, self._layout)
        return follow_all(known, parted, drop_rule(self._settings), self._settings.labels_per_false_alarm)

    def _knows_endpoint(self) -> bool:
        # A deleted endpoint gives its name free; what its namesake answers has nothing to do with it.
        looked_at = self._monitor.looked_at
        return looked_at is not None and looked_at >= self._endpoint.created_at

    def _quality_alert(
        self,
        version: int,
        detector: DropDetector | None,
        quality: QualityReport | None,
        position: int,
        delays: LabelDelays | None,
    ) -> NewAlert | None:
        if detector is None or quality is None or not quality.recent:
            return None
        last = max(position, quality.recent[-1].position)
        measure = "accuracy" if self._endpoint.task == "classification" else "score"
        found = quality_alert(detector, quality, version=version, measure=measure, last_position=last)
        if found is None:
            return None
        since = self._captured_at(found.onset_position)
        share = None
        if delays is not None and since is not None:
            share = expected_since(delays, since, self._workspace.clock.now())
        # Who judges an alert is to know how much of the truth is still to come.
        figures = found.figures if share is None else {**found.figures, "labels_expected": share}
        return replace(found, since=since, figures=figures)

    def _segment_alert(self, version: int, segments: list[SegmentQuality], position: int) -> NewAlert | None:
        measure = "accuracy" if self._endpoint.task == "classification" else "score"
        mine = [each for each in segments if each.version == version and each.segment]
        found = (segment_alert(each, measure=measure, last_position=position) for each in mine)
        worst = min((a for a in found if a), key=lambda alert: alert.figures["mean"], default=None)
        return None if worst is None else replace(worst, since=self._captured_at(worst.onset_position))

    def _captured_at(self, position: int) -> datetime | None:
        page = self._captures.read(self._project, self._endpoint.name, after=position - 1, limit=1)
        return page.items[0].prediction.at if page.items else None

    def _drift_alert(self, windows: list[Window]) -> NewAlert | None:
        needed = self._settings.drift_windows
        return drift_alert(self._newest(windows, needed), needed) if windows else None

    def _rules_alert(self, windows: list[Window]) -> NewAlert | None:
        if not windows:
            return None
        needed = self._settings.drift_windows
        tolerated = self._settings.tolerated_broken
        return rules_alert(self._newest(windows, needed), needed, tolerated=tolerated)


class _Forecasts:
    """The newest labelled answers of a version that forecasts, held against repeating the last season."""

    def __init__(self, captures: Captures, project: str, endpoint: str, settings: MonitorSection) -> None:
        self._captures, self._place, self._settings = captures, (project, endpoint), settings
        self._task: Forecasting | None = None
        self._verdicts: list[HorizonVerdict] = []
        self._positions = (0, 0)
        self._since: datetime | None = None
        self._version = 0

    def judge(self, reference: Reference | None, labelled: CapturePage) -> None:
        """Judge the newest labelled rows, if there are new ones and the version forecasts."""
        if reference is None or not labelled.items or not forecasts(reference.version):
            return
        after = max(0, labelled.next - _READ_AT_ONCE)
        rows = self._captures.read(
            *self._place, after=after, limit=_READ_AT_ONCE, order=CaptureOrder.LABELLED
        ).items
        self._version = reference.version.version
        self._task, self._verdicts = forecast_verdicts(
            reference.version, rows, margin=self._settings.quality_margin
        )
        positions = [row.position for row in rows]
        self._positions = min(positions), max(positions)
        self._since = rows[positions.index(self._positions[0])].prediction.at

    def alert(self) -> NewAlert | None:
        """Raise an alert where a horizon is surely worse."""
        if self._task is None:
            return None
        found = forecast_alert(
            self._verdicts, season=self._task.season, version=self._version, positions=self._positions
        )
        return None if found is None else replace(found, since=self._since)

    def over(self, opened: list[Alert]) -> list[AlertOver]:
        """Give the alert about forecasts that is over."""
        return forecasts_over(opened, self._verdicts)


def drop_rule(settings: MonitorSection) -> DropRule:
    """Give the rule that settings state for windows of labels."""
    return DropRule(size=settings.quality_rows, level=settings.quality_level, margin=settings.quality_margin)


class _Stored:
    """What the server has of the windows of an endpoint."""

    def __init__(self, workspace: Workspace, project: str, endpoint: str) -> None:
        self._monitors = workspace.service(Monitors)
        self._place = project, endpoint

    def newest(self) -> int:
        """Give the index of the newest window that was judged; 0 when there is none."""
        found = self._monitors.windows(*self._place, limit=1).items
        return found[0].index if found else 0

    def window(self, index: int) -> Window | None:
        """Give a window that was judged already."""
        found = self._monitors.windows(*self._place, limit=1, before=index + 1).items
        return found[0] if found and found[0].index == index else None

    def counts(self, index: int) -> list[WindowCounts]:
        """Give the counters of a window."""
        return self._monitors.counts(*self._place, index).items

    def history(self, version: int) -> list[HistoryPoint]:
        """Give past drift of a version."""
        return self._monitors.history(*self._place, version).items
