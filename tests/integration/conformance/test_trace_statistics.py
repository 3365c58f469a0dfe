"""Figures on traces and the correlation of filters, beside sums by hand: over each transport and on each database."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from noria.core.errors import Invalid
from noria.tracking.experiment_entities import NewExperiment
from noria.tracking.service import Experiments
from noria.tracking.traces.assessment_entities import Assessment, AssessmentKind, NewAssessment
from noria.tracking.traces.assessment_service import Assessments
from noria.tracking.traces.conventions import COST, MODEL, PROVIDER, SPAN_TYPE
from noria.tracking.traces.entities import (
    NewTrace,
    Span,
    SpanBatch,
    SpanStatus,
    TraceDeletion,
    TraceState,
    Usage,
)
from noria.tracking.traces.service import Traces
from noria.tracking.traces.statistic_entities import (
    Aggregate,
    Aggregation,
    CorrelationQuery,
    Statistic,
    StatisticQuery,
    View,
)
from support.conformance import Services

START = datetime(2026, 1, 1, tzinfo=UTC)
START_NS = int(START.timestamp()) * 1_000_000_000
MS = 1_000_000
PROJECT = "default"
COUNT = Aggregate(aggregation=Aggregation.COUNT)
SUM, AVG, LEAST, MOST = (
    Aggregate(aggregation=kind)
    for kind in (Aggregation.SUM, Aggregation.AVG, Aggregation.MIN, Aggregation.MAX)
)
PERCENTILES = [Aggregate(aggregation=Aggregation.PERCENTILE, percentile=p) for p in (0, 12.5, 50, 95, 100)]
Row = dict[str, Any]


@dataclass(slots=True)
class Known:
    """What was recorded, as rows of what statistics are taken of."""

    experiments: list[int]
    traces: list[Row] = field(default_factory=list)
    spans: list[Row] = field(default_factory=list)
    assessments: list[Row] = field(default_factory=list)


@pytest.fixture
def known(services: Services) -> Known:
    """Record traces with spans and assessments in two experiments, and some in a third that nobody asks for."""
    chance = random.Random(20260711)
    numbers = [
        services(Experiments).create(PROJECT, NewExperiment(name=name)).number
        for name in ("one", "two", "three")
    ]
    known = Known(experiments=numbers[:2])
    for at in range(24):
        _record(services, chance, known, at, numbers[at % 3])
    return known


def _record(services: Services, chance: random.Random, known: Known, at: int, number: int) -> None:
    trace_id = f"tr-{at:032x}"
    traces = services(Traces)
    row: Row = {
        "id": trace_id,
        "trace_name": chance.choice(["ask", "say", None]),
        "trace_status": chance.choice(["OK", "ERROR"]),
        "session": chance.choice(["s1", "s2", None]),
        "latency": chance.choice([None, chance.randrange(5_000)]),
        "input_tokens": chance.choice([None, chance.randrange(100)]),
        "env": chance.choice(["prod", "test", None]),
        "user": chance.choice(["ann", "bob"]),
        "at_ms": at * 700,
    }
    traces.record(
        PROJECT,
        NewTrace(
            id=trace_id,
            experiment=number,
            started_at=START + timedelta(milliseconds=row["at_ms"]),
            state=TraceState(row["trace_status"]),
            name=row["trace_name"],
            session=row["session"],
            duration_ms=row["latency"],
            usage=Usage(input_tokens=row["input_tokens"]),
            tags={} if row["env"] is None else {"env": row["env"]},
            metadata={"user": row["user"]},
        ),
    )
    spans = [_span(chance, row, place) for place in range(chance.randrange(4))]
    if spans:
        traces.keep_spans(PROJECT, SpanBatch(experiment=number, spans=[span for span, _ in spans]))
    judged = [_assess(services, chance, row, place) for place in range(chance.randrange(4))]
    if spans and row["trace_name"] is None:
        row["trace_name"] = spans[0][0].name
    if number in known.experiments:
        known.traces.append(row)
        known.spans += [{**span, "trace": row} for _, span in spans]
        known.assessments += [{**each, "trace": row} for each in judged]


def _span(chance: random.Random, trace: Row, place: int) -> tuple[Span, Row]:
    began_ns = START_NS + (trace["at_ms"] + chance.randrange(3_000)) * MS
    took_ms = chance.randrange(900)
    row: Row = {
        "span_name": chance.choice(["read", "call"]),
        "span_type": chance.choice(["LLM", "TOOL"]),
        "span_status": chance.choice(["OK", "ERROR", "UNSET"]),
        "span_model_name": chance.choice(["large", "small", None]),
        "span_model_provider": chance.choice(["x", None]),
        "total_cost": chance.choice([None, chance.random()]),
        "latency": took_ms,
        "at_ms": (began_ns - START_NS) // MS,
    }
    told = {
        SPAN_TYPE: row["span_type"],
        MODEL: row["span_model_name"],
        PROVIDER: row["span_model_provider"],
        COST: None if row["total_cost"] is None else {"total_cost": row["total_cost"]},
    }
    span = Span(
        trace_id=trace["id"],
        id=f"{place + 1:016x}",
        parent=None if place == 0 else f"{1:016x}",
        name=row["span_name"],
        status=SpanStatus(row["span_status"]),
        started_ns=began_ns,
        ended_ns=began_ns + took_ms * MS + chance.randrange(MS),
        attributes={name: value for name, value in told.items() if value is not None},
    )
    return span, row


def _assess(services: Services, chance: random.Random, trace: Row, place: int) -> Row:
    value, number = chance.choice(
        [(0.25, 0.25), (3, 3.0), (True, 1.0), (False, 0.0), ("yes", 1.0), ("No", 0.0), ("fine", None)]
    )
    kind = chance.choice([AssessmentKind.FEEDBACK, AssessmentKind.EXPECTATION])
    made: Assessment = services(Assessments).create(
        PROJECT,
        trace["id"],
        NewAssessment(
            name=chance.choice(["good", "score"]), kind=kind, value=value, valid=chance.random() < 0.8
        ),
    )
    shown = {True: "true", False: "false"}.get(value) if isinstance(value, bool) else None
    text = shown or (f'"{value}"' if isinstance(value, str) else str(value))
    return {
        "assessment_name": made.name,
        "assessment_value": text,
        "number": number,
        "kind": kind.value,
        "valid": made.valid,
        "at_ms": trace["at_ms"],
    }


def groups_of(
    rows: Iterable[Row], metric: str, aggregates: Sequence[Aggregate], dimensions: Sequence[str]
) -> list[tuple[tuple[str, ...], dict[str, float]]]:
    """Take figures on rows by hand; rows without the metric or a dimension count nowhere.

    Nothing at all is counted as 0, and has no other figures.
    """
    groups: dict[tuple[str, ...], list[Any]] = {}
    for row in rows:
        place = tuple(row[name] for name in dimensions)
        if row[metric] is not None and None not in place:
            groups.setdefault(place, []).append(row[metric])
    if not groups and not dimensions and list(aggregates) == [COUNT]:
        return [((), {"COUNT": 0.0})]
    return [
        (place, {each.label: figure(each, values) for each in aggregates})
        for place, values in sorted(groups.items())
    ]


def figure(wanted: Aggregate, values: list[Any]) -> float:
    """Compute one figure; numpy's percentile lies between the nearest values too."""
    if wanted.percentile is not None:
        return float(np.percentile(values, wanted.percentile))
    by_hand: dict[Aggregation, Callable[[list[Any]], float]] = {
        Aggregation.COUNT: len,
        Aggregation.SUM: math.fsum,
        Aggregation.AVG: lambda some: math.fsum(some) / len(some),
        Aggregation.MIN: min,
        Aggregation.MAX: max,
    }
    return float(by_hand[wanted.aggregation](values))


