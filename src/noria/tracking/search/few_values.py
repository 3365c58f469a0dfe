"""Patterns over keys of few values: the values are compared instead of the runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from noria.tracking.search.conditions import Condition, Place, prefix_interval, values_condition
from noria.tracking.search.evaluate import like
from noria.tracking.search.grammar import Clause
from noria.tracking.search.scope import Scope
from noria.tracking.search.statement import Reader, Sql, all_of, joined
from noria.tracking.tables import HEAD_CHARS

_MOST_VALUES: Final = 200
"""Of one experiment."""
_MOST_STEPS: Final = 6_000
"""Values that are looked up in all experiments together; each takes a few microseconds."""
_FEW_STEPS: Final = 500
_COMMON: Final = 20
"""Where one in so many of the values has the form, a walk finds enough runs before many values are looked up."""


def found_by_values(condition: Condition, clause: Clause, reader: Reader, scope: Scope) -> Condition:
    """Give the condition of a pattern as one of the values that have its form, if the key has few values."""
    place, pattern, any_case = condition.place, str(clause.value), clause.comparator == "ILIKE"
    if place is None:
        return condition
    where = all_of([place.fixed, prefix_interval(place, pattern, any_case=any_case).sql(place.column)])
    form = like(pattern, any_case=any_case)
    matching: set[str] = set()
    others = scope.experiments[1:]
    # One first: where all values differ, it tells at once.
    for experiments in (scope.experiments[:1], others):
        most = min(_MOST_VALUES * len(experiments), _MOST_STEPS)
        found = _values(reader, place, experiments, where, most + 1) if experiments else []
        if len(found) > most or any(len(value) == HEAD_CHARS for value in found):
            return condition
        matching.update(value for value in found if form.fullmatch(value))
        if experiments is others or not others:
            break
        if _is_common(len(matching), len(found), len(others)):
            return condition
        if not _has_others(reader, place, others, where, found):
            break
    return values_condition(place, sorted(matching))


def _is_common(n_matching: int, n_values: int, n_others: int) -> bool:
    """Tell whether so many values have the form that it is not worth looking at those of the other experiments."""
    return n_others * n_values > _FEW_STEPS and n_matching * _COMMON >= n_values


def _has_others(
    reader: Reader, place: Place, experiments: Sequence[int], where: Sql, known: Sequence[str]
) -> bool:
    """Tell whether some experiments have values besides these, which are given in ascending order.

    Only the gaps between them are looked at: for the usual experiments, which share their values, that takes a small
    part of what it takes to go through the values of each.
    """
    column = place.column
    inside = all_of([reader.among("experiment_pk", experiments), where])
    rows = Sql(f"select 1 from {place.table} where").then(inside)  # noqa: S608 - own words
    if not known:
        return bool(reader.rows(rows.then(Sql("limit 1"))))
    gaps = reader.paired(known, known[1:])
    between = rows.then(Sql(f"and {column} > g.low and {column} < g.high"))
    query = joined(
        " ",
        [
            Sql("select exists("),
            rows.then(Sql(f"and {column} < ?", (known[0],))),
            Sql(") or exists("),
            rows.then(Sql(f"and {column} > ?", (known[-1],))),
            Sql(") or exists(select 1 from"),
            gaps,
            Sql("where exists("),
            between,
            Sql("))"),
        ],
    )
    return bool(reader.number(query))


def _values(reader: Reader, place: Place, experiments: Sequence[int], where: Sql, limit: int) -> list[str]:
    """Read the values of a key, once for each experiment: from one to the next, not from run to run."""
    column = place.column
    least = f"select {column} from {place.table} where experiment_pk ="  # noqa: S608 - own words
    order = Sql(f"order by {column} limit 1)")
    query = joined(
        " ",
        [
            Sql(f"with recursive d(e, v) as (select o.run_pk, ({least} o.run_pk and").then(where, order),
            Sql("from").then(reader.listed(experiments)),
            Sql(f"union all select d.e, ({least} d.e and").then(where, Sql(f"and {column} > d.v"), order),
            Sql("from d where d.v is not null) select v from d where v is not null limit ?", (limit,)),
        ],
    )
    return [row[0] for row in reader.rows(query)]
