"""`noria traces`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from noria.core.console.options import JsonFlag, LimitOption, ProjectOption, WorkspaceOption, opened
from noria.core.console.output import facts, show, table
from noria.tracking.traces.conventions import SPAN_TYPE

if TYPE_CHECKING:
    from noria.core.workspace import Workspace
    from noria.tracking.traces.assessment_entities import Assessment
    from noria.tracking.traces.entities import Span, Trace

traces = typer.Typer(no_args_is_help=True, help="Traces, their spans and assessments")

_PAGE = 1_000
_SHOWN_CHARS = 60
_NS_IN_MS = 1_000_000


@traces.callback()
def _traces() -> None:
    """Traces, their spans and assessments."""


@traces.command("list")
def list_traces(
    experiment: Annotated[
        str | None, typer.Option("--experiment", "-e", help="Only of this experiment.", show_default=False)
    ] = None,
    filter_: Annotated[
        str,
        typer.Option(
            "--filter",
            "-f",
            help="Only those that it matches, such as `status = 'ERROR'`.",
            show_default=False,
        ),
    ] = "",
    order_by: Annotated[
        list[str] | None,
        typer.Option("--order-by", "-o", help="Such as `execution_time DESC`.", show_default="newest first"),
    ] = None,
    limit: LimitOption = 20,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """List traces, newest first."""
    from noria.tracking.traces.entities import TraceSearch
    from noria.tracking.traces.service import Traces

    with opened(workspace, project) as ws:
        wanted = TraceSearch(
            experiments=list(_numbers(ws, experiment)), filter=filter_, order_by=order_by or [], limit=limit
        )
        page = ws.service(Traces).search(wanted)
    columns = ["id", "name", "experiment", "state", "started", "ms", "request"]
    rows = [
        (t.id, t.name, t.experiment, t.state, t.started_at, t.duration_ms, _short(t.request))
        for t in page.items
    ]
    show(page, json=json, render=lambda _: table(columns, rows))


@traces.command("show")
def show_trace(
    trace_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the trace.")],
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Show one trace: what went in and came out, its spans, tags and assessments."""
    from noria.tracking.traces.service import Traces

    with opened(workspace, project) as ws:
        found = ws.service(Traces).get(ws.project, trace_id)
    show(found, json=json, render=_story)


def _numbers(workspace: Workspace, experiment: str | None) -> Iterator[int]:
    """Give the numbers of the experiments to look in: one, or all of the project."""
    from noria.tracking.service import Experiments

    service = workspace.service(Experiments)
    if experiment is not None:
        yield service.get(workspace.project, experiment).number
        return
    before: int | None = None
    while True:
        page = service.list(workspace.project, limit=_PAGE, before=before)
        yield from (each.number for each in page.items)
        before = page.next
        if before is None:
            return


def _story(trace: Trace) -> Any:
    from rich.console import Group

    named = {**trace.metadata, **trace.tags}
    return Group(
        _facts_of(trace),
        *([_spans_table(trace.spans)] if trace.spans else []),
        *([table(["tag or metadata", "value"], sorted(named.items()))] if named else []),
        *([_assessments_table(trace.assessments)] if trace.assessments else []),
    )


def _facts_of(trace: Trace) -> Any:
    return facts(
        [
            ("trace", trace.id),
            ("name", trace.name),
            ("experiment", trace.experiment),
            ("state", trace.state),
            ("started", trace.started_at),
            ("milliseconds", trace.duration_ms),
            ("client's id", trace.client_request_id),
            ("session", trace.session),
            ("tokens", trace.usage.total_tokens),
            ("cost in USD", trace.cost.total_cost),
            ("request", trace.request),
            ("response", trace.response),
        ]
    )


def _spans_table(spans: Sequence[Span]) -> Any:
    rows = [
        (
            "  " * depth + span.name,
            span.attributes.get(SPAN_TYPE),
            span.status,
            _length_ms(span),
            span.message,
        )
        for depth, span in tree(spans)
    ]
    return table(["span", "type", "status", "ms", "message"], rows)


def tree(spans: Sequence[Span]) -> Iterator[tuple[int, Span]]:
    """Give spans with how deep they lie, each after its parent; those without one that is there are roots."""
    known = {span.id for span in spans}
    below: dict[str | None, list[Span]] = {}
    for span in spans:
        below.setdefault(span.parent if span.parent in known else None, []).append(span)
    waiting = [(0, span) for span in reversed(below.pop(None, []))]
    while waiting:
        depth, span = waiting.pop()
        yield depth, span
        waiting += [(depth + 1, child) for child in reversed(below.pop(span.id, []))]
    for circle in below.values():  # spans that are each other's parents hang below no root
        yield from ((0, span) for span in circle)


def _assessments_table(assessments: Sequence[Assessment]) -> Any:
    rows = [
        (each.name, each.kind, each.value, each.source_id or each.source, each.valid, each.rationale)
        for each in assessments
    ]
    return table(["assessment", "kind", "value", "by", "valid", "why"], rows)


def _length_ms(span: Span) -> float | None:
    return None if span.ended_ns is None else (span.ended_ns - span.started_ns) / _NS_IN_MS


def _short(text: str | None) -> str | None:
    return text if text is None or len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 1] + "…"
