"""What the page of an endpoint can do about its inputs: take them as they are sent again, and put them right again."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from noria.core.errors import NotFound
from noria.core.web.actions import Action, Confirmation, Done, Stale, Undo
from noria.core.web.languages import mark
from noria.core.web.pages import Visit
from noria.core.web.urls import ENDPOINT_PATH
from noria.serving.permissions import DEPLOY, END_REPAIRS
from noria.serving.repairs.entities import EndRepair, InputRepair, NewRepair
from noria.serving.service import InputRepairs

_NEWEST: Final = 20
"""Repairs among which the one that somebody wants back is looked for."""


class RepairForm(msgspec.Struct, frozen=True, kw_only=True):
    """Which repair is meant, as the reader saw it."""

    repair: Annotated[str, msgspec.Meta(max_length=100)]


def end(visit: Visit, form: RepairForm) -> Done:
    """Take inputs as they are sent again."""
    project, endpoint = _endpoint(visit)
    repair = _standing(visit, form)
    visit.context.service(InputRepairs).end(project, endpoint, EndRepair(id=repair.id))
    again = Undo(to=visit.urls.endpoint(project, endpoint, "repair"), fields={"repair": repair.id})
    return Done(
        words=mark("Repair %(number)s is ended: the model of `%(endpoint)s` sees inputs as they are sent"),
        values={"number": str(repair.number), "endpoint": endpoint},
        undo=again if visit.context.principal.may(DEPLOY, project) else None,
    )


def confirm_end(visit: Visit, form: RepairForm) -> Confirmation:
    """Say what the model sees afterwards."""
    project, endpoint = _endpoint(visit)
    repair = _standing(visit, form)
    return Confirmation(
        words=mark("End repair %(number)s of the inputs of `%(endpoint)s`?"),
        consequences=(
            mark("The model sees inputs as they are sent from now on: they have to be right by then"),
            mark("This can be undone right afterwards"),
        ),
        values={"number": str(repair.number), "endpoint": endpoint},
        button=mark("End the repair"),
        back=visit.urls.endpoint(project, endpoint),
    )


def begin_again(visit: Visit, form: RepairForm) -> Done:
    """Put inputs right again as an ended repair did; it is a new one."""
    project, endpoint = _endpoint(visit)
    repairs = visit.context.service(InputRepairs)
    newest = repairs.list(project, endpoint, limit=_NEWEST).items
    ended = next((each for each in newest if each.id == form.repair), None)
    if ended is None:
        raise NotFound(
            f"The endpoint `{endpoint}` has no such repair", hint=f"See `noria endpoints repairs {endpoint}`"
        )
    if newest[0].ended_at is None:  # somebody was quicker, and nothing is put in the place of theirs
        raise Stale({"repair": newest[0].words})
    begun = repairs.set(project, endpoint, NewRepair(columns=ended.columns, reason=ended.reason))
    return Done(
        words=mark("Inputs of `%(endpoint)s` are put right again: repair %(number)s"),
        values={"number": str(begun.number), "endpoint": endpoint},
    )


def _standing(visit: Visit, form: RepairForm) -> InputRepair:
    project, endpoint = _endpoint(visit)
    standing = visit.context.service(InputRepairs).get(project, endpoint)
    if standing.id != form.repair:
        raise Stale({"repair": standing.words})
    return standing


def _endpoint(visit: Visit) -> tuple[str, str]:
    return visit.parameters["project"], visit.parameters["endpoint"]


ACTIONS = (
    Action(
        path=f"{ENDPOINT_PATH}/end-repair",
        needs=END_REPAIRS,
        fields=RepairForm,
        handle=end,
        confirm=confirm_end,
    ),
    Action(path=f"{ENDPOINT_PATH}/repair", needs=DEPLOY, fields=RepairForm, handle=begin_again),
)
