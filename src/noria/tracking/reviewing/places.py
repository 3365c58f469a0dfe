"""Experiments that can be written to, and pages of what belongs to them, newest first."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from noria.tracking.experiment_rows import ExperimentDeleted
from noria.tracking.search.evaluate import NUMBER
from noria.tracking.search.page_tokens import PageTokenInvalid, read_token, write_token
from noria.tracking.tables import experiments
from noria.tracking.traces.places import Place, experiment_in

MAX_PAGE = 1_000


def active_experiment(connection: sa.Connection, project: str, number: int, *, hold: bool = False) -> Place:
    """Get an experiment of a project by its number.

    Parameters
    ----------
    hold
        Let nobody remove it until the commit.

    Raises
    ------
    NotFound
        If the project has none of that number.
    ExperimentDeleted
        If it was deleted.
    """
    place = experiment_in(connection, project, number, hold=hold)
    query = sa.select(experiments.c.deleted_at).where(experiments.c.pk == place.pk)
    if connection.execute(query).scalar_one() is not None:
        raise ExperimentDeleted(project, place.name)
    return place


def newest_first(
    connection: sa.Connection,
    query: sa.Select[Any],
    order: tuple[sa.ColumnElement[int], sa.ColumnElement[str]],
    mark: str,
    limit: int,
    after: str | None,
) -> tuple[list[Any], str | None]:
    """Give a page of rows, and the token of the next one.

    Parameters
    ----------
    query
        Its first two columns are those of `order`.
    order
        The moment, latest first, and the id.
    mark
        Of this list: a token of another is refused.

    Raises
    ------
    PageTokenInvalid
        If the token is not of this list.
    """
    moment, key = order
    if after is not None:
        at, last = _start(after, mark)
        query = query.where(sa.or_(moment < at, sa.and_(moment == at, key > last)))
    bound = max(1, min(limit, MAX_PAGE))
    rows = list(connection.execute(query.order_by(moment.desc(), key).limit(bound + 1)).fetchall())
    if len(rows) <= bound:
        return rows, None
    ended = rows[bound - 1]
    return rows[:bound], write_token(mark, ((NUMBER, ended[0]), (NUMBER, ended[1])))


def _start(token: str, mark: str) -> tuple[Any, Any]:
    (first, at), (second, key) = read_token(token, mark, (int, str))
    if (first, second) != (NUMBER, NUMBER):
        raise PageTokenInvalid("Invalid page token: it does not fit the order of this list")
    return at, key
