"""Runs put straight into the tables, and what there is to know of them, for tests of searches."""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from noria.core.database.schema import from_micros
from noria.tracking.keys import intern_keys
from noria.tracking.parents import PARENT_TAG
from noria.tracking.search.evaluate import Fact, Facts
from noria.tracking.search.fields import CONTEXT_TAG, DATASET, METRIC, PARAM, RUN_NAME_TAG, TAG
from noria.tracking.search.grammar import ATTRIBUTE
from noria.tracking.tables import (
    HEAD_CHARS,
    experiments,
    metric_latest,
    run_counts,
    run_dataset_tags,
    run_dataset_uses,
    run_datasets,
    run_params,
    run_tags,
    runs,
)

BIRTH = from_micros(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """A data set that a run read."""

    name: str
    digest: str
    context: str | None = None


@dataclass(frozen=True, kw_only=True)
class StoredRun:
    """One run as it stands in the tables; times are in microseconds."""

    id: str
    name: str = "run"
    status: str = "finished"
    started_at: int = 0
    ended_at: int | None = None
    author: str = ""
    deleted: bool = False
    parent: int | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    datasets: tuple[Used, ...] = ()

    def facts(self, number: int, parent_id: str | None) -> Facts:
        """Give what filters and orders see of it.

        Parameters
        ----------
        number
            Of its experiment.
        parent_id
            Id of the run inside which it was started.
        """
        attributes: dict[str, Fact] = {
            "run_id": self.id,
            "run_name": self.name,
            "status": self.status.upper(),
            "user_id": self.author,
            "artifact_uri": f"mlflow-artifacts:/{number}/{self.id}/artifacts",
            "start_time": self.started_at // 1000,
            "end_time": None if self.ended_at is None else self.ended_at // 1000,
        }
        return Facts(
            of={
                ATTRIBUTE: attributes,
                METRIC: self.metrics,
                PARAM: self.params,
                TAG: {PARENT_TAG: parent_id, **self.tags, RUN_NAME_TAG: self.name},
            },
            parts={
                DATASET: [
                    {"name": one.name, "digest": one.digest, "context": one.context} for one in self.datasets
                ]
            },
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredExperiment:
    """An experiment and the integer keys of its runs, in the order in which they were given."""

    pk: int
    number: int
    keys: tuple[int, ...]


def store_runs(connection: sa.Connection, project: int, given: Sequence[StoredRun]) -> StoredExperiment:
    """Make an experiment of these runs; `parent` is the position of a run before it."""
    number = connection.execute(
        sa.select(sa.func.coalesce(sa.func.max(experiments.c.number), 0) + 1)
    ).scalar_one()
    row = {
        "id": uuid.uuid4().hex,
        "project_pk": project,
        "name": f"experiment {number}",
        "number": number,
        "created_at": BIRTH,
        "updated_at": BIRTH,
    }
    pk = connection.execute(sa.insert(experiments).returning(experiments.c.pk), row).scalar_one()
    keys: list[int] = []
    for one in given:
        keys.append(_store_run(connection, project, pk, one, keys))
    _store_values(connection, pk, list(zip(keys, given, strict=True)))
    _store_datasets(connection, pk, list(zip(keys, given, strict=True)))
    _count(connection, pk, given)
    return StoredExperiment(pk=pk, number=number, keys=tuple(keys))


def _store_run(
    connection: sa.Connection, project: int, experiment: int, run: StoredRun, keys: Sequence[int]
) -> int:
    row = {
        "id": run.id,
        "project_pk": project,
        "experiment_pk": experiment,
        "parent_pk": None if run.parent is None else keys[run.parent],
        "name": run.name,
        "status": run.status,
        "started_at": from_micros(run.started_at),
        "ended_at": None if run.ended_at is None else from_micros(run.ended_at),
        "author": run.author,
        "deleted_at": BIRTH if run.deleted else None,
    }
    made: int = connection.execute(sa.insert(runs).returning(runs.c.pk), row).scalar_one()
    return made


def _store_values(connection: sa.Connection, experiment: int, given: Iterable[tuple[int, StoredRun]]) -> None:
    given = list(given)
    names = {key for _, run in given for key in (*run.metrics, *run.params, *run.tags)}
    known = intern_keys(connection, names)
    metrics = [
        {
            "run_pk": pk,
            "key_pk": known[key],
            "step": 0,
            "at": 0,
            "is_nan": int(math.isnan(value)),
            "value": 0.0 if math.isnan(value) else value,
            "experiment_pk": experiment,
        }
        for pk, run in given
        for key, value in run.metrics.items()
    ]
    _insert(connection, metric_latest, metrics)
    for table, texts in ((run_params, "params"), (run_tags, "tags")):
        rows = [
            {
                "run_pk": pk,
                "key_pk": known[key],
                "value": value,
                "head": value[:HEAD_CHARS],
                "experiment_pk": experiment,
            }
            for pk, run in given
            for key, value in getattr(run, texts).items()
        ]
        _insert(connection, table, rows)


def _store_datasets(
    connection: sa.Connection, experiment: int, given: Iterable[tuple[int, StoredRun]]
) -> None:
    made: dict[tuple[str, str], int] = {}
    for pk, run in given:
        for one in run.datasets:
            pair = (one.name, one.digest)
            if pair not in made:
                row = {
                    "experiment_pk": experiment,
                    "name": one.name,
                    "digest": one.digest,
                    "source_type": "",
                    "source": "",
                }
                insert = sa.insert(run_datasets).returning(run_datasets.c.pk)
                made[pair] = connection.execute(insert, row).scalar_one()
            use = {"run_pk": pk, "dataset_pk": made[pair]}
            _insert(connection, run_dataset_uses, [use])
            if one.context is not None:
                tag = {**use, "key": CONTEXT_TAG, "value": one.context, "experiment_pk": experiment}
                _insert(connection, run_dataset_tags, [tag])


def _count(connection: sa.Connection, experiment: int, given: Sequence[StoredRun]) -> None:
    counts: dict[tuple[int, str], int] = {}
    for run in given:
        group = (int(run.deleted), run.status)
        counts[group] = counts.get(group, 0) + 1
    rows = [
        {"experiment_pk": experiment, "is_deleted": deleted, "status": status, "n_runs": n_runs}
        for (deleted, status), n_runs in counts.items()
    ]
    _insert(connection, run_counts, rows)


def _insert(connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, object]]) -> None:
    if rows:
        connection.execute(sa.insert(table), rows)
