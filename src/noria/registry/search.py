"""The registry as a whole: models and versions of every project that the caller may read, found and searched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from noria.access.tables import projects
from noria.core.errors import Invalid
from noria.core.operations import Service, operation
from noria.registry.filters import (
    MODELS,
    VERSIONS,
    Scope,
    Term,
    follows,
    model_conditions,
    model_terms,
    ordered,
    read_filter,
    read_token,
    version_conditions,
    version_terms,
    write_token,
)
from noria.registry.permissions import FIND_MODELS, READ_MODELS
from noria.registry.queries import (
    MAX_MODELS,
    MAX_VERSIONS,
    FoundModel,
    FoundModels,
    FoundVersions,
    RegistryPlace,
    RegistryQuery,
    VersionFiles,
    home_of,
    readings,
)
from noria.registry.rows import (
    ModelNotFound,
    ModelRow,
    load_models,
    load_versions,
    newest_of,
    read_versions,
    select_models,
    select_versions,
)
from noria.registry.rules import files_of
from noria.registry.tables import model_versions, models


class Registry(Service):
    """Models of every project that the caller may read.

    For whoever knows no projects, a model of the project `default` has its plain name, and one of another project is
    called `project.model`.
    """

    @operation("GET", "/registry/places", needs=FIND_MODELS)
    def locate(self, name: str = "") -> RegistryPlace:
        """Tell which project's model a shown name means, or where a new model of that name would be made."""
        with self.context.database.read() as connection:
            readable = self._readable(connection)
            home = home_of(readable.values())
            ways = readings(name, readable.values(), home)
            query = (
                sa.select(projects.c.name, models.c.name)
                .join(projects, projects.c.pk == models.c.project_pk)
                .where(sa.tuple_(projects.c.name, models.c.name).in_(ways), models.c.deleted_at.is_(None))
            )
            there = {(project, own) for project, own in connection.execute(query)}
        for project, own in ways:
            if (project, own) in there:
                return RegistryPlace(project=project, name=own, exists=True, home=home)
        project, own = ways[-1]
        return RegistryPlace(project=project, name=own, exists=False, home=home)

    @operation("POST", "/registry/models/search", needs=FIND_MODELS, status=200)
    def models(self, query: RegistryQuery) -> FoundModels:
        """Search models; prompts are left out unless the filter asks for their tag."""
        search = read_filter(MODELS, query.filter)
        with self.context.database.read() as connection:
            readable = self._readable(connection)
            scope = self._scope(connection, readable)
            statement = (
                select_models()
                .join(projects, projects.c.pk == models.c.project_pk)
                .where(scope.models(), *model_conditions(scope, search))
            )
            terms = model_terms(scope, query.order_by)
            page, token = _page(connection, statement, terms, query, MAX_MODELS)
            rows = [ModelRow(*row[: len(ModelRow._fields)]) for row in page]
            found = load_models(connection, rows, readable)
            newest = newest_of(connection, [row.pk for row in rows])
        items = [
            FoundModel(model=model, newest=newest.get(row.pk, []))
            for model, row in zip(found, rows, strict=True)
        ]
        return FoundModels(items=items, next=token, home=scope.home)

    @operation("POST", "/registry/versions/search", needs=FIND_MODELS, status=200)
    def versions(self, query: RegistryQuery) -> FoundVersions:
        """Search versions, the last updated first unless asked otherwise; those of prompts are left out likewise."""
        search = read_filter(VERSIONS, query.filter)
        with self.context.database.read() as connection:
            readable = self._readable(connection)
            scope = self._scope(connection, readable)
            statement = select_versions().where(scope.versions(search), *version_conditions(scope, search))
            terms = version_terms(scope, query.order_by)
            page, token = _page(connection, statement, terms, query, MAX_VERSIONS)
            items = read_versions(connection, page)
        return FoundVersions(items=items, next=token, home=scope.home)

    @operation("GET", "/registry/files/{version_id}", needs=FIND_MODELS)
    def files(self, version_id: str) -> VersionFiles:
        """Tell where the files of a version are kept."""
        query = select_versions().where(model_versions.c.id == version_id)
        with self.context.database.read() as connection:
            found = load_versions(connection, query)
        if not found or not self.context.principal.may(READ_MODELS, found[0].project):
            raise ModelNotFound(f"There is no version of a model with the id `{version_id[:60]}`")
        return VersionFiles(project=found[0].project, ref=found[0].ref, digest=files_of(found[0]))

    def _scope(self, connection: sa.Connection, readable: dict[int, str]) -> Scope:
        return Scope(dialect=connection.dialect.name, projects=readable, home=home_of(readable.values()))

    def _readable(self, connection: sa.Connection) -> dict[int, str]:
        """Give the projects whose models the caller may read, by key."""
        rows = connection.execute(sa.select(projects.c.pk, projects.c.name))
        return {key: name for key, name in rows if self.context.principal.may(READ_MODELS, name)}


def _page(
    connection: sa.Connection, statement: sa.Select[Any], terms: list[Term], query: RegistryQuery, most: int
) -> tuple[Sequence[Any], str | None]:
    """Give the rows of a page, behind each what it is ordered by, and the token of the next page."""
    if query.limit < 1:
        raise Invalid(f"Invalid value for max_results. It must be a positive integer, but got {query.limit}")
    if query.limit > most:
        raise Invalid(
            "Invalid value for request parameter max_results. "
            f"It must be at most {most}, but got value {query.limit}"
        )
    last = read_token(query.after, terms)
    if last is not None:
        statement = statement.where(follows(terms, last))
    statement = statement.add_columns(*(term.value.label(f"term_{at}") for at, term in enumerate(terms)))
    rows = connection.execute(statement.order_by(*ordered(terms)).limit(query.limit + 1)).fetchall()
    page = rows[: query.limit]
    return page, write_token(page[-1][-len(terms) :]) if len(rows) > query.limit else None
