"""`noria import dvc`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from noria.core.console.options import JsonFlag, ProjectOption, WorkspaceOption, opened
from noria.core.console.output import facts, show, stderr, table

if TYPE_CHECKING:
    from noria.interop.dvc.entities import DvcImport

_SHOWN = 50


def import_from_dvc(
    repository: Annotated[Path, typer.Argument(metavar="REPO", help="Folder that holds `.dvc`.")],
    revision: Annotated[
        str | None,
        typer.Option(
            "--rev", help="Branch, tag or commit whose history is brought.", show_default="the present one"
        ),
    ] = None,
    prefix: Annotated[str, typer.Option("--prefix", help="Goes before the names of the datasets.")] = "",
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Bring the files that a DVC repository keeps, with its git history as versions; again, only what is new."""
    from noria.interop.dvc.importing import import_dvc

    console = stderr()
    with opened(workspace, project) as ws, console.status("opening the repository") as status:
        report = import_dvc(ws, repository, revision=revision, prefix=prefix, told=status.update)
    show(report, json=json, render=report_table)


def report_table(report: DvcImport) -> Any:
    """Lay out what an import did."""
    from rich.console import Group

    parts = [
        facts(
            [
                ("from", report.source),
                ("into project", report.project),
                ("commits", report.n_commits),
                ("files", report.n_files),
                ("bytes", report.size_bytes),
                ("skipped", len(report.passed)),
            ]
        ),
        table(
            ["dataset", "path", "new versions", "here already"],
            [(each.name, each.path, len(each.versions), each.n_present) for each in report.datasets],
        ),
    ]
    if report.passed:
        rows = [(each.path, each.commit[:12], each.why) for each in report.passed[:_SHOWN]]
        if len(report.passed) > _SHOWN:
            rows.append(("…", "", f"{len(report.passed) - _SHOWN} more: see `--json`"))
        parts.append(table(["skipped", "commit", "why"], rows))
    return Group(*parts)
