"""`noria jobs` and `noria worker`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from noria.core.console.options import JsonFlag, LimitOption, ProjectOption, WorkspaceOption, opened
from noria.core.console.output import facts, print_json, show, table
from noria.pipelines.job_entities import JobStatus

if TYPE_CHECKING:
    from noria.pipelines.job_entities import Job

jobs = typer.Typer(no_args_is_help=True, help="Jobs that workers run")
worker = typer.Typer(add_completion=False, help="Start a worker that runs jobs")

_FOLLOW_S = 0.3

JobArgument = Annotated[str, typer.Argument(metavar="ID", help="Id of the job.")]


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
    columns = ["id", "entry", "queue", "status", "attempt", "submitted", "ended"]
    rows = [(j.id, j.entry, j.queue, j.status, j.attempt, j.created_at, j.ended_at) for j in page.items]
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
    queues: Annotated[
        list[str] | None,
        typer.Option("--queue", metavar="NAME", help="Only jobs of this queue.", show_default="all"),
    ] = None,
    capacity: Annotated[
        int, typer.Option("--capacity", min=1, max=64, help="How many jobs it runs at once.")
    ] = 1,
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
    working = Worker(
        Server(settings, SystemClock()),
        environ=os.environ,
        projects=projects,
        queues=queues,
        capacity=capacity,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: working.stop())
    end_with_parent(parent_fd)
    working.run()


def _job_facts(job: Job) -> Any:
    pairs: list[tuple[str, object]] = [
        ("job", job.id),
        ("entry", job.entry),
        ("queue", job.queue),
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
