"""MLflow's older endpoints of traces, which clients before 3.0 use."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from noria.core.adapters import AdapterRequest
from noria.interop.mlflow.messages import Empty, KeyValue
from noria.interop.mlflow.projects import check_active, get_experiment
from noria.interop.mlflow.times import instant
from noria.interop.mlflow.trace_access import Wanted, find_trace, page_of, search, trace_place
from noria.interop.mlflow.trace_messages import Status, old_trace_message, told
from noria.interop.mlflow.wire import Endpoints, Int64, Message, encode
from noria.tracking.traces.entities import NewTrace, TraceEnd, TraceState
from noria.tracking.traces.service import Traces

endpoint = Endpoints()


class OldSearchTraces(Wanted):
    """Asks for traces that fit a filter."""

    experiment_ids: list[str] | None = None


class OldStartTrace(Message):
    """A trace that begins, in the older form."""

    experiment_id: str = ""
    timestamp_ms: Int64 = 0
    request_metadata: list[KeyValue] = []
    tags: list[KeyValue] = []


class OldEndTrace(Message):
    """A trace that has ended, in the older form."""

    timestamp_ms: Int64 = 0
    status: Status = Status.TRACE_STATUS_UNSPECIFIED
    request_metadata: list[KeyValue] = []
    tags: list[KeyValue] = []


@endpoint("GET", "2:traces", OldSearchTraces, required=("experiment_ids",))
def old_search_traces(request: AdapterRequest, message: OldSearchTraces) -> bytes:
    """Find traces of experiments, in the older form."""
    items, token = search(request, message.experiment_ids or [], message)
    return encode(page_of({"traces": list(map(old_trace_message, items))}, token))


@endpoint("POST", "2:traces", OldStartTrace, required=("experiment_id",))
def old_start_trace(request: AdapterRequest, message: OldStartTrace) -> bytes:
    """Keep what a program tells of a trace that begins."""
    experiment = get_experiment(request, message.experiment_id)
    check_active(experiment)
    parts = told(_pairs(message.request_metadata), _pairs(message.tags))
    new = NewTrace(
        id=uuid.uuid4().hex,
        experiment=experiment.number,
        started_at=instant(message.timestamp_ms, "timestamp_ms"),
        state=TraceState.IN_PROGRESS,
        name=parts.name,
        session=parts.session,
        usage=parts.usage,
        cost=parts.cost,
        metadata=parts.metadata,
        tags=parts.tags,
        is_final=False,
    )
    kept = request.context.guarded(Traces).record(experiment.project, new)
    return encode({"trace_info": old_trace_message(kept)})


@endpoint("PATCH", "2:traces/{trace_id}", OldEndTrace)
def old_end_trace(request: AdapterRequest, message: OldEndTrace) -> bytes:
    """Close a trace."""
    trace_id = request.path["trace_id"]
    place = trace_place(request, trace_id)
    parts = told(_pairs(message.request_metadata), _pairs(message.tags))
    end = TraceEnd(
        state=message.status.state,
        ended_at=instant(message.timestamp_ms, "timestamp_ms"),
        name=parts.name,
        session=parts.session,
        usage=parts.usage,
        cost=parts.cost,
        metadata=parts.metadata,
        tags=parts.tags,
    )
    kept = request.context.guarded(Traces).end(place.project, trace_id, end)
    return encode({"trace_info": old_trace_message(kept)})


@endpoint("GET", "2:traces/{trace_id}/info", Empty)
def old_get_trace_info(request: AdapterRequest, _: Empty) -> bytes:
    """Give a trace without its spans, in the older form."""
    return encode({"trace_info": old_trace_message(find_trace(request, request.path["trace_id"]))})


def _pairs(values: Sequence[KeyValue]) -> dict[str, str]:
    return {each.key: each.value for each in values}


ROUTES = endpoint.routes
