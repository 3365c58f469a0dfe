"""Traces under several writers at once: nothing is lost and nobody waits for ever, on each database."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from noria.core.context import Context
from noria.core.errors import NotFound
from noria.tracking.entities import NewRun
from noria.tracking.service import Runs
from noria.tracking.traces.assessment_entities import AssessmentChange, AssessmentKind, NewAssessment
from noria.tracking.traces.assessment_service import Assessments
from noria.tracking.traces.conventions import USAGE
from noria.tracking.traces.entities import (
    NewTrace,
    Span,
    SpanBatch,
    TraceDeletion,
    TraceEnd,
    TracePrompts,
    TraceRunLinks,
    TraceSearch,
    TraceState,
    TraceTags,
)
from noria.tracking.traces.service import Traces
from noria.tracking.traces.tables import trace_assessments, trace_prompts, trace_spans, trace_values
from support.conformance import Services

START = datetime(2026, 1, 1, tzinfo=UTC)
START_NS = int(START.timestamp()) * 1_000_000_000
MS = 1_000_000
PROJECT = "default"
A = "tr-" + "a" * 32
N_WRITERS = 4
N_TURNS = 8


@pytest.fixture(autouse=True)
def reached(services: Services) -> None:
    """Ask for each service once: the server of the tests learns its routes then, and only one thread may teach it."""
    for service in (Traces, Assessments, Runs):
        services(service)


def at_once(*works: Callable[[], object]) -> None:
    """Do works in a thread each, begun together, and raise the first error of any."""
    start = threading.Barrier(len(works))
    failed: list[Exception] = []

    def run(work: Callable[[], object]) -> None:
        start.wait()
        try:
            work()
        except Exception as error:  # noqa: BLE001 - raised below, in the test's thread
            failed.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for error in failed:
        raise error


def by_writers(work: Callable[[int], object]) -> None:
    """Let several writers do something with their number."""
    at_once(*(lambda writer=writer: work(writer) for writer in range(N_WRITERS)))


def span(trace_id: str, number: int, **given: object) -> Span:
    began_ns = START_NS + number * MS
    values = {
        "trace_id": trace_id,
        "id": f"{number + 1:016x}",
        "name": f"s{number}",
        "started_ns": began_ns,
        "ended_ns": began_ns + MS,
        **given,
    }
    return Span(**values)  # type: ignore[arg-type]


def record(services: Services, trace_id: str = A, **given: object) -> None:
    values = {"id": trace_id, "experiment": 0, "started_at": START, "state": TraceState.OK, **given}
    services(Traces).record(PROJECT, NewTrace(**values))  # type: ignore[arg-type]


def test_spans_of_one_trace_come_from_all_sides(services: Services) -> None:
    """All of them are kept, and times and sums of the trace are those of all."""

    def send(writer: int) -> None:
        for turn in range(N_TURNS):
            number = turn * N_WRITERS + writer
            attributes = {USAGE: {"input_tokens": number}}
            parent = None if number == 0 else f"{1:016x}"
            sent = span(A, number, attributes=attributes if number else {}, parent=parent)
            services(Traces).keep_spans(PROJECT, SpanBatch(experiment=0, spans=[sent]))

    by_writers(send)
    found = services(Traces).get(PROJECT, A)
    n_spans = N_WRITERS * N_TURNS

    assert found.spans is not None
    assert {each.name for each in found.spans} == {f"s{number}" for number in range(n_spans)}
    assert (found.n_spans, len(found.spans)) == (n_spans, n_spans)
    assert (found.started_at, found.duration_ms) == (START, n_spans)
    assert found.usage.input_tokens == sum(range(n_spans))
    assert found.state is TraceState.OK


def test_batches_of_the_same_traces_in_any_order(services: Services) -> None:
    """Two requests that hold the same traces do not wait for each other."""
    ids = [f"tr-{number:032x}" for number in range(6)]

    def send(writer: int) -> None:
        for turn in range(N_TURNS):
            chosen = ids if (writer + turn) % 2 else ids[::-1]
            number = turn * N_WRITERS + writer
            attributes = {f"mlflow.traceTag.k{number}": str(number)}
            spans = [span(trace_id, number, attributes=attributes) for trace_id in chosen]
            services(Traces).keep_spans(PROJECT, SpanBatch(experiment=0, spans=spans))

    by_writers(send)

    numbers = range(N_WRITERS * N_TURNS)
    for trace_id in ids:
        found = services(Traces).get(PROJECT, trace_id)
        assert found.n_spans == len(numbers)
        assert found.tags == {f"k{number}": str(number) for number in numbers}


def test_a_trace_is_told_of_while_its_spans_come(services: Services) -> None:
    """Whichever comes first, what was told holds, and tags of everybody are there."""

    def send(writer: int) -> None:
        if writer == 0:
            record(services, duration_ms=77, tags={"told": "yes"}, metadata={"user": "ann"})
            ended_at = START + timedelta(milliseconds=99)
            told = TraceEnd(state=TraceState.ERROR, ended_at=ended_at, tags={"ended": "yes"})
            services(Traces).end(PROJECT, A, told)
            return
        for turn in range(N_TURNS):
            number = turn * N_WRITERS + writer
            batch = SpanBatch(experiment=0, spans=[span(A, number)], resources={A: {f"r{writer}": "x"}})
            services(Traces).keep_spans(PROJECT, batch)

    by_writers(send)
    found = services(Traces).get(PROJECT, A)

    assert (found.state, found.started_at, found.duration_ms) == (TraceState.ERROR, START, 99)
    assert found.n_spans == (N_WRITERS - 1) * N_TURNS
    resources = {f"r{writer}": "x" for writer in range(1, N_WRITERS)}
    assert found.tags == {"told": "yes", "ended": "yes", **resources}
    assert found.metadata["user"] == "ann"


def test_tags_of_one_trace_are_set_from_all_sides(services: Services) -> None:
    """Everybody's own are there, and the one that all set has a value of one of them."""
    record(services)

    def tag(writer: int) -> None:
        for turn in range(N_TURNS):
            keys = [f"own{writer}.{turn}", "shared", f"new{turn}"]
            tags = dict.fromkeys(keys if writer % 2 else keys[::-1], str(writer))
            services(Traces).set_tags(PROJECT, A, TraceTags(tags={**tags, "mlflow.traceName": f"n{writer}"}))

    by_writers(tag)
    found = services(Traces).get(PROJECT, A)

    own = {f"own{writer}.{turn}": str(writer) for writer in range(N_WRITERS) for turn in range(N_TURNS)}
    assert {key: value for key, value in found.tags.items() if key.startswith("own")} == own
    assert set(found.tags) == {*own, "shared", *(f"new{turn}" for turn in range(N_TURNS))}
    assert found.name in {f"n{writer}" for writer in range(N_WRITERS)}


