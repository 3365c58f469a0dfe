"""MLflow's own server and Noria's, asked the same about traces and what judges them."""

from __future__ import annotations

from itertools import chain

import pytest

from integration.interop import mlflow_evaluation_requests as evaluation
from integration.interop import mlflow_issue_requests as issues
from integration.interop import mlflow_review_requests as reviews
from integration.interop import mlflow_trace_requests as traces
from integration.interop import mlflow_trace_searches as searches
from integration.interop.differential import Caller, Difference, differences
from peers.test_mlflow_answers import callers, mlflow_url, noria_url  # noqa: F401 - fixtures

PEER = "mlflow"
DISTRIBUTION = "mlflow"
COVERS = "the endpoints of traces, asked well and badly, against the answers of MLflow's own server"
NOT_YET = "locations of traces outside of the server (Databricks' Unity Catalog)"

pytestmark = pytest.mark.timeout(600)

WORDING = "says the same in other words, or also what would be right"
REFUSED = "MLflow's server drops what it cannot read; Noria refuses it"
FAILS = "MLflow's server fails with an internal error, or one of its database"
LENIENT = "Noria takes what MLflow's server refuses"
NAMED = "a trace of foreign spans is named by its root here, and has no name there"
BOTH_TELL = "errors of /v1/traces have the fields of MLflow's errors here, besides `detail`"
WHOLE = "the answer also tells of the experiments, which clients of MLflow's server ask for separately"

MAY_DIFFER: dict[str, str] = {
    "keys: the same again": "the answer tells the tags that are kept now",
    "status: a wrong time": REFUSED,
    "status: a wrong duration": REFUSED,
    "status: a numeric tag": REFUSED,
    "status: only an id": FAILS,
    "keys: export as JSON": "JSON is answered by JSON, as OpenTelemetry's protocol demands",
    "code: export refused": BOTH_TELL,
    "keys: info of 3": NAMED,
    "keys: trace 3": NAMED,
    "status: a trace without spans": FAILS,
    "status: tag nothing": FAILS,
    "status: assess: no name": "what has no name cannot be searched for",
    "status: assess: a long name": "MLflow's server takes it on SQLite only",
    "keys: assess: an expectation with a reason": "the reason is kept",
    "message: refused": WORDING,
    "status: taken filter": LENIENT,
    "message: a wrong token": WORDING,
    "status: metrics that fail": FAILS,
    "code: metrics that fail": FAILS,
    "status: metrics of a wrong interval": "an interval is longer than nothing",
    "values: metrics {'view_type': 'ASSESSMENTS', 'metric_name': 'assessment_count', 'dimensions'": (
        "the value of an issue is its name"
    ),
    "values: new dataset": "the digest is computed from other bytes",
    "keys: read dataset": WHOLE,
    "keys: find datasets": WHOLE,
    "keys: join dataset": WHOLE,
    "keys: part dataset": WHOLE,
    "keys: tag dataset": "the answer holds the dataset",
    "status: records of no dataset": "it is not there",
    "status: datasets of a greater name": "names have an order there only for some databases",
    "status: issue: no such run": FAILS,
    "status: issue: a wrong": FAILS,
    "status: change wrongly": FAILS,
    "status: issue: text as root_causes": REFUSED,
    "status: issue: a long name": "MLflow's server takes it on SQLite only",
    "message: scorer: no JSON": WORDING,
    "status: scorer: no object": FAILS,
    "status: scorer: code of its own": "MLflow's server would run it; Noria never does, and keeps it",
    "message: sampling {'filter_string': 5}": WORDING,
    "message: schema: xxx": WORDING,
    "message: schema: y {'instruction'": WORDING,
    "message: schema: wrong {'input': 5}": WORDING,
    "message: schema: wrong {'type': 7}": WORDING,
    "message: change schema {'input': {'text': {}}}": WORDING,
    "message: queue: x {'queue_type': 9}": WORDING,
    "status: failing": FAILS,
    "values: read": "moments and ids within a text",
    "status: delete 2 {'experiment_id': '99999'": "it is not there",
    "status: delete 3 {'experiment_id': '99999'": "it is not there",
}
"""Kind of a difference and beginning of the request's name → why the answers differ."""


def test_both_servers_answer_alike(callers: tuple[Caller, Caller]) -> None:  # noqa: F811 - the fixture
    """Except where there is a reason, and every reason is needed."""
    steps = chain(
        traces.steps(),
        evaluation.assessments(),
        searches.steps(),
        evaluation.datasets(),
        issues.steps(),
        reviews.steps(),
        traces.deletions(),
    )
    found = list(differences(*callers, steps))
    unexpected = [each for each in found if reason_of(each) is None]
    assert not unexpected, "\n".join(map(str, unexpected))
    unneeded = [key for key in MAY_DIFFER if not any(_key(each).startswith(key) for each in found)]
    assert unneeded == []


def reason_of(difference: Difference) -> str | None:
    """Give why an answer may differ, or None if it may not."""
    return next((why for key, why in MAY_DIFFER.items() if _key(difference).startswith(key)), None)


def _key(difference: Difference) -> str:
    return f"{difference.kind}: {difference.step.name}"
