"""Operations on scorers."""

from __future__ import annotations

import uuid
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
from noria.tracking.limits import check_length, shorten
from noria.tracking.reviewing.events import SCORER_DELETED, SCORER_REGISTERED
from noria.tracking.reviewing.places import active_experiment
from noria.tracking.reviewing.scorer_content import gateway_of, model_of, read_content
from noria.tracking.reviewing.scorer_entities import (
    NewSampling,
    NewScorer,
    Sampling,
    SamplingList,
    SamplingSearch,
    Scorer,
    ScorerList,
    ScorerSearch,
)
from noria.tracking.reviewing.tables import scorer_samplings, scorer_versions, scorers
from noria.tracking.tables import experiments
from noria.tracking.traces.fields import TRACES
from noria.tracking.traces.permissions import FIND_TRACES, READ_TRACES, WRITE_TRACES

MAX_NAME_CHARS: Final = 256
MAX_CONTENT_CHARS: Final = 1_000_000
MAX_WANTED: Final = 10_000

_SCORERS = scorers.c
_VERSIONS = scorer_versions.c
_SAMPLINGS = scorer_samplings.c


class ScorerNotFound(NotFound):
    """There is no such scorer, or not this version of it."""

    code = "scorer_not_found"

    def __init__(self, name: str, version: int | None) -> None:
        which = "" if version is None else f" version {version} of"
        super().__init__(f"There is no{which} scorer `{shorten(name)}` in this experiment")


