"""Groups of alerts, silences, and notices."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Annotated, Any

import msgspec

from noria.monitoring.entities import Alert, AlertKind

LONGEST_SILENCE_S = 366 * 86_400


class NoticeKind(enum.StrEnum):
    """What a notice tells: that a group opened, that more joined it, or that it is over."""

    OPENED = "opened"
    MORE = "more"
    RESOLVED = "resolved"


class NoticeStatus(enum.StrEnum):
    """Where a notice stands."""

    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"
    DROPPED = "dropped"


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """What one receiver is told of one group.

    Attributes
    ----------
    status
        `waiting` until it is sent or given up; `dropped` when the receiver is no longer in the settings.
    error
        Of the newest attempt.
    """

    id: str
    receiver: str
    kind: NoticeKind
    status: NoticeStatus
    n_attempts: int
    error: str | None
    created_at: datetime
    ended_at: datetime | None


class AlertGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Alerts of one cause: those of one endpoint, or of one model server, that stood open about the same time.

    Attributes
    ----------
    cause
        `endpoint:<name>` or `model_server:<name>`.
    closed_at
        When all alerts had been over for a while; None while the group is open.
    alerts
        In the order in which they were raised.
    is_silenced
        Whether a silence covers every open alert of it now.
    notices
        In the order in which they were written.
    """

    id: str
    project: str
    cause: str
    opened_at: datetime
    closed_at: datetime | None
    alerts: list[Alert]
    is_silenced: bool = False
    notices: list[Notice] = []


class AlertGroupPage(msgspec.Struct, frozen=True, kw_only=True):
    """Groups, newest first; `next` continues."""

    items: list[AlertGroup]
    next: str | None


class NewSilence(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A time in which nobody is told of alerts.

    Attributes
    ----------
    endpoint
        Only of this endpoint; of every one in the project when left out.
    kind
        Only of this kind; of every one when left out.
    for_s
        Seconds from now, up to 366 days.
    why
        For those who find it.
    """

    endpoint: Annotated[str, msgspec.Meta(max_length=200)] | None = None
    kind: AlertKind | None = None
    for_s: Annotated[float, msgspec.Meta(gt=0, le=LONGEST_SILENCE_S)] = 3600.0
    why: Annotated[str, msgspec.Meta(max_length=1000)] = ""


class Silence(msgspec.Struct, frozen=True, kw_only=True):
    """A time in which nobody is told of alerts; they are raised and shown as ever.

    Attributes
    ----------
    ends_at
        When it ends, or ended.
    """

    id: str
    project: str
    endpoint: str | None
    kind: AlertKind | None
    why: str
    created_by: str
    created_at: datetime
    ends_at: datetime

    def covers(self, endpoint: str, kind: AlertKind, now: datetime) -> bool:
        """Tell whether it keeps an alert quiet at an instant."""
        return (
            self.created_at <= now < self.ends_at
            and self.endpoint in (None, endpoint)
            and self.kind in (None, kind)
        )


class SilenceList(msgspec.Struct, frozen=True, kw_only=True):
    """Silences, newest first."""

    items: list[Silence]


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a notice carries, beside its text.

    Attributes
    ----------
    kind
        `opened`, `more`, `resolved`, or `test`.
    cause
        As that of an `AlertGroup`.
    alerts
        Those that this notice is about, as JSON objects.
    """

    kind: str
    project: str
    group: str
    cause: str
    text: str
    alerts: list[dict[str, Any]] = []
