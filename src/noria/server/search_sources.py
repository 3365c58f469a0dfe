"""The kinds of thing that can be found, each with the query that gives its rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from noria.catalog.permissions import READ_RECORDS
from noria.catalog.tables import decision_records
from noria.core.permissions import Permission
from noria.data.permissions import READ_DATA
from noria.data.tables import dataset_versions, datasets
from noria.monitoring.permissions import READ_MONITORS
from noria.monitoring.tables import alerts
from noria.registry.permissions import READ_MODELS
from noria.registry.tables import model_versions, models
from noria.serving.permissions import READ_ENDPOINTS
from noria.serving.tables import endpoints
from noria.tracking.permissions import READ_RUNS
from noria.tracking.tables import experiments, runs


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A kind of thing that can be found.

    Attributes
    ----------
    select
        Gives `id`, `project_pk`, `name`, `note` and `at` of those that are not deleted.
    id, project, name
        The columns to look by.
    newest
        Orders the newest first, by a moment, which no index orders: otherwise things of other projects would be walked
        over. None where names are found in another way.
    ref
        Makes the reference of id and name.
    is_bytewise
        Whether names are ordered by their bytes on every database, so that an index finds their beginnings.
    also
        A text beside the name to look for words in.
    """

    kind: str
    needs: Permission
    select: sa.Select[Any]
    id: sa.Column[Any]
    project: sa.Column[Any]
    name: sa.ColumnElement[Any]
    ref: Callable[[str, str], str]
    newest: sa.ColumnElement[Any] | None = None
    is_bytewise: bool = False
    also: sa.Column[Any] | None = None


def _columns(
    id: sa.Column[Any],  # noqa: A002 - the column's name
    project: sa.Column[Any],
    name: sa.ColumnElement[Any],
    note: sa.ColumnElement[Any],
    at: sa.Column[Any],
) -> sa.Select[Any]:
    return sa.select(
        id.label("id"), project.label("project_pk"), name.label("name"), note.label("note"), at.label("at")
    )


def _numbered(name: sa.Column[Any], version: sa.Column[Any]) -> sa.ColumnElement[Any]:
    return name.concat("@").concat(sa.cast(version, sa.Text))


_NO_NOTE = sa.literal("")
_MODEL_VERSION = _numbered(models.c.name, model_versions.c.version)
_DATASET_VERSION = _numbered(datasets.c.name, dataset_versions.c.version)

SOURCES: Final = (
    Source(
        kind="experiment",
        needs=READ_RUNS,
        select=_columns(
            experiments.c.id, experiments.c.project_pk, experiments.c.name, _NO_NOTE, experiments.c.created_at
        ).where(experiments.c.deleted_at.is_(None)),
        id=experiments.c.id,
        project=experiments.c.project_pk,
        name=experiments.c.name,
        newest=experiments.c.created_at.desc(),
        ref=lambda _, name: f"experiment:{name}",
        is_bytewise=True,
    ),
    Source(
        kind="run",
        needs=READ_RUNS,
        select=_columns(runs.c.id, runs.c.project_pk, runs.c.name, experiments.c.name, runs.c.started_at)
        .join_from(runs, experiments, experiments.c.pk == runs.c.experiment_pk)
        .where(runs.c.deleted_at.is_(None)),
        id=runs.c.id,
        project=runs.c.project_pk,
        name=runs.c.name,
        ref=lambda key, _: f"run:{key}",
    ),
    Source(
        kind="model",
        needs=READ_MODELS,
        select=_columns(
            models.c.id,
            models.c.project_pk,
            models.c.name,
            sa.func.substr(models.c.description, 1, 200),
            models.c.updated_at,
        ).where(models.c.deleted_at.is_(None)),
        id=models.c.id,
        project=models.c.project_pk,
        name=models.c.name,
        newest=models.c.updated_at.desc(),
        ref=lambda _, name: f"model:{name}",
        is_bytewise=True,
    ),
    Source(
        kind="version",
        needs=READ_MODELS,
        select=_columns(
            model_versions.c.id,
            models.c.project_pk,
            _MODEL_VERSION,
            sa.func.substr(model_versions.c.message, 1, 200),
            model_versions.c.created_at,
        )
        .join_from(model_versions, models, models.c.pk == model_versions.c.model_pk)
        .where(model_versions.c.deleted_at.is_(None)),
        id=model_versions.c.id,
        project=models.c.project_pk,
        name=_MODEL_VERSION,
        ref=lambda _, name: f"model:{name}",
    ),
    Source(
        kind="dataset",
        needs=READ_DATA,
        select=_columns(
            datasets.c.id, datasets.c.project_pk, datasets.c.name, _NO_NOTE, datasets.c.created_at
        ),
        id=datasets.c.id,
        project=datasets.c.project_pk,
        name=datasets.c.name,
        newest=datasets.c.created_at.desc(),
        ref=lambda _, name: f"dataset:{name}",
    ),
    Source(
        kind="dataset-version",
        needs=READ_DATA,
        select=_columns(
            dataset_versions.c.id,
            datasets.c.project_pk,
            _DATASET_VERSION,
            sa.func.substr(dataset_versions.c.message, 1, 200),
            dataset_versions.c.created_at,
        ).join_from(dataset_versions, datasets, datasets.c.pk == dataset_versions.c.dataset_pk),
        id=dataset_versions.c.id,
        project=datasets.c.project_pk,
        name=_DATASET_VERSION,
        ref=lambda _, name: f"dataset:{name}",
    ),
    Source(
        kind="endpoint",
        needs=READ_ENDPOINTS,
        select=_columns(
            endpoints.c.id,
            endpoints.c.project_pk,
            endpoints.c.name,
            sa.literal("model:").concat(endpoints.c.model),
            endpoints.c.created_at,
        ).where(endpoints.c.deleted_at.is_(None)),
        id=endpoints.c.id,
        project=endpoints.c.project_pk,
        name=endpoints.c.name,
        newest=endpoints.c.created_at.desc(),
        ref=lambda _, name: f"endpoint:{name}",
    ),
    Source(
        kind="incident",
        needs=READ_MONITORS,
        select=_columns(
            alerts.c.id, alerts.c.project_pk, alerts.c.endpoint, alerts.c.sentence, alerts.c.opened_at
        ),
        id=alerts.c.id,
        project=alerts.c.project_pk,
        name=alerts.c.endpoint,
        newest=alerts.c.opened_at.desc(),
        ref=lambda key, _: f"incident:{key}",
        also=alerts.c.sentence,
    ),
    Source(
        kind="decision",
        needs=READ_RECORDS,
        select=_columns(
            decision_records.c.id,
            decision_records.c.project_pk,
            decision_records.c.subject,
            decision_records.c.kind,
            decision_records.c.created_at,
        ),
        id=decision_records.c.id,
        project=decision_records.c.project_pk,
        name=decision_records.c.subject,
        newest=decision_records.c.created_at.desc(),
        ref=lambda key, _: f"record:{key}",
    ),
)
"""All kinds, in the order in which they are shown."""
