"""What the control loop runs for runs."""

from __future__ import annotations

from noria.core.context import Context
from noria.core.control.workflows import Chore, Reaction, Tick, Workflow
from noria.tracking.compaction import compact_ended

COMPACT_EVERY_S = 30.0


def compact(app: Context) -> None:
    """Pack the points of runs that ended."""
    compact_ended(app)


WORKFLOWS: list[Workflow] = []
TICKS: list[Tick] = []
REACTIONS: list[Reaction] = []
CHORES = [Chore("tracking.compaction", COMPACT_EVERY_S, compact)]
