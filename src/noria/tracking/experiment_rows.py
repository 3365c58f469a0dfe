"""Experiments as rows: find them, make them, read them with their tags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from noria.access.projects import project_pk
from noria.access.tables import projects
from noria.core.context import Context
from noria.core.database.alchemy import sa
from noria.core.database.engine import upsertable
from noria.core.database.prepared import Prepared, as_list, listed
from noria.core.database.schema import Converters, from_micros
from noria.core.errors import Conflict, unknown_name
from noria.core.ids import new_id
from noria.tracking.events import EXPERIMENT_CREATED, append_event
from noria.tracking.experiment_entities import Experiment, NewExperiment
from noria.tracking.keys import intern_keys
from noria.tracking.limits import shorten
from noria.tracking.tables import experiment_numbers, experiment_tags, experiments, tracking_keys

Row = dict[str, Any]
"""Columns of an experiment by name, and the name of its `project`."""


class ExperimentDeleted(Conflict):
    """The experiment was deleted: it can be read and restored, and nothing else."""

    code = "experiment_deleted"

    def __init__(self, project: str, name: str) -> None:
        super().__init__(
            f"The experiment `{shorten(name)}` is deleted",
            hint=f"Restore it with `noria experiments restore {shorten(name)!r}`, or use another",
            details={"project": project, "name": name},
        )


def find_experiment(connection: sa.Connection, project: int, name: str) -> Row | None:
    """Find an experiment of the project with this key by its name, deleted or not."""
    return _row(_BY_NAME.first(connection, {"project": project, "name": name}))


def find_numbered_experiment(connection: sa.Connection, number: int) -> Row | None:
    """Find an experiment of any project by its number, deleted or not."""
    return _row(_BY_NUMBER.first(connection, {"number": number}))


def get_experiment(connection: sa.Connection, project: int, name: str) -> Row:
    """Get an experiment by its name, deleted or not.

    Raises
    ------
    NotFound
        With the near name.
    """
    found = find_experiment(connection, project, name)
    if found is None:
        known = sa.select(experiments.c.name).where(experiments.c.project_pk == project).limit(1000)
        raise unknown_name(
            "experiment", shorten(name), connection.execute(known).scalars(), see="noria experiments list"
        )
    return found


def held_experiment(connection: sa.Connection, row: Row) -> Row:
    """Give an experiment as it is now, and hold it until the transaction ends: nobody adds runs meanwhile."""
    if connection.dialect.name != "postgresql":
        return row
    held = sa.select(experiments.c.deleted_at).where(experiments.c.pk == row["pk"]).with_for_update()
    return {**row, "deleted_at": connection.execute(held).scalar_one()}


def find_or_create_experiment(
    connection: sa.Connection, context: Context, project: str, new: NewExperiment
) -> tuple[Row, bool]:
    """Give the row of an experiment, and whether it was made now."""
    owner = project_pk(connection, project)
    found = find_experiment(connection, owner, new.name)
    if found is None and connection.dialect.name == "postgresql":
        # Makers of experiments queue here until the commit; whoever waited may find what it was to make.
        connection.execute(sa.select(experiment_numbers.c.last).with_for_update())
        found = find_experiment(connection, owner, new.name)
    if found is not None:
        return found, False
    return _create(connection, context, project, owner, new), True


def experiments_of(connection: sa.Connection, rows: Sequence[Row]) -> list[Experiment]:
    """Make experiments of their rows, with their tags, in the order of the rows."""
    tags: dict[int, dict[str, str]] = {row["pk"]: {} for row in rows}
    for pk, key, value in _TAGS.all(connection, {"experiments": as_list(tags)}):
        tags[pk][key] = value
    return [
        Experiment(
            id=row["id"],
            project=row["project"],
            name=row["name"],
            number=row["number"],
            created_at=row["created_at"],
            updated_at=row["updated_at"],
            deleted_at=row["deleted_at"],
            artifact_location=row["artifact_location"],
            tags=dict(sorted(tags[row["pk"]].items())),
        )
        for row in rows
    ]


def select_experiments() -> sa.Select[Any]:
    """Give the query of experiments with the names of their projects."""
    return sa.select(*_columns()).join(projects, projects.c.pk == experiments.c.project_pk)


def write_experiment_tags(connection: sa.Connection, experiment: int, tags: Mapping[str, str | None]) -> None:
    """Set tags of an experiment; None removes one."""
    keys = intern_keys(connection, tags)
    pairs = sorted((keys[key], value) for key, value in tags.items() if value is not None)
    if pairs:
        _SET_TAGS.many_tuples(connection, [(experiment, key, value) for key, value in pairs])
    removed = sorted(keys[key] for key, value in tags.items() if value is None)
    if removed:
        _REMOVE_TAGS.many_tuples(connection, [(experiment, key) for key in removed])


def _create(connection: sa.Connection, context: Context, project: str, owner: int, new: NewExperiment) -> Row:
    ((number,),) = _NEXT_NUMBER.all(connection, {})
    now = context.clock.now()
    values: Row = {
        "id": new_id(),
        "project_pk": owner,
        "name": new.name,
        "number": number,
        "created_at": new.created_at or now,
        "updated_at": new.created_at or now,
        "deleted_at": None,
        "artifact_location": new.artifact_location,
    }
    ((pk,),) = _INSERT.all(connection, _NEW.to_driver(values))
    row: Row = {**values, "pk": pk, "project": project}
    write_experiment_tags(connection, row["pk"], new.tags)
    append_event(
        connection,
        context,
        EXPERIMENT_CREATED,
        subject=f"experiment:{row['id']}",
        project=project,
        payload={"number": number},
    )
    return row


def _columns() -> tuple[sa.ColumnElement[Any], ...]:
    return (
        experiments.c.pk,
        experiments.c.id,
        experiments.c.project_pk,
        experiments.c.name,
        experiments.c.number,
        experiments.c.created_at,
        experiments.c.updated_at,
        experiments.c.deleted_at,
        experiments.c.artifact_location,
        projects.c.name.label("project"),
    )


_NAMES = (
    "pk",
    "id",
    "project_pk",
    "name",
    "number",
    "created_at",
    "updated_at",
    "deleted_at",
    "artifact_location",
    "project",
)
_INSTANTS = ("created_at", "updated_at", "deleted_at")


def _row(values: tuple[Any, ...] | None) -> Row | None:
    if values is None:
        return None
    row = dict(zip(_NAMES, values, strict=True))
    for name in _INSTANTS:
        if row[name] is not None:
            row[name] = from_micros(row[name])
    return row


def _set_tags(dialect: str) -> sa.Executable:
    insert = upsertable(dialect, experiment_tags).values(
        {column.name: sa.bindparam(column.name) for column in experiment_tags.c}
    )
    return insert.on_conflict_do_update(
        index_elements=["experiment_pk", "key_pk"], set_={"value": insert.excluded.value}
    )


_NEXT_NUMBER = Prepared(
    lambda _: (
        sa.update(experiment_numbers)
        .values(last=experiment_numbers.c.last + sa.literal_column("1"))
        .returning(experiment_numbers.c.last)
    )
)
_NEW = Converters(experiments)
_INSERT = Prepared(
    lambda _: (
        sa.insert(experiments)
        .values({column.name: sa.bindparam(column.name) for column in experiments.c if column.name != "pk"})
        .returning(experiments.c.pk)
    )
)
_BY_NAME = Prepared(
    lambda _: (
        select_experiments()
        .where(experiments.c.project_pk == sa.bindparam("project"))
        .where(experiments.c.name == sa.bindparam("name"))
    )
)
_BY_NUMBER = Prepared(lambda _: select_experiments().where(experiments.c.number == sa.bindparam("number")))
_TAGS = Prepared(
    lambda dialect: (
        sa.select(experiment_tags.c.experiment_pk, tracking_keys.c.key, experiment_tags.c.value)
        .join(tracking_keys, tracking_keys.c.pk == experiment_tags.c.key_pk)
        .where(experiment_tags.c.experiment_pk.in_(listed(dialect, "experiments", sa.BigInteger())))
    )
)
_SET_TAGS = Prepared(_set_tags)
_REMOVE_TAGS = Prepared(
    lambda _: (
        sa.delete(experiment_tags)
        .where(experiment_tags.c.experiment_pk == sa.bindparam("experiment"))
        .where(experiment_tags.c.key_pk == sa.bindparam("key"))
    )
)
