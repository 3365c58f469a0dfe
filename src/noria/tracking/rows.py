"""Read runs out of their tables, a page at a time: a fixed number of queries whatever the page holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from noria.access.projects import project_pk
from noria.access.tables import projects
from noria.core.database.prepared import Prepared
from noria.core.database.schema import from_micros
from noria.core.errors import NotFound, unknown_name
from noria.core.ids import is_id
from noria.tracking.batches import RunKey
from noria.tracking.entities import Link, MetricPoint, Run, RunStatus
from noria.tracking.limits import shorten
from noria.tracking.tables import (
    experiments,
    metric_latest,
    run_links,
    run_params,
    run_tags,
    runs,
    tracking_keys,
)

Row = sa.RowMapping

_parents = runs.alias("parents")

RUN_COLUMNS = [
    runs.c.pk,
    runs.c.id,
    runs.c.name,
    runs.c.status,
    runs.c.started_at,
    runs.c.ended_at,
    runs.c.author,
    runs.c.source,
    experiments.c.name.label("experiment"),
    _parents.c.id.label("parent"),
]


class RunNotFound(NotFound):
    """The project has no run of this id."""

    code = "run_not_found"

    def __init__(self, project: str, run_id: str) -> None:
        super().__init__(
            f"The project `{project}` has no run `{shorten(run_id)}`",
            hint="See `noria runs list`",
            details={"project": project, "run_id": run_id},
        )


def select_runs() -> sa.Select[Any]:
    """Give the query of runs with the names of what they belong to.

    ::

        select runs.…, experiments.name as experiment, parents.id as parent
        from runs join experiments on … left join runs as parents on …
    """
    return (
        sa.select(*RUN_COLUMNS)
        .join_from(runs, experiments, experiments.c.pk == runs.c.experiment_pk)
        .outerjoin(_parents, _parents.c.pk == runs.c.parent_pk)
    )


def find_experiment(connection: sa.Connection, project: int, name: str) -> Row | None:
    """Find an experiment of the project with this key by its name."""
    place = {"project": project, "name": name}
    return connection.execute(_EXPERIMENT_BY_NAME, place).mappings().one_or_none()


def get_experiment(connection: sa.Connection, project: int, name: str) -> Row:
    """Get an experiment by its name.

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


def get_run(connection: sa.Connection, project: str, run_id: str) -> Row:
    """Get the row of one run.

    Raises
    ------
    RunNotFound
        If the project has none of this id.
    """
    place = {"run_id": run_id, "project": project}
    row = connection.execute(_RUN_BY_ID, place).mappings().one_or_none() if is_id(run_id) else None
    if row is None:
        raise _no_run(connection, project, run_id)
    return row


def run_pk(connection: sa.Connection, project: str, run_id: str) -> int:
    """Get the integer key of one run.

    Raises
    ------
    RunNotFound
        If the project has none of this id.
    """
    place = {"run_id": run_id, "project": project}
    found: int | None = connection.execute(_RUN_PK, place).scalar_one_or_none() if is_id(run_id) else None
    if found is None:
        raise _no_run(connection, project, run_id)
    return found


def run_key(connection: sa.Connection, project: str, run_id: str) -> RunKey:
    """Get what the values of a run repeat.

    Raises
    ------
    RunNotFound
        If the project has none of this id.
    """
    place = {"run_id": run_id, "project": project}
    row = _RUN_KEY.first(connection, place) if is_id(run_id) else None
    if row is None:
        raise _no_run(connection, project, run_id)
    pk, experiment, started_at, deleted_at = row
    return RunKey(pk=pk, experiment=experiment, started_at=started_at, deleted=deleted_at is not None)


def _no_run(connection: sa.Connection, project: str, run_id: str) -> RunNotFound:
    project_pk(connection, project)  # if it is the project that does not exist, that is the error
    return RunNotFound(project, run_id)


def load_run(connection: sa.Connection, project: str, run_id: str) -> Run:
    """Get one run with all that it holds."""
    return load_runs(connection, project, [get_run(connection, project, run_id)])[0]


def load_runs(connection: sa.Connection, project: str, rows: Sequence[Row]) -> list[Run]:
    """Make runs of their rows, with params, latest metrics, tags and links, in the order of the rows."""
    keys = [row["pk"] for row in rows]
    params = _values(connection, _PARAMS_OF, keys)
    tags = _values(connection, _TAGS_OF, keys)
    metrics = _latest(connection, keys)
    links = _links(connection, keys)
    return [
        Run(
            id=row["id"],
            project=project,
            experiment=row["experiment"],
            name=row["name"],
            status=RunStatus(row["status"]),
            started_at=row["started_at"],
            ended_at=row["ended_at"],
            params=params[row["pk"]],
            metrics={point.key: point.value for point in metrics[row["pk"]]},
            tags=tags[row["pk"]],
            inputs=links["input"][row["pk"]],
            outputs=links["output"][row["pk"]],
            source=row["source"],
            parent=row["parent"],
            author=row["author"],
        )
        for row in rows
    ]


