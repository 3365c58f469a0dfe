"""Figures on traces, spans and assessments, in groups: all counted by the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa

from noria.core.database.schema import from_micros, to_micros
from noria.core.errors import Invalid
from noria.tracking.search.grammar import ATTRIBUTE, Clause, Entity, Field, FilterInvalid, Grammar
from noria.tracking.traces.conditions import Compiler, key_numbers
from noria.tracking.traces.fields import METADATA, TAG
from noria.tracking.traces.places import Place
from noria.tracking.traces.statistic_entities import Aggregate, Aggregation, Statistic, StatisticQuery, View
from noria.tracking.traces.tables import trace_assessments, trace_spans, traces

_EVERY_FIGURE: Final = tuple(kind for kind in Aggregation if kind is not Aggregation.COUNT)
_NO_SUM: Final = tuple(kind for kind in _EVERY_FIGURE if kind is not Aggregation.SUM)
_COUNT: Final = (Aggregation.COUNT,)
_NS_IN_MS: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """Something that is counted or measured.

    Attributes
    ----------
    by_span
        Whether the times asked for are those of the spans, rather than of their traces.
    once
        Whether equal values count once.
    """

    column: sa.ColumnElement[Any]
    aggregations: Sequence[Aggregation]
    dimensions: Sequence[str]
    by_span: bool = False
    once: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a view looks at."""

    source: sa.FromClause
    at_ms: sa.ColumnElement[Any]
    metrics: Mapping[str, Metric]
    dimensions: Mapping[str, sa.ColumnElement[Any]]
    filtered: Mapping[str, sa.ColumnElement[Any]] = field(default_factory=dict)
    where: Sequence[sa.ColumnElement[bool]] = ()


def _measured(
    table: sa.Table, names: Sequence[str], dimensions: Sequence[str], *, by_span: bool
) -> dict[str, Metric]:
    return {
        name: Metric(column=table.c[name], aggregations=_EVERY_FIGURE, dimensions=dimensions, by_span=by_span)
        for name in names
    }


_TOKENS = (
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
)
_SPANS = trace_spans.c
_JUDGED = trace_assessments.c
_BY_MODEL = ("span_model_name", "span_model_provider")