def shown(found: Iterable[Statistic], dimensions: Sequence[str]) -> list[Any]:
    """Give groups as `groups_of` does."""
    return [(tuple(each.dimensions[name] for name in dimensions), each.values) for each in found]


def assert_same(found: list[Any], expected: list[Any]) -> None:
    """Compare groups, figures but for rounding."""
    assert [place for place, _ in found] == [place for place, _ in expected]
    for (place, figures), (_, by_hand) in zip(found, expected, strict=True):
        assert figures == pytest.approx(by_hand, rel=1e-12, abs=1e-12), place


def test_figures_on_traces(services: Services, known: Known) -> None:
    """Counts, latencies and tokens, as a whole and in groups, filtered by what traces are."""

    def ask(metric: str, column: str, aggregates: list[Aggregate], *dimensions: str) -> None:
        for filters, holds in FILTERS:
            wanted = StatisticQuery(
                experiments=known.experiments,
                view=View.TRACES,
                metric=metric,
                aggregates=aggregates,
                dimensions=list(dimensions),
                filters=filters,
            )
            rows = [row for row in known.traces if holds(row)]
            found = shown(services(Traces).statistics(wanted).items, dimensions)
            assert_same(found, groups_of(rows, column, aggregates, dimensions))

    ask("trace_count", "id", [COUNT])
    ask("trace_count", "id", [COUNT], "trace_name", "trace_status")
    ask("trace_count", "id", [COUNT], "trace_status")
    ask("latency", "latency", [AVG, LEAST, MOST, *PERCENTILES])
    ask("latency", "latency", [AVG, *PERCENTILES], "trace_name")
    ask("input_tokens", "input_tokens", [SUM, AVG, LEAST, MOST, *PERCENTILES], "trace_name")


