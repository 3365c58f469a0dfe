"""Read the event log from Python."""

from __future__ import annotations

from noria.access.audit import Audit
from noria.core.events.log import Event
from noria.core.workspace import Workspace, current_workspace


def events(
    *,
    after: int = 0,
    type: str | None = None,  # noqa: A002 - the field's name
    subject: str | None = None,
    limit: int = 100,
    workspace: Workspace | None = None,
) -> list[Event]:
    """List what changed in the workspace, oldest first.

    Parameters
    ----------
    after
        Only events with a greater position; keep the last one's to go on from there.
    type, subject
        Only events of this type (`alert.opened`) or about this subject (`endpoint:digits`).
    limit
        At most so many, 1 to 1000.
    """
    ws = workspace or current_workspace()
    return ws.service(Audit).events(after=after, limit=limit, type=type, subject=subject).items
