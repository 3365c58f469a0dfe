"""What an endpoint answered in some time, compared with what its version was registered with."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from noria.core.errors import Invalid, NotFound
from noria.core.stats.columns import flatten_columns
from noria.core.workspace import Workspace
from noria.data.profiling.sources import ArraysTable
from noria.data.quality.entities import RuleResult
from noria.monitoring.delays.entities import DelayReport
from noria.monitoring.delays.reporting import delay_report
from noria.monitoring.estimated.entities import EstimatedQuality
from noria.monitoring.estimated.live import estimated_quality
from noria.monitoring.reference import Reference, load_reference, no_reference
from noria.monitoring.reports.comparing import FEWEST_ROWS, LEAST_PSI, LEVEL, compare_tables
from noria.monitoring.reports.entities import (
    DriftComparison,
    EndpointReport,
    LogSummary,
    NotCompared,
    VectorReport,
)
from noria.monitoring.reports.rules import held_to_rules
from noria.monitoring.reports.vectors import compare_vectors, judge_vectors
from noria.monitoring.service import Monitors
from noria.monitoring.tasks.entities import ForecastReport, UnsupervisedReport
from noria.monitoring.tasks.live import task_report
from noria.registry.client import fetch_version
from noria.registry.golden import load_golden
from noria.registry.rules import NotServable, servable
from noria.registry.service import Models
from noria.registry.signatures import stack_rows
from noria.serving.captures import Captures
from noria.serving.endpoints import Endpoints
from noria.serving.entities import Endpoint
from noria.serving.predictions import CapturedRow
from noria.serving.service_logs import ServiceLogs

MOST_ROWS: Final = 100_000
_AT_ONCE: Final = 1_000
_SKEW: Final = timedelta(minutes=10)
_PREDICTIONS: Final = "output predictions"
_SEED: Final = 7  # any: the same rows give the same report


def endpoint_report(
    workspace: Workspace,
    endpoint: str,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    version: int | None = None,
    level: float = LEVEL,
    least_psi: float = LEAST_PSI,
) -> EndpointReport:
    """Compare the rows that a version answered in some time with its reference.

    Parameters
    ----------
    start, end
        From and before; from the first row, and to the last, when left out.
    version
        The one that answers most requests now when left out.

    Raises
    ------
    NotFound
        If there is no such endpoint.

    Notes
    -----
    At most 100,000 rows are read.
    """
    found = workspace.service(Endpoints).get(workspace.project, endpoint)
    wanted = version or found.version
    after = _position_before(workspace, endpoint, start)
    inside = _rows(workspace, endpoint, wanted, after, (start, end))
    rows = list(itertools.islice(inside, MOST_ROWS))
    capped = next(inside, None) is not None
    comparison, lacks = _compared(workspace, found, wanted, rows, (level, least_psi))
    rules, beside = _rules(workspace, found, wanted, rows)
    estimated, forecast, unsupervised, missing = _beyond(workspace, found, wanted, rows)
    lacks += [*beside, *missing]
    monitor = (
        workspace.service(Monitors).get(workspace.project, endpoint)
        if _is_watched(workspace, endpoint)
        else None
    )
    quality = monitor.quality if monitor is not None and monitor.version == wanted else None
    if quality is None:
        lacks.append("No labels of this version's answers have come, or it has no score on held-out rows")
    return EndpointReport(
        endpoint=endpoint,
        model=found.model,
        version=wanted,
        n_rows=len(rows),
        n_errors=sum(row.prediction.error is not None for row in rows),
        first_at=rows[0].prediction.at if rows else None,
        last_at=rows[-1].prediction.at if rows else None,
        capped=capped,
        drift=comparison,
        rules=rules,
        quality=quality,
        estimated=estimated,
        forecast=forecast,
        unsupervised=unsupervised,
        labels=_labels(workspace, endpoint, (start, end)) if monitor is not None else None,
        logs=_logs(workspace, endpoint, start, end),
        lacks=lacks,
    )


def _labels(
    workspace: Workspace, endpoint: str, times: tuple[datetime | None, datetime | None]
) -> DelayReport | None:
    """Tell how complete the labels of some time's answers are; their delay is learned from those of all times."""
    known = workspace.service(Monitors).label_delays(workspace.project, endpoint)
    found = delay_report(known, workspace.clock.now())
    start, end = times
    inside = [
        each
        for each in found.answers
        if (start is None or each.ends_at > start) and (end is None or each.starts_at < end)
    ]
    return replace(found, answers=inside) if found.n_labels else None


def _logs(
    workspace: Workspace, endpoint: str, start: datetime | None, end: datetime | None
) -> LogSummary | None:
    """Sum up what the model servers logged."""
    found = workspace.service(ServiceLogs).list(workspace.project, endpoint, limit=10_000, since=start).items
    windows = [window for window in found if end is None or window.starts_at < end]
    if not windows:
        return None
    return LogSummary(
        n_windows=len(windows),
        n_warnings=sum(window.n_warnings for window in windows),
        n_errors=sum(window.n_errors for window in windows),
        n_loud=sum(window.n_errors > 0 for window in windows),
        worst=max((w for w in windows if w.n_errors), key=lambda window: window.n_errors, default=None),
        newest=next((window for window in windows if window.line is not None), None),
    )


def _rules(
    workspace: Workspace, endpoint: Endpoint, version: int, rows: list[CapturedRow]
) -> tuple[list[RuleResult], list[str]]:
    """Hold what was asked to the rules of the training data."""
    try:
        found = servable(workspace.service(Models).version(workspace.project, endpoint.model, version))
        stacked = stack_rows(found.signature, [row.prediction.inputs for row in rows])
    except (NotFound, NotServable):
        return [], []  # the comparison says so already
    return held_to_rules(workspace, found, flatten_columns(stacked), now=workspace.clock.now())


