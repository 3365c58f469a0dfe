"""Traces: recording, reading, searching, assessing and deleting, over each transport and on each database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from noria.access.projects import NewProject, Projects
from noria.core.errors import Invalid, NotFound, TooLarge
from noria.tracking.entities import NewRun
from noria.tracking.experiment_entities import NewExperiment
from noria.tracking.service import Experiments, Runs
from noria.tracking.traces.assessment_entities import (
    AssessmentChange,
    AssessmentKind,
    AssessmentSource,
    NewAssessment,
)
from noria.tracking.traces.assessment_service import Assessments
from noria.tracking.traces.entities import (
    NewTrace,
    Span,
    SpanBatch,
    SpanEvent,
    SpanLink,
    SpanStatus,
    TraceDeletion,
    TraceEnd,
    TraceIds,
    TracePrompts,
    TraceRunLinks,
    TraceSearch,
    TraceState,
    TraceTags,
    Usage,
)
from noria.tracking.traces.recording import TraceElsewhere
from noria.tracking.traces.service import TagMissing, Traces
from support.conformance import Services

START = datetime(2026, 1, 1, tzinfo=UTC)
START_NS = int(START.timestamp()) * 1_000_000_000
MS = 1_000_000
A, B = "tr-" + "a" * 32, "tr-" + "b" * 32


def span(at: int = 1, **given: Any) -> Span:
    """Make a root of trace `A` that takes 10 ms, unless told otherwise."""
    return Span(
        **{
            "trace_id": A,
            "id": f"{at:016x}",
            "name": f"step-{at}",
            "started_ns": START_NS + at * MS,
            "ended_ns": START_NS + (at + 10) * MS,
            **given,
        }
    )


def trace(trace_id: str = A, **given: Any) -> NewTrace:
    return NewTrace(**{"id": trace_id, "experiment": 0, "started_at": START, "state": TraceState.OK, **given})


def test_spans_make_a_trace(services: Services) -> None:
    """Start, end, state, name and previews of a trace come from its spans, as long as nobody told them."""
    root = span(
        1,
        status=SpanStatus.OK,
        attributes={"mlflow.spanInputs": {"question": "Why?"}, "mlflow.spanOutputs": "Because."},
    )
    child = span(2, parent=root.id, ended_ns=START_NS + 30 * MS)
    kept = services(Traces).keep_spans("default", SpanBatch(experiment=0, spans=[child, root]))

    found = services(Traces).get("default", A)

    assert (kept.n_spans, kept.ended_traces) == (2, [A])
    assert (found.started_at, found.duration_ms) == (START + timedelta(milliseconds=1), 29)
    assert (found.state, found.name, found.n_spans) == (TraceState.OK, "step-1", 2)
    assert (found.request, found.response) == ('{"question": "Why?"}', '"Because."')
    assert found.spans == [root, child]


def test_a_span_is_read_as_it_was_sent(services: Services) -> None:
    """Attributes of every kind, events, links and the message of an error come back."""
    sent = span(
        status=SpanStatus.ERROR,
        message="no such tool",
        attributes={
            "text": "ü\n" + "x" * 2000,
            "number": 1.5,
            "count": 3,
            "nothing": None,
            "yes": True,
            "list": [1, {"a": None}],
        },
        events=[SpanEvent(name="exception", at_ns=START_NS, attributes={"exception.type": "KeyError"})],
        links=[SpanLink(trace_id=B, span_id="00000000000000ff", attributes={"why": "retry"})],
    )
    services(Traces).keep_spans("default", SpanBatch(experiment=0, spans=[sent]))

    found = services(Traces).get("default", A)

    assert found.spans == [sent]
    assert found.state is TraceState.ERROR


def test_spans_arrive_in_many_requests(services: Services) -> None:
    """A trace is in progress until its root comes; its times widen; a span that comes again is replaced."""
    traces = services(Traces)
    late = span(5, parent=f"{1:016x}")
    traces.keep_spans("default", SpanBatch(experiment=0, spans=[late]))
    before = traces.get("default", A)
    traces.keep_spans(
        "default", SpanBatch(experiment=0, spans=[span(1), span(5, parent=late.parent, name="new")])
    )
    after = traces.get("default", A)

    assert (before.state, before.duration_ms, before.name) == (TraceState.IN_PROGRESS, 10, None)
    assert (after.state, after.duration_ms, after.name) == (TraceState.OK, 14, "step-1")
    assert after.spans is not None
    assert [one.name for one in after.spans] == ["step-1", "new"]
    assert after.n_spans == 2


@pytest.mark.parametrize("spans_first", [True, False])
def test_what_the_program_tells_of_a_trace_holds(services: Services, spans_first: bool) -> None:
    """Times, state and sums that were told are not changed by spans, whichever comes first."""
    told = trace(
        duration_ms=77,
        name="answer",
        session="chat-1",
        client_request_id="request-1",
        request="in",
        response="out",
        usage=Usage(input_tokens=1),
        metadata={"user": "ann"},
        tags={"env": "prod"},
        assessments=[NewAssessment(name="good", kind=AssessmentKind.FEEDBACK, value=True)],
    )
    batch = SpanBatch(
        experiment=0,
        spans=[span(9, status=SpanStatus.ERROR, attributes={"mlflow.chat.tokenUsage": {"input_tokens": 5}})],
    )
    traces = services(Traces)
    if spans_first:
        traces.keep_spans("default", batch)
    traces.record("default", told)
    traces.keep_spans("default", batch)

    found = traces.get("default", A)

    assert (found.started_at, found.duration_ms, found.state) == (START, 77, TraceState.OK)
    assert (found.name, found.session, found.client_request_id) == ("answer", "chat-1", "request-1")
    assert (found.request, found.response, found.is_final) == ("in", "out", True)
    assert (found.metadata, found.tags, found.n_spans) == ({"user": "ann"}, {"env": "prod"}, 1)
    assert found.usage.input_tokens == 1
    assert [(one.name, one.value, one.trace_id) for one in found.assessments] == [("good", True, A)]


def test_tokens_and_costs_are_added_up_once(services: Services) -> None:
    """A span that tells the sum of those inside it speaks for them, though they come in another request."""

    def using(at: int, parent: int | None, n: int) -> Span:
        attributes = {
            "mlflow.chat.tokenUsage": {"input_tokens": n},
            "mlflow.llm.cost": {"total_cost": n / 10},
        }
        return span(at, parent=f"{parent:016x}" if parent else None, attributes=attributes)

    traces = services(Traces)
    for spans in ([using(3, 2, 5)], [using(4, 1, 7)], [using(2, 1, 5), span(1)]):
        traces.keep_spans("default", SpanBatch(experiment=0, spans=spans))

    found = traces.get("default", A)

    assert found.usage == Usage(input_tokens=12, output_tokens=0, total_tokens=0)
    assert (found.cost.input_cost, found.cost.output_cost) == (0, 0)
    assert found.cost.total_cost == pytest.approx(1.2)


def test_other_conventions_are_understood(services: Services) -> None:
    """Type, input, session, user and tags are read off the attributes that libraries write."""
    sent = span(
        attributes={
            "gen_ai.operation.name": "chat",
            "gen_ai.input.messages": '[{"role": "user"}]',
            "gen_ai.usage.input_tokens": 4,
            "session.id": "s-1",
            "user.id": "ann",
            "mlflow.traceTag.env": "prod",
        }
    )
    batch = SpanBatch(experiment=0, spans=[sent], resources={A: {"service.name": "shop"}})
    services(Traces).keep_spans("default", batch)

    found = services(Traces).get("default", A)

    assert found.spans is not None
    attributes = found.spans[0].attributes
    assert attributes["mlflow.spanType"] == "CHAT_MODEL"
    assert attributes["mlflow.spanInputs"] == [{"role": "user"}]
    assert (found.session, found.usage.input_tokens) == ("s-1", 4)
    assert found.tags == {"env": "prod", "service.name": "shop"}
    assert found.metadata == {"mlflow.trace.user": "ann"}


def test_a_trace_is_begun_and_ended(services: Services) -> None:
    """One that was told of when it began is closed later, with metadata and tags added."""
    traces = services(Traces)
    traces.record(
        "default", trace(state=TraceState.IN_PROGRESS, is_final=False, metadata={"a": "1"}, tags={"t": "1"})
    )
    ended = traces.end(
        "default",
        A,
        TraceEnd(
            state=TraceState.ERROR,
            ended_at=START + timedelta(seconds=2),
            metadata={"b": "2"},
            tags={"t": "2"},
        ),
    )

    assert (ended.state, ended.duration_ms) == (TraceState.ERROR, 2000)
    assert (ended.metadata, ended.tags) == ({"a": "1", "b": "2"}, {"t": "2"})


def test_tags_are_set_and_removed(services: Services) -> None:
    """The name is a tag too; removing what is not there is refused, and leaves the rest as it was."""
    traces = services(Traces)
    traces.record("default", trace(name="old", tags={"a": "1", "b": "2"}))
    traces.set_tags("default", A, TraceTags(tags={"a": "3", "b": None, "mlflow.traceName": "new"}))

    found = traces.get("default", A)
    assert (found.tags, found.name) == ({"a": "3"}, "new")

    with pytest.raises(TagMissing, match="'b'"):
        traces.set_tags("default", A, TraceTags(tags={"a": "4", "b": None}))
    assert traces.get("default", A).tags == {"a": "3"}
    with pytest.raises(Invalid):
        traces.set_tags("default", A, TraceTags(tags={"a//b": "1"}))


def test_a_trace_belongs_to_one_project(services: Services) -> None:
    """Spans of another project's trace are refused; reading, finding and locating keep to the project."""
    services(Projects).create(NewProject(name="bank"))
    number = services(Experiments).create("bank", NewExperiment(name="churn")).number
    traces = services(Traces)
    traces.record("bank", trace(experiment=number))

    with pytest.raises(TraceElsewhere):
        traces.keep_spans("default", SpanBatch(experiment=0, spans=[span()]))
    with pytest.raises(NotFound):
        traces.get("default", A)
    with pytest.raises(NotFound):
        traces.record("default", trace(B, experiment=number))
    assert (traces.locate(A).project, traces.locate(A).experiment_number) == ("bank", number)


