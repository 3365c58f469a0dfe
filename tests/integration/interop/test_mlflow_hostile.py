"""Requests of MLflow's protocol from somebody who wants the server to fail: each is answered, none with status 500.

MLflow's client asks again for minutes after a 500, so that bad input would look like a server that hangs.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

API = "/api/2.0/mlflow"
DEEP = "[" * 3_000
VALUES: list[Any] = [
    None,
    True,
    -1,
    1.5,
    1e308,
    2**63,
    2**64,
    -(2**63) - 1,
    "",
    "\x00",
    "\u202e",
    "x" * 10_000,
    "../../etc/passwd",
    "'; drop table runs; --",
    "NaN",
    "1e400",
    "٣",
    [],
    [None],
    [[]],
    {},
    {"a": {}},
]
FIELDS = {
    "experiments/create": ["name", "artifact_location", "tags"],
    "experiments/update": ["experiment_id", "new_name"],
    "experiments/search": ["filter", "max_results", "order_by", "page_token", "view_type"],
    "experiments/set-experiment-tag": ["experiment_id", "key", "value"],
    "runs/create": ["experiment_id", "user_id", "run_name", "start_time", "tags"],
    "runs/update": ["run_id", "status", "end_time", "run_name"],
    "runs/log-metric": ["run_id", "key", "value", "timestamp", "step", "model_id", "dataset_name"],
    "runs/log-parameter": ["run_id", "key", "value"],
    "runs/set-tag": ["run_id", "key", "value"],
    "runs/log-batch": ["run_id", "metrics", "params", "tags"],
    "runs/log-model": ["run_id", "model_json"],
    "runs/log-inputs": ["run_id", "datasets", "models"],
    "runs/outputs": ["run_id", "models"],
    "runs/search": [
        "experiment_ids",
        "filter",
        "run_view_type",
        "max_results",
        "order_by",
        "page_token",
    ],
    "logged-models": ["experiment_id", "name", "source_run_id", "params", "tags"],
    "logged-models/search": [
        "experiment_ids",
        "filter",
        "datasets",
        "max_results",
        "order_by",
        "page_token",
    ],
    "registered-models/create": ["name", "tags", "description"],
    "registered-models/alias": ["name", "alias", "version"],
    "model-versions/create": ["name", "source", "run_id", "tags", "model_id"],
    "model-versions/transition-stage": ["name", "version", "stage", "archive_existing_versions"],
    "traces": ["experiment_id", "timestamp_ms", "request_metadata", "tags"],
    "traces/delete-traces": ["experiment_id", "max_timestamp_millis", "max_traces", "request_ids"],
}
BODIES = [
    b"null",
    b"[]",
    b'"x"',
    b"{",
    b"\xff\xfe",
    b'{"a":1}{"a":1}',
    DEEP.encode(),
    b'{"run_id":' + DEEP.encode() + b"]" * 3_000 + b"}",
    b'{"run_id":"\\ud800"}',
    b'{"value":NaN}',
]
TOKENS = ["é", "\u202e", "x", "W10=", "bnVsbA==", "/w==", base64.b64encode(DEEP.encode()).decode()]
FILTERS = [
    "metrics.`",
    "metrics.a > 1e999",
    "metrics.a > NaN",
    "params.`a`b` = 'x'",
    "params.a = 'x' and",
    "params.a = 'x' --",
    "params.a = 'x' /*",
    "params.a IS NULL IS NULL",
    "tags.a = '\x00'",
    "tags.a LIKE '" + "%_" * 2_000 + "'",
    "(" * 3_000,
    " and ".join(["metrics.a > 1"] * 200),
    " and ".join(["metrics.a > 1"] * 201),
    "attributes.start_time > 99999999999999999999999",
    "attributes.run_id IN (" + ",".join(["'x'"] * 3_000) + ")",
    "run_name LIKE '%' ESCAPE '\\'",
]


@pytest.fixture
def run(http: httpx.Client) -> str:
    """Start a run and give its id."""
    answer = http.post(f"{API}/runs/create", json={"experiment_id": "0", "start_time": 1})
    run_id: str = answer.json()["run"]["info"]["run_id"]
    return run_id


def assert_answered(answer: httpx.Response, what: object) -> None:
    """Hold an answer to the protocol: JSON, and a code where it is an error that is not the server's."""
    assert answer.status_code < 500, (what, answer.text)
    told = answer.json()
    assert answer.status_code == 200 or {"error_code", "message"} <= told.keys(), (what, answer.text)