FILTERS: list[tuple[list[str], Callable[[Row], bool]]] = [
    ([], lambda _: True),
    (["trace.status = 'OK'"], lambda row: row["trace_status"] == "OK"),
    (
        ["trace.tag.env = 'prod'", "trace.metadata.user = 'ann'"],
        lambda row: (row["env"], row["user"]) == ("prod", "ann"),
    ),
    (["trace.tag.env = 'nowhere'"], lambda _: False),
]


def test_sessions_count_once(services: Services, known: Known) -> None:
    """However many traces one has."""
    wanted = StatisticQuery(
        experiments=known.experiments, view=View.TRACES, metric="session_count", aggregates=[COUNT]
    )
    sessions = {row["session"] for row in known.traces} - {None}

    assert [each.values for each in services(Traces).statistics(wanted).items] == [{"COUNT": len(sessions)}]


def test_figures_on_spans(services: Services, known: Known) -> None:
    """Counts, latencies and costs, filtered by what spans and their traces are."""

    def ask(metric: str, column: str, aggregates: list[Aggregate], *dimensions: str) -> None:
        for filters, holds in SPAN_FILTERS:
            wanted = StatisticQuery(
                experiments=known.experiments,
                view=View.SPANS,
                metric=metric,
                aggregates=aggregates,
                dimensions=list(dimensions),
                filters=filters,
            )
            rows = [row for row in known.spans if holds(row)]
            found = shown(services(Traces).statistics(wanted).items, dimensions)
            assert_same(found, groups_of(rows, column, aggregates, dimensions))

    ask("span_count", "latency", [COUNT])
    ask("span_count", "latency", [COUNT], "span_name", "span_type", "span_status")
    ask("span_count", "latency", [COUNT], "span_model_name", "span_model_provider")
    ask("latency", "latency", [AVG, LEAST, MOST, *PERCENTILES], "span_name", "span_status")
    ask("total_cost", "total_cost", [SUM, AVG, *PERCENTILES], "span_model_name")


