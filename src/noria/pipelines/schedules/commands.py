"""`noria schedules`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from noria.core.console.options import JsonFlag, LimitOption, ProjectOption, WorkspaceOption, YesFlag, opened
from noria.core.console.output import say, show
from noria.pipelines.schedules.rendering import (
    applied_table,
    backfill_facts,
    history_table,
    hook_facts,
    revisions_table,
    run_facts,
    schedule_facts,
    schedules_table,
)

if TYPE_CHECKING:
    from datetime import datetime

    from noria.core.workspace import Workspace
    from noria.pipelines.schedules.entities import AppliedSchedules, ScheduleRun

schedules = typer.Typer(
    no_args_is_help=True, help="Pipelines that run by the clock or after something happened"
)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the schedule.")]

_LOOK_S = 0.3


@schedules.command("apply")
def apply_schedules(
    prune: Annotated[bool, typer.Option("--prune", help="Remove those that are not declared.")] = False,
    unpin: Annotated[
        list[str] | None,
        typer.Option(
            "--unpin",
            metavar="NAME",
            help="A pinned one that is to run this from now on.",
            show_default=False,
        ),
    ] = None,
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
        applied = apply_declared(ws, prune=prune, unpin=unpin or ())
        _say_pinned(applied)
        _say_without_server(ws)
    show(applied, json=json, render=applied_table)


@schedules.command("list")
def list_schedules(
    json: JsonFlag = False, workspace: WorkspaceOption = None, project: ProjectOption = None
) -> None:
    """List schedules with what comes next."""
    from noria.pipelines.schedules.service import Schedules

    with opened(workspace, project) as ws:
        page = ws.service(Schedules).list(ws.project)
    show(page, json=json, render=schedules_table)


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
    show(found, json=json, render=schedule_facts)


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
    show(found, json=json, render=schedule_facts)


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
    show(found, json=json, render=schedule_facts)


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
    show(found, json=json, render=run_facts)
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
    show(found, json=json, render=backfill_facts)


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
    show(page, json=json, render=history_table)


@schedules.command("revisions")
def list_revisions(
    name: NameArgument,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """List what was applied to a schedule, newest first."""
    from noria.pipelines.schedules.service import Schedules

    with opened(workspace, project) as ws:
        found = ws.service(Schedules).revisions(ws.project, name)
    show(found, json=json, render=revisions_table)


@schedules.command("pin")
def pin_schedule(
    name: NameArgument,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="REVISION|RUN",
            help="A revision, or a run of the schedule or its pipeline, whose revision is meant.",
            show_default="the one before",
        ),
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why, for the record.", show_default=False)] = "",
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Run an earlier revision, code and declaration, until the schedule is unpinned."""
    from noria.pipelines.schedules.revision_entities import PinSchedule
    from noria.pipelines.schedules.service import Schedules

    with opened(workspace, project) as ws:
        found = ws.service(Schedules).pin(ws.project, name, PinSchedule(to=to, reason=reason))
    show(found, json=json, render=schedule_facts)


@schedules.command("unpin")
def unpin_schedule(
    name: NameArgument,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Run what was applied last again."""
    from noria.pipelines.schedules.service import Schedules

    with opened(workspace, project) as ws:
        found = ws.service(Schedules).unpin(ws.project, name)
    show(found, json=json, render=schedule_facts)


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
    show(hook, json=json, render=hook_facts)


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


def _say_pinned(applied: AppliedSchedules) -> None:
    for item in applied.items:
        if item.change == "pinned":
            say(
                f"`{item.name}` is pinned: it goes on with revision {item.revision}, and this is kept as revision "
                f"{item.newest}; `noria schedules unpin {item.name}` runs it"
            )
