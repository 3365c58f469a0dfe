"""Endpoints that were made before versions were kept for them: let those be kept too."""

from __future__ import annotations

import sqlalchemy as sa

from noria.access.tables import projects
from noria.core.context import Context
from noria.core.errors import NotFound
from noria.registry.uses import use_version, versions_in_use
from noria.serving.locate import EndpointRow, find_endpoint
from noria.serving.tables import endpoints


def keep_served_versions(context: Context) -> int:
    """Keep the versions that endpoints share requests with from being deleted; give how many were not kept yet.

    Safe to repeat, and cheap when there is nothing to do.
    """
    query = (
        sa.select(projects.c.name, endpoints.c.name)
        .join_from(endpoints, projects, projects.c.pk == endpoints.c.project_pk)
        .where(endpoints.c.deleted_at.is_(None))
    )
    with context.database.read() as connection:
        places = [
            (project, name)
            for project, name in connection.execute(query).all()
            if _missing(connection, project, find_endpoint(connection, project, name))
        ]
    return sum(_keep(context, project, name) for project, name in places)


def _keep(context: Context, project: str, name: str) -> int:
    n_kept = 0
    with context.database.write(durable=True) as connection:
        found = find_endpoint(connection, project, name, lock=True)
        if found is None:
            return 0
        for version in _missing(connection, project, found):
            try:
                use_version(
                    connection, context, project=project, model=found.model, version=version, endpoint=name
                )
            except NotFound:
                continue  # deleted while nobody kept it
            n_kept += 1
    return n_kept


def _missing(connection: sa.Connection, project: str, found: EndpointRow | None) -> set[int]:
    if found is None:
        return set()
    kept = versions_in_use(connection, project=project, endpoint=found.name, digests=found.digests.values())
    return found.loaded - kept
