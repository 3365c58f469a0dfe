"""The pages of incidents and what they do, over real HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from noria.access.projects import NewProject, Projects
from noria.catalog.entities import NewRecord, RecordKind
from noria.catalog.service import Catalog
from noria.core.context import Context
from noria.core.permissions import Principal, Role
from noria.decisions.entities import Cause, Decision, DecisionStatus, Remedy, Trigger
from noria.decisions.ledger import NewDecision, move, open_decision
from noria.decisions.service import Decisions
from noria.monitoring.detector import DropDetector
from noria.monitoring.entities import Alert, AlertKind, CloseAlert, Look, NewAlert
from noria.monitoring.service import Monitors
from support.hostile import HOSTILE, assert_harmless
from support.pages import Reader, form_in, visible_text
from support.wheel import PROJECT, Turn, Words, turn_once

INCIDENTS = "/projects/default/incidents"
BOTH = pytest.mark.parametrize(
    "database_kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
)
VIEWER = Principal(name="ana", project_roles={"default": Role.VIEWER}, holds_key=True)
ENGINEER = Principal(name="eva", project_roles={"default": Role.ENGINEER}, holds_key=True)


@pytest.fixture
def monitors(context: Context) -> Monitors:
    """Give the service."""
    return context.service(Monitors)


def raised(context: Context, kind: AlertKind, figures: dict[str, float], sentence: str) -> Alert:
    """Raise another alert about the endpoint `digits`."""
    monitors = context.service(Monitors)
    seen = monitors.get(PROJECT, "digits")
    new = NewAlert(
        kind=kind, version=1, figures=figures, sentence=sentence, onset_position=7, last_position=9
    )
    look = Look(
        from_position=seen.position,
        from_label_position=seen.label_position,
        position=seen.position + 1,
        label_position=seen.label_position + 1,
        version=1,
        windows=[],
        detector=DropDetector(floor=0.9, false_alarm_rate=0.001),
        quality=None,
        alerts=[new],
    )
    monitors.record(PROJECT, "digits", look)
    return monitors.alerts(PROJECT).items[0]


def asked(context: Context, *, target_version: int | None = 2, reason: str = "the policy asks") -> Decision:
    """Have a decision about an alert ask a person."""
    turn = Turn(context)
    turn.registered()
    turn.deployed()
    turn.answered(version=1, n=300)
    turn.watched()
    turn.registered()
    alert = context.service(Monitors).alerts(PROJECT).items[0]
    new = NewDecision(
        project=PROJECT,
        endpoint="digits",
        model="digits",
        version=1,
        trigger=Trigger.QUALITY,
        alert_id=alert.id,
        onset_position=120,
        sentence="Accuracy of `digits` fell",
    )
    made = open_decision(context, new)
    return move(
        context,
        PROJECT,
        made.id,
        DecisionStatus.ASKING,
        text="it asks",
        cause=Cause.NEW_CLASS,
        remedy=Remedy.RETRAIN,
        target_version=target_version,
        reason=reason,
    )


def answer_of(reader: Reader, path: str, decision: Decision, part: str, **fields: str) -> Any:
    """Press a button of the question on a page, as an engineer."""
    reader.server.tokens["eva"] = ENGINEER
    place = f"/decisions/default/{decision.id}"
    form = form_in(reader.get(path, token="eva").text, f"{place}/reject", name="answer")
    return posted(reader, f"{place}/{part}", {**form.fields, **fields})


def posted(reader: Reader, path: str, data: Any) -> Any:
    """Send a form as an engineer."""
    headers = {"authorization": "Bearer eva", "origin": reader.server.url, "accept": "text/html"}
    return reader.client.post(reader.server.url + path, data=data, headers=headers)


def test_an_empty_project_says_what_will_stand_here(reader: Reader) -> None:
    """Both lists of a new workspace say what they are for, and a place that is none is told."""
    assert "Nothing went wrong so far" in reader.text(INCIDENTS)
    assert "Nothing had to be decided so far" in reader.text(f"{INCIDENTS}?view=decisions")
    assert "There is nothing more" in reader.text(f"{INCIDENTS}?before=closed-0")
    assert reader.get(f"{INCIDENTS}?before=x").status_code == 400


@BOTH
def test_open_incidents_come_first(reader: Reader, context: Context) -> None:
    """An older open incident stands before newer closed ones, each with what was found and chosen."""
    decision = asked(context)
    for i in range(3):
        alert = raised(context, AlertKind.ERRORS, {}, f"errors {i}")
        context.service(Monitors).close_alert(PROJECT, alert.id, CloseAlert(why="over"))
    shown = reader.text(INCIDENTS)

    assert "Waiting for a person ! asks digits: retrain" in shown
    assert shown.index("Quality fell") < shown.index("errors 2") < shown.index("errors 0")
    assert "✕ open ! asking a person digits v1" in shown
    assert "a new class appeared retrain" in shown
    assert decision.record_id in reader.get(INCIDENTS).text


@BOTH
def test_many_incidents_are_paged(reader: Reader, context: Context, monitors: Monitors) -> None:
    """The list goes from the open ones through the closed ones without a gap; it may be of one endpoint."""
    turn_once(context)
    for i in range(35):
        alert = raised(context, AlertKind.ERRORS, {}, f"errors {i:02}")
        monitors.close_alert(PROJECT, alert.id, CloseAlert(why="over"))
    raised(context, AlertKind.DRIFT, {}, "drift")
    first = reader.get(f"{INCIDENTS}?endpoint=digits").text
    following = first.split('rel="next" href="')[1].partition('"')[0].replace("&amp;", "&")
    second = reader.get(following).text
    told = [f"errors {i:02}" for i in range(35)]

    assert "drift" in first
    assert [each in first for each in told] == [False] * 6 + [True] * 29
    assert [each in second for each in told] == [True] * 6 + [False] * 29
    assert "fell to 87.1 %" in second
    assert "Nothing went wrong" in reader.text(f"{INCIDENTS}?endpoint=other")


@BOTH
def test_the_demos_incident_is_told_whole(reader: Reader, context: Context, monitors: Monitors) -> None:
    """What, since when, how much, evidence by stage, trials, action and outcome stand on one page."""
    turn_once(context)
    alert = monitors.alerts(PROJECT).items[0]
    shown = reader.text(f"{INCIDENTS}/{alert.id}")

    for told in (
        "✓ closed",
        "Quality fell: digits",
        "begun about row 120 of those captured",
        "How much 87.1 % expected: 97.2 %",
        "Is there a new class? yes",
        "a class that version 1 never learned",
        "Candidates compared",
        "chosen",
        "Action",
        "Rollout to digits ✓ promoted",
        "Score after",
    ):
        assert told in shown, (told, shown)


@pytest.mark.parametrize(
    ("kind", "figures", "told"),
    [
        (
            AlertKind.DRIFT,
            {"n_drifted": 3.0, "n_columns": 64.0, "psi": 0.31, "adjusted_p_value": 0.0004},
            ("Inputs drifted: digits", "3 of 64 inputs", "the farthest by 0.31 nats (PSI)", "p = 0.0004"),
        ),
        (
            AlertKind.ERRORS,
            {"share": 0.2, "low": 0.15, "high": 0.26, "n": 200.0, "tolerated": 0.02},
            ("Requests fail: digits", "20.0 % tolerated: 2.0 %", "15.0 % to 26.0 % on 200 rows"),
        ),
        (
            AlertKind.ERRORS,
            {},
            (
                "not told",
                "told in the sentence above",
                "What next noria endpoints show digits --project default",
            ),
        ),
        (
            AlertKind.SERVER,
            {"silent_s": 75.0},
            ("No model server answers: digits", "seconds of silence", "no remedy of ours mends a machine"),
        ),
    ],
)
def test_each_kind_tells_how_much_and_how_sure(
    reader: Reader, context: Context, kind: AlertKind, figures: dict[str, float], told: tuple[str, ...]
) -> None:
    """Drift is told in inputs, errors in shares; what was not measured is said to be missing."""
    turn_once(context)
    alert = raised(context, kind, figures, "something")
    shown = reader.text(f"{INCIDENTS}/{alert.id}")

    for each in told:
        assert each in shown, shown
    assert "No decision has answered this alert." in shown


@BOTH
def test_an_alert_is_closed_with_a_reason(reader: Reader, context: Context, monitors: Monitors) -> None:
    """Without a reason nothing is closed; a second one is told that somebody was faster."""
    asked(context)
    alert = monitors.alerts(PROJECT).items[0]
    path = f"{INCIDENTS}/{alert.id}"
    form = reader.form(path, f"{path}/close", name="close")
    refused = reader.send(form, why="")
    done = reader.send(form, why="a test of the sensors")
    late = reader.send(form, why="mine")

    assert refused.status_code == 422
    assert "Fill this in" in visible_text(refused.text)
    assert (done.status_code, done.headers["location"]) == (303, path)
    assert monitors.alert(PROJECT, alert.id).closed_why == "a test of the sensors"
    assert "a test of the sensors" in reader.text(path)
    assert late.status_code == 409


@BOTH
@pytest.mark.parametrize("place", ["incident", "decision"])
def test_a_proposal_is_approved_after_a_question(reader: Reader, context: Context, place: str) -> None:
    """The engineer sees which version takes the place of which, on the incident's page and on the story."""
    decision = asked(context)
    path = f"{INCIDENTS}/{decision.alert_id}"
    if place == "decision":
        path = f"/decisions/default/{decision.record_id}"
    question = answer_of(reader, path, decision, "approve", reason="go")
    assert question.status_code == 200, question.text
    assert "Approve: version 1 → version 2 at digits ?" in visible_text(question.text)
    done = answer_of(reader, path, decision, "approve", reason="go", confirmed="yes")
    found = context.service(Decisions).get(PROJECT, decision.id)

    assert (done.status_code, done.headers["location"]) == (303, path)
    assert found.status is DecisionStatus.ACTING
    assert found.timeline[-1].text == "eva approved retrain: go"


