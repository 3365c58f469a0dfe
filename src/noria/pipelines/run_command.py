"""`noria run`."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from noria.core.console.options import JsonFlag, ProjectOption, WorkspaceOption, opened
from noria.core.console.output import print_json, say

if TYPE_CHECKING:
    from noria.core.errors import Failed
    from noria.core.workspace import Workspace
    from noria.pipelines.entities import StepReport
    from noria.pipelines.runner import PipelineResult

run = typer.Typer(add_completion=False, help="Run a pipeline")


@run.command()
def run_command(
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="MODULE:PIPELINE",
            help="Pipeline to run; also `path/file.py:pipeline`. Left out with `--resume`.",
            show_default=False,
        ),
    ] = None,
    params: Annotated[
        list[str] | None,
        typer.Option("--param", "-p", metavar="KEY=VALUE", help="A parameter.", show_default=False),
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Say why each step ran or did not.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Run every step, whatever is known.")] = False,
    from_steps: Annotated[
        list[str] | None,
        typer.Option(
            "--from", metavar="STEP", help="Run this step and all that depends on it.", show_default=False
        ),
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option("--resume", metavar="RUN", help="Let a killed or failed run go on.", show_default=False),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", metavar="N", help="Run steps in N processes at once.", show_default=False),
    ] = None,
    on: Annotated[
        str | None,
        typer.Option(
            "--on", metavar="CLUSTER", help="Run steps on `dask://…` or `ray://…`.", show_default=False
        ),
    ] = None,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Run a pipeline."""
    from pathlib import Path

    from noria.core.errors import Failed
    from noria.pipelines.executors.choice import ExecutorChoice
    from noria.pipelines.loading import load_pipeline
    from noria.pipelines.parameters import parse_assignments
    from noria.pipelines.runner import run_pipeline

    # What the steps print is words to the person who runs them; with `--json`, stdout is for the data alone.
    around = contextlib.redirect_stdout(sys.stderr) if json else contextlib.nullcontext()
    with opened(workspace, project, runs=True) as ws, around:
        place, given = _asked(ws, target, params or [], resume)
        loaded = load_pipeline(place, root=ws.settings.project_root, folder=Path.cwd())
        values = parse_assignments(loaded.pipeline.name, loaded.pipeline.parameters, given)
        progress = _Lines(explain=explain)
        try:
            with _noticing(ws, loaded.source.target, resume):
                result = run_pipeline(
                    ws,
                    loaded.pipeline,
                    values,
                    force=force,
                    from_steps=from_steps or (),
                    resume=resume,
                    executor=ExecutorChoice(workers=workers, on=on),
                    source=loaded.source,
                    progress=progress,
                )
        except Failed as error:
            _say_traceback(error)
            raise
        answer = _answer(result)
    if json:
        print_json(answer)
    else:
        _print_outputs(answer)


def _noticing(
    workspace: Workspace, pipeline: str, resumed: str | None
) -> contextlib.AbstractContextManager[None]:
    if "notify" not in workspace.settings.sections:
        return contextlib.nullcontext()
    from noria.pipelines.run_notices import noticing

    return noticing(workspace, pipeline, resumed=resumed)


def _asked(
    workspace: Workspace, target: str | None, params: list[str], resume: str | None
) -> tuple[str, list[str]]:
    """Give the pipeline to run and its parameters: those of the run that is to go on, if there is one."""
    from noria.core.errors import Invalid
    from noria.pipelines.service import PipelineRuns
    from noria.tracking.service import Runs

    if resume is None:
        if target is None:
            raise Invalid("Which pipeline to run is missing", hint="noria run MODULE:PIPELINE")
        return target, params
    if params:
        raise Invalid(
            "`--param` and `--resume` exclude each other: a run that goes on keeps its parameters",
            hint="Run the pipeline anew with other parameters; what is unchanged is reused",
        )
    found = workspace.service(PipelineRuns).get(workspace.project, resume)
    kept = workspace.service(Runs).get(workspace.project, resume).params
    return target or found.pipeline, [f"{name}={value}" for name, value in kept.items()]


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
