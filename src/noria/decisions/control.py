"""What the control loop runs for decisions.

All state is in our tables and each move there is a compare-and-set; the worker's jobs have keys, deployments the
decision's id, records their own key. So a workflow that was killed takes the same path again and repeats nothing, and
one whose recorded steps are not those of this version of Noria begins again where its decision stands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from noria.core.context import Context
from noria.core.control.workflows import JSON, Chore, LoggedEvent, Reaction, Steps, Tick, workflow
from noria.core.errors import NoriaError
from noria.core.permissions import Principal, Role
from noria.decisions.action import Action
from noria.decisions.course import Course
from noria.decisions.ending import alert_is_open, finish
from noria.decisions.entities import DecisionStatus, Trigger
from noria.decisions.events import DECISION_APPROVED, DECISION_REQUESTED
from noria.decisions.ledger import NewDecision, find_of_alert, find_open, move, open_decision, supersede
from noria.decisions.steering import Helm
from noria.monitoring.events import ALERT_OPENED
from noria.pipelines.job_entities import NewJob
from noria.pipelines.jobs import Jobs
from noria.serving.captures import Captures
from noria.serving.endpoints import Endpoints
from noria.serving.permissions import END_REPAIRS, READ_CAPTURES, READ_ENDPOINTS
from noria.serving.repairs.standing import standing_repairs

DECIDE = "decisions.decide"
CARRY_OUT = "decisions.carry_out"

CONTROL = Principal(name="control", role=Role.ADMIN, holds_key=True)

LOOK_AFTER_EVERY_S = 5.0
LOOK_AFTER_ROWS = 50
"""Rows after which a standing repair is looked at again."""

_TRIES_TO_OPEN = 600
_BUSY_PAUSE_S = 2.0


@workflow(DECIDE, begins_again=True)
def decide(steps: Steps, app: Context, event: Mapping[str, Any]) -> JSON:
    """Bring an incident from its alert to its outcome, or to the question that a person has to answer."""
    context = app.acting_as(CONTROL)
    project = str(event["project"])
    decision_id = event["payload"].get("decision") or _opened(steps, context, event)
    if decision_id is None:
        return {"decision": None}
    helm = Helm(steps, context, project, decision_id)
    return _steered(helm, lambda: _decide(helm))


@workflow(CARRY_OUT, begins_again=True)
def carry_out(steps: Steps, app: Context, event: Mapping[str, Any]) -> JSON:
    """Carry out what a person approved."""
    helm = Helm(steps, app.acting_as(CONTROL), str(event["project"]), event["payload"]["decision"])
    return _steered(helm, Action(helm).run)


def _decide(helm: Helm) -> None:
    stands: Any = helm.step("stands", lambda: _stands(helm))
    status = DecisionStatus(stands["status"])
    if status is DecisionStatus.DIAGNOSING and Course(helm).run(stands["round"]):
        status = DecisionStatus.ACTING
    if status in (DecisionStatus.ACTING, DecisionStatus.MEASURING):
        Action(helm).run()


def _stands(helm: Helm) -> dict[str, Any]:
    """Tell how far a decision has come; what was looked at, tried or waited for without a record is looked at anew."""
    found = helm.decision()
    if found.status in (DecisionStatus.TRYING, DecisionStatus.WAITING):
        text = "Noria was changed while this was under way; looking again"
        found = move(helm.context, helm.project, helm.decision_id, DecisionStatus.DIAGNOSING, text=text)
    return {"status": found.status.value, "round": found.round}


def _steered(helm: Helm, run: Callable[[], None]) -> JSON:
    try:
        run()
    except NoriaError as error:
        message = error.message
        result: str = helm.step("fail", lambda: _fail(helm, message))
        return {"decision": helm.decision_id, "result": result}
    return {"decision": helm.decision_id, "result": "ran"}


def _fail(helm: Helm, message: str) -> str:
    found = helm.decision()
    if found.status.is_finished():
        # A person or a more urgent alert ended it meanwhile: nothing is left to do.
        return "ended elsewhere"
    reason = f"It could not be carried through: {message}"
    finish(helm.context, found, outcome={"result": "failed", "reason": message}, reason=reason, failed=True)
    return "failed"


def _opened(steps: Steps, context: Context, event: Mapping[str, Any]) -> str | None:
    """Open a decision about an alert; wait while a less urgent one is at work."""
    for _ in range(_TRIES_TO_OPEN):
        found: Any = steps.run("open", lambda: _open(context, event))
        if not found["busy"]:
            opened: str | None = found["decision"]
            return opened
        steps.sleep(_BUSY_PAUSE_S)
    return None


def _open(context: Context, event: Mapping[str, Any]) -> dict[str, Any]:
    project, alert = str(event["project"]), event["payload"]
    trigger = Trigger(alert["kind"])
    with context.database.read() as connection:
        known = find_of_alert(connection, alert["alert"])
    if known is not None:
        return {"busy": False, "decision": None if known.status.is_finished() else known.id}
    if not alert_is_open(context, project, alert["alert"]):
        return {"busy": False, "decision": None}
    with context.database.read() as connection:
        standing = find_open(connection, project, alert["endpoint"])
    if standing is not None and standing.alert_id != alert["alert"]:
        if standing.trigger.rank >= trigger.rank:
            return {"busy": False, "decision": None}
        if standing.status not in (DecisionStatus.WAITING, DecisionStatus.ASKING):
            return {"busy": True, "decision": None}
        supersede(context, project, standing.id, alert["sentence"])
    endpoint = context.service(Endpoints).get(project, alert["endpoint"])
    made = open_decision(
        context,
        NewDecision(
            project=project,
            endpoint=endpoint.name,
            model=endpoint.model,
            version=alert["version"],
            trigger=trigger,
            alert_id=alert["alert"],
            onset_position=alert["onset_position"],
            sentence=alert["sentence"],
        ),
    )
    return {"busy": False, "decision": made.id}


def look_after_repairs(app: Context) -> None:
    """Have workers see whether what is repaired is due still, whenever enough rows have come since."""
    with app.database.read() as connection:
        standing = standing_repairs(connection)
    context = app.acting_as(CONTROL)
    for project, endpoint, repair_id, position in standing:
        head = context.service(Captures).head(project, endpoint)
        number = (head.position - position) // LOOK_AFTER_ROWS
        if number > 0:
            new = NewJob(
                entry="noria.decisions.mended:look_after",
                args={"project": project, "endpoint": endpoint, "repair_id": repair_id},
                key=f"repair:{repair_id}:{number}",
                permissions=[p.name for p in (READ_ENDPOINTS, READ_CAPTURES, END_REPAIRS)],
                routine=True,
            )
            context.service(Jobs).submit(project, new)


def is_about_a_model(_app: Context, event: LoggedEvent) -> bool:
    """Tell whether an alert is about what a model answers; no remedy of ours mends a machine."""
    return event.payload["kind"] in list(Trigger)


WORKFLOWS = (decide, carry_out)
TICKS: tuple[Tick, ...] = ()
CHORES = (Chore("decisions.repairs", LOOK_AFTER_EVERY_S, look_after_repairs),)
REACTIONS = (
    Reaction("decisions.alerts", frozenset({str(ALERT_OPENED)}), DECIDE, when=is_about_a_model),
    Reaction("decisions.requests", frozenset({str(DECISION_REQUESTED)}), DECIDE),
    Reaction("decisions.approvals", frozenset({str(DECISION_APPROVED)}), CARRY_OUT),
)
