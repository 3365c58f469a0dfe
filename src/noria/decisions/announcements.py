"""Changes by design: what a person or a system says is going to be otherwise, and is no fault then.

The figures cannot tell a unit that changed by mistake from one that was changed on purpose; whoever changes it can.
Announcements are events, and stand in the log with who made them.
"""

from __future__ import annotations

import builtins
from datetime import UTC, datetime
from typing import Annotated

import msgspec

from noria.core.errors import Invalid, NotFound, near
from noria.core.events.log import Event, EventLog, append
from noria.core.events.sealer import assign_positions
from noria.core.ids import new_id
from noria.core.operations import Service, operation
from noria.core.stats.column_names import flatten_names
from noria.decisions.events import CHANGE_ANNOUNCED, CHANGE_WITHDRAWN
from noria.decisions.permissions import ANNOUNCE, READ_DECISIONS
from noria.registry.service import Models
from noria.serving.endpoints import Endpoints

_MOST = 1000

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=1_000)]
Column = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class NewAnnouncement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is changed by design.

    Attributes
    ----------
    text
        What changes, for people.
    columns
        Inputs that change; those that the text names when left out.
    at
        From when on, with a time zone; now when left out.
    """

    text: Text
    columns: Annotated[builtins.list[Column], msgspec.Meta(max_length=1_000)] = []
    at: datetime | None = None


class Announcement(msgspec.Struct, frozen=True, kw_only=True):
    """A change by design.

    Attributes
    ----------
    at
        From when on.
    """

    id: str
    endpoint: str
    text: str
    columns: builtins.list[str]
    at: datetime
    announced_at: datetime
    by: str


class AnnouncementPage(msgspec.Struct, frozen=True, kw_only=True):
    """Announcements that stand, newest first."""

    items: builtins.list[Announcement]


class Announcements(Service):
    """Changes of an endpoint's inputs that somebody means."""

    @operation("POST", "/projects/{project}/endpoints/{endpoint}/announcements", needs=ANNOUNCE)
    def announce(self, project: str, endpoint: str, new: NewAnnouncement) -> Announcement:
        """Say that inputs of an endpoint change by design, so that decisions do not take that for a fault.

        Raises
        ------
        Invalid
            If the model has no such column, the text names none where none are given, or the moment has no time zone.
        """
        known = self._columns(project, endpoint)
        columns = new.columns or [name for name in known if _names(new.text, name, known)]
        if not columns:
            raise Invalid(
                "The text names no column of the endpoint's model",
                hint=f"Name those that change: {', '.join(f'`{name}`' for name in known[:20])}",
                details={"field": "columns"},
            )
        inputs = {name.partition("[")[0] for name in known}
        for name in columns:
            if name not in known and name not in inputs:
                close = near(name, known)
                hint = f"Did you mean `{close}`?" if close else f"It has {', '.join(known[:20])}"
                raise Invalid(f"The endpoint's model has no column `{name}`", hint=hint)
        if new.at is not None and new.at.tzinfo is None:
            raise Invalid("`at` has no time zone", hint="Write for example 2026-05-01T00:00:00+02:00")
        now = self.context.clock.now()
        made = Announcement(
            id=new_id(),
            endpoint=endpoint,
            text=new.text,
            columns=columns,
            at=now if new.at is None else new.at.astimezone(UTC),
            announced_at=now,
            by=self.context.principal.name,
        )
        payload = {
            "announcement": made.id,
            "text": made.text,
            "columns": columns,
            "at": made.at.isoformat(),
            "announced_at": now.isoformat(),
        }
        with self.context.database.write(durable=True) as connection:
            append(
                connection,
                self.context.clock,
                actor=made.by,
                type=CHANGE_ANNOUNCED,
                subject=f"endpoint:{endpoint}",
                project=project,
                payload=payload,
            )
        return made

    @operation("GET", "/projects/{project}/endpoints/{endpoint}/announcements", needs=READ_DECISIONS)
    def list(self, project: str, endpoint: str) -> AnnouncementPage:
        """List the newest announcements about an endpoint that were not withdrawn."""
        self.sibling(Endpoints).get(project, endpoint)
        # On PostgreSQL without a server nobody else gives positions, and one's own last word should show.
        assign_positions(self.context.database)
        types = [str(CHANGE_ANNOUNCED), str(CHANGE_WITHDRAWN)]
        found = EventLog(self.context.database).latest(
            limit=_MOST, types=types, subject=f"endpoint:{endpoint}", project=project
        )
        gone = {e.payload["announcement"] for e in found if e.type == CHANGE_WITHDRAWN}
        said = [e for e in found if e.type == CHANGE_ANNOUNCED and e.payload["announcement"] not in gone]
        return AnnouncementPage(items=[_announcement(endpoint, event) for event in said])

    @operation(
        "DELETE", "/projects/{project}/endpoints/{endpoint}/announcements/{announcement_id}", needs=ANNOUNCE
    )
    def withdraw(self, project: str, endpoint: str, announcement_id: str) -> None:
        """Take an announcement back: what changes is no longer meant.

        Raises
        ------
        NotFound
            If there is none of this id that stands.
        """
        if all(found.id != announcement_id for found in self.list(project, endpoint).items):
            raise NotFound(
                f"There is no announcement `{announcement_id}` about `{endpoint}`",
                hint=f"See `noria decisions announced {endpoint}`",
            )
        with self.context.database.write(durable=True) as connection:
            append(
                connection,
                self.context.clock,
                actor=self.context.principal.name,
                type=CHANGE_WITHDRAWN,
                subject=f"endpoint:{endpoint}",
                project=project,
                payload={"announcement": announcement_id},
            )

    def _columns(self, project: str, endpoint: str) -> builtins.list[str]:
        place = self.sibling(Endpoints).get(project, endpoint)
        signature = self.sibling(Models).version(project, place.model, place.version).signature
        specs = signature.inputs if signature is not None else []
        return [name for spec in specs for name in flatten_names(spec.name, spec.shape[1:])]


def covers(announcement: Announcement, column: str) -> bool:
    """Tell whether an announcement is about a column, or about the whole input that it is a place of."""
    return column in announcement.columns or column.partition("[")[0] in announcement.columns


def _names(text: str, column: str, known: builtins.list[str]) -> bool:
    # With what it brings along it is too much for the start of a server.
    from noria.decisions.replay.announcing import announces
    from noria.decisions.replay.episode import Happening

    return announces(Happening(window=0, type="announcement", text=text), {column}, known)


def _announcement(endpoint: str, event: Event) -> Announcement:
    said = event.payload
    return Announcement(
        id=said["announcement"],
        endpoint=endpoint,
        text=said["text"],
        columns=said["columns"],
        at=datetime.fromisoformat(said["at"]),
        announced_at=datetime.fromisoformat(said["announced_at"]),
        by=event.actor,
    )
