"""`noria server`."""

from __future__ import annotations

import gc
import sys
from typing import Annotated

import typer

from noria.core.console.options import WorkspaceOption

app = typer.Typer(add_completion=False)


@app.command()
def server(
    workspace: WorkspaceOption = None,
    host: Annotated[
        str | None,
        typer.Option("--host", metavar="ADDRESS", help="Address to listen on.", show_default="127.0.0.1"),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", min=0, max=65535, help="Port to listen on; 0 for any.", show_default="7777"),
    ] = None,
    parent_fd: Annotated[int | None, typer.Option("--parent-fd", hidden=True)] = None,
) -> None:
    """Start the server and its control loop."""
    # Nearly all that is made until the server is settled stays; it looks through it once, after its first answers.
    gc.disable()
    from noria.core.config import load_settings
    from noria.core.lifeline import end_with_parent
    from noria.core.logs import configure_logging
    from noria.server.process import ServerOptions, run_server

    end_with_parent(parent_fd)
    configure_logging()
    run_server(
        load_settings(workspace=workspace),
        ServerOptions(host=host, port=port),
        announce=_announce,
    )


def _announce(url: str) -> None:
    sys.stderr.write(f"Noria answers at {url}\n")
    sys.stderr.flush()
