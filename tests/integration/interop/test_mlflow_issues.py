"""Issues on MLflow's wire, and the same issues in Noria's own words."""

from __future__ import annotations

from collections.abc import Callable
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
        "last_seen_timestamp",
    }
    assert bare["last_seen_timestamp"] == bare["created_timestamp"]
    assert (bare["status"], bare["experiment_id"]) == ("pending", "0")
    assert (kept.status, kept.severity, kept.source_run) == (IssueStatus.RESOLVED, IssueSeverity.HIGH, run)
    assert (kept.root_causes, kept.categories, kept.created_by) == (["load"], ["latency"], "ana")
    assert full["last_updated_by"] == "ana"
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
        ({"status": "open"}, "INVALID_PARAMETER_VALUE", "Invalid issue status: 'open'"),
        ({"severity": "HIGH"}, "INVALID_PARAMETER_VALUE", "Invalid issue severity: 'HIGH'"),
        ({"issue_id": "x"}, "INVALID_PARAMETER_VALUE", "`x` cannot be the id of an issue"),
        ({"issue_id": "iss-" + "x" * 33}, "INVALID_PARAMETER_VALUE", "`iss-xxx"),
        (
            {"last_seen_timestamp": -1},
            "INVALID_PARAMETER_VALUE",
            "last_seen_timestamp must be nonnegative milliseconds",
        ),
        ({"metadata": {"": "x"}}, "INVALID_PARAMETER_VALUE", "An entry of an issue's metadata needs a key"),
        ({"metadata": {str(at): "" for at in range(101)}}, "INVALID_PARAMETER_VALUE", ""),
        ({"metadata": {"k": {}}}, "INVALID_PARAMETER_VALUE", "Invalid value {} for parameter 'metadata.k'"),
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


def test_a_client_gives_an_issue_its_id_once(http: httpx.Client) -> None:
    """As the client of MLflow 3.18 does, with the moment it was seen and entries of its own."""
    given = {"issue_id": "iss-own_1", "last_seen_timestamp": 7, "metadata": {"k": "v"}}
    made = make(http, **given)

    assert {name: made[name] for name in given} == given
    status, code, _ = refused(http.post(API, json={**ISSUE, **given}))
    assert (status, code) == (400, "RESOURCE_ALREADY_EXISTS")


def test_a_change_sets_and_removes_entries_one_by_one(http: httpx.Client) -> None:
    """The moment an issue was seen moves forward only, and an empty list leaves no category."""
    made = make(http, categories=["a"], metadata={"k": "1", "m": "2"}, last_seen_timestamp=1_000)
    address = f"{API}/{made['issue_id']}"

    def change(**said: Any) -> dict[str, Any]:
        answer = http.patch(address, json={"issue_id": made["issue_id"], **said})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()["issue"]
        return found

    merged = change(metadata={"m": "3", "n": "4"}, delete_metadata_keys=["k", "none"], last_updated_by="bob")
    assert (merged["metadata"], merged["last_updated_by"]) == ({"m": "3", "n": "4"}, "bob")
    assert change(last_seen_timestamp=2_000)["last_seen_timestamp"] == 2_000
    assert change(last_seen_timestamp=1_500)["last_seen_timestamp"] == 2_000
    assert change()["categories"] == ["a"]
    assert "categories" not in change(categories=[])
    assert change()["metadata"] == {"m": "3", "n": "4"}
    both = {"issue_id": made["issue_id"], "metadata": {"k": "1"}, "delete_metadata_keys": ["k"]}
    assert refused(http.patch(address, json=both))[:2] == (400, "INVALID_PARAMETER_VALUE")


@pytest.fixture
def found(http: httpx.Client) -> Callable[..., list[str]]:
    """Give what finds issues, and tells their names."""
    told: tuple[tuple[str, str | None, str, list[str], int], ...] = (
        ("Slow start", "high", "pending", ["Latency "], 3_000),
        ("slow end", "low", "resolved", ["latency", "cost"], 1_000),
        ("100% wrong", None, "rejected", ["Ärger"], 2_000),
        ("quick", "low", "pending", [], 4_000),
    )
    for name, severity, status, categories, seen in told:
        make(
            http,
            name=name,
            severity=severity,
            status=status,
            categories=categories,
            last_seen_timestamp=seen,
            root_causes=["load"],
        )

    def find(**asked: Any) -> list[str]:
        answer = http.post(f"{API}/search", json=asked)
        assert answer.status_code == 200, answer.text
        return [each["name"] for each in answer.json().get("issues", [])]

    return find


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ({"name": "SLOW"}, ["Slow start", "slow end"]),
        ({"name": "0%"}, ["100% wrong"]),
        ({"name": "%"}, ["100% wrong"]),
        ({"name": "_"}, []),
        ({"statuses": ["resolved", "rejected"]}, ["slow end", "100% wrong"]),
        ({"severities": ["low"]}, ["quick", "slow end"]),
        ({"categories": ["LATENCY"]}, ["Slow start", "slow end"]),
        ({"categories": [" cost", "ärger"]}, ["slow end", "100% wrong"]),
        ({"categories": ["latency"], "statuses": ["pending"]}, ["Slow start"]),
        ({"order_by": ["name"]}, ["100% wrong", "quick", "slow end", "Slow start"]),
        ({"order_by": ["last_seen_timestamp DESC"]}, ["quick", "Slow start", "100% wrong", "slow end"]),
        ({"order_by": ["severity", "name desc"]}, ["100% wrong", "slow end", "quick", "Slow start"]),
        (
            {"order_by": ["status ASC", "created_timestamp"]},
            ["Slow start", "quick", "100% wrong", "slow end"],
        ),
    ],
)
def test_issues_are_found_by_what_they_say(
    found: Callable[..., list[str]], asked: dict[str, Any], names: list[str]
) -> None:
    """And in the order that is asked for, on one page as on several."""
    assert found(**asked) == names


def test_pages_follow_the_order_that_was_asked_for(
    http: httpx.Client, found: Callable[..., list[str]]
) -> None:
    """With how many issues there are on all of them; a token of another order is refused."""
    asked: dict[str, Any] = {"order_by": ["name DESC"], "max_results": 1, "include_total_count": True}
    names, token = [], ""
    for _ in range(4):
        page = http.post(f"{API}/search", json={**asked, "page_token": token}).json()
        names += [each["name"] for each in page["issues"]]
        token = page["next_page_token"]
        assert page["total_count"] == 4
        if len(names) == 1:
            other = {**asked, "order_by": ["name"], "page_token": token}
            assert refused(http.post(f"{API}/search", json=other))[:2] == (400, "INVALID_PARAMETER_VALUE")

    assert (names, token) == (found(order_by=["name DESC"]), "")


def test_a_basic_view_leaves_out_what_may_be_long(http: httpx.Client) -> None:
    """Description, causes and metadata; another view than these two is refused, and so is a strange order."""
    make(http, root_causes=["load"], metadata={"k": "v"})
    (basic,) = http.post(f"{API}/search", json={"view": "basic"}).json()["issues"]
    (full,) = http.post(f"{API}/search", json={"view": "full"}).json()["issues"]

    assert full.keys() - basic.keys() == {"root_causes", "metadata"}
    assert (basic["description"], full["description"]) == ("", "It takes long")
    for wrong in (
        {"view": "short"},
        {"order_by": ["nope"]},
        {"order_by": ["name down"]},
        {"statuses": ["x"]},
    ):
        assert refused(http.post(f"{API}/search", json=wrong))[:2] == (400, "INVALID_PARAMETER_VALUE")
