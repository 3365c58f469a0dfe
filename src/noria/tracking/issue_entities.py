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
        `iss-` and 32 digits out of 0-9 and a-f; None for one of its own.
    created_at
        None for now.
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


class IssueChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an issue shall say; what is left out stays as it is."""

    name: str | None = None
    description: str | None = None
    status: IssueStatus | None = None
    severity: IssueSeverity | None = None


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
    n_traces: int | None = None


class IssuePlace(msgspec.Struct, frozen=True, kw_only=True):
    """Where an issue belongs."""

    id: str
    project: str


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
    """

    experiment: int | None = None
    filter: str = ""
    count_traces: bool = False
    limit: int = 100
    after: str | None = None


class IssuePage(msgspec.Struct, frozen=True, kw_only=True):
    """Issues, the worst first and the newest first among equals; `next` continues after them, or is None at the end."""

    items: list[Issue]
    next: str | None
