"""`noria predict` and `noria batches`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Annotated, Any

import typer

from noria.core.console.options import JsonFlag, LimitOption, ProjectOption, WorkspaceOption, opened
from noria.core.console.output import facts, print_json, say, show, table
from noria.serving.batch.batch_commands import batches
from noria.serving.batch.options import (
    AppendFlag,
    BatchOption,
    ChunkOption,
    DuplicatesOption,
    EndpointOption,
    InputOption,
    InputUrlOption,
    KeepOption,
    KeyOption,
    OnceOption,
    OutputOption,
    ProbabilitiesFlag,
    RetryOption,
    SlotOption,
    SubmitFlag,
    UnfitOption,
    WorkersOption,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import RenderableType

    from noria.core.workspace import Workspace
    from noria.serving.batch.entities import BatchRun, BatchRunPage
    from noria.serving.batch.processes import Crew

__all__ = ["batches", "predict"]

predict = typer.Typer(add_completion=False)


@predict.command()
def predict_command(
    ref: Annotated[
        str, typer.Argument(metavar="MODEL[@VERSION]", help="Version or alias; the newest if left out.")
    ],
    source: InputOption,
    output: OutputOption = None,
    key: KeyOption = None,
    keep: KeepOption = None,
    probabilities: ProbabilitiesFlag = False,
    append: AppendFlag = False,
    duplicates: DuplicatesOption = "keep",
    unfit: UnfitOption = "refuse",
    workers: WorkersOption = 1,
    chunk_rows: ChunkOption = None,
    once: OnceOption = None,
    batch: BatchOption = None,
    slot: SlotOption = None,
    endpoint: EndpointOption = None,
    retry_s: RetryOption = 60.0,
    input_url: InputUrlOption = None,
    submit: SubmitFlag = False,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Predict all rows of an input."""
    asked: dict[str, Any] = {
        "ref": ref,
        "input": source,
        "output": output,
        "key": key or [],
        "keep": keep or [],
        "probabilities": probabilities,
        "append": append,
        "duplicates": duplicates,
        "unfit": unfit,
        "workers": workers,
        "chunk_rows": chunk_rows,
        "once": once,
        "batch": batch,
        "slot": slot,
        "endpoint": endpoint,
        "retry_s": retry_s,
    }
    if submit:
        with opened(workspace, project) as ws:
            _submit(ws, {**asked, "input_url": input_url}, json=json)
        return
    with _started(workers) as crew, opened(workspace, project) as ws:
        from noria.serving.batch.client import predict as predict_rows

        with _progress(ref) as progress:
            done = predict_rows(**asked, input_url=input_url, workspace=ws, progress=progress, crew=crew)
    show(done, json=json, render=run_facts)


def _submit(ws: Workspace, asked: dict[str, Any], *, json: bool) -> None:
    from noria.serving.batch.jobs import submit_prediction

    job = submit_prediction(ws, asked)
    if json:
        print_json(job)
    else:
        say(f"Job {job.id} is queued; see `noria jobs show {job.id}`")


def _started(workers: int) -> AbstractContextManager[Crew | None]:
    """Start the processes before anything else: they load for as long as this one does."""
    import os

    from noria.serving.batch.processes import Crew, check_workers

    check_workers(workers)
    return nullcontext() if workers == 1 else Crew(workers, os.environ)


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None] | None]:
    """Give what is told of rows, and show them on stderr when it is a terminal."""
    import sys

    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import Progress

    from noria.core.console.output import stderr

    with Progress(console=stderr(), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda n_done, n_rows: bar.update(task, completed=n_done, total=n_rows or None)


@batches.command("runs")
def list_runs(
    batch: Annotated[
        str | None, typer.Option("--batch", metavar="NAME", help="Only of this batch.", show_default=False)
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", metavar="NAME", help="Only of this model.", show_default=False)
    ] = None,
    status: Annotated[
        str | None,
        typer.Option("--status", help="Only `running`, `succeeded` or `failed` ones.", show_default=False),
    ] = None,
    limit: LimitOption = 50,
    before: Annotated[
        str | None,
        typer.Option("--before", metavar="RUN", help="Go on behind this run.", show_default=False),
    ] = None,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """List batch runs, newest first."""
    from noria.serving.batch.client import one_of
    from noria.serving.batch.entities import BatchStatus
    from noria.serving.batch.service import Batches

    chosen = None if status is None else one_of(BatchStatus, status, "status")
    with opened(workspace, project) as ws:
        page = ws.service(Batches).runs(
            ws.project, batch=batch, model=model, status=chosen, limit=limit, before=before
        )
    show(page, json=json, render=_runs_table)


@batches.command("run")
def show_run(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="Id of the batch run.")],
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Show one batch run."""
    from noria.serving.batch.service import Batches

    with opened(workspace, project) as ws:
        found = ws.service(Batches).run(ws.project, run_id)
    show(found, json=json, render=run_facts)


def run_facts(run: BatchRun) -> RenderableType:
    """Lay out a batch run."""
    pairs: list[tuple[str, object]] = [
        ("run", run.id),
        ("model", run.ref),
        ("status", run.status.value),
        ("batch", run.batch and f"{run.batch} ({run.slot})"),
        ("input", run.input),
        ("output", run.written or run.output),
        ("rows", rows_text(run)),
        ("keys met before", run.n_duplicates),
        ("without prediction", run.n_unfit or None),
        ("rows/s", run.rows_per_s),
        ("engine", run.engine),
        ("processes", run.n_workers),
        ("attempts", run.attempt),
        ("began", run.created_at),
        ("ended", run.ended_at),
        ("error", run.error and run.error.message),
    ]
    return facts(pair for pair in pairs if pair[1] is not None)


def rows_text(run: BatchRun) -> str:
    """Say how many rows are done, of how many."""
    if run.n_rows is None or run.n_done == run.n_rows:
        return f"{run.n_done:,}"
    return f"{run.n_done:,} of {run.n_rows:,}"


def _runs_table(page: BatchRunPage) -> RenderableType:
    return table(
        ("id", "model", "batch", "status", "rows", "input", "output", "began"),
        (
            (
                run.id,
                run.ref,
                run.batch and f"{run.batch} ({run.slot})",
                run.status.value,
                rows_text(run),
                run.input,
                run.written or run.output,
                run.created_at,
            )
            for run in page.items
        ),
    )
