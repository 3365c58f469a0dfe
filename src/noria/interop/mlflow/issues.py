"""MLflow's endpoints of issues."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Final, TypeVar

import msgspec

from noria.core.adapters import AdapterRequest
from noria.core.errors import Conflict
from noria.interop.mlflow.errors import RESOURCE_ALREADY_EXISTS, MlflowError, invalid, missing
from noria.interop.mlflow.messages import Empty
from noria.interop.mlflow.projects import get_experiment, get_place, number_of
from noria.interop.mlflow.times import instant, millis
from noria.interop.mlflow.wire import Endpoints, Int32, Int64, Message
from noria.tracking.experiment_rows import ExperimentDeleted
from noria.tracking.issue_entities import (
    Issue,
    IssueChange,
    IssueField,
    IssueOrder,
    IssueSearch,
    IssueSeverity,
    IssueStatus,
    NewIssue,
)
from noria.tracking.issues import IssueNotFound, Issues
from noria.tracking.run_keys import RunNotFound

ADDRESS: Final = "3:issues/{issue_id}"
MAX_FOUND: Final = 50_000
DEFAULT_FOUND: Final = 100

E = TypeVar("E", bound=enum.StrEnum)

endpoint = Endpoints()


class CreateIssue(Message):
    """An issue to write down."""

    name: str = ""
    description: str = ""
    experiment_id: str = ""
    status: str | None = None
    severity: str | None = None
    root_causes: list[str] = []
    source_run_id: str = ""
    created_by: str = ""
    categories: list[str] = []
    issue_id: str | None = None
    last_seen_timestamp: Int64 | None = None
    metadata: dict[str, str] = {}


class UpdateIssue(Message):
    """What an issue shall say; MLflow asks for the id although the address has it."""

    issue_id: str = ""
    name: str = ""
    description: str = ""
    status: str | None = None
    severity: str | None = None
    categories: list[str] | None = None
    last_seen_timestamp: Int64 | None = None
    last_updated_by: str = ""
    metadata: dict[str, str] = {}
    delete_metadata_keys: list[str] = []


class SearchIssues(Message):
    """Which issues are wanted."""

    experiment_id: str = ""
    filter_string: str = ""
    max_results: Int32 | None = None
    page_token: str = ""
    include_trace_count: bool = False
    name: str | None = None
    statuses: list[str] = []
    severities: list[str] = []
    categories: list[str] = []
    order_by: list[str] = []
    include_total_count: bool = False
    view: str = "full"


class IssueMessage(Message):
    """An issue."""

    issue_id: str
    experiment_id: str
    name: str
    description: str
    status: str
    created_timestamp: int
    last_updated_timestamp: int
    severity: str | None = None
    root_causes: list[str] = []
    source_run_id: str | None = None
    categories: list[str] = []
    created_by: str | None = None
    trace_count: int | None = None
    last_seen_timestamp: int | None = None
    last_updated_by: str | None = None
    metadata: dict[str, str] = {}


class IssueAnswer(Message):
    """One issue."""

    issue: IssueMessage


class IssuesAnswer(Message):
    """Issues; the token is there also at the end, and empty."""

    next_page_token: str
    issues: list[IssueMessage] = []
    total_count: int | None = None


@endpoint(
    "POST",
    "3:issues",
    CreateIssue,
    required=("name", "description", "experiment_id"),
    errors={Conflict: RESOURCE_ALREADY_EXISTS},
)
def create_issue(request: AdapterRequest, message: CreateIssue) -> Message:
    """Write an issue down, in the project of its experiment."""
    status, severity = _status(message.status), _severity(message.severity)
    experiment = get_experiment(request, message.experiment_id)
    new = NewIssue(
        experiment=experiment.number,
        name=message.name,
        description=message.description,
        status=status or IssueStatus.PENDING,
        severity=severity,
        root_causes=message.root_causes,
        categories=message.categories,
        source_run=message.source_run_id or None,
        created_by=message.created_by or None,
        id=message.issue_id,
        last_seen_at=_seen(message.last_seen_timestamp),
        metadata=message.metadata,
    )
    try:
        made = request.context.guarded(Issues).create(experiment.project, new)
    except ExperimentDeleted as error:
        raise missing(f"No Experiment with id={experiment.number} exists") from error
    except RunNotFound as error:
        raise _run_refused(request, message.source_run_id) from error
    return IssueAnswer(issue=_message(made))


@endpoint("GET", ADDRESS, Empty)
def get_issue(request: AdapterRequest, _: Empty) -> Message:
    """Give an issue."""
    service, issue_id = request.context.guarded(Issues), request.path["issue_id"]
    return IssueAnswer(issue=_message(service.get(_project(request), issue_id)))


@endpoint("PATCH", ADDRESS, UpdateIssue, required=("issue_id",))
def update_issue(request: AdapterRequest, message: UpdateIssue) -> Message:
    """Change an issue; empty text leaves what is there."""
    change = IssueChange(
        name=message.name or None,
        description=message.description or None,
        status=_status(message.status),
        severity=_severity(message.severity),
        categories=message.categories,
        last_seen_at=_seen(message.last_seen_timestamp),
        updated_by=message.last_updated_by or None,
        metadata=message.metadata,
        forgotten_metadata=message.delete_metadata_keys,
    )
    service, issue_id = request.context.guarded(Issues), request.path["issue_id"]
    return IssueAnswer(issue=_message(service.update(_project(request), issue_id, change)))


@endpoint("POST", "3:issues/search", SearchIssues)
def search_issues(request: AdapterRequest, message: SearchIssues) -> Message:
    """Find issues."""
    limit = DEFAULT_FOUND if message.max_results is None else message.max_results
    if not 1 <= limit <= MAX_FOUND:
        bound = "a positive integer" if limit < 1 else f"at most {MAX_FOUND}"
        raise invalid(f"Invalid value {limit} for parameter 'max_results' supplied. It must be {bound}")
    if message.view not in _VIEWS:
        raise invalid("view must be basic or full")
    wanted = IssueSearch(
        experiment=number_of(message.experiment_id) if message.experiment_id else None,
        filter=message.filter_string,
        count_traces=message.include_trace_count,
        name=message.name,
        statuses=[_member(IssueStatus, "status", each) for each in message.statuses],
        severities=[_member(IssueSeverity, "severity", each) for each in message.severities],
        categories=message.categories,
        order_by=list(map(_order, message.order_by)),
        count_all=message.include_total_count,
        limit=limit,
        after=message.page_token or None,
    )
    page = request.context.guarded(Issues).search(wanted)
    tell = _brief if message.view == "basic" else _message
    return IssuesAnswer(
        issues=list(map(tell, page.items)), next_page_token=page.next or "", total_count=page.n_all
    )


def _project(request: AdapterRequest) -> str:
    issue_id = request.path["issue_id"]
    try:
        return request.context.guarded(Issues).locate(issue_id).project
    except IssueNotFound as error:
        raise missing(f"Issue with ID '{issue_id}' not found") from error


def _run_refused(request: AdapterRequest, run_id: str) -> MlflowError:
    """Tell why a run cannot be the source: there is none, or it belongs to another project."""
    place = get_place(request, run_id)
    return invalid(f"The run {run_id} belongs to the project '{place.project}', and the issue to another")


def _status(value: str | None) -> IssueStatus | None:
    return None if value is None else _member(IssueStatus, "status", value)


def _severity(value: str | None) -> IssueSeverity | None:
    return None if value is None else _member(IssueSeverity, "severity", value)


def _member(kind: type[E], what: str, value: str) -> E:
    try:
        return kind(value)
    except ValueError as error:
        known = ", ".join(f"'{each}'" for each in kind)
        raise invalid(f"Invalid issue {what}: {value!r}. Valid are: {known}") from error


def _seen(moment_ms: int | None) -> datetime | None:
    if moment_ms is None:
        return None
    if moment_ms < 0:
        raise invalid("last_seen_timestamp must be nonnegative milliseconds")
    return instant(moment_ms, "last_seen_timestamp")


def _order(text: str) -> IssueOrder:
    """Read a field and perhaps its direction, as in `last_seen_timestamp DESC`."""
    name, *direction = text.split() or [""]
    field = _FIELDS.get(name)
    if field is None or len(direction) > 1 or (direction and direction[0].upper() not in ("ASC", "DESC")):
        raise invalid(f"Invalid issue order_by: {text!r}. Known: {', '.join(_FIELDS)}, each with ASC or DESC")
    return IssueOrder(field, descending=[each.upper() for each in direction] == ["DESC"])


def _brief(found: Issue) -> IssueMessage:
    """Tell an issue without what may be long."""
    return msgspec.structs.replace(_message(found), description="", root_causes=[], metadata={})


def _message(found: Issue) -> IssueMessage:
    return IssueMessage(
        issue_id=found.id,
        experiment_id=str(found.experiment),
        name=found.name,
        description=found.description,
        status=found.status.value,
        severity=None if found.severity is None else found.severity.value,
        root_causes=found.root_causes,
        source_run_id=found.source_run,
        categories=found.categories,
        created_by=found.created_by,
        created_timestamp=millis(found.created_at),
        last_updated_timestamp=millis(found.updated_at),
        trace_count=found.n_traces,
        last_seen_timestamp=millis(found.last_seen_at),
        last_updated_by=found.updated_by,
        metadata=found.metadata,
    )


_VIEWS: Final = ("basic", "full")
_FIELDS: Final = {
    "name": IssueField.NAME,
    "status": IssueField.STATUS,
    "severity": IssueField.SEVERITY,
    "created_timestamp": IssueField.CREATED_AT,
    "last_updated_timestamp": IssueField.UPDATED_AT,
    "last_seen_timestamp": IssueField.LAST_SEEN_AT,
}

ROUTES = endpoint.routes