def test_traces_are_found_by_their_ids(services: Services) -> None:
    """In the order asked for, each once, only of the experiments named, and without those that are not there."""
    traces = services(Traces)
    for trace_id in (A, B):
        traces.record("default", trace(trace_id))
    traces.keep_spans("default", SpanBatch(experiment=0, spans=[span()]))

    found = traces.find(TraceIds(ids=[B, "tr-0", A, B], spans=True)).items

    assert [one.id for one in found] == [B, A]
    assert found[1].spans == [span()]
    assert found[0].spans == []
    assert traces.find(TraceIds(ids=[A], experiments=[7])).items == []
    with pytest.raises(TooLarge):
        traces.find(TraceIds(ids=[f"tr-{i}" for i in range(1_001)]))


def test_assessments_are_made_changed_and_removed(services: Services) -> None:
    """One that overrides another makes it invalid until it is removed; a value keeps its kind."""
    services(Traces).record("default", trace())
    assessments = services(Assessments)
    first = assessments.create(
        "default",
        A,
        NewAssessment(
            name="quality",
            kind=AssessmentKind.FEEDBACK,
            value={"rating": 4},
            source=AssessmentSource.HUMAN,
            source_id="ann@example.com",
            rationale="fine",
            metadata={"a": "1"},
        ),
    )
    second = assessments.create(
        "default",
        A,
        NewAssessment(name="quality", kind=AssessmentKind.FEEDBACK, value=3, overrides=first.id),
    )
    assert not assessments.get("default", A, first.id).valid

    assessments.delete("default", A, second.id)
    assessments.delete("default", A, second.id)
    change = AssessmentChange(
        name="overall", kind=AssessmentKind.FEEDBACK, value={"rating": 5}, metadata={"b": "2"}
    )
    changed = assessments.update("default", A, first.id, change)

    assert (changed.name, changed.value, changed.valid) == ("overall", {"rating": 5}, True)
    assert (changed.metadata, changed.rationale) == ({"a": "1", "b": "2"}, "fine")
    assert changed.updated_at >= changed.created_at == first.created_at
    assert services(Traces).get("default", A).assessments == [changed]
    with pytest.raises(Invalid, match="Feedback"):
        assessments.update("default", A, first.id, AssessmentChange(kind=AssessmentKind.EXPECTATION, value=1))
    for missing in (second.id, "a-0"):
        with pytest.raises(NotFound):
            assessments.get("default", A, missing)
    with pytest.raises(NotFound):
        assessments.create(
            "default", A, NewAssessment(name="x", kind=AssessmentKind.FEEDBACK, overrides="a-0")
        )


