"""One look at an endpoint, run by a worker: read what is new, compare, report."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from noria.core.errors import NotFound
from noria.core.stats.columns import flatten_columns
from noria.core.workspace import Workspace
from noria.monitoring.alerts.resolving import over
from noria.monitoring.drift import drift_report
from noria.monitoring.entities import (
    AlertKind,
    AlertOver,
    DriftReport,
    Look,
    Monitor,
    MonitorSection,
    NewAlert,
    QualityReport,
    ScoredRow,
    Window,
)
from noria.monitoring.label_windows import DropRule
from noria.monitoring.quality import (
    Baseline,
    begun_anew,
    error_alert,
    quality_alert,
    score,
    start_detector,
    take_in,
)
from noria.monitoring.reference import Reference, load_reference, no_reference
from noria.monitoring.service import LookOutdated, Monitors
from noria.registry.rules import NotServable
from noria.serving.captures import Captures
from noria.serving.endpoints import Endpoints
from noria.serving.predictions import CapturedRow, CaptureOrder

if TYPE_CHECKING:
    from noria.monitoring.detector import DropDetector

_READ_AT_ONCE = 1000
_WINDOWS_AT_ONCE = 20


def look(workspace: Workspace, project: str, endpoint: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Take a look at an endpoint and report it to its monitor.

    Parameters
    ----------
    settings
        A `MonitorSection` as JSON values: those of the server that asked for the look.

    Returns
    -------
    dict
        How many windows, labels and alerts there were; `outdated` when another look was faster.
    """
    found = _Look(workspace, project, endpoint, MonitorSection(**settings)).take()
    try:
        workspace.service(Monitors).record(project, endpoint, found)
    except LookOutdated:
        return {"outdated": True}
    return {"windows": len(found.windows), "alerts": len(found.alerts), "outdated": False}


