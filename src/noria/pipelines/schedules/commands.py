"""`noria schedules`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from noria.core.console.options import JsonFlag, LimitOption, ProjectOption, WorkspaceOption, YesFlag, opened
from noria.core.console.output import cell, facts, say, show, table

if TYPE_CHECKING:
    from datetime import datetime

    from noria.core.workspace import Workspace
    from noria.pipelines.schedules.entities import (
        AppliedSchedules,
        Backfill,
        Hook,
        Schedule,
        SchedulePage,
        ScheduleRun,
        ScheduleRunPage,
    )

schedules = typer.Typer(
    no_args_is_help=True, help="Pipelines that run by the clock or after something happened"
)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the schedule.")]

_LOOK_S = 0.3


@schedules.command("apply")
def apply_schedules(
    prune: Annotated[bool, typer.Option("--prune", help="Remove those that are not declared.")] = False,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Take over the schedules of `noria.toml`, with the code as it is now."""
    from noria.core.errors import Invalid
    from noria.pipelines.schedules.binding import apply_declared
    from noria.pipelines.schedules.entities import ScheduleSection

    with opened(workspace, project) as ws:
        if not prune and not ws.settings.entries("schedules", ScheduleSection):
            raise Invalid(
                "`noria.toml` declares no schedule",
                hint="Write `[[schedules]]` with `name`, `run` and `cron`; `--prune` removes those there are",
            )
        applied = apply_declared(ws, prune=prune)
        _say_without_server(ws)
    show(applied, json=json, render=_applied_table)


@schedules.command("list")
def list_schedules(
    json: JsonFlag = False, workspace: WorkspaceOption = None, project: ProjectOption = None
) -> None:
    """List schedules with what comes next."""
    from noria.pipelines.schedules.service import Schedules

    with opened(workspace, project) as ws:
        page = ws.service(Schedules).list(ws.project)
    show(page, json=json, render=_schedules_table)


