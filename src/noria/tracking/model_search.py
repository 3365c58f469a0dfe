"""Search logged models: the comparisons and the order as one query, in pages that new models do not shift."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec
import sqlalchemy as sa
from blake3 import blake3

from noria.core.errors import Invalid
from noria.core.serialisation import to_json
from noria.tracking.limits import shorten
from noria.tracking.model_entities import DatasetChoice, ModelOrder, ModelSearch
from noria.tracking.model_filter import (
    NUMBERS,
    TEXTS,
    Comparison,
    Kind,
    parse_filter,
)
from noria.tracking.model_tables import (
    logged_model_metrics,
    logged_model_params,
    logged_model_tags,
    logged_models,
)
from noria.tracking.search.page_tokens import PageTokenInvalid
from noria.tracking.tables import runs, tracking_keys

MAX_ORDERS = 20

_PARTS = (
    ("Experiment IDs", "do not", "experiment IDs"),
    ("Filter string", "does not", "filter string"),
    ("Order by", "does not", "order by"),
)
"""The parts of a search that its pages have in common, as MLflow names them."""

_MICROS_IN_MS = 1000
_MOST_JOINED = 8
"""So many conditions PostgreSQL makes a plan for at once."""

Condition: TypeAlias = sa.ColumnElement[bool]

_models, _metrics = logged_models.c, logged_model_metrics.c


class _Float(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A float as text, since JSON has no infinities."""

    text: str


