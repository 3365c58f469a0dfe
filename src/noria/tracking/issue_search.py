"""Find issues by a filter and by what they say, in an order, a page at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from noria.access.tables import projects
from noria.core.permissions import Principal
from noria.tracking.issue_entities import IssueField, IssueSearch
from noria.tracking.issue_tables import SEVERITIES, issue_categories, issues
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


@dataclass(frozen=True, slots=True)
class FoundIssues:
    """A page of issues, where the next one begins, and how many there are on all pages if that was asked for."""

    page: list[FoundIssue]
    following: str | None
    n_all: int | None


class _Key(NamedTuple):
    """A value that issues are ordered by: its name among the columns of the query, its type, and its direction."""

    name: str
    kind: type
    descending: bool = True


def find_issues(connection: sa.Connection, caller: Principal, wanted: IssueSearch) -> FoundIssues:
    """Give the issues that are wanted, as far as the caller may read them.

    Raises
    ------
    FilterInvalid
        If the filter cannot be read.
    PageTokenInvalid
        If the token is not of this search.
    """
    clauses = GRAMMAR.parse_filter(wanted.filter)
    keys = _order(wanted)
    found = _matching(connection, caller, wanted, clauses).subquery()
    mark = _mark(wanted, clauses)
    counted = [found.c.n_traces] if wanted.count_traces else []
    order = [found.c[key.name] for key in keys]
    query = sa.select(found.c.pk, *order, *counted).order_by(
        *(column.desc() if key.descending else column.asc() for key, column in zip(keys, order, strict=True))
    )
    if wanted.after is not None:
        query = query.where(_beyond(keys, order, _start(wanted.after, mark, keys)))
    rows = connection.execute(query.limit(wanted.limit + 1)).fetchall()
    page = [FoundIssue(row[0], row[-1] if wanted.count_traces else None) for row in rows[: wanted.limit]]
    following = None
    if len(rows) > wanted.limit:
        place = rows[wanted.limit - 1][1 : 1 + len(keys)]
        following = write_token(mark, tuple([(NUMBER, value) for value in place]))
    return FoundIssues(page, following, _n_all(connection, found) if wanted.count_all else None)


def _n_all(connection: sa.Connection, found: sa.Subquery) -> int:
    return int(connection.execute(sa.select(sa.func.count()).select_from(found)).scalar_one())


def fold(category: str) -> str:
    """Give a category as searches compare it.

    Examples
    --------
    >>> fold(" Latency ")
    'latency'
    """
    return category.strip().casefold()


def _mark(wanted: IssueSearch, clauses: Sequence[Clause]) -> str:
    compared = [(each.key, each.comparator, each.value) for each in clauses]
    old = ("issues", wanted.experiment, compared, wanted.count_traces)
    chosen = (sorted(wanted.statuses), sorted(wanted.severities), sorted(wanted.categories))
    return mark_of(*old, wanted.name, *chosen, wanted.order_by)


def _start(token: str, mark: str, keys: Sequence[_Key]) -> list[Any]:
    place = read_token(token, mark, tuple([key.kind for key in keys]))
    if any(rank != NUMBER for rank, _ in place):
        raise PageTokenInvalid("Invalid page token: it does not fit the order of this search")
    return [value for _, value in place]


def _order(wanted: IssueSearch) -> list[_Key]:
    asked = [_KEYS[each.field]._replace(descending=each.descending) for each in wanted.order_by]
    if not asked:
        counted = [_Key("n_traces", int)] if wanted.count_traces else []
        asked = [_KEYS[IssueField.SEVERITY], *counted, _KEYS[IssueField.CREATED_AT]]
    return [*asked, _Key("id", str)]


def _matching(
    connection: sa.Connection, caller: Principal, wanted: IssueSearch, clauses: Sequence[Clause]
) -> sa.Select[Any]:
    query = (
        sa.select(_ISSUES.pk, _ISSUES.id, *(column.label(name) for name, column in _ORDERED.items()))
        .join(experiments, experiments.c.pk == _ISSUES.experiment_pk)
        .outerjoin(runs, runs.c.pk == _ISSUES.source_run_pk)
        .where(*_readable(connection, caller), *map(_condition, clauses), *_chosen(wanted))
    )
    if wanted.experiment is not None:
        query = query.where(experiments.c.number == wanted.experiment)
    return query.add_columns(_N_TRACES.label("n_traces")) if wanted.count_traces else query


def _chosen(wanted: IssueSearch) -> list[sa.ColumnElement[bool]]:
    """Give the conditions that are no clauses of the filter."""
    conditions: list[sa.ColumnElement[bool]] = []
    if wanted.name is not None:
        conditions.append(_ISSUES.name.icontains(wanted.name, autoescape=True))
    if wanted.statuses:
        conditions.append(_ISSUES.status.in_([each.value for each in wanted.statuses]))
    if wanted.severities:
        conditions.append(_ISSUES.severity.in_([SEVERITIES.index(each) for each in wanted.severities]))
    if wanted.categories:
        named = issue_categories.c.folded.in_([fold(each) for each in wanted.categories])
        conditions.append(
            sa.exists().where(issue_categories.c.issue_pk == _ISSUES.pk, named).correlate(issues)
        )
    return conditions


def _readable(connection: sa.Connection, caller: Principal) -> list[sa.ColumnElement[bool]]:
    if caller.may(READ_TRACES, None):
        return []
    names = [name for name in caller.project_roles if caller.may(READ_TRACES, name)]
    keys = connection.execute(sa.select(projects.c.pk).where(projects.c.name.in_(names))).scalars()
    return [experiments.c.project_pk.in_(list(keys))]


def _condition(clause: Clause) -> sa.ColumnElement[bool]:
    return _COMPARE[clause.comparator](_COLUMNS[clause.key], clause.value)


def _beyond(
    keys: Sequence[_Key], order: Sequence[sa.ColumnElement[Any]], start: Sequence[Any]
) -> sa.ColumnElement[bool]:
    ways: list[sa.ColumnElement[bool]] = []
    same: list[sa.ColumnElement[bool]] = []
    for key, column, value in zip(keys, order, start, strict=True):
        ways.append(sa.and_(*same, column < value if key.descending else column > value))
        same.append(column == value)
    return sa.or_(*ways)


_ORDERED: Final[dict[str, sa.ColumnElement[Any]]] = {
    "folded": sa.func.lower(_ISSUES.name),
    "status": _ISSUES.status,
    "severity": _ISSUES.severity,
    "created_ms": _ISSUES.created_ms,
    "updated_ms": _ISSUES.updated_ms,
    "seen_ms": sa.func.coalesce(_ISSUES.seen_ms, _ISSUES.created_ms),
}
_KEYS: Final = {
    IssueField.NAME: _Key("folded", str),
    IssueField.STATUS: _Key("status", str),
    IssueField.SEVERITY: _Key("severity", int),
    IssueField.CREATED_AT: _Key("created_ms", int),
    IssueField.UPDATED_AT: _Key("updated_ms", int),
    IssueField.LAST_SEEN_AT: _Key("seen_ms", int),
}
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
