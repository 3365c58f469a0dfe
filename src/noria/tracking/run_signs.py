"""How the states of runs are shown: colour, sign and word. Pure."""

from __future__ import annotations

from noria.core.web.languages import mark
from noria.core.web.parts import Sign
from noria.tracking.entities import RunStatus

__all__ = ["SIGNS", "Sign"]

SIGNS = {
    RunStatus.RUNNING: Sign("busy", "…", mark("running")),
    RunStatus.SCHEDULED: Sign("none", "○", mark("scheduled")),
    RunStatus.FINISHED: Sign("good", "✓", mark("finished")),
    RunStatus.FAILED: Sign("bad", "✕", mark("failed")),
    RunStatus.KILLED: Sign("look", "!", mark("killed")),
}