SPAN_FILTERS: list[tuple[list[str], Callable[[Row], bool]]] = [
    ([], lambda _: True),
    (["span.type = 'LLM'"], lambda row: row["span_type"] == "LLM"),
    (
        ["span.name = 'call'", "span.status = 'OK'", "trace.status = 'ERROR'"],
        lambda row: (
            (row["span_name"], row["span_status"], row["trace"]["trace_status"]) == ("call", "OK", "ERROR")
        ),
    ),
]


def test_figures_on_assessments(services: Services, known: Known) -> None:
    """Only valid ones; what is true, false, yes or no counts as 1 and 0, and other texts as nothing."""
    valid = [row for row in known.assessments if row["valid"]]

    def ask(metric: str, column: str, aggregates: list[Aggregate], *dimensions: str, **filtered: str) -> None:
        wanted = StatisticQuery(
            experiments=known.experiments,
            view=View.ASSESSMENTS,
            metric=metric,
            aggregates=aggregates,
            dimensions=list(dimensions),
            filters=[f"assessment.{name} = '{value}'" for name, value in filtered.items()],
        )
        columns = {"name": "assessment_name", "type": "kind"}
        rows = [row for row in valid if all(row[columns[name]] == value for name, value in filtered.items())]
        found = shown(services(Traces).statistics(wanted).items, dimensions)
        assert_same(found, groups_of(rows, column, aggregates, dimensions))

    ask("assessment_count", "kind", [COUNT])
    ask("assessment_count", "kind", [COUNT], "assessment_name", "assessment_value")
    ask("assessment_count", "kind", [COUNT], "assessment_name", type="feedback")
    ask("assessment_value", "number", [AVG, LEAST, MOST, *PERCENTILES], "assessment_name")
    ask("assessment_value", "number", [AVG], name="score")


@pytest.mark.parametrize("view", [View.TRACES, View.SPANS])
@pytest.mark.parametrize("interval_s", [1, 7])
def test_groups_by_time(services: Services, known: Known, view: View, interval_s: int) -> None:
    """Each bucket begins at a multiple of the interval since 1970; both ends of the time asked for count."""
    begin, end = (
        START + timedelta(milliseconds=known.traces[2]["at_ms"]),
        START + timedelta(milliseconds=known.traces[-2]["at_ms"]),
    )
    wanted = StatisticQuery(
        experiments=known.experiments,
        view=view,
        metric="trace_count" if view is View.TRACES else "total_cost",
        aggregates=[COUNT if view is View.TRACES else SUM],
        interval_s=interval_s,
        started_from=begin,
        started_to=end,
    )
    expected: dict[datetime, float] = {}
    for row in known.traces if view is View.TRACES else known.spans:
        at = START + timedelta(milliseconds=row["at_ms"])
        value = 1 if view is View.TRACES else row["total_cost"]
        if begin <= at <= end and value is not None:
            since = int(at.timestamp() * 1000) // (interval_s * 1000) * interval_s
            bucket = datetime.fromtimestamp(since, UTC)
            expected[bucket] = expected.get(bucket, 0) + value

    found = services(Traces).statistics(wanted).items

    assert [each.bucket for each in found] == sorted(expected)
    assert [next(iter(each.values.values())) for each in found] == pytest.approx(
        [expected[bucket] for bucket in sorted(expected)]
    )


