"""Read models and versions from their tables."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from noria.access.projects import project_pk
from noria.access.tables import projects
from noria.core.errors import NotFound, unknown_name
from noria.registry.entities import Consent, Model, ModelVersion, Signature, Stage, Task
from noria.registry.tables import (
    former_model_names,
    model_aliases,
    model_tags,
    model_version_tags,
    model_versions,
    models,
    pickle_consents,
)

_IN_CHUNK = 500
_MAX_NUMBER = 2**63 - 1


class ModelNotFound(NotFound):
    """The project has no model of this name."""

    code = "model_not_found"


class ModelVersionNotFound(NotFound):
    """The registered model exists, but not in this version."""

    code = "model_version_not_found"

    def __init__(self, name: str, version: int, *, latest: int) -> None:
        known = f"The newest is {latest}" if latest else "It has none"
        super().__init__(
            f"The model `{name}` has no version {version}",
            hint=f"{known} (see `noria models versions {name}`)",
            details={"name": name, "version": version, "latest": latest},
        )


class ModelRow(NamedTuple):
    """A row of the table of models."""

    pk: int
    id: str
    project_pk: int
    name: str
    latest: int
    created_at: datetime
    last_number: int
    updated_at: datetime
    description: str | None
    author: str | None


_MODEL_COLUMNS = [models.c[name] for name in ModelRow._fields]


def select_models() -> sa.Select[Any]:
    """Select models that are not deleted, as the fields of `ModelRow`."""
    return sa.select(*_MODEL_COLUMNS).where(models.c.deleted_at.is_(None))


def find_model(connection: sa.Connection, project: str, name: str, *, lock: bool = False) -> ModelRow:
    """Find a model by its name, or by a former one that no other model has taken since.

    Raises
    ------
    ModelNotFound
        If there is none; the hint has the near name.
    """
    key = project_pk(connection, project)
    query = select_models().where(models.c.project_pk == key)
    found = _one(connection, query.where(models.c.name == name), lock=lock)
    if found is None:
        former = sa.select(former_model_names.c.model_pk).where(
            former_model_names.c.project_pk == key, former_model_names.c.name == name
        )
        found = _one(connection, query.where(models.c.pk == former.scalar_subquery()), lock=lock)
    if found is None:
        alive = query.with_only_columns(models.c.name).order_by(models.c.updated_at.desc()).limit(1000)
        unknown = unknown_name("model", name, connection.execute(alive).scalars(), see="noria models list")
        raise ModelNotFound(unknown.message, hint=unknown.hint, details={"project": project, "name": name})
    return found


def load_models(connection: sa.Connection, rows: Sequence[ModelRow], names: dict[int, str]) -> list[Model]:
    """Give the models of rows, with their aliases and tags.

    Parameters
    ----------
    names
        Name of each project by its key.
    """
    keys = [row.pk for row in rows]
    aliases, tags = aliases_of(connection, keys), tags_of(connection, model_tags.c.model_pk, keys)
    return [
        Model(
            id=row.id,
            project=names[row.project_pk],
            name=row.name,
            latest=row.latest,
            aliases=aliases.get(row.pk, {}),
            author=row.author,
            created_at=row.created_at,
            updated_at=row.updated_at,
            description=row.description,
            tags=tags.get(row.pk, {}),
        )
        for row in rows
    ]


_VERSION_FIELDS = [
    name
    for name in ModelVersion.__struct_fields__
    if name not in ("project", "model", "aliases", "tags", "consent")
]
_VERSION_COLUMNS = [
    model_versions.c.pk,
    model_versions.c.model_pk,
    models.c.project_pk,
    projects.c.name,
    models.c.name,
    *(
        sa.type_coerce(model_versions.c[name], sa.Text) if name == "signature" else model_versions.c[name]
        for name in _VERSION_FIELDS
    ),
]
_N_KEYS = 5
_TASK, _STAGE, _SIGNATURE = (_VERSION_FIELDS.index(name) for name in ("task", "stage", "signature"))
_DIGEST, _PICKLED, _VERSION = (_VERSION_FIELDS.index(name) for name in ("digest", "pickled", "version"))


def select_versions() -> sa.Select[Any]:
    """Select versions that are not deleted, for `load_versions`; joined with models and projects."""
    return (
        sa.select(*_VERSION_COLUMNS)
        .join_from(model_versions, models, models.c.pk == model_versions.c.model_pk)
        .join(projects, projects.c.pk == models.c.project_pk)
        .where(model_versions.c.deleted_at.is_(None))
    )


def load_versions(connection: sa.Connection, query: sa.Select[Any]) -> list[ModelVersion]:
    """Give the versions that a query made of `select_versions` finds, in its order."""
    return read_versions(connection, connection.execute(query).fetchall())


def read_versions(connection: sa.Connection, rows: Sequence[Any]) -> list[ModelVersion]:
    """Give the versions of rows that begin with the columns of `select_versions`."""
    tags = tags_of(connection, model_version_tags.c.version_pk, [row[0] for row in rows])
    aliases = aliases_of(connection, sorted({row[1] for row in rows}))
    consents = _consents_of(connection, rows)
    return [
        _version(
            row,
            [alias for alias, number in aliases.get(row[1], {}).items() if number == row[_N_KEYS + _VERSION]],
            tags.get(row[0], {}),
            consents.get((row[2], row[_N_KEYS + _DIGEST])),
        )
        for row in rows
    ]


def get_version(connection: sa.Connection, model: ModelRow, number: int) -> ModelVersion:
    """Get one version of a model.

    Raises
    ------
    ModelVersionNotFound
        If it has none of this number, or no longer.
    """
    in_range = number if 0 < number <= _MAX_NUMBER else 0
    query = select_versions().where(
        model_versions.c.model_pk == model.pk, model_versions.c.version == in_range
    )
    found = load_versions(connection, query)
    if not found:
        raise ModelVersionNotFound(model.name, number, latest=model.latest)
    return found[0]


def newest_of(
    connection: sa.Connection, keys: Sequence[int], stages: Collection[Stage] | None = None
) -> dict[int, list[ModelVersion]]:
    """Give the newest version of each stage (by default of all) by the key of the model, in the order of numbers."""
    rows: list[Any] = []
    for chunk in _chunks(keys):
        newest = (
            sa.select(
                model_versions.c.model_pk.label("model"),
                sa.func.max(model_versions.c.version).label("newest"),
            )
            .where(model_versions.c.model_pk.in_(chunk), model_versions.c.deleted_at.is_(None))
            .where(model_versions.c.stage.in_([stage.value for stage in stages or Stage]))
            .group_by(model_versions.c.model_pk, model_versions.c.stage)
            .subquery()
        )
        query = select_versions().join(
            newest,
            sa.and_(model_versions.c.model_pk == newest.c.model, model_versions.c.version == newest.c.newest),
        )
        rows += connection.execute(query.order_by(model_versions.c.version)).fetchall()
    found: dict[int, list[ModelVersion]] = {}
    for row, version in zip(rows, read_versions(connection, rows), strict=True):
        found.setdefault(row[1], []).append(version)
    return found


def aliases_of(connection: sa.Connection, keys: Sequence[int]) -> dict[int, dict[str, int]]:
    """Give version by alias, in the order of aliases, by the key of the model."""
    found: dict[int, dict[str, int]] = {}
    for chunk in _chunks(keys):
        query = (
            sa.select(model_aliases.c.model_pk, model_aliases.c.alias, model_aliases.c.version)
            .where(model_aliases.c.model_pk.in_(chunk))
            .order_by(model_aliases.c.alias)
        )
        for key, alias, version in connection.execute(query):
            found.setdefault(key, {})[alias] = version
    return found


def tags_of(
    connection: sa.Connection, owner: sa.Column[Any], keys: Sequence[int]
) -> dict[int, dict[str, str]]:
    """Give tags by the key of what they are of, in the order of their keys.

    Parameters
    ----------
    owner
        The column of a table of tags that holds that key.
    """
    table = owner.table
    found: dict[int, dict[str, str]] = {}
    for chunk in _chunks(keys):
        query = (
            sa.select(owner, table.c.key, table.c.value).where(owner.in_(chunk)).order_by(owner, table.c.key)
        )
        for key, name, value in connection.execute(query).fetchall():
            found.setdefault(key, {})[name] = value
    return found


def _one(connection: sa.Connection, query: sa.Select[Any], *, lock: bool) -> ModelRow | None:
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    return None if row is None else ModelRow(*row)


def _version(row: Any, aliases: list[str], tags: dict[str, str], consent: Consent | None) -> ModelVersion:
    values = list(row[_N_KEYS : _N_KEYS + len(_VERSION_FIELDS)])
    values[_TASK] = values[_TASK] and Task(values[_TASK])
    values[_STAGE] = Stage(values[_STAGE])
    values[_SIGNATURE] = values[_SIGNATURE] and _read_signature(values[_SIGNATURE])
    fields = dict(zip(_VERSION_FIELDS, values, strict=True))
    return ModelVersion(project=row[3], model=row[4], aliases=aliases, tags=tags, consent=consent, **fields)


@functools.lru_cache(maxsize=1_000)
def _read_signature(text: str) -> Signature:
    # Versions of a model mostly have the same, and it can list hundreds of columns.
    return msgspec.json.decode(text, type=Signature)


def _consents_of(connection: sa.Connection, rows: Sequence[Any]) -> dict[tuple[int, str], Consent]:
    digests = sorted({row[_N_KEYS + _DIGEST] for row in rows if row[_N_KEYS + _PICKLED]} - {None})
    found = {}
    for chunk in _chunks(digests):
        query = sa.select(pickle_consents.c.project_pk, *CONSENT_COLUMNS).where(
            pickle_consents.c.digest.in_(chunk)
        )
        for project, *values in connection.execute(query):
            consent = read_consent(values)
            found[project, consent.digest] = consent
    return found


CONSENT_COLUMNS = [pickle_consents.c[name] for name in Consent.__struct_fields__]


def read_consent(values: Iterable[Any]) -> Consent:
    """Give the consent of values in the order of `CONSENT_COLUMNS`."""
    return Consent(**dict(zip(Consent.__struct_fields__, values, strict=True)))


def _chunks(keys: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (keys[start : start + _IN_CHUNK] for start in range(0, len(keys), _IN_CHUNK))
