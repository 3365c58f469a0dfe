"""`noria image`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from noria.core.console.options import JsonFlag, ProjectOption, WorkspaceOption, opened
from noria.core.console.output import facts, say, show

if TYPE_CHECKING:
    from noria.delivery.images.contexts import Context

image = typer.Typer(no_args_is_help=True, help="Folders that images are built from")

OutOption = Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Folder to write.")]
WheelsOption = Annotated[
    Path | None,
    typer.Option(
        "--wheels",
        metavar="FOLDER",
        help="Wheels to put into it, for builds without an index.",
        show_default=False,
    ),
]


@image.command("base")
def write_base_context(
    out: OutOption,
    python: Annotated[
        str | None,
        typer.Option(
            "--python",
            metavar="IMAGE",
            help="Image with Python to stand on.",
            show_default="python:3.11-slim",
        ),
    ] = None,
    extras: Annotated[
        list[str] | None,
        typer.Option(
            "--extra",
            metavar="NAME",
            help="Extra of Noria; may be repeated.",
            show_default="fast, postgres, s3, tables",
        ),
    ] = None,
    wheels: WheelsOption = None,
    json: JsonFlag = False,
) -> None:
    """Write the folder that the base of all images is built from."""
    from noria.delivery.images import containerfiles
    from noria.delivery.images.contexts import write_base
    from noria.delivery.images.reading import read_extras, read_image

    made = write_base(
        out,
        python=read_image("--python", python or containerfiles.PYTHON_IMAGE),
        extras=read_extras(extras or containerfiles.EXTRAS),
        wheels=wheels,
    )
    say(f"Build it with `podman build -t {containerfiles.BASE_IMAGE} {out}`")
    show(made, json=json, render=_facts)


@image.command("context")
def write_model_context(
    wanted: Annotated[
        str, typer.Argument(metavar="MODEL@VERSION|ENDPOINT|PACKAGE", help="What the image shall serve.")
    ],
    out: OutOption,
    base: Annotated[
        str | None,
        typer.Option(
            "--base",
            metavar="IMAGE",
            help="Image that it stands on.",
            show_default="what `noria image base` is built as",
        ),
    ] = None,
    endpoint: Annotated[
        str | None,
        typer.Option(
            "--endpoint", metavar="NAME", help="Name that it answers under.", show_default="the model's name"
        ),
    ] = None,
    wheels: WheelsOption = None,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Write the folder that the image of a model is built from."""
    from noria.core.names import check_name
    from noria.delivery.images.choosing import choose_package
    from noria.delivery.images.containerfiles import BASE_IMAGE
    from noria.delivery.images.contexts import write_model
    from noria.delivery.images.reading import read_image, tag_of

    chosen_base = read_image("--base", base or BASE_IMAGE)
    if endpoint is not None:
        check_name("endpoint", endpoint)
    with opened(workspace, project) as ws:
        package, served = choose_package(ws, wanted, say=say)
        made = write_model(ws, package, out, base=chosen_base, endpoint=endpoint or served, wheels=wheels)
    say(f"Build it with `podman build -t {tag_of(made.ref or '')} {out}`")
    show(made, json=json, render=_facts)


def _facts(made: Context) -> Any:
    return facts(
        [
            ("folder", made.folder),
            *([("serves", made.ref), ("as", made.endpoint), ("package", made.package)] if made.ref else []),
            ("stands on", made.base),
            ("wheels", made.n_wheels),
        ]
    )
