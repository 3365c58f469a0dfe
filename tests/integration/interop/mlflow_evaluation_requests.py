"""Requests of MLflow's protocol on assessments and evaluation datasets, good and bad, for two servers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from integration.interop.mlflow_requests import LONG, Step
from integration.interop.mlflow_trace_requests import ask3, post3, trace_id

JUDGED: dict[str, Any] = {
    "assessment_name": "good",
    "source": {"source_type": "HUMAN", "source_id": "me@x"},
    "metadata": {"k": "v"},
}
FEEDBACK: dict[str, Any] = {**JUDGED, "feedback": {"value": True}, "rationale": "because"}
NO_ASSESSMENT = f"a-{'0' * 32}"
NO_DATASET = f"datasets/d-{'0' * 32}"


def assessments() -> Iterator[Step]:
    """Give requests on assessments."""
    yield from _made(f"traces/{trace_id(2)}/assessments")
    yield from _read(f"traces/{trace_id(2)}/assessments")
    yield from _refused(f"traces/{trace_id(34)}/assessments")


def _made(at: str) -> Iterator[Step]:
    def judged(name: str, **more: Any) -> Step:
        return post3(at, {"assessment": {**FEEDBACK, **more}}, f"assess: {name}")

    def expected(name: str, **more: Any) -> Step:
        return post3(at, {"assessment": {**JUDGED, **more}}, f"assess: {name}")

    failed = {"error_code": "E", "error_message": "m", "stack_trace": "s"}
    text = {"serialization_format": "JSON_FORMAT", "value": '["a"]'}
    yield judged("a feedback")
    yield judged("of another trace than the address's", trace_id=trace_id(1))
    yield judged("an object", feedback={"value": {"a": ["b", None, "x"]}})
    yield judged("a number of a span", feedback={"value": 3.5}, span_id="ab")
    yield judged("an error", feedback={"error": failed})
    yield judged("no source", source=None)
    yield judged("a wrong source", source={"source_type": "NOPE", "source_id": "x"})
    yield judged("by a program", source={"source_type": "CODE"})
    yield judged("two kinds", expectation={"value": 1})
    yield expected("an expectation", expectation={"value": "x"})
    yield expected("a list", expectation={"value": ["a", "b"]})
    yield expected("a text", expectation={"serialized_value": text})
    yield expected("an issue", issue={"issue_name": "i"})
    yield expected("no value")
    yield post3(at, {}, "assess: nothing")
    yield judged("overrides nothing", overrides=NO_ASSESSMENT)
    yield post3(f"traces/{trace_id(99)}/assessments", {"assessment": FEEDBACK}, "assess: no trace")


def _read(at: str) -> Iterator[Step]:
    change = {"assessment": FEEDBACK, "update_mask": "feedback"}
    yield ask3("GET", f"{at}/{NO_ASSESSMENT}")
    yield ask3("PATCH", f"{at}/{NO_ASSESSMENT}", change)
    yield ask3("DELETE", f"{at}/{NO_ASSESSMENT}")
    yield ask3("GET", f"traces/{trace_id(99)}/assessments/{NO_ASSESSMENT}", name="an assessment of no trace")
    yield ask3("GET", f"traces/{trace_id(2)}", name="a trace with its assessments")


def _refused(at: str) -> Iterator[Step]:
    yield post3(at, {"assessment": {**FEEDBACK, "assessment_name": None}}, "assess: no name")
    yield post3(at, {"assessment": {**FEEDBACK, "assessment_name": LONG}}, "assess: a long name")
    reasoned = {**JUDGED, "expectation": {"value": [1]}, "rationale": "because"}
    yield post3(at, {"assessment": reasoned}, "assess: an expectation with a reason")


def datasets() -> Iterator[Step]:
    """Give requests on evaluation datasets."""
    yield from _dataset_births()
    yield from _dataset_searches()
    yield from _dataset_records()
    yield from _dataset_changes()


def _dataset_births() -> Iterator[Step]:
    first = {"name": "d", "experiment_ids": ["{e}"], "tags": '{"a": "1"}'}
    yield post3("datasets/create", first, "new dataset d", keeps={"d": "dataset.dataset_id"})
    yield post3("datasets/create", {"name": "bare"}, "new dataset bare", keeps={"bare": "dataset.dataset_id"})
    yield post3("datasets/create", {})
    yield post3("datasets/create", {"name": ""})
    for tags in ("nonsense", "[1]"):
        yield post3("datasets/create", {"name": "x", "tags": tags}, f"failing dataset of tags {tags}")
    for path in ("", "/experiment-ids"):
        yield ask3("GET", f"{NO_DATASET}{path}")
    yield ask3("GET", "datasets/{d}", name="read dataset d")
    yield ask3("GET", "datasets/{d}/experiment-ids")
    yield ask3("GET", f"{NO_DATASET}/records", name="records of no dataset")
    yield ask3("GET", "datasets/{d}/records")


def _dataset_searches() -> Iterator[Step]:
    yield post3("datasets/search", {}, "find datasets")
    for text in (
        "name = 'd'",
        "name LIKE '%'",
        "tags.a = '1'",
        "tags.a != '1'",
        "created_time > 0",
        "last_update_time > 0",
        "created_by = 'x'",
    ):
        yield post3("datasets/search", {"filter_string": text, "order_by": ["name"]}, f"find datasets {text}")
    for text in ("nope = 'x'", "digest = 'x'", "nonsense"):
        yield post3("datasets/search", {"filter_string": text}, f"refused datasets {text}")
    yield post3("datasets/search", {"filter_string": "name > 'a'"}, "datasets of a greater name")
    for order in (["name DESC"], ["created_time"], ["last_update_time DESC", "name"]):
        yield post3("datasets/search", {"order_by": order}, f"find datasets by {order}")
    for order in (["nope"], ["name sideways"]):
        yield post3("datasets/search", {"order_by": order}, f"refused datasets by {order}")
    yield post3("datasets/search", {"experiment_ids": ["{e}"]}, "find datasets of an experiment")
    yield post3("datasets/search", {"experiment_ids": ["99999"]})
    yield post3("datasets/search", {"max_results": 0}, "refused datasets: none")
    yield post3("datasets/search", {"max_results": 100_000})
    yield post3("datasets/search", {"page_token": "nonsense"}, "refused datasets: a token")


def _dataset_records() -> Iterator[Step]:
    source = {"source_type": "HUMAN", "source_data": {"u": "a"}}
    records = [
        {"inputs": {"q": "a"}, "expectations": {"e": "1"}, "tags": {"t": "1"}},
        {"inputs": {"q": "b"}, "outputs": "x", "source": source},
    ]
    again = [*records[:1], {"inputs": {"q": "c"}}]
    at = "datasets/{d}/records"
    yield post3(at, {"records": json.dumps(records)}, "add records")
    yield post3(at, {"records": json.dumps(again)}, "add some again")
    yield post3(at, {"records": "[{}]"}, "add a record without inputs")
    yield post3(at, {"records": "[]"})
    yield post3(at, {})
    yield post3(at, {"records": "nonsense"}, "failing records: no JSON")
    yield post3(at, {"records": "{}"}, "failing records: no list")
    yield post3(f"{NO_DATASET}/records", {"records": json.dumps(records)}, "failing records: no dataset")
    yield ask3("GET", at, name="read records")
    yield ask3("GET", at, name="read one record", max_results=1)
    yield ask3("GET", at, name="failing records: a token", page_token="nonsense")
    yield ask3("GET", "datasets/{d}", name="read dataset d with records")
    yield ask3("DELETE", at, {"dataset_record_ids": ["dr-" + "0" * 32]})
    yield ask3("DELETE", at, {})


def _dataset_changes() -> Iterator[Step]:
    at = "datasets/{d}"
    yield ask3("PATCH", f"{at}/tags", {"tags": '{"b": "2", "a": null}'}, name="tag dataset d")
    yield ask3("PATCH", f"{at}/tags", {"tags": "nonsense"}, name="failing tags of dataset d")
    yield ask3("PATCH", f"{NO_DATASET}/tags", {"tags": "{}"})
    yield ask3("DELETE", f"{at}/tags/b")
    yield ask3("DELETE", f"{at}/tags/never")
    for experiments in (["{o}"], ["{o}"], ["99999"]):
        sends = {"experiment_ids": experiments}
        yield post3(f"{at}/add-experiments", sends, f"join dataset d with {experiments}")
    yield post3(f"{at}/add-experiments", {}, "join dataset d with nothing")
    yield ask3("GET", f"{at}/experiment-ids", name="experiments of dataset d")
    yield post3(f"{at}/remove-experiments", {"experiment_ids": ["{o}", "99999"]}, "part dataset d")
    yield ask3("DELETE", "datasets/{bare}")
    yield ask3("GET", "datasets/{bare}", name="a deleted dataset")
    yield ask3("DELETE", "datasets/{bare}", name="delete again")
