"""Find evaluation data sets by a filter, in an order, a page at a time."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from typing import Any, Final

import sqlalchemy as sa

from noria.access.tables import projects
from noria.core.errors import Invalid
from noria.core.permissions import Principal
from noria.tracking.evaluation_entities import EvaluationDatasetSearch
from noria.tracking.evaluation_tables import (
    evaluation_dataset_experiments,
    evaluation_dataset_tags,
    evaluation_datasets,
)
from noria.tracking.search.grammar import (
    ATTRIBUTE,
    TEXT_COMPARATORS,
    Clause,
    Entity,
    Field,
    Grammar,
    Order,
)
from noria.tracking.traces.patterns import ilike_sql, like_sql
from noria.tracking.traces.permissions import READ_TRACES

_SETS = evaluation_datasets.c

GRAMMAR: Final = Grammar(
    entities=(
        Entity(
            name=ATTRIBUTE,
            also=("attributes", "attr"),
            fields=(
                Field(key="name", comparators=(*TEXT_COMPARATORS, "IN"), lists=True),
                Field(key="created_time", numeric=True),
                Field(key="last_update_time", numeric=True),
                Field(key="created_by", comparators=TEXT_COMPARATORS, orderable=False),
                Field(key="last_updated_by", comparators=TEXT_COMPARATORS, orderable=False),
            ),
        ),
        Entity(name="tag", also=("tags",), comparators=TEXT_COMPARATORS, orderable=False),
    )
)
_COLUMNS: Final[dict[str, sa.ColumnElement[Any]]] = {
    "name": _SETS.name,
    "created_time": _SETS.created_ms,
    "last_update_time": _SETS.updated_ms,
    "created_by": _SETS.created_by,
    "last_updated_by": _SETS.updated_by,
}
_NEWEST: Final = Order(entity=ATTRIBUTE, key="created_time", ascending=False)


def find_datasets(
    connection: sa.Connection,
    caller: Principal,
    wanted: EvaluationDatasetSearch,
    experiments: Sequence[int] | None,
) -> tuple[list[int], str | None]:
    """Give the keys of the sets that are wanted, and where the next page begins.

    Parameters
    ----------
    experiments
        Keys of the experiments that are meant; None for all.
    """
    orders = GRAMMAR.parse_orders(wanted.order_by) or (_NEWEST,)
    clauses = GRAMMAR.parse_filter(wanted.filter)
    columns = [_COLUMNS[order.key] for order in orders]
    query = sa.select(_SETS.pk, *columns, _SETS.id).where(
        *_readable(connection, caller), *(_condition(connection.dialect.name, each) for each in clauses)
    )
    if experiments is not None:
        uses = evaluation_dataset_experiments.c
        query = query.where(
            _SETS.pk.in_(sa.select(uses.dataset_pk).where(uses.experiment_pk.in_(experiments)))
        )
    if wanted.after is not None:
        query = query.where(_beyond(orders, columns, _read_token(wanted.after, orders)))
    for order, column in zip(orders, columns, strict=True):
        query = query.order_by(column if order.ascending else column.desc())
    rows = connection.execute(query.order_by(_SETS.id.desc()).limit(wanted.limit + 1)).fetchall()
    page = rows[: wanted.limit]
    return [row[0] for row in page], _token(page[-1][1:]) if len(rows) > wanted.limit else None


def _readable(connection: sa.Connection, caller: Principal) -> list[sa.ColumnElement[bool]]:
    if caller.may(READ_TRACES, None):
        return []
    names = [name for name in caller.project_roles if caller.may(READ_TRACES, name)]
    keys = connection.execute(sa.select(projects.c.pk).where(projects.c.name.in_(names))).scalars()
    return [_SETS.project_pk.in_(list(keys))]


def _condition(dialect: str, clause: Clause) -> sa.ColumnElement[bool]:
    if clause.entity == ATTRIBUTE:
        return _compared(dialect, _COLUMNS[clause.key], clause)
    tags = evaluation_dataset_tags.c
    tagged = sa.select(tags.dataset_pk).where(tags.key == clause.key, _compared(dialect, tags.value, clause))
    return _SETS.pk.in_(tagged)


def _compared(dialect: str, column: sa.ColumnElement[Any], clause: Clause) -> sa.ColumnElement[bool]:
    if clause.comparator == "LIKE":
        return like_sql(dialect, column, str(clause.value))
    if clause.comparator == "ILIKE":
        return ilike_sql(dialect, column, str(clause.value))
    return _COMPARE[clause.comparator](column, clause.value)


_COMPARE: Final[dict[str, Callable[[sa.ColumnElement[Any], Any], sa.ColumnElement[bool]]]] = {
    "=": lambda column, value: column == value,
    "!=": lambda column, value: column != value,
    ">": lambda column, value: column > value,
    ">=": lambda column, value: column >= value,
    "<": lambda column, value: column < value,
    "<=": lambda column, value: column <= value,
    "IN": lambda column, values: column.in_(values),
}


def _beyond(
    orders: Sequence[Order], columns: Sequence[sa.ColumnElement[Any]], start: Sequence[Any]
) -> sa.ColumnElement[bool]:
    ways: list[sa.ColumnElement[bool]] = []
    same: list[sa.ColumnElement[bool]] = []
    for order, column, value in zip(orders, columns, start[:-1], strict=True):
        ways.append(sa.and_(*same, column > value if order.ascending else column < value))
        same.append(column == value)
    return sa.or_(*ways, sa.and_(*same, _SETS.id < start[-1]))


def _token(values: Sequence[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(list(values)).encode()).decode()


def _read_token(token: str, orders: Sequence[Order]) -> list[Any]:
    kinds = [*(str if order.key == "name" else int for order in orders), str]
    try:
        values = json.loads(base64.b64decode(token.encode(), altchars=b"-_", validate=True))
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, list) or [type(value) for value in values] != kinds:
        raise Invalid(
            f"Invalid page token `{token[:100]}`",
            hint="Give the token of the page before, of the same search",
        )
    return values