def _beyond(
    workspace: Workspace, endpoint: Endpoint, version: int, rows: list[CapturedRow]
) -> tuple[EstimatedQuality | None, ForecastReport | None, UnsupervisedReport | None, list[str]]:
    """Tell what goes beyond columns: quality without labels, and what the model is for."""
    try:
        found = servable(workspace.service(Models).version(workspace.project, endpoint.model, version))
        task, lacks = task_report(workspace, found, rows)
        if isinstance(task, UnsupervisedReport):
            return None, None, task, lacks
        estimated, why = estimated_quality(workspace, found, rows)
    except (NotFound, NotServable):
        return None, None, None, []  # the comparison says so already
    return estimated, task, None, [*lacks, why] if why else lacks


def _is_watched(workspace: Workspace, endpoint: str) -> bool:
    known = workspace.service(Monitors).list(workspace.project).items
    return any(monitor.endpoint == endpoint for monitor in known)


def _position_before(workspace: Workspace, endpoint: str, start: datetime | None) -> int:
    """Give a position from which reading finds all rows since `start`, as windows that were looked at tell it."""
    if start is None or not _is_watched(workspace, endpoint):
        return 0
    monitors = workspace.service(Monitors)
    cutting = monitors.get(workspace.project, endpoint).cutting
    # A late row is in a window of its own time: of all windows since, the lowest position counts.
    firsts = [window.first_position for window in cutting.open] if cutting else []
    before: int | None = None
    while True:
        page = monitors.windows(workspace.project, endpoint, limit=1000, before=before)
        for window in page.items:
            if window.last_at < start - _SKEW:
                return min(firsts, default=window.last_position + 1) - 1
            firsts.append(window.first_position)
        if page.next is None:
            return 0
        before = page.next


def _rows(
    workspace: Workspace,
    endpoint: str,
    version: int,
    after: int,
    times: tuple[datetime | None, datetime | None],
) -> Iterator[CapturedRow]:
    """Give the rows of some time; clocks of servers may differ, so only a page that is wholly later ends it."""
    captures = workspace.service(Captures)
    start, end = times
    while True:
        page = captures.read(workspace.project, endpoint, after=after, limit=_AT_ONCE, version=version)
        early = [row for row in page.items if end is None or row.prediction.at < end]
        yield from (row for row in early if start is None or row.prediction.at >= start)
        if not page.more or not early:
            return
        after = page.next


def _compared(
    workspace: Workspace,
    endpoint: Endpoint,
    version: int,
    rows: list[CapturedRow],
    limits: tuple[float, float],
) -> tuple[DriftComparison | None, list[str]]:
    if len(rows) < FEWEST_ROWS:
        return None, [f"{len(rows)} rows were captured in that time; a comparison needs {FEWEST_ROWS}"]
    try:
        reference = load_reference(workspace, workspace.project, endpoint.model, version)
    except NotFound:
        return None, [f"The files of version {version} are gone"]
    except NotServable as error:
        return None, [error.message]
    before = {name: np.asarray(column) for name, column in (reference.columns or {}).items()}
    after = flatten_columns(reference.arrays_of([row.prediction.inputs for row in rows]))
    lacks = [] if before else [no_reference(endpoint.model, version)]
    predicted = _predictions(workspace, reference, rows)
    if predicted is None:
        lacks.append(f"Version {version} has no golden batch: its predictions are not compared")
    else:
        before[_PREDICTIONS], after[_PREDICTIONS] = predicted
    if not before.keys() & after.keys():
        return None, lacks or ["The reference has no column in common with the rows"]
    level, least_psi = limits
    found = compare_tables(
        ArraysTable(before),
        ArraysTable(after),
        names=(f"{endpoint.model}@{version}", endpoint.name),
        columns=[name for name in before if name in after],
        level=level,
        least_psi=least_psi,
    )
    vectors, refused = _vectors(reference, before, after, level)
    return replace(found, vectors=vectors, not_compared=[*found.not_compared, *refused]), lacks


def _vectors(
    reference: Reference, before: Mapping[str, NDArray[Any]], after: Mapping[str, NDArray[Any]], level: float
) -> tuple[list[VectorReport], list[NotCompared]]:
    """Compare inputs that are vectors as a whole too, beside their numbers one by one."""
    found, refused = [], []
    for spec in reference.version.signature.inputs:
        names = [f"{spec.name}[{i}]" for i in range(spec.shape[1])] if len(spec.shape) == 2 else []
        if len(names) < 2 or spec.datatype == "BYTES" or not all(n in before and n in after for n in names):
            continue
        sides = [
            np.column_stack([side[name].astype(np.float64) for name in names]) for side in (before, after)
        ]
        try:
            found.append(compare_vectors(spec.name, *sides, rng=np.random.default_rng(_SEED)))
        except Invalid as error:
            refused.append(NotCompared(name=spec.name, why=error.message))
    return judge_vectors(found, level), refused


def _predictions(
    workspace: Workspace, reference: Reference, rows: list[CapturedRow]
) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """Give the predictions of the golden batch and of the rows; None where either has no single value a row."""
    golden = load_golden(fetch_version(workspace, reference.version))
    before = np.asarray(golden.outputs.get("predictions", [])) if golden is not None else np.array([])
    answers = [row.prediction.outputs.get("predictions") for row in rows if row.prediction.error is None]
    after = (
        np.array(answers, dtype=before.dtype) if _fit(answers, before) else np.array(answers, dtype=object)
    )
    return (before, after) if before.ndim == after.ndim == 1 and before.size and after.size else None


def _fit(answers: list[Any], before: NDArray[Any]) -> bool:
    return before.dtype.kind in "biuf" and all(isinstance(answer, (int, float)) for answer in answers)
