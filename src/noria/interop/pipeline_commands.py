"""`noria pipelines`, with the commands that hand pipelines over to others."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noria.core.console.options import ProjectOption, WorkspaceOption, opened
from noria.core.console.output import say
from noria.pipelines.commands import pipelines
from noria.pipelines.piece_command import piece

if TYPE_CHECKING:
    from noria.pipelines.exporting import ExportedPipeline

__all__ = ["pipelines"]


class Orchestrator(enum.StrEnum):
    """What a pipeline can be exported for."""

    AIRFLOW = "airflow"
    KUBEFLOW = "kubeflow"


@pipelines.command("export")
def export(
    target: Annotated[
        str, typer.Argument(metavar="MODULE:PIPELINE", help="Pipeline; also `path/file.py:pipeline`.")
    ],
    to: Annotated[Orchestrator, typer.Option("--to", help="What reads the file.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="File to write.")],
    params: Annotated[
        list[str] | None,
        typer.Option(
            "--param", "-p", metavar="KEY=VALUE", help="Default of a parameter.", show_default=False
        ),
    ] = None,
    whole: Annotated[bool, typer.Option("--whole", help="Make one task of it.")] = False,
    image: Annotated[
        str | None,
        typer.Option(
            "--image", metavar="NAME", help="Kubeflow: image with `noria` and the project's packages."
        ),
    ] = None,
    secret: Annotated[
        str | None,
        typer.Option("--secret", metavar="NAME", help="Kubeflow: secret whose key `token` is an API token."),
    ] = None,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Write a pipeline as a DAG of Airflow 3 or a pipeline of Kubeflow 2."""
    from noria.core.errors import Invalid
    from noria.pipelines.exporting import describe_pipeline
    from noria.pipelines.loading import load_pipeline
    from noria.pipelines.parameters import parse_assignments

    if to is Orchestrator.AIRFLOW and (image or secret):
        raise Invalid(
            "`--image` and `--secret` are for Kubeflow", hint="Airflow's workers need the command `noria`"
        )
    with opened(workspace, project) as ws:
        loaded = load_pipeline(target, root=ws.settings.project_root, folder=Path.cwd())
        values = parse_assignments(loaded.pipeline.name, loaded.pipeline.parameters, params or [])
        exported = describe_pipeline(ws, loaded, values, orchestrator=to.value, whole=whole)
    text = _text(exported, to, image, secret)
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Invalid(
            f"`{output}` cannot be written: {error.strerror}", hint="Name a file in a folder that exists"
        ) from error
    _tell(exported, output)


def _text(exported: ExportedPipeline, to: Orchestrator, image: str | None, secret: str | None) -> str:
    from noria._version import __version__

    if to is Orchestrator.AIRFLOW:
        from noria.interop.airflow.dag_file import dag_file

        return dag_file(exported)
    from noria.interop.kubeflow.pipeline_file import Containers, pipeline_file

    return pipeline_file(exported, Containers(image=image or f"noria:{__version__}", secret=secret))


def _tell(exported: ExportedPipeline, output: Path) -> None:
    if exported.whole is not None:
        say(f"Wrote `{output}` with one task: {exported.whole}")
    else:
        say(f"Wrote `{output}` with {len(exported.steps)} steps, each a task")
    if exported.workspace.startswith("/"):
        say(
            f"Its tasks report to the folder `{exported.workspace}`: set `NORIA_WORKSPACE` where that is another"
        )


pipelines.command("piece")(piece)
