"""Read logged models out of their tables, a page at a time: a fixed number of queries whatever the page holds."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import Any

from noria.access.projects import project_pk
from noria.access.tables import projects
from noria.core.database.alchemy import sa
from noria.core.database.schema import from_micros
from noria.core.errors import NotFound
from noria.tracking.limits import shorten
from noria.tracking.model_entities import LoggedModel, ModelMetric, ModelPlace, ModelStatus
from noria.tracking.model_tables import (
    logged_model_metrics,
    logged_model_params,
    logged_model_tags,
    logged_models,
)
from noria.tracking.tables import experiments, runs, tracking_keys

_MODEL_ID = re.compile(r"m-[0-9a-f]{32}")


class LoggedModelNotFound(NotFound):
    """The project has no logged model of this id."""

    code = "logged_model_not_found"

    def __init__(self, model_id: str) -> None:
        super().__init__(
            f"Logged model with ID '{shorten(model_id)}' not found.", details={"model_id": model_id}
        )


def is_model_id(text: str) -> bool:
    """Tell whether `text` has the form of a logged model's id.

    Examples
    --------
    >>> is_model_id("m-" + 32 * "0"), is_model_id("digits@3")
    (True, False)
    """
    return _MODEL_ID.fullmatch(text) is not None


def model_pk(connection: sa.Connection, project: str, model_id: str, *, deleted_too: bool = True) -> int:
    """Get the integer key of a logged model.

    Raises
    ------
    LoggedModelNotFound
        If the project has none of this id, or only a deleted one that is not wanted.
    """
    row = None
    if is_model_id(model_id):
        row = connection.execute(_select_key(), {"model_id": model_id, "project": project}).one_or_none()
    if row is None or not (deleted_too or row.deleted_at is None):
        project_pk(connection, project)  # if it is the project that does not exist, that is the error
        raise LoggedModelNotFound(model_id)
    return int(row.pk)


def find_place(connection: sa.Connection, model_id: str) -> ModelPlace | None:
    """Tell where a logged model of any project belongs, or None when there is none."""
    if not is_model_id(model_id):
        return None
    row = connection.execute(_select_place(), {"model_id": model_id}).mappings().one_or_none()
    return None if row is None else ModelPlace(model_id=model_id, **row)


def load_model(connection: sa.Connection, key: int) -> LoggedModel:
    """Get one logged model with all that it holds."""
    return load_models(connection, [key])[0]


def load_models(connection: sa.Connection, keys: Sequence[int]) -> list[LoggedModel]:
    """Get logged models with params, tags and metrics, in the order of their keys."""
    bound = {"keys": list(keys)}
    rows = {row.pk: row for row in connection.execute(_select_models(), bound)}
    params = _values(connection, logged_model_params, keys)
    tags = _values(connection, logged_model_tags, keys)
    metrics: dict[int, list[ModelMetric]] = {key: [] for key in keys}
    for model, key, value, is_nan, step, at, run, name, digest in connection.execute(
        _select_metrics(), bound
    ):
        metric = ModelMetric(
            key=key,
            value=float("nan") if is_nan else value,
            step=step,
            at=from_micros(at),
            run=run,
            dataset_name=name,
            dataset_digest=digest,
        )
        metrics[model].append(metric)
    return [
        _model(rows[key], params=params[key], tags=tags[key], metrics=metrics[key])
        for key in keys
        if key in rows
    ]


def _model(row: Any, **held: Any) -> LoggedModel:
    return LoggedModel(
        id=row.id,
        project=row.project,
        experiment=row.experiment,
        experiment_number=row.experiment_number,
        name=row.name,
        status=ModelStatus(row.status),
        status_message=row.status_message,
        model_type=row.model_type,
        source_run=row.source_run,
        artifact_location=row.artifact_location,
        created_at=row.created_at,
        updated_at=row.updated_at,
        deleted_at=row.deleted_at,
        **held,
    )


def _values(connection: sa.Connection, table: sa.Table, keys: Sequence[int]) -> dict[int, dict[str, str]]:
    found: dict[int, dict[str, str]] = {key: {} for key in keys}
    for model, key, value in connection.execute(_values_of(table), {"keys": list(keys)}):
        found[model][key] = value
    return found


@functools.cache
def _values_of(table: sa.Table) -> sa.Select[Any]:
    return (
        sa.select(table.c.model_pk, tracking_keys.c.key, table.c.value)
        .join(tracking_keys, tracking_keys.c.pk == table.c.key_pk)
        .where(table.c.model_pk.in_(sa.bindparam("keys", expanding=True)))
        .order_by(tracking_keys.c.key)
    )


# Built once: making a statement costs more than running it.


@functools.cache
def _select_key() -> sa.Select[Any]:
    return (
        sa.select(logged_models.c.pk, logged_models.c.deleted_at)
        .join(projects, projects.c.pk == logged_models.c.project_pk)
        .where(logged_models.c.id == sa.bindparam("model_id"))
        .where(projects.c.name == sa.bindparam("project"))
    )


@functools.cache
def _select_place() -> sa.Select[Any]:
    return (
        sa.select(
            projects.c.name.label("project"),
            experiments.c.name.label("experiment"),
            experiments.c.number.label("experiment_number"),
            experiments.c.artifact_location,
            logged_models.c.deleted_at,
        )
        .select_from(logged_models)
        .join(projects, projects.c.pk == logged_models.c.project_pk)
        .join(experiments, experiments.c.pk == logged_models.c.experiment_pk)
        .where(logged_models.c.id == sa.bindparam("model_id"))
    )


@functools.cache
def _select_models() -> sa.Select[Any]:
    return (
        sa.select(
            logged_models,
            projects.c.name.label("project"),
            experiments.c.name.label("experiment"),
            experiments.c.number.label("experiment_number"),
            experiments.c.artifact_location,
        )
        .join(projects, projects.c.pk == logged_models.c.project_pk)
        .join(experiments, experiments.c.pk == logged_models.c.experiment_pk)
        .where(logged_models.c.pk.in_(sa.bindparam("keys", expanding=True)))
    )


@functools.cache
def _select_metrics() -> sa.Select[Any]:
    return (
        sa.select(
            logged_model_metrics.c.model_pk,
            tracking_keys.c.key,
            logged_model_metrics.c.value,
            logged_model_metrics.c.is_nan,
            logged_model_metrics.c.step,
            logged_model_metrics.c.at,
            runs.c.id,
            logged_model_metrics.c.dataset_name,
            logged_model_metrics.c.dataset_digest,
        )
        .join(tracking_keys, tracking_keys.c.pk == logged_model_metrics.c.key_pk)
        .join(runs, runs.c.pk == logged_model_metrics.c.run_pk)
        .where(logged_model_metrics.c.model_pk.in_(sa.bindparam("keys", expanding=True)))
        .order_by(
            tracking_keys.c.key,
            logged_model_metrics.c.step,
            logged_model_metrics.c.at,
            logged_model_metrics.c.run_pk,
            logged_model_metrics.c.dataset_name,
            logged_model_metrics.c.dataset_digest,
        )
    )
