"""Search runs: from clauses and orders to the keys of a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from noria.tracking.entities import Lifecycle
from noria.tracking.keys import known_keys
from noria.tracking.parents import PARENT_TAG
from noria.tracking.search.attributes import attribute_condition, dataset_condition, parent_condition
from noria.tracking.search.conditions import (
    NOTHING,
    Condition,
    Place,
    metric_condition,
    missing_condition,
    present_condition,
    text_condition,
)
from noria.tracking.search.engine import After, Conditions, Engine
from noria.tracking.search.evaluate import MISSING
from noria.tracking.search.few_values import found_by_values
from noria.tracking.search.fields import DATASET, METRIC, PARAM, RUN_NAME_TAG, RUNS, TAG
from noria.tracking.search.grammar import ATTRIBUTE, Clause, Order
from noria.tracking.search.grams import found_by_grams
from noria.tracking.search.page_tokens import mark_of, read_token, write_token
from noria.tracking.search.plan import POSTGRES, SQLITE, Costs
from noria.tracking.search.scope import Scope, measure_scope
from noria.tracking.search.statement import Reader
from noria.tracking.search.terms import (
    MetricTerm,
    Term,
    TextTerm,
    attribute_term,
    id_term,
    parent_term,
    started_term,
)

_TABLES = {METRIC: "metric_latest", PARAM: "run_params", TAG: "run_tags"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunQuery:
    """What runs to find, read and understood.

    Attributes
    ----------
    mark
        Differs for different queries; a token carries it.
    """

    clauses: tuple[Clause, ...] = ()
    orders: tuple[Order, ...] = ()
    lifecycle: Lifecycle = Lifecycle.ACTIVE
    mark: str = ""


def parse_query(
    filter_text: str, order_by: Sequence[str], lifecycle: Lifecycle = Lifecycle.ACTIVE
) -> RunQuery:
    """Read a filter and what to order by.

    Raises
    ------
    FilterInvalid
        If one of them cannot be read.
    """
    clauses, orders = RUNS.parse_filter(filter_text), RUNS.parse_orders(order_by)
    mark = mark_of(filter_text.strip(), [one.strip() for one in order_by], lifecycle)
    return RunQuery(
        clauses=tuple([_as_attribute(one) for one in clauses]),
        orders=tuple([_ordered_attribute(one) for one in orders]),
        lifecycle=lifecycle,
        mark=mark,
    )


def search_runs(
    connection: sa.Connection,
    experiments: Sequence[int],
    query: RunQuery,
    *,
    limit: int,
    after: str | None = None,
    costs: Costs | None = None,
) -> tuple[list[int], str | None]:
    """Find a page of runs in any number of experiments.

    Parameters
    ----------
    experiments
        Integer keys.
    limit
        How many runs at most.
    after
        The token of the page before.
    costs
        What to plan by; what was measured for the database unless given.

    Returns
    -------
    keys : list of int
        Integer keys of the runs, in order.
    next : str or None
        The token of the next page, or None at the end.

    Raises
    ------
    PageTokenInvalid
        If `after` belongs to another search.
    """
    reader = Reader(connection)
    keys = known_keys(connection, _keys_in(query))
    asked = _terms(query.orders, keys)
    mark = mark_of(query.mark, sorted(experiments))
    place = _place_after(after, mark, asked) if after else None
    scope = measure_scope(reader, experiments, query.lifecycle)
    if scope.n_runs == 0:
        return [], None
    conditions, engine = _planned(query, keys, reader, scope, costs)
    terms = tuple([one for one in asked if one is not None])
    found = engine.take(conditions, terms, place, limit + 1)
    if len(found) <= limit:
        return found, None
    last = dict(zip(terms, engine.place_of(found[limit - 1], terms), strict=True))
    return found[:limit], write_token(mark, tuple([last[one] if one else (MISSING, None) for one in asked]))


def count_runs(
    connection: sa.Connection,
    experiments: Sequence[int],
    query: RunQuery,
    most: int,
    costs: Costs | None = None,
) -> int:
    """Count the runs that a search finds, as far as `most`."""
    reader = Reader(connection)
    scope = measure_scope(reader, experiments, query.lifecycle)
    if scope.n_runs == 0:
        return 0
    keys = known_keys(connection, _keys_in(query))
    conditions, engine = _planned(query, keys, reader, scope, costs)
    return engine.count(conditions, (started_term(ascending=False), id_term()), most)


def _planned(
    query: RunQuery, keys: dict[str, int], reader: Reader, scope: Scope, costs: Costs | None
) -> tuple[Conditions, Engine]:
    measured = costs or (SQLITE if reader.is_sqlite else POSTGRES)
    conditions = [_found(one, keys, reader, scope, measured) for one in query.clauses]
    engine = Engine(reader=reader, scope=scope, costs=measured.among(len(scope.experiments)))
    return tuple([one for one in conditions if one is not None]), engine


def _place_after(token: str, mark: str, asked: Sequence[Term | None]) -> After:
    """Read a token; what nobody had logged at the time of one page may be known at the next."""
    place = read_token(token, mark, tuple([one.kind if one else str for one in asked]))
    return tuple([value for value, term in zip(place, asked, strict=True) if term is not None])


def _as_attribute(clause: Clause) -> Clause:
    """Take the tag that stands for a run's name for the name."""
    if clause.entity != TAG or clause.key != RUN_NAME_TAG:
        return clause
    return Clause(entity=ATTRIBUTE, key="run_name", comparator=clause.comparator, value=clause.value)