class _Look:
    def __init__(self, workspace: Workspace, project: str, endpoint: str, settings: MonitorSection) -> None:
        self._workspace = workspace
        self._project = project
        self._endpoint = workspace.service(Endpoints).get(project, endpoint)
        self._captures = workspace.service(Captures)
        self._settings = settings
        self._monitor: Monitor = workspace.service(Monitors).get(project, endpoint)
        self._references: dict[int, Reference | None] = {}

    def take(self) -> Look:
        windows, position = self._windows()
        version = self._endpoint.version
        detector, quality, label_position = self._quality(version)
        ended = self._over(windows, quality, version)
        alerts = [
            self._quality_alert(version, detector, quality, position),
            *(error_alert(window, tolerated=self._settings.tolerated_errors) for window in windows[-1:]),
            self._drift_alert(windows),
        ]
        over_now = {each.kind for each in ended}
        return Look(
            from_position=self._monitor.position,
            from_label_position=self._monitor.label_position,
            position=position,
            label_position=label_position,
            version=version,
            windows=windows,
            detector=detector,
            quality=quality,
            # A detector that alarmed goes on alarming until the alert is closed.
            alerts=[alert for alert in alerts if alert is not None and alert.kind not in over_now],
            over=ended,
        )

    def _over(self, windows: list[Window], quality: QualityReport | None, version: int) -> list[AlertOver]:
        monitors = self._workspace.service(Monitors)
        opened = monitors.alerts(self._project, endpoint=self._endpoint.name, open_only=True).items
        if not opened:
            return []
        newest = self._newest(windows, max(2, self._settings.drift_windows))
        return over(opened, newest, quality, self._settings, version=version)

    def _newest(self, windows: list[Window], n: int) -> list[Window]:
        """Give the newest windows, those of this look included, oldest first."""
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

    def _windows(self) -> tuple[list[Window], int]:
        """Cut whole windows; rows of one that is not full yet wait for the next look."""
        windows: list[Window] = []
        position = self._monitor.position
        while len(windows) < _WINDOWS_AT_ONCE:
            rows = self._captures.read(
                self._project, self._endpoint.name, after=position, limit=self._settings.window_rows
            ).items
            if len(rows) < self._settings.window_rows:
                break
            windows.append(self._window(self._monitor.n_windows + len(windows) + 1, rows))
            position = rows[-1].position
        return windows, position

    def _window(self, index: int, rows: list[CapturedRow]) -> Window:
        ((version, _),) = Counter(row.prediction.version for row in rows).most_common(1)
        drift, lacks = self._drift(version, rows)
        return Window(
            index=index,
            version=version,
            first_position=rows[0].position,
            last_position=rows[-1].position,
            first_at=rows[0].prediction.at,
            last_at=rows[-1].prediction.at,
            n_rows=len(rows),
            n_errors=sum(row.prediction.error is not None for row in rows),
            drift=drift,
            lacks=lacks,
        )

    def _drift(self, version: int, rows: list[CapturedRow]) -> tuple[DriftReport | None, list[str]]:
        reference = self._reference(version)
        if reference is None:
            return None, [f"The files of version {version} are gone, or it lacks its task or signature"]
        if reference.columns is None:
            return None, [no_reference(self._endpoint.model, version)]
        current = flatten_columns(reference.arrays_of([row.prediction.inputs for row in rows]))
        report = drift_report(
            reference.columns, current, level=self._settings.drift_level, least_psi=self._settings.drift_psi
        )
        return report, [] if report else ["Too few rows, or no column in common with the reference sample"]

    def _quality(self, version: int) -> tuple[DropDetector | None, QualityReport | None, int]:
        same = version == self._monitor.version and self._knows_endpoint()
        detector = self._monitor.detector if same else None
        quality = self._monitor.quality if same else None
        label_position = self._monitor.label_position
        page = self._captures.read(
            self._project,
            self._endpoint.name,
            after=label_position,
            limit=_READ_AT_ONCE,
            order=CaptureOrder.LABELLED,
        )
        reference = self._reference(version)
        if reference is None or reference.baseline is None:
            return None, None, page.next
        baseline = reference.baseline
        if detector is None:
            detector = start_detector(
                baseline,
                margin=self._settings.quality_margin,
                labels_per_false_alarm=self._settings.labels_per_false_alarm,
            )
            quality = begun_anew(quality) if quality is not None else None
        rows = _scored(reference.task, baseline, version, page.items)
        if rows:
            detector, quality = take_in(detector, quality, rows, baseline, drop_rule(self._settings))
        return detector, quality, page.next

    def _knows_endpoint(self) -> bool:
        # A deleted endpoint gives its name free; what its namesake answers has nothing to do with it.
        looked_at = self._monitor.looked_at
        return looked_at is not None and looked_at >= self._endpoint.created_at

    def _quality_alert(
        self, version: int, detector: DropDetector | None, quality: QualityReport | None, position: int
    ) -> NewAlert | None:
        if detector is None or quality is None or not quality.recent:
            return None
        last = max(position, quality.recent[-1].position)
        measure = "accuracy" if self._endpoint.task == "classification" else "score"
        found = quality_alert(detector, quality, version=version, measure=measure, last_position=last)
        return None if found is None else replace(found, since=self._captured_at(found.onset_position))

    def _captured_at(self, position: int) -> datetime | None:
        page = self._captures.read(self._project, self._endpoint.name, after=position - 1, limit=1)
        return page.items[0].prediction.at if page.items else None

    def _drift_alert(self, windows: list[Window]) -> NewAlert | None:
        needed = self._settings.drift_windows
        series = self._newest(windows, needed)
        if not windows or len(series) < needed:
            return None
        newest = series[-1]
        drift = newest.drift
        if drift is None or not all(_has_drifted(window, newest.version) for window in series):
            return None
        top = drift.columns[0]
        return NewAlert(
            kind=AlertKind.DRIFT,
            version=newest.version,
            figures={
                "n_drifted": float(drift.n_drifted),
                "n_columns": float(drift.n_columns),
                "psi": top.psi,
                "adjusted_p_value": top.adjusted_p_value,
            },
            sentence=(
                f"{drift.n_drifted} of {drift.n_columns} inputs have drifted in {needed} windows in a row; "
                f"`{top.name}` most (PSI {top.psi:.2f}, adjusted p {top.adjusted_p_value:.2g})"
            ),
            onset_position=series[0].first_position,
            last_position=newest.last_position,
            since=series[0].first_at,
        )


def drop_rule(settings: MonitorSection) -> DropRule:
    """Give the rule that settings state for windows of labels."""
    return DropRule(size=settings.quality_rows, level=settings.quality_level, margin=settings.quality_margin)


def _has_drifted(window: Window, version: int) -> bool:
    # What another version was compared with says nothing about this one.
    return window.version == version and window.drift is not None and window.drift.drifted


def _scored(task: str, baseline: Baseline, version: int, rows: list[CapturedRow]) -> list[ScoredRow]:
    """Score answers with trusted labels of a version; what it failed to answer has no score."""
    return [
        ScoredRow(
            row.position, score(task, row.prediction.outputs.get("predictions"), row.label.value, baseline)
        )
        for row in rows
        if row.label is not None
        and row.label.is_trusted
        and row.prediction.version == version
        and row.prediction.error is None
    ]
