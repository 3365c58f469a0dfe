"""Clauses of a filter as conditions of SQL, and those that only the packed spans can answer as tests."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import sqlalchemy as sa

from noria.tracking.search.grammar import ATTRIBUTE, Clause, FilterInvalid
from noria.tracking.tables import runs, tracking_keys
from noria.tracking.traces.conventions import NAME_TAG, SESSION_METADATA, SOURCE_RUN
from noria.tracking.traces.entities import Cost, Usage
from noria.tracking.traces.fields import (
    EXPECTATION,
    FEEDBACK,
    ISSUE,
    METADATA,
    ORDERING,
    RLIKE,
    SPAN,
    TAG,
)
from noria.tracking.traces.patterns import ilike_sql, like_sql
from noria.tracking.traces.tables import (
    HEAD_CHARS,
    trace_assessments,
    trace_prompts,
    trace_runs,
    trace_spans,
    trace_values,
    traces,
)
from noria.tracking.traces.tables import METADATA as METADATA_KIND
from noria.tracking.traces.tables import TAG as TAG_KIND

Condition = sa.ColumnElement[bool]
Keys = Callable[[str], int | None]
"""Gives the number of an interned key, or None for one that nothing has."""

LINKED_PROMPTS = "mlflow.linkedPrompts"
USAGE_METADATA = "mlflow.trace.tokenUsage"
COST_METADATA = "mlflow.trace.cost"

_ATTRIBUTES: dict[str, sa.ColumnElement[Any]] = {
    "request_id": traces.c.id,
    "timestamp_ms": traces.c.started_ms,
    "execution_time_ms": traces.c.duration_ms,
    "end_time_ms": traces.c.started_ms + sa.func.coalesce(traces.c.duration_ms, 0),
    "status": traces.c.state,
    "client_request_id": traces.c.client_request_id,
    "name": traces.c.name,
    "session": traces.c.session,
}
_KINDS = {TAG: TAG_KIND, METADATA: METADATA_KIND}


@dataclass(slots=True, kw_only=True)
class Conditions:
    """A filter, for the traces of one experiment.

    Attributes
    ----------
    where
        What SQL decides.
    narrow
        Selections of keys of traces, each of which holds all that the filter finds. When one is short, to begin with
        it is quicker than to go through the traces in their order.
    span_clauses
        Clauses of which some need the packed part of spans; one span must fit all of them.
    expressions
        Clauses with regular expressions on traces; SQL has found what has a value at all.
    """

    where: list[Condition] = field(default_factory=list)
    narrow: list[sa.Select[Any]] = field(default_factory=list)
    span_clauses: list[Clause] = field(default_factory=list)
    expressions: list[Clause] = field(default_factory=list)

    @property
    def is_exact(self) -> bool:
        """Whether SQL decides alone."""
        return not self.span_clauses and not self.expressions


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiler:
    """Turns clauses into conditions.

    Parameters
    ----------
    experiment
        Key of the experiment.
    """

    dialect: str
    experiment: int
    keys: Keys

    def conditions(self, clauses: Sequence[Clause]) -> Conditions:
        """Compile a filter."""
        found = Conditions()
        spans = []
        for clause in map(_renamed, clauses):
            if clause.entity == SPAN:
                spans.append(clause)
            elif clause.comparator == RLIKE:
                found.expressions.append(clause)
                self._add(found, _with(clause, comparator="IS NOT NULL"))
            else:
                self._add(found, clause)
        self._add_spans(found, spans)
        return found

    def _add(self, found: Conditions, clause: Clause) -> None:
        if clause.entity == ATTRIBUTE:
            self._add_attribute(found, clause)
        elif clause.entity in (FEEDBACK, EXPECTATION, ISSUE):
            found.where.append(self._assessed(clause))
        else:
            self._add_value(found, clause)

    def _add_attribute(self, found: Conditions, clause: Clause) -> None:
        if clause.key == "prompt":
            found.where.append(_with_prompt(clause))
        elif clause.key == "run_id":
            self._add_run(found, clause)
        else:
            found.where.append(self._compared(_ATTRIBUTES[clause.key], clause))

    def _add_run(self, found: Conditions, clause: Clause) -> None:
        made_inside = Clause(
            entity=METADATA, key=SOURCE_RUN, comparator=clause.comparator, value=clause.value
        )
        if clause.comparator not in ("=", "IN"):
            self._add_value(found, made_inside)
            return
        ids = clause.value if isinstance(clause.value, tuple) else (clause.value,)
        linked = (
            sa.select(traces.c.pk)
            .join(trace_runs, trace_runs.c.trace_id == traces.c.id)
            .join(runs, runs.c.pk == trace_runs.c.run_pk)
            .where(runs.c.id.in_(ids), traces.c.experiment_pk == self.experiment)
        )
        inside = self._having(METADATA_KIND, SOURCE_RUN, made_inside)
        every = linked if inside is None else sa.union(linked, inside)
        found.where.append(traces.c.pk.in_(every))

    def _add_value(self, found: Conditions, clause: Clause) -> None:
        """Add a tag or metadata."""
        if clause.key in (USAGE_METADATA, COST_METADATA) and clause.entity == METADATA:
            found.where.append(_summed(clause))
            return
        kind = _KINDS[clause.entity]
        having = self._having(kind, clause.key, clause)
        if clause.comparator == "IS NULL":
            found.where.append(sa.true() if having is None else ~self._exists(kind, clause))
            return
        if having is None:
            found.where.append(sa.false())
            return
        found.where.append(self._exists(kind, clause))
        if clause.comparator == "=":
            found.narrow.append(having)

    def _having(self, kind: int, key: str, clause: Clause) -> sa.Select[Any] | None:
        """Select the traces with such a tag or metadata; None if no trace has the key."""
        number = self.keys(key)
        if number is None:
            return None
        values = trace_values.c
        selected = sa.select(values.trace_pk).where(
            values.experiment_pk == self.experiment, values.kind == kind, values.key_pk == number
        )
        if clause.comparator in ("IS NULL", "IS NOT NULL"):
            return selected
        heads = _heads(clause)
        if heads:
            selected = selected.where(sa.func.substr(values.value, 1, HEAD_CHARS).in_(heads))
        return selected.where(self._compared(values.value, clause))

    def _exists(self, kind: int, clause: Clause) -> Condition:
        values = trace_values.c
        selected: sa.Select[Any] = sa.select(sa.literal_column("1")).where(
            values.trace_pk == traces.c.pk, values.kind == kind, values.key_pk == self.keys(clause.key)
        )
        if clause.comparator not in ("IS NULL", "IS NOT NULL"):
            selected = selected.where(self._compared(values.value, clause))
        return sa.exists(selected.correlate(traces))

    def _assessed(self, clause: Clause) -> Condition:
        """Compare assessments; one of a session speaks for all traces of the session."""
        judged = trace_assessments.c
        where = [judged.experiment_pk == self.experiment, judged.kind == clause.entity]
        if clause.entity == ISSUE:
            where.append(judged.name == clause.value)
            return traces.c.pk.in_(sa.select(judged.trace_pk).where(*where))
        where += [judged.name == clause.key, judged.is_valid == 1]
        where += self._judged(clause)
        of_session = traces.alias("of_session")
        sessions = (
            sa.select(of_session.c.session)
            .join(trace_assessments, judged.trace_pk == of_session.c.pk)
            .where(*where, judged.is_of_session == 1, of_session.c.session.is_not(None))
        )
        spoken_for = traces.c.session.in_(sessions)
        direct = traces.c.pk.in_(sa.select(judged.trace_pk).where(*where))
        if clause.comparator == "IS NULL":
            return sa.and_(~direct, sa.or_(traces.c.session.is_(None), ~spoken_for))
        return sa.or_(direct, sa.and_(traces.c.session.is_not(None), spoken_for))

    def _judged(self, clause: Clause) -> list[Condition]:
        judged = trace_assessments.c
        if clause.comparator in ("IS NULL", "IS NOT NULL"):
            return []
        if clause.comparator in ORDERING:
            return [judged.is_number == 1, self._compared(judged.aggregate, clause)]
        if clause.comparator in ("=", "!="):
            texts = (str(clause.value), json.dumps(clause.value, ensure_ascii=False))
            same = judged.value.in_(texts)
            return [same if clause.comparator == "=" else ~same]
        return [self._compared(judged.value, clause)]

    def _add_spans(self, found: Conditions, clauses: list[Clause]) -> None:
        if not clauses:
            return
        spans = trace_spans.c
        known = [clause for clause in clauses if clause.comparator != RLIKE and clause.key in _SPAN_COLUMNS]
        selected: sa.Select[Any] = sa.select(sa.literal_column("1")).where(
            spans.trace_pk == traces.c.pk,
            *(self._compared(_SPAN_COLUMNS[clause.key], clause) for clause in known),
        )
        found.where.append(sa.exists(selected.correlate(traces)))
        if len(known) < len(clauses):
            found.span_clauses = clauses

    def _compared(self, column: sa.ColumnElement[Any], clause: Clause) -> Condition:
        if clause.comparator == "LIKE":
            return like_sql(self.dialect, column, str(clause.value))
        if clause.comparator == "ILIKE":
            return ilike_sql(self.dialect, column, str(clause.value))
        return _COMPARE[clause.comparator](column, clause.value)


_SPAN_COLUMNS: dict[str, sa.ColumnElement[Any]] = {
    "name": trace_spans.c.name,
    "type": trace_spans.c.type,
    "status": trace_spans.c.status,
}
_COMPARE: dict[str, Callable[[sa.ColumnElement[Any], Any], Condition]] = {
    "=": lambda column, value: column == value,
    "!=": lambda column, value: column != value,
    ">": lambda column, value: column > value,
    ">=": lambda column, value: column >= value,
    "<": lambda column, value: column < value,
    "<=": lambda column, value: column <= value,
    "IN": lambda column, values: column.in_(values),
    "NOT IN": lambda column, values: column.not_in(values),
    "IS NULL": lambda column, _: column.is_(None),
    "IS NOT NULL": lambda column, _: column.is_not(None),
}


def key_numbers(connection: sa.Connection) -> Keys:
    """Give what looks up interned keys, each once."""
    known: dict[str, int | None] = {}

    def number(key: str) -> int | None:
        if key not in known:
            query = sa.select(tracking_keys.c.pk).where(tracking_keys.c.key == key)
            known[key] = connection.execute(query).scalar_one_or_none()
        return known[key]

    return number


def value_of(keys: Keys, kind: str, key: str) -> sa.ColumnElement[Any]:
    """Give the value of a tag or metadata of a trace, as an expression."""
    return (
        sa.select(trace_values.c.value)
        .where(
            trace_values.c.trace_pk == traces.c.pk,
            trace_values.c.kind == _KINDS[kind],
            trace_values.c.key_pk == (keys(key) or -1),
        )
        .correlate(traces)
        .scalar_subquery()
    )


def _renamed(clause: Clause) -> Clause:
    """Give a tag or metadata that is kept as something else by that name."""
    if (clause.entity, clause.key) == (METADATA, SOURCE_RUN) and clause.comparator != "=":
        return clause
    entity, key = _KEPT_AS.get((clause.entity, clause.key), (clause.entity, clause.key))
    return _with(clause, entity=entity, key=key)


_KEPT_AS = {
    (ATTRIBUTE, "text"): (SPAN, "content"),
    (TAG, NAME_TAG): (ATTRIBUTE, "name"),
    (TAG, LINKED_PROMPTS): (ATTRIBUTE, "prompt"),
    (METADATA, SESSION_METADATA): (ATTRIBUTE, "session"),
    (METADATA, SOURCE_RUN): (ATTRIBUTE, "run_id"),
}


def _with(clause: Clause, **changed: str) -> Clause:
    return dataclasses.replace(clause, **changed)


def _heads(clause: Clause) -> list[str]:
    """Give the indexed beginnings of the values that a clause asks for."""
    if clause.comparator == "=":
        return [str(clause.value)[:HEAD_CHARS]]
    if clause.comparator == "IN" and isinstance(clause.value, tuple):
        return [value[:HEAD_CHARS] for value in clause.value]
    return []


def _with_prompt(clause: Clause) -> Condition:
    if clause.comparator != "=":
        raise FilterInvalid(
            f"Invalid comparator '{clause.comparator}' for prompts filter. Only '=' is supported with format:"
            ' prompt = "name/version"'
        )
    if str(clause.value).count("/") != 1:
        raise FilterInvalid(
            f"Invalid prompts filter value '{clause.value}'. Expected format: prompt = \"name/version\""
        )
    prompts = trace_prompts.c
    return traces.c.pk.in_(sa.select(prompts.trace_pk).where(prompts.prompt == clause.value))


def _summed(clause: Clause) -> Condition:
    """Compare the sums of tokens or costs with a JSON text of them."""
    kind: type[Usage | Cost] = Usage if clause.key == USAGE_METADATA else Cost
    columns = {name: traces.c[name] for name in kind.__struct_fields__}
    told = sa.or_(*(column.is_not(None) for column in columns.values()))
    if clause.comparator in ("IS NULL", "IS NOT NULL"):
        return told if clause.comparator == "IS NOT NULL" else ~told
    if clause.comparator not in ("=", "!="):
        raise FilterInvalid(
            f"Comparator '{clause.comparator}' is not supported for reserved metadata '{clause.key}'. Only '=', '!=',"
            " 'IS NULL', and 'IS NOT NULL' are supported."
        )
    try:
        wanted = msgspec.structs.asdict(msgspec.json.decode(str(clause.value), type=kind))
    except msgspec.MsgspecError:
        wanted = {}
    same = sa.and_(told, *(column.is_not_distinct_from(wanted.get(name)) for name, column in columns.items()))
    return same if clause.comparator == "=" else sa.and_(told, ~same)
