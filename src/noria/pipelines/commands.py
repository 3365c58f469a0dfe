"""`noria pipelines`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from noria.core.console.options import JsonFlag, LimitOption, ProjectOption, WorkspaceOption, opened
from noria.core.console.output import facts, print_json, show, stdout, table

if TYPE_CHECKING:
    from noria.core.workspace import Workspace
    from noria.pipelines.entities import PipelineRun, StepReport

pipelines = typer.Typer(no_args_is_help=True, help="Pipelines and their runs")

RunArgument = Annotated[str, typer.Argument(metavar="ID", help="Id of the run.")]


@pipelines.command("list")
def list_runs(
    pipeline: Annotated[
        str | None,
        typer.Option("--pipeline", metavar="MODULE:NAME", help="Only of this one.", show_default=False),
    ] = None,
    limit: LimitOption = 20,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """List runs of pipelines, newest first."""
    from noria.pipelines.service import PipelineRuns

    with opened(workspace, project) as ws:
        page = ws.service(PipelineRuns).list(ws.project, pipeline=pipeline, limit=limit)
    columns = ["id", "pipeline", "status", "started", "steps", "reused"]
    rows = [(r.run_id, r.pipeline, r.status, r.started_at, r.n_steps, r.n_reused) for r in page.items]
    show(page, json=json, render=lambda _: table(columns, rows))


@pipelines.command("show")
def show_run(
    run_id: RunArgument,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Show one run: its steps, why each ran or did not, and what it gave."""
    from noria.pipelines.service import PipelineRuns

    with opened(workspace, project) as ws:
        found = ws.service(PipelineRuns).get(ws.project, run_id)
        steps = _all_steps(ws, run_id)
    if json:
        print_json({"run": found, "steps": steps})
    else:
        stdout().print(_story(found, steps))


def _all_steps(ws: Workspace, run_id: str) -> list[StepReport]:
    from noria.pipelines.service import PipelineRuns

    service, found, after = ws.service(PipelineRuns), [], -1
    while True:
        page = service.steps(ws.project, run_id, limit=1000, after=after)
        found += page.items
        if page.next is None:
            return found
        after = page.next


def _story(found: PipelineRun, steps: list[StepReport]) -> Any:
    from rich.console import Group

    pairs: list[tuple[str, object]] = [
        ("run", found.run_id),
        ("pipeline", found.pipeline),
        ("status", found.status),
        ("started", found.started_at),
        ("ended", found.ended_at),
        ("code", found.snapshot),
        ("environment", found.environment),
        *((f"output {name}", stored.digest) for name, stored in found.outputs.items()),
    ]
    if found.error is not None:
        pairs.append(("error", found.error.message))
    rows = [(s.position + 1, s.name, s.status, s.duration_s, s.reason) for s in steps]
    return Group(facts(pairs), table(["", "step", "status", "seconds", "why"], rows))