class Scorers(Service):
    """What judges answers of applications, kept as data."""

    @operation("POST", "/projects/{project}/scorers", needs=WRITE_TRACES)
    def register(self, project: str, new: NewScorer) -> Scorer:
        """Keep a scorer, as the next version if there is one of the name."""
        _check_new(new)
        created_ms = to_micros(new.created_at or self.context.clock.now()) // 1_000
        with self.context.database.write() as connection:
            place = active_experiment(connection, project, new.experiment, hold=True)
            key = _held(connection, place.pk, new.name)
            latest = sa.select(sa.func.max(_VERSIONS.number)).where(_VERSIONS.scorer_pk == key)
            number = _next_version(connection.execute(latest).scalar_one() or 0, new)
            row = {"scorer_pk": key, "number": number, "content": new.content, "created_ms": created_ms}
            connection.execute(sa.insert(scorer_versions).values(**row))
            payload = {"experiment": new.experiment, "name": new.name, "version": number}
            made = _one(connection, place.pk, new.name, number)
            self._tell(connection, SCORER_REGISTERED, made, payload)
            return made

    @operation("POST", "/scorers/search", needs=FIND_TRACES, status=200)
    def search(self, wanted: ScorerSearch) -> ScorerList:
        """List the latest versions of scorers of active experiments, by experiment and name."""
        query = _LATEST.where(experiments.c.deleted_at.is_(None))
        if wanted.experiments is not None:
            if len(wanted.experiments) > MAX_WANTED:
                raise Invalid(f"At most {MAX_WANTED} experiments can be asked for at once")
            query = query.where(experiments.c.number.in_(wanted.experiments))
        caller = self.context.principal
        with self.context.database.read() as connection:
            rows = connection.execute(query.order_by(experiments.c.number, _SCORERS.name)).fetchall()
        return ScorerList(items=[_scorer(row) for row in rows if caller.may(READ_TRACES, row.project)])

    @operation("GET", "/projects/{project}/scorers/versions", needs=READ_TRACES)
    def versions(self, project: str, experiment: int = 0, name: str = "") -> ScorerList:
        """List the versions of a scorer, oldest first."""
        with self.context.database.read() as connection:
            place = active_experiment(connection, project, experiment)
            query = _SELECT.where(_SCORERS.experiment_pk == place.pk, _SCORERS.name == name)
            rows = connection.execute(query.order_by(_VERSIONS.number)).fetchall()
        if not rows:
            raise ScorerNotFound(name, None)
        return ScorerList(items=list(map(_scorer, rows)))

    @operation("GET", "/projects/{project}/scorers/version", needs=READ_TRACES)
    def get(self, project: str, experiment: int = 0, name: str = "", version: int | None = None) -> Scorer:
        """Get a version of a scorer, or the latest one."""
        with self.context.database.read() as connection:
            place = active_experiment(connection, project, experiment)
            return _one(connection, place.pk, name, version)

    @operation("DELETE", "/projects/{project}/scorers", needs=WRITE_TRACES)
    def delete(self, project: str, experiment: int = 0, name: str = "", version: int | None = None) -> None:
        """Delete a scorer for good, or one version of it."""
        with self.context.database.write() as connection:
            place = active_experiment(connection, project, experiment)
            found = _one(connection, place.pk, name, version)
            key = sa.select(_SCORERS.pk).where(_SCORERS.id == found.id).scalar_subquery()
            where: list[sa.ColumnElement[bool]] = [_VERSIONS.scorer_pk == key]
            if version is None:
                connection.execute(sa.delete(scorers).where(_SCORERS.id == found.id))
            else:
                connection.execute(sa.delete(scorer_versions).where(*where, _VERSIONS.number == version))
            payload = {"experiment": experiment, "name": name, "version": version}
            self._tell(connection, SCORER_DELETED, found, payload)

    @operation("PUT", "/projects/{project}/scorers/sampling", needs=WRITE_TRACES)
    def set_sampling(self, project: str, new: NewSampling) -> Sampling:
        """Say which part of the traces a scorer shall judge; what runs scorers reads it, this server runs none."""
        if not 0.0 <= new.sample_rate <= 1.0:
            raise Invalid(f"sample_rate must be between 0.0 and 1.0, got {new.sample_rate}")
        if new.filter:
            TRACES.parse_filter(new.filter)
        with self.context.database.write() as connection:
            place = active_experiment(connection, project, new.experiment)
            found = _one(connection, place.pk, new.name, None)
            if new.sample_rate > 0:
                _check_samplable(found)
            key = connection.execute(sa.select(_SCORERS.pk).where(_SCORERS.id == found.id)).scalar_one()
            values: dict[str, Any] = {"id": new_id(), "sample_rate": new.sample_rate, "filter": new.filter}
            insert = upsertable(connection.dialect.name, scorer_samplings).values(scorer_pk=key, **values)
            connection.execute(insert.on_conflict_do_update(index_elements=["scorer_pk"], set_=values))
        return Sampling(
            id=values["id"],
            scorer_id=found.id,
            experiment=new.experiment,
            sample_rate=new.sample_rate,
            filter=new.filter,
        )

    @operation("POST", "/scorers/samplings", needs=FIND_TRACES, status=200)
    def samplings(self, wanted: SamplingSearch) -> SamplingList:
        """List the samplings of scorers, as far as they have one and the caller may read them."""
        if len(wanted.scorer_ids) > MAX_WANTED:
            raise Invalid(f"At most {MAX_WANTED} scorers can be asked for at once")
        caller = self.context.principal
        with self.context.database.read() as connection:
            rows = connection.execute(_SAMPLED.where(_SCORERS.id.in_(wanted.scorer_ids))).fetchall()
        return SamplingList(
            items=[
                Sampling(
                    id=row.id,
                    scorer_id=row.scorer_id,
                    experiment=row.number,
                    sample_rate=row.sample_rate,
                    filter=row.filter,
                )
                for row in rows
                if caller.may(READ_TRACES, row.project)
            ]
        )

    def _tell(
        self, connection: sa.Connection, kind: EventType, scorer: Scorer, payload: dict[str, Any]
    ) -> None:
        subject = f"scorer:{scorer.id}"
        append_event(connection, self.context, kind, subject=subject, project=scorer.project, payload=payload)


