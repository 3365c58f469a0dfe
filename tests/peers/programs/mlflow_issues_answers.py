"""What issues are on a server, through MLflow's own client; the argument is the server's URI.

The cases are those that MLflow's tests of its stores go through. The last line is what was told, as JSON.
"""

import sys
import time
import uuid

from mlflow.entities import IssueReference, IssueSeverity, IssueStatus, TraceInfo, TraceLocation, TraceState
from mlflow_notes import Notes

notes = Notes(sys.argv[1])
store = notes.store
ask, say = notes.ask, notes.say


def new_experiment(name):
    return store.create_experiment(notes.name(name))


def new_run(experiment, name):
    return notes.know(store.create_run(experiment, "ana", 1, [], name).info.run_id, f"run {name}")


def new_issue(experiment, name, **more):
    time.sleep(0.003)  # moments count milliseconds
    made = store.create_issue(experiment, name, f"about {name}", **more)
    notes.know(made.issue_id, f"issue {name}")
    return made


def told(issue):
    return [
        issue.name,
        issue.description,
        str(issue.status),
        issue.severity and str(issue.severity),
        issue.root_causes,
        issue.categories,
        issue.source_run_id,
        issue.created_by,
        issue.trace_count,
        issue.last_updated_timestamp > issue.created_timestamp,
    ]


def names(experiment, **asked):
    return [issue.name for issue in store.search_issues(experiment, **asked)]


def show(experiment, issue):
    location = TraceLocation.from_experiment_id(experiment)
    trace_id = f"tr-{uuid.uuid4().hex}"
    store.start_trace(
        TraceInfo(trace_id=trace_id, trace_location=location, request_time=1, state=TraceState.OK)
    )
    notes.know(trace_id, f"trace of {issue.name}")
    store.create_assessment(IssueReference(issue_id=issue.issue_id, issue_name=issue.name, trace_id=trace_id))


def lives():
    experiment = new_experiment("lives")
    run = new_run(experiment, "finder")
    bare = new_issue(experiment, "bare")
    say("bare", [told(bare), bare.experiment_id == experiment, bare.issue_id.startswith("iss-")])
    full = new_issue(
        experiment,
        "full",
        status=IssueStatus.RESOLVED,
        severity=IssueSeverity.HIGH,
        root_causes=["Input prompts are too long", "Context window exceeded"],
        source_run_id=run,
        categories=["hallucination", "context_limit"],
        created_by="user@example.com",
    )
    say("full", told(full))
    say("read as made", store.get_issue(full.issue_id) == full)
    time.sleep(0.003)
    say("partly changed", told(store.update_issue(bare.issue_id, status=IssueStatus.REJECTED)))
    changed = store.update_issue(
        bare.issue_id, name="better", description="known", severity=IssueSeverity.LOW
    )
    say("changed", told(changed))
    say("read as changed", store.get_issue(bare.issue_id) == changed)
    say("not changed", told(store.update_issue(full.issue_id))[:-1])


def refused():
    experiment = new_experiment("refused")
    ask(
        "no such experiment",
        store.create_issue,
        "999999",
        "n",
        "d",
        tells="No Experiment with id=999999 exists",
    )
    ask("no name", store.create_issue, experiment, "", "d", tells="required parameter 'name'")
    ask("no description", store.create_issue, experiment, "n", "", tells="required parameter 'description'")
    ask("no such issue", store.get_issue, "none", tells="Issue with ID 'none' not found")
    ask("change no issue", store.update_issue, "none", name="x", tells="Issue with ID 'none' not found")
    for limit in (0, -1):
        text = f"Invalid value {limit} for parameter 'max_results'"
        ask(f"limit {limit}", store.search_issues, max_results=limit, tells=text)
    wrong = {"filter_string": "invalid_field = 'value'"}
    ask("a wrong field", store.search_issues, **wrong, tells="Invalid filter field 'invalid_field'")
    store.delete_experiment(experiment)
    ask("deleted experiment", store.create_issue, experiment, "n", "d", tells="No Experiment with id=")


def searches():
    experiment, empty = new_experiment("searched"), new_experiment("empty")
    one, two = new_run(experiment, "one"), new_run(experiment, "two")
    for severity in (
        IssueSeverity.LOW,
        IssueSeverity.HIGH,
        None,
        IssueSeverity.NOT_AN_ISSUE,
        IssueSeverity.MEDIUM,
    ):
        new_issue(experiment, f"{severity}", severity=severity, source_run_id=one)
    new_issue(experiment, "resolved", status=IssueStatus.RESOLVED, source_run_id=two)
    new_issue(experiment, "rejected", status=IssueStatus.REJECTED)
    say("in order", names(experiment))
    say("none", [names(empty), store.search_issues(empty).token])
    for text in (
        "status = 'resolved'",
        "status != 'pending'",
        f"source_run_id = '{two}'",
        f"source_run_id != '{two}'",
        f"status = 'pending' AND source_run_id = '{one}'",
        f"status = 'pending' and source_run_id != '{one}'",
    ):
        say(f"where {text}", names(experiment, filter_string=text))
    found, token = [], None
    for _ in range(4):
        page = store.search_issues(experiment, max_results=2, page_token=token)
        token = page.token
        found.append([[issue.name for issue in page], token is None])
    say("in pages", found)


def counts():
    experiment = new_experiment("counted")
    for name, severity, n_traces in (
        ("high once", IssueSeverity.HIGH, 1),
        ("high often", IssueSeverity.HIGH, 3),
        ("medium never", IssueSeverity.MEDIUM, 0),
        ("medium twice", IssueSeverity.MEDIUM, 2),
    ):
        issue = new_issue(experiment, name, severity=severity)
        for _ in range(n_traces):
            show(experiment, issue)
        traces, _ = store.search_traces(
            experiment_ids=[experiment], filter_string=f"issue.id = '{issue.issue_id}'"
        )
        say(f"traces of {name}", len(traces))
    for asked in ({}, {"filter_string": "status = 'pending'"}, {"max_results": 3}):
        found = store.search_issues(experiment, include_trace_count=True, **asked)
        say(f"counted {asked}", [[issue.name, issue.trace_count] for issue in found])
    say("not counted", [told(issue) for issue in store.search_issues(experiment)])


lives()
refused()
searches()
counts()
notes.tell()
