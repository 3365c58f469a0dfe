"""Read what is known of one run, and which runs a list is of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from noria.access.projects import project_pk
from noria.access.tables import projects
from noria.core.database.alchemy import sa
from noria.core.database.prepared import Prepared
from noria.core.database.schema import from_micros
from noria.core.errors import NotFound
from noria.core.ids import is_id
from noria.core.permissions import Principal
from noria.tracking.entities import Lifecycle, Run, RunCount, RunPlace, RunStatus
from noria.tracking.experiment_rows import get_experiment
from noria.tracking.limits import shorten
from noria.tracking.permissions import READ_RUNS
from noria.tracking.point_entities import MetricPoint
from noria.tracking.run_keys import RunKey, no_run, run_pk
from noria.tracking.run_rows import load_runs
from noria.tracking.tables import experiments, metric_latest, run_counts, runs, tracking_keys


class RunState(NamedTuple):
    """What decides what a run may become."""

    key: RunKey
    id: str
    name: str
    status: RunStatus
    started_at: datetime
    ended_at: datetime | None
    author: str


class FoundRun(NamedTuple):
    """A run of whichever project."""

    place: RunPlace
    state: RunState


def run_state(connection: sa.Connection, project: str, run_id: str) -> RunState:
    """Get what decides what a run may become.

    Raises
    ------
    RunNotFound
        If the project has none of this id.
    """
    row = _STATE.first(connection, {"run_id": run_id, "project": project}) if is_id(run_id) else None
    if row is None:
        raise no_run(connection, project, run_id)
    return _state(run_id, row)


def load_run(connection: sa.Connection, project: str, run_id: str) -> Run:
    """Get one run with all that it holds."""
    return load_runs(connection, [run_pk(connection, project, run_id)])[0]


def latest_points(connection: sa.Connection, run: int) -> list[MetricPoint]:
    """Give the latest point of each metric of a run, in the order of keys."""
    return [
        MetricPoint(key=key, value=math.nan if is_nan else value, step=step, at=from_micros(at))
        for key, step, at, is_nan, value in sorted(_LATEST.all(connection, {"run": run}))
    ]


def filtered_runs(
    connection: sa.Connection,
    project: str,
    *,
    experiment: str | None,
    status: RunStatus | None,
    parent: str | None,
    lifecycle: Lifecycle,
) -> sa.Select[int]:
    """Give the query of the integer keys of a project's runs, without order."""
    owner = project_pk(connection, project)
    query = sa.select(runs.c.pk)
    if lifecycle is not Lifecycle.ALL:
        is_active = runs.c.deleted_at.is_(None)
        query = query.where(is_active if lifecycle is Lifecycle.ACTIVE else ~is_active)
    if experiment is not None:
        query = query.where(runs.c.experiment_pk == get_experiment(connection, owner, experiment)["pk"])
    else:
        query = query.where(runs.c.project_pk == owner)
    if status is not None:
        query = query.where(runs.c.status == status)
    if parent is not None:
        query = query.where(runs.c.parent_pk == run_pk(connection, project, parent))
    return query


def counts_of(connection: sa.Connection, project: int) -> list[RunCount]:
    """Give how many runs the experiments of a project have, by status and deletion."""
    return [
        RunCount(experiment=name, status=RunStatus(status), deleted=bool(deleted), n_runs=n_runs)
        for name, status, deleted, n_runs in _COUNTS.all(connection, {"project": project})
    ]


def find_run(connection: sa.Connection, run_id: str) -> FoundRun | None:
    """Find a run of whichever project by its id, deleted or not."""
    row = _FIND.first(connection, {"run_id": run_id}) if is_id(run_id) else None
    if row is None:
        return None
    project, experiment, number, location, *state = row
    found = _state(run_id, state)
    place = RunPlace(
        run_id=run_id,
        project=project,
        experiment=experiment,
        experiment_number=number,
        artifact_location=location,
        deleted_at=None if state[2] is None else from_micros(state[2]),
    )
    return FoundRun(place, found)


def readable_run(connection: sa.Connection, caller: Principal, run_id: str) -> FoundRun:
    """Find a run of whichever project that the caller may read, deleted or not.

    Raises
    ------
    NotFound
        If there is none, or the caller may not read it: the two look the same.
    """
    found = find_run(connection, run_id)
    if found is None or not caller.may(READ_RUNS, found.place.project):
        raise NotFound(f"There is no run `{shorten(run_id)}`", hint="See `noria runs list`")
    return found


def _state(run_id: str, row: Sequence[Any]) -> RunState:
    pk, experiment, deleted, started, name, status, ended, author = row
    return RunState(
        key=RunKey(pk, experiment, deleted is not None),
        id=run_id,
        name=name,
        status=RunStatus(status),
        started_at=from_micros(started),
        ended_at=None if ended is None else from_micros(ended),
        author=author,
    )


# Built once: making a statement costs more than running it.
def _state_columns() -> tuple[sa.Column[Any], ...]:
    return (
        runs.c.pk,
        runs.c.experiment_pk,
        runs.c.deleted_at,
        runs.c.started_at,
        runs.c.name,
        runs.c.status,
        runs.c.ended_at,
        runs.c.author,
    )


_STATE = Prepared(
    lambda _: (
        sa.select(*_state_columns())
        .join(projects, projects.c.pk == runs.c.project_pk)
        .where(runs.c.id == sa.bindparam("run_id"))
        .where(projects.c.name == sa.bindparam("project"))
    )
)
_FIND = Prepared(
    lambda _: (
        sa.select(
            projects.c.name.label("project"),
            experiments.c.name.label("experiment"),
            experiments.c.number,
            experiments.c.artifact_location,
            *_state_columns(),
        )
        .join(experiments, experiments.c.pk == runs.c.experiment_pk)
        .join(projects, projects.c.pk == runs.c.project_pk)
        .where(runs.c.id == sa.bindparam("run_id"))
    )
)
_LATEST = Prepared(
    lambda _: (
        sa.select(
            tracking_keys.c.key,
            metric_latest.c.step,
            metric_latest.c.at,
            metric_latest.c.is_nan,
            metric_latest.c.value,
        )
        .join(tracking_keys, tracking_keys.c.pk == metric_latest.c.key_pk)
        .where(metric_latest.c.run_pk == sa.bindparam("run"))
    )
)
_COUNTS = Prepared(
    lambda _: (
        sa.select(experiments.c.name, run_counts.c.status, run_counts.c.is_deleted, run_counts.c.n_runs)
        .join(run_counts, run_counts.c.experiment_pk == experiments.c.pk)
        .where(experiments.c.project_pk == sa.bindparam("project"))
        .where(run_counts.c.n_runs > sa.literal_column("0"))
        .order_by(experiments.c.number, run_counts.c.is_deleted, run_counts.c.status)
    )
)
