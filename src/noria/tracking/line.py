"""Open the way of a run's points from memory over the spool to the service."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable

import msgspec

from noria.core.clock import Clock, SystemClock
from noria.core.database.schema import to_micros
from noria.core.workspace import Workspace, open_workspace
from noria.tracking.buffer import PointBuffer
from noria.tracking.frames import Opened
from noria.tracking.outbox import Line, Outbox
from noria.tracking.segments import Segment
from noria.tracking.sender import Sender, Uploads
from noria.tracking.spool import spool_folder


class Depot(msgspec.Struct):
    """What the runs that a process logs to one workspace share.

    Attributes
    ----------
    trusting
        Projects that took a run of this process: it is let in there, and further runs need not wait to hear it.
    has_left
        True when one of them left something in the spool.
    """

    uploads: Uploads = msgspec.field(default_factory=Uploads)
    trusting: set[str] = msgspec.field(default_factory=set)
    has_left: bool = False


@functools.lru_cache(maxsize=16)
def depot_of(_workspace: str) -> Depot:
    """Give what the runs of this process share."""
    return Depot()


def going_on(project: str, run_id: str, *, forked: bool = False) -> Opened:
    """Describe a run that the service knows."""
    return Opened(project=project, run_id=run_id, new=None, known=True, process=os.getpid(), forked=forked)


def open_outbox(workspace: Workspace, buffer: PointBuffer, opened: Opened) -> Outbox:
    """Make the segment of a run, with its outbox.

    Raises
    ------
    Unavailable
        If there is no place for it, or no room (`StorageFull`).
    """
    settings = workspace.settings
    segment = Segment.create(spool_folder(settings), opened)
    sender = Sender(lambda: workspace, segment, depot_of(settings.workspace).uploads)

    def line_of_child() -> Line:
        # Connections of the parent must not be used by two processes.
        again = going_on(opened.project, opened.run_id, forked=True)
        own = Segment.create(spool_folder(settings), again)
        return own, Sender(lambda: open_workspace(settings, send_left=False), own)

    return Outbox((segment, sender), buffer, workspace.clock, line_of_child=line_of_child)


def nanoseconds_of(clock: Clock) -> Callable[[], int]:
    """Give a clock that tells nanoseconds since 1970, the fastest there is."""
    if isinstance(clock, SystemClock):
        return time.time_ns
    return lambda: to_micros(clock.now()) * 1000
