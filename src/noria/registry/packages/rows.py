"""Read packages from their table."""

from __future__ import annotations

from typing import Any, NamedTuple

import sqlalchemy as sa

from noria.registry.packages.entities import Package
from noria.registry.tables import model_versions, models, packages


class Found(NamedTuple):
    """A package, and the key of its row, by which pages of a list go on."""

    pk: int
    package: Package


def select_packages(project_key: int) -> sa.Select[Any]:
    """Select the packages of versions that are not deleted, newest first."""
    return (
        sa.select(packages, model_versions.c.version, models.c.name)
        .join_from(packages, model_versions, model_versions.c.pk == packages.c.version_pk)
        .join(models, models.c.pk == model_versions.c.model_pk)
        .where(models.c.project_pk == project_key)
        .where(models.c.deleted_at.is_(None), model_versions.c.deleted_at.is_(None))
        .order_by(packages.c.pk.desc())
    )


def load_packages(connection: sa.Connection, project: str, query: sa.Select[Any]) -> list[Found]:
    """Give the packages that a query of `select_packages` finds."""
    return [
        Found(
            row.pk,
            Package(
                id=row.id,
                project=project,
                model=row.name,
                version=row.version,
                digest=row.digest,
                layout=row.layout,
                size_bytes=row.size_bytes,
                lock_incomplete=row.lock_incomplete,
                key_id=row.key_id,
                author=row.author,
                created_at=row.created_at,
            ),
        )
        for row in connection.execute(query)
    ]
