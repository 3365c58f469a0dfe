"""Requests of MLflow's protocol on issues, good and bad, for two servers that have traces, `{e}`, `{o}` and `{run}`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from integration.interop.mlflow_requests import LONG, Step
from integration.interop.mlflow_trace_requests import ask3, post3, trace_id

ISSUE: dict[str, Any] = {"experiment_id": "{e}", "name": "slow", "description": "It takes long"}
FULL: dict[str, Any] = {
    **ISSUE,
    "name": "límite",
    "status": "resolved",
    "severity": "high",
    "root_causes": ["long prompts", "small window"],
    "categories": ["context"],
    "source_run_id": "{run}",
    "created_by": "ana@example.com",
}
NO_ISSUE = f"issues/iss-{'0' * 32}"


def steps() -> Iterator[Step]:
    """Give requests on issues."""
    yield from _made()
    yield from _read_and_changed()
    yield from _found()
    yield from _found_refused()
    # Taken by one of the servers only, so they come last.
    for name, taken in (("text as root_causes", {"root_causes": "x"}), ("a long name", {"name": LONG})):
        yield post3("issues", {**ISSUE, **taken}, f"issue: {name}")


def _made() -> Iterator[Step]:
    def issue(name: str, /, **more: Any) -> Step:
        return post3("issues", {**ISSUE, **more}, f"issue: {name}")

    yield post3("issues", ISSUE, "issue: bare", keeps={"bare": "issue.issue_id"})
    yield post3("issues", FULL, "issue: full", keeps={"full": "issue.issue_id"})
    yield post3("issues", {**ISSUE, "experiment_id": "{o}", "severity": "low"}, "issue: elsewhere")
    yield issue("not one", severity="not_an_issue", status="rejected")
    yield issue("medium", severity="medium")
    yield issue("empty lists", root_causes=[], categories=[], source_run_id="", created_by="")
    yield issue("nulls", severity=None, status=None, root_causes=None)
    yield post3("issues", {}, "issue: nothing")
    for field in ISSUE:
        yield issue(f"no {field}", **{field: None})
        yield issue(f"empty {field}", **{field: ""})
        yield issue(f"number as {field}", **{field: 5})
    yield issue("a wrong experiment", experiment_id="nonsense")
    yield issue("no such experiment", experiment_id="99999")
    yield issue("no such run", source_run_id="0" * 32)
    yield issue("a wrong status", status="open")
    yield issue("a wrong severity", severity="HIGH")


def _read_and_changed() -> Iterator[Step]:
    yield ask3("GET", "issues/{full}", name="read the full issue")
    yield ask3("GET", "issues/{bare}", issue_id="{bare}", name="read the bare issue as the client does")
    yield ask3("GET", NO_ISSUE)
    for path in (NO_ISSUE, "issues/{bare}"):
        yield ask3("PATCH", path, {"issue_id": "x"}, name=f"change nothing of {path}")
        yield ask3("PATCH", path, {"status": "rejected"}, name=f"change {path} without its id")
    change = {"issue_id": "{bare}", "status": "resolved", "severity": "low"}
    yield ask3("PATCH", "issues/{bare}", change, name="change the bare issue")
    texts = {"issue_id": "{bare}", "name": "slower", "description": "It takes longer"}
    yield ask3("PATCH", "issues/{bare}", texts, name="change the texts of the bare issue")
    empty = {"issue_id": "{bare}", "name": "", "description": ""}
    yield ask3("PATCH", "issues/{bare}", empty, name="leave the texts of the bare issue")
    for wrong in ({"status": "open"}, {"severity": "worst"}, {"status": ""}):
        yield ask3("PATCH", "issues/{bare}", {"issue_id": "{bare}", **wrong}, name=f"change wrongly: {wrong}")


def _found() -> Iterator[Step]:
    shown = {"assessment_name": "{bare}", "issue": {"issue_name": "slow"}, "source": {"source_type": "CODE"}}
    for at in (1, 1, 2):
        yield post3(f"traces/{trace_id(at)}/assessments", {"assessment": shown}, "a trace shows the issue")
    for experiment in ({}, {"experiment_id": "{e}"}, {"experiment_id": "{o}"}, {"experiment_id": "99999"}):
        for counted in ({}, {"include_trace_count": False}, {"include_trace_count": True}):
            asked = {**experiment, **counted}
            yield post3("issues/search", asked, f"find issues {asked}")
    for text in (
        "status = 'resolved'",
        "status != 'pending'",
        "status = 'nonsense'",
        "source_run_id = '{run}'",
        "source_run_id != '{run}'",
        "source_run_id != 'x'",
        "status = 'resolved' AND source_run_id = '{run}'",
        'status = "resolved"',
    ):
        yield post3("issues/search", {"filter_string": text, "include_trace_count": True}, f"issues {text}")
    first = {"max_results": 2}
    yield post3("issues/search", first, "issues: a page", keeps={"issues_after": "next_page_token"})
    yield post3("issues/search", {**first, "page_token": "{issues_after}"}, "issues: the second page")
    yield ask3("GET", f"traces/{trace_id(1)}", name="a trace that shows the issue")


def _found_refused() -> Iterator[Step]:
    for text in ("nope = 'x'", "status LIKE 'x'", "status > 'x'", "status IN ('x')", "nonsense"):
        yield post3("issues/search", {"filter_string": text}, f"wrong issues {text}")
    for text in ("attributes.status = 'x'", "status = 'x' OR status = 'y'", "'status' = 'x'"):
        yield post3("issues/search", {"filter_string": text}, f"refused issues {text}")
    for limit in (0, -1, 50_001):
        yield post3("issues/search", {"max_results": limit}, f"wrong issues: {limit}")
    yield post3("issues/search", {"page_token": "nonsense"}, "refused issues: a token")
    yield post3("issues/search", {"experiment_id": "nonsense"}, "wrong issues: an experiment")
