"""What the pages of models read beyond the operations: newest versions, aliases with their history, uses."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from noria.access.projects import project_pk
from noria.core.admission import admit
from noria.core.events.log import Event, EventLog
from noria.core.operations import Service
from noria.registry.entities import Model, ModelVersion
from noria.registry.events import MODEL_ALIAS_DELETED, MODEL_ALIAS_MOVED
from noria.registry.permissions import READ_MODELS
from noria.registry.prompts import without_prompts
from noria.registry.rows import (
    ModelRow,
    find_model,
    load_models,
    load_versions,
    select_models,
    select_versions,
)
from noria.registry.tables import model_aliases, model_versions, models
from noria.registry.uses import uses_of

HISTORY: Final = 12
"""Moves of aliases that a page shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedModel:
    """A model with its newest version, and those of its newest and aliased versions that endpoints serve.

    Attributes
    ----------
    newest
        None while there is no version.
    serving
        Endpoint and number of the version, in the order of endpoints.
    """

    model: Model
    newest: ModelVersion | None
    serving: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedAlias:
    """Where an alias points, and since when."""

    alias: str
    version: int
    moved_at: datetime


class ModelPages(Service):
    """Reads for pages; no operations: programs have `Models` and `Registry`."""

    def list(
        self, project: str, *, limit: int, after: str = ""
    ) -> tuple[tuple[ListedModel, ...], str | None]:
        """List models in the order of their names; the name after which the next page begins, or None."""
        admit(self.context.principal, READ_MODELS, project)
        with self.context.database.read() as connection:
            key = project_pk(connection, project)
            query = (
                select_models()
                .where(models.c.project_pk == key, models.c.name > after, without_prompts())
                .order_by(models.c.name)
                .limit(limit + 1)
            )
            rows = [ModelRow(*row) for row in connection.execute(query)]
            shown = rows[:limit]
            found = load_models(connection, shown, {key: project})
            newest = _newest(connection, [row.pk for row in shown])
            aliased = _aliased(connection, [row.pk for row in shown])
            uses = uses_of(
                connection,
                project=project,
                digests={each.digest for each in (*newest.values(), *aliased) if each.digest},
            )
        told = {version.id: version for version in (*newest.values(), *aliased)}
        serving: dict[str, list[tuple[str, int]]] = {}
        for version in told.values():
            pairs = [(endpoint, version.version) for endpoint in uses.get(version.id, ())]
            serving.setdefault(version.model, []).extend(pairs)
        listed = tuple(
            ListedModel(
                model=model,
                newest=newest.get(model.name),
                serving=tuple(sorted(serving.get(model.name, ()))),
            )
            for model in found
        )
        return listed, shown[-1].name if len(rows) > limit else None

    def serving(self, project: str, versions: Collection[ModelVersion]) -> dict[int, tuple[str, ...]]:
        """Give the endpoints that need each version, by its number; versions that none needs are left out."""
        admit(self.context.principal, READ_MODELS, project)
        with self.context.database.read() as connection:
            digests = {each.digest for each in versions if each.digest}
            uses = uses_of(connection, project=project, digests=digests)
        return {each.version: tuple(uses[each.id]) for each in versions if each.id in uses}

    def aliases(self, project: str, name: str) -> tuple[PlacedAlias, ...]:
        """List a model's aliases in their order."""
        admit(self.context.principal, READ_MODELS, project)
        with self.context.database.read() as connection:
            query = (
                sa.select(model_aliases.c.alias, model_aliases.c.version, model_aliases.c.moved_at)
                .where(model_aliases.c.model_pk == find_model(connection, project, name).pk)
                .order_by(model_aliases.c.alias)
            )
            return tuple(
                PlacedAlias(alias=alias, version=version, moved_at=moved_at)
                for alias, version, moved_at in connection.execute(query)
            )

    def history(self, project: str, name: str) -> tuple[Event, ...]:
        """List the last moves of a model's aliases under its present name, newest first."""
        admit(self.context.principal, READ_MODELS, project)
        told = EventLog(self.context.database).latest(
            types=[MODEL_ALIAS_MOVED, MODEL_ALIAS_DELETED],
            subject=f"model:{name}",
            project=project,
            limit=HISTORY,
        )
        return tuple(told)


def _newest(connection: sa.Connection, keys: Sequence[int]) -> dict[str, ModelVersion]:
    query = select_versions().where(
        model_versions.c.model_pk.in_(keys), model_versions.c.version == models.c.latest
    )
    return {version.model: version for version in load_versions(connection, query)}


def _aliased(connection: sa.Connection, keys: Sequence[int]) -> list[ModelVersion]:
    pointed = sa.tuple_(model_versions.c.model_pk, model_versions.c.version).in_(
        sa.select(model_aliases.c.model_pk, model_aliases.c.version).where(model_aliases.c.model_pk.in_(keys))
    )
    return load_versions(connection, select_versions().where(pointed))
