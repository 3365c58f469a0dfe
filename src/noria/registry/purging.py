"""Remove for good what was deleted long ago: models with all that is said of them, and versions.

The files of deleted versions are let go of here.
What a model's numbers were is remembered as long as the model is.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from noria.access.comments import drop_comments
from noria.core.context import Context
from noria.core.objects.references import drop_owner
from noria.core.purging import Purge
from noria.registry.changes import owner_of
from noria.registry.tables import (
    former_model_names,
    model_aliases,
    model_approvals,
    model_tags,
    model_validations,
    model_version_tags,
    model_versions,
    models,
    packages,
)

AT_ONCE: Final = 100
"""How many things one transaction removes."""


def purge_versions(context: Context, before: datetime, dry_run: bool) -> int:
    """Remove versions that were deleted before a moment, by themselves or with their model."""
    return _purge(context, model_versions, before, _remove_versions, dry_run=dry_run)


def purge_models(context: Context, before: datetime, dry_run: bool) -> int:
    """Remove models that were deleted before a moment; their versions were deleted with them, and go first."""
    return _purge(context, models, before, _remove_models, dry_run=dry_run)


PURGES: Final = [Purge("model versions", purge_versions), Purge("models", purge_models)]


def _purge(
    context: Context,
    table: sa.Table,
    before: datetime,
    remove: Callable[[sa.Connection, list[int]], None],
    *,
    dry_run: bool,
) -> int:
    old: sa.Select[Any] = sa.select(table.c.pk).where(table.c.deleted_at < before)
    if dry_run:
        with context.database.read() as connection:
            return int(
                connection.execute(sa.select(sa.func.count()).select_from(old.subquery())).scalar_one()
            )
    n_gone = 0
    while True:
        with context.database.write() as connection:
            keys = list(
                connection.execute(old.order_by(table.c.pk).limit(AT_ONCE).with_for_update()).scalars()
            )
            if keys:
                remove(connection, keys)
        n_gone += len(keys)
        if len(keys) < AT_ONCE:
            return n_gone


def _remove_versions(connection: sa.Connection, keys: list[int]) -> None:
    query = sa.select(model_versions.c.id).where(model_versions.c.pk.in_(keys))
    ids = connection.execute(query).scalars().all()
    drop_comments(connection, [f"model:{each}" for each in ids])
    for each in ids:
        drop_owner(connection, owner_of(each))
    for said in (model_validations, model_approvals):
        connection.execute(sa.delete(said).where(said.c.version_pk.in_(keys)))
    connection.execute(sa.delete(model_version_tags).where(model_version_tags.c.version_pk.in_(keys)))
    connection.execute(sa.delete(packages).where(packages.c.version_pk.in_(keys)))
    connection.execute(sa.delete(model_versions).where(model_versions.c.pk.in_(keys)))


def _remove_models(connection: sa.Connection, keys: list[int]) -> None:
    for table in (model_tags, model_aliases, former_model_names):
        connection.execute(sa.delete(table).where(table.c.model_pk.in_(keys)))
    connection.execute(sa.delete(models).where(models.c.pk.in_(keys)))
