"""Data sets that runs read: one row by experiment, name and digest, and one for each run that used it."""

from __future__ import annotations

from collections.abc import Sequence

from noria.core.database.alchemy import sa
from noria.core.database.engine import upsertable
from noria.core.database.prepared import Prepared, as_list, listed
from noria.tracking.entities import Dataset, DatasetUse
from noria.tracking.run_keys import RunKey
from noria.tracking.tables import run_dataset_tags, run_dataset_uses, run_datasets

CONTEXT_TAG = "mlflow.data.context"
"""The tag of a use that tells what for, as MLflow's clients set it."""

_DESCRIBED = ("name", "digest", "source_type", "source", "schema", "profile")


def write_datasets(connection: sa.Connection, run: RunKey, datasets: Sequence[Dataset]) -> None:
    """Note that a run read data sets; what is known of one stays, and its tags are set anew."""
    if len(datasets) > 1 and any(_find(connection, run.experiment, each) is None for each in datasets):
        _wait_for_others(connection, run.experiment)
    for dataset in datasets:
        key = _intern(connection, run.experiment, dataset)
        _ADD_USE.run(connection, {"run_pk": run.pk, "dataset_pk": key})
        tags = [(run.pk, key, name, value, run.experiment) for name, value in sorted(dataset.tags.items())]
        if tags:
            _SET_TAG.many_tuples(connection, tags)


def datasets_of(connection: sa.Connection, runs: Sequence[int]) -> dict[int, list[Dataset]]:
    """Give what runs read, by the run's integer key, in the order of first use; a run without any is left out."""
    wanted = {"runs": as_list(runs)}
    uses = _USES.all(connection, wanted)
    if not uses:
        return {}
    tags: dict[tuple[int, int], dict[str, str]] = {}
    for run, dataset, key, value in _TAGS.all(connection, wanted):
        tags.setdefault((run, dataset), {})[key] = value
    found: dict[int, list[Dataset]] = {}
    for run, dataset, *described in uses:
        values = dict(zip(_DESCRIBED, described, strict=True))
        found.setdefault(run, []).append(Dataset(**values, tags=tags.get((run, dataset), {})))
    return found


def uses_in_experiment(connection: sa.Connection, experiment: int, limit: int) -> list[DatasetUse]:
    """Give the data sets that runs of an experiment read, once for each purpose, in the order of first use."""
    rows = _USES_IN.all(connection, {"experiment": experiment, "context": CONTEXT_TAG, "limit": limit})
    return [
        DatasetUse(name=name, digest=digest, source_type=kind, context=context)
        for _, name, digest, kind, context in rows
    ]


def _find(connection: sa.Connection, experiment: int, dataset: Dataset) -> int | None:
    place = {"experiment_pk": experiment, "name": dataset.name, "digest": dataset.digest}
    found = _FIND.first(connection, place)
    return None if found is None else found[0]


def _wait_for_others(connection: sa.Connection, experiment: int) -> None:
    """Let one writer at a time add several data sets to an experiment.

    They are added in the order in which they are given, which is another in each run: without this, two writers in
    PostgreSQL could wait for each other.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text(_ADVISORY_LOCK), {"experiment": f"noria.datasets:{experiment}"})


def _intern(connection: sa.Connection, experiment: int, dataset: Dataset) -> int:
    key = _find(connection, experiment, dataset)
    if key is None:
        described = {name: getattr(dataset, name) for name in _DESCRIBED}
        _ADD.run(connection, {"experiment_pk": experiment, **described})
        key = _find(connection, experiment, dataset)
    if key is None:
        raise AssertionError("a data set that was just noted is not there")
    return key


def _set_tag(dialect: str) -> sa.Executable:
    insert = upsertable(dialect, run_dataset_tags).values(
        {column.name: sa.bindparam(column.name) for column in run_dataset_tags.c}
    )
    return insert.on_conflict_do_update(
        index_elements=["run_pk", "dataset_pk", "key"],
        set_={"value": insert.excluded.value},
    )


_ADVISORY_LOCK = "select pg_advisory_xact_lock(hashtextextended(:experiment, 0))"
_FIND = Prepared(
    lambda _: (
        sa.select(run_datasets.c.pk)
        .where(run_datasets.c.experiment_pk == sa.bindparam("experiment_pk"))
        .where(run_datasets.c.name == sa.bindparam("name"))
        .where(run_datasets.c.digest == sa.bindparam("digest"))
    )
)
_ADD = Prepared(
    lambda dialect: (
        upsertable(dialect, run_datasets)
        .values({name: sa.bindparam(name) for name in ("experiment_pk", *_DESCRIBED)})
        .on_conflict_do_nothing()
        .inline()
    )
)
_ADD_USE = Prepared(
    lambda dialect: (
        upsertable(dialect, run_dataset_uses)
        .values(run_pk=sa.bindparam("run_pk"), dataset_pk=sa.bindparam("dataset_pk"))
        .on_conflict_do_nothing()
    )
)
_SET_TAG = Prepared(_set_tag)
_USES = Prepared(
    lambda dialect: (
        sa.select(
            run_dataset_uses.c.run_pk, run_datasets.c.pk, *(run_datasets.c[name] for name in _DESCRIBED)
        )
        .join(run_datasets, run_datasets.c.pk == run_dataset_uses.c.dataset_pk)
        .where(run_dataset_uses.c.run_pk.in_(listed(dialect, "runs", sa.BigInteger())))
        .order_by(run_dataset_uses.c.run_pk, run_datasets.c.pk)
    )
)
_USES_IN = Prepared(
    lambda _: (
        sa.select(
            run_datasets.c.pk,
            run_datasets.c.name,
            run_datasets.c.digest,
            run_datasets.c.source_type,
            run_dataset_tags.c.value,
        )
        .distinct()
        .join(run_dataset_uses, run_dataset_uses.c.dataset_pk == run_datasets.c.pk)
        .outerjoin(
            run_dataset_tags,
            sa.and_(
                run_dataset_tags.c.run_pk == run_dataset_uses.c.run_pk,
                run_dataset_tags.c.dataset_pk == run_datasets.c.pk,
                run_dataset_tags.c.key == sa.bindparam("context"),
            ),
        )
        .where(run_datasets.c.experiment_pk == sa.bindparam("experiment"))
        .order_by(run_datasets.c.pk, run_dataset_tags.c.value)
        .limit(sa.bindparam("limit", type_=sa.Integer))
    )
)
_TAGS = Prepared(
    lambda dialect: (
        sa.select(
            run_dataset_tags.c.run_pk,
            run_dataset_tags.c.dataset_pk,
            run_dataset_tags.c.key,
            run_dataset_tags.c.value,
        )
        .where(run_dataset_tags.c.run_pk.in_(listed(dialect, "runs", sa.BigInteger())))
        .order_by(run_dataset_tags.c.run_pk, run_dataset_tags.c.dataset_pk, run_dataset_tags.c.key)
    )
)
