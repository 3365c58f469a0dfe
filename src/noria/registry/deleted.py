"""Operations on models and versions that were deleted: see them, and bring one back until the grace period is over."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from noria.access.projects import project_pk
from noria.core.errors import Conflict, NotFound
from noria.core.objects.references import object_references
from noria.core.operations import Service, operation
from noria.registry.changes import Change, ModelExists, owner_of
from noria.registry.entities import (
    DeletedModel,
    DeletedModelPage,
    DeletedVersion,
    DeletedVersionPage,
    Model,
    ModelVersion,
)
from noria.registry.events import MODEL_RESTORED
from noria.registry.permissions import PROMOTE_MODELS, READ_MODELS
from noria.registry.prompts import without_prompts
from noria.registry.rows import ModelNotFound, find_model, get_version, load_models
from noria.registry.tables import former_model_names, model_versions, models

_VERSIONS = sa.select(
    model_versions.c.id,
    model_versions.c.version,
    model_versions.c.digest,
    model_versions.c.message,
    model_versions.c.created_at,
    model_versions.c.deleted_at,
).where(model_versions.c.deleted_at.is_not(None))


class ModelFilesGone(Conflict):
    """The model or version was deleted by a release that let go of its files at once."""

    code = "model_files_gone"

    def __init__(self, name: str, version: int) -> None:
        super().__init__(
            f"`{name}@{version}` cannot come back: its files were let go of when it was deleted",
            hint="Register it again from the run that made it",
            details={"name": name, "version": version},
        )


class DeletedVersionNotFound(NotFound):
    """The model has no deleted version of this number, or no longer."""

    code = "deleted_version_not_found"

    def __init__(self, name: str, version: int) -> None:
        super().__init__(
            f"`{name}` has no deleted version {version}",
            hint=f"See those that can come back: `noria models versions {name} --deleted`",
            details={"name": name, "version": version},
        )


class DeletedModels(Service):
    """Models that were deleted, and are not removed for good yet."""

    @operation("GET", "/projects/{project}/deleted-models", needs=READ_MODELS)
    def list(self, project: str, limit: int = 100, before: str | None = None) -> DeletedModelPage:
        """List deleted models, the newest model first; `before` goes on after the one with this id."""
        bound = max(1, min(limit, 1000))
        with self.context.database.read() as connection:
            query = _select(project_pk(connection, project)).order_by(models.c.id.desc()).limit(bound + 1)
            if before is not None:
                query = query.where(models.c.id < before)
            rows = connection.execute(query).all()
        items = [_deleted(project, row) for row in rows[:bound]]
        return DeletedModelPage(items=items, next=items[-1].id if len(rows) > bound else None)

    @operation(
        "POST", "/projects/{project}/deleted-models/{model_id}/restore", needs=PROMOTE_MODELS, status=200
    )
    def restore(self, project: str, model_id: str) -> Model:
        """Bring a model back with its aliases and tags and the versions that were deleted with it."""
        with self.context.database.write(durable=True) as connection:
            key = project_pk(connection, project)
            row = connection.execute(
                _select(key).where(models.c.id == model_id).with_for_update(of=models)
            ).first()
            if row is None:
                raise ModelNotFound(
                    f"No deleted model of `{project}` has the id `{model_id[:60]}`",
                    hint="See those that can come back: `noria models list --deleted`",
                    details={"project": project, "model_id": model_id[:60]},
                )
            gone = _deleted(project, row)
            taken = sa.select(models.c.pk).where(models.c.project_pk == key, models.c.name == gone.name)
            if connection.execute(taken).first() is not None:
                raise ModelExists(project, gone.name)
            _restore(Change(self.context, connection, project), row, gone, key)
            found = find_model(connection, project, gone.name)
            return load_models(connection, [found], {key: project})[0]


class DeletedVersions(Service):
    """Versions that were deleted by themselves, and are not removed for good yet."""

    @operation("GET", "/projects/{project}/models/{name}/deleted-versions", needs=READ_MODELS)
    def list(
        self, project: str, name: str, limit: int = 100, before: int | None = None
    ) -> DeletedVersionPage:
        """List the deleted versions of a model, newest first; `before` goes on before the one of this number."""
        bound = max(1, min(limit, 1000))
        with self.context.database.read() as connection:
            model = find_model(connection, project, name)
            query = _VERSIONS.where(model_versions.c.model_pk == model.pk)
            query = query.order_by(model_versions.c.version.desc()).limit(bound + 1)
            if before is not None:
                query = query.where(model_versions.c.version < before)
            rows = connection.execute(query).all()
        items = [
            DeletedVersion(
                version=row.version,
                digest=row.digest,
                message=row.message,
                created_at=row.created_at,
                deleted_at=row.deleted_at,
            )
            for row in rows[:bound]
        ]
        return DeletedVersionPage(items=items, next=items[-1].version if len(rows) > bound else None)

    @operation(
        "POST",
        "/projects/{project}/models/{name}/deleted-versions/{version}/restore",
        needs=PROMOTE_MODELS,
        status=200,
    )
    def restore(self, project: str, name: str, version: int) -> ModelVersion:
        """Bring a version back with all that was said of it, but for its aliases: those pass their gates again."""
        with self.context.database.write(durable=True) as connection:
            model = find_model(connection, project, name, lock=True)
            of_number = (model_versions.c.model_pk == model.pk, model_versions.c.version == version)
            row = connection.execute(_VERSIONS.where(*of_number)).first()
            if row is None:
                raise DeletedVersionNotFound(model.name, version)
            if row.digest is not None and not _is_kept(connection, row.id):
                raise ModelFilesGone(model.name, version)
            Change(self.context, connection, project).restore_version(model, version, row.digest)
            return get_version(connection, find_model(connection, project, model.name), version)


def _restore(change: Change, row: Any, gone: DeletedModel, key: int) -> None:
    connection = change.connection
    with_it = (model_versions.c.model_pk == row.pk, model_versions.c.deleted_at == row.deleted_at)
    query = sa.select(model_versions.c.version, model_versions.c.id, model_versions.c.digest).where(*with_it)
    versions = connection.execute(query.order_by(model_versions.c.version)).all()
    for version, version_id, digest in versions:
        if digest is not None and not _is_kept(connection, version_id):
            raise ModelFilesGone(gone.name, version)
    connection.execute(
        sa.update(model_versions).where(*with_it).values(deleted_at=None, updated_at=change.now)
    )
    connection.execute(
        sa.update(models)
        .where(models.c.pk == row.pk)
        .values(
            name=gone.name,
            deleted_at=None,
            updated_at=change.now,
            latest=versions[-1].version if versions else 0,
        )
    )
    # It is called so again; another model that was called so once is no longer meant by the name.
    connection.execute(
        sa.delete(former_model_names).where(
            former_model_names.c.project_pk == key, former_model_names.c.name == gone.name
        )
    )
    change.tell(MODEL_RESTORED, gone.name, {"id": gone.id, "n_versions": len(versions)})


def _select(key: int) -> sa.Select[Any]:
    n_versions = (
        sa.select(sa.func.count())
        .where(model_versions.c.model_pk == models.c.pk, model_versions.c.deleted_at == models.c.deleted_at)
        .scalar_subquery()
    )
    return sa.select(
        models.c.pk, models.c.id, models.c.name, models.c.deleted_at, n_versions.label("n_versions")
    ).where(models.c.project_pk == key, models.c.deleted_at.is_not(None), without_prompts())


def _deleted(project: str, row: Any) -> DeletedModel:
    return DeletedModel(
        id=row.id,
        project=project,
        # A deleted model keeps its name with the id behind it.
        name=row.name.removesuffix(f":{row.id}"),
        n_versions=row.n_versions,
        deleted_at=row.deleted_at,
    )


def _is_kept(connection: sa.Connection, version_id: str) -> bool:
    query = sa.select(object_references.c.digest).where(object_references.c.owner == owner_of(version_id))
    return connection.execute(query.limit(1)).first() is not None
