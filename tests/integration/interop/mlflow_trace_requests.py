"""Requests of MLflow's protocol on traces, assessments and evaluation datasets, good and bad, for two servers."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

from google.protobuf import json_format  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from integration.interop.mlflow_requests import AJAX, API, LONG, Step, get, post

API3 = "/api/3.0/mlflow/"
AT_MS = 1_767_312_000_000
AT_NS = AT_MS * 1_000_000
PROTOBUF = "application/x-protobuf"


def trace_id(n: int) -> str:
    """Give the id of one of the traces."""
    return f"tr-{n:032x}"


def post3(path: str, sends: Any = None, /, name: str = "", **more: Any) -> Step:
    """Describe a POST to an endpoint of the third version."""
    return Step(name or f"{path} {str(sends)[:110]}", "POST", API3 + path, sends, **more)


def ask3(method: str, path: str, /, sends: Any = None, name: str = "", **query: Any) -> Step:
    """Describe another request to an endpoint of the third version."""
    pairs = [
        (key, str(each))
        for key, value in query.items()
        for each in (value if isinstance(value, list) else [value])
    ]
    return Step(
        name or f"{method} {path} {str(sends or query)[:110]}", method, API3 + path, sends, query=pairs
    )


def steps() -> Iterator[Step]:
    """Give all requests on traces alone, in their order: `{e}` and `{o}` are experiments, `{run}` a run."""
    yield post("experiments/create", {"name": "traced"}, keeps={"e": "experiment_id"})
    yield post("experiments/create", {"name": "other"}, keeps={"o": "experiment_id"})
    yield post(
        "runs/create",
        {"experiment_id": "{e}", "start_time": AT_MS, "user_id": "me"},
        keeps={"run": "run.info.run_id"},
    )
    yield from _starts()
    yield from _spans()
    yield from _foreign_spans()
    yield from _refused_spans()
    yield from _reads()
    yield from _tags()
    yield from _links()
    yield from _older()


def info(n: int, experiment: str = "{e}", **more: Any) -> dict[str, Any]:
    """Give what a client tells of a trace at its end."""
    return {
        "trace_id": trace_id(n),
        "client_request_id": f"c{n}",
        "trace_location": {
            "type": "MLFLOW_EXPERIMENT",
            "mlflow_experiment": {"experiment_id": experiment},
        },
        "request_preview": f'{{"q": {n}}}',
        "response_preview": f'"{n}"',
        "request_time": f"2026-01-02T00:00:0{n % 10}Z",
        "execution_duration": f"{n}.5s",
        "state": "OK",
        "trace_metadata": {"mlflow.trace_schema.version": "3", "mlflow.user": "a", "n": str(n)},
        "tags": {"mlflow.traceName": f"t{n}", "colour": "red" if n % 2 else "blue"},
        **more,
    }


def started(n: int, name: str = "", **more: Any) -> Step:
    """Describe how a trace is told of."""
    return post3("traces", {"trace": {"trace_info": info(n, **more)}}, name or f"start trace {n}")


def _starts() -> Iterator[Step]:
    yield from (started(n) for n in range(1, 5))
    yield started(5, state="ERROR")
    yield started(6, state="IN_PROGRESS", execution_duration=None)
    yield started(7, experiment="{o}")
    yield started(1, "the same again", tags={"more": "1"}, trace_metadata={"m": "2"}, state="ERROR")
    yield started(8, "no preview", request_preview=None, response_preview=None, client_request_id=None)
    yield started(9, "no state", state=None)
    yield started(11, "an unknown state", state="NOPE")
    yield started(12, "an unknown experiment", experiment="99999")
    yield started(13, "an experiment that is no number", experiment="abc")
    yield started(14, "no time", request_time=None)
    yield started(15, "a wrong time", experiment="{o}", request_time="yesterday")
    yield started(16, "a wrong duration", experiment="{o}", execution_duration="5 minutes")
    yield started(17, "a long tag", tags={"k" * 251: "v"})
    yield started(18, "a long value", tags={"k": "v" * 8001})
    yield started(19, "a long metadata", trace_metadata={"k" * 251: "v", "l": "v" * 300})
    yield started(20, "a numeric tag", experiment="{o}", tags={"k": 1})
    yield post3("traces", {}, "nothing")
    yield post3("traces", {"trace": {"trace_info": {"trace_id": trace_id(21)}}}, "only an id")
    words = {
        "mlflow.trace.session": "s1",
        "mlflow.trace.user": "u1",
        "mlflow.trace.tokenUsage": '{"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}',
        "mlflow.trace.cost": '{"input_cost": 0.5, "output_cost": 1.0, "total_cost": 1.5}',
    }
    yield started(22, "session and usage", trace_metadata=words)
    judged = {
        "assessment_name": "ok",
        "trace_id": trace_id(23),
        "feedback": {"value": True},
        "source": {"source_type": "HUMAN", "source_id": "me"},
        "create_time": "2026-01-02T00:00:00Z",
    }
    yield started(23, "with an assessment", assessments=[judged])


def wire_value(value: Any) -> dict[str, Any]:
    """Give a value as OpenTelemetry's JSON has it."""
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": list(map(wire_value, value))}}
    if isinstance(value, dict):
        return {"kvlistValue": {"values": attributes(value)}}
    return {"stringValue": value}