SUBJECTS: Final[Mapping[View, Subject]] = {
    View.TRACES: Subject(
        source=traces,
        at_ms=traces.c.started_ms,
        metrics={
            "trace_count": Metric(
                column=traces.c.pk, aggregations=_COUNT, dimensions=("trace_name", "trace_status")
            ),
            "session_count": Metric(column=traces.c.session, aggregations=_COUNT, dimensions=(), once=True),
            "latency": Metric(column=traces.c.duration_ms, aggregations=_NO_SUM, dimensions=("trace_name",)),
            **_measured(traces, _TOKENS, ("trace_name",), by_span=False),
        },
        dimensions={"trace_name": traces.c.name, "trace_status": traces.c.state},
    ),
    View.SPANS: Subject(
        source=trace_spans.join(traces, traces.c.pk == _SPANS.trace_pk),
        at_ms=_SPANS.started_ns // _NS_IN_MS,
        metrics={
            "span_count": Metric(
                column=_SPANS.pk,
                aggregations=_COUNT,
                dimensions=("span_name", "span_type", "span_status", *_BY_MODEL),
            ),
            "latency": Metric(
                column=(_SPANS.ended_ns - _SPANS.started_ns) // _NS_IN_MS,
                aggregations=_NO_SUM,
                dimensions=("span_name", "span_status"),
            ),
            **_measured(trace_spans, ("input_cost", "output_cost", "total_cost"), _BY_MODEL, by_span=True),
        },
        dimensions={
            "span_name": _SPANS.name,
            "span_type": _SPANS.type,
            "span_status": _SPANS.status,
            "span_model_name": _SPANS.model,
            "span_model_provider": _SPANS.provider,
        },
        filtered={"name": _SPANS.name, "status": _SPANS.status, "type": _SPANS.type},
    ),
    View.ASSESSMENTS: Subject(
        source=trace_assessments.join(traces, traces.c.pk == _JUDGED.trace_pk),
        at_ms=traces.c.started_ms,
        metrics={
            "assessment_count": Metric(
                column=_JUDGED.pk, aggregations=_COUNT, dimensions=("assessment_name", "assessment_value")
            ),
            "assessment_value": Metric(
                column=_JUDGED.aggregate, aggregations=_NO_SUM, dimensions=("assessment_name",)
            ),
        },
        dimensions={"assessment_name": _JUDGED.name, "assessment_value": _JUDGED.value},
        filtered={"name": _JUDGED.name, "type": _JUDGED.kind},
        where=(_JUDGED.is_valid == 1,),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _TraceEntity(Entity):
    """Traces as filters of statistics name them: `trace.status`, `trace.tag.env`, `trace.metadata.user`."""

    def field(self, key: str, *, for_order: bool = False) -> Field:  # noqa: ARG002 - the base's signature
        """Find what a key stands for."""
        kind, dot, name = key.partition(".")
        if (kind == "status" and not dot) or (kind in ("tag", "metadata") and name):
            return Field(key=f"{kind}{dot}{name.strip('`')}", comparators=("=",))
        raise FilterInvalid(
            f"Invalid entity '{kind}' specified for view type 'trace'. Valid entities are"
            " ['status', 'tag.<key>', 'metadata.<key>']"
        )


def _known(name: str, *keys: str) -> Entity:
    return Entity(name=name, fields=tuple(Field(key=key, comparators=("=",)) for key in keys))


_FILTERS: Final = Grammar(
    entities=(
        _TraceEntity(name="trace"),
        _known("span", "name", "status", "type"),
        _known("assessment", "name", "type"),
    )
)
_OWN_ENTITY: Final = {View.SPANS: "span", View.ASSESSMENTS: "assessment"}


def compute(connection: sa.Connection, places: Sequence[Place], query: StatisticQuery) -> list[Statistic]:
    """Compute figures in groups.

    Raises
    ------
    Invalid
        If the metric, an aggregation, a dimension or a filter is not known there.
    """
    subject, metric = _checked(query)
    groups = _groups(subject, query)
    inner = (
        sa.select(*groups, metric.column.label("value"))
        .select_from(subject.source)
        .where(*subject.where, *_where(connection, places, subject, metric, query))
        .where(metric.column.is_not(None), *(group.element.is_not(None) for group in groups))
    )
    rows = connection.execute(_outer(inner.distinct() if metric.once else inner, groups, query)).fetchall()
    return [found for row in rows if (found := _statistic(query, row)).values]


def _checked(query: StatisticQuery) -> tuple[Subject, Metric]:
    subject = SUBJECTS[query.view]
    metric = subject.metrics.get(query.metric)
    if metric is None:
        raise Invalid(f"metric_name must be one of {list(subject.metrics)}, got '{query.metric}'")
    if not query.aggregates:
        raise Invalid("No aggregation is asked for", hint="Ask for one of " + ", ".join(Aggregation))
    unknown = sorted({each.aggregation for each in query.aggregates} - set(metric.aggregations))
    if unknown:
        raise Invalid(
            f"Found invalid aggregation_type(s): {[each.value for each in unknown]}. "
            f"Supported aggregation types: {sorted(each.value for each in metric.aggregations)}"
        )
    strange = sorted(set(query.dimensions) - set(metric.dimensions))
    if strange:
        raise Invalid(
            f"Found invalid dimension(s): {strange}. Supported dimensions: {sorted(metric.dimensions)}"
        )
    for each in query.aggregates:
        if (each.percentile is None) == (each.aggregation is Aggregation.PERCENTILE):
            raise Invalid(
                f"The percentile {each.percentile} does not go with {each.aggregation}",
                hint="Give one for PERCENTILE, and for nothing else",
            )
    if query.interval_s is not None and (query.started_from is None or query.started_to is None):
        raise Invalid("start_time_ms and end_time_ms are required if time_interval_seconds is set")
    return subject, metric


def _groups(subject: Subject, query: StatisticQuery) -> list[sa.Label[Any]]:
    groups = [subject.dimensions[name].label(f"group_{at}") for at, name in enumerate(query.dimensions)]
    if query.interval_s is not None:
        width_ms = query.interval_s * 1_000
        groups.insert(0, (subject.at_ms - subject.at_ms % width_ms).label("bucket"))
    return groups


def _where(
    connection: sa.Connection,
    places: Sequence[Place],
    subject: Subject,
    metric: Metric,
    query: StatisticQuery,
) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    at_ms = subject.at_ms if metric.by_span else traces.c.started_ms
    if query.started_from is not None:
        found.append(at_ms >= to_micros(query.started_from) // 1_000)
    if query.started_to is not None:
        found.append(at_ms <= to_micros(query.started_to) // 1_000)
    on_traces = []
    for text in query.filters:
        clause = _one_clause(text)
        if clause.entity == "trace":
            on_traces.append(_of_traces(clause))
        elif clause.entity == _OWN_ENTITY.get(query.view):
            found.append(subject.filtered[clause.key] == clause.value)
        else:
            raise Invalid(
                f"Filtering by {clause.entity} is only supported for {clause.entity.upper()}S view type,"
                f" got {query.view}"
            )
    keys = key_numbers(connection)
    return [
        *found,
        sa.or_(
            sa.false(),
            *(
                sa.and_(
                    traces.c.experiment_pk == place.pk,
                    *Compiler(dialect=connection.dialect.name, experiment=place.pk, keys=keys)
                    .conditions(on_traces)
                    .where,
                )
                for place in places
            ),
        ),
    ]


def _one_clause(text: str) -> Clause:
    clauses = _FILTERS.parse_filter(text)
    if len(clauses) != 1:
        raise FilterInvalid(f"Invalid filter: '{text}'. Expected one filter clause.")
    return clauses[0]


def _of_traces(clause: Clause) -> Clause:
    kind, _, name = clause.key.partition(".")
    entity, key = {"tag": (TAG, name), "metadata": (METADATA, name)}.get(kind, (ATTRIBUTE, "status"))
    return Clause(entity=entity, key=key, comparator="=", value=clause.value)


def _outer(inner: sa.Select[Any], groups: Sequence[sa.Label[Any]], query: StatisticQuery) -> sa.Select[Any]:
    """Give the figures of each group.

    A percentile lies between two values of its group: both count in proportion to their nearness, all others not::

        select group_0, sum(case when abs(place - 1 - p * (n - 1)) < 1 then value * (1 - abs(…)) else 0 end)
        from (select …, row_number() over (partition by group_0 order by value) as place,
                        count(*) over (partition by group_0) as n from …)
        group by group_0
    """
    if any(each.percentile is not None for each in query.aggregates):
        parts = [group.element for group in groups]
        value = inner.selected_columns["value"]
        inner = inner.add_columns(
            sa.func.row_number().over(partition_by=parts or None, order_by=_bare(value)).label("place"),
            sa.func.count().over(partition_by=parts or None).label("n"),
        )
    every = inner.subquery()
    columns = [every.c[group.name] for group in groups]
    figures = [_figure(every, each) for each in query.aggregates]
    return _grouped(sa.select(*columns, *figures), columns, query.limit)


def _bare(column: Any) -> Any:
    return column.element if isinstance(column, sa.Label) else column


def _figure(every: sa.Subquery, wanted: Aggregate) -> sa.ColumnElement[Any]:
    value = every.c.value
    if wanted.percentile is None:
        figure: sa.ColumnElement[Any] = _FIGURES[wanted.aggregation](value)
        return figure
    aside = sa.func.abs(every.c.place - 1.0 - (wanted.percentile / 100.0) * (every.c.n - 1))
    return sa.func.sum(sa.case((aside < 1, value * (1.0 - aside)), else_=0.0))


_FIGURES: Final[Mapping[Aggregation, Any]] = {
    Aggregation.COUNT: sa.func.count,
    Aggregation.SUM: sa.func.sum,
    Aggregation.AVG: sa.func.avg,
    Aggregation.MIN: sa.func.min,
    Aggregation.MAX: sa.func.max,
}


def _grouped(query: sa.Select[Any], columns: Sequence[Any], limit: int) -> sa.Select[Any]:
    return query.group_by(*columns).order_by(*columns).limit(limit) if columns else query


def _statistic(query: StatisticQuery, row: Any) -> Statistic:
    values = list(row)
    bucket = None if query.interval_s is None else from_micros(int(values.pop(0)) * 1_000)
    names, figures = values[: len(query.dimensions)], values[len(query.dimensions) :]
    return Statistic(
        bucket=bucket,
        dimensions={name: str(value) for name, value in zip(query.dimensions, names, strict=True)},
        values={
            each.label: float(figure)
            for each, figure in zip(query.aggregates, figures, strict=True)
            if figure is not None
        },
    )
