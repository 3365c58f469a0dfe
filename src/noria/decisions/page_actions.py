"""What the pages of incidents and decisions can do: close an alert, answer what a decision asks."""

from __future__ import annotations

from typing import Annotated

import msgspec

from noria.core.web.actions import Action, Confirmation, Done, Stale
from noria.core.web.languages import mark
from noria.core.web.pages import Visit
from noria.core.web.urls import DECISION_PATH, INCIDENT_PATH
from noria.decisions.entities import Answer, Decision, DecisionStatus
from noria.decisions.permissions import DECIDE
from noria.decisions.pipeline_entities import PipelinePin
from noria.decisions.service import Decisions
from noria.monitoring.entities import CloseAlert
from noria.monitoring.permissions import WRITE_MONITORS
from noria.monitoring.service import Monitors

MAX_REASON_CHARS = 1000


class CloseForm(msgspec.Struct, frozen=True, kw_only=True):
    """Why an alert is over."""

    why: Annotated[str, msgspec.Meta(max_length=MAX_REASON_CHARS)]


class AnswerForm(msgspec.Struct, frozen=True, kw_only=True):
    """What a person says to a proposal; `reason` may be left empty."""

    reason: Annotated[str, msgspec.Meta(max_length=MAX_REASON_CHARS)] = ""


def close_alert(visit: Visit, form: CloseForm) -> Done:
    """Say that an alert is over."""
    project, alert_id = visit.parameters["project"], visit.parameters["incident"]
    monitors = visit.context.service(Monitors)
    alert = monitors.alert(project, alert_id)
    if alert.closed_at is not None:
        raise Stale({"why": alert.closed_why or ""})
    monitors.close_alert(project, alert_id, CloseAlert(why=form.why))
    return Done(words=mark("The alert about `%(endpoint)s` is closed"), values={"endpoint": alert.endpoint})


def approve(visit: Visit, form: AnswerForm) -> Done:
    """Let the proposed remedy be carried out."""
    project, decision_id = _which(visit)
    found = visit.context.service(Decisions).approve(project, decision_id, Answer(reason=form.reason))
    if found.pin is not None:
        return Done(
            words=mark("Approved: the schedule `%(schedule)s` goes back to revision %(revision)s"),
            values={"schedule": found.pin.schedule, "revision": str(found.pin.revision)},
        )
    if found.target_version is None:
        return Done(
            words=mark("Approved: inputs of `%(endpoint)s` are put right before the model sees them"),
            values={"endpoint": found.endpoint},
        )
    return Done(
        words=mark("Approved: version %(new)s goes out to `%(endpoint)s`"),
        values={"new": str(found.target_version), "endpoint": found.endpoint},
    )


def confirm_approve(visit: Visit, _form: AnswerForm) -> Confirmation | None:
    """Show which version would take the place of which, or what would be done to inputs."""
    found = _asking(visit)
    if found is None or not found.can_be_carried_out:
        return None
    if found.pin is not None:
        return _confirm_pin(visit, found.pin)
    if found.target_version is None:
        return _confirm_repair(visit, found)
    return Confirmation(
        words=mark("Approve: version %(old)s → version %(new)s at `%(endpoint)s`?"),
        consequences=(
            mark("The version goes out in the steps and through the gates that the project asks for"),
            mark("This can be undone by rolling the endpoint back"),
        ),
        values={
            "old": str(found.version),
            "new": str(found.target_version),
            "endpoint": found.endpoint,
        },
        button=mark("Approve"),
        back=visit.here,
    )


def _confirm_pin(visit: Visit, pin: PipelinePin) -> Confirmation:
    return Confirmation(
        words=mark(
            "Approve: the schedule `%(schedule)s` goes back from revision %(old)s to revision %(new)s?"
        ),
        consequences=(
            mark("It is pinned at once, and its runs since the trouble began are run again"),
            mark("What is applied later is kept, and runs once the schedule is unpinned"),
            mark("This can be undone: noria schedules unpin %(schedule)s"),
        ),
        values={"schedule": pin.schedule, "old": str(pin.instead_of), "new": str(pin.revision)},
        button=mark("Approve"),
        back=visit.here,
    )


def _confirm_repair(visit: Visit, found: Decision) -> Confirmation:
    return Confirmation(
        words=mark("Approve: put inputs of `%(endpoint)s` right before the model sees them?"),
        consequences=(
            mark("It begins at once, or when the rollout under way has ended"),
            mark("It ends by itself when answers get worse, or when the sender is right again"),
            mark("This can be undone: noria endpoints repair %(endpoint)s --off"),
        ),
        values={"endpoint": found.endpoint},
        button=mark("Approve"),
        back=visit.here,
    )


def reject(visit: Visit, form: AnswerForm) -> Done:
    """End the decision without its remedy."""
    project, decision_id = _which(visit)
    found = visit.context.service(Decisions).reject(project, decision_id, Answer(reason=form.reason))
    return Done(
        words=mark("The decision about `%(endpoint)s` is closed, and nothing was changed"),
        values={"endpoint": found.endpoint},
    )


def confirm_reject(visit: Visit, _form: AnswerForm) -> Confirmation | None:
    """Say that a closed decision stays closed."""
    found = _asking(visit)
    if found is None:
        return None
    return Confirmation(
        words=mark("Close the decision about `%(endpoint)s` without its remedy?"),
        consequences=(
            mark("The endpoint stays as it is"),
            mark("A closed decision is not opened again; the next alert makes another one"),
        ),
        values={"endpoint": found.endpoint},
        button=mark("Close the decision"),
        back=visit.here,
    )


def _which(visit: Visit) -> tuple[str, str]:
    return visit.parameters["project"], visit.parameters["record_id"]


def _asking(visit: Visit) -> Decision | None:
    """Give the decision that a question is about; of one that asks no longer, the service says so."""
    found = visit.context.service(Decisions).get(*_which(visit))
    return found if found.status is DecisionStatus.ASKING else None


ACTIONS = (
    Action(path=f"{INCIDENT_PATH}/close", needs=WRITE_MONITORS, fields=CloseForm, handle=close_alert),
    Action(
        path=f"{DECISION_PATH}/approve",
        needs=DECIDE,
        fields=AnswerForm,
        handle=approve,
        confirm=confirm_approve,
    ),
    Action(
        path=f"{DECISION_PATH}/reject", needs=DECIDE, fields=AnswerForm, handle=reject, confirm=confirm_reject
    ),
)