def _check_new(new: NewScorer) -> None:
    if not new.name.strip():
        raise Invalid("Scorer name cannot be empty or contain only whitespace.")
    check_length("scorer name", new.name, MAX_NAME_CHARS)
    check_length("text of the scorer", new.content, MAX_CONTENT_CHARS)
    read_content(new.content)


def _next_version(latest: int, new: NewScorer) -> int:
    if new.version is None:
        return latest + 1
    if new.version <= latest:
        raise Conflict(
            f"The version {new.version} of the scorer `{shorten(new.name)}` is not above the latest, {latest}",
            hint="Leave the number out",
        )
    return new.version


def _check_samplable(scorer: Scorer) -> None:
    if gateway_of(model_of(read_content(scorer.content))) is None:
        raise Invalid(
            f"Scorer '{shorten(scorer.name)}' does not use a gateway model. Automatic evaluation is only"
            " supported for scorers that use gateway models."
        )
    raise Invalid(
        f"Scorer '{shorten(scorer.name)}' cannot judge traces as they come: this server has no gateway",
        hint="Run it with `mlflow.genai.evaluate`, or set `sample_rate` to 0",
    )


def _held(connection: sa.Connection, experiment: int, name: str) -> int:
    """Give the key of a scorer, made if need be, and hold it, so that its versions count one by one."""
    values = {"id": str(uuid.uuid4()), "experiment_pk": experiment, "name": name}
    insert = upsertable(connection.dialect.name, scorers).values(**values)
    connection.execute(insert.on_conflict_do_nothing())
    where = (_SCORERS.experiment_pk == experiment, _SCORERS.name == name)
    return int(connection.execute(sa.select(_SCORERS.pk).where(*where).with_for_update()).scalar_one())


def _one(connection: sa.Connection, experiment: int, name: str, version: int | None) -> Scorer:
    query = _SELECT.where(_SCORERS.experiment_pk == experiment, _SCORERS.name == name)
    if version is not None:
        query = query.where(_VERSIONS.number == version)
    row = connection.execute(query.order_by(_VERSIONS.number.desc()).limit(1)).first()
    if row is None:
        raise ScorerNotFound(name, version)
    return _scorer(row)


def _scorer(row: Any) -> Scorer:
    return Scorer(
        id=row.id,
        project=row.project,
        experiment=row.experiment,
        name=row.name,
        version=row.number,
        content=row.content,
        created_at=from_micros(row.created_ms * 1_000),
    )


_SELECT = (
    sa.select(
        _SCORERS.id,
        _SCORERS.name,
        _VERSIONS.number,
        _VERSIONS.content,
        _VERSIONS.created_ms,
        experiments.c.number.label("experiment"),
        projects.c.name.label("project"),
    )
    .select_from(scorers)
    .join(scorer_versions, _VERSIONS.scorer_pk == _SCORERS.pk)
    .join(experiments, experiments.c.pk == _SCORERS.experiment_pk)
    .join(projects, projects.c.pk == experiments.c.project_pk)
)
_NEWER = scorer_versions.alias("newer")
_LATEST = _SELECT.where(
    ~sa.exists().where(_NEWER.c.scorer_pk == _VERSIONS.scorer_pk, _NEWER.c.number > _VERSIONS.number)
)
_SAMPLED = (
    sa.select(
        _SAMPLINGS.id,
        _SAMPLINGS.sample_rate,
        _SAMPLINGS.filter,
        _SCORERS.id.label("scorer_id"),
        experiments.c.number,
        projects.c.name.label("project"),
    )
    .select_from(scorer_samplings)
    .join(scorers, _SCORERS.pk == _SAMPLINGS.scorer_pk)
    .join(experiments, experiments.c.pk == _SCORERS.experiment_pk)
    .join(projects, projects.c.pk == experiments.c.project_pk)
    .order_by(_SCORERS.pk)
)