def attributes(values: dict[str, Any]) -> list[dict[str, Any]]:
    """Give attributes as OpenTelemetry's JSON has them."""
    return [{"key": key, "value": wire_value(value)} for key, value in values.items()]


def span(n: int, at: int, parent: int | None = None, **more: Any) -> dict[str, Any]:
    """Give a span of a trace as OpenTelemetry's JSON has it."""
    own = {
        "mlflow.traceRequestId": trace_id(n),
        "mlflow.spanType": "LLM" if at else "CHAIN",
        "mlflow.spanInputs": {"q": n},
        "mlflow.spanOutputs": {"a": at},
    }
    return {
        "traceId": f"{n:032x}",
        "spanId": f"{n * 100 + at:016x}",
        **({} if parent is None else {"parentSpanId": f"{n * 100 + parent:016x}"}),
        "name": f"s{at}",
        "kind": 1,
        "startTimeUnixNano": str(AT_NS + n * 1_000_000_000 + at * 1_000_000),
        "endTimeUnixNano": str(AT_NS + n * 1_000_000_000 + (at + 1 + n) * 1_000_000),
        "status": {"code": 1},
        "attributes": attributes(own),
        **more,
    }


def as_json(*spans: dict[str, Any]) -> dict[str, Any]:
    """Give an export as OpenTelemetry's JSON has it."""
    return {"resourceSpans": [{"scopeSpans": [{"spans": list(spans)}]}]}


def as_protobuf(*spans: dict[str, Any]) -> bytes:
    """Give an export as OpenTelemetry's protobuf has it."""
    ids = ("traceId", "spanId", "parentSpanId")
    binary = [
        {
            key: base64.b64encode(bytes.fromhex(value)).decode() if key in ids else value
            for key, value in each.items()
        }
        for each in spans
    ]
    message = json_format.ParseDict(as_json(*binary), ExportTraceServiceRequest())
    return bytes(message.SerializeToString())


def exported(name: str, raw: bytes, experiment: str | None = "{e}", **more: Any) -> Step:
    """Describe an export of spans."""
    headers = {} if experiment is None else {"x-mlflow-experiment-id": experiment}
    headers |= more.pop("headers", {})
    return Step(
        f"export {name}",
        "POST",
        "/v1/traces",
        raw=raw,
        headers=headers,
        **{"content_type": PROTOBUF, **more},
    )