def test_a_proposal_is_refused_after_a_question(reader: Reader, context: Context) -> None:
    """Refusing closes the decision and its alert for good; approving it afterwards is told so."""
    decision = asked(context)
    path = f"{INCIDENTS}/{decision.alert_id}"
    question = answer_of(reader, path, decision, "reject")
    form = form_in(reader.get(path, token="eva").text, f"{path}/close", name="close")
    done = answer_of(reader, path, decision, "reject", reason="not now", confirmed="yes")
    shown = visible_text(reader.get(path, token="eva").text)
    place = f"/decisions/default/{decision.id}/approve"
    late = posted(reader, place, {"csrf": form.fields["csrf"], "here": path, "confirmed": "yes"})

    assert "A closed decision is not opened again" in visible_text(question.text)
    assert done.status_code == 303
    assert context.service(Decisions).get(PROJECT, decision.id).status is DecisionStatus.DONE
    assert "left as it is by eva: not now" in shown
    assert late.status_code == 409


def test_what_a_person_has_to_do_is_only_closed(reader: Reader, context: Context) -> None:
    """Where Noria cannot carry a remedy out, there is nothing to approve."""
    decision = asked(context, target_version=None)
    reader.server.tokens["eva"] = ENGINEER
    page = reader.get(f"{INCIDENTS}/{decision.alert_id}", token="eva").text

    assert "formaction" not in page
    assert "a person has to" in visible_text(page)
    assert "Close the decision" in visible_text(page)


