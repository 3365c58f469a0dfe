"""What the control loop runs for runs."""

from __future__ import annotations

from datetime import datetime

from noria.core.context import Context
from noria.core.control.workflows import JSON, Chore, Reaction, Steps, Tick, Workflow
from noria.tracking.compaction import compact_ended, compact_live
from noria.tracking.text_index import index_texts

COMPACT_EVERY_S = 30.0
COMPACT_LIVE_EVERY_S = 900.0
INDEX_EVERY_S = 10.0


def compact(app: Context) -> None:
    """Pack the points of runs that ended."""
    compact_ended(app)


def index(app: Context) -> None:
    """Bring the index of texts up to date."""
    index_texts(app.database)


def _pack_live(steps: Steps, app: Context, _start: datetime) -> JSON:
    """Pack the many points of runs that go on."""
    return steps.run("pack", lambda: compact_live(app))


WORKFLOWS: list[Workflow] = []
TICKS = [Tick("tracking.compaction.live", COMPACT_LIVE_EVERY_S, _pack_live)]
REACTIONS: list[Reaction] = []
CHORES = [
    Chore("tracking.compaction", COMPACT_EVERY_S, compact),
    Chore("tracking.texts", INDEX_EVERY_S, index),
]
