"""What the control loop does for the event log."""

from __future__ import annotations

from noria.core.context import Context
from noria.core.control.workflows import Chore
from noria.core.events.sealer import Sealer


def _seal(app: Context) -> None:
    Sealer(app.database, app.clock, app.settings.folder).tick()


CHORES = [Chore("events.seal", every_s=0.25, fn=_seal)]
"""Four times a second, since on PostgreSQL reactions see an event only once it has its position."""
