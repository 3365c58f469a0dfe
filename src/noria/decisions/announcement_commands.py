"""`noria decisions announce`, `announced` and `withdraw`."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from noria.core.console.options import JsonFlag, ProjectOption, WorkspaceOption, opened
from noria.core.console.output import facts, say, show, table

if TYPE_CHECKING:
    from noria.decisions.announcements import Announcement, AnnouncementPage

EndpointArgument = Annotated[str, typer.Argument(metavar="ENDPOINT", help="Name of the endpoint.")]


def announce_command(
    endpoint: EndpointArgument,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What changes.")],
    column: Annotated[
        list[str] | None,
        typer.Option(
            "--column", help="Input that changes; those that TEXT names when left out.", show_default=False
        ),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="TIME", help="From when on, with a time zone; now when left out."),
    ] = None,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Say that inputs of an endpoint change by design, so that it is not taken for a fault."""
    from noria.decisions.announcements import Announcements, NewAnnouncement

    new = NewAnnouncement(text=text, columns=column or [], at=None if at is None else _moment(at))
    with opened(workspace, project) as ws:
        made = ws.service(Announcements).announce(ws.project, endpoint, new)
    show(made, json=json, render=_facts)


def announced_command(
    endpoint: EndpointArgument,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """List what was announced about the inputs of an endpoint, newest first."""
    from noria.decisions.announcements import Announcements

    with opened(workspace, project) as ws:
        page = ws.service(Announcements).list(ws.project, endpoint)
    show(page, json=json, render=_table)


def withdraw_command(
    endpoint: EndpointArgument,
    announcement_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the announcement.")],
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Take an announcement back: what changes is no longer meant."""
    from noria.decisions.announcements import Announcements

    with opened(workspace, project) as ws:
        ws.service(Announcements).withdraw(ws.project, endpoint, announcement_id)
    say(f"Withdrew the announcement {announcement_id}")


def _moment(text: str) -> datetime:
    from noria.core.errors import Invalid

    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise Invalid(f"`{text}` is no moment", hint="Write for example 2026-05-01T00:00:00+02:00") from error


def _facts(found: Announcement) -> Any:
    return facts(
        [
            ("announcement", found.id),
            ("endpoint", found.endpoint),
            ("columns", ", ".join(found.columns)),
            ("from", found.at),
            ("what", found.text),
            ("by", found.by),
        ]
    )


def _table(page: AnnouncementPage) -> Any:
    rows = [(each.id, each.at, ", ".join(each.columns), each.text, each.by) for each in page.items]
    return table(["id", "from", "columns", "what", "by"], rows)
