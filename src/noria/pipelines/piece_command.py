"""`noria pipelines piece`: what the tasks of exported pipelines call."""

from __future__ import annotations

import contextlib
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noria.core.console.options import ProjectOption, WorkspaceOption, opened
from noria.core.console.output import say

if TYPE_CHECKING:
    from noria.core.workspace import Workspace
    from noria.pipelines.loading import LoadedPipeline
    from noria.pipelines.pieces import Piece


def piece(
    target: Annotated[str, typer.Argument(metavar="MODULE:PIPELINE", help="Pipeline.")],
    key: Annotated[str, typer.Option("--run", metavar="KEY", help="The orchestrator's name for the run.")],
    begin: Annotated[bool, typer.Option("--begin", help="Begin the run.")] = False,
    step: Annotated[
        int | None,
        typer.Option("--step", metavar="N", help="Run the step at this position.", show_default=False),
    ] = None,
    end: Annotated[
        bool, typer.Option("--end", help="Keep what the pipeline returns and end the run.")
    ] = False,
    whole: Annotated[bool, typer.Option("--whole", help="Run all of it.")] = False,
    params: Annotated[
        list[str] | None,
        typer.Option("--param", "-p", metavar="KEY=VALUE", help="A parameter.", show_default=False),
    ] = None,
    snapshot: Annotated[
        str | None,
        typer.Option(
            "--snapshot",
            metavar="DIGEST",
            help="Code to run; that of this folder without.",
            show_default=False,
        ),
    ] = None,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Run one task of an exported pipeline."""
    from noria.core.errors import Invalid

    chosen = [
        name
        for name, said in (("begin", begin), ("step", step is not None), ("end", end), ("whole", whole))
        if said
    ]
    if len(chosen) != 1:
        raise Invalid(
            "Say one of `--begin`, `--step N`, `--end` and `--whole`",
            hint="See `noria pipelines piece --help`",
        )
    # Orchestrators end a task by this signal; the run must hear of it.
    signal.signal(signal.SIGTERM, _interrupted)
    with opened(workspace, project, runs=True) as ws, _loaded(ws, target, snapshot) as found:
        made = _piece(ws, found, key, params or [])
        if whole:
            _run_whole(made)
        elif step is not None:
            _run_step(made, step)
        else:
            _begin_or_end(made, begin=begin)


def _begin_or_end(made: Piece, *, begin: bool) -> None:
    from noria.pipelines import pieces

    if begin:
        say(f"run {pieces.begin(made)} begins")
        return
    for name, stored in pieces.end(made).items():
        sys.stdout.write(f"{name}  {stored.codec} {stored.digest}\n")
    say(f"run {made.run_id} finished")


def _run_step(made: Piece, position: int) -> None:
    from noria.core.errors import Failed
    from noria.pipelines.pieces import run_step

    try:
        report = run_step(made, position)
    except Failed as error:
        if error.details.get("traceback"):
            say(str(error.details["traceback"]))
        raise
    say(f"run {made.run_id}: {report.name} {report.status} in {report.duration_s:.3f} s ({report.reason})")


def _run_whole(made: Piece) -> None:
    from noria.pipelines.runner import run_pipeline

    result = run_pipeline(
        made.workspace, made.loaded.pipeline, made.params, source=made.loaded.source, progress=made.progress
    )
    say(f"run {result.run_id} {result.status}")


def _piece(ws: Workspace, found: LoadedPipeline, key: str, params: list[str]) -> Piece:
    from noria.pipelines.parameters import parse_assignments
    from noria.pipelines.pieces import Piece
    from noria.pipelines.steplog import LoggedProgress

    values = parse_assignments(found.pipeline.name, found.pipeline.parameters, params)
    return Piece(workspace=ws, loaded=found, params=values, key=key, progress=LoggedProgress())


@contextlib.contextmanager
def _loaded(ws: Workspace, target: str, snapshot: str | None) -> Iterator[LoadedPipeline]:
    """Load the pipeline out of a snapshot, opened in a folder of its own, or from where we are."""
    from noria.pipelines.loading import load_pipeline
    from noria.pipelines.snapshots import open_snapshot

    if snapshot is None:
        yield load_pipeline(target, root=ws.settings.project_root, folder=Path.cwd())
        return
    with tempfile.TemporaryDirectory(prefix="noria-code-") as folder:
        root = open_snapshot(ws, snapshot, Path(folder) / "code")
        yield load_pipeline(target, root=root, snapshot=snapshot)


def _interrupted(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt("the orchestrator ended this task")
