"""No search of traces reads a whole table or index: by the plans of SQLite."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from noria.core.clock import SystemClock
from noria.core.context import Context
from noria.tracking.experiment_entities import NewExperiment
from noria.tracking.service import Experiments
from noria.tracking.traces.assessment_entities import AssessmentKind, NewAssessment
from noria.tracking.traces.entities import NewTrace, Span, SpanBatch, TraceState
from noria.tracking.traces.places import experiment_in
from noria.tracking.traces.reading import load_traces
from noria.tracking.traces.searching import matching, read_query, search
from noria.tracking.traces.service import Traces
from support.conformance import open_test_context, workspace_settings
from support.plans import Recorded, RecordingConnection, scans

START = datetime(2026, 1, 1, tzinfo=UTC)
FILTERS = [
    "",
    "status = 'OK'",
    "status != 'OK'",
    "name = 'n1'",
    "name LIKE 'n%'",
    "name RLIKE '^n'",
    "timestamp_ms > 5",
    "execution_time_ms > 5",
    "tags.env = 'p'",
    "tags.env LIKE '%p'",
    "tags.env IS NULL",
    "metadata.user = '3'",
    "metadata.user != '3'",
    "client_request_id = 'x'",
    "request_id = 'tr-1'",
    "run_id = 'a'",
    "prompt = 'a/1'",
    "span.name = 's'",
    "span.type = 'LLM'",
    "span.attributes.x = 'y'",
    "feedback.good = '3'",
    "feedback.good > 3",
    "expectation.good = 'x'",
    "trace.text LIKE '%x%'",
    "status = 'OK' AND tags.env = 'p' AND feedback.good > 3",
]
ORDERS: list[list[str]] = [
    [],
    ["timestamp_ms ASC"],
    ["execution_time_ms DESC"],
    ["name"],
    ["status", "name DESC"],
    ["tags.env"],
    ["request_id"],
]


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    """Give a workspace with traces in two experiments."""
    folder: Path = tmp_path_factory.mktemp("plans")
    with open_test_context(workspace_settings(folder), SystemClock()) as opened:
        number = opened.service(Experiments).create("default", NewExperiment(name="other")).number
        for at in range(60):
            store(opened, at, 0 if at % 2 else number)
        yield opened


def store(context: Context, at: int, experiment: int) -> None:
    trace_id = f"tr-{at:032x}"
    traces = context.service(Traces)
    assessed = NewAssessment(name="good", kind=AssessmentKind.FEEDBACK, value=at)
    new = NewTrace(
        id=trace_id,
        experiment=experiment,
        started_at=START + timedelta(seconds=at),
        state=TraceState.OK,
        name=f"n{at % 5}",
        session=f"s{at % 7}",
        duration_ms=at,
        tags={"env": "p"},
        metadata={"user": str(at)},
        assessments=[assessed],
    )
    traces.record("default", new)
    span = Span(trace_id=trace_id, id="00000000000000aa", name="s", started_ns=10**18)
    traces.keep_spans("default", SpanBatch(experiment=experiment, spans=[span]))


def test_no_search_of_traces_reads_a_whole_table(context: Context) -> None:
    """Each table and index is entered at a place, whatever is asked for and in whatever order, page by page."""
    recorded = Recorded()
    for text, order in itertools.product(FILTERS, ORDERS):
        query = read_query(text, order)
        with context.database.read() as connection:
            noting: Any = RecordingConnection(connection, recorded)
            places = [experiment_in(connection, "default", 0)]
            found = search(noting, places, query, 7, None)
            load_traces(noting, found.keys, spans=True)
            if found.next is not None:
                search(noting, places, query, 7, found.next)
            matching(noting, places, query.clauses)

    with context.database.read() as connection:
        wrong = [
            f"{sorted(scanned)}: {text}"
            for text, values in recorded.statements.items()
            if (scanned := scans(connection, text, values))
        ]
    assert len(recorded.statements) > 100
    assert "\n".join(wrong) == ""
