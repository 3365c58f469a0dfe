"""`noria models`, with the command that gives a version something to be compared with."""

from __future__ import annotations

from typing import Annotated

import typer

from noria.core.console.options import JsonFlag, ProjectOption, WorkspaceOption, opened
from noria.monitoring.tasks.commands import add_to
from noria.registry.commands import models

__all__ = ["models"]


@models.command("profile")
def profile(
    ref: Annotated[str, typer.Argument(metavar="MODEL@VERSION", help="Version that has no reference.")],
    data: Annotated[
        str, typer.Option("--data", metavar="DATASET", help="Data like that it was trained on: `sales@3`.")
    ],
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Have a version's traffic compared with a data set, where it was registered without a sample."""
    from noria.core.console.output import print_json, say
    from noria.monitoring.profiles import add_reference
    from noria.registry.service import Models

    with opened(workspace, project) as ws:
        found = ws.service(Models).resolve(ws.project, ref)
        tagged, columns = add_reference(ws, found.model, found.version, data)
    if json:
        print_json({"version": tagged, "columns": columns})
    else:
        say(
            f"Traffic of {tagged.ref} is compared with {tagged.tags['noria.reference']} in {len(columns)} columns"
        )


add_to(models)
