"""MLflow's endpoints of runs: their making, their changes, their params and tags, and whole batches of these."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from noria.core.adapters import AdapterRequest
from noria.core.errors import NotFound
from noria.core.ids import is_id, new_id
from noria.interop.mlflow.decoding import missing_parameter
from noria.interop.mlflow.errors import MlflowError, invalid, missing
from noria.interop.mlflow.messages import KeyValue, Metric, RunAnswer, RunInfo, RunStatus
from noria.interop.mlflow.points import gather
from noria.interop.mlflow.projects import get_place, load_row, log, number_of, telling_of_run
from noria.interop.mlflow.run_answers import (
    NAME_TAG_GONE,
    PARENT_TAG,
    RUN_NAME_TAG,
    wire_head,
    wire_new_run,
    wire_run,
)
from noria.interop.mlflow.run_names import name_of
from noria.interop.mlflow.times import instant
from noria.interop.mlflow.validation import MAX_TAG_CHARS, check_param, check_run_id, check_tag
from noria.interop.mlflow.wire import Endpoints, Int64, Message
from noria.tracking.batches import ParamChanged
from noria.tracking.by_id import RunsById
from noria.tracking.entities import LogBatch, NewRun, RunChange, RunHead
from noria.tracking.entities import RunStatus as Status
from noria.tracking.experiment_rows import ExperimentDeleted
from noria.tracking.service import Experiments, Runs

MAX_METRICS: Final = 1_000
MAX_PARAMS: Final = 100
MAX_TAGS: Final = 100
MAX_ENTRIES: Final = 1_000

endpoint = Endpoints()


class CreateRun(Message):
    """A run to start."""

    experiment_id: str = ""
    user_id: str = ""
    run_name: str = ""
    start_time: Int64 | None = None
    tags: list[KeyValue] = []


class UpdateRun(Message):
    """What a run shall be."""

    run_id: str = ""
    run_uuid: str = ""
    status: RunStatus | None = None
    end_time: Int64 | None = None
    run_name: str = ""


class RunUpdated(Message):
    """The run as it is now."""

    run_info: RunInfo


class RunById(Message):
    """A run that is named by its id."""

    run_id: str = ""


class GetRun(Message):
    """A run that is named by its id, under either name of it."""

    run_id: str = ""
    run_uuid: str = ""


class LogParam(Message):
    """A param to write."""

    run_id: str = ""
    run_uuid: str = ""
    key: str = ""
    value: str = ""


class SetTag(Message):
    """A tag to set."""

    run_id: str = ""
    run_uuid: str = ""
    key: str = ""
    value: str = ""


class DeleteTag(Message):
    """A tag to remove."""

    run_id: str = ""
    key: str = ""


class LogBatchRequest(Message):
    """Metrics, params and tags to write."""

    run_id: str = ""
    metrics: list[Metric] = []
    params: list[KeyValue] = []
    tags: list[KeyValue] = []


@endpoint("POST", "2:runs/create", CreateRun)
def create_run(request: AdapterRequest, message: CreateRun) -> RunAnswer:
    """Start a run in an experiment that exists."""
    number = number_of(message.experiment_id)
    tags = {tag.key: tag.value[:MAX_TAG_CHARS] for tag in message.tags}
    run_id = new_id()
    new = NewRun(
        id=run_id,
        name=_name(message.run_name, tags.pop(RUN_NAME_TAG, "")) or name_of(run_id),
        parent=_parent(request, tags.get(PARENT_TAG, ""), number),
        tags=tags,
        started_at=None if message.start_time is None else instant(message.start_time, "start_time"),
        author=message.user_id or None,
    )
    try:
        made = request.context.guarded(RunsById).start(number, new)
    except ExperimentDeleted as error:
        raise invalid(
            f"The experiment {number} must be in the 'active' state. Current state is deleted."
        ) from error
    except NotFound as error:
        raise missing(f"No Experiment with id={number} exists") from error
    return RunAnswer(run=wire_new_run(made, tags))


@endpoint("GET", "2:runs/get", GetRun, required=("run_id",))
def read_run(request: AdapterRequest, message: GetRun) -> RunAnswer:
    """Get a run with all that it holds, also a deleted one."""
    return RunAnswer(run=wire_run(load_row(request, message.run_id)))


@endpoint("POST", "2:runs/update", UpdateRun, required=("run_id",))
def update_run(request: AdapterRequest, message: UpdateRun) -> RunUpdated:
    """Give a run another status, end or name."""
    change = RunChange(
        status=None if message.status is None else Status(message.status.name.lower()),
        ended_at=None if message.end_time is None else instant(message.end_time, "end_time"),
        end_unknown=True,
        name=message.run_name or None,
    )
    return RunUpdated(run_info=wire_head(_amend(request, message.run_id, change)))


@endpoint("POST", "2:runs/delete", RunById, required=("run_id",))
def delete_run(request: AdapterRequest, message: RunById) -> None:
    """Mark a run as deleted."""
    place = get_place(request, message.run_id)
    if place.deleted_at is None:
        request.context.guarded(Runs).delete(place.project, message.run_id)


@endpoint("POST", "2:runs/restore", RunById, required=("run_id",))
def restore_run(request: AdapterRequest, message: RunById) -> None:
    """Undo the deletion of a run."""
    place = get_place(request, message.run_id)
    if place.deleted_at is not None:
        request.context.guarded(Runs).restore(place.project, message.run_id)


@endpoint("POST", "2:runs/log-parameter", LogParam, required=("run_id", "key"))
def log_param(request: AdapterRequest, message: LogParam) -> None:
    """Write a param, once."""
    value = check_param(message.key, message.value)
    try:
        log(request, message.run_id, LogBatch(params={message.key: value}))
    except ParamChanged as error:
        old = error.details["old"]
        raise invalid(
            f"Changing param values is not allowed. Param with key='{message.key}' was already logged with"
            f" value='{old}' for run ID='{message.run_id}'. Attempted logging new value '{value}'."
        ) from error


@endpoint("POST", "2:runs/set-tag", SetTag, required=("run_id", "key"))
def set_tag(request: AdapterRequest, message: SetTag) -> None:
    """Set a tag; that of the name renames the run."""
    value = check_tag(message.key, message.value)
    if message.key != RUN_NAME_TAG:
        log(request, message.run_id, LogBatch(tags={message.key: value}))
    else:
        _amend(request, message.run_id, RunChange(name=value or None))


@endpoint("POST", "2:runs/delete-tag", DeleteTag, required=("run_id", "key"))
def delete_tag(request: AdapterRequest, message: DeleteTag) -> None:
    """Remove a tag. With that of the run's name the name stays, as MLflow's server keeps it, too."""
    row = load_row(request, message.run_id)
    names = message.key == RUN_NAME_TAG
    known = NAME_TAG_GONE not in row.tags if names else message.key in dict(row.tags)
    known = known or (message.key == PARENT_TAG and row.parent is not None)
    if row.deleted_at is None and not known:
        raise missing(f"No tag with name: {message.key} in run with id {message.run_id}")
    log(request, message.run_id, LogBatch(tags={message.key: "" if names else None}))


@endpoint("POST", "2:runs/log-batch", LogBatchRequest, required=("run_id",))
def log_batch(request: AdapterRequest, message: LogBatchRequest) -> None:
    """Write metrics, params and tags: all is checked first, and a changed param leaves the rest unwritten."""
    _check_given(message)
    check_run_id(message.run_id)
    logged = gather(message.metrics, "metrics")
    params = _checked("params", message.params, check_param)
    tags = dict(_checked("tags", message.tags, check_tag))
    _check_counts(message)
    _check_once(params)
    name = tags.pop(RUN_NAME_TAG, "")
    batch = LogBatch(
        points=logged.points, model_points=logged.model_points, params=dict(params), tags={**tags}
    )
    try:
        log(request, message.run_id, batch)
    except ParamChanged as error:
        changes = [
            {
                "key": error.details["key"],
                "old_value": error.details["old"],
                "new_value": error.details["new"],
            }
        ]
        raise invalid(
            "Changing param values is not allowed. Params were already"
            f" logged='{changes}' for run ID='{message.run_id}'."
        ) from error
    if name:
        _amend(request, message.run_id, RunChange(name=name))


def _checked(
    kind: str, pairs: Sequence[KeyValue], check: Callable[[str, str, str], str]
) -> list[tuple[str, str]]:
    """Check params or tags, and give the values that are kept; where the faulty one stands is told."""
    try:
        return [(pair.key, check(pair.key, pair.value, "")) for pair in pairs]
    except MlflowError:
        for at, pair in enumerate(pairs):
            check(pair.key, pair.value, f"{kind}[{at}]")
        raise


def _check_given(message: LogBatchRequest) -> None:
    for at, metric in enumerate(message.metrics):
        if not metric.key or metric.value is None or metric.value == "" or metric.timestamp is None:
            absent = next(
                name for name in ("key", "value", "timestamp") if getattr(metric, name) in (None, "")
            )
            raise missing_parameter(f"metrics[{at}].{absent}")
    for kind, pairs in (("params", message.params), ("tags", message.tags)):
        for at, pair in enumerate(pairs):
            if not pair.key:
                raise missing_parameter(f"{kind}[{at}].key")


def _check_counts(message: LogBatchRequest) -> None:
    sizes = (len(message.metrics), len(message.params), len(message.tags))
    kinds = ("metrics", "params", "tags", "metrics, params, and tags")
    limits = (MAX_METRICS, MAX_PARAMS, MAX_TAGS, MAX_ENTRIES)
    for kind, limit, n in zip(kinds, limits, (*sizes, sum(sizes)), strict=True):
        if n > limit:
            raise invalid(
                f"A batch logging request can contain at most {limit} {kind}. Got {n} {kind}. Please split up {kind}"
                " across multiple requests and try again."
            )


def _check_once(params: list[tuple[str, str]]) -> None:
    seen: set[str] = set()
    twice = []
    for key, _ in params:
        if key in seen:
            twice.append(key)
        seen.add(key)
    if twice:
        raise invalid(
            f"Duplicate parameter keys have been submitted: {twice}. Please ensure the request contains only one"
            " param value per param key."
        )


def _name(given: str, tagged: str) -> str:
    if given and tagged and given != tagged:
        raise invalid(
            "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values"
            f" (run_name='{given}', mlflow.runName='{tagged}')."
        )
    return given or tagged


def _parent(request: AdapterRequest, run_id: str, number: int) -> str | None:
    """Give the id of the run that a tag names as parent, if there is such a run in the project of an experiment."""
    if not is_id(run_id):
        return None
    try:
        place = request.context.guarded(Runs).locate(run_id)
        experiment = request.context.guarded(Experiments).by_number(number)
    except NotFound:
        return None
    return run_id if place.project == experiment.project else None


def _amend(request: AdapterRequest, run_id: str, change: RunChange) -> RunHead:
    with telling_of_run(run_id):
        head = request.context.guarded(RunsById).amend(run_id, change)
    if change.name is not None and NAME_TAG_GONE in load_row(request, run_id).tags:
        log(request, run_id, LogBatch(tags={RUN_NAME_TAG: None}))
    return head


ROUTES = endpoint.routes