@schedules.command("show")
def show_schedule(
    name: NameArgument,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Show one schedule."""
    from noria.pipelines.schedules.service import Schedules

    with opened(workspace, project) as ws:
        found = ws.service(Schedules).get(ws.project, name)
    show(found, json=json, render=_schedule_facts)


@schedules.command("pause")
def pause_schedule(
    name: NameArgument,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Start nothing until the schedule is resumed; what runs goes on."""
    from noria.pipelines.schedules.service import Schedules

    with opened(workspace, project) as ws:
        found = ws.service(Schedules).pause(ws.project, name)
    show(found, json=json, render=_schedule_facts)


@schedules.command("resume")
def resume_schedule(
    name: NameArgument,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Go on from the interval of the present."""
    from noria.pipelines.schedules.service import Schedules

    with opened(workspace, project) as ws:
        found = ws.service(Schedules).resume(ws.project, name)
    show(found, json=json, render=_schedule_facts)


@schedules.command("remove")
def remove_schedule(
    name: NameArgument,
    yes: YesFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Remove a schedule; its runs stay on record."""
    from noria.pipelines.schedules.service import Schedules

    if not yes:
        typer.confirm(f"Remove the schedule {name}?", abort=True, err=True)
    with opened(workspace, project) as ws:
        ws.service(Schedules).delete(ws.project, name)
    say(f"The schedule {name} is gone")


@schedules.command("run")
def run_schedule(
    name: NameArgument,
    interval: Annotated[
        str | None,
        typer.Option(
            "--interval",
            metavar="TIME",
            help="Once more for the interval of this time.",
            show_default="the one that ended last",
        ),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the end; fail if it fails.")] = False,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Run a schedule now."""
    from noria.pipelines.schedules.entities import RunState
    from noria.pipelines.schedules.service import Schedules

    with opened(workspace, project) as ws:
        service = ws.service(Schedules)
        moment = _moment(ws, name, interval) if interval else None
        found = service.run(ws.project, name, interval=moment)
        _say_without_server(ws)
        while wait and not found.state.ended:
            ws.clock.sleep(_LOOK_S)
            found = _again(ws, found)
    show(found, json=json, render=_run_facts)
    if wait and found.state is not RunState.SUCCEEDED:
        raise typer.Exit(1)


@schedules.command("backfill")
def backfill_schedule(
    name: NameArgument,
    start: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", help="Intervals that begin from then on.", show_default=False),
    ] = None,
    end: Annotated[
        str | None,
        typer.Option("--to", metavar="TIME", help="Intervals that end by then.", show_default="now"),
    ] = None,
    at_once: Annotated[int, typer.Option("--at-once", min=1, max=16, help="How many run at once.")] = 1,
    again: Annotated[bool, typer.Option("--again", help="Those that succeeded, too.")] = False,
    stop: Annotated[
        str | None,
        typer.Option("--stop", metavar="ID", help="End this backfill instead.", show_default=False),
    ] = None,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Run intervals of the past that have not succeeded."""
    from noria.core.errors import Invalid
    from noria.pipelines.schedules.entities import NewBackfill
    from noria.pipelines.schedules.service import Schedules

    with opened(workspace, project) as ws:
        service = ws.service(Schedules)
        if stop is not None:
            found = service.stop_backfill(ws.project, name, stop)
        elif start is None:
            raise Invalid("A backfill needs a beginning", hint="Give `--from 2026-01-01`")
        else:
            until = _moment(ws, name, end) if end else ws.clock.now()
            new = NewBackfill(start=_moment(ws, name, start), end=until, at_once=at_once, again=again)
            found = service.backfill(ws.project, name, new)
            _say_without_server(ws)
    show(found, json=json, render=_backfill_facts)


@schedules.command("history")
def show_history(
    name: NameArgument,
    state: Annotated[
        str | None, typer.Option("--state", help="Only `failed`, `skipped`, …", show_default=False)
    ] = None,
    backfill: Annotated[
        str | None,
        typer.Option("--backfill", metavar="ID", help="Only of this backfill.", show_default=False),
    ] = None,
    limit: LimitOption = 20,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """List the runs of a schedule, newest first."""
    from noria.pipelines.schedules.service import Schedules

    with opened(workspace, project) as ws:
        page = ws.service(Schedules).history(
            ws.project, name, state=_state(state), backfill=backfill, limit=limit
        )
    show(page, json=json, render=_history_table)


@schedules.command("hook")
def show_hook(
    name: NameArgument,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Show the address that starts a schedule, and the secrets of its calls and notices."""
    from noria.pipelines.schedules.service import Schedules

    with opened(workspace, project) as ws:
        hook = ws.service(Schedules).hook(ws.project, name)
    show(hook, json=json, render=_hook_facts)


def _state(text: str | None) -> Any:
    from noria.core.errors import Invalid
    from noria.pipelines.schedules.entities import RunState

    if text is None or text in list(RunState):
        return None if text is None else RunState(text)
    raise Invalid(f"`{text}` is not a state of a run", hint=f"There are {', '.join(RunState)}")


def _moment(ws: Workspace, name: str, text: str) -> datetime:
    """Read a time; without an offset it is one of the schedule's time zone."""
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from noria.core.errors import Invalid
    from noria.pipelines.schedules.service import Schedules

    zone = ws.service(Schedules).get(ws.project, name).spec.timezone
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise Invalid(f"`{text}` is not a time", hint="Write `2026-01-31` or `2026-01-31T03:00`") from error
    return found if found.tzinfo else found.replace(tzinfo=ZoneInfo(zone))


def _again(ws: Workspace, run: ScheduleRun) -> ScheduleRun:
    from noria.pipelines.schedules.service import Schedules

    page = ws.service(Schedules).history(ws.project, run.schedule, limit=1000)
    return next((found for found in page.items if found.id == run.id), run)


def _say_without_server(ws: Workspace) -> None:
    from noria.core.workspace import InProcess

    if isinstance(ws.backend, InProcess):
        say("No server runs on this workspace; schedules run when one does: `noria up`")


def _applied_table(applied: AppliedSchedules) -> Any:
    rows = [(item.name, item.change, item.snapshot, item.next_due) for item in applied.items]
    return table(["schedule", "change", "code", "next"], rows)


def _schedules_table(page: SchedulePage) -> Any:
    rows = [
        (found.name, found.status.value, _when(found), found.spec.run, found.next_due, found.failing_since)
        for found in page.items
    ]
    return table(["schedule", "status", "when", "run", "next", "failing since"], rows)


def _when(found: Schedule) -> str:
    spec = found.spec
    parts = []
    if spec.cron is not None:
        parts.append(f"{spec.cron} {spec.timezone}")
    if spec.every_s is not None:
        parts.append(f"every {spec.every_s} s")
    if spec.on is not None:
        from noria.core.serialisation import to_builtins

        given = to_builtins(spec.on)
        parts.append(
            "on " + " ".join(f"{key} {value}" if value is not True else key for key, value in given.items())
        )
    return ", ".join(parts)


def _schedule_facts(found: Schedule) -> Any:
    spec = found.spec
    return facts(
        [
            ("schedule", found.name),
            ("project", found.project),
            ("status", found.status.value),
            ("when", _when(found)),
            ("run", spec.run),
            ("params", [f"{key}={value}" for key, value in spec.params.items()]),
            ("code", found.snapshot),
            ("applied by", found.applied_by),
            ("applied", found.applied_at),
            ("next", found.next_due),
            ("catch-up", spec.catchup),
            ("overlap", spec.overlap.value),
            ("queue", spec.queue),
            ("notify", spec.notify),
            ("failing since", found.failing_since),
            ("failures since", found.n_failures),
        ]
    )


def _run_facts(run: ScheduleRun) -> Any:
    return facts(
        [
            ("run", run.id),
            ("schedule", run.schedule),
            ("why", run.cause.value),
            ("state", run.state.value),
            ("attempt", run.attempt),
            ("interval", [run.interval_start, run.interval_end] if run.interval_start else None),
            ("job", run.job_id),
            ("reason", run.reason),
        ]
    )


def _backfill_facts(found: Backfill) -> Any:
    counts = ", ".join(f"{count} {state}" for state, count in sorted(found.counts.items()))
    return facts(
        [
            ("backfill", found.id),
            ("schedule", found.schedule),
            ("from", found.start),
            ("to", found.end),
            ("at once", found.at_once),
            ("runs", counts or "none: every interval has a run already"),
            ("stopped", found.stopped_at),
        ]
    )


def _history_table(page: ScheduleRunPage) -> Any:
    columns = ["interval", "why", "state", "attempt", "began", "ended", "job", "reason"]
    rows = [
        (
            _what(run),
            run.cause.value,
            run.state.value,
            run.attempt,
            run.started_at,
            run.ended_at,
            run.job_id,
            run.reason,
        )
        for run in page.items
    ]
    return table(columns, rows)


def _what(run: ScheduleRun) -> object:
    if run.cause.value == "missed":
        return f"{cell(run.interval_start)} to {cell(run.interval_end)}"
    return run.interval_start or run.details.get("subject") or run.key


def _hook_facts(hook: Hook) -> Any:
    return facts([("path", hook.path), ("secret", hook.secret), ("secret of notices", hook.notice_secret)])
