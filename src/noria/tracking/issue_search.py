"""Find issues by a filter, the worst first, a page at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from noria.access.tables import projects
from noria.core.permissions import Principal
from noria.tracking.issue_entities import IssueSearch
from noria.tracking.issue_tables import issues
from noria.tracking.search.evaluate import NUMBER
from noria.tracking.search.grammar import ATTRIBUTE, Clause, Entity, Field, FilterInvalid, Grammar
from noria.tracking.search.page_tokens import PageTokenInvalid, mark_of, read_token, write_token
from noria.tracking.tables import experiments, runs
from noria.tracking.traces.assessment_entities import AssessmentKind
from noria.tracking.traces.permissions import READ_TRACES
from noria.tracking.traces.tables import trace_assessments

_ISSUES = issues.c
_EQUALITY: Final = ("=", "!=")
_FIELDS: Final = ("status", "source_run_id")


class _Fields(Entity):
    """What can be compared; anything else is refused in the words that MLflow has for issues."""

    def field(self, key: str, *, for_order: bool = False) -> Field:
        if key not in _FIELDS:
            raise _field_refused(key)
        return super().field(key, for_order=for_order)


class _Grammar(Grammar):
    def comparator_refused(self, _entity: Entity, _named: Field, comparator: str) -> FilterInvalid:
        return FilterInvalid(f"Invalid comparator '{comparator}'. Supported comparators: {{'=', '!='}}")

    def entity_refused(self, kind: str) -> FilterInvalid:
        return _field_refused(kind)


def _field_refused(name: str) -> FilterInvalid:
    return FilterInvalid(
        f"Invalid filter field '{name}'. Supported fields: {{'status', 'source_run_id'}}",
        hint="Write `status = 'pending'`",
    )


GRAMMAR: Final = _Grammar(
    entities=(
        # `IN` is refused for what it is, and not for the list behind it.
        _Fields(
            name=ATTRIBUTE, fields=tuple(Field(key=key, comparators=_EQUALITY, lists=True) for key in _FIELDS)
        ),
    ),
    quotes_clauses=False,
)


@dataclass(frozen=True, slots=True)
class FoundIssue:
    """The key of an issue, and how many traces show it if that was asked for."""

    pk: int
    n_traces: int | None


def find_issues(
    connection: sa.Connection, caller: Principal, wanted: IssueSearch
) -> tuple[list[FoundIssue], str | None]:
    """Give the issues that are wanted, as far as the caller may read them, and where the next page begins.

    Raises
    ------
    FilterInvalid
        If the filter cannot be read.
    PageTokenInvalid
        If the token is not of this search.
    """
    clauses = GRAMMAR.parse_filter(wanted.filter)
    found = _matching(connection, caller, wanted, clauses).subquery()
    order = [found.c[name] for name in _order(wanted)]
    compared = [(each.key, each.comparator, each.value) for each in clauses]
    mark = mark_of("issues", wanted.experiment, compared, wanted.count_traces)
    query = sa.select(found.c.pk, *order).order_by(*(column.desc() for column in order))
    if wanted.after is not None:
        query = query.where(_beyond(order, _start(wanted.after, mark, len(order) - 1)))
    rows = connection.execute(query.limit(wanted.limit + 1)).fetchall()
    page = [FoundIssue(row[0], row[2] if wanted.count_traces else None) for row in rows[: wanted.limit]]
    if len(rows) <= wanted.limit:
        return page, None
    return page, write_token(mark, tuple([(NUMBER, value) for value in rows[wanted.limit - 1][1:]]))


def _start(token: str, mark: str, n_numbers: int) -> list[Any]:
    place = read_token(token, mark, (*(int for _ in range(n_numbers)), str))
    if any(rank != NUMBER for rank, _ in place):
        raise PageTokenInvalid("Invalid page token: it does not fit the order of this search")
    return [value for _, value in place]


def _order(wanted: IssueSearch) -> tuple[str, ...]:
    counted = ("n_traces",) if wanted.count_traces else ()
    return ("severity", *counted, "created_ms", "id")


def _matching(
    connection: sa.Connection, caller: Principal, wanted: IssueSearch, clauses: Sequence[Clause]
) -> sa.Select[Any]:
    query = (
        sa.select(_ISSUES.pk, _ISSUES.severity, _ISSUES.created_ms, _ISSUES.id)
        .join(experiments, experiments.c.pk == _ISSUES.experiment_pk)
        .outerjoin(runs, runs.c.pk == _ISSUES.source_run_pk)
        .where(*_readable(connection, caller), *map(_condition, clauses))
    )
    if wanted.experiment is not None:
        query = query.where(experiments.c.number == wanted.experiment)
    return query.add_columns(_N_TRACES.label("n_traces")) if wanted.count_traces else query


def _readable(connection: sa.Connection, caller: Principal) -> list[sa.ColumnElement[bool]]:
    if caller.may(READ_TRACES, None):
        return []
    names = [name for name in caller.project_roles if caller.may(READ_TRACES, name)]
    keys = connection.execute(sa.select(projects.c.pk).where(projects.c.name.in_(names))).scalars()
    return [experiments.c.project_pk.in_(list(keys))]


def _condition(clause: Clause) -> sa.ColumnElement[bool]:
    return _COMPARE[clause.comparator](_COLUMNS[clause.key], clause.value)


def _beyond(order: Sequence[sa.ColumnElement[Any]], start: Sequence[Any]) -> sa.ColumnElement[bool]:
    ways: list[sa.ColumnElement[bool]] = []
    same: list[sa.ColumnElement[bool]] = []
    for column, value in zip(order, start, strict=True):
        ways.append(sa.and_(*same, column < value))
        same.append(column == value)
    return sa.or_(*ways)


_COLUMNS: Final[dict[str, sa.ColumnElement[Any]]] = {"status": _ISSUES.status, "source_run_id": runs.c.id}
_COMPARE: Final[dict[str, Callable[[sa.ColumnElement[Any], Any], sa.ColumnElement[bool]]]] = {
    "=": lambda column, value: column == value,
    "!=": lambda column, value: column != value,
}
_SHOWN = trace_assessments.c
_N_TRACES: Final = (
    sa.select(sa.func.count(_SHOWN.trace_pk.distinct()))
    .where(
        _SHOWN.experiment_pk == _ISSUES.experiment_pk,
        _SHOWN.kind == AssessmentKind.ISSUE.value,
        _SHOWN.name == _ISSUES.id,
    )
    .correlate(issues)
    .scalar_subquery()
)
