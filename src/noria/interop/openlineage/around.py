"""Tell a collector of a run that a command made in a folder, where no server does it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from noria.core.console.output import say
from noria.core.workspace import InProcess, Workspace
from noria.interop.openlineage.entities import OpenLineageSection
from noria.interop.openlineage.sending import begin, send_waiting

MOST_S = 3.0
"""How long a command that has done its work stays for the collector; what is left waits in the log."""


@contextmanager
def telling(workspace: Workspace) -> Iterator[None]:
    """Send what the block did once it has ended. A server does so by itself."""
    backend = workspace.backend
    section = workspace.settings.section("openlineage", OpenLineageSection)
    if not isinstance(backend, InProcess) or section.url is None:
        yield
        return
    begin(backend.context)
    try:
        yield
    finally:
        end_s = workspace.clock.monotonic() + MOST_S
        sent = send_waiting(backend.context, go_on=lambda: workspace.clock.monotonic() < end_s)
        if sent.problem is not None:
            say(
                f"Lineage events wait, since {sent.problem}: the next run, a server or"
                " `noria openlineage send` sends them"
            )
