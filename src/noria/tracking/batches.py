"""Write what a run logs: everything of a batch in one transaction, and nothing twice.

A batch that is sent again (after an answer was lost on the way) changes nothing: points are there by their whole
content, params and links are there already, tags and artifacts are set to the same value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from noria.core.clock import Clock
from noria.core.database.alchemy import sa
from noria.core.database.engine import upsertable
from noria.core.database.prepared import Prepared, as_list, listed
from noria.core.database.schema import to_micros
from noria.core.errors import Conflict
from noria.core.objects.references import ObjectNotInProject, add_reference, size_in_project
from noria.tracking.datasets import write_datasets
from noria.tracking.entities import Link, LogBatch
from noria.tracking.keys import intern_keys
from noria.tracking.limits import shorten
from noria.tracking.model_links import find_models, write_model_points
from noria.tracking.points import columns_by_key, write_points
from noria.tracking.run_keys import RunKey
from noria.tracking.tables import HEAD_CHARS, run_artifacts, run_links, run_params, run_tags


class ParamChanged(Conflict):
    """A param has another value already; params never change."""

    code = "param_changed"

    def __init__(self, run_id: str, key: str, *, old: str, new: str) -> None:
        super().__init__(
            f"The param `{key}` of run `{run_id}` is `{shorten(old)}` and cannot become `{shorten(new)}`",
            hint="Params never change: start another run, or log it as a tag",
            details={"run_id": run_id, "key": key, "old": old, "new": new},
        )


def write_batch(
    connection: sa.Connection, clock: Clock, *, project: str, run: RunKey, run_id: str, batch: LogBatch
) -> None:
    """Write a checked batch in the transaction of `connection`.

    Parameters
    ----------
    run, run_id
        Keys and id of the run.

    Raises
    ------
    ParamChanged
        If a param has another value already.
    ObjectNotInProject
        If an artifact's bytes did not enter this project.
    LoggedModelNotFound
        If the project has no logged model that a point is of; nothing is written then.
    """
    models = find_models(connection, project, {point.model for point in batch.model_points})
    columns = columns_by_key(batch)
    names = {*columns, *batch.params, *batch.tags, *(point.key for point in batch.model_points)}
    keys = intern_keys(connection, names)
    if batch.params:
        _write_params(connection, run, run_id, batch.params, keys)
    if columns:
        write_points(connection, run, {keys[key]: each for key, each in columns.items()})
    if batch.tags:
        _write_tags(connection, run, batch.tags, keys)
    if batch.model_points:
        write_model_points(connection, run=run.pk, points=batch.model_points, models=models, keys=keys)
    if batch.datasets:
        write_datasets(connection, run, batch.datasets)
    _write_links(connection, clock, run, batch.inputs, batch.outputs)
    _write_artifacts(connection, clock, project=project, run=run, run_id=run_id, artifacts=batch.artifacts)


def _write_params(
    connection: sa.Connection, run: RunKey, run_id: str, params: Mapping[str, str], keys: Mapping[str, int]
) -> None:
    pairs = sorted((keys[key], value) for key, value in params.items())
    rows = [(run.pk, key, value, run.experiment, value[:HEAD_CHARS]) for key, value in pairs]
    if _ADD_PARAMS.many_tuples(connection, rows) == len(rows):
        return
    names = {keys[key]: key for key in params}
    for key_pk, old in _PARAMS.all(connection, {"run": run.pk, "keys": as_list(names)}):
        key = names[key_pk]
        if old != params[key]:
            raise ParamChanged(run_id, key, old=old, new=params[key])


def _write_tags(
    connection: sa.Connection, run: RunKey, tags: Mapping[str, str | None], keys: Mapping[str, int]
) -> None:
    pairs = sorted((keys[key], value) for key, value in tags.items() if value is not None)
    if pairs:
        _SET_TAGS.many_tuples(
            connection,
            [(run.pk, key, value, run.experiment, value[:HEAD_CHARS]) for key, value in pairs],
        )
    removed = sorted(keys[key] for key, value in tags.items() if value is None)
    if removed:
        _REMOVE_TAGS.many_tuples(connection, [(run.pk, key) for key in removed])


def _write_links(
    connection: sa.Connection, clock: Clock, run: RunKey, inputs: list[Link], outputs: list[Link]
) -> None:
    directed = [("input", link) for link in inputs] + [("output", link) for link in outputs]
    if directed:
        now = to_micros(clock.now())
        rows = sorted((run.pk, direction, link.ref, link.digest, now) for direction, link in directed)
        _ADD_LINKS.many_tuples(connection, rows)


def _write_artifacts(
    connection: sa.Connection,
    clock: Clock,
    *,
    project: str,
    run: RunKey,
    run_id: str,
    artifacts: Mapping[str, str],
) -> None:
    for path, digest in artifacts.items():
        size = size_in_project(connection, project=project, digest=digest)
        if size is None:
            raise ObjectNotInProject(project, digest)
        add_reference(connection, clock, project=project, digest=digest, owner=f"run:{run_id}")
        row = (run.pk, path, digest, size, to_micros(clock.now()))
        _SET_ARTIFACT.many_tuples(connection, [row])


def _bound(table: sa.Table) -> dict[str, Any]:
    return {column.name: sa.bindparam(column.name) for column in table.c}


def _add_to(table: sa.Table) -> Prepared:
    def build(dialect: str) -> sa.Executable:
        return upsertable(dialect, table).values(_bound(table)).on_conflict_do_nothing()

    return Prepared(build)


def _set_in(table: sa.Table, *changed: str) -> Prepared:
    def build(dialect: str) -> sa.Executable:
        insert = upsertable(dialect, table).values(_bound(table))
        return insert.on_conflict_do_update(
            index_elements=[column.name for column in table.primary_key],
            set_={name: insert.excluded[name] for name in changed},
        )

    return Prepared(build)


_ADD_PARAMS = _add_to(run_params)
_SET_TAGS = _set_in(run_tags, "value", "head")
_ADD_LINKS = _add_to(run_links)
_SET_ARTIFACT = _set_in(run_artifacts, "digest", "size_bytes", "at")
_PARAMS = Prepared(
    lambda dialect: (
        sa.select(run_params.c.key_pk, run_params.c.value)
        .where(run_params.c.run_pk == sa.bindparam("run"))
        .where(run_params.c.key_pk.in_(listed(dialect, "keys", sa.BigInteger())))
    )
)
_REMOVE_TAGS = Prepared(
    lambda _: (
        sa.delete(run_tags)
        .where(run_tags.c.run_pk == sa.bindparam("run"))
        .where(run_tags.c.key_pk == sa.bindparam("key"))
    )
)
