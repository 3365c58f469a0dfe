"""What each capability removes for good once it was deleted long enough ago."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from noria.core.context import Context


@dataclass(frozen=True, slots=True)
class Purge:
    """A kind of thing that is only marked as deleted at first.

    Attributes
    ----------
    kind
        What is counted: `runs`.
    purge
        Removes everything of this kind that was deleted before a moment, in transactions short enough for other
        writers to get their turn, and gives how many there were. With the last argument true it only counts. What is
        never deleted but kept for a while only leaves the moment alone.
    """

    kind: str
    purge: Callable[[Context, datetime, bool], int]
