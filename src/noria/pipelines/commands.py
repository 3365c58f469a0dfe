"""`noria run`, `noria pipelines`, `noria jobs` and `noria worker`."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from noria.core.console.options import JsonFlag, LimitOption, ProjectOption, WorkspaceOption, opened
from noria.core.console.output import facts, print_json, say, show, stdout, table
from noria.pipelines.job_entities import JobStatus

if TYPE_CHECKING:
    from noria.core.errors import Failed
    from noria.core.workspace import Workspace
    from noria.pipelines.entities import PipelineRun, StepReport
    from noria.pipelines.job_entities import Job
    from noria.pipelines.runner import PipelineResult

run = typer.Typer(add_completion=False, help="Run a pipeline")
pipelines = typer.Typer(no_args_is_help=True, help="Pipelines and their runs")
jobs = typer.Typer(no_args_is_help=True, help="Jobs that workers run")
worker = typer.Typer(add_completion=False, help="Start a worker that runs jobs")

_FOLLOW_S = 0.3

RunArgument = Annotated[str, typer.Argument(metavar="ID", help="Id of the run.")]
JobArgument = Annotated[str, typer.Argument(metavar="ID", help="Id of the job.")]


@run.command()
def run_command(
    target: Annotated[
        str, typer.Argument(metavar="MODULE:PIPELINE", help="Pipeline to run; also `path/file.py:pipeline`.")
    ],
    params: Annotated[
        list[str] | None,
        typer.Option("--param", "-p", metavar="KEY=VALUE", help="A parameter.", show_default=False),
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Say why each step ran or did not.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Run every step, whatever is known.")] = False,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Run a pipeline."""
    from pathlib import Path

    from noria.core.errors import Failed
    from noria.pipelines.loading import load_pipeline
    from noria.pipelines.parameters import parse_assignments
    from noria.pipelines.runner import run_pipeline

    # What the steps print is words to the person who runs them; with `--json`, stdout is for the data alone.
    around = contextlib.redirect_stdout(sys.stderr) if json else contextlib.nullcontext()
    with opened(workspace, project) as ws, around:
        loaded = load_pipeline(target, root=ws.settings.project_root, folder=Path.cwd())
        values = parse_assignments(loaded.pipeline.name, loaded.pipeline.parameters, params or [])
        progress = _Lines(explain=explain)
        try:
            result = run_pipeline(
                ws, loaded.pipeline, values, force=force, source=loaded.source, progress=progress
            )
        except Failed as error:
            _say_traceback(error)
            raise
        answer = _answer(result)
    if json:
        print_json(answer)
    else:
        _print_outputs(answer)


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


@jobs.command("list")
def list_jobs(
    status: Annotated[
        JobStatus | None, typer.Option("--status", help="Only with this status.", show_default=False)
    ] = None,
    limit: LimitOption = 20,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """List jobs, newest first."""
    from noria.pipelines.service import Jobs

    with opened(workspace, project) as ws:
        page = ws.service(Jobs).list(ws.project, status=status, limit=limit)
    columns = ["id", "entry", "status", "attempt", "submitted", "ended"]
    rows = [(j.id, j.entry, j.status, j.attempt, j.created_at, j.ended_at) for j in page.items]
    show(page, json=json, render=lambda _: table(columns, rows))


@jobs.command("show")
def show_job(
    job_id: JobArgument,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Show one job."""
    from noria.pipelines.service import Jobs

    with opened(workspace, project) as ws:
        found = ws.service(Jobs).get(ws.project, job_id)
    show(found, json=json, render=_job_facts)


@jobs.command("logs")
def show_logs(
    job_id: JobArgument,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job has ended.")] = False,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Print what a job wrote."""
    from noria.pipelines.service import Jobs

    with opened(workspace, project) as ws:
        service, after = ws.service(Jobs), 0
        while True:
            ended = service.get(ws.project, job_id).status.ended
            page = service.logs(ws.project, job_id, after=after)
            for line in page.items:
                print_json(line) if json else sys.stdout.write(f"{line.text}\n")
            after = page.next
            if page.items:
                continue
            if ended or not follow:
                return
            ws.clock.sleep(_FOLLOW_S)


@jobs.command("cancel")
def cancel_job(
    job_id: JobArgument,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Cancel a job."""
    from noria.pipelines.service import Jobs

    with opened(workspace, project) as ws:
        found = ws.service(Jobs).cancel(ws.project, job_id)
    show(found, json=json, render=_job_facts)


@worker.command()
def worker_command(
    workspace: WorkspaceOption = None,
    projects: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="PROJECT", help="Only jobs of this project.", show_default=False),
    ] = None,
    parent_fd: Annotated[int | None, typer.Option("--parent-fd", hidden=True)] = None,
) -> None:
    """Start a worker that runs jobs."""
    import os
    import signal

    from noria.core.clock import SystemClock
    from noria.core.config import load_settings
    from noria.core.lifeline import end_with_parent
    from noria.core.logs import configure_logging
    from noria.pipelines.worker import Server, Worker

    configure_logging()
    settings = load_settings(workspace=workspace)
    working = Worker(Server(settings, SystemClock()), environ=os.environ, projects=projects)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: working.stop())
    end_with_parent(parent_fd)
    working.run()


class _Lines:
    """Tells a person on stderr what the steps do, a line each."""

    def __init__(self, *, explain: bool) -> None:
        self._explain = explain
        self._transient = sys.stderr.isatty()

    def started(self, name: str, position: int) -> None:
        """Show which step runs, until it has ended."""
        if self._transient:
            sys.stderr.write(f"\r{position + 1:>4}  {name}  …")
            sys.stderr.flush()

    def ended(self, report: StepReport) -> None:
        """Say how a step ended."""
        start = "\r\x1b[K" if self._transient else ""
        because = f"  {report.reason}" if self._explain else ""
        line = f"{report.position + 1:>4}  {report.name:<24}  {report.status:<8}  {report.duration_s:7.3f} s"
        sys.stderr.write(f"{start}{line}{because}\n")


def _say_traceback(error: Failed) -> None:
    text = error.details.get("traceback")
    if text:
        say(str(text))


def _answer(result: PipelineResult) -> dict[str, Any]:
    from noria.pipelines.jobs_entry import describe_outputs

    return {
        "run_id": result.run_id,
        "status": result.status,
        "outputs": describe_outputs(result),
        "steps": result.steps,
        "snapshot": result.snapshot,
    }


def _print_outputs(answer: dict[str, Any]) -> None:
    for name, output in answer["outputs"].items():
        shown = output["value"] if "value" in output else f"{output['codec']} {output['digest']}"
        sys.stdout.write(f"{name}  {shown}\n")
    sys.stdout.flush()
    reused = sum(step.status == "reused" for step in answer["steps"])
    say(f"run {answer['run_id']} {answer['status']}: {len(answer['steps'])} steps, {reused} reused")


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


def _job_facts(job: Job) -> Any:
    pairs: list[tuple[str, object]] = [
        ("job", job.id),
        ("entry", job.entry),
        ("status", job.status),
        ("attempt", f"{job.attempt} of {job.max_attempts}"),
        ("worker", job.claimed_by),
        ("submitted by", job.submitted_by),
        ("submitted", job.created_at),
        ("started", job.started_at),
        ("ended", job.ended_at),
        ("result", job.result),
        ("error", job.error.message if job.error else None),
    ]
    return facts(pairs)
