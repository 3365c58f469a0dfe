"""Announce changes from Python."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from noria.core.workspace import Workspace, current_workspace
from noria.decisions.announcements import Announcement, Announcements, NewAnnouncement


def announce(
    endpoint: str,
    text: str,
    *,
    columns: Sequence[str] = (),
    at: datetime | None = None,
    workspace: Workspace | None = None,
) -> Announcement:
    """Say that inputs of an endpoint change by design, so that decisions do not take that for a fault.

    Parameters
    ----------
    endpoint
        Name of the endpoint.
    text
        What changes: `rooms now counts halves`.
    columns
        Inputs that change; those that the text names when left out.
    at
        From when on, with a time zone; now when left out.

    Raises
    ------
    Invalid
        If the model has no such column, or none is named.
    """
    ws = workspace or current_workspace()
    new = NewAnnouncement(text=text, columns=list(columns), at=at)
    return ws.service(Announcements).announce(ws.project, endpoint, new)
