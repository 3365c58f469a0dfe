"""Lists of experiments with what is known of their runs: counts that are kept, and seeks in indexes."""

from __future__ import annotations

import base64
import binascii
import enum
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from noria.core.database.prepared import Prepared, as_list, listed
from noria.core.database.schema import from_micros
from noria.tracking.entities import Lifecycle, RunStatus
from noria.tracking.experiment_entities import Experiment
from noria.tracking.experiment_rows import experiments_of, select_experiments
from noria.tracking.search.page_tokens import PageTokenInvalid
from noria.tracking.tables import experiments, run_counts, runs


class ExperimentOrder(enum.StrEnum):
    """What a list of experiments is in the order of."""

    ACTIVITY = "activity"
    NAME = "name"
    CREATED = "created"
    RUNS = "runs"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentsAsked:
    """The experiments to list.

    Attributes
    ----------
    containing
        What names contain, in any case.
    after
        The token of the page before.
    """

    containing: str = ""
    order: ExperimentOrder = ExperimentOrder.ACTIVITY
    descending: bool = True
    lifecycle: Lifecycle = Lifecycle.ACTIVE
    limit: int = 50
    after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTally:
    """How many runs an experiment has.

    Attributes
    ----------
    by_status
        Active ones.
    """

    by_status: dict[RunStatus, int] = field(default_factory=dict)
    n_deleted: int = 0

    @property
    def n_active(self) -> int:
        """Runs that are not deleted."""
        return sum(self.by_status.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentRow:
    """An experiment in a list.

    Attributes
    ----------
    last_activity
        When a run last started or ended, or the experiment itself was changed.
    """

    experiment: Experiment
    tally: RunTally
    last_activity: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentRows:
    """A page of experiments.

    Attributes
    ----------
    total
        Experiments that match, on all pages.
    n_deleted
        Deleted experiments of the project.
    """

    rows: tuple[ExperimentRow, ...]
    next: str | None
    total: int
    n_deleted: int


class _Token(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    order: str
    descending: bool
    value: int | str
    number: int


def list_experiments(connection: sa.Connection, project: int, asked: ExperimentsAsked) -> ExperimentRows:
    """List experiments of the project with this key."""
    matching = _matching(project, asked)
    value = _ORDERED[asked.order]
    query = (
        select_experiments().add_columns(value.label("value"), _ACTIVITY.label("activity")).where(*matching)
    )
    if asked.after:
        last = _read(asked.after, asked)
        place = sa.tuple_(sa.literal(last.value, type_=value.type), sa.literal(last.number))
        here = sa.tuple_(value, experiments.c.number)
        query = query.where(here < place if asked.descending else here > place)
    order = [each.desc() if asked.descending else each.asc() for each in (value, experiments.c.number)]
    found = connection.execute(query.order_by(*order).limit(asked.limit + 1)).mappings().all()
    shown = [dict(row) for row in found[: asked.limit]]
    tallies = tallies_of(connection, [row["pk"] for row in shown])
    made = experiments_of(connection, shown)
    rows = tuple(
        ExperimentRow(experiment=each, tally=tallies[row["pk"]], last_activity=from_micros(row["activity"]))
        for each, row in zip(made, shown, strict=True)
    )
    return ExperimentRows(
        rows=rows,
        next=_write(shown[-1], asked) if len(found) > asked.limit else None,
        total=_count(connection, matching),
        n_deleted=_count(connection, [_of(project), experiments.c.deleted_at.is_not(None)]),
    )


def tallies_of(connection: sa.Connection, pks: Sequence[int]) -> dict[int, RunTally]:
    """Give how many runs experiments have, from the counts that are kept."""
    by_status: dict[int, dict[RunStatus, int]] = {pk: {} for pk in pks}
    deleted = dict.fromkeys(pks, 0)
    for pk, is_deleted, status, n_runs in _TALLIES.all(connection, {"experiments": as_list(pks)}):
        if is_deleted:
            deleted[pk] += n_runs
        elif n_runs:
            by_status[pk][RunStatus(status)] = n_runs
    return {pk: RunTally(by_status=by_status[pk], n_deleted=deleted[pk]) for pk in pks}


def _matching(project: int, asked: ExperimentsAsked) -> list[sa.ColumnElement[bool]]:
    wanted = [_of(project)]
    if asked.lifecycle is not Lifecycle.ALL:
        is_active = experiments.c.deleted_at.is_(None)
        wanted.append(is_active if asked.lifecycle is Lifecycle.ACTIVE else ~is_active)
    if asked.containing:
        name = sa.func.lower(sa.cast(experiments.c.name, sa.Text))
        wanted.append(name.contains(asked.containing.lower(), autoescape=True))
    return wanted


def _of(project: int) -> sa.ColumnElement[bool]:
    return experiments.c.project_pk == project


def _count(connection: sa.Connection, wanted: Sequence[sa.ColumnElement[bool]]) -> int:
    query = sa.select(sa.func.count()).select_from(experiments).where(*wanted)
    return int(connection.execute(query).scalar_one())


def _write(row: dict[str, Any], asked: ExperimentsAsked) -> str:
    value = row["value"]
    token = _Token(
        asked.order, asked.descending, value if isinstance(value, str) else int(value), row["number"]
    )
    return base64.urlsafe_b64encode(msgspec.json.encode(token)).decode()


def _read(text: str, asked: ExperimentsAsked) -> _Token:
    try:
        token = msgspec.json.decode(base64.urlsafe_b64decode(text.encode()), type=_Token)
    except (msgspec.MsgspecError, binascii.Error, ValueError) as error:
        raise PageTokenInvalid("This is no token of a page", hint="Begin with the first page") from error
    kind = str if asked.order is ExperimentOrder.NAME else int
    if (token.order, token.descending) != (asked.order, asked.descending) or not isinstance(
        token.value, kind
    ):
        raise PageTokenInvalid("The token is of a list in another order", hint="Begin with the first page")
    return token


def _latest(column: sa.Column[Any]) -> sa.ColumnElement[int]:
    """Give the latest of some moment among an experiment's active runs: one seek in an index."""
    moment = sa.type_coerce(column, sa.BigInteger)
    among = [runs.c.experiment_pk == experiments.c.pk, runs.c.deleted_at.is_(None), column.is_not(None)]
    latest = sa.select(moment).where(*among).order_by(column.desc()).limit(1)
    return sa.func.coalesce(latest.correlate(experiments).scalar_subquery(), 0)


def _greatest(*values: sa.ColumnElement[int]) -> sa.ColumnElement[int]:
    found = values[0]
    for value in values[1:]:
        found = sa.case((found < value, value), else_=found)
    return found


_ACTIVITY = _greatest(
    _latest(runs.c.started_at),
    _latest(runs.c.ended_at),
    sa.type_coerce(experiments.c.updated_at, sa.BigInteger),
)
_N_RUNS: sa.ColumnElement[int] = sa.func.coalesce(
    sa.select(sa.cast(sa.func.sum(run_counts.c.n_runs), sa.BigInteger))
    .where(run_counts.c.experiment_pk == experiments.c.pk, run_counts.c.is_deleted == 0)
    .correlate(experiments)
    .scalar_subquery(),
    0,
)
_ORDERED: dict[ExperimentOrder, sa.ColumnElement[Any]] = {
    ExperimentOrder.ACTIVITY: _ACTIVITY,
    ExperimentOrder.NAME: experiments.c.name,
    ExperimentOrder.CREATED: sa.type_coerce(experiments.c.created_at, sa.BigInteger),
    ExperimentOrder.RUNS: _N_RUNS,
}
_TALLIES = Prepared(
    lambda dialect: sa.select(
        run_counts.c.experiment_pk, run_counts.c.is_deleted, run_counts.c.status, run_counts.c.n_runs
    ).where(run_counts.c.experiment_pk.in_(listed(dialect, "experiments", sa.BigInteger())))
)
