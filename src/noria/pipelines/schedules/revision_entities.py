"""Revisions of a schedule as callers see them, and the wish to run one of them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec

from noria.pipelines.schedules.entities import ScheduleSection

Reason = Annotated[str, msgspec.Meta(max_length=1000)]


class ScheduleRevision(msgspec.Struct, frozen=True, kw_only=True):
    """What was bound to a schedule at once: its declaration and the code.

    Attributes
    ----------
    number
        From 1, in the order in which they were applied.
    snapshot
        Digest of the code; None for a pipeline that comes with Noria.
    applied_by
        With whose rights its runs act.
    is_running
        Whether it is what the schedule runs now.
    """

    number: int
    spec: ScheduleSection
    snapshot: str | None
    applied_by: str
    applied_at: datetime
    is_running: bool


class RevisionList(msgspec.Struct, frozen=True, kw_only=True):
    """The revisions of a schedule that are kept, newest first."""

    items: list[ScheduleRevision]


class PinSchedule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The wish to have a schedule run one revision, whatever is applied later.

    Attributes
    ----------
    to
        Number of a revision, or the id of a run of the schedule or of its pipeline: the revision that it was made
        from. The newest one before the present one that differs from it when left out.
    """

    to: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] | None = None
    reason: Reason = ""
