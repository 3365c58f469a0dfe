"""Patterns over keys of few values: the values are compared instead of the runs."""

from __future__ import annotations

from typing import Final

from noria.tracking.search.conditions import Condition, Place, prefix_interval, values_condition
from noria.tracking.search.evaluate import like
from noria.tracking.search.grammar import Clause
from noria.tracking.search.scope import Scope
from noria.tracking.search.statement import Reader, Sql, all_of, joined
from noria.tracking.tables import HEAD_CHARS

_MOST_VALUES: Final = 200
_MOST_STEPS: Final = 6_000
"""Values that are looked up in all experiments together; each takes a few microseconds."""


def found_by_values(condition: Condition, clause: Clause, reader: Reader, scope: Scope) -> Condition:
    """Give the condition of a pattern as one of the values that have its form, if the key has few values."""
    place, pattern, any_case = condition.place, str(clause.value), clause.comparator == "ILIKE"
    if place is None:
        return condition
    where = all_of([place.fixed, prefix_interval(place, pattern, any_case=any_case).sql(place.column)])
    values: set[str] = set()
    left = _MOST_STEPS
    for at, experiment in enumerate(scope.experiments):
        most = min(_MOST_VALUES, left // (len(scope.experiments) - at))
        found = _values(reader, place, experiment, where, most + 1)
        if len(found) > most or any(len(value) == HEAD_CHARS for value in found):
            return condition
        values.update(found)
        left -= len(found)
    form = like(pattern, any_case=any_case)
    return values_condition(place, sorted(value for value in values if form.fullmatch(value)))


def _values(reader: Reader, place: Place, experiment: int, where: Sql, limit: int) -> list[str]:
    """Read the values of a key in one experiment: from one to the next, not from run to run."""
    column = place.column
    rows = Sql(f"from {place.table} where experiment_pk = ? and", (experiment,)).then(where)
    order = Sql(f"order by {column} limit 1")
    query = joined(
        " ",
        [
            Sql(f"with recursive d(v) as (select v from (select {column} as v").then(  # noqa: S608 - own words
                rows, order, Sql(") as f")
            ),
            Sql(f"union all select (select {column}").then(rows, Sql(f"and {column} > d.v"), order, Sql(")")),
            Sql("from d where d.v is not null) select v from d where v is not null limit ?", (limit,)),
        ],
    )
    return [row[0] for row in reader.rows(query)]
