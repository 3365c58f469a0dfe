"""Requests of MLflow's protocol that look for traces, or for figures on them, for two servers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from integration.interop.mlflow_requests import Step
from integration.interop.mlflow_trace_requests import AT_MS, post3

HERE = [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "{e}"}}]
FILTERS = (
    "",
    "status = 'OK'",
    "trace.status = 'ERROR'",
    "status != 'OK'",
    "status IN ('OK', 'ERROR')",
    "status NOT IN ('OK')",
    "status > 'OK'",
    "status LIKE 'O%'",
    "attributes.status = 'OK'",
    "attribute.status = 'OK'",
    "name = 't1'",
    "trace.name = 't1'",
    "name LIKE 't%'",
    "name ILIKE 'T%'",
    "name RLIKE '^t[12]$'",
    "name != 't1'",
    "timestamp_ms > 1767312003000",
    "timestamp > 1767312003000",
    "timestamp_ms >= 1767312003000 AND timestamp_ms < 1767312005000",
    "timestamp_ms = 1767312003000",
    "timestamp_ms > 1.5",
    "execution_time_ms > 3000",
    "execution_time > 3000",
    "trace.execution_time_ms <= 2500",
    "execution_time_ms != 2500",
    "request_id = 'tr-00000000000000000000000000000001'",
    "client_request_id = 'c2'",
    "trace.client_request_id LIKE 'c%'",
    "end_time > 1767312003000",
    "end_time_ms > 1767312003000",
    "tags.colour = 'red'",
    "tag.colour = 'red'",
    "tags.colour != 'red'",
    "tags.`colour` = 'red'",
    'tags."colour" = "red"',
    "tags.colour LIKE 'r%'",
    "tags.colour ILIKE 'R%'",
    "tags.colour RLIKE 'r.d'",
    "tags.colour IS NULL",
    "tags.colour IS NOT NULL",
    "tags.colour = 3",
    "tags.colour > 'a'",
    "tags.mlflow.traceName = 't1'",
    "tags.`mlflow.traceName` LIKE 't%'",
    "metadata.n = '3'",
    "metadata.n != '3'",
    "request_metadata.n = '3'",
    "metadata.`mlflow.user` = 'a'",
    "metadata.n LIKE '%'",
    "metadata.`mlflow.trace.session` = 's1'",
    "run_id = '{run}'",
    "attributes.run_id = '{run}'",
    "trace.run_id = '{run}'",
    "run_id != '{run}'",
    "prompt = 'p/1'",
    "prompt = 'p'",
    "trace.text LIKE '%s1%'",
    "span.name = 's1'",
    "span.name LIKE 's%'",
    "span.name ILIKE 'S1'",
    "span.name RLIKE 's[1]'",
    "span.name != 's0'",
    "span.name IN ('s1', 's9')",
    "span.type = 'LLM'",
    "span.type IN ('LLM', 'CHAIN')",
    "span.type != 'LLM'",
    "span.status = 'ERROR'",
    "span.status = 'OK'",
    "span.content LIKE '%boom%'",
    "span.attributes.`mlflow.spanInputs` LIKE '%q%'",
    "span.attributes.mlflow.spanInputs ILIKE '%Q%'",
    "span.nope = 'x'",
    "span.name = 's1' AND span.type = 'LLM'",
    "span.name = 's1' AND span.type = 'CHAIN'",
    "feedback.good = 'true'",
    "feedback.good = 'True'",
    "feedback.good != 'true'",
    "feedback.good IS NULL",
    "feedback.good IS NOT NULL",
    "feedback.nope IS NULL",
    "feedback.good LIKE 'tr%'",
    "expectation.good = 'x'",
    "expectation.good LIKE '%x%'",
    "expectation.good RLIKE 'x'",
    "issue.id = 'x'",
    "status",
    "status = OK",
    "(status = 'OK')",
    "status = 'OK' AND tags.colour = 'red' AND name LIKE 't%'",
    "status = 'OK' and tags.colour = 'red'",
    "name = 'it''s'",
    'name = "t1"',
    "name = t1",
)
REFUSED = (
    "state = 'OK'",
    "timestamp_ms LIKE '1%'",
    "trace_id = 'tr-00000000000000000000000000000001'",
    "trace.id = 'tr-00000000000000000000000000000001'",
    "tags.colour IN ('red')",
    "trace_metadata.n = '3'",
    "prompt LIKE 'p%'",
    "linked_prompts = 'p/1'",
    "trace.text = 'x'",
    "assessment.good = 'true'",
    "feedback.good = true",
    "nope = 'x'",
    "nope.x = 'y'",
    "status = ",
    "= 'OK'",
    "status = 'OK' OR status = 'ERROR'",
    "NOT status = 'OK'",
    "status = 'OK';",
    "name = 3",
    "trace_id IN ('a','b')",
    "name IN ('t1','t2')",
    "run_id IN ('x')",
    "request LIKE '%1%'",
    "request_preview LIKE '%1%'",
    "session = 's1'",
    "user = 'a'",
)
TAKEN = ("text LIKE '%boom%'", "text ILIKE '%S1%'")
ORDERS: tuple[list[str], ...] = (
    [],
    ["timestamp_ms"],
    ["timestamp_ms DESC"],
    ["timestamp ASC"],
    ["execution_time_ms"],
    ["execution_time DESC"],
    ["status", "timestamp_ms DESC"],
    ["name DESC"],
    ["trace.name"],
    ["tags.colour", "timestamp_ms"],
    ["tags.colour DESC"],
    ["metadata.n"],
    ["request_id DESC"],
    ["experiment_id"],
    ["run_id"],
    ["timestamp_ms sideways"],
    ["timestamp_ms DESC, status"],
    [""],
)
REFUSED_ORDERS = (["trace_id DESC"], ["client_request_id"], ["feedback.good"], ["span.name"], ["nope"])


def steps() -> Iterator[Step]:
    """Give all requests in their order."""
    yield from _searches()
    yield from _metrics()
    yield from _correlations()


def _searches() -> Iterator[Step]:
    named = (("filter", FILTERS), ("refused filter", REFUSED), ("taken filter", TAKEN))
    for name, filters in named:
        for text in filters:
            sends = {"locations": HERE, "filter": text, "order_by": ["request_id"]}
            yield post3("traces/search", sends, f"{name} {text}")
    for name, orders in (("order", ORDERS), ("refused order", REFUSED_ORDERS)):
        for order in orders:
            yield post3("traces/search", {"locations": HERE, "order_by": order}, f"{name} {order}")
    for limit in (1, 0, -1, 500, 501, "2", "x"):
        yield post3("traces/search", {"locations": HERE, "max_results": limit}, f"limit {limit}")
    unknown = [{"mlflow_experiment": {"experiment_id": "99999"}}]
    yield post3("traces/search", {}, "no locations")
    yield post3("traces/search", {"locations": []}, "empty locations")
    yield post3("traces/search", {"locations": [{"type": "UC_SCHEMA", "uc_schema": {}}]}, "another location")
    yield post3("traces/search", {"locations": unknown}, "an unknown location")
    yield post3("traces/search", {"locations": HERE, "page_token": "nonsense"}, "a wrong token")


def _metrics() -> Iterator[Step]:
    yield from _trace_metrics()
    yield from _filtered_metrics()
    yield from _timed_metrics()
    yield from _other_metrics()
    yield post3("traces/metrics", {}, "metrics of nothing")


def asked(*kinds: Any, name: str = "metrics", **more: Any) -> Step:
    """Describe a request for figures."""
    aggregations = [each if isinstance(each, dict) else {"aggregation_type": each} for each in kinds]
    base = {"experiment_ids": ["{e}"], "view_type": "TRACES", "metric_name": "trace_count"}
    sends = {**base, "aggregations": aggregations or [{"aggregation_type": "COUNT"}], **more}
    return post3("traces/metrics", sends, f"{name} {kinds or ''}{str(more)[:100]}")


def _trace_metrics() -> Iterator[Step]:
    median = {"aggregation_type": "PERCENTILE", "percentile_value": 50}
    yield asked()
    for dimensions in (["trace_status"], ["trace_name"], ["trace_name", "trace_status"], ["nope"]):
        yield asked(dimensions=dimensions)
    yield asked(metric_name="nope")
    yield asked("SUM")
    yield asked("AVG", "MIN", "MAX", median, metric_name="latency")
    yield asked(metric_name="latency")
    yield asked("SUM", metric_name="latency")
    for metric in ("input_tokens", "output_tokens", "total_tokens", "cache_read_input_tokens"):
        yield asked("SUM", metric_name=metric)
    yield asked("SUM", metric_name="total_cost")
    yield asked(metric_name="session_count")
    yield asked(max_results=1, dimensions=["trace_name"])
    yield asked(experiment_ids=[])
    yield asked(view_type="NOPE")
    yield asked({"aggregation_type": "PERCENTILE"}, name="metrics that fail")
    yield asked({"aggregation_type": "PERCENTILE", "percentile_value": 101}, name="metrics that fail")
    yield asked(name="metrics that fail", aggregations=[])


def _filtered_metrics() -> Iterator[Step]:
    for text in ("trace.status = 'OK'", "trace.tag.colour = 'red'", "trace.metadata.n = '3'"):
        yield asked(filters=[text])
    for text in ("status = 'OK'", "trace.status != 'OK'", "nonsense"):
        yield asked(name="refused metrics", filters=[text])


def _timed_metrics() -> Iterator[Step]:
    minute: dict[str, Any] = {"start_time_ms": AT_MS, "end_time_ms": AT_MS + 60_000}
    yield asked(time_interval_seconds=60, **minute)
    yield asked(time_interval_seconds=2, **minute)
    yield asked(time_interval_seconds=60)
    yield asked(time_interval_seconds=0)
    yield asked(start_time_ms=AT_MS + 3000)
    yield asked(name="metrics of a wrong interval", time_interval_seconds=-1, **minute)


def _other_metrics() -> Iterator[Step]:
    spans = {"view_type": "SPANS", "metric_name": "span_count"}
    yield asked(**spans)
    for dimensions in (["span_type"], ["span_name", "span_status"], ["span_model_name"]):
        yield asked(**spans, dimensions=dimensions)
    for text in ("span.type = 'LLM'", "span.name = 's0'"):
        yield asked(**spans, filters=[text])
    yield asked("AVG", view_type="SPANS", metric_name="latency")
    yield asked(view_type="SPANS", metric_name="trace_count")
    judged = {"view_type": "ASSESSMENTS", "metric_name": "assessment_count"}
    yield asked(**judged)
    for dimension in ("assessment_name", "assessment_value"):
        yield asked(**judged, dimensions=[dimension])
    for text in ("assessment.name = 'good'", "assessment.type = 'feedback'"):
        yield asked(**judged, filters=[text])
    yield asked("AVG", view_type="ASSESSMENTS", metric_name="assessment_value")


def _correlations() -> Iterator[Step]:
    for first, second, base in (
        ("tags.colour = 'red'", "status = 'OK'", None),
        ("tags.colour = 'red'", "tags.colour = 'blue'", None),
        ("tags.colour = 'red'", "tags.colour = 'red'", None),
        ("tags.colour = 'none'", "status = 'OK'", None),
        ("tags.colour = 'red'", "status = 'OK'", "name LIKE 't%'"),
        ("nonsense", "status = 'OK'", None),
        ("", "", None),
    ):
        sends = {
            "experiment_ids": ["{e}"],
            "filter_string1": first,
            "filter_string2": second,
            **({} if base is None else {"base_filter": base}),
        }
        name = f"correlation of {first} with {second} among {base}"
        yield post3("traces/calculate-filter-correlation", sends, name)
    nothing = {"experiment_ids": ["{e}"]}
    yield post3("traces/calculate-filter-correlation", nothing, "correlation of nothing")
