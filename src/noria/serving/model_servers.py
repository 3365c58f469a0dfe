"""What model servers are told beside the plans, and what is told of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from noria.core.events.log import EventType, append
from noria.serving.events import CAPTURES_DROPPED, CAPTURES_KEPT, WORKERS_REPLACED
from noria.serving.plans import PlannedKey, ServerReport, ServerStanding
from noria.serving.tables import endpoint_keys, endpoint_options, model_servers

if TYPE_CHECKING:
    from noria.core.context import Context


def planned_options(connection: sa.Connection) -> dict[int, dict[str, Any]]:
    """Give what plans say of keys and capture by endpoint; those without options are left out."""
    found: dict[int, dict[str, Any]] = {
        row["endpoint_pk"]: {"guarded": row["guarded"], "capture_share": row["capture_share"], "keys": []}
        for row in connection.execute(sa.select(endpoint_options)).mappings()
    }
    names = PlannedKey.__struct_fields__
    query = (
        sa.select(endpoint_keys.c.endpoint_pk, *(endpoint_keys.c[name] for name in names))
        .where(endpoint_keys.c.revoked_at.is_(None))
        .order_by(endpoint_keys.c.pk)
    )
    for row in connection.execute(query).mappings():
        found[row["endpoint_pk"]]["keys"].append(PlannedKey(**{name: row[name] for name in names}))
    return found


def tell_of_changes(connection: sa.Connection, context: Context, seen: ServerReport) -> None:
    """Append events when a model server begins or ceases to drop what it answers, or replaced workers."""
    query = sa.select(model_servers.c.n_dropped, model_servers.c.standing).where(
        model_servers.c.server == seen.server
    )
    row = connection.execute(query).one_or_none()
    n_before = 0 if row is None else int(row.n_dropped)
    before = ServerStanding() if row is None or row.standing is None else row.standing
    now = seen.standing or ServerStanding()
    found: list[tuple[EventType, dict[str, Any]]] = []
    if seen.n_dropped > n_before and not before.disk_full:
        found.append((CAPTURES_DROPPED, {"n_dropped": seen.n_dropped}))
    if before.disk_full and not now.disk_full:
        found.append((CAPTURES_KEPT, {"n_dropped": seen.n_dropped}))
    if now.n_replaced > before.n_replaced:
        found.append((WORKERS_REPLACED, {"n_replaced": now.n_replaced}))
    for type_, figures in found:
        # Whoever watches a project learns of the server that answers for it.
        for project in sorted({plan.project for plan in seen.endpoints}):
            append(
                connection,
                context.clock,
                actor=context.principal.name,
                type=type_,
                subject=f"model_server:{seen.server}",
                project=project,
                payload={"url": seen.url, **figures},
            )
