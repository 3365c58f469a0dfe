"""What the page of the audit reads beyond the operations: events newest first, and how far the chain reaches."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from noria.access.permissions import READ_AUDIT
from noria.core.admission import admit
from noria.core.events.checkpoints import Checkpoints
from noria.core.events.log import EventFilter, EventLog, LookBack
from noria.core.events.tables import events
from noria.core.operations import Service


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainState:
    """How far the hash chain reaches, without checking it.

    Attributes
    ----------
    last
        Position of the newest event; 0 for none.
    sealed_to
        Position of the newest event that the chain covers.
    signed_to, signed_at
        Up to where, and when, the last note was signed; None when there is no note.
    """

    last: int
    sealed_to: int
    signed_to: int | None
    signed_at: datetime | None


class AuditPages(Service):
    """Reads for pages; no operations: programs have `Audit`."""

    def events(self, asked: EventFilter, *, before: int | None, limit: int) -> LookBack:
        """List events of a project, or of the whole workspace, newest first."""
        admit(self.context.principal, READ_AUDIT, asked.project)
        return EventLog(self.context.database).look_back(asked, before=before, limit=limit)

    def chain(self) -> ChainState:
        """Tell how far the chain reaches; of the whole workspace."""
        admit(self.context.principal, READ_AUDIT, None)
        sealed = (
            sa.select(events.c.position)
            .where(events.c.position.is_not(None), events.c.hash.is_not(None))
            .order_by(events.c.position.desc())
            .limit(1)
        )
        with self.context.database.read() as connection:
            sealed_to = connection.execute(sealed).scalar() or 0
        signed = Checkpoints(self.context.settings.folder).last()
        return ChainState(
            last=EventLog(self.context.database).last_position(),
            sealed_to=sealed_to,
            signed_to=signed.position if signed else None,
            signed_at=signed.at if signed else None,
        )
