"""`noria runs sync`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from noria.core.config import load_settings
from noria.core.console.options import JsonFlag, ProjectOption, WorkspaceOption
from noria.core.console.output import say, show, table
from noria.core.workspace import open_workspace

if TYPE_CHECKING:
    from noria.tracking.sync import SyncReport

_FAILED = 1


def sync_runs(
    discard_refused: Annotated[
        bool, typer.Option("--discard-refused", help="Forget what the service refused, after showing it.")
    ] = False,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Send what runs left in the spool: their process died, or the server did not answer.

    Runs of living processes are left to these. Fails when something could not be sent, or was refused.
    """
    from noria.tracking.sync import sync

    settings = load_settings(workspace=workspace, project=project)
    with open_workspace(settings, send_left=False) as opened:
        report = sync(opened, discard_refused=discard_refused)
    if json or report.sent or report.left or report.refused:
        show(report, json=json, render=_tables)
    else:
        say("Nothing was left to send")
    if not report.is_clean:
        raise typer.Exit(_FAILED)


def _tables(report: SyncReport) -> Any:
    from rich.console import Group

    return Group(
        *([_sent(report)] if report.sent else []),
        *([_left(report)] if report.left else []),
        *([_refused(report)] if report.refused else []),
    )


def _sent(report: SyncReport) -> Any:
    rows = [
        (r.run_id, r.n_points, r.n_params, r.n_tags, r.n_links, r.n_artifacts, r.ended, r.n_damaged or None)
        for r in report.sent
    ]
    return table(["sent", "points", "params", "tags", "links", "artifacts", "ended", "damaged"], rows)


def _left(report: SyncReport) -> Any:
    rows = [
        (r.run_id, r.waiting_bytes, r.reason.message if r.reason else "a living process sends it")
        for r in report.left
    ]
    return table(["left", "bytes", "because"], rows)


def _refused(report: SyncReport) -> Any:
    return table(
        ["refused", "what", "because"], [(r.run_id, r.what, r.error.message) for r in report.refused]
    )