def _spans() -> Iterator[Step]:
    yield exported("a child first", as_protobuf(span(1, 1, 0)))
    yield exported("then its root", as_protobuf(span(1, 0)))
    failed = span(3, 0, status={"code": 2, "message": "boom"})
    yield exported("two traces", as_protobuf(span(2, 0), span(2, 1, 0), failed))
    yield exported("no spans", as_protobuf())


def _foreign_spans() -> Iterator[Step]:
    other = {"experiment": "{o}"}
    values = {"http.method": "GET", "n": 3, "f": 1.5, "b": True, "l": [1, "x"], "m": {"a": 1}}
    event = {"timeUnixNano": str(AT_NS), "name": "ev", "attributes": attributes({"k": "v"})}
    foreign = span(30, 0, attributes=attributes(values), events=[event])
    yield exported("foreign attributes", as_protobuf(foreign), **other)
    yield exported("a child whose root never comes", as_protobuf(span(32, 1, 0)), **other)
    as_text = json.dumps(as_json(span(34, 0))).encode()
    yield exported("as JSON", as_text, content_type="application/json", **other)


def _refused_spans() -> Iterator[Step]:
    good = as_protobuf(span(35, 0))
    yield exported("refused: without an experiment", good, experiment=None)
    yield exported("to an unknown experiment", good, experiment="99999")
    yield exported("refused: a span without a trace", as_protobuf(span(35, 0, traceId="")))
    yield exported("refused: a span without an id", as_protobuf(span(35, 0, spanId="")))
    yield exported("refused: no JSON", b"{", content_type="application/json")
    yield exported("refused: no protobuf", b"\xff\xff")
    yield exported("refused: an empty protobuf", b"")
    yield exported("refused: wrongly packed", good, headers={"content-encoding": "gzip"})
    yield exported("refused: packed unheard of", good, headers={"content-encoding": "br"})
    yield exported("refused: as text", good, content_type="text/plain")


def _reads() -> Iterator[Step]:
    for n in (1, 2, 3, 5, 6, 8, 9, 14, 22, 23, 30, 32, 34, 99):
        yield ask3("GET", f"traces/{trace_id(n)}", name=f"info of {n}")
    for n in (1, 2, 3, 30, 32, 34, 99):
        query = {"trace_id": trace_id(n), "allow_partial": "true"}
        yield ask3("GET", "traces/get", name=f"trace {n}", **query)
    yield ask3("GET", "traces/get", name="trace 30 in full", trace_id=trace_id(30))
    yield ask3("GET", "traces/get", name="a trace without spans", trace_id=trace_id(5))
    yield ask3("GET", "traces/get")
    yield ask3("GET", "traces/batchGet", trace_ids=[trace_id(1), trace_id(2), trace_id(99)])
    yield ask3("GET", "traces/batchGet")
    yield post3("traces/batchGetInfos", {"trace_ids": [trace_id(1), trace_id(99), trace_id(2)]})
    yield post3("traces/batchGetInfos", {})
    yield get("get-trace-artifact", root=AJAX, request_id=trace_id(30))
    yield get("get-trace-artifact", root=AJAX, request_id=trace_id(99))
    yield get("get-trace-artifact", root=AJAX)


def _tags() -> Iterator[Step]:
    at = f"traces/{trace_id(2)}/tags"
    changes: list[dict[str, Any]] = [
        {"key": "a", "value": "1"},
        {"key": "a", "value": "2"},
        {"key": "empty"},
        {"value": "1"},
        {"key": LONG, "value": "1"},
        {"key": "big", "value": "x" * 8001},
        {"key": "a/b.c d-e_f", "value": "1"},
        {"key": "a,b", "value": "1"},
        {"key": "mlflow.trace.spansLocation", "value": "x"},
        {"key": 3, "value": 3},
    ]
    for version, root in (("2", API), ("3", API3)):
        for sends in changes:
            yield Step(f"set tag {version} {str(sends)[:60]}", "PATCH", root + at, sends)
        unknown = f"{root}traces/{trace_id(99)}/tags"
        yield Step("tag nothing", "PATCH", unknown, {"key": "a", "value": "1"})
        for key in ("a", "a", "never"):
            yield Step(f"delete tag {version} {key}", "DELETE", root + at, query=[("key", key)])
        yield Step("delete a tag in a body", "DELETE", root + at, {"key": "empty"})
        yield Step("delete no tag", "DELETE", root + at)
    yield ask3("GET", f"traces/{trace_id(2)}", name="after tagging")


