"""Operations on evaluation data sets."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from noria.access.projects import project_pk
from noria.access.tables import projects
from noria.core.database.engine import upsertable
from noria.core.database.schema import from_micros, to_micros
from noria.core.errors import Conflict, Invalid, NotFound
from noria.core.ids import is_id, new_id
from noria.core.operations import Service, operation
from noria.tracking.evaluation_entities import (
    EvaluationDataset,
    EvaluationDatasetPage,
    EvaluationDatasetPlace,
    EvaluationDatasetSearch,
    EvaluationExperiments,
    EvaluationTags,
    NewEvaluationDataset,
    NewRecords,
    RecordIds,
    RecordPage,
    RecordsDeleted,
    RecordsKept,
)
from noria.tracking.evaluation_records import (
    USER_TAG,
    count_records,
    delete_records,
    keep_records,
    read_records,
    user_of,
    widened_schema,
)
from noria.tracking.evaluation_search import find_datasets
from noria.tracking.evaluation_tables import (
    evaluation_dataset_experiments,
    evaluation_dataset_tags,
    evaluation_datasets,
)
from noria.tracking.limits import check_length, check_title
from noria.tracking.tables import experiments
from noria.tracking.traces.limits import MAX_KEY_CHARS, MAX_VALUE_CHARS, check_count
from noria.tracking.traces.permissions import FIND_TRACES, READ_TRACES, WRITE_TRACES
from noria.tracking.traces.places import readable

MAX_PAGE = 1_000
MAX_RECORDS = 10_000

_SETS = evaluation_datasets.c
_TAGS = evaluation_dataset_tags.c
_USES = evaluation_dataset_experiments.c


class EvaluationDatasetNotFound(NotFound):
    """There is no set of this id that the caller may read."""

    code = "evaluation_dataset_not_found"

    def __init__(self, dataset_id: str) -> None:
        super().__init__(f"There is no evaluation data set `{dataset_id[:100]}`")


class EvaluationDatasets(Service):
    """Sets of inputs, with what should come out."""

    @operation("POST", "/projects/{project}/evaluation-datasets", needs=WRITE_TRACES)
    def create(self, project: str, new: NewEvaluationDataset) -> EvaluationDataset:
        """Make a set; several may have the same name."""
        check_title("evaluation data set", new.name)
        _check_tags(new.tags)
        _check_id(new.id)
        now_ms = self._now_ms() if new.created_at is None else to_micros(new.created_at) // 1_000
        user = new.tags.get(USER_TAG)
        with self.context.database.write() as connection:
            values = {
                "id": new.id or f"d-{new_id()}",
                "project_pk": project_pk(connection, project),
                "name": new.name,
                "digest": _digest(new.name, now_ms),
                "n_records": 0,
                "created_ms": now_ms,
                "updated_ms": now_ms,
                "created_by": user,
                "updated_by": user,
            }
            insert = upsertable(connection.dialect.name, evaluation_datasets).values(**values)
            made = connection.execute(insert.on_conflict_do_nothing().returning(_SETS.pk))
            key = made.scalar_one_or_none()
            if key is None:
                raise Conflict(f"There is an evaluation data set `{new.id}` already", hint="Leave the id out")
            _set_tags(connection, key, dict(new.tags))
            self._associate(connection, key, new.experiments)
            return self._load(connection, [key])[0]

    @operation("GET", "/projects/{project}/evaluation-datasets/{dataset_id}", needs=READ_TRACES)
    def get(self, project: str, dataset_id: str) -> EvaluationDataset:
        """Get one set, without its records."""
        with self.context.database.read() as connection:
            return self._load(connection, [_key(connection, project, dataset_id)])[0]

    @operation("GET", "/evaluation-datasets/{dataset_id}/place", needs=FIND_TRACES)
    def locate(self, dataset_id: str) -> EvaluationDatasetPlace:
        """Find the project of a set that the caller may read."""
        with self.context.database.read() as connection:
            query = sa.select(projects.c.name).join(evaluation_datasets, _SETS.project_pk == projects.c.pk)
            project = connection.execute(query.where(_SETS.id == dataset_id)).scalar_one_or_none()
        if project is None or not self.context.principal.may(READ_TRACES, project):
            raise EvaluationDatasetNotFound(dataset_id)
        return EvaluationDatasetPlace(id=dataset_id, project=project)

    @operation("POST", "/evaluation-datasets/search", needs=FIND_TRACES, status=200)
    def search(self, wanted: EvaluationDatasetSearch) -> EvaluationDatasetPage:
        """Find sets by a filter; newest first unless asked otherwise."""
        bounded = EvaluationDatasetSearch(
            filter=wanted.filter,
            order_by=wanted.order_by,
            limit=max(1, min(wanted.limit, MAX_PAGE)),
            after=wanted.after,
        )
        caller = self.context.principal
        with self.context.database.read() as connection:
            places = None
            if wanted.experiments is not None:
                places = [place.pk for place in readable(connection, caller, wanted.experiments)]
            keys, following = find_datasets(connection, caller, bounded, places)
            return EvaluationDatasetPage(items=self._load(connection, keys), next=following)

    @operation("DELETE", "/projects/{project}/evaluation-datasets/{dataset_id}", needs=WRITE_TRACES)
    def delete(self, project: str, dataset_id: str) -> None:
        """Delete a set with its records, for good."""
        with self.context.database.write() as connection:
            key = _key(connection, project, dataset_id)
            connection.execute(sa.delete(evaluation_datasets).where(_SETS.pk == key))

    @operation("PATCH", "/projects/{project}/evaluation-datasets/{dataset_id}/tags", needs=WRITE_TRACES)
    def set_tags(self, project: str, dataset_id: str, changed: EvaluationTags) -> EvaluationDataset:
        """Set tags, or remove them."""
        _check_tags(changed.tags)
        with self.context.database.write() as connection:
            key = _key(connection, project, dataset_id)
            _set_tags(connection, key, changed.tags)
            return self._load(connection, [key])[0]

    @operation(
        "PATCH", "/projects/{project}/evaluation-datasets/{dataset_id}/experiments", needs=WRITE_TRACES
    )
    def set_experiments(
        self, project: str, dataset_id: str, changed: EvaluationExperiments
    ) -> EvaluationDataset:
        """Say which experiments use a set from now on, and which no longer do."""
        with self.context.database.write() as connection:
            key = _key(connection, project, dataset_id)
            self._associate(connection, key, changed.add)
            left = readable(connection, self.context.principal, changed.remove)
            where = (_USES.dataset_pk == key, _USES.experiment_pk.in_([place.pk for place in left]))
            connection.execute(sa.delete(evaluation_dataset_experiments).where(*where))
            self._touch(connection, key)
            return self._load(connection, [key])[0]

    @operation(
        "POST", "/projects/{project}/evaluation-datasets/{dataset_id}/records", needs=WRITE_TRACES, status=200
    )
    def keep_records(self, project: str, dataset_id: str, new: NewRecords) -> RecordsKept:
        """Keep records; those whose inputs are there already complete what is there."""
        check_count("records", new.records, MAX_RECORDS)
        with self.context.database.write() as connection:
            key = _key(connection, project, dataset_id)
            now_ms = self._now_ms()
            kept = keep_records(connection, key, new.records, now_ms=now_ms)
            row = connection.execute(sa.select(_SETS.name, _SETS.schema).where(_SETS.pk == key)).one()
            changed: dict[str, Any] = {
                "schema": widened_schema(row.schema, new.records),
                "n_records": count_records(connection, key),
                "digest": _digest(row.name, now_ms),
                "updated_by": user_of(new.records),
            }
            self._touch(connection, key, **changed)
        return kept

    @operation("GET", "/projects/{project}/evaluation-datasets/{dataset_id}/records", needs=READ_TRACES)
    def records(
        self, project: str, dataset_id: str, limit: int = 100, after: str | None = None
    ) -> RecordPage:
        """List the records of a set, oldest first, from the ones that follow the page before."""
        with self.context.database.read() as connection:
            key = _key(connection, project, dataset_id)
            return read_records(connection, key, max(1, min(limit, MAX_PAGE)), after)

    @operation(
        "POST",
        "/projects/{project}/evaluation-datasets/{dataset_id}/records/delete",
        needs=WRITE_TRACES,
        status=200,
    )
    def delete_records(self, project: str, dataset_id: str, wanted: RecordIds) -> RecordsDeleted:
        """Delete records by their ids; those that are not there are passed over."""
        check_count("records", wanted.ids, MAX_RECORDS)
        with self.context.database.write() as connection:
            key = _key(connection, project, dataset_id)
            n_records = delete_records(connection, key, wanted.ids)
            if n_records:
                self._touch(connection, key, n_records=count_records(connection, key))
        return RecordsDeleted(n_records=n_records)

    def _now_ms(self) -> int:
        return to_micros(self.context.clock.now()) // 1_000

    def _touch(self, connection: sa.Connection, key: int, **values: Any) -> None:
        changed = {**values, "updated_ms": self._now_ms()}
        connection.execute(sa.update(evaluation_datasets).where(_SETS.pk == key).values(**changed))

    def _associate(self, connection: sa.Connection, key: int, numbers: Sequence[int]) -> None:
        places = readable(connection, self.context.principal, numbers)
        unknown = sorted(set(numbers) - {place.number for place in places})
        if unknown:
            raise NotFound(f"There is no experiment number {unknown[0]}", hint="See `noria experiments list`")
        insert = upsertable(connection.dialect.name, evaluation_dataset_experiments)
        rows = [{"dataset_pk": key, "experiment_pk": place.pk} for place in places]
        if rows:
            connection.execute(insert.on_conflict_do_nothing(), rows)

    def _load(self, connection: sa.Connection, keys: Sequence[int]) -> list[EvaluationDataset]:
        rows = {row.pk: row for row in connection.execute(_SELECT.where(_SETS.pk.in_(keys)))}
        tags: dict[int, dict[str, str]] = {key: {} for key in keys}
        for key, name, value in connection.execute(_SELECT_TAGS.where(_TAGS.dataset_pk.in_(keys))):
            tags[key][name] = value
        numbers: dict[int, list[int]] = {key: [] for key in keys}
        for key, number, project in connection.execute(_SELECT_USES.where(_USES.dataset_pk.in_(keys))):
            if self.context.principal.may(READ_TRACES, project):
                numbers[key].append(number)
        return [_dataset(rows[key], tags[key], numbers[key]) for key in keys]


def _check_id(dataset_id: str | None) -> None:
    if dataset_id is not None and not (dataset_id.startswith("d-") and is_id(dataset_id[2:])):
        raise Invalid(
            f"`{dataset_id[:100]}` cannot be the id of an evaluation data set",
            hint="Use `d-` and 32 digits out of 0-9 and a-f",
        )


def _key(connection: sa.Connection, project: str, dataset_id: str) -> int:
    owner = project_pk(connection, project)
    query = sa.select(_SETS.pk).where(_SETS.id == dataset_id, _SETS.project_pk == owner)
    found = connection.execute(query).scalar_one_or_none()
    if found is None:
        raise EvaluationDatasetNotFound(dataset_id)
    return int(found)


def _set_tags(connection: sa.Connection, key: int, tags: dict[str, str | None]) -> None:
    gone = [name for name, value in tags.items() if value is None]
    connection.execute(sa.delete(evaluation_dataset_tags).where(_TAGS.dataset_pk == key, _TAGS.key.in_(gone)))
    insert = upsertable(connection.dialect.name, evaluation_dataset_tags)
    statement = insert.on_conflict_do_update(
        index_elements=["dataset_pk", "key"], set_={"value": insert.excluded.value}
    )
    rows = [
        {"dataset_pk": key, "key": name, "value": value}
        for name, value in sorted(tags.items())
        if value is not None
    ]
    if rows:
        connection.execute(statement, rows)


def _check_tags(tags: dict[str, str] | dict[str, str | None]) -> None:
    for key, value in tags.items():
        check_length("tag key", key, MAX_KEY_CHARS)
        check_length(f"value of the tag `{key}`", value or "", MAX_VALUE_CHARS)


def _digest(name: str, now_ms: int) -> str:
    return hashlib.sha256(f"{name}:{now_ms}".encode()).hexdigest()[:8]


def _dataset(row: Any, tags: dict[str, str], numbers: list[int]) -> EvaluationDataset:
    return EvaluationDataset(
        id=row.id,
        project=row.project,
        name=row.name,
        digest=row.digest,
        schema=row.schema,
        n_records=row.n_records,
        tags=tags,
        experiments=numbers,
        created_at=from_micros(row.created_ms * 1_000),
        updated_at=from_micros(row.updated_ms * 1_000),
        created_by=row.created_by,
        updated_by=row.updated_by,
    )


_SELECT = sa.select(
    _SETS.pk,
    _SETS.id,
    _SETS.name,
    _SETS.digest,
    _SETS.schema,
    _SETS.n_records,
    _SETS.created_ms,
    _SETS.updated_ms,
    _SETS.created_by,
    _SETS.updated_by,
    projects.c.name.label("project"),
).join(projects, projects.c.pk == _SETS.project_pk)
_SELECT_TAGS = sa.select(_TAGS.dataset_pk, _TAGS.key, _TAGS.value).order_by(_TAGS.key)
_SELECT_USES = (
    sa.select(_USES.dataset_pk, experiments.c.number, projects.c.name)
    .join(experiments, experiments.c.pk == _USES.experiment_pk)
    .join(projects, projects.c.pk == experiments.c.project_pk)
    .order_by(experiments.c.number)
)