def test_deleting_takes_what_was_asked_for(services: Services) -> None:
    """By time, oldest first up to a number, or by ids; nothing of another experiment; all that hung on them goes."""
    traces = services(Traces)
    number = services(Experiments).create("default", NewExperiment(name="other")).number
    ids = [f"tr-{i}" for i in range(5)]
    for i, trace_id in enumerate(ids):
        traces.record("default", trace(trace_id, started_at=START + timedelta(seconds=i), tags={"a": "b"}))
    traces.record("default", trace(A, experiment=number))
    traces.keep_spans("default", SpanBatch(experiment=0, spans=[span(trace_id=ids[0])]))

    def left() -> list[str]:
        return sorted(one.id for one in traces.search(TraceSearch(experiments=[0, number])).items)

    wanted = TraceDeletion(experiment=0, started_before=START + timedelta(seconds=3), limit=2)
    assert traces.delete("default", wanted).n_traces == 2
    assert left() == sorted([*ids[2:], A])
    assert traces.delete("default", TraceDeletion(experiment=0, ids=[ids[4], A])).n_traces == 1
    assert left() == sorted([*ids[2:4], A])
    with pytest.raises(Invalid):
        traces.delete("default", TraceDeletion(experiment=0))

    traces.record("default", trace(ids[0]))
    again = traces.get("default", ids[0])
    assert (again.tags, again.spans) == ({}, [])


