"""`noria data`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from noria.core.console.options import JsonFlag, LimitOption, ProjectOption, WorkspaceOption, opened
from noria.core.console.output import facts, show, table
from noria.data import looking_commands, table_commands
from noria.data.remotes import commands as remote_commands
from noria.data.trees import commands as tree_commands

if TYPE_CHECKING:
    from noria.data.entities import DatasetVersion

data = typer.Typer(no_args_is_help=True, help="Versions of data sets")
tree_commands.register(data)
remote_commands.register(data)
table_commands.register(data)
looking_commands.register(data)


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
