"""What the pages of endpoints and rollouts can do: roll back, pause, resume, promote, abort."""

from __future__ import annotations

from typing import Annotated

import msgspec

from noria.core.web.actions import Action, Confirmation, Done, NoFields, Stale, Undo
from noria.core.web.languages import mark
from noria.core.web.pages import Visit
from noria.core.web.urls import ENDPOINT_PATH, ROLLOUT_PATH
from noria.serving.endpoints import NothingToRollBack
from noria.serving.entities import Deployment, Reason, Rollout, RolloutStatus
from noria.serving.page_reads import EndpointReads, GoingBack
from noria.serving.permissions import APPROVE, DEPLOY
from noria.serving.service import Endpoints, Rollouts

MAX_REASON_CHARS = 1000


class RollBackForm(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint goes back to an earlier version.

    Attributes
    ----------
    from_version, to_version
        What the reader saw when the form was made.
    reason
        Why; may be left empty.
    is_undo
        Whether it takes back what was done a moment ago, which needs no question.
    """

    from_version: int
    to_version: int
    reason: Annotated[str, msgspec.Meta(max_length=MAX_REASON_CHARS)] = ""
    is_undo: bool = False


class ReasonForm(msgspec.Struct, frozen=True, kw_only=True):
    """Why somebody steers a rollout; `reason` may be left empty."""

    reason: Annotated[str, msgspec.Meta(max_length=MAX_REASON_CHARS)] = ""


def roll_back(visit: Visit, form: RollBackForm) -> Done:
    """Go back to the version before, or forward again where that was done a moment ago."""
    if form.is_undo and (again := _forward(visit, form)) is not None:
        return again
    back = _way_back(visit, form)
    project, name = _endpoint(visit)
    visit.context.service(Endpoints).rollback(project, name, Reason(reason=form.reason or None))
    undo = Undo(
        to=visit.urls.endpoint(project, name, "rollback"),
        fields={
            "from_version": str(back.to_version),
            "to_version": str(back.from_version),
            "is_undo": "true",
        },
    )
    return Done(
        words=mark("`%(endpoint)s` went back from version %(old)s to version %(new)s"),
        values={"endpoint": name, "old": str(back.from_version), "new": str(back.to_version)},
        # Who ends a canary has no rollout to go back on: its version would have to pass the gates again.
        undo=None if back.is_abort else undo,
    )


def _forward(visit: Visit, form: RollBackForm) -> Done | None:
    """Bring back the version that was rolled back from; None where the way leads back, not forward."""
    project, name = _endpoint(visit)
    endpoint = visit.context.service(Endpoints).get(project, name)
    back = visit.context.service(EndpointReads).going_back(project, name)
    if back is not None and back.to_version == form.to_version:
        return None
    if endpoint.version != form.from_version or endpoint.rollout_id is not None:
        raise Stale({"reason": f"v{endpoint.version}"})
    wish = Deployment(model=endpoint.model, version=form.to_version, reason=form.reason or None)
    visit.context.service(Endpoints).deploy(project, name, wish)
    return Done(
        words=mark("`%(endpoint)s` went back from version %(old)s to version %(new)s"),
        values={"endpoint": name, "old": str(form.from_version), "new": str(form.to_version)},
    )


def confirm_roll_back(visit: Visit, form: RollBackForm) -> Confirmation | None:
    """Show from which version to which it goes."""
    if form.is_undo:
        return None
    back = _way_back(visit, form)
    project, name = _endpoint(visit)
    return Confirmation(
        words=mark("Roll `%(endpoint)s` back: version %(old)s → version %(new)s?"),
        consequences=(
            mark("Version %(new)s of `%(model)s` answers every request from now on"),
            mark("The rollout of version %(old)s ends here")
            if back.is_abort
            else mark("Version %(old)s stays in the registry"),
            mark("This can be undone by deploying version %(old)s again"),
        ),
        values={
            "endpoint": name,
            "model": back.model,
            "old": str(back.from_version),
            "new": str(back.to_version),
        },
        button=mark("Roll back"),
        back=visit.urls.endpoint(project, name),
    )


def pause(visit: Visit, form: ReasonForm) -> Done:
    """Keep a rollout where it is."""
    project, rollout_id = _rollout_id(visit)
    visit.context.service(Rollouts).pause(project, rollout_id, Reason(reason=form.reason or None))
    return Done(
        words=mark("The rollout waits. A gate that fails still rolls it back"),
        undo=Undo(to=visit.urls.rollout(project, rollout_id, "resume")),
    )


def resume(visit: Visit, _form: NoFields) -> Done:
    """Let a paused rollout go on."""
    project, rollout_id = _rollout_id(visit)
    visit.context.service(Rollouts).resume(project, rollout_id)
    return Done(
        words=mark("The rollout goes on"), undo=Undo(to=visit.urls.rollout(project, rollout_id, "pause"))
    )


def approve(visit: Visit, form: ReasonForm) -> Done:
    """Agree to a rollout that somebody else began."""
    project, rollout_id = _rollout_id(visit)
    made = visit.context.service(Rollouts).approve(project, rollout_id, Reason(reason=form.reason or None))
    return Done(
        words=mark("You approved the rollout of version %(new)s to `%(endpoint)s`"),
        values={"new": str(made.to_version), "endpoint": made.endpoint},
    )


def promote(visit: Visit, form: ReasonForm) -> Done:
    """Let the new version answer everything."""
    project, rollout_id = _rollout_id(visit)
    made = visit.context.service(Rollouts).promote(project, rollout_id, Reason(reason=form.reason or None))
    undo = Undo(
        to=visit.urls.endpoint(project, made.endpoint, "rollback"),
        fields={
            "from_version": str(made.to_version),
            "to_version": str(made.from_version),
            "is_undo": "true",
        },
    )
    return Done(
        words=mark("Version %(new)s answers every request of `%(endpoint)s`"),
        values={"new": str(made.to_version), "endpoint": made.endpoint},
        undo=None if made.from_version is None else undo,
    )


def confirm_promote(visit: Visit, _form: ReasonForm) -> Confirmation | None:
    """Say that the gates are passed over."""
    rollout = _open_rollout(visit)
    if rollout is None:
        return None
    return Confirmation(
        words=mark("Give version %(new)s every request of `%(endpoint)s` now?"),
        consequences=(
            mark("The steps and gates that are left are passed over"),
            mark("This can be undone: the endpoint rolls back to version %(old)s"),
        ),
        values=_told(rollout),
        button=mark("Promote"),
        back=visit.urls.rollout(rollout.project, rollout.id),
    )


def abort(visit: Visit, form: ReasonForm) -> Done:
    """Give every request back to the old version."""
    project, rollout_id = _rollout_id(visit)
    made = visit.context.service(Rollouts).abort(project, rollout_id, Reason(reason=form.reason or None))
    return Done(
        words=mark("The rollout of version %(new)s is ended: version %(old)s answers every request"),
        values=_told(made),
    )


def confirm_abort(visit: Visit, _form: ReasonForm) -> Confirmation | None:
    """Show which version answers afterwards."""
    rollout = _open_rollout(visit)
    if rollout is None:
        return None
    return Confirmation(
        words=mark("End the rollout: version %(new)s → version %(old)s?"),
        consequences=(
            mark("Version %(old)s answers every request of `%(endpoint)s` again"),
            mark("This can be undone by deploying version %(new)s again"),
        ),
        values=_told(rollout),
        button=mark("End the rollout"),
        back=visit.urls.rollout(rollout.project, rollout.id),
    )


def _way_back(visit: Visit, form: RollBackForm) -> GoingBack:
    project, name = _endpoint(visit)
    back = visit.context.service(EndpointReads).going_back(project, name)
    if back is None:
        raise NothingToRollBack(name)
    if (back.from_version, back.to_version) != (form.from_version, form.to_version):
        raise Stale({"reason": f"v{back.from_version} → v{back.to_version}"})
    return back


def _endpoint(visit: Visit) -> tuple[str, str]:
    return visit.parameters["project"], visit.parameters["endpoint"]


def _rollout_id(visit: Visit) -> tuple[str, str]:
    return visit.parameters["project"], visit.parameters["rollout_id"]


def _open_rollout(visit: Visit) -> Rollout | None:
    """Give the rollout that a question is about; of one that has ended, the service says so."""
    rollout = visit.context.service(Rollouts).get(*_rollout_id(visit))
    return rollout if rollout.status in (RolloutStatus.RUNNING, RolloutStatus.PAUSED) else None


def _told(rollout: Rollout) -> dict[str, str]:
    old = rollout.to_version if rollout.from_version is None else rollout.from_version
    return {"new": str(rollout.to_version), "old": str(old), "endpoint": rollout.endpoint}


ACTIONS = (
    Action(
        path=f"{ENDPOINT_PATH}/rollback",
        needs=DEPLOY,
        fields=RollBackForm,
        handle=roll_back,
        confirm=confirm_roll_back,
    ),
    Action(path=f"{ROLLOUT_PATH}/pause", needs=DEPLOY, fields=ReasonForm, handle=pause),
    Action(path=f"{ROLLOUT_PATH}/resume", needs=DEPLOY, fields=NoFields, handle=resume),
    Action(path=f"{ROLLOUT_PATH}/approve", needs=APPROVE, fields=ReasonForm, handle=approve),
    Action(
        path=f"{ROLLOUT_PATH}/promote",
        needs=DEPLOY,
        fields=ReasonForm,
        handle=promote,
        confirm=confirm_promote,
    ),
    Action(
        path=f"{ROLLOUT_PATH}/abort", needs=DEPLOY, fields=ReasonForm, handle=abort, confirm=confirm_abort
    ),
)