def test_assessments_of_one_trace_come_from_all_sides(services: Services) -> None:
    """Each is there once; of one that all change, every change is there."""
    record(services)
    assessments = services(Assessments)
    shared = assessments.create(PROJECT, A, NewAssessment(name="all", kind=AssessmentKind.FEEDBACK, value=0))

    def assess(writer: int) -> None:
        for turn in range(N_TURNS):
            name = f"own{writer}.{turn}"
            assessments.create(PROJECT, A, NewAssessment(name=name, kind=AssessmentKind.FEEDBACK, value=turn))
            assessments.update(PROJECT, A, shared.id, AssessmentChange(metadata={name: "x"}))

    by_writers(assess)
    found = {each.name: each for each in services(Traces).get(PROJECT, A).assessments}

    names = {f"own{writer}.{turn}" for writer in range(N_WRITERS) for turn in range(N_TURNS)}
    assert set(found) == {"all", *names}
    assert set(found["all"].metadata) == names


def test_assessments_that_override_are_made_and_removed_at_once(services: Services) -> None:
    """What was overridden is valid again in the end."""
    record(services)
    assessments = services(Assessments)
    made = [
        assessments.create(
            PROJECT, A, NewAssessment(name=f"first{at}", kind=AssessmentKind.FEEDBACK, value=1)
        ).id
        for at in range(2)
    ]

    def replace(writer: int) -> None:
        for turn in range(N_TURNS):
            for first in made if (writer + turn) % 2 else made[::-1]:
                new = NewAssessment(name="new", kind=AssessmentKind.FEEDBACK, value=2, overrides=first)
                second = assessments.create(PROJECT, A, new)
                assessments.delete(PROJECT, A, second.id)

    by_writers(replace)

    found = services(Traces).get(PROJECT, A).assessments
    assert [(each.id, each.valid) for each in found] == [(each, True) for each in made]


def test_traces_are_linked_from_all_sides(services: Services) -> None:
    """To runs and prompts, in any order, each once."""
    ids = [f"tr-{number:032x}" for number in range(5)]
    for trace_id in ids:
        record(services, trace_id)
    run = services(Runs).create(PROJECT, NewRun()).id

    def link(writer: int) -> None:
        for turn in range(N_TURNS):
            some = ids if (writer + turn) % 2 else ids[::-1]
            services(Traces).link_run(PROJECT, TraceRunLinks(trace_ids=some, run_id=run))
            for trace_id in some:
                used = TracePrompts(prompts=[f"greet/{turn}", f"ask/{writer}"])
                services(Traces).link_prompts(PROJECT, trace_id, used)

    by_writers(link)

    for text in (f"run_id = '{run}'", "prompt = 'greet/0'", f"prompt = 'ask/{N_WRITERS - 1}'"):
        found = services(Traces).search(TraceSearch(experiments=[0], filter=text)).items
        assert sorted(each.id for each in found) == ids


@pytest.mark.parametrize("by_ids", [True, False])
def test_traces_are_deleted_while_others_write_to_them(
    services: Services, context: Context, by_ids: bool
) -> None:
    """Whoever finds a trace gone is told so, nobody waits for ever, and what is deleted leaves nothing behind."""
    ids = [f"tr-{number:032x}" for number in range(6)]
    every = TraceDeletion(experiment=0, started_before=START + timedelta(days=1))
    wanted = TraceDeletion(experiment=0, ids=ids) if by_ids else every

    def write(writer: int) -> None:
        for turn in range(N_TURNS):
            # The later the id, the earlier the start: who deletes goes by time, who writes by id.
            spans = [span(trace_id, 100 - at) for at, trace_id in enumerate(ids)]
            services(Traces).keep_spans(PROJECT, SpanBatch(experiment=0, spans=spans))
            for trace_id in ids[writer % 2 :: 2]:
                with suppress(NotFound):
                    services(Traces).set_tags(PROJECT, trace_id, TraceTags(tags={f"k{turn}": "v"}))
                    new = NewAssessment(name="good", kind=AssessmentKind.FEEDBACK, value=turn)
                    services(Assessments).create(PROJECT, trace_id, new)
                    services(Traces).link_prompts(PROJECT, trace_id, TracePrompts(prompts=["greet/1"]))

    def delete() -> None:
        for _ in range(2 * N_TURNS):
            services(Traces).delete(PROJECT, wanted)

    at_once(lambda: write(0), lambda: write(1), delete, delete)
    services(Traces).delete(PROJECT, every)

    with context.database.read() as connection:
        for table in (trace_spans, trace_values, trace_assessments, trace_prompts):
            left = connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            assert left == 0, table.name
