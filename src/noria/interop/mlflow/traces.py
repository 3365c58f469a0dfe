"""MLflow's endpoints of traces."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any, Final

from noria.core.adapters import AdapterRequest
from noria.interop.mlflow.errors import invalid, missing
from noria.interop.mlflow.messages import Empty
from noria.interop.mlflow.otlp import span_message
from noria.interop.mlflow.projects import check_active, get_experiment
from noria.interop.mlflow.times import instant, millis
from noria.interop.mlflow.trace_access import (
    SPANS_NOT_FOUND,
    Wanted,
    experiment_numbers,
    find_trace,
    link_traces,
    page_of,
    search,
    trace_place,
)
from noria.interop.mlflow.trace_messages import Location, TraceMessage, new_trace, trace_message
from noria.interop.mlflow.validation import check_tag
from noria.interop.mlflow.wire import Endpoints, Int32, Int64, Message, encode, missing_parameter
from noria.tracking.traces.conventions import SIZE_METADATA, whole
from noria.tracking.traces.entities import Trace, TraceDeletion, TraceIds, TracePrompts, TraceTags
from noria.tracking.traces.service import TagMissing, Traces

WAITS_S: Final = (0.05, 0.15, 0.4, 0.9)
"""How long a request waits for the spans of a trace that are still on their way: clients send them in any order."""

_SET_BY_SERVER: Final = frozenset(
    {"mlflow.trace.spansLocation", "mlflow.trace.archiveLocation", "mlflow.trace.archivalFailure"}
)
_END_OF_TIME: Final = datetime.max.replace(tzinfo=UTC)
_DELETABLE: Final = frozenset({"mlflow.trace.archivalFailure"})

endpoint = Endpoints()


class StartTrace(Message):
    """What a program tells of a trace."""

    trace: TraceMessage | None = None


class GetTrace(Message):
    """Asks for a trace with its spans."""

    trace_id: str = ""
    allow_partial: bool = False


class TracesById(Message):
    """Asks for traces by their ids."""

    trace_ids: list[str] | None = None
    experiment_ids: list[str] | None = None


class SearchTraces(Wanted):
    """Asks for traces that fit a filter."""

    locations: list[Location] | None = None


class DeleteTraces(Message):
    """Asks for traces to be deleted."""

    experiment_id: str = ""
    max_timestamp_millis: Int64 | None = None
    max_traces: Int32 | None = None
    request_ids: list[str] = []


class TracesDeleted(Message, omit_defaults=False):
    """How many traces went."""

    traces_deleted: int


class TraceTag(Message):
    """A tag to set or remove."""

    key: str = ""
    value: str = ""


class LinkTraces(Message):
    """Traces that have to do with a run."""

    trace_ids: list[str] | None = None
    run_id: str = ""


class PromptVersion(Message):
    """A version of a prompt."""

    name: str = ""
    version: str = ""


class LinkPrompts(Message):
    """Prompts that a trace used."""

    trace_id: str = ""
    prompt_versions: list[PromptVersion] | None = None


@endpoint("POST", "3:traces", StartTrace, required=("trace",))
def start_trace(request: AdapterRequest, message: StartTrace) -> bytes:
    """Keep what a program tells of a trace at its end."""
    info = message.trace.trace_info if message.trace is not None else None
    if info is None or not info.trace_id:
        raise missing_parameter("trace.trace_info.trace_id")
    where = info.trace_location.mlflow_experiment if info.trace_location is not None else None
    if where is None or not where.experiment_id:
        raise missing_parameter("trace.trace_info.trace_location")
    experiment = get_experiment(request, where.experiment_id)
    check_active(experiment)
    kept = request.context.guarded(Traces).record(experiment.project, new_trace(info, experiment.number))
    return encode({"trace": {"trace_info": trace_message(kept)}})


@endpoint("GET", "3:traces/{trace_id}", Empty)
def get_trace_info(request: AdapterRequest, _: Empty) -> bytes:
    """Give a trace without its spans."""
    return encode({"trace": {"trace_info": trace_message(find_trace(request, request.path["trace_id"]))}})


@endpoint("GET", "3:traces/get", GetTrace, required=("trace_id",))
def get_trace(request: AdapterRequest, message: GetTrace) -> bytes:
    """Give a trace with its spans, once all of them have come."""
    for wait_s in (*WAITS_S, None):
        found = find_trace(request, message.trace_id, spans=True, told=SPANS_NOT_FOUND)
        if message.allow_partial or _is_complete(found):
            return encode({"trace": _whole_message(found)})
        if wait_s is not None:
            time.sleep(wait_s)
    raise missing(f"Trace with ID {message.trace_id} is not fully exported yet, please try again later.")


@endpoint("GET", "3:traces/batchGet", TracesById, required=("trace_ids",))
def batch_get_traces(request: AdapterRequest, message: TracesById) -> bytes:
    """Give traces with their spans; those whose spans have not all come are left out."""
    found = [trace for trace in _find(request, message, spans=True) if _is_complete(trace)]
    return encode({"traces": list(map(_whole_message, found))} if found else {})


@endpoint("POST", "3:traces/batchGetInfos", TracesById, required=("trace_ids",))
def batch_get_trace_infos(request: AdapterRequest, message: TracesById) -> bytes:
    """Give traces without their spans."""
    found = _find(request, message, spans=False)
    return encode({"trace_infos": list(map(trace_message, found))} if found else {})


@endpoint("POST", "3:traces/search", SearchTraces, required=("locations",))
def search_traces(request: AdapterRequest, message: SearchTraces) -> bytes:
    """Find traces of experiments."""
    locations = message.locations or []
    ids = [each.mlflow_experiment.experiment_id for each in locations if each.mlflow_experiment is not None]
    items, token = search(request, ids, message)
    return encode(page_of({"traces": list(map(trace_message, items))}, token))


@endpoint("POST", "2:traces/delete-traces", DeleteTraces, required=("experiment_id",))
@endpoint("POST", "3:traces/delete-traces", DeleteTraces, required=("experiment_id",))
def delete_traces(request: AdapterRequest, message: DeleteTraces) -> Message:
    """Delete traces of an experiment by time or by ids."""
    _check_deletion(message)
    experiment = get_experiment(request, message.experiment_id)
    wanted = TraceDeletion(
        experiment=experiment.number,
        ids=message.request_ids,
        started_before=_latest(message.max_timestamp_millis),
        limit=message.max_traces,
    )
    done = request.context.guarded(Traces).delete(experiment.project, wanted)
    return TracesDeleted(traces_deleted=done.n_traces)


@endpoint("PATCH", "2:traces/{trace_id}/tags", TraceTag, required=("key",))
@endpoint("PATCH", "3:traces/{trace_id}/tags", TraceTag, required=("key",))
def set_trace_tag(request: AdapterRequest, message: TraceTag) -> None:
    """Set a tag of a trace."""
    _change_tag(request, message.key, check_tag(message.key, message.value))


@endpoint("DELETE", "2:traces/{trace_id}/tags", TraceTag, required=("key",))
@endpoint("DELETE", "3:traces/{trace_id}/tags", TraceTag, required=("key",))
def delete_trace_tag(request: AdapterRequest, message: TraceTag) -> None:
    """Remove a tag of a trace."""
    _change_tag(request, message.key, None)


@endpoint("POST", "2:traces/link-to-run", LinkTraces, required=("trace_ids", "run_id"))
def link_traces_to_run(request: AdapterRequest, message: LinkTraces) -> None:
    """Say that traces have to do with a run."""
    link_traces(request, message.trace_ids or [], message.run_id)


@endpoint("POST", "2:traces/link-prompts", LinkPrompts, required=("trace_id", "prompt_versions"))
def link_prompts(request: AdapterRequest, message: LinkPrompts) -> None:
    """Say which prompts a trace used."""
    place = trace_place(request, message.trace_id)
    prompts = [f"{each.name}/{each.version}" for each in message.prompt_versions or []]
    request.context.guarded(Traces).link_prompts(
        place.project, message.trace_id, TracePrompts(prompts=prompts)
    )


def _find(request: AdapterRequest, message: TracesById, *, spans: bool) -> list[Trace]:
    experiments = None if message.experiment_ids is None else experiment_numbers(message.experiment_ids)
    wanted = TraceIds(ids=message.trace_ids or [], experiments=experiments, spans=spans)
    return request.context.guarded(Traces).find(wanted).items


def _is_complete(found: Trace) -> bool:
    """Tell whether all spans that the program counted have come."""
    try:
        stats = json.loads(found.metadata.get(SIZE_METADATA, "{}"))
        expected = whole(stats.get("num_spans")) or 0
    except (ValueError, AttributeError, RecursionError):
        expected = 0
    return found.n_spans >= max(1, expected)


def _whole_message(found: Trace) -> dict[str, Any]:
    return {"trace_info": trace_message(found), "spans": list(map(span_message, found.spans or ()))}


def _check_deletion(message: DeleteTraces) -> None:
    if message.max_timestamp_millis is None and not message.request_ids:
        raise invalid("Either `max_timestamp_millis` or `trace_ids` must be specified.")
    if message.max_timestamp_millis is not None and message.request_ids:
        raise invalid("Only one of `max_timestamp_millis` and `trace_ids` can be specified.")
    if message.request_ids and message.max_traces is not None:
        raise invalid("`max_traces` can't be specified if `trace_ids` is specified.")
    if message.max_traces is not None and message.max_traces <= 0:
        raise invalid(f"`max_traces` must be a positive integer, received {message.max_traces}.")


def _latest(at_ms: int | None) -> datetime | None:
    """Give the moment up to which traces go; clients write a number beyond all years for all of them."""
    if at_ms is None:
        return None
    return _END_OF_TIME if at_ms > millis(_END_OF_TIME) else instant(at_ms, "max_timestamp_millis")


def _change_tag(request: AdapterRequest, key: str, value: str | None) -> None:
    if key in _SET_BY_SERVER and not (value is None and key in _DELETABLE):
        done = "deleted" if value is None else "set"
        raise invalid(f"Tag '{key}' is immutable and cannot be {done} on a trace.")
    trace_id = request.path["trace_id"]
    place = trace_place(request, trace_id)
    try:
        request.context.guarded(Traces).set_tags(place.project, trace_id, TraceTags(tags={key: value}))
    except TagMissing as error:
        raise missing(error.message) from error


ROUTES = endpoint.routes
