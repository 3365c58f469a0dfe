"""Options that every command takes, spelt once.

A command reads::

    @runs.command("list")
    def list_runs(json: JsonFlag = False, workspace: WorkspaceOption = None, project: ProjectOption = None) -> None:
        with opened(workspace, project) as ws:
            page = ws.service(Runs).list(ws.project)
        show(page, json=json, table=runs_table)
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from noria.core.config import AROUND_RUNS, load_settings

if TYPE_CHECKING:
    from noria.core.workspace import Workspace

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON to stdout.")]
WorkspaceOption = Annotated[
    str | None,
    typer.Option("--workspace", "-w", metavar="DIR|URL", help="Workspace to work in.", show_default=False),
]
ProjectOption = Annotated[
    str | None, typer.Option("--project", metavar="NAME", help="Project to work in.", show_default=False)
]
LimitOption = Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="List at most this many.")]
YesFlag = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@contextmanager
def opened(
    workspace: str | None = None, project: str | None = None, *, runs: bool = False
) -> Iterator[Workspace]:
    """Open the workspace that options, environment and `noria.toml` name, for the SDK's calls too.

    Parameters
    ----------
    runs
        Whether the command runs a pipeline, of which others may want to be told.
    """
    from noria.core.workspace import open_workspace, use_workspace

    settings = load_settings(workspace=workspace, project=project)
    with open_workspace(settings) as found, use_workspace(found), ExitStack() as around:
        for name in set(AROUND_RUNS).intersection(settings.sections) if runs else ():
            module, _, attribute = AROUND_RUNS[name].partition(":")
            around.enter_context(getattr(importlib.import_module(module), attribute)(found))
        yield found
