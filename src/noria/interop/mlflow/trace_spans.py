"""Spans as they arrive from OpenTelemetry's clients, and the files of traces."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import Final

from noria.core.adapters import AdapterAnswer, AdapterRequest, AdapterStream
from noria.core.errors import NoriaError
from noria.interop.mlflow.artifact_files import file_answer
from noria.interop.mlflow.artifact_paths import file_parts_of, proxied_parts
from noria.interop.mlflow.artifact_places import place_of
from noria.interop.mlflow.errors import STATUS, MlflowError, code_of, missing, refuse
from noria.interop.mlflow.otlp import JSON, PROTOBUF, SpanUnusable, read_spans, unpacked
from noria.interop.mlflow.projects import get_experiment
from noria.interop.mlflow.trace_access import MAX_LINKED, SPANS_NOT_FOUND, find_trace, link_traces
from noria.interop.mlflow.trace_messages import files_of, stored_span
from noria.interop.mlflow.wire import Endpoints, encode
from noria.tracking.traces.entities import SpanBatch, Trace
from noria.tracking.traces.service import Traces

_UNPROCESSABLE: Final = 422

_log = logging.getLogger(__name__)
endpoint = Endpoints()


def export_spans(request: AdapterRequest) -> AdapterAnswer:
    """Keep spans that OpenTelemetry sends."""
    try:
        media_type = request.headers.get("content-type", "").partition(";")[0].strip()
        if media_type not in (PROTOBUF, JSON):
            raise MlflowError(
                "BAD_REQUEST",
                f"Invalid Content-Type: {request.headers.get('content-type')}. Expected: {PROTOBUF} or {JSON}",
            )
        encoding = request.headers.get("content-encoding", "").strip().lower()
        body = unpacked(request.body, encoding) if encoding not in ("", "identity") else request.body
        experiment_id = request.headers.get("x-mlflow-experiment-id")
        if experiment_id is None:
            return _refused(
                _UNPROCESSABLE, "INVALID_PARAMETER_VALUE", "The header `x-mlflow-experiment-id` is missing"
            )
        spans, resources = read_spans(body, media_type)
        experiment = get_experiment(request, experiment_id)
        batch = SpanBatch(experiment=experiment.number, spans=spans, resources=resources)
        kept = request.context.guarded(Traces).keep_spans(experiment.project, batch)
        run_id = request.headers.get("x-mlflow-run-id")
        if run_id and kept.ended_traces:
            _link_quietly(request, kept.ended_traces, run_id)
    except SpanUnusable as error:
        return _refused(_UNPROCESSABLE, "INVALID_PARAMETER_VALUE", error.message)
    except NoriaError as error:
        code = error.error_code if isinstance(error, MlflowError) else code_of(error, {})
        return _refused(STATUS[code], code, error.message)
    return AdapterAnswer(body=b"{}" if media_type == JSON else b"", media_type=media_type)


def get_trace_artifact(request: AdapterRequest) -> AdapterAnswer | AdapterStream:
    """Give the spans of a trace as the file that clients once kept them in, or a file that belongs to it."""
    try:
        trace_id = request.query.get("request_id", [""])[0]
        if not trace_id:
            raise MlflowError("BAD_REQUEST", 'Request must include the "request_id" query parameter.')
        path = request.query.get("path", [""])[0]
        found = find_trace(request, trace_id, spans=not path, told=SPANS_NOT_FOUND)
        if found.n_spans and not path:
            body = json.dumps({"spans": list(map(stored_span, found.spans or ()))}).encode()
            headers = {
                "content-disposition": "attachment; filename=traces.json",
                "x-content-type-options": "nosniff",
            }
            return AdapterAnswer(body=body, media_type="application/octet-stream", headers=headers)
        return _file_of(request, found, f"attachments/{path}" if path else "traces.json")
    except NoriaError as error:
        return refuse(error)


def _link_quietly(request: AdapterRequest, trace_ids: Sequence[str], run_id: str) -> None:
    """Link traces whose spans are kept already: a wrong run does not lose them."""
    try:
        for at in range(0, len(trace_ids), MAX_LINKED):
            link_traces(request, trace_ids[at : at + MAX_LINKED], run_id)
    except NoriaError as error:
        _log.warning("traces.not_linked", extra={"run_id": run_id, "reason": error.message})


def _file_of(request: AdapterRequest, found: Trace, path: str) -> AdapterAnswer | AdapterStream:
    below = proxied_parts(files_of(found))
    if below is None:
        raise missing(f"The files of trace {found.id} are not kept by this server.")
    place = place_of(request, [*below, *file_parts_of(path)])
    return file_answer(request, place)


def _refused(status: int, code: str, message: str) -> AdapterAnswer:
    """Tell an error so that both kinds of clients find it: MLflow's, and those of OpenTelemetry."""
    return AdapterAnswer(
        status=status, body=encode({"error_code": code, "message": message, "detail": message})
    )


endpoint.add("POST", "/v1/traces", export_spans)
endpoint.add("GET", "/ajax-api/2.0/mlflow/get-trace-artifact", get_trace_artifact)
endpoint.add("GET", "/ajax-api/3.0/mlflow/get-trace-artifact", get_trace_artifact)

ROUTES = endpoint.routes
