"""The pages of pipelines: the list, the runs of one, and a run with its graph and its steps."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from markupsafe import Markup

from noria.core.web.formats import Formats, clipped
from noria.core.web.languages import Language, mark, translations
from noria.core.web.lists import ListContext, keyset_pager
from noria.core.web.pages import Crumb, Page, PageContext, Visit
from noria.core.web.parts import Column, Pager, Tab
from noria.core.web.retelling import Sentence
from noria.core.web.urls import PIPELINE_PATH, PIPELINE_RUN_PATH, PIPELINES_PATH
from noria.data.pages import number_of
from noria.pipelines.drawing import Wording, draw
from noria.pipelines.entities import PipelineRun, StepReport, StepStatus
from noria.pipelines.graph import graph_of_run
from noria.pipelines.graph_svg import shapes
from noria.pipelines.page_reads import PipelinePages
from noria.pipelines.permissions import READ_PIPELINES
from noria.pipelines.reason_sentences import retelling
from noria.pipelines.schedules.permissions import READ_SCHEDULES
from noria.pipelines.service import PipelineRuns
from noria.tracking.entities import RunStatus
from noria.tracking.permissions import READ_RUNS
from noria.tracking.run_signs import SIGNS, Sign

PIPELINES_PER_PAGE: Final = 50
RUNS_PER_PAGE: Final = 50
STEPS_PER_PAGE: Final = 100
MOST_DRAWN: Final = 400
"""Steps of a graph; those of a map are one box, but each has to be read."""

PIPELINES_WORDS = mark("Pipelines")
SCHEDULES_WORDS = mark("Schedules")
_RETURNED = mark("returned as %(name)s")

STEP_SIGNS = {
    StepStatus.FINISHED: Sign("good", "✓", mark("finished")),
    StepStatus.REUSED: Sign("busy", "↺", mark("reused")),
    StepStatus.FAILED: Sign("bad", "✕", mark("failed")),
}

_BEAT_S: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineRunRow:
    """A run of a pipeline, as a table shows it.

    Attributes
    ----------
    run_id, url
        Id and page.
    sign
        How it stands.
    duration_s
        Until its end, or until now.
    n_steps, n_reused, n_failed
        Steps so far.
    """

    run_id: str
    url: str
    sign: Sign
    started_at: datetime
    duration_s: float
    n_steps: int
    n_reused: int
    n_failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineRow:
    """A pipeline in the list.

    Attributes
    ----------
    name, url
        `module:name`, and its page.
    n_runs, last
        How many runs there are, and the newest.
    """

    name: str
    url: str
    n_runs: int
    last: PipelineRunRow


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelinesContext(ListContext):
    """What the list of pipelines shows.

    Attributes
    ----------
    tabs
        The lists of the section.
    pipelines
        In the order of their names.
    """

    tabs: tuple[Tab, ...]
    pipelines: tuple[PipelineRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineContext(ListContext):
    """What the page of a pipeline shows.

    Attributes
    ----------
    name
        `module:name`.
    runs
        Newest first.
    """

    name: str
    runs: tuple[PipelineRunRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphView:
    """A run's graph as SVG.

    Attributes
    ----------
    shapes
        Elements, escaped.
    links
        The lines in words.
    """

    width: float
    height: float
    shapes: Markup
    links: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRow:
    """A step of a run; `name` says in which nested pipeline it was called, and of which item of a map it is."""

    position: int
    name: str
    step: str
    sign: Sign
    reason: Sentence
    attempts: int
    duration_s: float
    error: Sentence | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineRunContext(PageContext):
    """What the page of a run shows.

    Attributes
    ----------
    now
        When it was read.
    pipeline, pipeline_url
        Of which pipeline it is a run, and the page of that.
    run
        The run.
    run_url
        Of the tracked run; None for who may not read it.
    error
        What it raised; None where it did not.
    outputs
        Name and codec of what it returned.
    graph
        None while no step has ended.
    is_cut
        Whether there are more steps than the graph has.
    columns, steps, pager
        The steps in their order, and the place in their list.
    """

    now: datetime
    pipeline: str
    pipeline_url: str
    run: PipelineRunRow
    run_url: str | None
    error: Sentence | None
    outputs: tuple[tuple[str, str], ...]
    graph: GraphView | None
    is_cut: bool
    columns: tuple[Column, ...]
    steps: tuple[StepRow, ...]
    pager: Pager


def pipelines_page(visit: Visit) -> PipelinesContext:
    """List the pipelines that have run."""
    project, after = visit.parameters["project"], visit.parameters.get("after", "")
    found, following = visit.context.service(PipelinePages).list(
        project, limit=PIPELINES_PER_PAGE, after=after
    )
    return PipelinesContext(
        live=True,
        trail=(Crumb(text=PIPELINES_WORDS, is_ours=True),),
        now=visit.context.clock.now(),
        tabs=section_tabs(visit, project, is_schedules=False),
        columns=_PIPELINE_COLUMNS,
        pipelines=tuple(
            PipelineRow(
                name=each.last.pipeline,
                url=visit.urls.pipeline(project, each.last.pipeline),
                n_runs=each.n_runs,
                last=_run_row(visit, each.last),
            )
            for each in found
        ),
        pager=keyset_pager(
            lambda key: visit.urls.pipelines(project, after=key),
            here=after,
            following=following,
            n_shown=len(found),
        ),
    )


def pipeline_page(visit: Visit) -> PipelineContext:
    """List the runs of a pipeline."""
    project, name = visit.parameters["project"], visit.parameters["pipeline"]
    before = visit.parameters.get("before")
    page = visit.context.service(PipelineRuns).list(
        project, pipeline=name, limit=RUNS_PER_PAGE, before=before
    )
    return PipelineContext(
        live=True,
        trail=(pipelines_crumb(visit, project), Crumb(text=name)),
        now=visit.context.clock.now(),
        name=name,
        columns=_RUN_COLUMNS,
        runs=tuple(_run_row(visit, run) for run in page.items),
        pager=keyset_pager(
            lambda key: visit.urls.pipeline(project, name, before=key),
            here=before,
            following=page.next,
            n_shown=len(page.items),
            total=visit.context.service(PipelinePages).n_runs(project, name),
        ),
    )


def pipeline_run_page(visit: Visit) -> PipelineRunContext:
    """Show a run with its graph and its steps."""
    project, run_id = visit.parameters["project"], visit.parameters["pipeline_run"]
    after = number_of(visit, "after")
    runs = visit.context.service(PipelineRuns)
    run = runs.get(project, run_id)
    drawn = runs.steps(project, run_id, limit=MOST_DRAWN)
    steps = runs.steps(project, run_id, limit=STEPS_PER_PAGE, after=-1 if after is None else after)
    may_see_run = visit.context.principal.may(READ_RUNS, project)
    pipeline_url = visit.urls.pipeline(project, run.pipeline)
    return PipelineRunContext(
        live=run.status is RunStatus.RUNNING,
        beat_s=_BEAT_S,
        trail=(
            pipelines_crumb(visit, project),
            Crumb(text=run.pipeline, url=pipeline_url),
            Crumb(text=run.run_id[:8]),
        ),
        now=visit.context.clock.now(),
        pipeline=run.pipeline,
        pipeline_url=pipeline_url,
        run=_run_row(visit, run),
        run_url=visit.urls.run(project, run_id) if may_see_run else None,
        error=retelling.find(run.error.message) if run.error else None,
        outputs=tuple((name, stored.codec) for name, stored in run.outputs.items()),
        graph=_graph(run, drawn.items, visit.language) if drawn.items else None,
        is_cut=drawn.next is not None,
        columns=_STEP_COLUMNS,
        steps=tuple(map(_step_row, steps.items)),
        pager=keyset_pager(
            lambda key: visit.urls.pipeline_run(project, run_id, after=key),
            here=after,
            following=steps.next,
            n_shown=len(steps.items),
            total=run.n_steps,
        ),
    )


def pipelines_crumb(visit: Visit, project: str) -> Crumb:
    """Give the step of the way that is the list of pipelines."""
    return Crumb(text=PIPELINES_WORDS, url=visit.urls.pipelines(project), is_ours=True)


def section_tabs(visit: Visit, project: str, *, is_schedules: bool) -> tuple[Tab, ...]:
    """Give the two lists of the section; one that the reader may not see is left out."""
    may = visit.context.principal.may
    pipelines = Tab(words=PIPELINES_WORDS, url=visit.urls.pipelines(project), is_current=not is_schedules)
    schedules = Tab(words=SCHEDULES_WORDS, url=visit.urls.schedules(project), is_current=is_schedules)
    return tuple(
        tab
        for tab, needs in ((pipelines, READ_PIPELINES), (schedules, READ_SCHEDULES))
        if may(needs, project)
    )


def _run_row(visit: Visit, run: PipelineRun) -> PipelineRunRow:
    until = run.ended_at or visit.context.clock.now()
    return PipelineRunRow(
        run_id=run.run_id,
        url=visit.urls.pipeline_run(visit.parameters["project"], run.run_id),
        sign=SIGNS[run.status],
        started_at=run.started_at,
        duration_s=max(0.0, (until - run.started_at).total_seconds()),
        n_steps=run.n_steps,
        n_reused=run.n_reused,
        n_failed=run.n_failed,
    )


def _graph(run: PipelineRun, steps: list[StepReport], language: Language) -> GraphView:
    words = translations(language).gettext
    wording = Wording(
        words=words,
        seconds=Formats(language).brief_duration,
        returned=lambda name: words(_RETURNED) % {"name": name},
    )
    drawing = draw(graph_of_run(run, steps), wording)
    return GraphView(
        width=round(drawing.width, 1),
        height=round(drawing.height, 1),
        shapes=Markup(shapes(drawing)),  # noqa: S704 - every text in it is escaped where it is written
        links=tuple(line.text for line in drawing.lines),
    )


def _step_row(step: StepReport) -> StepRow:
    item = "" if step.item is None else f"[{step.item}]"
    within = f"{step.group}/" if step.group else ""
    return StepRow(
        position=step.position,
        name=clipped(f"{within}{step.name}{item}"),
        step=step.step,
        sign=STEP_SIGNS[step.status],
        reason=retelling.find(step.reason),
        attempts=step.attempts,
        duration_s=step.duration_s,
        error=retelling.find(step.error.message) if step.error else None,
    )


_STATE = mark("State")
_STARTED = mark("Started")
_DURATION = mark("Duration")
_STEPS = mark("Steps")
_REUSED = mark("Reused")

_PIPELINE_COLUMNS = (
    Column(key="pipeline", words=mark("Pipeline")),
    Column(key="state", words=mark("Last run")),
    Column(key="started", words=_STARTED),
    Column(key="duration", words=_DURATION, is_number=True),
    Column(key="steps", words=_STEPS, is_number=True),
    Column(key="runs", words=mark("Runs"), is_number=True),
)
_RUN_COLUMNS = (
    Column(key="run", words=mark("Run")),
    Column(key="state", words=_STATE),
    Column(key="started", words=_STARTED),
    Column(key="duration", words=_DURATION, is_number=True),
    Column(key="steps", words=_STEPS, is_number=True),
    Column(key="reused", words=_REUSED, is_number=True),
    Column(key="failed", words=mark("Failed"), is_number=True),
)
_STEP_COLUMNS = (
    Column(key="step", words=mark("Step")),
    Column(key="state", words=_STATE),
    Column(key="duration", words=_DURATION, is_number=True),
    Column(key="attempts", words=mark("Attempts"), is_number=True),
    Column(key="reason", words=mark("Why")),
)

PAGES = (
    Page(
        path=PIPELINES_PATH,
        needs=READ_PIPELINES,
        template="noria.pipelines/pipelines.html",
        build=pipelines_page,
        query=("after",),
    ),
    Page(
        path=PIPELINE_PATH,
        needs=READ_PIPELINES,
        template="noria.pipelines/pipeline.html",
        build=pipeline_page,
        query=("before",),
    ),
    Page(
        path=PIPELINE_RUN_PATH,
        needs=READ_PIPELINES,
        template="noria.pipelines/pipeline_run.html",
        build=pipeline_run_page,
        query=("after",),
    ),
)
