"""Traces from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from noria.cli.main import main
from noria.core.config import load_settings
from noria.core.workspace import open_workspace
from noria.tracking.experiment_entities import NewExperiment
from noria.tracking.service import Experiments
from noria.tracking.traces.assessment_entities import AssessmentKind, NewAssessment
from noria.tracking.traces.entities import NewTrace, Span, SpanBatch, SpanStatus, TraceState
from noria.tracking.traces.service import Traces

Command = Callable[..., str]
START = datetime(2026, 1, 1, tzinfo=UTC)
START_NS = int(START.timestamp()) * 1_000_000_000
OK, FAILED = "tr-" + "a" * 32, "tr-" + "b" * 32


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Give a caller of the command line, in a workspace with a trace in each of two experiments."""
    monkeypatch.setenv("NORIA_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.chdir(tmp_path)
    with open_workspace(load_settings()) as workspace:
        numbers = [
            workspace.service(Experiments).create("default", NewExperiment(name=name)).number
            for name in ("chat", "search")
        ]
        for number, trace_id, state in zip(
            numbers, (OK, FAILED), (TraceState.OK, TraceState.ERROR), strict=True
        ):
            judged = NewAssessment(
                name="correct",
                kind=AssessmentKind.FEEDBACK,
                value=True,
                source_id="ann",
                rationale="as asked",
            )
            told = NewTrace(
                id=trace_id,
                experiment=number,
                started_at=START,
                state=state,
                name="answer",
                duration_ms=12,
                request="Why?",
                tags={"env": "prod"},
                assessments=[judged],
            )
            workspace.service(Traces).record("default", told)
        workspace.service(Traces).keep_spans("default", SpanBatch(experiment=numbers[0], spans=spans()))

    def call(*arguments: str, code: int = 0) -> str:
        assert main(list(arguments)) == code
        captured = capsys.readouterr()
        return captured.out + captured.err

    return call


def spans() -> list[Span]:
    """Make a root that looks something up and asks a model, which fails."""
    given = [
        (1, None, "root", SpanStatus.OK),
        (2, 1, "look up", SpanStatus.OK),
        (3, 2, "read a page", SpanStatus.OK),
        (4, 1, "ask a model", SpanStatus.ERROR),
    ]
    return [
        Span(
            trace_id=OK,
            id=f"{at:016x}",
            parent=None if parent is None else f"{parent:016x}",
            name=name,
            status=status,
            started_ns=START_NS + at,
            ended_ns=START_NS + 2_500_000,
        )
        for at, parent, name, status in given
    ]


def listed(command: Command, *arguments: str) -> list[str]:
    return [each["id"] for each in json.loads(command("traces", "list", *arguments, "--json"))["items"]]


def test_traces_of_the_whole_project_are_listed(command: Command) -> None:
    """Or those of one experiment, or those that a filter finds, in the order asked for."""
    assert listed(command, "--order-by", "request_id DESC") == [FAILED, OK]
    assert listed(command, "--experiment", "chat") == [OK]
    assert listed(command, "--filter", "status = 'ERROR'") == [FAILED]
    assert listed(command, "--limit", "1", "--order-by", "request_id") == [OK]
    assert "Why?" in command("traces", "list")


def test_what_cannot_be_listed_is_an_error_with_its_mend(command: Command) -> None:
    """An experiment that is not there, and a filter that cannot be read."""
    assert "`nope`" in command("traces", "list", "-e", "nope", code=1)
    assert "nonsense" in command("traces", "list", "-f", "nonsense", code=2)


def test_a_trace_is_shown_with_its_spans_below_their_parents(command: Command) -> None:
    """Each is set in by how deep it lies; tags and assessments follow."""
    shown = command("traces", "show", OK)
    names = [line for line in shown.splitlines() if "root" in line or "page" in line or "model" in line]

    assert [each.lstrip().split("  ")[0] for each in names] == ["root", "read a page", "ask a model"]
    assert [len(each) - len(each.lstrip()) for each in names] == [1, 5, 3]
    assert "env" in shown
    assert "as asked" in shown


def test_a_trace_is_shown_as_json(command: Command) -> None:
    """With all its spans."""
    shown = json.loads(command("traces", "show", OK, "--json"))

    assert (shown["name"], shown["state"], shown["duration_ms"]) == ("answer", "OK", 12)
    assert [each["name"] for each in shown["spans"]] == ["root", "look up", "read a page", "ask a model"]
    assert "no trace" in command("traces", "show", "tr-0", code=1)
