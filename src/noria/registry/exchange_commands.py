"""`noria models push`, `pull`, `export` and `import`: models from one workspace or tool to another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noria.core.console.options import JsonFlag, ProjectOption, WorkspaceOption, opened
from noria.core.console.output import say, show

if TYPE_CHECKING:
    from noria.registry.entities import ModelVersion
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


def export(
    ref: _RefArgument,
    folder: Annotated[Path, typer.Argument(help="Folder to write; made, and empty if it is there.")],
    form: Annotated[str, typer.Option("--format", help="`mlflow` is the one there is.")] = "mlflow",
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Write a version as a folder that another tool loads."""
    from noria.registry.mlflow_folders import export_version

    _check_form(form)
    with opened(workspace, project) as ws:
        version = export_version(ws, ref, folder)
    say(f"`{version.ref}` is in `{folder}`: mlflow.pyfunc.load_model({str(folder)!r})")


def import_(
    folder: Annotated[Path, typer.Argument(help="Folder that another tool saved a model to.")],
    name: Annotated[str, typer.Argument(help="Model to register it as.")],
    form: Annotated[str, typer.Option("--format", help="`mlflow` is the one there is.")] = "mlflow",
    message: Annotated[str, typer.Option("--message", "-m", help="What to say of the version.")] = "",
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Register a folder that another tool saved a model to."""
    from noria.registry.mlflow_folders import import_folder

    _check_form(form)
    with opened(workspace, project) as ws:
        version = import_folder(ws, folder, name, message=message)
    show(version, json=json, render=_registered)


def _check_form(form: str) -> None:
    from noria.core.errors import Invalid

    if form != "mlflow":
        raise Invalid(f"There is no format `{form}` to exchange models in", hint="Write `--format mlflow`")


def _registered(version: ModelVersion) -> str:
    told = f"`{version.ref}` is registered: {version.flavor} in MLflow's format, {version.digest}"
    return told + _needs_consent(version)


def _told(moved: Moved) -> str:
    version = moved.version
    place = f"`{version.ref}` in the project `{version.project}`"
    if moved.was_there:
        told = f"{place} holds these very files already: {version.digest}"
    else:
        told = f"{place} is there: {version.digest} ({moved.n_sent} files sent, {_size(moved.sent_bytes)})"
    return told + _needs_consent(version)


def _needs_consent(version: ModelVersion) -> str:
    if not version.pickled or version.consent is not None:
        return ""
    return f"\nLoading it runs code that it holds; let it: noria models consent {version.ref}"


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:.1f} MB" if n_bytes >= 1e6 else f"{n_bytes / 1e3:.1f} kB"