def _links() -> Iterator[Step]:
    yield post("traces/link-to-run", {"trace_ids": [trace_id(1), trace_id(2)], "run_id": "{run}"})
    yield post("traces/link-to-run", {"trace_ids": [trace_id(1)], "run_id": "{run}"}, "link again")
    yield post("traces/link-to-run", {"trace_ids": [], "run_id": "{run}"})
    yield post("traces/link-to-run", {"run_id": "{run}"})
    yield post("traces/link-to-run", {"trace_ids": [trace_id(1)]})
    yield post("traces/link-to-run", {"trace_ids": [trace_id(n) for n in range(101)], "run_id": "{run}"})
    prompts = [{"name": "p", "version": "1"}]
    yield post("traces/link-prompts", {"trace_id": trace_id(3), "prompt_versions": prompts})
    yield post("traces/link-prompts", {"trace_id": trace_id(3)})
    yield ask3("GET", f"traces/{trace_id(3)}", name="after linking")


def _older() -> Iterator[Step]:
    pairs = [{"key": "k", "value": "v"}]
    begin = {"experiment_id": "{o}", "timestamp_ms": AT_MS, "request_metadata": pairs, "tags": pairs}
    yield post("traces", begin, "begin in the older form", keeps={"old": "trace_info.request_id"})
    yield post("traces", {"experiment_id": "{o}"}, "begin with nothing")
    yield post("traces", {"experiment_id": "99999", "timestamp_ms": AT_MS}, "begin nowhere")
    yield get(f"traces/{trace_id(1)}/info")
    yield get(f"traces/{trace_id(99)}/info")
    yield get("traces", experiment_ids=["{e}"], max_results=2, order_by="timestamp_ms DESC")
    yield get("traces", experiment_ids=["{e}"], filter="status = 'OK'")
    yield get("traces")
    end = {"timestamp_ms": AT_MS + 9000, "status": "OK", "request_metadata": pairs, "tags": pairs}
    yield Step("end a trace", "PATCH", f"{API}traces/{trace_id(6)}", end)
    yield Step("end no trace", "PATCH", f"{API}traces/{trace_id(99)}", end)
    yield get(f"traces/{trace_id(6)}/info", name="after the end")


def deletions() -> Iterator[Step]:
    """Give requests that delete traces: they come last."""
    bodies: list[dict[str, Any]] = [
        {"experiment_id": "{e}"},
        {"max_timestamp_millis": 1},
        {"experiment_id": "{e}", "max_timestamp_millis": 1, "request_ids": ["x"]},
        {"experiment_id": "{e}", "request_ids": ["x"], "max_traces": 1},
        {"experiment_id": "{e}", "max_timestamp_millis": 1, "max_traces": 0},
        {"experiment_id": "{e}", "max_timestamp_millis": AT_MS + 3000, "max_traces": 1},
        {"experiment_id": "{e}", "request_ids": [trace_id(5), trace_id(99), trace_id(7)]},
        {"experiment_id": "{e}", "request_ids": []},
        {"experiment_id": "99999", "request_ids": ["x"]},
    ]
    for version, root in (("2", API), ("3", API3)):
        for sends in bodies:
            yield Step(f"delete {version} {sends}", "POST", f"{root}traces/delete-traces", sends)
    everything = {"experiment_id": "{e}", "max_timestamp_millis": 10**15}
    yield post3("traces/delete-traces", everything, "delete all")
    for n in (2, 7):
        yield ask3("GET", f"traces/{trace_id(n)}", name=f"after deleting: {n}")