class _Token(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where a page ended, and marks of the search that it belongs to."""

    marks: tuple[str, str, str]
    last: list[str | int | _Float]


@dataclass(frozen=True, slots=True)
class _Term:
    """Something that models are ordered by; never null."""

    value: sa.ColumnElement[Any]
    ascending: bool


def search_models(
    connection: sa.Connection, experiments: Sequence[int], search: ModelSearch
) -> tuple[list[int], str | None]:
    """Give the integer keys of a page of active models, and the token of the next page, or None at the end.

    Parameters
    ----------
    experiments
        Integer keys of the experiments to look in; `search.numbers` only marks the token.

    Raises
    ------
    FilterInvalid, Invalid
        If the filter or the order cannot be read.
    PageTokenInvalid
        If `search.after` belongs to another search.
    """
    comparisons = parse_filter(search.filter)
    joined, terms = _terms(search.order_by)
    conditions = _conditions(connection.dialect.name, comparisons, search.datasets)
    after = _read_token(search, len(terms))
    if not experiments:
        return [], None
    found = (
        sa.select(
            _models.pk.label("model"), *(term.value.label(f"term_{at}") for at, term in enumerate(terms))
        )
        .select_from(joined)
        .where(_models.experiment_pk.in_(experiments), _models.deleted_at.is_(None), *conditions)
        .subquery()
    )
    columns = [found.c[f"term_{at}"] for at in range(len(terms))]
    ascending = [term.ascending for term in terms]
    query = sa.select(found)
    if after is not None:
        query = query.where(_follows(columns, ascending, after))
    ordered = (column.asc() if up else column.desc() for column, up in zip(columns, ascending, strict=True))
    rows = connection.execute(query.order_by(*ordered).limit(search.limit + 1)).fetchall()
    page = rows[: search.limit]
    token = _write_token(search, list(page[-1][1:])) if len(rows) > search.limit else None
    return [row[0] for row in page], token


def _conditions(
    dialect: str, comparisons: Sequence[Comparison], datasets: Sequence[DatasetChoice]
) -> list[Condition]:
    on_data = _on_data(datasets)
    apart = len(comparisons) > _MOST_JOINED
    found = [_condition(dialect, comparison, on_data, apart=apart) for comparison in comparisons]
    if on_data is not None and not any(each.kind is Kind.METRIC for each in comparisons):
        found.append(_metrics_of_model().where(on_data).exists())
    return found


def _condition(dialect: str, comparison: Comparison, on_data: Condition | None, *, apart: bool) -> Condition:
    compare, key = _OPERATORS[comparison.operator], comparison.key
    if comparison.kind is Kind.ATTRIBUTE:
        column = _models[key]
        if key in NUMBERS.values():
            return compare(dialect, sa.type_coerce(column, sa.BigInteger) // _MICROS_IN_MS, comparison.value)
        return compare(dialect, column, comparison.value)
    if comparison.kind is Kind.METRIC:
        holds = sa.and_(_metrics.is_nan == 0, compare(dialect, _metrics.value, comparison.value))
        if comparison.operator == "!=":
            holds = sa.or_(holds, _metrics.is_nan == 1)
        query = _metrics_of_model().where(_metrics.key_pk == _key(key), holds)
        return _there_is(query if on_data is None else query.where(on_data), apart=apart)
    table = logged_model_params if comparison.kind is Kind.PARAM else logged_model_tags
    query = sa.select(table.c.model_pk).where(table.c.model_pk == _models.pk, table.c.key_pk == _key(key))
    return _there_is(query.where(compare(dialect, table.c.value, comparison.value)), apart=apart)


def _there_is(query: sa.Select[Any], *, apart: bool) -> Condition:
    """Say that a query has a row.

    PostgreSQL makes joins of such conditions, and looks for their best order: for minutes where they are hundreds. It
    leaves alone what has an offset.
    """
    return (query.offset(0) if apart else query).exists()


def _metrics_of_model() -> sa.Select[Any]:
    return sa.select(_metrics.model_pk).where(_metrics.model_pk == _models.pk).correlate(logged_models)


def _key(key: str) -> sa.ScalarSelect[Any]:
    return sa.select(tracking_keys.c.pk).where(tracking_keys.c.key == key).scalar_subquery()


def _on_data(datasets: Sequence[DatasetChoice]) -> Condition | None:
    choices = []
    for choice in datasets:
        if not choice.name:
            raise Invalid("`dataset_name` in the `datasets` clause must be specified.")
        same = _metrics.dataset_name == choice.name
        choices.append(sa.and_(same, _metrics.dataset_digest == choice.digest) if choice.digest else same)
    return sa.or_(*choices) if choices else None


def _terms(order_by: Sequence[ModelOrder]) -> tuple[sa.FromClause, list[_Term]]:
    """Give what to order by, ending in what makes the order complete, and the tables that it comes from."""
    if len(order_by) > MAX_ORDERS:
        raise Invalid(f"The search is ordered by {len(order_by)} fields; at most {MAX_ORDERS} are taken")
    joined: sa.FromClause = logged_models
    terms: list[_Term] = []
    for order in order_by:
        entity, dot, key = order.field.partition(".")
        if not dot:
            column = NUMBERS.get(order.field) or TEXTS.get(order.field)
            if column is None:
                raise Invalid(f"Invalid order by field name: {shorten(order.field)}")
            terms.append(_Term(_attribute(column), order.ascending))
            continue
        if entity != "metrics":
            raise Invalid(f"Invalid order by field name: {shorten(order.field)}. Only metrics are supported.")
        latest = _latest(key, order)
        joined = joined.outerjoin(latest, sa.and_(latest.c.model == _models.pk, latest.c.place == 1))
        missing, zero = sa.case((latest.c.value.is_(None), 2), else_=latest.c.is_nan), sa.literal(0.0)
        terms += [
            _Term(missing, ascending=True),
            _Term(sa.func.coalesce(latest.c.value, zero), order.ascending),
        ]
    terms += [_Term(_attribute("created_at"), ascending=False), _Term(_models.id, ascending=True)]
    return joined, terms


def _attribute(column: str) -> sa.ColumnElement[Any]:
    found = _models[column]
    return sa.type_coerce(found, sa.BigInteger) if column in NUMBERS.values() else found


def _latest(key: str, order: ModelOrder) -> sa.Subquery:
    """Give the values of one metric by model, with their places from the latest back."""
    newest_first = [_metrics.at.desc(), _metrics.step.desc(), runs.c.id.asc()]
    place = sa.func.row_number().over(partition_by=_metrics.model_pk, order_by=newest_first)
    query = (
        sa.select(
            _metrics.model_pk.label("model"),
            _metrics.value.label("value"),
            _metrics.is_nan.label("is_nan"),
            place.label("place"),
        )
        .join(runs, runs.c.pk == _metrics.run_pk)
        .where(_metrics.key_pk == _key(key))
    )
    if order.dataset_name:
        query = query.where(_metrics.dataset_name == order.dataset_name)
    if order.dataset_digest:
        query = query.where(_metrics.dataset_digest == order.dataset_digest)
    return query.subquery()


def _follows(columns: Sequence[Any], ascending: Sequence[bool], last: Sequence[Any]) -> Condition:
    """Say that a row comes after the one with the values `last`."""
    choices: list[Condition] = []
    equal: Condition = sa.true()
    for column, up, value in zip(columns, ascending, last, strict=True):
        choices.append(sa.and_(equal, column > value if up else column < value))
        equal = sa.and_(equal, column == value)
    return sa.or_(*choices)


def _write_token(search: ModelSearch, last: list[Any]) -> str:
    values = [_Float(repr(value)) if isinstance(value, float) else value for value in last]
    token = _Token(_marks(search), values)
    return base64.urlsafe_b64encode(msgspec.json.encode(token)).decode()


def _read_token(search: ModelSearch, n_terms: int) -> list[Any] | None:
    if not search.after:
        return None
    try:
        token = msgspec.json.decode(base64.urlsafe_b64decode(search.after), type=_Token)
        last = [float(each.text) if isinstance(each, _Float) else each for each in token.last]
    except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
        raise PageTokenInvalid(f"Invalid page token: {shorten(search.after)}") from error
    for what, mine, its in zip(_PARTS, _marks(search), token.marks, strict=True):
        if mine != its:
            raise PageTokenInvalid(f"{what[0]} in the page token {what[1]} match the requested {what[2]}.")
    if len(last) != n_terms:
        raise PageTokenInvalid(f"Invalid page token: {shorten(search.after)}")
    return last


def _marks(search: ModelSearch) -> tuple[str, str, str]:
    return _mark(search.numbers), _mark([search.filter, search.datasets]), _mark(search.order_by)


def _mark(value: Any) -> str:
    return blake3(to_json(value)).hexdigest(length=8)


Compare: TypeAlias = Callable[[str, Any, Any], Condition]


def _like(dialect: str, column: Any, pattern: str) -> Condition:
    """Compare with `%` and `_`, case by case; nothing escapes them."""
    if dialect == "sqlite":
        # LIKE of SQLite does not tell cases apart; GLOB does, and has signs of its own.
        return column.op("glob")("".join(_GLOB.get(sign, sign) for sign in pattern))  # type: ignore[no-any-return]
    return column.like(pattern.replace("\\", "\\\\"))  # type: ignore[no-any-return]


def _ilike(dialect: str, column: Any, pattern: str) -> Condition:
    if dialect == "sqlite":
        return column.like(pattern)  # type: ignore[no-any-return]
    return column.ilike(pattern.replace("\\", "\\\\"))  # type: ignore[no-any-return]


_GLOB = {"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"}

_OPERATORS: dict[str, Compare] = {
    "=": lambda _, column, value: column == value,
    "!=": lambda _, column, value: column != value,
    "<": lambda _, column, value: column < value,
    "<=": lambda _, column, value: column <= value,
    ">": lambda _, column, value: column > value,
    ">=": lambda _, column, value: column >= value,
    "LIKE": _like,
    "ILIKE": _ilike,
    "IN": lambda _, column, values: column.in_(values),
    "NOT IN": lambda _, column, values: column.not_in(values),
}
