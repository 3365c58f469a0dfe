"""Look after repairs that stand: whether what is sent is right again. Worker only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from noria.core.errors import NotFound
from noria.core.stats.columns import take_column
from noria.core.workspace import Workspace
from noria.decisions.mapping import is_mended
from noria.registry.rules import servable
from noria.registry.service import Models
from noria.registry.signatures import stack_rows
from noria.serving.captures import Captures
from noria.serving.predictions import CapturedRow
from noria.serving.repairs.applying import RECEIVED
from noria.serving.repairs.entities import ColumnRepair, EndRepair
from noria.serving.service import Endpoints, InputRepairs

BACK_AS_IT_WAS = "What is sent is as it was in training again"

NEWEST = 300
"""Rows that are looked at."""

FEWEST = 50
"""Rows with which is looked at all."""


def look_after(workspace: Workspace, project: str, endpoint: str, repair_id: str) -> dict[str, Any]:
    """Take columns as they are sent again whose senders are right again.

    Returns
    -------
    dict
        `ended`: these columns.
    """
    columns = mended_columns(workspace, project, endpoint, repair_id)
    if columns:
        wish = EndRepair(columns=columns, reason=BACK_AS_IT_WAS, id=repair_id)
        workspace.service(InputRepairs).end(project, endpoint, wish)
    return {"ended": columns}


def mended_columns(workspace: Workspace, project: str, endpoint: str, repair_id: str) -> list[str]:
    """List the columns of a standing repair that are sent as they were in training again."""
    try:
        standing = workspace.service(InputRepairs).get(project, endpoint)
    except NotFound:
        return []
    if standing.id != repair_id:
        return []
    head = workspace.service(Captures).head(project, endpoint)
    after = max(standing.position, head.position - NEWEST)
    read = workspace.service(Captures).read(project, endpoint, after=after, limit=NEWEST).items
    rows = [row for row in read if row.prediction.revision >= standing.revision and _was_repaired(row)]
    if len(rows) < FEWEST:
        return []
    place = workspace.service(Endpoints).get(project, endpoint)
    signature = servable(workspace.service(Models).version(project, place.model, place.version)).signature
    seen = stack_rows(signature, [row.prediction.inputs for row in rows])
    sent = stack_rows(signature, [_sent(row) for row in rows])
    return [repair.column for repair in standing.columns if _is_mended(repair, sent, seen)]


def _is_mended(repair: ColumnRepair, sent: Mapping[str, Any], seen: Mapping[str, Any]) -> bool:
    column = take_column(sent, repair.column)
    return column is not None and is_mended(repair, np.asarray(column), dict(seen))


def _was_repaired(row: CapturedRow) -> bool:
    return any(name.startswith(RECEIVED) for name in row.prediction.outputs)


def _sent(row: CapturedRow) -> dict[str, Any]:
    """Give the inputs of a row as they were sent."""
    outputs = row.prediction.outputs.items()
    sent = {name.removeprefix(RECEIVED): value for name, value in outputs if name.startswith(RECEIVED)}
    return {**row.prediction.inputs, **sent}
