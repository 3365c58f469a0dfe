"""`noria openlineage`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from noria.core.console.options import JsonFlag, WorkspaceOption, opened
from noria.core.console.output import print_json, say

if TYPE_CHECKING:
    from noria.core.context import Context
    from noria.core.workspace import Workspace

openlineage = typer.Typer(no_args_is_help=True, help="Events for a collector of lineage")


@openlineage.callback()
def _openlineage() -> None:
    """Events for a collector of lineage."""


@openlineage.command("send")
def send(json: JsonFlag = False, workspace: WorkspaceOption = None) -> None:
    """Send the events that wait; a server does so by itself."""
    from noria.core.errors import Unavailable
    from noria.interop.openlineage.sending import begin, send_waiting

    with opened(workspace) as ws:
        context = _context(ws)
        begin(context)
        sent = send_waiting(context)
    if json:
        print_json({"n_sent": sent.n_sent, "n_refused": sent.n_refused, "problem": sent.problem})
    else:
        say(f"Sent {sent.n_sent} events" + (f", {sent.n_refused} were refused" if sent.n_refused else ""))
    if sent.problem is not None:
        raise Unavailable(f"Events still wait: {sent.problem}", hint="Try again later")


def _context(ws: Workspace) -> Context:
    from noria.core.errors import Invalid
    from noria.core.workspace import InProcess
    from noria.interop.openlineage.entities import OpenLineageSection

    backend = ws.backend
    if not isinstance(backend, InProcess):
        raise Invalid(
            "This workspace has a server, which sends the events itself",
            hint="Its log says what the collector answered",
        )
    if ws.settings.section("openlineage", OpenLineageSection).url is None:
        raise Invalid(
            "No collector is named",
            hint='Write `[openlineage]` and `url = "http://…/api/v1/lineage"` in `noria.toml`',
        )
    return backend.context
