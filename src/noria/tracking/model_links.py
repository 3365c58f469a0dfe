"""What joins logged models to runs: metrics that a run found for a model, and models that it read and made."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from noria.access.tables import projects
from noria.core.database.alchemy import sa
from noria.core.database.engine import upsertable
from noria.core.database.prepared import Prepared, as_list, listed
from noria.core.database.schema import to_micros
from noria.tracking.model_entities import RunModels
from noria.tracking.model_rows import LoggedModelNotFound
from noria.tracking.model_tables import logged_model_metrics, logged_models, run_models
from noria.tracking.point_entities import ModelPoint
from noria.tracking.tables import run_links

REF = "logged-model:"
"""Beginning of the reference to a logged model in links and lineage."""

_IN_CHUNK = 500


class ModelsOfRun(NamedTuple):
    """Ids of the models that a run read, and those that it made, each with its step."""

    inputs: list[str]
    outputs: list[tuple[str, int]]


def find_models(connection: sa.Connection, project: str, model_ids: Collection[str]) -> dict[str, int]:
    """Give the integer keys of logged models of a project.

    Raises
    ------
    LoggedModelNotFound
        If the project has none of one of the ids.
    """
    wanted = list(dict.fromkeys(model_ids))
    found: dict[str, int] = {}
    for begin in range(0, len(wanted), _IN_CHUNK):
        chunk = wanted[begin : begin + _IN_CHUNK]
        rows = connection.execute(_select_keys(), {"ids": chunk, "project": project})
        found.update((model_id, key) for model_id, key in rows)
    for model_id in wanted:
        if model_id not in found:
            raise LoggedModelNotFound(model_id)
    return found


def write_model_points(
    connection: sa.Connection,
    *,
    run: int,
    points: Iterable[ModelPoint],
    models: Mapping[str, int],
    keys: Mapping[str, int],
) -> None:
    """Write values that a run found for models; one that is there already stays.

    Parameters
    ----------
    run
        Integer key of the run.
    models, keys
        Integer keys of the models (`find_models`) and of the metrics.
    """
    rows = [
        {
            "model_pk": models[point.model],
            "key_pk": keys[point.key],
            "run_pk": run,
            "step": point.step,
            "at": to_micros(point.at),
            "dataset_name": point.dataset_name,
            "dataset_digest": point.dataset_digest,
            "is_nan": int(point.value != point.value),
            "value": point.value if point.value == point.value else 0.0,
        }
        for point in points
    ]
    if rows:
        connection.execute(_insert(logged_model_metrics, connection.dialect.name), rows)


def write_run_models(
    connection: sa.Connection, *, project: str, run: int, models: RunModels, now: datetime
) -> None:
    """Note which logged models a run read and made; what is noted already stays.

    Raises
    ------
    LoggedModelNotFound
        If the project has no such model; nothing is noted then.
    """
    keys = find_models(connection, project, [use.model for use in (*models.inputs, *models.outputs)])
    uses = [("input", use) for use in models.inputs] + [("output", use) for use in models.outputs]
    if not uses:
        return
    dialect = connection.dialect.name
    connection.execute(
        _insert(run_models, dialect),
        [
            {"run_pk": run, "direction": direction, "model_pk": keys[use.model], "step": use.step}
            for direction, use in uses
        ],
    )
    connection.execute(
        _insert(run_links, dialect),
        [
            {"run_pk": run, "direction": direction, "ref": REF + use.model, "digest": "", "at": now}
            for direction, use in uses
        ],
    )


def models_of_runs(connection: sa.Connection, runs: Sequence[int]) -> dict[int, ModelsOfRun]:
    """Give the models that runs read and made, by the integer key of the run; a run without any is left out."""
    found: dict[int, ModelsOfRun] = {}
    for run, direction, model_id, step in _OF_RUNS.all(connection, {"runs": as_list(runs)}):
        models = found.setdefault(run, ModelsOfRun([], []))
        if direction == "input":
            models.inputs.append(model_id)
        else:
            models.outputs.append((model_id, step))
    return found


@functools.cache
def _insert(table: sa.Table, dialect: str) -> sa.Insert:
    return upsertable(dialect, table).on_conflict_do_nothing()


@functools.cache
def _select_keys() -> sa.Select[Any]:
    return (
        sa.select(logged_models.c.id, logged_models.c.pk)
        .join(projects, projects.c.pk == logged_models.c.project_pk)
        .where(logged_models.c.id.in_(sa.bindparam("ids", expanding=True)))
        .where(projects.c.name == sa.bindparam("project"))
    )


_OF_RUNS = Prepared(
    lambda dialect: (
        sa.select(run_models.c.run_pk, run_models.c.direction, logged_models.c.id, run_models.c.step)
        .join(logged_models, logged_models.c.pk == run_models.c.model_pk)
        .where(run_models.c.run_pk.in_(listed(dialect, "runs", sa.BigInteger())))
        .order_by(run_models.c.run_pk, run_models.c.step, run_models.c.model_pk)
    )
)
