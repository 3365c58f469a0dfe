"""Issues on MLflow's wire, and the same issues in Noria's own words."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from noria.access.projects import NewProject, Projects
from noria.core.context import Context
from noria.interop.mlflow.decoding import SEE_DOCS
from noria.tracking.entities import NewRun
from noria.tracking.experiment_entities import NewExperiment
from noria.tracking.issue_entities import IssueSeverity, IssueStatus
from noria.tracking.issues import Issues
from noria.tracking.service import Experiments, Runs

API = "/api/3.0/mlflow/issues"
ISSUE = {"experiment_id": "0", "name": "slow", "description": "It takes long"}


def make(http: httpx.Client, **given: Any) -> dict[str, Any]:
    """Write an issue down, and give it as it was answered."""
    answer = http.post(API, json={**ISSUE, **given})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["issue"]
    return found


def refused(answer: httpx.Response) -> tuple[int, str, str]:
    """Give status, code and message of a refusal."""
    told = answer.json()
    return answer.status_code, told["error_code"], told["message"]


def test_an_issue_is_the_same_on_the_wire_and_in_noria(http: httpx.Client, context: Context) -> None:
    """With all that can be said of it; what was not said is left out."""
    run = context.service(Runs).create("default", NewRun(experiment="Default")).id
    bare = make(http)
    full = make(
        http,
        status="resolved",
        severity="high",
        root_causes=["load"],
        categories=["latency"],
        source_run_id=run,
        created_by="ana",
    )
    kept = context.service(Issues).get("default", full["issue_id"])

    assert bare.keys() == {
        "issue_id",
        "experiment_id",
        "name",
        "description",
        "status",
        "created_timestamp",
        "last_updated_timestamp",
    }
    assert (bare["status"], bare["experiment_id"]) == ("pending", "0")
    assert (kept.status, kept.severity, kept.source_run) == (IssueStatus.RESOLVED, IssueSeverity.HIGH, run)
    assert (kept.root_causes, kept.categories, kept.created_by) == (["load"], ["latency"], "ana")
    assert full["created_timestamp"] == int(kept.created_at.timestamp() * 1000)
    assert http.get(f"{API}/{kept.id}").json() == {"issue": full}
    assert http.get(f"/ajax-api{API.removeprefix('/api')}/{kept.id}").json() == {"issue": full}


def test_a_change_leaves_what_it_does_not_name(http: httpx.Client) -> None:
    """Empty texts too; the id stands in the body as well, as MLflow's client sends it."""
    made = make(http, severity="low")
    address = f"{API}/{made['issue_id']}"
    sent = {"issue_id": made["issue_id"], "status": "rejected", "name": "", "description": "Not so"}
    changed = http.patch(address, json=sent).json()["issue"]

    assert changed == {
        **made,
        "status": "rejected",
        "description": "Not so",
        "last_updated_timestamp": changed["last_updated_timestamp"],
    }
    assert refused(http.patch(address, json={"status": "resolved"})) == (
        400,
        "INVALID_PARAMETER_VALUE",
        f"Missing value for required parameter 'issue_id'.{SEE_DOCS}",
    )


def test_pages_end_with_an_empty_token(http: httpx.Client) -> None:
    """As MLflow's server sends it; the counts are there only if they were asked for."""
    assert http.post(f"{API}/search", json={}).json() == {"next_page_token": ""}
    for name in "abc":
        make(http, name=name)
    first = http.post(f"{API}/search", json={"max_results": 2, "include_trace_count": True}).json()
    second = http.post(
        f"{API}/search",
        json={"max_results": 2, "include_trace_count": True, "page_token": first["next_page_token"]},
    ).json()

    assert [each["name"] for each in first["issues"]] == ["c", "b"]
    assert [(each["name"], each["trace_count"]) for each in second["issues"]] == [("a", 0)]
    assert second["next_page_token"] == ""
    assert "trace_count" not in http.post(f"{API}/search", json={}).json()["issues"][0]


@pytest.mark.parametrize(
    ("sent", "code", "message"),
    [
        ({"name": None}, "INVALID_PARAMETER_VALUE", "Missing value for required parameter 'name'."),
        (
            {"description": ""},
            "INVALID_PARAMETER_VALUE",
            "Missing value for required parameter 'description'.",
        ),
        ({"experiment_id": "99"}, "RESOURCE_DOES_NOT_EXIST", "No Experiment with id=99 exists"),
        ({"experiment_id": "x"}, "INVALID_PARAMETER_VALUE", "Invalid experiment ID 'x'."),
        ({"source_run_id": "0" * 32}, "RESOURCE_DOES_NOT_EXIST", f"Run with id={'0' * 32} not found"),
        ({"status": "open"}, "INVALID_PARAMETER_VALUE", "'open' is not a valid IssueStatus"),
        ({"severity": "HIGH"}, "INVALID_PARAMETER_VALUE", "'HIGH' is not a valid IssueSeverity"),
    ],
)
@pytest.mark.alike
def test_what_is_wrong_is_told_as_mlflow_does(
    http: httpx.Client, sent: dict[str, Any], code: str, message: str
) -> None:
    """And nothing is written down."""
    status, error_code, told = refused(http.post(API, json={**ISSUE, **sent}))

    assert (status, error_code) == (404 if code == "RESOURCE_DOES_NOT_EXIST" else 400, code)
    assert told.startswith(message)
    assert http.post(f"{API}/search", json={}).json() == {"next_page_token": ""}


def test_what_is_not_there_is_not_found(http: httpx.Client, context: Context) -> None:
    """Issues by their id; and experiments that were deleted get none."""
    missing = (404, "RESOURCE_DOES_NOT_EXIST", "Issue with ID 'iss-0' not found")
    assert refused(http.get(f"{API}/iss-0")) == missing
    assert refused(http.patch(f"{API}/iss-0", json={"issue_id": "iss-0", "name": "x"})) == missing
    number = context.service(Experiments).create("default", NewExperiment(name="old")).number
    context.service(Experiments).delete("default", "old")
    answer = http.post(API, json={**ISSUE, "experiment_id": str(number)})
    assert refused(answer) == (404, "RESOURCE_DOES_NOT_EXIST", f"No Experiment with id={number} exists")


def test_issues_of_all_projects_are_found(http: httpx.Client, context: Context) -> None:
    """By the id alone; a run of another project cannot be the source of one."""
    context.service(Projects).create(NewProject(name="bank"))
    number = context.service(Experiments).create("bank", NewExperiment(name="loans")).number
    run = context.service(Runs).create("default", NewRun(experiment="Default")).id
    made = make(http, experiment_id=str(number))

    assert http.get(f"{API}/{made['issue_id']}").json()["issue"] == made
    assert http.post(f"{API}/search", json={"experiment_id": str(number)}).json()["issues"] == [made]
    assert http.post(f"{API}/search", json={"experiment_id": "0"}).json() == {"next_page_token": ""}
    answer = http.post(API, json={**ISSUE, "experiment_id": str(number), "source_run_id": run})
    assert refused(answer)[:2] == (400, "INVALID_PARAMETER_VALUE")
