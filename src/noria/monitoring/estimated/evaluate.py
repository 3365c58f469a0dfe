"""One estimate of an endpoint, made by a worker: read what is new, estimate, record."""

from __future__ import annotations

from typing import Any, Final

from noria.core.clock import SystemClock
from noria.core.errors import NotFound
from noria.core.workspace import Workspace
from noria.monitoring.estimated.entities import StandingEstimate
from noria.monitoring.estimated.live import estimated_quality
from noria.monitoring.estimated.service import Estimates
from noria.registry.rules import NotServable, servable
from noria.registry.service import Models
from noria.serving.captures import Captures
from noria.serving.endpoints import Endpoints
from noria.serving.predictions import CapturedRow

MOST_ROWS: Final = 1_000


def estimate_endpoint(workspace: Workspace, project: str, endpoint: str) -> dict[str, Any]:
    """Estimate the quality of the newest answers of the version that answers most, and record it.

    Returns
    -------
    dict
        How many rows were new, and whether there is an estimate.
    """
    found = workspace.service(Endpoints).get(project, endpoint)
    before = workspace.service(Estimates).get(project, endpoint).standing
    rows, position = _newest(workspace, project, endpoint, before.position if before else 0)
    if not rows:
        return {"rows": 0, "estimated": False}
    estimated, why = None, None
    try:
        version = servable(workspace.service(Models).version(project, found.model, found.version))
        estimated, why = estimated_quality(workspace, version, rows)
    except (NotFound, NotServable) as error:
        why = f"Quality is not estimated: {error.message}"
    workspace.service(Estimates).record(
        project,
        endpoint,
        StandingEstimate(
            model=found.model,
            version=found.version,
            position=position,
            first_at=rows[0].prediction.at,
            last_at=rows[-1].prediction.at,
            made_at=SystemClock().now(),
            estimated=estimated,
            why=why,
        ),
    )
    return {"rows": len(rows), "estimated": estimated is not None}


def _newest(workspace: Workspace, project: str, endpoint: str, after: int) -> tuple[list[CapturedRow], int]:
    """Give the newest thousand rows behind a position, or as many as there are, and where reading ended.

    Of an endpoint with much traffic the rows in between are left out: they are not read to be thrown away.
    """
    captures = workspace.service(Captures)
    last = captures.head(project, endpoint, after=after).position
    page = captures.read(project, endpoint, after=max(after, last - MOST_ROWS), limit=MOST_ROWS)
    return page.items, max(page.next, last)
