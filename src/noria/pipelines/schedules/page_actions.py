"""What the page of a schedule can do: pause, resume, run now, pin a revision and unpin it."""

from __future__ import annotations

from typing import Annotated

import msgspec

from noria.core.web.actions import Action, Confirmation, Done, NoFields, Undo
from noria.core.web.languages import mark
from noria.core.web.pages import Visit
from noria.core.web.urls import SCHEDULE_PATH
from noria.pipelines.schedules.permissions import APPLY_SCHEDULES, RUN_SCHEDULES
from noria.pipelines.schedules.revision_entities import PinSchedule
from noria.pipelines.schedules.service import Schedules


class PinForm(msgspec.Struct, frozen=True, kw_only=True):
    """Which revision is to run."""

    to: Annotated[str, msgspec.Meta(pattern=r"\A[0-9]{1,9}\Z")]


def pause(visit: Visit, _form: NoFields) -> Done:
    """Start nothing by itself until the schedule is resumed."""
    project, name = _named(visit)
    visit.context.service(Schedules).pause(project, name)
    return Done(
        words=mark("`%(schedule)s` is paused; what runs goes on"),
        values={"schedule": name},
        undo=Undo(to=visit.urls.schedule(project, name, "resume")),
    )


def resume(visit: Visit, _form: NoFields) -> Done:
    """Start runs again, from the interval of the present on."""
    project, name = _named(visit)
    visit.context.service(Schedules).resume(project, name)
    return Done(
        words=mark("`%(schedule)s` goes on"),
        values={"schedule": name},
        undo=Undo(to=visit.urls.schedule(project, name, "pause")),
    )


def run_now(visit: Visit, _form: NoFields) -> Done:
    """Run it once more, for the interval that ended last."""
    project, name = _named(visit)
    visit.context.service(Schedules).run(project, name)
    return Done(words=mark("A run of `%(schedule)s` waits for a worker"), values={"schedule": name})


def pin(visit: Visit, form: PinForm) -> Done:
    """Run one revision until the schedule is unpinned."""
    project, name = _named(visit)
    found = visit.context.service(Schedules).pin(project, name, PinSchedule(to=form.to))
    return Done(
        words=mark("`%(schedule)s` is pinned to revision %(revision)s"),
        values={"schedule": name, "revision": str(found.revision)},
        undo=Undo(to=visit.urls.schedule(project, name, "unpin")),
    )


def confirm_pin(visit: Visit, form: PinForm) -> Confirmation:
    """Tell what pinning means before it is done."""
    _, name = _named(visit)
    return Confirmation(
        words=mark("Pin `%(schedule)s` to revision %(revision)s?"),
        consequences=(
            mark("Its next runs have the code and the declaration of that revision; what runs goes on"),
            mark("What is applied later is kept, and runs once the schedule is unpinned"),
        ),
        values={"schedule": name, "revision": form.to},
        button=mark("Pin"),
        back=visit.here,
    )


def unpin(visit: Visit, _form: NoFields) -> Done:
    """Run what was applied last again."""
    project, name = _named(visit)
    before = visit.context.service(Schedules).get(project, name)
    found = visit.context.service(Schedules).unpin(project, name)
    back = Undo(to=visit.urls.schedule(project, name, "pin"), fields={"to": str(before.revision)})
    return Done(
        words=mark("`%(schedule)s` runs revision %(revision)s, which was applied last"),
        values={"schedule": name, "revision": str(found.revision)},
        undo=back if before.pin else None,
    )


def _named(visit: Visit) -> tuple[str, str]:
    return visit.parameters["project"], visit.parameters["schedule"]


ACTIONS = (
    Action(path=f"{SCHEDULE_PATH}/pause", needs=RUN_SCHEDULES, fields=NoFields, handle=pause),
    Action(path=f"{SCHEDULE_PATH}/resume", needs=RUN_SCHEDULES, fields=NoFields, handle=resume),
    Action(path=f"{SCHEDULE_PATH}/run", needs=RUN_SCHEDULES, fields=NoFields, handle=run_now),
    Action(
        path=f"{SCHEDULE_PATH}/pin", needs=APPLY_SCHEDULES, fields=PinForm, handle=pin, confirm=confirm_pin
    ),
    Action(path=f"{SCHEDULE_PATH}/unpin", needs=APPLY_SCHEDULES, fields=NoFields, handle=unpin),
)
