"""Write what a run logs: everything of a batch in one transaction, and nothing twice.

A batch that is sent again (after an answer was lost on the way) changes nothing: points are one row each by their
whole content, params and links are there already, tags and artifacts are set to the same value.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sa

from noria.core.clock import Clock
from noria.core.database.engine import upsertable
from noria.core.database.schema import to_micros
from noria.core.errors import Conflict
from noria.core.objects.references import ObjectNotInProject, add_reference, size_in_project
from noria.tracking.entities import Link, LogBatch, MetricPoint
from noria.tracking.limits import shorten
from noria.tracking.model_links import find_models, write_model_points
from noria.tracking.tables import (
    HEAD_CHARS,
    metric_latest,
    metric_points,
    run_artifacts,
    run_links,
    run_params,
    run_tags,
    tracking_keys,
)

_IN_CHUNK = 500

PointRow = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunKey:
    """What rows of a run's values repeat.

    Attributes
    ----------
    pk, experiment
        Integer keys of the run and of its experiment.
    started_at
        In microseconds since 1970.
    deleted
        Whether it was deleted; then nothing is logged any more.
    """

    pk: int
    experiment: int
    started_at: int
    deleted: bool = False


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
    of_metrics = {point.key for point in batch.metrics} | {point.key for point in batch.model_points}
    keys = intern_keys(connection, of_metrics | set(batch.params) | set(batch.tags))
    _write_params(connection, run, run_id, batch.params, keys)
    _write_tags(connection, run, batch.tags, keys)
    _write_points(connection, run, batch.metrics, keys)
    write_model_points(connection, run=run.pk, points=batch.model_points, models=models, keys=keys)
    now = clock.now()
    _write_links(connection, run.pk, "input", batch.inputs, now)
    _write_links(connection, run.pk, "output", batch.outputs, now)
    _write_artifacts(connection, clock, project=project, run=run.pk, run_id=run_id, artifacts=batch.artifacts)


def intern_keys(connection: sa.Connection, keys: Collection[str]) -> dict[str, int]:
    """Give the integer of each key, made at first use."""
    known = _known_keys(connection, keys)
    # In one order for all writers, or two of them could wait for each other.
    new = sorted(set(keys) - set(known))
    if new:
        connection.execute(_statements(connection).add_keys, [{"key": key} for key in new])
        known |= _known_keys(connection, new)
    return known


def _known_keys(connection: sa.Connection, keys: Collection[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for chunk in _chunks(list(keys)):
        found.update((key, pk) for key, pk in connection.execute(_KEYS, {"keys": chunk}))
    return found


def _write_params(
    connection: sa.Connection, run: RunKey, run_id: str, params: dict[str, str], keys: dict[str, int]
) -> None:
    names = {keys[key]: key for key in params}
    rows = [
        {
            "run_pk": run.pk,
            "experiment_pk": run.experiment,
            "key_pk": keys[key],
            "value": value,
            "head": value[:HEAD_CHARS],
        }
        for key, value in params.items()
    ]
    if rows:
        connection.execute(_statements(connection).add_params, rows)
    for chunk in _chunks(list(names)):
        for key_pk, old in connection.execute(_PARAMS, {"run": run.pk, "keys": chunk}):
            key = names[key_pk]
            if old != params[key]:
                raise ParamChanged(run_id, key, old=old, new=params[key])


def _write_tags(
    connection: sa.Connection, run: RunKey, tags: dict[str, str | None], keys: dict[str, int]
) -> None:
    rows = [
        {
            "run_pk": run.pk,
            "experiment_pk": run.experiment,
            "key_pk": keys[key],
            "value": value,
            "head": value[:HEAD_CHARS],
        }
        for key, value in tags.items()
        if value is not None
    ]
    if rows:
        connection.execute(_statements(connection).set_tags, rows)
    removed = [{"run": run.pk, "key": keys[key]} for key, value in tags.items() if value is None]
    if removed:
        connection.execute(_REMOVE_TAG, removed)


def _write_points(
    connection: sa.Connection, run: RunKey, points: list[MetricPoint], keys: dict[str, int]
) -> None:
    if not points:
        return
    rows = [_point_row(run.pk, keys[point.key], point) for point in points]
    connection.execute(_statements(connection).add_points, rows)
    newest: dict[int, PointRow] = {}
    for row in rows:
        held = newest.get(row["key_pk"])
        if held is None or _order(row) > _order(held):
            newest[row["key_pk"]] = row
    connection.execute(
        _statements(connection).set_latest,
        [
            {**newest[key], "experiment_pk": run.experiment, "started_at": run.started_at}
            for key in sorted(newest)
        ],
    )


def _point_row(run: int, key: int, point: MetricPoint) -> PointRow:
    value = point.value
    is_nan = value != value  # noqa: PLR0124 - NaN is what differs from itself
    return {
        "run_pk": run,
        "key_pk": key,
        "step": point.step,
        "at": to_micros(point.at),
        "is_nan": int(is_nan),
        "value": 0.0 if is_nan else value,
    }


def _order(row: PointRow) -> tuple[int, int, int, float]:
    """Give what the latest point is greatest in: step, time, a number before NaN, value.

    It does not depend on the order in which points arrive, so a retried batch cannot turn time back.
    """
    return (row["step"], row["at"], -row["is_nan"], row["value"])


def _order_columns(columns: Any) -> sa.Tuple:
    return sa.tuple_(columns.step, columns.at, -columns.is_nan, columns.value)


def _write_links(
    connection: sa.Connection, run: int, direction: str, links: list[Link], now: datetime
) -> None:
    rows = [
        {"run_pk": run, "direction": direction, "ref": link.ref, "digest": link.digest, "at": now}
        for link in links
    ]
    if rows:
        connection.execute(_statements(connection).add_links, rows)


def _write_artifacts(
    connection: sa.Connection,
    clock: Clock,
    *,
    project: str,
    run: int,
    run_id: str,
    artifacts: dict[str, str],
) -> None:
    now = clock.now()
    for path, digest in artifacts.items():
        size = size_in_project(connection, project=project, digest=digest)
        if size is None:
            raise ObjectNotInProject(project, digest)
        add_reference(connection, clock, project=project, digest=digest, owner=f"run:{run_id}")
        row = {"run_pk": run, "path": path, "digest": digest, "size_bytes": size, "at": now}
        connection.execute(_statements(connection).set_artifact, row)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Statements:
    """Inserts in the words of one database, built once: making a statement costs more than running it."""

    add_keys: sa.Insert
    add_params: sa.Insert
    set_tags: sa.Insert
    add_points: sa.Insert
    set_latest: sa.Insert
    add_links: sa.Insert
    set_artifact: sa.Insert


def _statements(connection: sa.Connection) -> _Statements:
    return _statements_for(connection.dialect.name)


@functools.cache
def _statements_for(dialect: str) -> _Statements:
    insert = functools.partial(upsertable, dialect)
    tags, latest, artifacts = insert(run_tags), insert(metric_latest), insert(run_artifacts)
    return _Statements(
        add_keys=insert(tracking_keys).on_conflict_do_nothing(),
        add_params=insert(run_params).on_conflict_do_nothing(),
        set_tags=tags.on_conflict_do_update(
            index_elements=["run_pk", "key_pk"],
            set_={name: tags.excluded[name] for name in ("value", "head")},
        ),
        add_points=insert(metric_points).on_conflict_do_nothing(),
        set_latest=latest.on_conflict_do_update(
            index_elements=["run_pk", "key_pk"],
            set_={name: latest.excluded[name] for name in ("step", "at", "is_nan", "value")},
            where=_order_columns(latest.excluded) > _order_columns(metric_latest.c),
        ),
        add_links=insert(run_links).on_conflict_do_nothing(),
        set_artifact=artifacts.on_conflict_do_update(
            index_elements=["run_pk", "path"],
            set_={name: artifacts.excluded[name] for name in ("digest", "size_bytes", "at")},
        ),
    )


_KEYS = sa.select(tracking_keys.c.key, tracking_keys.c.pk).where(
    tracking_keys.c.key.in_(sa.bindparam("keys", expanding=True))
)
_PARAMS = (
    sa.select(run_params.c.key_pk, run_params.c.value)
    .where(run_params.c.run_pk == sa.bindparam("run"))
    .where(run_params.c.key_pk.in_(sa.bindparam("keys", expanding=True)))
)
_REMOVE_TAG = (
    sa.delete(run_tags)
    .where(run_tags.c.run_pk == sa.bindparam("run"))
    .where(run_tags.c.key_pk == sa.bindparam("key"))
)


def _chunks(items: list[T]) -> Iterable[list[T]]:
    return (items[start : start + _IN_CHUNK] for start in range(0, len(items), _IN_CHUNK))
