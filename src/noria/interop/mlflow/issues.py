"""MLflow's endpoints of issues."""

from __future__ import annotations

import enum
from typing import Final, TypeVar

from noria.core.adapters import AdapterRequest
from noria.interop.mlflow.errors import MlflowError, invalid, missing
from noria.interop.mlflow.messages import Empty
from noria.interop.mlflow.projects import get_experiment, get_place, number_of
from noria.interop.mlflow.times import millis
from noria.interop.mlflow.wire import Endpoints, Int32, Message
from noria.tracking.experiment_rows import ExperimentDeleted
from noria.tracking.issue_entities import (
    Issue,
    IssueChange,
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


class UpdateIssue(Message):
    """What an issue shall say; MLflow asks for the id although the address has it."""

    issue_id: str = ""
    name: str = ""
    description: str = ""
    status: str | None = None
    severity: str | None = None


class SearchIssues(Message):
    """Which issues are wanted."""

    experiment_id: str = ""
    filter_string: str = ""
    max_results: Int32 | None = None
    page_token: str = ""
    include_trace_count: bool = False


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


class IssueAnswer(Message):
    """One issue."""

    issue: IssueMessage


class IssuesAnswer(Message):
    """Issues; the token is there also at the end, and empty."""

    next_page_token: str
    issues: list[IssueMessage] = []


@endpoint("POST", "3:issues", CreateIssue, required=("name", "description", "experiment_id"))
def create_issue(request: AdapterRequest, message: CreateIssue) -> Message:
    """Write an issue down, in the project of its experiment."""
    status, severity = _member(IssueStatus, message.status), _member(IssueSeverity, message.severity)
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
        status=_member(IssueStatus, message.status),
        severity=_member(IssueSeverity, message.severity),
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
    wanted = IssueSearch(
        experiment=number_of(message.experiment_id) if message.experiment_id else None,
        filter=message.filter_string,
        count_traces=message.include_trace_count,
        limit=limit,
        after=message.page_token or None,
    )
    page = request.context.guarded(Issues).search(wanted)
    return IssuesAnswer(issues=list(map(_message, page.items)), next_page_token=page.next or "")


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


def _member(kind: type[E], value: str | None) -> E | None:
    if value is None:
        return None
    try:
        return kind(value)
    except ValueError as error:
        known = ", ".join(f"'{each}'" for each in kind)
        raise invalid(f"'{value}' is not a valid {kind.__name__}. Valid are: {known}") from error


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
    )


ROUTES = endpoint.routes
