"""Find traces: in each experiment along an index, the experiments merged, a page at a time."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from noria.core.errors import Invalid
from noria.tracking.search.evaluate import SortKey, sort_key
from noria.tracking.search.grammar import ATTRIBUTE, Clause, Order
from noria.tracking.traces.conditions import Compiler, Conditions, key_numbers, value_of
from noria.tracking.traces.conventions import SOURCE_RUN
from noria.tracking.traces.fields import METADATA, TRACES
from noria.tracking.traces.matching import fitting
from noria.tracking.traces.places import Place
from noria.tracking.traces.tables import traces

FEW: Final = 2_000
"""Up to so many traces are quicker looked up and sorted than found on a walk through all."""

_STRIDE: Final = 250
"""How many traces are looked at together where SQL does not decide alone."""

_DEFAULT_ORDERS: Final = (
    Order(entity=ATTRIBUTE, key="timestamp_ms", ascending=False),
    Order(entity=ATTRIBUTE, key="request_id"),
)
_NEVER_NULL: Final = frozenset({"timestamp_ms", "request_id", "status", "end_time_ms", "experiment_id"})

_NUMBERS: Final = frozenset({"timestamp_ms", "execution_time_ms", "end_time_ms", "experiment_id"})

Values = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Query:
    """A search that has been read."""

    clauses: tuple[Clause, ...]
    orders: tuple[Order, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """Keys of traces in their order, and where the next page begins; None at the end."""

    keys: list[int]
    next: str | None


def read_query(text: str, order_by: Sequence[str]) -> Query:
    """Read a filter and an order; ties are newest first, then by id.

    Raises
    ------
    FilterInvalid
        If one of them cannot be read.
    """
    orders = TRACES.parse_orders(order_by)
    named = {(order.entity, order.key) for order in orders}
    ties = (order for order in _DEFAULT_ORDERS if (order.entity, order.key) not in named)
    return Query(TRACES.parse_filter(text), (*orders, *ties))


def search(
    connection: sa.Connection, places: Sequence[Place], query: Query, limit: int, after: str | None
) -> Found:
    """Find the traces of some experiments.

    Parameters
    ----------
    after
        `next` of the page before.

    Raises
    ------
    Invalid
        If `after` is not of such a page.
    """
    start = None if after is None else _read_token(after, query)
    rows: list[tuple[tuple[SortKey, ...], int, Values]] = []
    for place in places:
        walk = _Walk(connection, place, query)
        rows += [(_sort_key(query, row[1:]), row[0], row[1:]) for row in walk.rows(limit + 1, start)]
    rows.sort(key=lambda row: row[0])
    page = rows[:limit]
    more = len(rows) > limit
    return Found([key for _, key, _ in page], _token(page[-1][2]) if more and page else None)


def matching(connection: sa.Connection, places: Sequence[Place], clauses: Sequence[Clause]) -> set[int]:
    """Give the keys of all traces that a filter finds."""
    found: set[int] = set()
    for place in places:
        conditions = _compile(connection, place, clauses)
        query = _selected([traces.c.pk], place, conditions.where)
        keys = list(connection.execute(query).scalars())
        for at in range(0, len(keys), _STRIDE) if not conditions.is_exact else ():
            found.update(fitting(connection, conditions, keys[at : at + _STRIDE]))
        if conditions.is_exact:
            found.update(keys)
    return found


class _Walk:
    """The traces of one experiment in an order."""

    def __init__(self, connection: sa.Connection, place: Place, query: Query) -> None:
        self._connection = connection
        self._place = place
        self._query = query
        self._conditions = _compile(connection, place, query.clauses)
        keys = key_numbers(connection)
        self._columns = [_column(order, place, keys) for order in query.orders]

    def rows(self, limit: int, start: Values | None) -> list[Values]:
        """Give at most `limit` rows: key of the trace, then the values that it is ordered by."""
        where = [*self._conditions.where, *self._shortcut()]
        if self._conditions.is_exact:
            return self._fetch(where, limit, start)
        found: list[Values] = []
        for stride in self._strides(where, start):
            fits = set(fitting(self._connection, self._conditions, [row[0] for row in stride]))
            found += [row for row in stride if row[0] in fits]
            if len(found) >= limit:
                break
        return found[:limit]

    def _strides(self, where: list[Any], start: Values | None) -> Iterator[list[Values]]:
        while True:
            rows = self._fetch(where, _STRIDE, start)
            if rows:
                yield rows
            if len(rows) < _STRIDE:
                return
            start = rows[-1][1:]

    def _fetch(self, where: list[Any], limit: int, start: Values | None) -> list[Values]:
        if start is not None:
            where = [*where, *self._beyond(start)]
        query = _selected([traces.c.pk, *self._columns], self._place, where)
        for order, column in zip(self._query.orders, self._columns, strict=True):
            if _may_be_null(order):
                query = query.order_by(column.is_(None))
            query = query.order_by(column if order.ascending else column.desc())
        return [tuple(row) for row in self._connection.execute(query.limit(limit)).fetchall()]

    def _shortcut(self) -> list[sa.ColumnElement[bool]]:
        """Give the shortest of the selections that hold all that is looked for, if it is short."""
        counted = []
        for narrow in self._conditions.narrow:
            few = narrow.limit(FEW + 1).subquery()
            n = self._connection.execute(sa.select(sa.func.count()).select_from(few)).scalar_one()
            if n <= FEW:
                counted.append((n, narrow))
        if not counted:
            return []
        _, shortest = min(counted, key=lambda each: each[0])
        return [traces.c.pk.in_(shortest)]

    def _beyond(self, start: Values) -> list[sa.ColumnElement[bool]]:
        """Say what comes after a row, in the order of the walk; the first bound is for the index."""
        ways: list[sa.ColumnElement[bool]] = []
        same: list[sa.ColumnElement[bool]] = []
        for order, column, value in zip(self._query.orders, self._columns, start, strict=True):
            farther = _farther(order, column, value)
            if farther is not None:
                ways.append(sa.and_(*same, farther))
            same.append(column.is_(None) if value is None else column == value)
        bounds = [sa.or_(*ways)]
        first = self._query.orders[0]
        if not _may_be_null(first):
            column = self._columns[0]
            bounds.append(column >= start[0] if first.ascending else column <= start[0])
        return bounds


def _compile(connection: sa.Connection, place: Place, clauses: Sequence[Clause]) -> Conditions:
    compiler = Compiler(dialect=connection.dialect.name, experiment=place.pk, keys=key_numbers(connection))
    return compiler.conditions(clauses)


def _selected(columns: list[Any], place: Place, where: Sequence[Any]) -> sa.Select[Any]:
    return sa.select(*columns).where(traces.c.experiment_pk == place.pk, *where)


def _column(order: Order, place: Place, keys: Any) -> sa.ColumnElement[Any]:
    if order.entity != ATTRIBUTE:
        return value_of(keys, order.entity, order.key)
    if order.key == "run_id":
        return value_of(keys, METADATA, SOURCE_RUN)
    if order.key == "experiment_id":
        return sa.literal(place.number)
    return _ORDERABLE[order.key]


_ORDERABLE: dict[str, sa.ColumnElement[Any]] = {
    "request_id": traces.c.id,
    "timestamp_ms": traces.c.started_ms,
    "execution_time_ms": traces.c.duration_ms,
    "end_time_ms": traces.c.started_ms + sa.func.coalesce(traces.c.duration_ms, 0),
    "status": traces.c.state,
    "name": traces.c.name,
}


def _may_be_null(order: Order) -> bool:
    return order.entity != ATTRIBUTE or order.key not in _NEVER_NULL


def _farther(order: Order, column: Any, value: Any) -> sa.ColumnElement[bool] | None:
    """Say what comes after a value in one column: what is missing comes last in both directions."""
    if value is None:
        return None
    beyond: sa.ColumnElement[bool] = column > value if order.ascending else column < value
    return sa.or_(beyond, column.is_(None)) if _may_be_null(order) else beyond


def _sort_key(query: Query, values: Values) -> tuple[SortKey, ...]:
    return tuple(
        sort_key(value, ascending=order.ascending) for order, value in zip(query.orders, values, strict=True)
    )


def _token(values: Values) -> str:
    return base64.urlsafe_b64encode(json.dumps(list(values)).encode()).decode()


def _read_token(token: str, query: Query) -> Values:
    try:
        values = json.loads(base64.b64decode(token.encode(), altchars=b"-_", validate=True))
    except (ValueError, RecursionError):
        values = None
    is_place = isinstance(values, list) and len(values) == len(query.orders)
    if not is_place or [*map(_is_number, values)] != [*map(_numbers, query.orders, values)]:
        raise Invalid(
            f"Invalid page token `{token[:100]}`",
            hint="Give the token of the page before, of the same search",
        )
    return tuple(values)


def _is_number(value: Any) -> bool | None:
    """Whether a value of a token is a number, a text (False) or null (None)."""
    return None if value is None else type(value) is int


def _numbers(order: Order, value: Any) -> bool | None:
    if value is None and _may_be_null(order):
        return None
    return order.entity == ATTRIBUTE and order.key in _NUMBERS
