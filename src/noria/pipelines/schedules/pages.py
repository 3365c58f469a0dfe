"""The pages of schedules: the list, and one with its history."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from noria.core.errors import Invalid
from noria.core.web.languages import mark
from noria.core.web.lists import ListContext, keyset_pager
from noria.core.web.pages import Crumb, Page, Visit
from noria.core.web.parts import Column, Tab
from noria.core.web.retelling import Sentence
from noria.core.web.urls import SCHEDULE_PATH, SCHEDULES_PATH
from noria.pipelines.pages import SCHEDULES_WORDS, pipelines_crumb, section_tabs
from noria.pipelines.permissions import READ_PIPELINES
from noria.pipelines.reason_sentences import retelling
from noria.pipelines.schedules.entities import (
    Cause,
    Overlap,
    RunState,
    Schedule,
    ScheduleRun,
    ScheduleSection,
    ScheduleStatus,
    Trigger,
)
from noria.pipelines.schedules.page_reads import ListedSchedule, SchedulePages
from noria.pipelines.schedules.permissions import APPLY_SCHEDULES, READ_SCHEDULES, RUN_SCHEDULES
from noria.pipelines.schedules.revision_entities import ScheduleRevision
from noria.pipelines.schedules.service import Schedules
from noria.tracking.run_signs import Sign

SCHEDULES_PER_PAGE: Final = 50
RUNS_PER_PAGE: Final = 50
REVISIONS_SHOWN: Final = 10

RUN_SIGNS = {
    RunState.WAITING: Sign("none", "○", mark("waiting")),
    RunState.RUNNING: Sign("busy", "…", mark("running")),
    RunState.SUCCEEDED: Sign("good", "✓", mark("succeeded")),
    RunState.FAILED: Sign("bad", "✕", mark("failed")),
    RunState.CANCELLED: Sign("look", "!", mark("cancelled")),
    RunState.SKIPPED: Sign("none", "–", mark("skipped")),
}
CAUSE_WORDS = {
    Cause.INTERVAL: mark("by the clock"),
    Cause.MISSED: mark("passed over"),
    Cause.BACKFILL: mark("backfill"),
    Cause.MANUAL: mark("by hand"),
    Cause.EVENT: mark("after an event"),
    Cause.WEBHOOK: mark("webhook"),
}
OVERLAP_WORDS = {
    Overlap.SKIP: mark("the later run is skipped"),
    Overlap.QUEUE: mark("the later run waits"),
    Overlap.CANCEL: mark("the earlier run is cancelled"),
    Overlap.ALLOW: mark("both run"),
}
_PAUSED = Sign("look", "‖", mark("paused"))
_FAILING = Sign("bad", "✕", mark("failing"))
_ACTIVE = Sign("good", "✓", mark("active"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """When a schedule runs: each part is None where it does not apply.

    Attributes
    ----------
    cron, timezone
        Five fields, and where they are read.
    every_s
        Seconds.
    after, after_what
        What starts it besides, in words to be translated, and its name.
    """

    cron: str | None
    timezone: str
    every_s: int | None
    after: str | None
    after_what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleRow:
    """A schedule in the list.

    Attributes
    ----------
    name, url
        Its name and page.
    pipeline
        What it runs.
    sign
        How it stands.
    timing, next_due
        When it runs, and when next; None where nobody can know.
    last
        Its newest run.
    """

    name: str
    url: str
    pipeline: str
    sign: Sign
    timing: Timing
    next_due: datetime | None
    last: ScheduleRunRow | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleRunRow:
    """A run of a schedule.

    Attributes
    ----------
    sign, cause
        How it stands and why it is, in words to be translated.
    attempt
        How often people asked for it.
    interval_start, interval_end
        The data interval; None where it has none.
    duration_s
        None until it has ended.
    reason
        Why it was skipped or failed; None where nobody said.
    run_url
        The page of the pipeline's run; None where there is none.
    """

    id: str
    sign: Sign
    cause: str
    attempt: int
    interval_start: datetime | None
    interval_end: datetime | None
    created_at: datetime
    duration_s: float | None
    reason: Sentence | None
    run_url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulesContext(ListContext):
    """What the list of schedules shows.

    Attributes
    ----------
    tabs
        The lists of the section.
    schedules
        In the order of their names.
    """

    tabs: tuple[Tab, ...]
    schedules: tuple[ScheduleRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleContext(ListContext):
    """What the page of a schedule shows.

    Attributes
    ----------
    schedule
        As it is kept.
    sign, timing
        How it stands, and when it runs.
    pipeline_url
        The page of what it runs.
    is_paused
        Whether it starts nothing by itself.
    may_run, may_pin
        Whether the reader may pause, resume and run it here, and pin it; who may not is told the command.
    revision_columns, revisions
        What was applied last, newest first.
    overlap
        What becomes of a run whose predecessor has not ended, in words to be translated.
    states
        The kinds of runs that the history can be narrowed to.
    runs
        Newest first.
    """

    schedule: Schedule
    sign: Sign
    timing: Timing
    overlap: str
    pipeline_url: str
    is_paused: bool
    may_run: bool
    may_pin: bool
    revision_columns: tuple[Column, ...]
    revisions: tuple[ScheduleRevision, ...]
    states: tuple[Tab, ...]
    runs: tuple[ScheduleRunRow, ...]


def schedules_page(visit: Visit) -> SchedulesContext:
    """List schedules with their last runs."""
    project, after = visit.parameters["project"], visit.parameters.get("after", "")
    found, following = visit.context.service(SchedulePages).list(
        project, limit=SCHEDULES_PER_PAGE, after=after
    )
    return SchedulesContext(
        live=True,
        trail=(Crumb(text=SCHEDULES_WORDS, is_ours=True),),
        now=visit.context.clock.now(),
        tabs=section_tabs(visit, project, is_schedules=True),
        columns=_SCHEDULE_COLUMNS,
        schedules=tuple(_schedule_row(visit, each) for each in found),
        pager=keyset_pager(
            lambda key: visit.urls.schedules(project, after=key),
            here=after,
            following=following,
            n_shown=len(found),
        ),
    )


def schedule_page(visit: Visit) -> ScheduleContext:
    """Show a schedule with its history."""
    project, name = visit.parameters["project"], visit.parameters["schedule"]
    before, state = visit.parameters.get("before"), _state(visit)
    service, urls = visit.context.service(Schedules), visit.urls
    schedule = service.get(project, name)
    page = service.history(project, name, state=state, limit=RUNS_PER_PAGE, before=before)
    wanted = state and str(state)
    return ScheduleContext(
        live=True,
        trail=(
            pipelines_crumb(visit, project),
            Crumb(text=SCHEDULES_WORDS, url=urls.schedules(project), is_ours=True),
            Crumb(text=name),
        ),
        now=visit.context.clock.now(),
        columns=_RUN_COLUMNS,
        schedule=schedule,
        sign=_schedule_sign(schedule),
        timing=_timing(schedule.spec),
        overlap=OVERLAP_WORDS[schedule.spec.overlap],
        pipeline_url=urls.pipeline(project, schedule.spec.run),
        is_paused=schedule.status is ScheduleStatus.PAUSED,
        may_run=visit.context.principal.may(RUN_SCHEDULES, project),
        may_pin=visit.context.principal.may(APPLY_SCHEDULES, project),
        revision_columns=_REVISION_COLUMNS,
        revisions=tuple(service.revisions(project, name).items[:REVISIONS_SHOWN]),
        states=_state_tabs(visit, project, name, state),
        runs=_run_rows(visit, project, page.items),
        pager=keyset_pager(
            lambda key: urls.schedule(project, name, state=wanted, before=key),
            here=before,
            following=page.next,
            n_shown=len(page.items),
        ),
    )


def _state(visit: Visit) -> RunState | None:
    given = visit.parameters.get("state")
    if given is None:
        return None
    if given not in set(RunState):
        listed = ", ".join(f"`{state}`" for state in RunState)
        raise Invalid(f"`{given[:100]}` is not a state of a run", hint=f"Choose {listed}")
    return RunState(given)


def _state_tabs(visit: Visit, project: str, name: str, chosen: RunState | None) -> tuple[Tab, ...]:
    every = Tab(words=mark("All"), url=visit.urls.schedule(project, name), is_current=chosen is None)
    return every, *(
        Tab(
            words=RUN_SIGNS[state].words,
            url=visit.urls.schedule(project, name, state=str(state)),
            is_current=state is chosen,
        )
        for state in RunState
    )


def _schedule_row(visit: Visit, listed: ListedSchedule) -> ScheduleRow:
    schedule = listed.schedule
    return ScheduleRow(
        name=schedule.name,
        url=visit.urls.schedule(schedule.project, schedule.name),
        pipeline=schedule.spec.run,
        sign=_schedule_sign(schedule),
        timing=_timing(schedule.spec),
        next_due=schedule.next_due if schedule.status is ScheduleStatus.ACTIVE else None,
        last=_run_row(listed.last, None) if listed.last else None,
    )


def _schedule_sign(schedule: Schedule) -> Sign:
    if schedule.status is ScheduleStatus.PAUSED:
        return _PAUSED
    return _FAILING if schedule.failing_since else _ACTIVE


def _timing(spec: ScheduleSection) -> Timing:
    after, what = _trigger(spec.on) if spec.on else (None, "")
    return Timing(cron=spec.cron, timezone=spec.timezone, every_s=spec.every_s, after=after, after_what=what)


def _trigger(on: Trigger) -> tuple[str, str]:
    if on.dataset:
        return mark("after each new version of the data set"), on.dataset
    if on.event:
        return mark("after each event"), f"{on.event} {on.subject}" if on.subject else on.event
    if on.alert:
        return mark("after each alert of the endpoint"), on.alert
    if on.schedule:
        return mark("after each run that succeeded of the schedule"), on.schedule
    return mark("after each signed call of its webhook"), ""


def _run_rows(visit: Visit, project: str, runs: list[ScheduleRun]) -> tuple[ScheduleRunRow, ...]:
    job_ids = [run.job_id for run in runs if run.job_id]
    may_see = visit.context.principal.may(READ_PIPELINES, project)
    made = visit.context.service(SchedulePages).pipeline_runs(project, job_ids) if may_see else {}
    return tuple(
        _run_row(run, visit.urls.pipeline_run(project, made[run.job_id]) if run.job_id in made else None)
        for run in runs
    )


def _run_row(run: ScheduleRun, url: str | None) -> ScheduleRunRow:
    lasted = (run.ended_at - run.started_at).total_seconds() if run.started_at and run.ended_at else None
    return ScheduleRunRow(
        id=run.id,
        sign=RUN_SIGNS[run.state],
        cause=CAUSE_WORDS[run.cause],
        attempt=run.attempt,
        interval_start=run.interval_start,
        interval_end=run.interval_end,
        created_at=run.created_at,
        duration_s=lasted,
        reason=retelling.find(run.reason) if run.reason else None,
        run_url=url,
    )


_STATE = mark("State")

_SCHEDULE_COLUMNS = (
    Column(key="schedule", words=mark("Schedule")),
    Column(key="state", words=_STATE),
    Column(key="when", words=mark("Runs")),
    Column(key="next", words=mark("Next")),
    Column(key="last", words=mark("Last run")),
)
_RUN_COLUMNS = (
    Column(key="at", words=mark("When")),
    Column(key="state", words=_STATE),
    Column(key="cause", words=mark("Why")),
    Column(key="interval", words=mark("Interval")),
    Column(key="duration", words=mark("Duration"), is_number=True),
    Column(key="attempt", words=mark("Attempt"), is_number=True),
    Column(key="reason", words=mark("Message")),
)
_REVISION_COLUMNS = (
    Column(key="revision", words=mark("Revision")),
    Column(key="at", words=mark("Applied")),
    Column(key="by", words=mark("Applied by")),
    Column(key="code", words=mark("Code")),
    Column(key="pin", words=mark("What runs")),
)

PAGES = (
    Page(
        path=SCHEDULES_PATH,
        needs=READ_SCHEDULES,
        template="noria.pipelines/schedules.html",
        build=schedules_page,
        query=("after",),
    ),
    Page(
        path=SCHEDULE_PATH,
        needs=READ_SCHEDULES,
        template="noria.pipelines/schedule.html",
        build=schedule_page,
        query=("before", "state"),
    ),
)
