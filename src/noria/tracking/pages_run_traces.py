"""The traces that a run made."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from noria.core.web.languages import mark
from noria.core.web.pages import Page, Visit
from noria.core.web.parts import Pager
from noria.tracking.pages_run_frame import RunContext, read_run, run_frame, run_path
from noria.tracking.service import Runs
from noria.tracking.traces.entities import Trace, TraceSearch, TraceState
from noria.tracking.traces.permissions import READ_TRACES
from noria.tracking.traces.service import Traces

PER_PAGE = 50
_CLIP = 300

STATES = {
    TraceState.OK: ("good", "✓", mark("ok")),
    TraceState.ERROR: ("bad", "✕", mark("error")),
    TraceState.IN_PROGRESS: ("busy", "…", mark("under way")),
    TraceState.UNSPECIFIED: ("none", "?", mark("unknown")),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceRow:
    """What a program did in one request.

    Attributes
    ----------
    state, sign, words
        How it ended.
    request, response
        The beginning of what went in and came out.
    n_tokens
        Read and written by language models; None when nobody told.
    """

    id: str
    name: str
    state: str
    sign: str
    words: str
    started_at: datetime
    duration_s: float | None
    request: str
    response: str
    n_tokens: int | None
    n_spans: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TracesContext(RunContext):
    """What the page of a run's traces shows.

    Attributes
    ----------
    traces
        Newest first.
    pager
        The place of the page in the list.
    """

    traces: tuple[TraceRow, ...]
    pager: Pager


def traces(visit: Visit) -> TracesContext:
    """Gather the traces that name the run as their source."""
    run = read_run(visit)
    after = visit.parameters.get("after")
    number = visit.context.service(Runs).locate(run.id).experiment_number
    page = visit.context.service(Traces).search(
        TraceSearch(experiments=[number], filter=f"run_id = '{run.id}'", limit=PER_PAGE, after=after)
    )
    urls = visit.urls
    return TracesContext(
        **run_frame(visit, run, "traces"),
        traces=tuple(_row(each) for each in page.items),
        pager=Pager(
            first=urls.run(run.project, run.id, "traces") if after else None,
            following=urls.run(run.project, run.id, "traces", after=page.next) if page.next else None,
            n_shown=len(page.items),
        ),
    )


def _row(trace: Trace) -> TraceRow:
    state, sign, words = STATES[trace.state]
    return TraceRow(
        id=trace.id,
        name=trace.name or "",
        state=state,
        sign=sign,
        words=words,
        started_at=trace.started_at,
        duration_s=None if trace.duration_ms is None else trace.duration_ms / 1000,
        request=(trace.request or "")[:_CLIP],
        response=(trace.response or "")[:_CLIP],
        n_tokens=trace.usage.total_tokens,
        n_spans=trace.n_spans,
    )


PAGES = (
    Page(
        path=run_path("traces"),
        needs=READ_TRACES,
        template="noria.tracking/run_traces.html",
        build=traces,
        query=("after",),
    ),
)
