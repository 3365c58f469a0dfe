"""Review queues: traces that people look at, the questions they answer, and how far they are."""

from __future__ import annotations

import enum
from datetime import datetime

import msgspec


class QueueType(enum.StrEnum):
    """Whether a queue is one person's own, which asks every question, or one that somebody set up."""

    USER = "user"
    CUSTOM = "custom"


class ReviewStatus(enum.StrEnum):
    """How far the review of a trace is."""

    PENDING = "pending"
    COMPLETE = "complete"
    DECLINED = "declined"


class NewReviewQueue(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A queue to set up.

    Attributes
    ----------
    experiment
        Number of the experiment whose traces are reviewed.
    name
        Unlike that of any other queue of the experiment in any case; for a person's own queue, that person.
    users
        Who may review.
    schemas
        Ids of the label schemas that are asked; a person's own queue asks all.
    created_by
        Who owns it; None for a caller that has not signed in.
    """

    experiment: int
    name: str
    type: QueueType = QueueType.CUSTOM
    users: list[str] = []
    schemas: list[str] = []
    created_by: str | None = None


class UserQueue(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person whose own queue is wanted."""

    experiment: int
    user: str


class ReviewQueueChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a queue shall be; what is left out stays as it is."""

    name: str | None = None
    users: list[str] | None = None
    schemas: list[str] | None = None
    owner: str | None = None


class ReviewQueue(msgspec.Struct, frozen=True, kw_only=True):
    """A queue, without its items."""

    id: str
    project: str
    experiment: int
    name: str
    type: QueueType
    users: list[str]
    schemas: list[str]
    created_by: str | None
    created_at: datetime
    updated_at: datetime


class ReviewQueuePlace(msgspec.Struct, frozen=True, kw_only=True):
    """Where a queue belongs."""

    id: str
    project: str
    experiment: int


class ReviewQueuePage(msgspec.Struct, frozen=True, kw_only=True):
    """Queues, newest first; `next` continues after them, or is None at the end."""

    items: list[ReviewQueue]
    next: str | None


class ReviewItems(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ids of traces to review, or no longer."""

    ids: list[str]


class ReviewOutcome(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far the review of a trace is now.

    Attributes
    ----------
    by
        Who looked at it; None where it is pending again.
    """

    status: ReviewStatus
    by: str | None = None


class ReviewItem(msgspec.Struct, frozen=True, kw_only=True):
    """A trace in a queue."""

    queue: str
    id: str
    status: ReviewStatus
    completed_by: str | None
    completed_at: datetime | None
    created_at: datetime
    updated_at: datetime


class ReviewItemList(msgspec.Struct, frozen=True, kw_only=True):
    """Traces in a queue, in the order asked for."""

    items: list[ReviewItem]


class ReviewItemPage(msgspec.Struct, frozen=True, kw_only=True):
    """Traces in a queue, the latest to come first; `next` continues after them, or is None at the end."""

    items: list[ReviewItem]
    next: str | None
