"""Review queues as rows: find them, make them, change them, read them with their users and questions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from noria.access.tables import projects
from noria.core.database.engine import upsertable
from noria.core.database.schema import from_micros
from noria.core.errors import Conflict, Invalid, NotFound
from noria.core.ids import new_id
from noria.tracking.limits import shorten
from noria.tracking.reviewing.queue_entities import (
    NewReviewQueue,
    QueueType,
    ReviewQueue,
    ReviewQueueChange,
    ReviewQueuePlace,
)
from noria.tracking.reviewing.queue_limits import custom_name, tidy_owner, tidy_schemas, tidy_users
from noria.tracking.reviewing.tables import (
    label_schemas,
    review_queue_items,
    review_queue_schemas,
    review_queue_users,
    review_queues,
)
from noria.tracking.tables import experiments

ID_PREFIX: Final = "rq-"

_QUEUES = review_queues.c
_USERS = review_queue_users.c
_SCHEMAS = review_queue_schemas.c


class ReviewQueueNotFound(NotFound):
    """There is no review queue of this id or name that the caller may read."""

    code = "review_queue_not_found"

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no review queue `{shorten(name)}`")


class ReviewQueueTaken(Conflict):
    """The experiment has a review queue of this name, perhaps in another case."""

    code = "review_queue_taken"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"Review queue with name '{shorten(name)}' already exists (names are case-insensitive)."
        )


def find_key(connection: sa.Connection, project: str, queue_id: str) -> int:
    """Get the key of a queue of a project.

    Raises
    ------
    ReviewQueueNotFound
        If the project has none of this id.
    """
    row = connection.execute(_PLACE.where(_QUEUES.id == queue_id)).first()
    if row is None or row.project != project:
        raise ReviewQueueNotFound(queue_id)
    return int(row.pk)


def hold_queue(connection: sa.Connection, project: str, queue_id: str) -> int:
    """Get the key of a queue, and hold it: whoever adds traces and whoever changes questions take turns."""
    key = find_key(connection, project, queue_id)
    query = sa.select(_QUEUES.pk).where(_QUEUES.pk == key).with_for_update()
    if connection.execute(query).scalar_one_or_none() is None:
        raise ReviewQueueNotFound(queue_id)
    return key


def place_of_queue(connection: sa.Connection, queue_id: str) -> ReviewQueuePlace | None:
    """Find where a queue belongs."""
    row = connection.execute(_PLACE.where(_QUEUES.id == queue_id)).first()
    if row is None:
        return None
    return ReviewQueuePlace(id=queue_id, project=row.project, experiment=row.number)


def select_queues() -> sa.Select[Any]:
    """Give the query of queues."""
    return sa.select(_QUEUES.created_ms, _QUEUES.id, _QUEUES.pk)


def insert_queue(connection: sa.Connection, experiment: int, new: NewReviewQueue, now_ms: int) -> int:
    """Make a queue, and give its key.

    Raises
    ------
    ReviewQueueTaken
        If there is one of this name.
    """
    _check_schemas(connection, experiment, new.experiment, new.schemas)
    values = {
        "id": f"{ID_PREFIX}{new_id()}",
        "experiment_pk": experiment,
        "name": new.name,
        "name_key": new.name.lower(),
        "type": new.type.value,
        "created_by": new.created_by,
        "created_ms": now_ms,
        "updated_ms": now_ms,
    }
    insert = upsertable(connection.dialect.name, review_queues).values(**values).on_conflict_do_nothing()
    key = connection.execute(insert.returning(_QUEUES.pk)).scalar_one_or_none()
    if key is None:
        raise ReviewQueueTaken(new.name)
    _set_users(connection, key, new.users)
    _set_schemas(connection, key, new.schemas)
    return int(key)


def change_queue(
    connection: sa.Connection, key: int, had: ReviewQueue, change: ReviewQueueChange, now_ms: int
) -> list[str]:
    """Change a queue that is held, and give the names of the fields.

    Raises
    ------
    Invalid
        If it is a person's own, or its questions shall change although it has traces.
    ReviewQueueTaken
        If another has the new name.
    """
    if had.type is QueueType.USER:
        raise Invalid(
            "A user queue's name, assigned user, schemas, and owner are fixed and cannot be updated."
        )
    fields = [name for name in change.__struct_fields__ if getattr(change, name) is not None]
    if not fields:
        return []
    values = _named(change)
    if change.users is not None:
        _set_users(connection, key, tidy_users(change.users))
    if change.schemas is not None:
        _change_schemas(connection, key, had.experiment, tidy_schemas(change.schemas))
    try:
        update = sa.update(review_queues).where(_QUEUES.pk == key)
        connection.execute(update.values(**values, updated_ms=now_ms))
    except sa.exc.IntegrityError as error:
        raise ReviewQueueTaken(values.get("name", "")) from error
    return fields


def _named(change: ReviewQueueChange) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if change.owner is not None:
        values["created_by"] = tidy_owner(change.owner)
    if change.name is not None:
        name = custom_name(change.name)
        values |= {"name": name, "name_key": name.lower()}
    return values


def _change_schemas(connection: sa.Connection, key: int, number: int, ids: Sequence[str]) -> None:
    _check_empty(connection, key)
    of = sa.select(_QUEUES.experiment_pk).where(_QUEUES.pk == key)
    _check_schemas(connection, connection.execute(of).scalar_one(), number, ids)
    _set_schemas(connection, key, ids)


def load_queues(connection: sa.Connection, keys: Sequence[int]) -> list[ReviewQueue]:
    """Read queues, in the order of their keys given."""
    rows = {row.pk: row for row in connection.execute(_SELECT.where(_QUEUES.pk.in_(keys)))}
    users: dict[int, list[str]] = {key: [] for key in keys}
    schemas: dict[int, list[str]] = {key: [] for key in keys}
    by_user = sa.select(_USERS.queue_pk, _USERS.user).where(_USERS.queue_pk.in_(keys)).order_by(_USERS.user)
    for key, user in connection.execute(by_user):
        users[key].append(user)
    asked = sa.select(_SCHEMAS.queue_pk, _SCHEMAS.schema_id).where(_SCHEMAS.queue_pk.in_(keys))
    for key, schema_id in connection.execute(asked.order_by(_SCHEMAS.schema_id)):
        schemas[key].append(schema_id)
    return [_queue(rows[key], users[key], schemas[key]) for key in keys]


def _queue(row: Any, users: list[str], schemas: list[str]) -> ReviewQueue:
    return ReviewQueue(
        id=row.id,
        project=row.project,
        experiment=row.number,
        name=row.name,
        type=QueueType(row.type),
        users=users,
        schemas=schemas,
        created_by=row.created_by,
        created_at=from_micros(row.created_ms * 1_000),
        updated_at=from_micros(row.updated_ms * 1_000),
    )


def _check_schemas(connection: sa.Connection, experiment: int, number: int, ids: Sequence[str]) -> None:
    of = label_schemas.c
    query = sa.select(of.id).where(of.experiment_pk == experiment, of.id.in_(ids))
    known = set(connection.execute(query).scalars())
    unknown = [each for each in ids if each not in known]
    if unknown:
        raise Invalid(f"Label schema id(s) {unknown} not found for experiment '{number}'.")


def _check_empty(connection: sa.Connection, key: int) -> None:
    if connection.execute(sa.select(sa.exists().where(review_queue_items.c.queue_pk == key))).scalar_one():
        raise Invalid(
            "A review queue's questions are locked once items are assigned to it. Remove the items before"
            " changing its questions."
        )


def _set_users(connection: sa.Connection, key: int, users: Sequence[str]) -> None:
    connection.execute(sa.delete(review_queue_users).where(_USERS.queue_pk == key))
    if users:
        rows = [{"queue_pk": key, "user": user} for user in users]
        connection.execute(sa.insert(review_queue_users), rows)


def _set_schemas(connection: sa.Connection, key: int, ids: Sequence[str]) -> None:
    connection.execute(sa.delete(review_queue_schemas).where(_SCHEMAS.queue_pk == key))
    if ids:
        rows = [{"queue_pk": key, "schema_id": each} for each in ids]
        connection.execute(sa.insert(review_queue_schemas), rows)


_PLACE = (
    sa.select(_QUEUES.pk, experiments.c.number, projects.c.name.label("project"))
    .join(experiments, experiments.c.pk == _QUEUES.experiment_pk)
    .join(projects, projects.c.pk == experiments.c.project_pk)
)
_SELECT = (
    sa.select(
        *(column for column in _QUEUES if column.name not in ("experiment_pk", "name_key")),
        experiments.c.number,
        projects.c.name.label("project"),
    )
    .join(experiments, experiments.c.pk == _QUEUES.experiment_pk)
    .join(projects, projects.c.pk == experiments.c.project_pk)
)
