"""Read many runs by a few of their params, metrics and tags: what a table shows of them, and no more."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from noria.core.database.prepared import Prepared, Rows, as_list, listed
from noria.core.database.schema import from_micros
from noria.tracking.entities import RunStatus
from noria.tracking.keys import known_keys
from noria.tracking.known import KeyKind
from noria.tracking.tables import metric_latest, run_params, run_tags, runs

MAX_CHILDREN = 100
"""Runs inside a run that are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The params, metrics and tags to read."""

    params: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class RunCells:
    """A run, as far as a table shows it.

    Attributes
    ----------
    parent, parent_name
        The run inside which it was started.
    n_children
        Active runs inside it, at most `MAX_CHILDREN`.
    """

    id: str
    name: str
    status: RunStatus
    started_at: datetime
    ended_at: datetime | None
    deleted_at: datetime | None
    author: str
    parent: str | None = None
    parent_name: str = ""
    n_children: int = 0
    params: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


def load_cells(
    connection: sa.Connection, pks: Sequence[int], wanted: Wanted, *, families: bool = True
) -> list[RunCells]:
    """Read runs by their integer keys, in the order of the keys; one that is gone is left out.

    Parameters
    ----------
    families
        Whether to tell parents, and to count children.
    """
    if not pks:
        return []
    asked = {"runs": as_list(pks)}
    heads = _HEADS.all(connection, asked)
    parents = {head[8] for head in heads} - {None} if families else set()
    names = {pk: (run, name) for pk, run, name in _named(connection, parents)}
    counted = _CHILDREN.all(connection, {**asked, "most": MAX_CHILDREN}) if families else []
    children: dict[int, int] = dict(counted)
    by_pk = {
        pk: RunCells(
            id=run,
            name=name,
            status=RunStatus(status),
            started_at=from_micros(started),
            ended_at=None if ended is None else from_micros(ended),
            deleted_at=None if deleted is None else from_micros(deleted),
            author=author,
            parent=names.get(parent, (None, ""))[0],
            parent_name=names.get(parent, (None, ""))[1],
            n_children=children.get(pk, 0),
        )
        for pk, run, name, status, started, ended, deleted, author, parent in heads
    }
    _fill(connection, by_pk, pks, wanted)
    return [by_pk[pk] for pk in pks if pk in by_pk]


def read_texts(
    connection: sa.Connection, kind: KeyKind, pks: Sequence[int], keys: Sequence[str]
) -> list[tuple[int, str, str]]:
    """Give some params or tags of runs: integer key of the run, key, value."""
    return _read(connection, _TEXTS[kind], pks, keys)


def read_numbers(
    connection: sa.Connection, pks: Sequence[int], keys: Sequence[str]
) -> list[tuple[int, str, float]]:
    """Give some metrics of runs: integer key of the run, key, latest value, which may be NaN."""
    found: list[tuple[int, str, float | None]] = _read(connection, _NUMBERS, pks, keys)
    return [(run, name, math.nan if value is None else value) for run, name, value in found]


def _fill(connection: sa.Connection, by_pk: dict[int, RunCells], pks: Sequence[int], wanted: Wanted) -> None:
    for run, key, text in read_texts(connection, KeyKind.PARAMS, pks, wanted.params):
        by_pk[run].params[key] = text
    for run, key, text in read_texts(connection, KeyKind.TAGS, pks, wanted.tags):
        by_pk[run].tags[key] = text
    for run, key, number in read_numbers(connection, pks, wanted.metrics):
        by_pk[run].metrics[key] = number


def _read(
    connection: sa.Connection, query: Prepared, pks: Sequence[int], keys: Sequence[str]
) -> list[tuple[int, str, Any]]:
    names = {pk: key for key, pk in known_keys(connection, keys).items()} if keys and pks else {}
    if not names:
        return []
    found = query.all(connection, {"runs": as_list(pks), "keys": as_list(names)})
    return [(run, names[key], value) for run, key, value in found]


def _named(connection: sa.Connection, pks: set[int]) -> Rows:
    return _NAMES.all(connection, {"runs": as_list(pks)}) if pks else []


def _values(table: sa.Table, value: sa.ColumnElement[object]) -> Prepared:
    return Prepared(
        lambda dialect: sa.select(table.c.run_pk, table.c.key_pk, value).where(
            table.c.run_pk.in_(listed(dialect, "runs", sa.BigInteger())),
            table.c.key_pk.in_(listed(dialect, "keys", sa.BigInteger())),
        )
    )


def _children(dialect: str) -> sa.Executable:
    """Count up to so many children of each run: one that has thousands takes no longer."""
    inner = runs.alias("inner_runs")
    some = (
        sa.select(inner.c.pk)
        .where(inner.c.parent_pk == runs.c.pk, inner.c.deleted_at.is_(None))
        .limit(sa.bindparam("most"))
        .correlate(runs)
        .subquery()
    )
    counted = sa.select(sa.func.count()).select_from(some).scalar_subquery()
    return sa.select(runs.c.pk, counted).where(runs.c.pk.in_(listed(dialect, "runs", sa.BigInteger())))


_HEADS = Prepared(
    lambda dialect: sa.select(
        runs.c.pk,
        runs.c.id,
        runs.c.name,
        runs.c.status,
        runs.c.started_at,
        runs.c.ended_at,
        runs.c.deleted_at,
        runs.c.author,
        runs.c.parent_pk,
    ).where(runs.c.pk.in_(listed(dialect, "runs", sa.BigInteger())))
)
_NAMES = Prepared(
    lambda dialect: sa.select(runs.c.pk, runs.c.id, runs.c.name).where(
        runs.c.pk.in_(listed(dialect, "runs", sa.BigInteger()))
    )
)
_CHILDREN = Prepared(_children)
_TEXTS = {
    KeyKind.PARAMS: _values(run_params, run_params.c.value),
    KeyKind.TAGS: _values(run_tags, run_tags.c.value),
}
_NUMBERS = _values(
    metric_latest, sa.case((metric_latest.c.is_nan == sa.literal_column("0"), metric_latest.c.value))
)