def test_who_holds_no_key_is_told_the_command(reader: Reader, context: Context) -> None:
    """A visitor on the same machine may not start training code; the page says how the owner answers."""
    decision = asked(context)
    shown = reader.text(f"{INCIDENTS}/{decision.alert_id}")

    assert f"noria decisions approve {decision.id}" in shown


@pytest.mark.parametrize("language", ["en", "es"])
def test_what_users_write_stays_text(
    reader: Reader, context: Context, monitors: Monitors, language: str
) -> None:
    """Markup in sentences, reasons, causes, remedies, notes and subjects is shown as text."""
    hostile = Words(
        **dict.fromkeys(
            ("sentence", "problem", "finding", "cause", "remedy", "reason", "note", "value"), HOSTILE
        )
    )
    turn_once(context, hostile)
    new = NewRecord(kind=RecordKind.REMEDY, subject=f"endpoint:{HOSTILE}", problem=HOSTILE)
    context.service(Catalog).create(PROJECT, new)
    alert = monitors.alerts(PROJECT).items[0]

    for path in (INCIDENTS, f"{INCIDENTS}?view=decisions", f"{INCIDENTS}/{alert.id}"):
        assert_harmless(reader.get(path, language=language))


@pytest.mark.parametrize("language", ["en", "es"])
def test_a_question_stays_text(reader: Reader, context: Context, language: str) -> None:
    """Markup in why a decision asks is shown as text, in the list and on both pages."""
    decision = asked(context, reason=HOSTILE)
    for path in (
        INCIDENTS,
        f"{INCIDENTS}/{decision.alert_id}",
        f"/decisions/default/{decision.record_id}",
    ):
        assert_harmless(reader.get(path, language=language))


def test_a_viewer_reads_and_changes_nothing(reader: Reader, context: Context, monitors: Monitors) -> None:
    """A viewer sees no form that others use, is refused what it would do, and sees no other project."""
    context.service(Projects).create(NewProject(name="secret"))
    decision = asked(context)
    path, told = f"{INCIDENTS}/{decision.alert_id}", f"/decisions/default/{decision.record_id}"
    reader.server.is_open = False
    reader.server.tokens["t"] = VIEWER
    for each in (INCIDENTS, path, told):
        page = reader.get(each, token="t")
        assert page.status_code == 200
        assert f'action="{INCIDENTS}' not in page.text
        assert 'action="/decisions' not in page.text
    headers: Any = {"authorization": "Bearer t", "origin": reader.server.url}
    for action in (f"{path}/close", f"{told}/approve", f"{told}/reject"):
        sent = reader.client.post(reader.server.url + action, data={"csrf": "x"}, headers=headers)
        assert sent.status_code == 403

    assert reader.get("/projects/secret/incidents", token="t").status_code == 403
    assert monitors.alerts(PROJECT).items[0].closed_at is None


def test_an_unknown_incident_is_told(reader: Reader) -> None:
    """A wrong id is told."""
    answer = reader.get(f"{INCIDENTS}/{'0' * 32}")

    assert answer.status_code == 404
    assert "There is no alert" in visible_text(answer.text)