def test_traces_are_linked_to_runs_and_prompts(services: Services) -> None:
    """A link may come before its trace; linking twice is fine; a run or trace that is not there is refused."""
    traces = services(Traces)
    run = services(Runs).create("default", NewRun())
    for _ in range(2):
        traces.link_run("default", TraceRunLinks(trace_ids=[A], run_id=run.id))
    traces.record("default", trace())
    traces.record("default", trace(B, metadata={"mlflow.sourceRun": run.id}))
    traces.record("default", trace("tr-c"))
    for _ in range(2):
        traces.link_prompts("default", B, TracePrompts(prompts=["greet/2"]))

    def ids(text: str) -> list[str]:
        return sorted(one.id for one in traces.search(TraceSearch(experiments=[0], filter=text)).items)

    assert ids(f"run_id = '{run.id}'") == [A, B]
    assert ids(f"metadata.`mlflow.sourceRun` = '{run.id}'") == [A, B]
    assert ids("prompt = 'greet/2'") == [B]
    with pytest.raises(NotFound):
        traces.link_run("default", TraceRunLinks(trace_ids=[A], run_id="0" * 32))
    with pytest.raises(NotFound):
        traces.link_prompts("default", "tr-0", TracePrompts(prompts=["greet/2"]))
    with pytest.raises(TooLarge):
        traces.link_run("default", TraceRunLinks(trace_ids=[f"tr-{i}" for i in range(101)], run_id=run.id))


def test_what_cannot_be_kept_is_refused(services: Services) -> None:
    """Ids, moments and sizes are checked before anything is written."""
    traces = services(Traces)
    for bad in (
        span(trace_id="a b"),
        span(id="../x"),
        span(started_ns=-1),
        span(ended_ns=1 << 63),
    ):
        with pytest.raises(Invalid):
            traces.keep_spans("default", SpanBatch(experiment=0, spans=[span(3), bad]))
    with pytest.raises(TooLarge):
        traces.record("default", trace(session="x" * 251))
    with pytest.raises(NotFound):
        traces.get("default", A)
    with pytest.raises(NotFound):
        traces.keep_spans("default", SpanBatch(experiment=99, spans=[span()]))


def test_characters_that_no_database_holds_are_replaced(services: Services) -> None:
    """A null character in a name, a tag or a preview does not lose the trace."""
    sent = span(name="a\x00b", attributes={"mlflow.spanInputs": "x\x00y", "mlflow.traceTag.k": "v\x00"})
    services(Traces).keep_spans("default", SpanBatch(experiment=0, spans=[sent]))

    found = services(Traces).get("default", A)

    assert (found.name, found.tags) == ("a\ufffdb", {"k": "v\ufffd"})
    assert found.spans is not None
    assert found.spans[0].attributes["mlflow.spanInputs"] == "x\x00y"
