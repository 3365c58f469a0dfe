"""`noria data`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from noria.core.console.options import JsonFlag, LimitOption, ProjectOption, WorkspaceOption, opened
from noria.core.console.output import facts, print_json, say, show, table
from noria.data import table_commands

if TYPE_CHECKING:
    from noria.core.workspace import Workspace
    from noria.data.entities import DatasetVersion

data = typer.Typer(no_args_is_help=True, help="Versions of data sets")


@data.command("add")
def add(
    path: Annotated[Path, typer.Argument(help="File or folder; `.npy` and `.npz` are stored as arrays.")],
    name: Annotated[str, typer.Option("--name", help="Dataset to add a version to; made at first use.")],
    message: Annotated[str, typer.Option("--message", "-m", help="What changed.")] = "",
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Store a file or folder as the next version of a dataset."""
    from noria.data.client import dataset

    with opened(workspace, project) as ws:
        before = _latest(ws, name)
        added = dataset(name, workspace=ws).add(path, message=message)
    show(added, json=json, render=version_facts)
    if added.version == before and not json:
        say(f"Nothing changed since {added.ref}")


@data.command("list")
def list_datasets(
    limit: LimitOption = 100,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """List datasets."""
    from noria.data.service import Datasets

    with opened(workspace, project) as ws:
        page = ws.service(Datasets).list(ws.project, limit=limit)
    show(
        page,
        json=json,
        render=lambda p: table(
            ["name", "latest", "created"], [(d.name, d.latest, d.created_at) for d in p.items]
        ),
    )


@data.command("log")
def log(
    name: Annotated[str, typer.Argument(help="Dataset.")],
    limit: LimitOption = 50,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """List the versions of a dataset, newest first."""
    from noria.data.service import Datasets

    with opened(workspace, project) as ws:
        page = ws.service(Datasets).log(ws.project, name, limit=limit)
    rows = [
        (v.version, v.created_at, v.author, v.n_rows, v.n_files, v.size_bytes, v.message) for v in page.items
    ]
    columns = ["version", "created", "author", "rows", "files", "bytes", "message"]
    show(page, json=json, render=lambda _: table(columns, rows))


@data.command("show")
def show_version(
    ref: Annotated[str, typer.Argument(help="`name` or `name@version`.")],
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Show one version and the profile of its columns."""
    from noria.data.service import Datasets

    with opened(workspace, project) as ws:
        version = ws.service(Datasets).resolve(ws.project, ref)
    show(version, json=json, render=version_facts)
    if version.profile and not json:
        show(version.profile["columns"], json=False, render=profile_table)


@data.command("checkout")
def checkout(
    ref: Annotated[str, typer.Argument(help="`name` or `name@version`.")],
    target: Annotated[Path, typer.Argument(help="Folder to write to.")],
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that are in the way.")
    ] = False,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Write the files of a version below a folder."""
    from noria.data.client import dataset

    with opened(workspace, project) as ws:
        handle = dataset(ref, workspace=ws)
        handle.checkout(target, overwrite=overwrite)
        written = handle.current
    if json:
        print_json({"ref": written.ref, "digest": written.digest, "target": str(target)})
    else:
        say(f"Wrote {written.n_files} files of {written.ref} to {target}")


def version_facts(version: DatasetVersion) -> Any:
    """Lay out one version."""
    return facts(
        [
            ("dataset", version.ref),
            ("digest", version.digest),
            ("kind", version.kind),
            ("rows", version.n_rows),
            ("files", version.n_files),
            ("bytes", version.size_bytes),
            ("author", version.author),
            ("message", version.message),
            ("created", version.created_at),
        ]
    )


def profile_table(columns: dict[str, dict[str, Any]]) -> Any:
    """Lay out the profile of columns."""
    shown = ["kind", "n_missing", "n_distinct", "minimum", "mean", "maximum"]
    headings = ["column", "kind", "missing", "distinct", "least", "mean", "greatest"]
    return table(headings, [[name, *(found.get(key) for key in shown)] for name, found in columns.items()])


def _latest(ws: Workspace, name: str) -> int:
    from noria.core.errors import NotFound
    from noria.data.service import Datasets

    try:
        return ws.service(Datasets).get(ws.project, name).latest
    except NotFound:
        return 0


table_commands.register(data)
