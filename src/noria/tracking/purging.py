"""Remove for good what was deleted long ago: runs, logged models, experiments, with all that they held.

The bytes of artifacts go with the next collection of the object store, since nothing refers to them any more.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from noria.access.comments import drop_comments
from noria.access.tables import projects
from noria.core.context import Context
from noria.core.database.prepared import Prepared, as_list, listed
from noria.core.objects.references import drop_owner
from noria.core.purging import Purge
from noria.tracking.counts import count
from noria.tracking.events import EXPERIMENT_PURGED, RUN_PURGED, append_event
from noria.tracking.model_events import LOGGED_MODEL_PURGED
from noria.tracking.model_tables import (
    logged_model_artifacts,
    logged_model_metrics,
    logged_model_params,
    logged_model_tags,
    logged_models,
    run_models,
)
from noria.tracking.shelves import find_shelf, model_shelf, remove_below, run_shelf
from noria.tracking.tables import (
    experiment_tags,
    experiments,
    metric_chunks,
    metric_latest,
    metric_points,
    run_artifacts,
    run_counts,
    run_dataset_tags,
    run_dataset_uses,
    run_datasets,
    run_links,
    run_params,
    run_tags,
    runs,
)
from noria.tracking.traces.deletion import purge_traces

AT_ONCE = 100
"""How many things one transaction removes."""

OF_RUNS = (
    run_params,
    run_tags,
    metric_points,
    metric_chunks,
    metric_latest,
    run_links,
    run_artifacts,
    run_dataset_tags,
    run_dataset_uses,
    run_models,
    logged_model_metrics,
)
"""Tables with rows of a run, besides those whose rows go with it by themselves."""

OF_MODELS = (
    logged_model_params,
    logged_model_tags,
    logged_model_metrics,
    logged_model_artifacts,
    run_models,
)
"""Tables with rows of a logged model."""


class _Gone(NamedTuple):
    """A thing to remove.

    Attributes
    ----------
    note
        Status of a run, name of an experiment.
    """

    pk: int
    id: str
    project: str
    experiment: int
    note: str


_Remove = Callable[[sa.Connection, Context, list[_Gone]], None]


def purge_runs(context: Context, before: datetime, dry_run: bool) -> int:
    """Remove runs that were deleted before a moment."""
    old = _old(runs, runs.c.deleted_at < before, runs.c.experiment_pk, runs.c.status)
    if dry_run:
        return _count(context, old)
    return _purge(context, old, _remove_runs)


def purge_models(context: Context, before: datetime, dry_run: bool) -> int:
    """Remove logged models that were deleted before a moment, by themselves or with their experiment."""
    with_experiment = logged_models.c.experiment_pk.in_(
        sa.select(experiments.c.pk).where(experiments.c.deleted_at < before)
    )
    condition = (logged_models.c.deleted_at < before) | with_experiment
    old = _old(logged_models, condition, logged_models.c.experiment_pk, logged_models.c.status)
    if dry_run:
        return _count(context, old)
    return _purge(context, old, _remove_models)


def purge_experiments(context: Context, before: datetime, dry_run: bool) -> int:
    """Remove experiments that were deleted before a moment and have no runs any more.

    A run that was restored by itself keeps its experiment. So does one that was deleted later, until its time comes.
    """
    condition = experiments.c.deleted_at < before
    own = sa.select(runs.c.pk).where(runs.c.experiment_pk == experiments.c.pk)
    # In a dry run the runs that would have gone before are still there.
    keeping = own.where((runs.c.deleted_at.is_(None)) | (runs.c.deleted_at >= before)) if dry_run else own
    old = _old(experiments, condition & ~keeping.exists(), experiments.c.pk, experiments.c.name)
    if dry_run:
        return _count(context, old)
    _purge_traces_of(context, old)
    return _purge(context, old, _remove_experiments)


PURGES = [
    Purge("runs", purge_runs),
    Purge("logged models", purge_models),
    Purge("experiments", purge_experiments),
]


def _old(
    table: sa.Table, condition: sa.ColumnElement[bool], experiment: sa.Column[Any], note: sa.Column[Any]
) -> sa.Select[Any]:
    return (
        sa.select(table.c.pk, table.c.id, projects.c.name, experiment, note)
        .join(projects, projects.c.pk == table.c.project_pk)
        .where(condition)
        .order_by(table.c.pk)
    )


def _purge_traces_of(context: Context, old: sa.Select[Any]) -> None:
    """Remove the traces of experiments that are to go, a limited number in one transaction."""
    with context.database.read() as connection:
        gone = [_Gone(*row) for row in connection.execute(old)]
    for experiment in gone:
        # Nobody restores it meanwhile; whoever still writes traces to it need not wait for this.
        still = old.where(experiments.c.pk == experiment.pk).with_for_update(of=experiments, key_share=True)
        n_traces = 1
        while n_traces:
            with context.database.write() as connection:
                found = connection.execute(still).first()
                n_traces = 0 if found is None else purge_traces(connection, experiment.pk)


def _count(context: Context, old: sa.Select[Any]) -> int:
    with context.database.read() as connection:
        counted = sa.select(sa.func.count()).select_from(old.order_by(None).subquery())
        return int(connection.execute(counted).scalar_one())


def _purge(context: Context, old: sa.Select[Any], remove: _Remove) -> int:
    n_gone = 0
    while True:
        with context.database.write() as connection:
            # Locked, so that nobody restores what is being removed.
            some = old.limit(AT_ONCE).with_for_update(of=old.selected_columns[0].table)
            found = [_Gone(*row) for row in connection.execute(some)]
            if found:
                remove(connection, context, found)
        n_gone += len(found)
        if len(found) < AT_ONCE:
            return n_gone


def _remove_runs(connection: sa.Connection, context: Context, gone: list[_Gone]) -> None:
    pks = {"pks": as_list(run.pk for run in gone)}
    for delete in _DELETES_OF_RUNS:
        delete.run(connection, pks)
    _ORPHAN.run(connection, pks)
    _DELETE_RUNS.run(connection, pks)
    drop_comments(connection, (f"run:{run.id}" for run in gone))
    for run in gone:
        drop_owner(connection, run_shelf(run.project, run.pk, run.id).owner)
        count(connection, [(run.experiment, 1, run.note, -1)])
        subject = f"run:{run.id}"
        append_event(connection, context, RUN_PURGED, subject=subject, project=run.project, payload={})


def _remove_models(connection: sa.Connection, context: Context, gone: list[_Gone]) -> None:
    pks = {"pks": as_list(model.pk for model in gone)}
    for delete in _DELETES_OF_MODELS:
        delete.run(connection, pks)
    _DELETE_MODELS.run(connection, pks)
    for model in gone:
        drop_owner(connection, model_shelf(model.project, model.pk, model.id).owner)
        subject = f"logged-model:{model.id}"
        append_event(
            connection, context, LOGGED_MODEL_PURGED, subject=subject, project=model.project, payload={}
        )


def _remove_experiments(connection: sa.Connection, context: Context, gone: list[_Gone]) -> None:
    for experiment in gone:
        while purge_traces(connection, experiment.pk):
            pass
        for table in (experiment_tags, run_datasets, run_counts):
            connection.execute(sa.delete(table).where(table.c.experiment_pk == experiment.pk))
        # Clients keep files of traces below the experiment's number, which is never given again.
        number = sa.select(experiments.c.number).where(experiments.c.pk == experiment.pk)
        beside = find_shelf(connection, experiment.project, "")
        remove_below(connection, beside, str(connection.execute(number).scalar_one()))
        connection.execute(sa.delete(experiments).where(experiments.c.pk == experiment.pk))
        append_event(
            connection,
            context,
            EXPERIMENT_PURGED,
            subject=f"experiment:{experiment.id}",
            project=experiment.project,
            payload={"name": experiment.note},
        )


def _delete_among(table: sa.Table, column: str) -> Prepared:
    return Prepared(
        lambda dialect: sa.delete(table).where(table.c[column].in_(listed(dialect, "pks", sa.BigInteger())))
    )


_DELETES_OF_RUNS = [_delete_among(table, "run_pk") for table in OF_RUNS]
_DELETES_OF_MODELS = [_delete_among(table, "model_pk") for table in OF_MODELS]
_DELETE_RUNS = _delete_among(runs, "pk")
_DELETE_MODELS = _delete_among(logged_models, "pk")
_ORPHAN = Prepared(
    lambda dialect: (
        sa.update(runs)
        .where(runs.c.parent_pk.in_(listed(dialect, "pks", sa.BigInteger())))
        .values(parent_pk=sa.null())
    )
)
