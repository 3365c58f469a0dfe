"""Issues: what is wrong with an application, as somebody or something found out from its traces."""

from __future__ import annotations

import enum
from datetime import datetime

import msgspec


class IssueStatus(enum.StrEnum):
    """What became of an issue."""

    PENDING = "pending"
    REJECTED = "rejected"
    RESOLVED = "resolved"


class IssueSeverity(enum.StrEnum):
    """How bad an issue is, from the least to the worst."""

    NOT_AN_ISSUE = "not_an_issue"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class IssueField(enum.StrEnum):
    """What issues can be ordered by."""

    NAME = "name"
    STATUS = "status"
    SEVERITY = "severity"
    CREATED_AT = "created_at"
    UPDATED_AT = "updated_at"
    LAST_SEEN_AT = "last_seen_at"


class NewIssue(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An issue to write down.

    Attributes
    ----------
    experiment
        Number of the experiment whose traces show it.
    source_run
        Id of the run of the same project that found it.
    created_by
        Who found it, in whatever words.
    id
        `iss-` and 1 to 32 letters, digits, `_` or `-`; None for one of its own.
    created_at
        None for now.
    last_seen_at
        When the newest trace that shows it was made; None for when the issue is written down.
    metadata
        What the program that found it keeps with it.
    """

    experiment: int
    name: str
    description: str
    status: IssueStatus = IssueStatus.PENDING
    severity: IssueSeverity | None = None
    root_causes: list[str] = []
    categories: list[str] = []
    source_run: str | None = None
    created_by: str | None = None
    id: str | None = None
    created_at: datetime | None = None
    last_seen_at: datetime | None = None
    metadata: dict[str, str] = {}


class IssueChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an issue shall say; what is left out stays as it is.

    Attributes
    ----------
    categories
        All of them from now on.
    last_seen_at
        Moves the moment forward only.
    updated_by
        Who changes it, in whatever words.
    metadata, forgotten_metadata
        Entries to set, and keys to remove.
    """

    name: str | None = None
    description: str | None = None
    status: IssueStatus | None = None
    severity: IssueSeverity | None = None
    categories: list[str] | None = None
    last_seen_at: datetime | None = None
    updated_by: str | None = None
    metadata: dict[str, str] = {}
    forgotten_metadata: list[str] = []


class Issue(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is wrong.

    Attributes
    ----------
    id
        Traces that show the issue have an assessment of the kind `issue` whose name is this id.
    experiment
        Number.
    source_run
        Id of the run that found it; None also once that run is gone for good.
    n_traces
        How many traces of its experiment show it; None unless it was asked for.
    """

    id: str
    project: str
    experiment: int
    name: str
    description: str
    status: IssueStatus
    severity: IssueSeverity | None
    root_causes: list[str]
    categories: list[str]
    source_run: str | None
    created_by: str | None
    created_at: datetime
    updated_at: datetime
    last_seen_at: datetime
    updated_by: str | None = None
    metadata: dict[str, str] = {}
    n_traces: int | None = None


class IssuePlace(msgspec.Struct, frozen=True, kw_only=True):
    """Where an issue belongs."""

    id: str
    project: str


class IssueOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A field to order by."""

    field: IssueField
    descending: bool = False


class IssueSearch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which issues are wanted, of all projects that the caller may read.

    Attributes
    ----------
    experiment
        Number; None for all.
    filter
        `status = 'pending' AND source_run_id != '…'`.
    count_traces
        Whether to tell how many traces show each; then those that more traces show come first among equally bad ones.
    name
        A part of the name, in upper or lower case; None for any.
    statuses, severities, categories
        One of these; any where the list is empty. Case, and space around them, make no difference to categories.
    order_by
        Empty for the worst first and the newest first among equals. The id, backwards, decides between equals.
    count_all
        Whether to tell how many issues there are on all pages.
    """

    experiment: int | None = None
    filter: str = ""
    count_traces: bool = False
    name: str | None = None
    statuses: list[IssueStatus] = []
    severities: list[IssueSeverity] = []
    categories: list[str] = []
    order_by: list[IssueOrder] = []
    count_all: bool = False
    limit: int = 100
    after: str | None = None


class IssuePage(msgspec.Struct, frozen=True, kw_only=True):
    """Issues in the order that was asked for; `next` continues after them, or is None at the end.

    Attributes
    ----------
    n_all
        How many there are on all pages; None unless it was asked for.
    """

    items: list[Issue]
    next: str | None
    n_all: int | None = None
