"""Operations on registered models."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from noria.access.projects import project_pk
from noria.core.errors import NotFound, unknown_name
from noria.core.events.log import EventType, append
from noria.core.ids import new_id
from noria.core.names import check_name
from noria.core.objects.tree_references import add_tree_reference
from noria.core.operations import Service, operation
from noria.registry.entities import (
    AliasTarget,
    Model,
    ModelPage,
    ModelVersion,
    ModelVersionPage,
    NewModelVersion,
    Task,
    check_alias,
    check_metrics,
    parse_model_ref,
)
from noria.registry.events import MODEL_ALIAS_DELETED, MODEL_ALIAS_MOVED, MODEL_VERSION_REGISTERED
from noria.registry.permissions import PROMOTE_MODELS, READ_MODELS, REGISTER_MODELS
from noria.registry.tables import model_aliases, model_versions, models
from noria.tracking.entities import LineageGraph
from noria.tracking.service import Lineage


class ModelVersionNotFound(NotFound):
    """The registered model exists, but not in this version."""

    code = "model_version_not_found"

    def __init__(self, name: str, version: int, *, latest: int) -> None:
        known = "Its only version is 1" if latest == 1 else f"It has the versions 1 to {latest}"
        super().__init__(
            f"The model `{name}` has no version {version}",
            hint=f"{known} (see `noria models versions {name}`)",
            details={"name": name, "version": version, "latest": latest},
        )


class Models(Service):
    """Named lines of immutable versions, with aliases that move."""

    @operation("GET", "/projects/{project}/models", needs=READ_MODELS)
    def list(self, project: str, limit: int = 100, after: str = "") -> ModelPage:
        """List models in the order of their names, from the one that follows `after`."""
        bound = max(1, min(limit, 1000))
        with self.context.database.read() as connection:
            query = (
                sa.select(models)
                .where(models.c.project_pk == project_pk(connection, project))
                .where(models.c.name > after)
                .order_by(models.c.name)
                .limit(bound + 1)
            )
            rows = connection.execute(query).mappings().all()
            aliases = _aliases(connection, [row["pk"] for row in rows])
        items = [_model(project, row, aliases.get(row["pk"], {})) for row in rows[:bound]]
        return ModelPage(items=items, next=items[-1].name if len(rows) > bound else None)

    @operation("GET", "/projects/{project}/models/{name}", needs=READ_MODELS)
    def get(self, project: str, name: str) -> Model:
        """Get one model with its aliases."""
        with self.context.database.read() as connection:
            row = _find(connection, project, name)
            return _model(project, row, _aliases(connection, [row["pk"]]).get(row["pk"], {}))

    @operation("POST", "/projects/{project}/models/{name}/versions", needs=REGISTER_MODELS)
    def register(self, project: str, name: str, new: NewModelVersion) -> ModelVersion:
        """Register a version whose files were uploaded before."""
        check_name("model", name)
        check_metrics(new.metrics)
        with self.context.database.write(durable=True) as connection:
            model = self._find_or_create(connection, project, name)
            values = self._values(model["latest"] + 1, new)
            add_tree_reference(
                connection,
                self.context.clock,
                self.context.objects,
                project=project,
                digest=new.digest,
                owner=f"model-version:{values['id']}",
            )
            connection.execute(sa.insert(model_versions).values(model_pk=model["pk"], **values))
            connection.execute(
                sa.update(models).where(models.c.pk == model["pk"]).values(latest=values["version"])
            )
            payload = {
                "version": values["version"],
                "digest": new.digest,
                "run": new.origin.run_id,
                "metrics": new.metrics,
            }
            self._emit(
                connection, project, MODEL_VERSION_REGISTERED, f"model:{name}@{values['version']}", payload
            )
        return _version(project, name, values, [])

    @operation("GET", "/projects/{project}/models/{name}/versions", needs=READ_MODELS)
    def versions(
        self, project: str, name: str, limit: int = 50, before: int | None = None
    ) -> ModelVersionPage:
        """List a model's versions, newest first."""
        bound = max(1, min(limit, 1000))
        with self.context.database.read() as connection:
            model = _find(connection, project, name)
            query = (
                sa.select(*_VERSION_COLUMNS)
                .where(model_versions.c.model_pk == model["pk"])
                .order_by(model_versions.c.version.desc())
                .limit(bound + 1)
            )
            if before is not None:
                query = query.where(model_versions.c.version < before)
            rows = connection.execute(query).mappings().all()
            aliases = _aliases(connection, [model["pk"]]).get(model["pk"], {})
        items = [_version(project, name, row, _pointing(aliases, row["version"])) for row in rows[:bound]]
        return ModelVersionPage(items=items, next=items[-1].version if len(rows) > bound else None)

    @operation("GET", "/projects/{project}/models/{name}/versions/{version}", needs=READ_MODELS)
    def version(self, project: str, name: str, version: int) -> ModelVersion:
        """Get one version."""
        with self.context.database.read() as connection:
            model = _find(connection, project, name)
            if not 1 <= version <= model["latest"]:
                raise ModelVersionNotFound(name, version, latest=model["latest"])
            query = (
                sa.select(*_VERSION_COLUMNS)
                .where(model_versions.c.model_pk == model["pk"])
                .where(model_versions.c.version == version)
            )
            row = connection.execute(query).mappings().one()
            aliases = _aliases(connection, [model["pk"]]).get(model["pk"], {})
        return _version(project, name, row, _pointing(aliases, version))

    @operation("GET", "/projects/{project}/model-refs/{ref}", needs=READ_MODELS)
    def resolve(self, project: str, ref: str) -> ModelVersion:
        """Get the version that `digits` (the newest), `digits@3` or `digits@champion` means."""
        name, selector = parse_model_ref(ref)
        if isinstance(selector, int):
            return self.version(project, name, selector)
        model = self.get(project, name)
        if selector is None:
            return self.version(project, name, model.latest)
        if selector not in model.aliases:
            raise unknown_name(f"alias of `{name}`", selector, model.aliases, see=f"noria models show {name}")
        return self.version(project, name, model.aliases[selector])

    @operation("PUT", "/projects/{project}/models/{name}/aliases/{alias}", needs=PROMOTE_MODELS)
    def set_alias(self, project: str, name: str, alias: str, target: AliasTarget) -> ModelVersion:
        """Point an alias at a version; nothing happens when it points there already."""
        check_alias(alias)
        with self.context.database.write(durable=True) as connection:
            model = _find(connection, project, name, lock=True)
            if not 1 <= target.version <= model["latest"]:
                raise ModelVersionNotFound(name, target.version, latest=model["latest"])
            before = _aliases(connection, [model["pk"]]).get(model["pk"], {}).get(alias)
            if before != target.version:
                self._move_alias(connection, model["pk"], alias, target.version)
                payload = {"alias": alias, "version": target.version, "before": before}
                self._emit(connection, project, MODEL_ALIAS_MOVED, f"model:{name}", payload)
        return self.version(project, name, target.version)

    @operation("DELETE", "/projects/{project}/models/{name}/aliases/{alias}", needs=PROMOTE_MODELS)
    def delete_alias(self, project: str, name: str, alias: str) -> None:
        """Delete an alias; the version stays."""
        with self.context.database.write(durable=True) as connection:
            model = _find(connection, project, name, lock=True)
            known = _aliases(connection, [model["pk"]]).get(model["pk"], {})
            if alias not in known:
                raise unknown_name(f"alias of `{name}`", alias, known, see=f"noria models show {name}")
            connection.execute(
                sa.delete(model_aliases)
                .where(model_aliases.c.model_pk == model["pk"])
                .where(model_aliases.c.alias == alias)
            )
            payload = {"alias": alias, "version": known[alias]}
            self._emit(connection, project, MODEL_ALIAS_DELETED, f"model:{name}", payload)

    @operation("GET", "/projects/{project}/models/{name}/versions/{version}/lineage", needs=READ_MODELS)
    def lineage(self, project: str, name: str, version: int) -> LineageGraph:
        """Walk from a version to the runs and data that it was made from."""
        found = self.version(project, name, version)
        return self.sibling(Lineage).upstream(project, f"model:{found.ref}")

    def _find_or_create(self, connection: sa.Connection, project: str, name: str) -> Any:
        new = {
            "id": new_id(),
            "project_pk": project_pk(connection, project),
            "name": name,
            "latest": 0,
            "created_at": self.context.clock.now(),
        }
        # Two first versions at once must meet on one row; on PostgreSQL the update locks it until the commit.
        insert = self.context.database.insert(models).values(**new)
        connection.execute(
            insert.on_conflict_do_update(index_elements=["project_pk", "name"], set_={"name": name})
        )
        return _find(connection, project, name)

    def _values(self, version: int, new: NewModelVersion) -> dict[str, Any]:
        caller = self.context.principal.name
        return {
            "id": new_id(),
            "version": version,
            "digest": new.digest,
            "format": new.format,
            "task": new.task.value,
            "signature": new.signature,
            "classes": new.classes,
            "holdout": new.holdout,
            "metrics": new.metrics,
            "origin": new.origin,
            "message": new.message,
            "author": new.author if caller == "local" and new.author else caller,
            "created_at": self.context.clock.now(),
        }

    def _move_alias(self, connection: sa.Connection, model_pk: int, alias: str, version: int) -> None:
        now = self.context.clock.now()
        insert = self.context.database.insert(model_aliases).values(
            model_pk=model_pk, alias=alias, version=version, moved_at=now
        )
        connection.execute(
            insert.on_conflict_do_update(
                index_elements=["model_pk", "alias"], set_={"version": version, "moved_at": now}
            )
        )

    def _emit(
        self, connection: sa.Connection, project: str, kind: EventType, subject: str, payload: dict[str, Any]
    ) -> None:
        append(
            connection,
            self.context.clock,
            actor=self.context.principal.name,
            type=kind,
            subject=subject,
            project=project,
            payload=payload,
        )