def requests_with_odd_fields(run: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give each endpoint with each of its fields odd and the others as they should be."""
    good = {
        "experiment_id": "0",
        "experiment_ids": ["0"],
        "run_id": run,
        "key": "k",
        "value": "1",
        "timestamp": 1,
        "timestamp_ms": 1,
        "name": "n",
        "new_name": "m",
        "source": "s3://bucket/x",
        "version": "1",
        "alias": "a",
        "stage": "None",
        "max_results": 5,
    }
    for path, fields in FIELDS.items():
        for field in fields:
            for value in VALUES:
                yield path, {key: good[key] for key in fields if key in good} | {field: value}


@pytest.mark.alike
def test_odd_values_of_every_field_are_answered(http: httpx.Client, run: str) -> None:
    """Other types, numbers beyond 64 bits, text with zeros and marks of direction, paths, SQL."""
    for path, sent in requests_with_odd_fields(run):
        body = json.dumps(sent).encode()
        answer = http.post(f"{API}/{path}", content=body, headers={"content-type": "application/json"})
        assert_answered(answer, (path, sent))


@pytest.mark.alike
def test_odd_bodies_are_answered(http: httpx.Client) -> None:
    """No JSON, JSON of another kind, one without an end, surrogates alone."""
    for path in ("runs/log-batch", "runs/search", "experiments/create", "runs/log-metric"):
        for body in BODIES:
            for kind in ("application/json", "text/plain"):
                answer = http.post(f"{API}/{path}", content=body, headers={"content-type": kind})
                assert_answered(answer, (path, body[:20], kind))


def test_odd_tokens_are_refused(http: httpx.Client, run: str) -> None:
    """Of every list that has pages: a token that no answer gave is no reason to fail, nor to begin anew."""
    http.post(f"{API}/runs/log-metric", json={"run_id": run, "key": "m", "value": 1, "timestamp": 1})
    asked: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", "experiments/search", {"max_results": 5}),
        ("GET", "metrics/get-history", {"run_id": run, "metric_key": "m", "max_results": 5}),
        ("GET", "registered-models/search", {}),
        ("GET", "model-versions/search", {}),
        ("GET", "traces", {"experiment_ids": "0"}),
        ("POST", "runs/search", {"experiment_ids": ["0"]}),
        ("POST", "logged-models/search", {"experiment_ids": ["0"]}),
    ]
    for method, path, sent in asked:
        for token in TOKENS:
            whole = {**sent, "page_token": token}
            given = {"params": whole} if method == "GET" else {"json": whole}
            answer = http.request(method, f"{API}/{path}", **given)  # type: ignore[arg-type]
            assert_answered(answer, (path, token))
            assert answer.json().get("error_code") == "INVALID_PARAMETER_VALUE", (path, token, answer.text)


def test_odd_filters_and_orders_are_answered(http: httpx.Client, run: str) -> None:
    """Quotes, comments, brackets, numbers and lists without an end."""
    for text in FILTERS:
        for path in ("runs/search", "logged-models/search"):
            for sent in ({"filter": text}, {"order_by": [text]}):
                answer = http.post(f"{API}/{path}", json={"experiment_ids": ["0"], **sent})
                assert_answered(answer, (path, sent))
        for path in ("model-versions/search", "registered-models/search", "traces"):
            answer = http.get(f"{API}/{path}", params={"filter": text[:3_000], "experiment_ids": "0"})
            assert_answered(answer, (path, text))
    assert http.get(f"{API}/runs/get", params={"run_id": run}).status_code == 200


def test_many_conditions_on_models_mean_what_few_do(http: httpx.Client, run: str) -> None:
    """PostgreSQL plans them one by one from the ninth on: each still has to hold."""
    params = [{"key": f"p{at}", "value": str(at)} for at in range(20)]
    made = {"experiment_id": "0", "name": "m", "params": params, "tags": [{"key": "t", "value": "a"}]}
    model_id = http.post(f"{API}/logged-models", json=made).json()["model"]["info"]["model_id"]
    point = {"run_id": run, "key": "acc", "value": 0.5, "timestamp": 1, "model_id": model_id}
    assert http.post(f"{API}/runs/log-metric", json=point).status_code == 200
    clauses = [f"params.p{at} = '{at}'" for at in range(20)]
    clauses += ["tags.t = 'a'", "metrics.acc > 0.4", "name = 'm'"]
    for wrong in ("", "params.p7 = '8'", "tags.t = 'b'", "metrics.acc > 0.5", "metrics.other > 0"):
        asked = {"experiment_ids": ["0"], "filter": " and ".join([*clauses, *([wrong] if wrong else [])])}
        found = http.post(f"{API}/logged-models/search", json=asked).json().get("models", [])
        assert [each["info"]["model_id"] for each in found] == ([] if wrong else [model_id]), wrong


@pytest.mark.parametrize("written", ["no JSON", "5", "null", '"x"', '{"a": 1}', DEEP])
def test_tags_that_the_protocol_reads_may_say_anything(http: httpx.Client, run: str, written: str) -> None:
    """Where a list of models is expected, another text is told and kept, and versions are made all the same."""
    described = {
        "artifact_path": "m",
        "flavors": {},
        "utc_time_created": "t",
        "run_id": run,
        "model_uuid": "x",
    }
    tag = {"key": "mlflow.log-model.history", "value": written}
    assert http.post(f"{API}/runs/set-tag", json={"run_id": run, **tag}).status_code == 200

    refused = http.post(f"{API}/runs/log-model", json={"run_id": run, "model_json": json.dumps(described)})

    assert refused.status_code == 400
    assert "'mlflow.log-model.history'" in refused.json()["message"]
    data = http.get(f"{API}/runs/get", params={"run_id": run}).json()["run"]["data"]
    assert tag in data["tags"]
    http.post(f"{API}/runs/delete-tag", json={"run_id": run, "key": tag["key"]})
    again = http.post(f"{API}/runs/log-model", json={"run_id": run, "model_json": json.dumps(described)})
    assert again.status_code == 200

    made = http.post(f"{API}/logged-models", json={"experiment_id": "0", "name": "m"}).json()["model"]["info"]
    versions = {"tags": [{"key": "mlflow.modelVersions", "value": written}]}
    http.patch(f"{API}/logged-models/{made['model_id']}/tags", json=versions)
    http.post(f"{API}/registered-models/create", json={"name": "registered"})
    version = {"name": "registered", "source": made["artifact_uri"], "model_id": made["model_id"]}
    assert http.post(f"{API}/model-versions/create", json=version).status_code == 200
