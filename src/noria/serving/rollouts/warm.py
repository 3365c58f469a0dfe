"""Let go of the versions that stayed loaded for their time after they were replaced, or were deleted since."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from noria.access.tables import projects
from noria.core.context import Context
from noria.serving.entities import WarmVersion
from noria.serving.locate import find_endpoint
from noria.serving.rollouts.passage import settle
from noria.serving.rollouts.sight import exists
from noria.serving.tables import endpoints


def let_go_of_warm(context: Context) -> int:
    """Let go of every warm version whose time is over or that was deleted; give how many there were.

    Safe to repeat, and cheap when there is nothing to do.
    """
    query = (
        sa.select(projects.c.name, endpoints.c.name, endpoints.c.model, endpoints.c.warm)
        .join_from(endpoints, projects, projects.c.pk == endpoints.c.project_pk)
        .where(endpoints.c.deleted_at.is_(None), endpoints.c.warm.is_not(None))
    )
    now = context.clock.now()
    with context.database.read() as connection:
        places = [
            (project, name)
            for project, name, model, warm in connection.execute(query)
            if len(_kept(connection, project, model, warm, now)) < len(warm)
        ]
    return sum(_let_go(context, project, name) for project, name in places)


def _let_go(context: Context, project: str, name: str) -> int:
    now = context.clock.now()
    with context.database.write(durable=True) as connection:
        found = find_endpoint(connection, project, name, lock=True)
        if found is None or not found.warm:
            return 0
        left = _kept(connection, project, found.model, found.warm, now)
        if len(left) == len(found.warm):
            return 0
        connection.execute(
            sa.update(endpoints)
            .where(endpoints.c.pk == found.pk)
            .values(warm=left or None, revision=found.revision + 1)
        )
        settle(connection, context, project, name)
        return len(found.warm) - len(left)


def _kept(
    connection: sa.Connection, project: str, model: str, warm: list[WarmVersion], now: datetime
) -> list[WarmVersion]:
    return [each for each in warm if each.until > now and exists(connection, project, model, each.version)]
