"""Operations on label schemas."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa

from noria.access.tables import projects
from noria.core.database.engine import upsertable
from noria.core.database.schema import from_micros, to_micros
from noria.core.errors import Conflict, Invalid, NotFound
from noria.core.events.log import EventType
from noria.core.ids import new_id
from noria.core.operations import Service, operation
from noria.tracking.events import append_event
from noria.tracking.limits import shorten
from noria.tracking.reviewing.events import LABEL_SCHEMA_CREATED, LABEL_SCHEMA_DELETED, LABEL_SCHEMA_UPDATED
from noria.tracking.reviewing.label_entities import (
    FreeText,
    LabelSchema,
    LabelSchemaChange,
    LabelSchemaPage,
    LabelSchemaPlace,
    LabelType,
    NewLabelSchema,
)
from noria.tracking.reviewing.label_limits import (
    DEFAULT_INSTRUCTION,
    DEFAULT_NAME,
    check_input,
    check_instruction,
    check_label_name,
    check_same_kind,
)
from noria.tracking.reviewing.places import active_experiment, newest_first
from noria.tracking.reviewing.tables import label_schemas
from noria.tracking.search.page_tokens import mark_of
from noria.tracking.tables import experiments
from noria.tracking.traces.permissions import FIND_TRACES, READ_TRACES, WRITE_TRACES

_SCHEMAS = label_schemas.c
ID_PREFIX: Final = "ls-"


class LabelSchemaNotFound(NotFound):
    """There is no label schema of this id or name that the caller may read."""

    code = "label_schema_not_found"

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no label schema `{shorten(name)}`")


class LabelSchemaTaken(Conflict):
    """The experiment has a label schema of this name."""

    code = "label_schema_taken"

    def __init__(self, name: str) -> None:
        super().__init__(f"The experiment has a label schema `{shorten(name)}`", hint="Use another name")


class LabelSchemas(Service):
    """Questions that reviewers of traces are asked."""

    @operation("POST", "/projects/{project}/label-schemas", needs=WRITE_TRACES)
    def create(self, project: str, new: NewLabelSchema) -> LabelSchema:
        """Write a question."""
        check_label_name(new.name)
        check_instruction(new.instruction)
        check_input(new.input)
        with self.context.database.write() as connection:
            place = active_experiment(connection, project, new.experiment, hold=True)
            key = self._insert(connection, place.pk, new, is_default=False)
            if key is None:
                raise LabelSchemaTaken(new.name)
            made = _load(connection, key)
            payload = {"experiment": new.experiment, "name": new.name}
            self._tell(connection, LABEL_SCHEMA_CREATED, made, payload)
            return made

    @operation("GET", "/projects/{project}/label-schemas/{schema_id}", needs=READ_TRACES)
    def get(self, project: str, schema_id: str) -> LabelSchema:
        """Get one question."""
        with self.context.database.read() as connection:
            return _load(connection, _key(connection, project, schema_id))

    @operation("GET", "/label-schemas/{schema_id}/place", needs=FIND_TRACES)
    def locate(self, schema_id: str) -> LabelSchemaPlace:
        """Find the project of a question that the caller may read."""
        with self.context.database.read() as connection:
            found = connection.execute(_PLACE.where(_SCHEMAS.id == schema_id)).first()
        if found is None or not self.context.principal.may(READ_TRACES, found.project):
            raise LabelSchemaNotFound(schema_id)
        return LabelSchemaPlace(id=schema_id, project=found.project)

    @operation("GET", "/projects/{project}/label-schemas/named", needs=READ_TRACES)
    def named(self, project: str, experiment: int = 0, name: str = "") -> LabelSchema:
        """Get a question of an experiment by its name."""
        with self.context.database.read() as connection:
            place = active_experiment(connection, project, experiment)
            where = (_SCHEMAS.experiment_pk == place.pk, _SCHEMAS.name == name)
            key = connection.execute(sa.select(_SCHEMAS.pk).where(*where)).scalar_one_or_none()
            if key is None:
                raise LabelSchemaNotFound(name)
            return _load(connection, key)

    @operation("GET", "/projects/{project}/label-schemas", needs=READ_TRACES)
    def list(
        self, project: str, experiment: int = 0, limit: int = 100, after: str | None = None
    ) -> LabelSchemaPage:
        """List the questions of an experiment, newest first; there is at least the one that every experiment has."""
        mark = mark_of("label-schemas", experiment)
        with self.context.database.read() as connection:
            place = active_experiment(connection, project, experiment)
            whether = sa.exists().where(_SCHEMAS.experiment_pk == place.pk, _SCHEMAS.is_default)
            has_default = connection.execute(sa.select(whether)).scalar_one()
        if not has_default:
            with self.context.database.write() as connection:
                self._insert(connection, place.pk, _default(experiment), is_default=True)
        with self.context.database.read() as connection:
            query = _SELECT.where(_SCHEMAS.experiment_pk == place.pk)
            order = (_SCHEMAS.created_ms, _SCHEMAS.id)
            rows, following = newest_first(connection, query, order, mark, limit, after)
        return LabelSchemaPage(items=[_schema(row) for row in rows], next=following)

    @operation("PATCH", "/projects/{project}/label-schemas/{schema_id}", needs=WRITE_TRACES)
    def update(self, project: str, schema_id: str, change: LabelSchemaChange) -> LabelSchema:
        """Change a question; whether it asks for feedback, and by which kind of input, stays."""
        with self.context.database.write() as connection:
            key = _key(connection, project, schema_id)
            values = _changed(_load(connection, key), change)
            updated = {**values, "updated_ms": self._now_ms()}
            try:
                connection.execute(sa.update(label_schemas).where(_SCHEMAS.pk == key).values(**updated))
            except sa.exc.IntegrityError as error:
                raise LabelSchemaTaken(change.name or "") from error
            changed = _load(connection, key)
            self._tell(connection, LABEL_SCHEMA_UPDATED, changed, {"fields": sorted(values)})
            return changed

    @operation("DELETE", "/projects/{project}/label-schemas/{schema_id}", needs=WRITE_TRACES)
    def delete(self, project: str, schema_id: str) -> None:
        """Delete a question; the assessments that answer it stay."""
        with self.context.database.write() as connection:
            key = _key(connection, project, schema_id)
            found = _load(connection, key)
            if found.is_default:
                raise Invalid("The experiment's default question cannot be deleted.")
            connection.execute(sa.delete(label_schemas).where(_SCHEMAS.pk == key))
            payload = {"experiment": found.experiment, "name": found.name}
            self._tell(connection, LABEL_SCHEMA_DELETED, found, payload)

    def _now_ms(self) -> int:
        return to_micros(self.context.clock.now()) // 1_000

    def _insert(
        self, connection: sa.Connection, experiment: int, new: NewLabelSchema, *, is_default: bool
    ) -> int | None:
        """Give the key of what was made, or None if the name is taken."""
        now_ms = self._now_ms()
        values = {
            "id": f"{ID_PREFIX}{new_id()}",
            "experiment_pk": experiment,
            "name": new.name,
            "type": new.type.value,
            "input": new.input,
            "instruction": new.instruction,
            "enable_comment": new.enable_comment,
            "is_default": is_default,
            "created_ms": now_ms,
            "updated_ms": now_ms,
        }
        insert = upsertable(connection.dialect.name, label_schemas).values(**values).on_conflict_do_nothing()
        key: int | None = connection.execute(insert.returning(_SCHEMAS.pk)).scalar_one_or_none()
        return key

    def _tell(
        self, connection: sa.Connection, kind: EventType, schema: LabelSchema, payload: dict[str, Any]
    ) -> None:
        subject = f"label-schema:{schema.id}"
        append_event(connection, self.context, kind, subject=subject, project=schema.project, payload=payload)


def _default(experiment: int) -> NewLabelSchema:
    return NewLabelSchema(
        experiment=experiment,
        name=DEFAULT_NAME,
        type=LabelType.FEEDBACK,
        input=FreeText(),
        instruction=DEFAULT_INSTRUCTION,
    )


def _changed(had: LabelSchema, change: LabelSchemaChange) -> dict[str, Any]:
    if had.is_default:
        raise Invalid("The experiment's default question cannot be edited.")
    values: dict[str, Any] = {}
    if change.name is not None:
        check_label_name(change.name)
        values["name"] = change.name
    if change.instruction is not None:
        check_instruction(change.instruction)
        values["instruction"] = change.instruction
    if change.enable_comment is not None:
        values["enable_comment"] = change.enable_comment
    if change.input is not None:
        check_input(change.input)
        check_same_kind(had.input, change.input)
        values["input"] = change.input
    return values


def _key(connection: sa.Connection, project: str, schema_id: str) -> int:
    found = connection.execute(_PLACE.where(_SCHEMAS.id == schema_id)).first()
    if found is None or found.project != project:
        raise LabelSchemaNotFound(schema_id)
    return int(found.pk)


def _load(connection: sa.Connection, key: int) -> LabelSchema:
    return _schema(connection.execute(_SELECT.where(_SCHEMAS.pk == key)).one())


def _schema(row: Any) -> LabelSchema:
    return LabelSchema(
        id=row.id,
        project=row.project,
        experiment=row.experiment,
        name=row.name,
        type=LabelType(row.type),
        input=row.input,
        instruction=row.instruction,
        enable_comment=row.enable_comment,
        is_default=row.is_default,
        created_at=from_micros(row.created_ms * 1_000),
        updated_at=from_micros(row.updated_ms * 1_000),
    )


_PLACE = (
    sa.select(_SCHEMAS.pk, projects.c.name.label("project"))
    .join(experiments, experiments.c.pk == _SCHEMAS.experiment_pk)
    .join(projects, projects.c.pk == experiments.c.project_pk)
)
_SELECT = (
    sa.select(
        _SCHEMAS.created_ms,
        _SCHEMAS.id,
        _SCHEMAS.name,
        _SCHEMAS.type,
        _SCHEMAS.input,
        _SCHEMAS.instruction,
        _SCHEMAS.enable_comment,
        _SCHEMAS.is_default,
        _SCHEMAS.updated_ms,
        experiments.c.number.label("experiment"),
        projects.c.name.label("project"),
    )
    .join(experiments, experiments.c.pk == _SCHEMAS.experiment_pk)
    .join(projects, projects.c.pk == experiments.c.project_pk)
)
