"""Tells traces with their spans and attached files."""

from __future__ import annotations

import inspect
import json
import re
from typing import Any

from .files import Files
from .lines import Telling
from .values import first, name, plain, texts

SPANS = 100

_ATTACHMENT = re.compile(r"mlflow-attachment://([0-9a-fA-F-]{36})")


class Traces:
    """Reads traces."""

    def __init__(self, telling: Telling, files: Files) -> None:
        self._telling = telling
        self._files = files

    def tell(self, experiment: str, runs: list[str]) -> None:
        """Tell all traces of an experiment, and which belong to which of its runs."""
        search = getattr(self._telling.client, "search_traces", None)
        if search is None:  # MLflow before 2.14 has none
            return
        takes = inspect.signature(search).parameters
        wanted: dict[str, Any] = {"locations" if "locations" in takes else "experiment_ids": [experiment]}
        if "include_spans" in takes:
            wanted["include_spans"] = False
        has_some = False
        for trace in self._telling.paged(search, order_by=["timestamp_ms ASC"], **wanted):
            has_some = True
            self._telling.guarded(
                "trace", first(trace.info, "trace_id", "request_id"), self._trace, trace.info
            )
        for run in runs if has_some else ():
            found = self._telling.paged(search, filter_string=f"attributes.run_id = '{run}'", **wanted)
            traces = [first(each.info, "trace_id", "request_id") for each in found]
            if traces:
                self._telling.tell("trace-links", run=run, traces=traces)

    def _trace(self, info: Any) -> None:
        trace_id = first(info, "trace_id", "request_id")
        said = self._telling.ask(
            "trace",
            id=trace_id,
            experiment=info.experiment_id,
            client_request_id=getattr(info, "client_request_id", None),
            started_ms=first(info, "request_time", "timestamp_ms") or 0,
            duration_ms=first(info, "execution_duration", "execution_time_ms"),
            state=name(first(info, "state", "status")),
            request=getattr(info, "request_preview", None),
            response=getattr(info, "response_preview", None),
            metadata=texts(first(info, "trace_metadata", "request_metadata")),
            tags=texts(info.tags),
            assessments=[plain(each.to_dictionary()) for each in getattr(info, "assessments", None) or []],
        )
        if said != "take":
            return
        n_skipped = self._telling.n_skipped
        attached: set[str] = set()
        self._telling.guarded("spans of trace", trace_id, self._spans, trace_id, attached)
        if attached and self._files.wanted:
            self._telling.guarded(
                "attachments of trace", trace_id, self._attachments, trace_id, info.tags, attached
            )
        whole = self._telling.n_skipped == n_skipped and (self._files.wanted or not attached)
        self._telling.tell("trace-end", id=trace_id, complete=whole)

    def _spans(self, trace_id: str, attached: set[str]) -> None:
        """Tell the spans of a trace, and collect the ids of the files that they refer to."""
        found = self._telling.client.get_trace(trace_id, display=False)
        spans = [_span(trace_id, each) for each in (found.data.spans if found is not None else [])]
        for start in range(0, len(spans), SPANS):
            part = spans[start : start + SPANS]
            attached.update(_ATTACHMENT.findall(json.dumps(part)))
            self._telling.tell("spans", spans=part)

    def _attachments(self, trace_id: str, tags: dict[str, str], attached: set[str]) -> None:
        files = self._files.repository(tags["mlflow.artifactLocation"])
        for each in sorted(attached):
            self._telling.guarded(
                f"attachment of {trace_id}", each, self._files.tell_one, files, f"attachments/{each}"
            )


def _kind(span: Any) -> str:
    # MLflow keeps the kind from 3.18 on, and tells it by no property.
    kind = getattr(getattr(span, "_span", None), "kind", None)
    return getattr(kind, "name", "INTERNAL")


def _span(trace_id: str, span: Any) -> dict[str, Any]:
    return {
        "trace_id": trace_id,
        "id": span.span_id.removeprefix("0x"),
        "parent": span.parent_id.removeprefix("0x") if span.parent_id else None,
        "name": span.name,
        "started_ns": span.start_time_ns or 0,
        "ended_ns": span.end_time_ns,
        "status": name(span.status.status_code),
        "message": span.status.description or "",
        "kind": _kind(span),
        "attributes": plain(span.attributes),
        "events": [
            {"name": event.name, "at_ns": event.timestamp, "attributes": plain(event.attributes or {})}
            for event in span.events or []
        ],
        "links": [
            {"trace_id": each.trace_id, "span_id": each.span_id, "attributes": plain(each.attributes or {})}
            for each in getattr(span, "links", None) or []
        ],
    }
