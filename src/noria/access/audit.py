"""The audit: the event log as admins read it, and the check that nobody changed it."""

from __future__ import annotations

from noria.access.entities import EventPage
from noria.access.permissions import READ_AUDIT
from noria.core.events.log import EventLog
from noria.core.events.sealer import assign_positions
from noria.core.events.verification import AuditReport, verify_log
from noria.core.operations import Service, operation


class Audit(Service):
    """Everything that changed, who did it and when."""

    @operation("GET", "/audit/events", needs=READ_AUDIT)
    def events(
        self,
        after: int = 0,
        limit: int = 100,
        type: str | None = None,  # noqa: A002 - the field's name
        subject: str | None = None,
    ) -> EventPage:
        """List events with a position greater than `after`, oldest first."""
        # On PostgreSQL without a server nobody else gives positions, and one's own last change should show.
        assign_positions(self.context.database)
        bound = max(1, min(limit, 1000))
        types = None if type is None else [type]
        found = EventLog(self.context.database).read(after, limit=bound, types=types, subject=subject)
        return EventPage(items=found, next=found[-1].position if len(found) == bound else None)

    @operation("GET", "/audit/verification", needs=READ_AUDIT)
    def verify(self) -> AuditReport:
        """Check every link of the hash chain, and its head against the signed checkpoints."""
        return verify_log(self.context.database, self.context.settings.folder)
