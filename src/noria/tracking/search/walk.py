"""Walk an index in the order of a search, a piece at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from noria.tracking.search.conditions import NAN_RANGE, NUMBER_RANGE, Condition, Place
from noria.tracking.search.evaluate import Fact
from noria.tracking.search.scope import Scope
from noria.tracking.search.statement import Reader, Rows, Sql, all_of, either_of, joined

T = TypeVar("T")

_AS_M = Sql(") as m")


class Walk:
    """The runs of a scope in the order of one index. Runs of one value come in any order.

    Parameters
    ----------
    place
        The index.
    ascending
        In which direction.
    conditions
        On `place`, or on the columns of runs if it is one of runs.
    most_merged
        Of how many experiments the indexes are merged by one query, whose text grows with them.
    """

    def __init__(
        self,
        reader: Reader,
        scope: Scope,
        place: Place,
        *,
        ascending: bool,
        most_merged: int,
        conditions: Sequence[Condition] = (),
    ) -> None:
        self._reader, self._scope, self._place, self._ascending = reader, scope, place, ascending
        self._most_merged = most_merged
        first = next((one for one in conditions if one.place == place), None)
        ranges = first.ranges if first else (Sql(f"{place.column} is not null"),)
        self._segments = [one for one in ranges if one != NAN_RANGE]
        if not ascending:
            self._segments.reverse()
        self._filters = [_range(one) for one in conditions if one is not first and one.place == place]
        self._filters += [one.row for one in conditions if one.row and not (one.place == place and one.exact)]
        self._bound: Sql | None = None

    def at_end(self) -> bool:
        """Whether there is nothing left."""
        return not self._segments

    def next(self, limit: int) -> list[int]:
        """Give the next runs; fewer than `limit` only at the end."""
        return self._next(
            limit, lambda query: self._reader.keys(Sql("select run_pk from (").then(query, _AS_M))
        )

    def next_rows(self, limit: int) -> Rows:
        """Give the next runs with what the index holds of their values, which costs four times as much."""
        return self._next(limit, self._reader.rows)

    def _next(self, limit: int, read: Callable[[Sql], list[T]]) -> list[T]:
        found: list[T] = []
        while self._segments and len(found) < limit:
            wanted = limit - len(found)
            some = read(self._query(self._segments[0], wanted))
            found += some
            if len(some) < wanted:
                self._segments.pop(0)
        return found

    def begin_at(self, value: Fact) -> None:
        """Leave out what comes before a value."""
        self._bound = Sql(f"{self._place.column} {'>=' if self._ascending else '<='} ?", (value,))

    def begin_after(self, value: Fact) -> None:
        """Leave out a value, and what comes before it."""
        self._bound = Sql(f"{self._place.column} {'>' if self._ascending else '<'} ?", (value,))

    def _query(self, segment: Sql, limit: int) -> Sql:
        place, experiments = self._place, self._scope.experiments
        direction = "asc" if self._ascending else "desc"
        conditions = [place.fixed, segment, *self._filters]
        if place.table == "metric_latest":
            conditions.append(NUMBER_RANGE)
        if self._bound is not None:
            conditions.append(self._bound)
        where = all_of(conditions)
        lifecycles = self._scope.of_runs if place.of_runs else (Sql("1 = 1"),)
        order = Sql(f"order by {place.column} {direction} limit ?", (limit,))
        if len(experiments) * len(lifecycles) == 1:
            whole = all_of([Sql("experiment_pk = ?", experiments), lifecycles[0], where])
            return self._rows(whole, place.source(self._reader, lifecycles[0])).then(order)
        merge = self._merged if len(experiments) <= self._most_merged else self._gathered
        ordered = Sql(f"order by v {direction} limit ?", (limit,))
        return Sql("select run_pk, v from (").then(merge(where, lifecycles, order), _AS_M, ordered)

    def _merged(self, where: Sql, lifecycles: Sequence[Sql], order: Sql) -> Sql:
        """Put ordered ranges together; both databases merge them, and read each only as far as they need it."""
        ranges = [
            self._rows(
                all_of([Sql("experiment_pk = ?", (one,)), lifecycle, where]),
                self._place.source(self._reader, lifecycle),
            )
            for one in self._scope.experiments
            for lifecycle in lifecycles
        ]
        # SQLite orders a union as a whole, and reads its parts in this order; PostgreSQL wants it said of each part.
        return joined(
            " union all ", ranges if self._reader.is_sqlite else [_closed(one, order) for one in ranges]
        )

    def _gathered(self, where: Sql, lifecycles: Sequence[Sql], order: Sql) -> Sql:
        """Take the first runs of each experiment; the text does not grow with the number of experiments."""
        reader, place, experiments = self._reader, self._place, self._scope.experiments
        if reader.is_sqlite:  # it stops in each experiment where no better run can follow
            among = reader.among("experiment_pk", experiments)
            return joined(
                " union all ",
                [self._rows(all_of([among, one, where]), place.source(reader, one)) for one in lifecycles],
            )
        inner = [
            _closed(self._rows(all_of([Sql("experiment_pk = x.pk"), one, where])), order)
            for one in lifecycles
        ]
        each = Sql("select q.* from unnest(?::bigint[]) as x(pk) cross join lateral (", (list(experiments),))
        return each.then(joined(" union all ", inner), Sql(") as q"))

    def _rows(self, where: Sql, source: str = "") -> Sql:
        place = self._place
        head = f"select {place.run} as run_pk, {place.column} as v from {source or place.table} where"  # noqa: S608
        return Sql(head).then(where)


def _closed(rows: Sql, order: Sql) -> Sql:
    return Sql("(").then(rows, order, Sql(")"))


def _range(condition: Condition) -> Sql:
    return condition.ranges[0] if len(condition.ranges) == 1 else either_of(condition.ranges)
