"""Change models and versions: each function writes rows and tells the event, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from noria.access.projects import project_pk
from noria.core.database.engine import upsertable
from noria.core.errors import Conflict, Invalid
from noria.core.events.log import EventType, append
from noria.core.ids import new_id
from noria.registry.entities import ModelVersion, NewModel, Origin, Stage
from noria.registry.events import (
    MODEL_ALIAS_DELETED,
    MODEL_ALIAS_MOVED,
    MODEL_CREATED,
    MODEL_DELETED,
    MODEL_RENAMED,
    MODEL_VERSION_DELETED,
    MODEL_VERSION_REGISTERED,
    MODEL_VERSION_RESTORED,
    MODEL_VERSION_STAGE_MOVED,
)
from noria.registry.rows import ModelRow, aliases_of, find_model, get_version
from noria.registry.tables import (
    former_model_names,
    model_aliases,
    model_approvals,
    model_versions,
    models,
)
from noria.registry.uses import ModelVersionInUse, endpoints_of
from noria.registry.validation.gates import check_gate
from noria.registry.validation.rows import version_key

if TYPE_CHECKING:
    from noria.core.context import Context


class ModelExists(Conflict):
    """The project has a model of this name."""

    code = "model_exists"

    def __init__(self, project: str, name: str) -> None:
        super().__init__(
            f"There is a model `{name}` already",
            hint=f"Choose another name, or see it: `noria models versions {name}`",
            details={"project": project, "name": name},
        )


class Change:
    """The changes of one transaction in one project.

    Parameters
    ----------
    context
        Whose clock, database and principal are meant.
    """

    def __init__(self, context: Context, connection: sa.Connection, project: str) -> None:
        self.connection = connection
        self.project = project
        self.now = context.clock.now()
        self._context = context

    def tell(self, kind: EventType, subject: str, payload: dict[str, Any] | None = None) -> None:
        """Append an event about `model:<subject>`."""
        append(
            self.connection,
            self._context.clock,
            actor=self._context.principal.name,
            type=kind,
            subject=f"model:{subject}",
            project=self.project,
            payload=payload,
        )

    def insert_model(self, new: NewModel) -> ModelRow | None:
        """Make a model; None when there is one of that name."""
        key = project_pk(self.connection, self.project)
        at = new.created_at or self.now
        identity = new_id()
        insert = self._insert(models).values(
            id=identity,
            project_pk=key,
            name=new.name,
            latest=0,
            last_number=0,
            created_at=at,
            updated_at=at,
            description=new.description,
            author=self._context.principal.name,
        )
        # Two first versions at once must meet on one row: on PostgreSQL the second waits here for the first's end.
        quiet = insert.on_conflict_do_nothing(index_elements=["project_pk", "name"])
        if self.connection.execute(quiet.returning(models.c.pk)).first() is None:
            return None
        self._take_name(key, new.name)
        self.tell(MODEL_CREATED, new.name, {"id": identity})
        return find_model(self.connection, self.project, new.name)

    def find_or_insert(self, name: str) -> ModelRow:
        """Find the model that has exactly this name, or make it; locked until the end of the transaction."""
        self.insert_model(NewModel(name=name))
        return find_model(self.connection, self.project, name, lock=True)

    def touch(self, model: ModelRow, **values: Any) -> None:
        """Change a model's row, and note when."""
        self.connection.execute(
            sa.update(models).where(models.c.pk == model.pk).values(updated_at=self.now, **values)
        )

    def rename(self, model: ModelRow, name: str) -> None:
        """Give a model another name; the one before leads to it until another model takes it."""
        if name == model.name:
            self.touch(model)
            return
        taken = sa.select(models.c.pk).where(models.c.project_pk == model.project_pk, models.c.name == name)
        if self.connection.execute(taken).first() is not None:
            raise ModelExists(self.project, name)
        self.touch(model, name=name)
        self._take_name(model.project_pk, name)
        former = {"project_pk": model.project_pk, "name": model.name, "model_pk": model.pk}
        self.connection.execute(sa.insert(former_model_names).values(**former))
        self.connection.execute(
            sa.update(model_versions).where(model_versions.c.model_pk == model.pk).values(updated_at=self.now)
        )
        self.tell(MODEL_RENAMED, name, {"before": model.name})

    def delete_model(self, model: ModelRow) -> None:
        """Delete a model with its versions: the name is free, and the rest is kept until it is purged.

        Raises
        ------
        ModelVersionInUse
            If an endpoint serves one of them.
        """
        alive = (
            sa.select(model_versions.c.id, model_versions.c.digest, model_versions.c.version)
            .where(model_versions.c.model_pk == model.pk)
            .where(model_versions.c.deleted_at.is_(None))
        )
        found = self.connection.execute(alive).all()
        for version_id, digest, number in found:
            self._check_unused(version_id, digest, f"{model.name}@{number}")
        of_model = (model_versions.c.model_pk == model.pk, model_versions.c.deleted_at.is_(None))
        self.connection.execute(sa.update(model_versions).where(*of_model).values(deleted_at=self.now))
        self.touch(model, name=f"{model.name}:{model.id}", deleted_at=self.now, latest=0)
        self.tell(MODEL_DELETED, model.name, {"id": model.id, "n_versions": len(found)})

    def insert_version(
        self, model: ModelRow, values: Mapping[str, Any], *, number: int | None = None, origin: Origin
    ) -> tuple[int, int]:
        """Write a version; give its key and its number, which is the next one unless a higher one is given."""
        chosen = model.last_number + 1 if number is None else number
        if chosen <= model.last_number:
            raise Invalid(
                f"The model `{model.name}` gave the number {chosen} already: its last is {model.last_number}",
                hint="Give a higher number, or none",
            )
        row = {
            "stage": Stage.NONE.value,
            "pickled": False,
            **values,
            "model_pk": model.pk,
            "version": chosen,
            "updated_at": values["created_at"],
            "origin": origin,
            "run_id": origin.run_id,
            "registered_as": model.name,
        }
        insert = sa.insert(model_versions).values(**row).returning(model_versions.c.pk)
        key = self.connection.execute(insert).scalar_one()
        self.touch(model, latest=chosen, last_number=chosen)
        payload = {
            "version": chosen,
            "digest": row.get("digest"),
            "run": origin.run_id,
            "metrics": row["metrics"],
        }
        self.tell(MODEL_VERSION_REGISTERED, f"{model.name}@{chosen}", payload)
        return key, chosen

    def touch_version(self, model: ModelRow, number: int, **values: Any) -> None:
        """Change a version's row, and note when."""
        self.connection.execute(
            sa.update(model_versions)
            .where(model_versions.c.model_pk == model.pk, model_versions.c.version == number)
            .values(updated_at=self.now, **values)
        )

    def delete_version(self, model: ModelRow, number: int) -> None:
        """Delete a version: its aliases go, its number is never given again, and the rest is kept until it is purged.

        Raises
        ------
        ModelVersionInUse
            If an endpoint serves it.
        """
        found = get_version(self.connection, model, number)
        self._check_unused(found.id, found.digest, found.ref)
        for alias in found.aliases:
            self.delete_alias(model, alias, number)
        self.touch_version(model, number, deleted_at=self.now)
        self._find_latest(model)
        payload = {"version": number, "digest": found.digest}
        self.tell(MODEL_VERSION_DELETED, f"{model.name}@{number}", payload)

    def restore_version(self, model: ModelRow, number: int, digest: str | None) -> None:
        """Let a deleted version be there again, in the stage that it had and without aliases."""
        self.touch_version(model, number, deleted_at=None)
        self._find_latest(model)
        payload = {"version": number, "digest": digest}
        self.tell(MODEL_VERSION_RESTORED, f"{model.name}@{number}", payload)

    def _find_latest(self, model: ModelRow) -> None:
        newest = (
            sa.select(sa.func.coalesce(sa.func.max(model_versions.c.version), 0))
            .where(model_versions.c.model_pk == model.pk)
            .where(model_versions.c.deleted_at.is_(None))
        )
        self.touch(model, latest=self.connection.execute(newest).scalar_one())

    def move_stage(self, model: ModelRow, number: int, stage: Stage, *, archive_existing: bool) -> None:
        """Let a version stand in a stage, and send those that stood there to the archive if wanted."""
        before = get_version(self.connection, model, number).stage
        if archive_existing:
            self._archive(model, number, stage)
        self.touch_version(model, number, stage=stage.value)
        self.touch(model)
        if before is not stage:
            self._tell_stage(model, number, stage, before)

    def move_alias(self, model: ModelRow, alias: str, number: int) -> None:
        """Point an alias at a version; nothing happens when it points there already.

        Raises
        ------
        GateClosed
            If the project asks more of a version before it may have this alias.
        """
        found = get_version(self.connection, model, number)
        before = aliases_of(self.connection, [model.pk]).get(model.pk, {}).get(alias)
        if before == number:
            return
        check_gate(self._context, self.connection, found, alias)
        insert = self._insert(model_aliases).values(
            model_pk=model.pk, alias=alias, version=number, moved_at=self.now
        )
        self.connection.execute(
            insert.on_conflict_do_update(
                index_elements=["model_pk", "alias"], set_={"version": number, "moved_at": self.now}
            )
        )
        payload = {"alias": alias, "version": number, "before": before}
        self.tell(MODEL_ALIAS_MOVED, model.name, payload)

    def insert_approval(self, version: ModelVersion, *, alias: str, given_by: str, **values: Any) -> None:
        """Write an approval, in the place of the one that the same person gave before."""
        named = {"version_pk": version_key(self.connection, version), "alias": alias, "given_by": given_by}
        said = {**values, "given_at": self.now}
        insert = self._insert(model_approvals).values(**named, **said)
        self.connection.execute(insert.on_conflict_do_update(index_elements=list(named), set_=said))

    def drop_approval(self, version: ModelVersion, *, alias: str, given_by: str) -> bool:
        """Take an approval away; tell whether there was one."""
        gone = sa.delete(model_approvals).where(
            model_approvals.c.version_pk == version_key(self.connection, version),
            model_approvals.c.alias == alias,
            model_approvals.c.given_by == given_by,
        )
        return self.connection.execute(gone).rowcount > 0

    def delete_alias(self, model: ModelRow, alias: str, number: int) -> None:
        """Take an alias away."""
        self.connection.execute(
            sa.delete(model_aliases)
            .where(model_aliases.c.model_pk == model.pk)
            .where(model_aliases.c.alias == alias)
        )
        self.tell(MODEL_ALIAS_DELETED, model.name, {"alias": alias, "version": number})

    def set_tags(
        self,
        owner: sa.Column[int],
        key: int,
        tags: Mapping[str, str | None],
        told: tuple[EventType, EventType, str, dict[str, Any]] | None = None,
    ) -> None:
        """Set tags, delete those whose value is None, and tell of each that changed.

        Parameters
        ----------
        owner, key
            The column of a table of tags, and whose they are.
        told
            Event of a tag that was set and of one that was deleted, subject, and what else their payload has; None
            to tell nothing.
        """
        table = owner.table
        query = sa.select(table.c.key, table.c.value).where(owner == key, table.c.key.in_(list(tags)))
        before = dict(self.connection.execute(query).all())
        for name, value in tags.items():
            if before.get(name) == value:
                continue
            if value is None:
                self.connection.execute(sa.delete(table).where(owner == key, table.c.key == name))
            else:
                insert = self._insert(table).values({owner.name: key, "key": name, "value": value})
                self.connection.execute(
                    insert.on_conflict_do_update(index_elements=[owner.name, "key"], set_={"value": value})
                )
            if told is not None:
                when_set, when_deleted, subject, payload = told
                self.tell(when_deleted if value is None else when_set, subject, {**payload, "key": name})

    def _check_unused(self, version_id: str, digest: str | None, ref: str) -> None:
        users = endpoints_of(self.connection, project=self.project, version_id=version_id, digest=digest)
        if users:
            raise ModelVersionInUse(ref, users)

    def _archive(self, model: ModelRow, number: int, stage: Stage) -> None:
        others = (
            sa.select(model_versions.c.version)
            .where(model_versions.c.model_pk == model.pk, model_versions.c.version != number)
            .where(model_versions.c.stage == stage.value, model_versions.c.deleted_at.is_(None))
        )
        for other in self.connection.execute(others).scalars().all():
            self.touch_version(model, other, stage=Stage.ARCHIVED.value)
            self._tell_stage(model, other, Stage.ARCHIVED, stage)

    def _tell_stage(self, model: ModelRow, number: int, stage: Stage, before: Stage) -> None:
        payload = {"version": number, "stage": stage.value, "before": before.value}
        self.tell(MODEL_VERSION_STAGE_MOVED, f"{model.name}@{number}", payload)

    def _take_name(self, key: int, name: str) -> None:
        self.connection.execute(
            sa.delete(former_model_names).where(
                former_model_names.c.project_pk == key, former_model_names.c.name == name
            )
        )

    def _insert(self, table: sa.Table) -> Any:
        return upsertable(self.connection.dialect.name, table)


def owner_of(version_id: str) -> str:
    """Name who keeps the files of a version, among the references of objects."""
    return f"model-version:{version_id}"


def author_of(context: Context, given: str | None) -> str:
    """Give who registers: whoever calls, unless the workspace's owner names somebody."""
    caller = context.principal.name
    return given if caller == "local" and given else caller
