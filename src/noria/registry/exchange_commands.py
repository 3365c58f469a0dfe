"""`noria models push`, `pull`, `export` and `import`: models from one workspace or tool to another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from noria.core.console.options import JsonFlag, ProjectOption, WorkspaceOption, opened
from noria.core.console.output import show

if TYPE_CHECKING:
    from noria.registry.exchange import Moved

_RefArgument = Annotated[str, typer.Argument(help="`model`, `model@version` or `model@alias`.")]
_NameOption = Annotated[str | None, typer.Option("--name", help="Model there; the same name when left out.")]
_TokenOption = Annotated[
    str, typer.Option("--token-env", metavar="VARIABLE", help="Variable with the other server's token.")
]


def push(
    ref: _RefArgument,
    to: Annotated[str, typer.Option("--to", metavar="DIR|URL", help="Workspace to move it to.")],
    to_project: Annotated[
        str | None, typer.Option("--to-project", metavar="NAME", help="Project there.")
    ] = None,
    name: _NameOption = None,
    alias: Annotated[str | None, typer.Option("--alias", help="To point at the version there.")] = None,
    token_variable: _TokenOption = "NORIA_TOKEN",  # noqa: S107 - the name of a variable
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Move a version's files by their digest to another workspace, and register them there."""
    from noria.core.workspace import open_workspace
    from noria.registry.exchange import move_version, other_workspace

    with opened(workspace, project) as ws:
        settings = other_workspace(to, project=to_project or ws.project, token_variable=token_variable)
        with open_workspace(settings, send_left=False) as target:
            moved = move_version(ws, ref, target, name=name, alias=alias)
    show(moved, json=json, render=_told)


def pull(
    ref: _RefArgument,
    source: Annotated[str, typer.Option("--from", metavar="DIR|URL", help="Workspace to fetch it from.")],
    from_project: Annotated[
        str | None, typer.Option("--from-project", metavar="NAME", help="Project there.")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Model here; the same name when left out.")
    ] = None,
    alias: Annotated[str | None, typer.Option("--alias", help="To point at the version here.")] = None,
    token_variable: _TokenOption = "NORIA_TOKEN",  # noqa: S107 - the name of a variable
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Fetch a version's files by their digest from another workspace, and register them here."""
    from noria.core.workspace import open_workspace
    from noria.registry.exchange import move_version, other_workspace

    with opened(workspace, project) as ws:
        settings = other_workspace(source, project=from_project or ws.project, token_variable=token_variable)
        with open_workspace(settings, send_left=False) as other:
            moved = move_version(other, ref, ws, name=name, alias=alias)
    show(moved, json=json, render=_told)


def _told(moved: Moved) -> str:
    version = moved.version
    place = f"`{version.ref}` in the project `{version.project}`"
    if moved.was_there:
        told = f"{place} holds these very files already: {version.digest}"
    else:
        told = f"{place} is there: {version.digest} ({moved.n_sent} files sent, {_size(moved.sent_bytes)})"
    if version.pickled and version.consent is None:
        told += f"\nLoading it runs code that it holds; let it there: noria models consent {version.ref}"
    return told


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:.1f} MB" if n_bytes >= 1e6 else f"{n_bytes / 1e3:.1f} kB"
