"""One estimate of an endpoint, made by a worker: read what is new, estimate, record."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from noria.core.clock import SystemClock
from noria.core.errors import NotFound
from noria.core.priority import giving_way
from noria.core.workspace import Workspace
from noria.monitoring.estimated.entities import StandingEstimate
from noria.monitoring.estimated.live import estimated_quality
from noria.monitoring.estimated.measuring import labelled_quality, take_in_labels
from noria.monitoring.estimated.service import Estimates
from noria.monitoring.tasks.entities import ForecastReport, UnsupervisedReport
from noria.monitoring.tasks.live import forecasts, task_report
from noria.registry.rules import NotServable, servable
from noria.registry.service import Models
from noria.serving.captured_rows import rows_of_page
from noria.serving.captures import Captures
from noria.serving.chunks import Found
from noria.serving.endpoints import Endpoints
from noria.serving.entities import Endpoint
from noria.serving.predictions import CapturedRow, CaptureOrder

MOST_ROWS: Final = 1_000


def estimate_endpoint(workspace: Workspace, project: str, endpoint: str) -> dict[str, Any]:
    """Estimate the quality of the newest answers of the version that answers most, and measure past ones by labels.

    Returns
    -------
    dict
        How many rows were new, whether there is an estimate of them, and how many past ones labels told of.
    """
    return giving_way(lambda: _estimated(workspace, project, endpoint))


def _estimated(workspace: Workspace, project: str, endpoint: str) -> dict[str, Any]:
    found = workspace.service(Endpoints).get(project, endpoint)
    before = workspace.service(Estimates).get(project, endpoint).standing
    label_position = workspace.service(Captures).head(project, endpoint).label_position
    rows, position = _newest(workspace, project, endpoint, before.position if before else 0)
    estimated = False
    if rows:
        made = _estimate(workspace, found, rows, position)
        made = msgspec.structs.replace(made, label_position=label_position)
        workspace.service(Estimates).record(project, endpoint, made)
        estimated = made.estimated is not None
    measured = take_in_labels(workspace, project, endpoint, found.model) if rows or before else 0
    return {"rows": len(rows), "estimated": estimated, "measured": measured}


def _estimate(
    workspace: Workspace, found: Endpoint, rows: list[CapturedRow], position: int
) -> StandingEstimate:
    """Tell what can be told of the newest answers."""
    project, endpoint = found.project, found.name
    estimated, why, labelled = None, None, None
    by_task: ForecastReport | UnsupervisedReport | None = None
    try:
        version = servable(workspace.service(Models).version(project, found.model, found.version))
        estimated, why = estimated_quality(workspace, version, rows)
        labelled = labelled_quality(version, rows)
        known = _labelled(workspace, project, endpoint) if forecasts(version) else rows
        mine = [row for row in known if row.prediction.version == version.version]
        by_task, _ = task_report(workspace, version, mine)
    except (NotFound, NotServable) as error:
        why = f"Quality is not estimated: {error.message}"
    return StandingEstimate(
        model=found.model,
        version=found.version,
        position=position,
        first_position=rows[0].position,
        first_at=rows[0].prediction.at,
        last_at=rows[-1].prediction.at,
        made_at=SystemClock().now(),
        estimated=estimated,
        why=why,
        labelled=labelled,
        forecast=by_task if isinstance(by_task, ForecastReport) else None,
        unsupervised=by_task if isinstance(by_task, UnsupervisedReport) else None,
    )


def _newest(workspace: Workspace, project: str, endpoint: str, after: int) -> tuple[list[CapturedRow], int]:
    """Give the newest thousand rows behind a position, or as many as there are, and where reading ended.

    Of an endpoint with much traffic the rows in between are left out: they are not read to be thrown away. They come
    packed, and are unpacked here, not by the server, which takes in what is captured meanwhile.
    """
    captures = workspace.service(Captures)
    last = captures.head(project, endpoint, after=after).position
    first = max(after, last - MOST_ROWS)
    found: list[Found] = []
    position, more = first, True
    while more and len(found) < MOST_ROWS:
        page = captures.chunks(project, endpoint, after=position, n_rows=MOST_ROWS - len(found))
        found += rows_of_page(page)
        position, more = page.next, page.more
    rows = found[:MOST_ROWS]
    labelled = captures.read(project, endpoint, after=first, limit=MOST_ROWS, labelled=True).items
    labels = {row.position: row.label for row in labelled}
    items = [
        CapturedRow(position=row.position, prediction=row.prediction, label=labels.get(row.position))
        for row in rows
    ]
    return items, max(items[-1].position if items else first, last)


def _labelled(workspace: Workspace, project: str, endpoint: str) -> list[CapturedRow]:
    """Give the newest rows whose label has come: forecasts are judged by those, however long it took."""
    captures = workspace.service(Captures)
    after = max(0, captures.head(project, endpoint).label_position - MOST_ROWS)
    return captures.read(project, endpoint, after=after, limit=MOST_ROWS, order=CaptureOrder.LABELLED).items
