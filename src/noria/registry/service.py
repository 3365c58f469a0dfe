"""Operations on registered models: their names, versions and aliases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from noria.access.projects import project_pk
from noria.core.errors import Invalid, NotFound, unknown_name
from noria.core.ids import new_id
from noria.core.names import check_name
from noria.core.objects.references import add_reference
from noria.core.objects.tree_references import add_tree_reference
from noria.core.operations import Service, operation
from noria.registry.changes import Change, ModelExists, author_of, owner_of
from noria.registry.entities import (
    AliasTarget,
    Description,
    Model,
    ModelPage,
    ModelVersion,
    ModelVersionPage,
    NewModel,
    NewModelVersion,
    NewName,
    TagChanges,
)
from noria.registry.events import MODEL_TAG_DELETED, MODEL_TAG_SET, MODEL_UPDATED
from noria.registry.permissions import PROMOTE_MODELS, READ_MODELS, REGISTER_MODELS
from noria.registry.prompts import without_prompts
from noria.registry.rows import (
    ModelNotFound,
    ModelRow,
    ModelVersionNotFound,
    aliases_of,
    find_model,
    get_version,
    load_models,
    load_versions,
    select_models,
    select_versions,
)
from noria.registry.rules import (
    CODE_FORMATS,
    MLFLOW_FORMAT,
    check_alias,
    check_description,
    check_metrics,
    check_model_name,
    check_tags,
    parse_model_ref,
)
from noria.registry.snapshots import facts_of
from noria.registry.tables import model_tags, model_versions, models
from noria.tracking.lineage_entities import LineageGraph
from noria.tracking.service import Lineage

__all__ = ["AliasNotFound", "ModelExists", "ModelNotFound", "ModelVersionNotFound", "Models"]


class AliasNotFound(NotFound):
    """The model has no alias of this name."""

    code = "alias_not_found"


class Models(Service):
    """Named lines of immutable versions, with aliases that move.

    A name by which a model was known before leads to it still, until another model takes it.
    """

    @operation("GET", "/projects/{project}/models", needs=READ_MODELS)
    def list(self, project: str, limit: int = 100, after: str = "") -> ModelPage:
        """List models in the order of their names, from the one that follows `after`; prompts are left out."""
        bound = max(1, min(limit, 1000))
        with self.context.database.read() as connection:
            key = project_pk(connection, project)
            query = (
                select_models()
                .where(models.c.project_pk == key, models.c.name > after, without_prompts())
                .order_by(models.c.name)
                .limit(bound + 1)
            )
            rows = [ModelRow(*row) for row in connection.execute(query)]
            items = load_models(connection, rows[:bound], {key: project})
        return ModelPage(items=items, next=items[-1].name if len(rows) > bound else None)

    @operation("POST", "/projects/{project}/models", needs=REGISTER_MODELS)
    def create(self, project: str, new: NewModel) -> Model:
        """Make a model without versions; its name may be any text but a path."""
        check_model_name(new.name)
        check_description(new.description)
        check_tags(new.tags)
        with self._change(project) as change:
            made = change.insert_model(new)
            if made is None:
                raise ModelExists(project, new.name)
            change.set_tags(model_tags.c.model_pk, made.pk, new.tags)
            return _load(change.connection, project, made)

    @operation("GET", "/projects/{project}/models/{name}", needs=READ_MODELS)
    def get(self, project: str, name: str) -> Model:
        """Get one model with its aliases and tags."""
        with self.context.database.read() as connection:
            return _load(connection, project, find_model(connection, project, name))

    @operation("PUT", "/projects/{project}/models/{name}/description", needs=REGISTER_MODELS)
    def describe(self, project: str, name: str, description: Description) -> Model:
        """Say what a model is for."""
        check_description(description.text)
        with self._change(project) as change:
            model = find_model(change.connection, project, name, lock=True)
            change.touch(model, description=description.text)
            change.tell(MODEL_UPDATED, model.name)
            return _load(change.connection, project, find_model(change.connection, project, model.name))

    @operation("PATCH", "/projects/{project}/models/{name}/tags", needs=REGISTER_MODELS)
    def tag(self, project: str, name: str, changes: TagChanges) -> Model:
        """Set tags of a model, and delete those that are given as null."""
        check_tags(changes.tags)
        with self._change(project) as change:
            model = find_model(change.connection, project, name, lock=True)
            change.set_tags(
                model_tags.c.model_pk,
                model.pk,
                changes.tags,
                told=(MODEL_TAG_SET, MODEL_TAG_DELETED, model.name, {}),
            )
            return _load(change.connection, project, model)

    @operation("PUT", "/projects/{project}/models/{name}/name", needs=PROMOTE_MODELS)
    def rename(self, project: str, name: str, new: NewName) -> Model:
        """Give a model another name; the one before leads to it until another model takes it."""
        check_model_name(new.name, field="new_name")
        with self._change(project) as change:
            change.rename(find_model(change.connection, project, name, lock=True), new.name)
            return _load(change.connection, project, find_model(change.connection, project, new.name))

    @operation("DELETE", "/projects/{project}/models/{name}", needs=PROMOTE_MODELS)
    def delete(self, project: str, name: str) -> None:
        """Delete a model with all versions; it can be restored until `noria gc` removes it for good."""
        with self._change(project) as change:
            change.delete_model(find_model(change.connection, project, name, lock=True))

    @operation("POST", "/projects/{project}/models/{name}/versions", needs=REGISTER_MODELS)
    def register(self, project: str, name: str, new: NewModelVersion) -> ModelVersion:
        """Register a version whose files were uploaded before; a model that is not there yet is made."""
        check_metrics(new.metrics)
        with self._change(project) as change:
            connection = change.connection
            if not _exists(connection, project, name):
                check_name("model", name)
            model = change.find_or_insert(name)
            identity = new_id()
            values: dict[str, object] = {
                "id": identity,
                "digest": new.digest,
                "format": new.format,
                "task": new.task.value,
                "signature": new.signature,
                "classes": new.classes,
                "holdout": new.holdout,
                "metrics": new.metrics,
                "pickled": new.format in CODE_FORMATS,
                "message": new.message,
                "author": author_of(self.context, new.author),
                "created_at": change.now,
            }
            add_tree_reference(
                connection,
                self.context.clock,
                self.context.objects,
                project=project,
                digest=new.digest,
                owner=owner_of(identity),
            )
            if new.origin.environment is not None:
                add_reference(
                    connection,
                    self.context.clock,
                    project=project,
                    digest=new.origin.environment,
                    owner=owner_of(identity),
                )
            if new.format == MLFLOW_FORMAT:
                values |= self._read_from_files(new.digest)
            _, number = change.insert_version(model, values, origin=new.origin)
            return get_version(connection, model, number)

    @operation("GET", "/projects/{project}/models/{name}/versions", needs=READ_MODELS)
    def versions(
        self, project: str, name: str, limit: int = 50, before: int | None = None
    ) -> ModelVersionPage:
        """List a model's versions, newest first."""
        bound = max(1, min(limit, 1000))
        with self.context.database.read() as connection:
            model = find_model(connection, project, name)
            query = (
                select_versions()
                .where(model_versions.c.model_pk == model.pk)
                .order_by(model_versions.c.version.desc())
                .limit(bound + 1)
            )
            if before is not None:
                query = query.where(model_versions.c.version < before)
            found = load_versions(connection, query)
        items = found[:bound]
        return ModelVersionPage(items=items, next=items[-1].version if len(found) > bound else None)

    @operation("GET", "/projects/{project}/models/{name}/versions/{version}", needs=READ_MODELS)
    def version(self, project: str, name: str, version: int) -> ModelVersion:
        """Get one version."""
        with self.context.database.read() as connection:
            return get_version(connection, find_model(connection, project, name), version)

    @operation("GET", "/projects/{project}/model-refs/{ref}", needs=READ_MODELS)
    def resolve(self, project: str, ref: str) -> ModelVersion:
        """Get the version that `digits` (the newest), `digits@3` or `digits@champion` means."""
        name, selector = parse_model_ref(ref)
        with self.context.database.read() as connection:
            model = find_model(connection, project, name)
            if isinstance(selector, str):
                selector = _aliased(connection, model, selector)
            return get_version(connection, model, model.latest if selector is None else selector)

    @operation("PUT", "/projects/{project}/models/{name}/aliases/{alias}", needs=PROMOTE_MODELS)
    def set_alias(self, project: str, name: str, alias: str, target: AliasTarget) -> ModelVersion:
        """Point an alias at a version; nothing happens when it points there already."""
        check_alias(alias)
        with self._change(project) as change:
            model = find_model(change.connection, project, name, lock=True)
            change.move_alias(model, alias, target.version)
            return get_version(change.connection, model, target.version)

    @operation("DELETE", "/projects/{project}/models/{name}/aliases/{alias}", needs=PROMOTE_MODELS)
    def delete_alias(self, project: str, name: str, alias: str) -> None:
        """Delete an alias; the version stays."""
        with self._change(project) as change:
            model = find_model(change.connection, project, name, lock=True)
            change.delete_alias(model, alias, _aliased(change.connection, model, alias))

    @operation("GET", "/projects/{project}/models/{name}/versions/{version}/lineage", needs=READ_MODELS)
    def lineage(self, project: str, name: str, version: int) -> LineageGraph:
        """Walk from a version to the runs and data that it was made from."""
        with self.context.database.read() as connection:
            model = find_model(connection, project, name)
            found = get_version(connection, model, version)
            named = sa.select(model_versions.c.registered_as).where(model_versions.c.id == found.id)
            # The run that made it knows it by the name that the model had then.
            then = connection.execute(named).scalar_one()
        return self.sibling(Lineage).upstream(project, f"model:{then}@{version}")

    def _read_from_files(self, digest: str) -> dict[str, object]:
        """Tell what the caller's word is not taken for: whether the files are pickles."""
        facts = facts_of(self.context, digest)
        if facts is None:
            raise Invalid(
                f"The files `{digest}` are not in MLflow's format: they have no `MLmodel` file that can be read",
                hint="Register the folder that MLflow saved the model to",
            )
        return {"flavor": facts.flavor, "pickled": facts.pickled}

    @contextmanager
    def _change(self, project: str) -> Iterator[Change]:
        with self.context.database.write(durable=True) as connection:
            yield Change(self.context, connection, project)


def _load(connection: sa.Connection, project: str, row: ModelRow) -> Model:
    return load_models(connection, [row], {row.project_pk: project})[0]


def _exists(connection: sa.Connection, project: str, name: str) -> bool:
    query = sa.select(models.c.pk).where(
        models.c.project_pk == project_pk(connection, project), models.c.name == name
    )
    return connection.execute(query).first() is not None


def _aliased(connection: sa.Connection, model: ModelRow, alias: str) -> int:
    known = aliases_of(connection, [model.pk]).get(model.pk, {})
    if alias not in known:
        unknown = unknown_name(
            f"alias of `{model.name}`", alias, known, see=f"noria models show {model.name}"
        )
        raise AliasNotFound(unknown.message, hint=unknown.hint, details={"name": model.name, "alias": alias})
    return known[alias]