def _ordered_attribute(order: Order) -> Order:
    if order.entity != TAG or order.key != RUN_NAME_TAG:
        return order
    return Order(entity=ATTRIBUTE, key="run_name", ascending=order.ascending)


def _keys_in(query: RunQuery) -> set[str]:
    named: tuple[Clause | Order, ...] = (*query.clauses, *query.orders)
    return {one.key for one in named if one.entity in _TABLES}


def _found(
    clause: Clause, keys: dict[str, int], reader: Reader, scope: Scope, costs: Costs
) -> Condition | None:
    """Give the condition of a clause in the form in which its runs are found quickest."""
    condition = _condition(clause, keys, reader, scope)
    if condition is None or not condition.scans:
        return condition
    return found_by_grams(condition, clause, reader, scope, costs)


def _condition(clause: Clause, keys: dict[str, int], reader: Reader, scope: Scope) -> Condition | None:
    """Give the condition of a clause, or None if it holds for every run."""
    if clause.entity == DATASET:
        return dataset_condition(clause, reader, scope)
    if clause.entity == TAG and clause.key == PARENT_TAG:
        return parent_condition(clause, keys.get(clause.key), reader, scope)
    if clause.entity != ATTRIBUTE:
        return _logged_condition(clause, keys.get(clause.key), reader, scope)
    if clause.comparator in ("IS NULL", "IS NOT NULL"):  # of the name, which every run has
        return NOTHING if clause.comparator == "IS NULL" else None
    return attribute_condition(clause, reader, scope)


def _logged_condition(clause: Clause, key: int | None, reader: Reader, scope: Scope) -> Condition | None:
    if key is None:  # no run of the workspace has it
        return None if clause.comparator == "IS NULL" else NOTHING
    place = _place(clause.entity, key)
    if clause.comparator in ("IS NULL", "IS NOT NULL"):
        return missing_condition(place) if clause.comparator == "IS NULL" else present_condition(place)
    if clause.entity == METRIC:
        return metric_condition(place, clause.comparator, float(clause.value))  # type: ignore[arg-type]
    found = text_condition(place, clause.comparator, str(clause.value), is_sqlite=reader.is_sqlite)
    return found_by_values(found, clause, reader, scope) if found.scans else found


def _place(entity: str, key: int) -> Place:
    column = "value" if entity == METRIC else "head"
    return Place(table=_TABLES[entity], run="run_pk", column=column, key=key)


def _terms(orders: Sequence[Order], keys: dict[str, int]) -> tuple[Term | None, ...]:
    """Give what to order by: what was asked for, then the newest start, then the id, which no two runs share.

    None stands for what no run has a value of.
    """
    terms = [_term(one, keys) for one in orders]
    attributes = {one.key for one in orders if one.entity == ATTRIBUTE}
    if "start_time" not in attributes:
        terms.append(started_term(ascending=False))
    if "run_id" not in attributes:
        terms.append(id_term())
    return tuple(terms)


def _term(order: Order, keys: dict[str, int]) -> Term | None:
    if order.entity == ATTRIBUTE:
        return attribute_term(order.key, ascending=order.ascending)
    if order.entity == TAG and order.key == PARENT_TAG:
        return parent_term(keys.get(order.key), ascending=order.ascending)
    key = keys.get(order.key)
    if key is None:
        return None
    kind = MetricTerm if order.entity == METRIC else TextTerm
    return kind(place=_place(order.entity, key), ascending=order.ascending)
