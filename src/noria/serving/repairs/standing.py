"""What repairs stand: for the plans of model servers, and for those who look after them."""

from __future__ import annotations

import sqlalchemy as sa

from noria.access.tables import projects
from noria.serving.repairs.entities import ColumnRepair
from noria.serving.repairs.tables import input_repairs
from noria.serving.tables import endpoints


def planned_repairs(connection: sa.Connection) -> dict[int, list[ColumnRepair]]:
    """Give what stands by endpoint."""
    query = sa.select(input_repairs.c.endpoint_pk, input_repairs.c.columns).where(
        input_repairs.c.ended_at.is_(None)
    )
    return {row.endpoint_pk: row.columns for row in connection.execute(query)}


def standing_repairs(connection: sa.Connection) -> list[tuple[str, str, str, int]]:
    """List project, endpoint, id and first position of the repairs that stand."""
    query = (
        sa.select(projects.c.name, endpoints.c.name, input_repairs.c.id, input_repairs.c.position)
        .join(endpoints, endpoints.c.pk == input_repairs.c.endpoint_pk)
        .join(projects, projects.c.pk == endpoints.c.project_pk)
        .where(input_repairs.c.ended_at.is_(None), endpoints.c.deleted_at.is_(None))
    )
    return [(row[0], row[1], row[2], row[3]) for row in connection.execute(query)]