def latest_points(connection: sa.Connection, run: int) -> list[MetricPoint]:
    """Give the latest point of each metric of a run, in the order of keys."""
    return _latest(connection, [run])[run]


def point_value(row: Row) -> float:
    """Give the float that the columns `value` and `is_nan` stand for."""
    return float("nan") if row["is_nan"] else float(row["value"])


def _values(
    connection: sa.Connection, query: sa.Select[int, str, str], keys: list[int]
) -> dict[int, dict[str, str]]:
    found: dict[int, dict[str, str]] = {key: {} for key in keys}
    for run, key, value in connection.execute(query, {"keys": keys}):
        found[run][key] = value
    return found


def _latest(connection: sa.Connection, keys: list[int]) -> dict[int, list[MetricPoint]]:
    found: dict[int, list[MetricPoint]] = {key: [] for key in keys}
    for row in connection.execute(_LATEST_OF, {"keys": keys}).mappings():
        point = MetricPoint(
            key=row["key"], value=point_value(row), step=row["step"], at=from_micros(row["at"])
        )
        found[row["run_pk"]].append(point)
    return found


def _links(connection: sa.Connection, keys: list[int]) -> dict[str, dict[int, list[Link]]]:
    found: dict[str, dict[int, list[Link]]] = {
        "input": {key: [] for key in keys},
        "output": {key: [] for key in keys},
    }
    for run, direction, ref, digest in connection.execute(_LINKS_OF, {"keys": keys}):
        found[direction][run].append(Link(ref=ref, digest=digest))
    return found


def _values_of(table: sa.Table) -> sa.Select[int, str, str]:
    return (
        sa.select(table.c.run_pk, tracking_keys.c.key, table.c.value)
        .join(tracking_keys, tracking_keys.c.pk == table.c.key_pk)
        .where(table.c.run_pk.in_(sa.bindparam("keys", expanding=True)))
        .order_by(tracking_keys.c.key)
    )


# Built once: making a statement costs more than running it.
_EXPERIMENT_BY_NAME = (
    sa.select(
        experiments.c.pk,
        experiments.c.id,
        experiments.c.name,
        experiments.c.number,
        experiments.c.created_at,
        experiments.c.updated_at,
        experiments.c.deleted_at,
        experiments.c.artifact_location,
    )
    .where(experiments.c.project_pk == sa.bindparam("project"))
    .where(experiments.c.name == sa.bindparam("name"))
)
_RUN_BY_ID = (
    select_runs()
    .join(projects, projects.c.pk == runs.c.project_pk)
    .where(runs.c.id == sa.bindparam("run_id"))
    .where(projects.c.name == sa.bindparam("project"))
)
_RUN_PK = (
    sa.select(runs.c.pk)
    .join(projects, projects.c.pk == runs.c.project_pk)
    .where(runs.c.id == sa.bindparam("run_id"))
    .where(projects.c.name == sa.bindparam("project"))
)
_RUN_KEY = Prepared(
    sa.select(runs.c.pk, runs.c.experiment_pk, runs.c.started_at, runs.c.deleted_at)
    .join(projects, projects.c.pk == runs.c.project_pk)
    .where(runs.c.id == sa.bindparam("run_id"))
    .where(projects.c.name == sa.bindparam("project"))
)
_PARAMS_OF = _values_of(run_params)
_TAGS_OF = _values_of(run_tags)
_LATEST_OF = (
    sa.select(
        metric_latest.c.run_pk,
        tracking_keys.c.key,
        metric_latest.c.step,
        metric_latest.c.at,
        metric_latest.c.is_nan,
        metric_latest.c.value,
    )
    .join(tracking_keys, tracking_keys.c.pk == metric_latest.c.key_pk)
    .where(metric_latest.c.run_pk.in_(sa.bindparam("keys", expanding=True)))
    .order_by(tracking_keys.c.key)
)
_LINKS_OF = (
    sa.select(run_links.c.run_pk, run_links.c.direction, run_links.c.ref, run_links.c.digest)
    .where(run_links.c.run_pk.in_(sa.bindparam("keys", expanding=True)))
    .order_by(run_links.c.at, run_links.c.ref)
)
