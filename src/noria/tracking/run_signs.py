"""How the states of runs are shown: colour, sign and word. Pure."""

from __future__ import annotations

from typing import NamedTuple

from noria.core.web.languages import mark
from noria.tracking.entities import RunStatus


class Sign(NamedTuple):
    """The state of a badge, a sign for those who see no colour, and words to be translated."""

    state: str
    sign: str
    words: str


SIGNS = {
    RunStatus.RUNNING: Sign("busy", "…", mark("running")),
    RunStatus.SCHEDULED: Sign("none", "○", mark("scheduled")),
    RunStatus.FINISHED: Sign("good", "✓", mark("finished")),
    RunStatus.FAILED: Sign("bad", "✕", mark("failed")),
    RunStatus.KILLED: Sign("look", "!", mark("killed")),
}