def test_groups_are_cut_off_at_the_limit(services: Services, known: Known) -> None:
    """In the order of their dimensions; deleted traces and unknown experiments count nowhere."""

    def names(limit: int, experiments: list[int]) -> list[str]:
        wanted = StatisticQuery(
            experiments=experiments,
            view=View.TRACES,
            metric="trace_count",
            aggregates=[COUNT],
            dimensions=["trace_name"],
            limit=limit,
        )
        return [each.dimensions["trace_name"] for each in services(Traces).statistics(wanted).items]

    every = sorted({row["trace_name"] for row in known.traces} - {None})
    assert names(100, known.experiments) == every
    assert names(2, [*known.experiments, 999]) == every[:2]
    for number in known.experiments:
        wanted = TraceDeletion(experiment=number, started_before=START + timedelta(days=1))
        services(Traces).delete(PROJECT, wanted)
    assert names(100, known.experiments) == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"metric": "nope"}, "metric_name must be one of"),
        ({"aggregates": []}, "No aggregation"),
        ({"aggregates": [SUM]}, "invalid aggregation_type"),
        ({"dimensions": ["span_name"]}, "invalid dimension"),
        ({"metric": "latency", "aggregates": [Aggregate(aggregation=Aggregation.PERCENTILE)]}, "percentile"),
        ({"interval_s": 60}, "start_time_ms and end_time_ms are required"),
        ({"filters": ["trace.status != 'OK'"]}, "Invalid comparator"),
        ({"filters": ["trace.name = 'a'"]}, "Invalid entity"),
        ({"filters": ["span.name = 'a'"]}, "only supported for SPANS"),
        ({"filters": ["trace.status = 'OK' AND trace.tag.env = 'a'"]}, "Expected one filter clause"),
    ],
)
@pytest.mark.alike
def test_what_cannot_be_computed_is_refused(services: Services, given: dict[str, Any], message: str) -> None:
    """The message names what is wrong, and what there is."""
    query = {"experiments": [0], "view": View.TRACES, "metric": "trace_count", "aggregates": [COUNT], **given}
    with pytest.raises(Invalid, match=message):
        services(Traces).statistics(StatisticQuery(**query))


def test_filters_are_correlated(services: Services, known: Known) -> None:
    """Counts are those of the traces, and the figure is that of the formula, among those that a third filter finds."""
    prod, fine = "tags.env = 'prod'", "status = 'OK'"

    def holds(row: Row, text: str) -> bool:
        tests = {
            "": True,
            prod: row["env"] == "prod",
            fine: row["trace_status"] == "OK",
            "name = 'ask'": row["trace_name"] == "ask",
            "name = 'never'": False,
        }
        return bool(tests[text])

    for first, second, base in (
        (prod, fine, ""),
        (prod, fine, "name = 'ask'"),
        (fine, fine, ""),
        ("name = 'never'", fine, ""),
    ):
        wanted = CorrelationQuery(experiments=known.experiments, first=first, second=second, base=base)
        found = services(Traces).correlation(wanted)
        rows = [row for row in known.traces if holds(row, base)]
        n_first, n_second, n_both = (
            sum(all(holds(row, text) for text in texts) for row in rows)
            for texts in ([first], [second], [first, second])
        )
        assert (found.n_all, found.n_first, found.n_second, found.n_both) == (
            len(rows),
            n_first,
            n_second,
            n_both,
        )
        assert found.npmi == pytest.approx(npmi_by_hand(n_both, n_first, n_second, len(rows)))
        if n_first and n_second:
            assert found.npmi_smoothed is not None
            assert -1 <= found.npmi_smoothed <= 1


def npmi_by_hand(n_both: int, n_first: int, n_second: int, n_all: int) -> float | None:
    """Bouma 2009, (7): pointwise mutual information over the self-information of both."""
    if not n_first or not n_second:
        return None
    if not n_both:
        return -1.0
    if n_both == n_all:
        return 1.0
    p_both, p_first, p_second = (n / n_all for n in (n_both, n_first, n_second))
    return math.log(p_both / (p_first * p_second)) / -math.log(p_both)


def test_a_filter_that_is_none_is_not_correlated(services: Services) -> None:
    """Whichever of the three it is."""
    for given in ({"first": "nonsense"}, {"second": "nonsense"}, {"base": "nonsense"}):
        with pytest.raises(Invalid):
            services(Traces).correlation(
                CorrelationQuery(**{"experiments": [0], "first": "", "second": "", **given})  # type: ignore[arg-type]
            )