_VERSION_COLUMNS = [column for column in model_versions.c if column.name not in ("pk", "model_pk")]


def _find(connection: sa.Connection, project: str, name: str, *, lock: bool = False) -> Any:
    in_project = models.c.project_pk == project_pk(connection, project)
    query = sa.select(models).where(in_project).where(models.c.name == name)
    row = connection.execute(query.with_for_update() if lock else query).mappings().one_or_none()
    if row is None:
        known = connection.execute(sa.select(models.c.name).where(in_project).limit(1000)).scalars()
        raise unknown_name("model", name, known, see="noria models list")
    return row


def _aliases(connection: sa.Connection, model_pks: list[int]) -> dict[int, dict[str, int]]:
    query = (
        sa.select(model_aliases.c.model_pk, model_aliases.c.alias, model_aliases.c.version)
        .where(model_aliases.c.model_pk.in_(model_pks))
        .order_by(model_aliases.c.alias)
    )
    found: dict[int, dict[str, int]] = {}
    for row in connection.execute(query):
        found.setdefault(row.model_pk, {})[row.alias] = row.version
    return found


def _pointing(aliases: dict[str, int], version: int) -> list[str]:
    return [alias for alias, target in aliases.items() if target == version]


def _model(project: str, row: Any, aliases: dict[str, int]) -> Model:
    fields = {key: value for key, value in row.items() if key not in ("pk", "project_pk")}
    return Model(project=project, aliases=aliases, **fields)


def _version(project: str, name: str, row: Any, aliases: list[str]) -> ModelVersion:
    return ModelVersion(project=project, model=name, aliases=aliases, **{**row, "task": Task(row["task"])})
