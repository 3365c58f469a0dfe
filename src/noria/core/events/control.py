"""What the control loop does for the event log."""

from __future__ import annotations

from noria.core.context import Context
from noria.core.control.workflows import Chore
from noria.core.events.sealer import Sealer


class _Sealing:
    """Seals with one sealer for as long as a workspace is open, which knows what it need not look at again."""

    def __init__(self) -> None:
        self._sealer: Sealer | None = None

    def tick(self, app: Context) -> None:
        """Seal what came since the last time."""
        if self._sealer is None or not self._sealer.is_of(app.database):
            self._sealer = Sealer(app.database, app.clock, app.settings.folder)
        self._sealer.tick()


CHORES = [Chore("events.seal", every_s=0.25, fn=_Sealing().tick)]
"""Four times a second, since on PostgreSQL reactions see an event only once it has its position."""
